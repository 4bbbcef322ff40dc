//! Servers that are given by their names, and a name server that does not answer.

use std::time::{Duration, Instant};

use e2e::artefacts::workspace;
use e2e::peer::SECRET;
use e2e::scene::{self, LOCAL_PASSWORD, PASSWORD, STACK};
use e2e::stage::{Builder, Stage};
use e2e::{Result, Script, Step};

const BY_NAME: &str = "aaa1.example.net:49";
const SERVER: &str = "127.0.0.1:49";

const NAME_SERVER: &str = "192.0.2.53";

/// As patient as a resolver may be told to be: minutes for a name.
const RESOLV_CONF: &str = "nameserver 192.0.2.53\noptions timeout:30 attempts:5\n";

const HOSTS: &str = "127.0.0.1 localhost aaa1.example.net\n";

fn host(servers: &[&str], global: &str) -> Builder {
    scene::host(servers, global).file("/etc/nsswitch.conf", 0o644, "hosts: files dns\n")
}

/// A host whose name server keeps silent.
fn without_names(servers: &[&str], global: &str) -> Result<Stage> {
    let stage = host(servers, global)
        .file("/etc/resolv.conf", 0o644, RESOLV_CONF)
        .address(NAME_SERVER.parse()?)
        .start()?;
    stage.blackhole(NAME_SERVER.parse()?)?;
    Ok(stage)
}

#[test]
fn a_dead_name_server_holds_no_login_beyond_the_deadline() -> Result {
    let servers = [BY_NAME, "aaa2.example.net:49"];
    let stage = without_names(&servers, "timeout = 3\ndeadline = 5\nunreachable = ignore")?;

    for (login, limit) in [("first", 20), ("second, while they are held down,", 9)] {
        let begun = Instant::now();
        let ssh = stage.ssh("alice").password(LOCAL_PASSWORD, "whoami")?;
        let took = begun.elapsed();
        assert_eq!(ssh.stdout, "alice\n", "{ssh}{}", stage.logs());
        let limit = Duration::from_secs(limit);
        assert!(took < limit, "the {login} took {took:?}\n{}", stage.logs());
    }
    stage.wait_for_log("its name cannot be resolved: no answer in time")?;
    let left = stage.processes();
    assert!(!left.iter().any(|(_, name)| name == "getent"), "{left:?}");
    Ok(())
}

#[test]
fn a_dead_name_server_holds_the_command_line_no_longer_than_its_limit() -> Result {
    let stage = without_names(&[BY_NAME], "")?;
    let line = format!(
        "TACACS_PLUS_PWD={PASSWORD} timeout 60 tacacs_client --timeout 2 -u alice authenticate"
    );
    let client = stage.sh(&line)?;
    assert_eq!(client.code, 3, "unreachable, and not killed: {client}");
    let reason = "its name cannot be resolved: no answer in time";
    assert!(client.stderr.contains(reason), "{client}");
    Ok(())
}

#[test]
fn a_dead_name_server_leaves_the_servers_that_are_given_by_address() -> Result {
    let stage = without_names(&[BY_NAME, SERVER], "timeout = 2")?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;

    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;

    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    assert_eq!(peer.seen("start")?.len(), 1);
    Ok(())
}

#[test]
fn a_server_is_reached_by_its_name_in_every_way_of_logging_in() -> Result {
    let stage = host(&[BY_NAME], "")
        .file(
            "/etc/hosts",
            0o644,
            "127.0.0.1 localhost aaa1.example.net\n",
        )
        .start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;

    let by_password = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!(
        by_password.stdout,
        "alice\n",
        "{by_password}{}",
        stage.logs()
    );
    let dialog = stage.ssh("alice").keyboard_interactive("whoami");
    let dialog = dialog.answer("Password: ", PASSWORD).run()?;
    assert_eq!(dialog.stdout, "alice\n", "{dialog}{}", stage.logs());
    let by_key = stage.ssh("alice").public_key("whoami")?;
    assert_eq!(by_key.stdout, "alice\n", "{by_key}{}", stage.logs());

    assert_eq!(peer.wait_for("acct", 6)?.len(), 6, "START and STOP of each");
    Ok(())
}

#[test]
fn a_name_is_resolved_where_there_is_no_getent() -> Result {
    let stage = host(&[BY_NAME], "")
        .file(
            "/etc/hosts",
            0o644,
            "127.0.0.1 localhost aaa1.example.net\n",
        )
        .start()?;
    stage.sh("rm /usr/bin/getent")?.success()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;

    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;

    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    assert_eq!(peer.seen("start")?.len(), 1);
    Ok(())
}

#[test]
fn a_setuid_program_starts_no_process_that_its_caller_could_kill() -> Result {
    let stage = host(&[BY_NAME], "")
        .file("/etc/hosts", 0o644, HOSTS)
        .file(
            "/usr/bin/getent",
            0o755,
            "#!/bin/sh\ntouch /run/asked\nexit 9\n",
        )
        .pam("su", STACK)
        .start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;

    let su = stage.dialog(&["su", "-", "bob", "-c", "whoami"]);
    let su = su.as_user("alice").answer("Password:", PASSWORD).run()?;
    assert_eq!(su.stdout, "bob\n", "{su}{}", stage.logs());
    assert!(!stage.path("/run/asked").exists());

    // One that is root's from its start does, and is none the worse for what it does there.
    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    assert!(stage.path("/run/asked").exists());
    assert_eq!(peer.seen("start")?.len(), 2);
    Ok(())
}

#[test]
fn a_program_that_ignores_the_end_of_its_children_logs_in_as_others_do() -> Result {
    let stage = host(&[BY_NAME], "")
        .file("/etc/hosts", 0o644, HOSTS)
        .start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;

    let line = "trap '' CHLD; exec pamtester sshd alice authenticate acct_mgmt";
    let tester = stage.dialog(&["sh", "-c", line]);
    let tester = tester.answer("Password: ", PASSWORD).run()?;

    assert_eq!(tester.code, 0, "{tester}{}", stage.logs());
    assert_eq!(peer.seen("author")?.len(), 1);
    Ok(())
}

#[test]
fn who_locks_itself_into_a_users_folder_runs_no_program_of_that_users() -> Result {
    let line = format!("session required pam_tacplus.so server={BY_NAME} secret={SECRET}\n");
    let stage = host(&[], "")
        .file("/etc/hosts", 0o644, HOSTS)
        .pam("ftp", &line)
        .start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;
    let source = workspace().join("tests/src/chroot_host.c");
    let lines = format!(
        "rm /etc/tacplus.conf
         gcc -Wall -Wextra -Werror -o /usr/bin/chroot_host {} -lpam
         cd /home/carol; mkdir -p usr/bin etc dev; : >etc/passwd; : >dev/null
         printf 'int creat(const char *, int); int main() {{ creat(\"/ran\", 0600); }}' >ran.c
         gcc -static -o usr/bin/getent ran.c; chown -R carol: .",
        source.display()
    );
    stage.sh(&lines)?.success()?;

    let closed = stage.run("chroot_host", &["ftp", "dave", "/home/carol"])?;

    assert!(
        closed.stdout.starts_with("closed: "),
        "{closed}{}",
        stage.logs()
    );
    assert_eq!(peer.seen("acct")?.len(), 1, "START: {}", stage.logs());
    assert!(!stage.path("/home/carol/ran").exists(), "{}", stage.logs());
    Ok(())
}

#[test]
fn a_host_that_has_closed_its_standard_descriptors_logs_in_as_others_do() -> Result {
    // Nobody else knows the name.
    let getent = "#!/bin/sh\necho 127.0.0.1 STREAM\n";
    let stage = host(&[BY_NAME], "")
        .file("/usr/bin/getent", 0o755, getent)
        .start()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;
    for closed in ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        let login = stage.sh(&format!("exec pamtester sshd alice acct_mgmt {closed}"))?;
        assert_eq!(login.code, 0, "{closed}: {login}{}", stage.logs());
    }
    assert_eq!(peer.seen("author")?.len(), 6, "{}", stage.logs());
    Ok(())
}
