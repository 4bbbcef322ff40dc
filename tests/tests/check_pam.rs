//! `tacplus check` against libpam itself: whatever lets somebody in with a wrong
//! password it has to find.

use std::fmt::Write;

use e2e::logins::{self, Login, Refusals, Way};
use e2e::scene;
use e2e::{Result, Stage};

/// How many stacks are tried.
const STACKS: usize = 600;

/// Below this folder are the same stacks, with no other one for `check` to speak of.
const ROOT: &str = "/run/random";

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        // Knuth's MMIX.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn control(&mut self) -> String {
        const CODES: [&str; 6] = [
            "success",
            "auth_err",
            "user_unknown",
            "perm_denied",
            "ignore",
            "default",
        ];
        const STEPS: [&str; 9] = ["ignore", "ok", "done", "bad", "die", "reset", "1", "2", "3"];
        if self.below(2) == 0 {
            return self
                .pick(&["required", "requisite", "sufficient", "optional"])
                .to_owned();
        }
        let pairs =
            (0..=self.below(3)).map(|_| format!("{}={}", self.pick(&CODES), self.pick(&STEPS)));
        let pairs: Vec<String> = pairs.collect();
        format!("[{}]", pairs.join(" "))
    }

    fn lines(&mut self, count: usize) -> String {
        let mut text = String::new();
        for _ in 0..count {
            let module = self.pick(&[
                "pam_unix.so try_first_pass nodelay",
                "pam_deny.so",
                "pam_permit.so",
                "pam_permit.so",
                "pam_debug.so auth=success",
                "pam_debug.so auth=perm_denied",
                "pam_debug.so auth=user_unknown",
                "pam_debug.so auth=ignore",
            ]);
            let _ = writeln!(text, "auth {} {module}", self.control());
        }
        text
    }
}

fn stack(random: &mut Random, number: usize, stage: &Stage) -> Result<String> {
    let part = format!("part-{number}");
    let lines = 1 + random.below(3);
    put(stage, &part, &random.lines(lines))?;
    let lead = random.below(2);
    let mut text = random.lines(lead);
    // A line that passes root over in one of its ways; the module is asked for real.
    let passing = [
        "sufficient",
        "optional",
        "[success=done user_unknown=ignore default=die]",
        "[success=2 default=ignore]",
        "[user_unknown=1 default=bad]",
    ];
    let _ = writeln!(
        text,
        "auth {} pam_tacplus.so nodelay",
        random.pick(&passing)
    );
    let tail = random.below(3);
    text += &random.lines(tail);
    match random.below(3) {
        0 => text += &format!("auth substack {part}\n"),
        1 => text += &format!("auth include {part}\n"),
        _ => {}
    }
    let tail = random.below(3);
    text += &random.lines(tail);
    let name = format!("random-{number}");
    put(stage, &name, &text)?;
    Ok(text)
}

fn put(stage: &Stage, name: &str, text: &str) -> Result {
    let text = format!("{text}account required pam_permit.so\n");
    stage.write(&format!("{ROOT}/etc/pam.d/{name}"), 0o644, &text)?;
    stage.write(&format!("/etc/pam.d/{name}"), 0o644, &text)
}

#[test]
fn whatever_lets_somebody_in_with_a_wrong_password_past_our_line_is_found() -> Result {
    let stage = scene::host(&["127.0.0.1:49"], "exclude_users = bob").start()?;
    logins::put_pam_host(&stage)?;
    let mut random = Random(20_260_915);
    let stacks: Vec<String> = (0..STACKS)
        .map(|number| stack(&mut random, number, &stage))
        .collect::<Result<_>>()?;
    let services: Vec<String> = (0..STACKS)
        .map(|number| format!("random-{number}"))
        .collect();
    let logins: Vec<Login<'_>> = services
        .iter()
        .map(|service| Login {
            service,
            user: "bob",
            caller: 0,
            way: Way::Password("wrong"),
        })
        .collect();

    let verdicts = logins::run(&stage, &logins, 8, Refusals::Noted)?;
    let check = stage.run("tacplus", &["check", "--root", ROOT])?;

    let syslog = stage.syslog();
    let mut seen = [0; 3];
    for ((service, text), verdict) in services.iter().zip(&stacks).zip(verdicts) {
        let place = format!("tacplus: {ROOT}/etc/pam.d/{service}:");
        let mut lines = check.stderr.lines();
        let found = lines.any(|line| line.starts_with(&place) && line.contains("lets them in"));
        // Where an earlier line has ended the stack, ours passed nobody over.
        let passed_over = format!("pam_tacplus({service}:auth): passed over: 'bob'");
        let gets_in = verdict.gets_in() && syslog.contains(&passed_over);
        assert!(found || !gets_in, "{service}:\n{text}{check}");
        seen[usize::from(gets_in) + usize::from(found)] += 1;
    }
    // Neither, found for another answer of a module, and both.
    assert!(seen.iter().all(|count| *count > STACKS / 20), "{seen:?}");
    Ok(())
}
