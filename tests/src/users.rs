//! Users that are not in `/etc/passwd`: the scene of the NSS module.

use tacacs_common::identity::{self, Entry, Refusal, State, StoreError, Writer};

use crate::artefacts::workspace;
use crate::stage::{Builder, NSSWITCH, SSHD_STACK, Stage};
use crate::{Failure, Result, scene};

/// The uid that `unique` gives to this name with the default `uid_range`.
#[must_use]
pub fn uid(name: &str) -> u32 {
    identity::map::hashed_uid(name, &tacacs_common::config::Mapping::default().uid_range)
}

/// `/etc/tacplus.conf` with these servers in order, these lines in `[global]` and these
/// in `[mapping]`.
#[must_use]
pub fn conf(servers: &[&str], global: &str, mapping: &str) -> String {
    scene::conf(servers, global).replace("mode = local\n", &format!("{mapping}\n"))
}

/// The recommended stack for `sshd`, with a home folder of one's own on the first login.
#[must_use]
pub fn stack() -> String {
    format!("{SSHD_STACK}session  required  pam_mkhomedir.so umask=0077\n")
}

/// A host with the NSS module and a real `sshd`. bob, and nobody else, is local.
#[must_use]
pub fn host(servers: &[&str], global: &str, mapping: &str) -> Builder {
    Stage::builder()
        .nss()
        .user_with_password("bob", 2002, scene::LOCAL_PASSWORD)
        .pam("sshd", &stack())
        .tacplus_conf(&conf(servers, global, mapping))
}

/// What a login at this level leaves in the store in mode `unique`.
#[must_use]
pub fn entry(name: &str, level: u8, groups: &[u32]) -> Entry {
    Entry {
        name: name.to_owned(),
        uid: uid(name),
        gid: uid(name),
        gecos: String::new(),
        home: format!("/home/{name}"),
        shell: "/bin/bash".to_owned(),
        groups: groups.to_vec(),
        level,
        learned: 1_700_000_000,
        changed: 0,
        state: State::Active,
    }
}

/// Puts entries into the store of a stage.
pub fn store(stage: &Stage, entries: &[Entry]) -> Result {
    let writer = Writer::open(&stage.path(identity::PATH))?;
    let put = writer.change(|book| -> std::result::Result<(), Unstored> {
        entries
            .iter()
            .try_for_each(|entry| Ok(book.put(entry.clone())?))
    });
    put.map_err(|Unstored(why)| why)
}

/// The program of [`put_nss_host`].
pub const NSS_HOST: &str = "/usr/bin/nss_host";

/// Puts a program on a stage that calls the NSS module as glibc does.
pub fn put_nss_host(stage: &Stage) -> Result {
    let source = workspace().join("tests/src");
    let compile = format!(
        "gcc -Wall -Wextra -Werror -O2 -pthread -o {NSS_HOST} {}/nss_host*.c",
        source.display()
    );
    stage.sh(&compile)?.success()
}

/// Puts a second name service on a stage, behind ours: see `nss_other.c`.
pub fn put_other_service(stage: &Stage) -> Result {
    let source = workspace().join("tests/src/nss_other.c");
    let compile = format!(
        "gcc -Wall -Wextra -Werror -shared -fPIC -o /lib/x86_64-linux-gnu/libnss_other.so.2 {}",
        source.display()
    );
    stage.sh(&compile)?.success()?;
    let nsswitch = NSSWITCH.replace("tacplus", "tacplus other");
    stage.write("/etc/nsswitch.conf", 0o644, &nsswitch)
}

struct Unstored(Failure);

impl From<StoreError> for Unstored {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}

impl From<Refusal> for Unstored {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.into())
    }
}
