//! What makes a server seem dead without any special rights.

use crate::artefacts::OWN;
use crate::{Daemon, Result, Stage};

/// An option for `ssh`: without a connection of its own, which would need a port.
pub const INETD: &str = "ProxyCommand=/usr/sbin/sshd -i -f /etc/ssh/stage_sshd_config";

/// An unprivileged user takes every local port, `tcp` or `udp`: there are few, so that it takes
/// no time.
pub fn without_ports(stage: &Stage, kind: &str) -> Result<Daemon> {
    let range = "echo 40000 40015 >/proc/sys/net/ipv4/ip_local_port_range";
    stage.sh(range)?.success()?;
    let hog = format!("{OWN}/hog");
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let hog = stage.spawn("hog", "setpriv", &[&nobody[..], &[&hog, kind]].concat())?;
    stage.wait_for_line("/var/log/hog.out", "held ")?;
    Ok(hog)
}

/// `ssh` clients that let the prompt wait, each at a server of its own process.
pub fn waiting_at_the_prompt(stage: &Stage, count: usize) -> Result<Vec<Daemon>> {
    stage.write("/run/e2e/wait", 0o755, "#!/bin/sh\nexec sleep 300\n")?;
    let environment = ["SSH_ASKPASS=/run/e2e/wait", "SSH_ASKPASS_REQUIRE=force"];
    let options = [
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "PreferredAuthentications=keyboard-interactive",
        "NumberOfPasswordPrompts=1",
        INETD,
    ];
    let options = options.iter().flat_map(|option| ["-o", option]);
    let words: Vec<&str> = environment
        .into_iter()
        .chain(["ssh", "-F", "none"])
        .chain(options)
        .chain(["carol@stage"])
        .collect();
    let start = |number| stage.spawn(&format!("ssh-{number}"), "env", &words);
    (0..count).map(start).collect()
}

/// Waits until this many logins found no slot for a dialogue.
pub fn wait_for_refused_dialogues(stage: &Stage, count: usize) -> Result {
    let full = "grep -c 'as many dialogues wait there' /var/log/syslog";
    crate::wait::until(&format!("{count} logins without a slot"), || {
        let refused = stage.sh(full).ok()?;
        (refused.stdout.trim() == count.to_string()).then_some(())
    })
    .map_err(|error| stage.failure(error))
}
