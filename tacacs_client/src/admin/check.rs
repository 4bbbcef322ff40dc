//! `tacplus check`: is the configuration right, and what does it say.

use std::ffi::CStr;
use std::io;
use std::path::Path;

use tacacs_common::config::{Config, Error, Mapping, Mode};
use tacacs_common::escape;
use tacacs_common::hostfile;
use tacacs_common::identity::map::{self, Unmapped};
use tacacs_common::identity::name::is_shared_account;
use tacacs_common::identity::{self, State, Store};

use super::elsewhere::PASSWD;
use super::pam::{self, Weight};
use super::{NAME, outage};
use crate::exit::{Exit, Failure};
use crate::{output, sys};

const NSSWITCH: &str = "/etc/nsswitch.conf";

/// What has to be asked of the module: without the second the groups of a level are
/// never asked for.
const DATABASES: [&str; 2] = ["passwd", "group"];

/// What is wrong with a PAM line, and not only worth knowing.
const FAULTS: [Weight; 2] = [Weight::LocksOut, Weight::LetsIn];

/// As the C library makes it of `tacplus`.
const MODULE: &CStr = c"libnss_tacplus.so.2";

/// Prints the configuration, or everything that is wrong with it and the PAM lines below
/// this root folder.
pub(super) fn run(path: &Path, root: &Path) -> Result<Exit, Failure> {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            check_pam_lines(root, &FAULTS);
            list(&error);
            return Ok(Exit::Usage);
        }
    };
    // What is wrong comes last: a terminal shows the end.
    output::result(config.show());
    for warning in &config.warnings {
        output::tell(NAME, format_args!("warning: {warning}"));
    }
    warn_of_what_is_not_there_yet(&config);
    warn_of_the_host(&config);
    for warning in outage::warnings(&config, &outage::Host::here()) {
        output::tell(NAME, format_args!("warning: {warning}"));
    }
    let all_right = [check_pam_lines(root, &FAULTS), check_secrets(&config)];
    Ok(exit(all_right == [true, true]))
}

/// Whether this version can be put in the place of an earlier one: everything else about
/// the PAM lines is as it was before.
pub(super) fn before_install(root: &Path) -> Exit {
    exit(check_pam_lines(root, &[Weight::LocksOut]))
}

const fn exit(all_right: bool) -> Exit {
    if all_right { Exit::Pass } else { Exit::Usage }
}

/// Whether no PAM line has one of these faults. Everything else is a warning.
fn check_pam_lines(root: &Path, faults: &[Weight]) -> bool {
    let (wrong, told): (Vec<_>, Vec<_>) = pam::findings(root)
        .into_iter()
        .partition(|finding| faults.contains(&finding.weight));
    for finding in told {
        output::tell(NAME, format_args!("warning: {}", finding.text));
    }
    for finding in &wrong {
        output::tell(NAME, &finding.text);
    }
    wrong.is_empty()
}

/// What a file may say already and no program here does yet: it loads, and the
/// first login would show that nothing came of it.
fn warn_of_what_is_not_there_yet(config: &Config) {
    for server in config.servers.iter().filter(|server| server.tls.is_some()) {
        let name = &server.name;
        output::tell(
            NAME,
            format_args!("warning: server '{name}' is not asked: TLS is not there yet"),
        );
    }
}

/// What the modes without local accounts need of the host, beside the configuration.
fn warn_of_the_host(config: &Config) {
    if config.mapping.mode == Mode::Local {
        return;
    }
    let text = std::fs::read_to_string(NSSWITCH).unwrap_or_else(|error| {
        output::tell(NAME, format_args!("warning: {NSSWITCH}: {error}"));
        String::new()
    });
    for database in unasked(&text) {
        output::tell(
            NAME,
            format_args!(
                "warning: {NSSWITCH}: lookups do not reach TACACS+ users: add 'tacplus' to the end of the line '{database}:'"
            ),
        );
    }
    if unasked(&text).len() < DATABASES.len()
        && let Err(why) = sys::load(MODULE)
    {
        output::tell(
            NAME,
            format_args!(
                "warning: {NSSWITCH} names 'tacplus', but lookups cannot load its module: {}; install it where the linker looks for libraries (ldconfig -p shows where)",
                escape::line(why.as_bytes())
            ),
        );
    }
    let accounts = listed(Path::new(PASSWD), &config.mapping).unwrap_or_else(|error| {
        output::tell(NAME, format_args!("warning: {PASSWD}: {error}"));
        Vec::new()
    });
    for account in accounts {
        output::tell(
            NAME,
            format_args!(
                "warning: {PASSWD} lists '{account}', which with mode = shared is an account of the identity store: lookups would mix the two up; rename or remove it, or choose another user_prefix"
            ),
        );
    }
    let differ = Store::open(Path::new(identity::PATH))
        .map_err(Unmapped::Store)
        .and_then(|store| differing(&config.mapping, &store));
    match differ {
        Ok(warnings) => warnings
            .iter()
            .for_each(|text| output::tell(NAME, format_args!("warning: {text}"))),
        Err(why) => output::tell(NAME, format_args!("warning: {why}")),
    }
}

/// Who is stored with another uid than the key gives: made before there was one, or chosen
/// by an administrator.
fn differing(mapping: &Mapping, store: &Store) -> Result<Vec<String>, Unmapped> {
    let (mut warnings, mut failure) = (Vec::new(), None);
    if mapping.uid_key_file.is_none() {
        return Ok(warnings);
    }
    // Of those in mode shared the accounts have uids of their own.
    let shared = mapping.mode == Mode::Shared;
    store.each(&mut |entry| {
        if !entry.is_known() || shared != (entry.state == State::Shared) {
            return true;
        }
        match map::given_uid(mapping, &entry.name) {
            Ok(uid) if uid == entry.uid => {}
            Ok(uid) => warnings.push(format!(
                "'{}' keeps uid {}, where uid_key_file gives {uid}",
                entry.name, entry.uid
            )),
            Err(why) => failure = Some(why),
        }
        failure.is_none()
    })?;
    failure.map_or(Ok(warnings), Err)
}

/// The shared accounts of this mapping that /etc/passwd has lines for.
fn listed(passwd: &Path, mapping: &Mapping) -> io::Result<Vec<String>> {
    let mut accounts = Vec::new();
    if mapping.mode == Mode::Shared {
        hostfile::lines(passwd, &mut |line| {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            let name = str::from_utf8(name).unwrap_or_default();
            if is_shared_account(name, &mapping.user_prefix) {
                accounts.push(name.to_owned());
            }
            true
        })?;
    }
    Ok(accounts)
}

/// The databases of nsswitch.conf that the module is not named in, and has to be.
fn unasked(nsswitch: &str) -> Vec<&'static str> {
    let asks = |database: &str| {
        let mut lines = nsswitch.lines().map(str::trim_start);
        lines.any(|line| {
            let services = line.strip_prefix(database).map(str::trim_start);
            let services = services.and_then(|rest| rest.strip_prefix(':'));
            let services = services.and_then(|rest| rest.split('#').next());
            services.is_some_and(|list| list.split_whitespace().any(|word| word == "tacplus"))
        })
    };
    let mut databases = DATABASES.to_vec();
    databases.retain(|database| !asks(database));
    databases
}

/// Secret files are opened at login only; here is where a wrong one is found in time.
fn check_secrets(config: &Config) -> bool {
    let mut all_right = true;
    if !rustix::process::geteuid().is_root() {
        output::tell(
            NAME,
            "warning: secret files are not checked, which takes root",
        );
        return all_right;
    }
    for server in &config.servers {
        if let Err(error) = server.secret() {
            all_right = false;
            list(&error);
        }
    }
    all_right
}

fn list(error: &Error) {
    for problem in error.problems() {
        output::tell(NAME, problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_accounts_are_not_for_etc_passwd() {
        let passwd =
            b"root:x:0:0:\ntacacs15:x:1015:1015:\n\xff:x:1:\ntacacs16:x:1:1:\ntacacs0:x:1:\n";
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), passwd).unwrap();
        let mut mapping = Mapping::default();
        assert!(listed(file.path(), &mapping).unwrap().is_empty());
        mapping.mode = Mode::Shared;
        let accounts = listed(file.path(), &mapping).unwrap();
        assert_eq!(accounts, ["tacacs15", "tacacs0"]);
    }

    #[test]
    fn lookups_have_to_reach_the_module_for_users_and_for_groups() {
        for (text, missing) in [
            ("", &["passwd", "group"][..]),
            ("passwd: files tacplus\ngroup: files tacplus\n", &[]),
            ("passwd:files tacplus\n group :\ttacplus files # why\n", &[]),
            ("passwd: files tacplus\ngroup: files\n", &["group"]),
            (
                "passwd: files # tacplus\ngroup: tacplus2\n",
                &["passwd", "group"],
            ),
            (
                "#passwd: tacplus\npasswd_compat: tacplus\ngroup: tacplus",
                &["passwd"],
            ),
        ] {
            assert_eq!(unasked(text), missing, "{text:?}");
        }
    }
}
