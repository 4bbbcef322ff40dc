//! The usual scene: local users, the recommended `sshd` stack, servers to ask.

use crate::stage::{Builder, SSHD_STACK, Stage};
use crate::{Seen, peer};

/// What alice and bob have in `/etc/shadow`, and no server knows.
pub const LOCAL_PASSWORD: &str = "only-in-shadow";

/// What the peers' users type for the servers, and is not in `/etc/shadow`.
pub const PASSWORD: &str = "only-on-servers";

/// A one-time code.
pub const CODE: &str = "code-of-this-minute-314159";

/// The policy under which an outage lets local passwords count: what is shown not to be one
/// is shown with it.
pub const IGNORE: &str = "unreachable = ignore";

/// A stack for `su`, `sudo` and `passwd`: as the one of `sshd`, without a loginuid.
pub const STACK: &str = "\
auth     [success=done user_unknown=ignore authinfo_unavail=ignore service_err=ignore ignore=ignore default=die] pam_tacplus.so nodelay
auth     required  pam_unix.so try_first_pass nodelay
account  [success=ok ignore=ignore default=die] pam_tacplus.so
account  required  pam_unix.so
session  required  pam_tacplus.so
session  required  pam_permit.so
password required  pam_tacplus.so
";

/// `/etc/tacplus.conf` for users that exist locally: these servers in order, all
/// with the peers' secret, and these lines in `[global]`, at the highest debug level.
#[must_use]
pub fn conf(servers: &[&str], global: &str) -> String {
    let mut text = format!("[global]\n{global}\ndebug = yes\n[mapping]\nmode = local\n");
    for (number, address) in (1..).zip(servers) {
        let secret = peer::SECRET;
        text += &format!("[server s{number}]\naddress = {address}\nsecret = {secret}\n");
    }
    text
}

/// `tac_plus.conf` with the peers' secret: alice may log in with [`PASSWORD`],
/// carol too but may do nothing.
#[must_use]
pub fn server_conf() -> String {
    format!(
        "key = {secret}
accounting file = /var/log/tac_plus.acct
user = alice {{
    global = cleartext {PASSWORD}
    service = exec {{ priv-lvl = 15 }}
    cmd = show {{ permit version }}
}}
user = carol {{ global = cleartext {PASSWORD} }}
",
        secret = peer::SECRET
    )
}

/// alice and bob with a local password, carol without, a real `sshd` and these
/// servers.
#[must_use]
pub fn host(servers: &[&str], global: &str) -> Builder {
    Stage::builder()
        .user_with_password("alice", 2001, LOCAL_PASSWORD)
        .user_with_password("bob", 2002, LOCAL_PASSWORD)
        .user("carol", 2003)
        .pam("sshd", SSHD_STACK)
        .tacplus_conf(&conf(servers, global))
}

/// The records of one kind among what a peer saw of accounting.
#[must_use]
pub fn records(seen: &[Seen], action: &str) -> Vec<Seen> {
    seen.iter()
        .filter(|seen| seen.action == action)
        .cloned()
        .collect()
}
