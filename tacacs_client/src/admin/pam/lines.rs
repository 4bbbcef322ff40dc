//! The lines of `/etc/pam.d`, as libpam reads them.
//!
//! Owns their syntax: comments, continued lines, controls, includes. Knows nothing of
//! what a line means for a login.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The codes of security/_pam_types.h, in their order, as a control names them.
const CODES: [&str; 32] = [
    "success",
    "open_err",
    "symbol_err",
    "service_err",
    "system_err",
    "buf_err",
    "perm_denied",
    "auth_err",
    "cred_insufficient",
    "authinfo_unavail",
    "user_unknown",
    "maxtries",
    "new_authtok_reqd",
    "acct_expired",
    "session_err",
    "cred_unavail",
    "cred_expired",
    "cred_err",
    "no_module_data",
    "conv_err",
    "authtok_err",
    "authtok_recover_err",
    "authtok_lock_busy",
    "authtok_disable_aging",
    "try_again",
    "ignore",
    "abort",
    "authtok_expired",
    "module_unknown",
    "bad_item",
    "conv_again",
    "incomplete",
];

/// What libpam does with an answer of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Ignore,
    Ok,
    Done,
    Bad,
    Die,
    Reset,
    Jump(u16),
}

/// A control: a step for every code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Control {
    steps: [Step; CODES.len()],
    /// Written with brackets.
    pub(super) in_brackets: bool,
    /// The brackets name `user_unknown`.
    pub(super) names_user_unknown: bool,
}

/// The end of what a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A module is asked.
    Module {
        control: Control,
        /// The last part of its path.
        file: String,
        words: Vec<String>,
    },
    /// The lines of another file stand here.
    Include { file: String, substack: bool },
    /// Nothing that libpam understands: it refuses.
    Broken,
}

/// One auth line, or one that includes others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// In which line of its file it begins.
    pub(super) number: usize,
    /// The service, in lines of `/etc/pam.conf`.
    pub(super) service: Option<String>,
    pub(super) what: What,
}

/// The auth lines of a file, or `None` if there is no such file.
pub(super) fn read(path: &Path, with_services: bool) -> io::Result<Option<Vec<Line>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(parse(&String::from_utf8_lossy(&bytes), with_services))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names of the files that may be services. Package managers and editors leave others.
pub(super) fn services(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    const LEFT: [&str; 7] = ["~", ".bak", ".orig", ".save", ".swp", ".rpmnew", ".rpmsave"];
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.map(str::to_owned) else {
            continue;
        };
        let left = name.starts_with('.')
            || name.contains(".dpkg-")
            || LEFT.iter().any(|ending| name.ends_with(ending));
        if !left && path.is_file() {
            found.push((name, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The auth lines of a text.
pub(super) fn parse(text: &str, with_services: bool) -> Vec<Line> {
    let mut found = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((first, number)) = lines.next() {
        let mut whole = bare(first).to_owned();
        while let Some(start) = whole.strip_suffix('\\') {
            let Some((next, _)) = lines.next() else { break };
            whole = format!("{start} {}", bare(next));
        }
        found.extend(line(&whole, number, with_services));
    }
    found
}

/// A line without its comment and the blanks at its ends.
fn bare(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim()
}

fn line(text: &str, number: usize, with_services: bool) -> Option<Line> {
    let mut words = Words(text);
    let service = match with_services {
        true => Some(words.next()?.to_ascii_lowercase()),
        false => None,
    };
    let kind = words.next()?;
    let what = if kind.eq_ignore_ascii_case("@include") {
        included(&mut words, false)
    } else if kind
        .strip_prefix('-')
        .unwrap_or(&kind)
        .eq_ignore_ascii_case("auth")
    {
        auth(&mut words)
    } else {
        return None;
    };
    Some(Line {
        number,
        service,
        what,
    })
}

fn auth(words: &mut Words<'_>) -> What {
    let Some(word) = words.next() else {
        return What::Broken;
    };
    let control = match word.to_ascii_lowercase().as_str() {
        "include" => return included(words, false),
        "substack" => return included(words, true),
        keyword => Control::of_keyword(keyword),
    };
    let control = control.unwrap_or_else(|| Control::in_brackets(&word));
    let Some(module) = words.next() else {
        return What::Broken;
    };
    let file = module.rsplit('/').next().unwrap_or_default().to_owned();
    let words = words.collect();
    What::Module {
        control,
        file,
        words,
    }
}

fn included(words: &mut Words<'_>, substack: bool) -> What {
    match words.next() {
        Some(file) => What::Include { file, substack },
        None => What::Broken,
    }
}

/// The words of a line. Brackets keep one together, and are left out.
struct Words<'a>(&'a str);

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let text = self.0.trim_start();
        if text.is_empty() {
            return None;
        }
        let Some(inside) = text.strip_prefix('[') else {
            let end = text.find(char::is_whitespace).unwrap_or(text.len());
            let (word, rest) = text.split_at(end);
            self.0 = rest;
            return Some(word.to_owned());
        };
        let mut word = String::new();
        let mut letters = inside.char_indices().peekable();
        self.0 = "";
        while let Some((at, letter)) = letters.next() {
            match letter {
                ']' => {
                    let rest = inside.get(at..).and_then(|rest| rest.strip_prefix(']'));
                    self.0 = rest.unwrap_or_default();
                    break;
                }
                '\\' if letters.next_if(|(_, next)| *next == ']').is_some() => word.push(']'),
                letter => word.push(letter),
            }
        }
        Some(word)
    }
}

impl Control {
    /// What libpam does with this code.
    pub(super) fn step(&self, code: usize) -> Step {
        self.steps.get(code).copied().unwrap_or(Step::Bad)
    }

    /// Every step, for modules of which nobody knows what they answer.
    pub(super) fn steps(&self) -> Vec<(bool, Step)> {
        let all = self.steps.iter().enumerate();
        let mut all: Vec<_> = all.map(|(code, step)| (code == 0, *step)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Goes on, whatever the answer.
    pub(super) const fn nothing() -> Self {
        Self {
            steps: [Step::Ignore; CODES.len()],
            in_brackets: false,
            names_user_unknown: false,
        }
    }

    fn of_keyword(keyword: &str) -> Option<Self> {
        let (success, ignore, default) = match keyword {
            "required" => (Step::Ok, Step::Ignore, Step::Bad),
            "requisite" => (Step::Ok, Step::Ignore, Step::Die),
            "optional" => (Step::Ok, Step::Ignore, Step::Ignore),
            "sufficient" => (Step::Done, Step::Ignore, Step::Ignore),
            _ => return None,
        };
        let step = |name: &&str| match *name {
            "success" | "new_authtok_reqd" => success,
            "ignore" => ignore,
            _ => default,
        };
        Some(Self {
            steps: CODES.each_ref().map(step),
            in_brackets: false,
            names_user_unknown: false,
        })
    }

    /// `success=ok default=die` and the like. Without `default` all the rest is bad, and
    /// so is everything if a word cannot be read.
    fn in_brackets(text: &str) -> Self {
        let given = pairs(text).unwrap_or_default();
        let named = |code: &str| given.iter().rev().find(|(name, _)| name == code);
        // The first default takes all that is not named: later ones find nothing left.
        let default = given.iter().find(|(name, _)| name == "default");
        let default = default.map_or(Step::Bad, |(_, step)| *step);
        let step = |code: &&str| named(code).map_or(default, |(_, step)| *step);
        Self {
            steps: CODES.each_ref().map(step),
            in_brackets: true,
            names_user_unknown: named("user_unknown").is_some(),
        }
    }
}

/// The pairs of a control in brackets; `None` if one cannot be read.
fn pairs(text: &str) -> Option<Vec<(String, Step)>> {
    let text = text.replace('=', " = ");
    let mut words = text.split_whitespace();
    let mut found = Vec::new();
    while let Some(name) = words.next() {
        if name != "default" && !CODES.contains(&name) || words.next() != Some("=") {
            return None;
        }
        let step = match words.next()? {
            "ignore" => Step::Ignore,
            "ok" => Step::Ok,
            "done" => Step::Done,
            "bad" => Step::Bad,
            "die" => Step::Die,
            "reset" => Step::Reset,
            number => Step::Jump(number.parse().ok().filter(|jump| *jump > 0)?),
        };
        found.push((name.to_owned(), step));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER_UNKNOWN: usize = 10;

    fn modules(text: &str) -> Vec<(usize, String, Step)> {
        let lines = parse(text, false).into_iter();
        lines
            .map(|line| match line.what {
                What::Module { control, file, .. } => {
                    (line.number, file, control.step(USER_UNKNOWN))
                }
                What::Include { file, .. } => (line.number, format!("<{file}>"), Step::Ignore),
                What::Broken => (line.number, "broken".to_owned(), Step::Bad),
            })
            .collect()
    }

    #[test]
    fn a_line_is_found_however_it_is_written() {
        for (text, file, step) in [
            ("auth required pam_a.so", "pam_a.so", Step::Bad),
            ("AUTH\tRequired pam_a.so x=y", "pam_a.so", Step::Bad),
            (
                "-auth requisite /lib/security/pam_a.so",
                "pam_a.so",
                Step::Die,
            ),
            ("  auth sufficient pam_a.so # why", "pam_a.so", Step::Ignore),
            ("auth optional pam_a.so", "pam_a.so", Step::Ignore),
            (
                "auth [success=1 default=ignore] pam_a.so",
                "pam_a.so",
                Step::Ignore,
            ),
            (
                "auth [ success = ok default = die ] pam_a.so",
                "pam_a.so",
                Step::Die,
            ),
            ("auth [success=ok] pam_a.so", "pam_a.so", Step::Bad),
            (
                "auth [default=die user_unknown=ignore] pam_a.so",
                "pam_a.so",
                Step::Ignore,
            ),
            (
                "auth [user_unknown=2 default=die default=bad] pam_a.so",
                "pam_a.so",
                Step::Jump(2),
            ),
            (
                "auth [success=ok defualt=die] pam_a.so",
                "pam_a.so",
                Step::Bad,
            ),
            (
                "auth [success=ok \\\n  default=die]\\\n\tpam_a.so",
                "pam_a.so",
                Step::Die,
            ),
            ("auth [success=done][x] pam_a.so", "x", Step::Bad),
            ("auth include other", "<other>", Step::Ignore),
            ("auth substack /etc/other", "<other>", Step::Ignore),
            ("@include common-auth", "<common-auth>", Step::Ignore),
            ("auth required", "broken", Step::Bad),
        ] {
            let found = modules(&text.replace("/etc/other", "other"));
            assert_eq!(found, [(1, file.to_owned(), step)], "{text}");
        }
        for none in [
            "",
            "# auth required pam_a.so",
            "account required pam_a.so",
            "\\",
        ] {
            assert_eq!(modules(none), [], "{none:?}");
        }
        let text = "# first\n\nauth required \\\n pam_a.so\nauth required pam_b.so\n";
        let numbers: Vec<_> = modules(text).into_iter().map(|line| line.0).collect();
        assert_eq!(numbers, [3, 5]);
    }

    #[test]
    fn the_lines_of_pam_conf_begin_with_their_service() {
        let lines = parse(
            "SSHD auth required pam_a.so\nsshd account required pam_a.so\n",
            true,
        );
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].service.as_deref(), Some("sshd"));
    }

    #[test]
    fn what_package_managers_and_editors_leave_is_no_service() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "sshd",
            "sshd.dpkg-old",
            "su~",
            ".su.swp",
            "su.rpmsave",
            "su-l",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let names = services(folder.path()).unwrap().into_iter();
        assert_eq!(
            names.map(|(name, _)| name).collect::<Vec<_>>(),
            ["sshd", "su-l"]
        );
        assert!(services(&folder.path().join("none")).unwrap().is_empty());
    }
}
