//! `tacplus check` and `tacplus identity add` on a host that is not as it should be.

use e2e::scene::PASSWORD;
use e2e::users::{self, entry, uid};
use e2e::{Result, Script, Stage, Step};
use tacacs_common::identity;

const SERVER: &str = "127.0.0.1:49";

fn host(mapping: &str) -> Result<Stage> {
    users::host(&[SERVER], "", mapping).start()
}

/// The warnings of `tacplus check`, whose exit code says that the file is right.
fn warnings(stage: &Stage) -> Result<String> {
    let check = stage.run("tacplus", &["check"])?;
    check.success()?;
    Ok(check.stderr)
}

#[test]
fn a_module_that_is_named_and_cannot_be_loaded_is_found_by_the_check() -> Result {
    let stage = host("mode = unique")?;
    assert!(!warnings(&stage)?.contains("libnss_tacplus"), "all is well");
    let module = e2e::stage::NSS_MODULE;
    for (spoil, why) in [
        (format!("umount {module} && : >{module}"), "file too short"),
        (format!("rm {module}"), "No such file"),
    ] {
        stage.sh(&spoil)?.success()?;
        let told = warnings(&stage)?;
        let expected = "names 'tacplus', but lookups cannot load its module";
        assert!(told.contains(expected) && told.contains(why), "{told}");
    }
    // Where nothing names it nobody misses it: the missing lines are the matter then.
    let files = "passwd: files\ngroup: files\n";
    stage.write("/etc/nsswitch.conf", 0o644, files)?;
    let told = warnings(&stage)?;
    assert!(!told.contains("cannot load"), "{told}");
    assert_eq!(told.matches("add 'tacplus'").count(), 2, "{told}");
    Ok(())
}

#[test]
fn a_number_that_the_host_has_given_away_is_nobodys_on_the_servers() -> Result {
    let local = "echo eve:x:2010000015:100::/:/bin/sh >>/etc/passwd; \
                 echo staff2:x:2010000016: >>/etc/group";
    for (mapping, name) in [("mode = unique", "alice"), ("mode = shared", "tacacs15")] {
        let stage = host(mapping)?;
        let permit = Step::permit(&["priv-lvl=15"]);
        let _peer = stage.peer(SERVER, &Script::authen([]).author([permit]))?;
        stage.sh(local)?.success()?;
        for (uid, owner) in [("2010000015", "'eve'"), ("2010000016", "'group staff2'")] {
            let words = ["identity", "add", name, "--uid", uid];
            let add = stage.run("tacplus", &words)?;
            assert_eq!(add.code, 1, "{mapping}: {add}");
            assert!(add.stderr.contains(owner), "{mapping}: {add}");
        }
        let free = ["identity", "add", name, "--uid", "2010000017"];
        stage.run("tacplus", &free)?.success()?;
    }
    Ok(())
}

#[test]
fn what_another_name_service_knows_is_nobodys_on_the_servers() -> Result {
    for mapping in ["mode = unique", "mode = shared"] {
        let stage = host(mapping)?;
        let permit = Step::permit(&["priv-lvl=15"]);
        let _peer = stage.peer(SERVER, &Script::authen([]).author([permit]))?;
        users::put_other_service(&stage)?;
        // In mode shared an account has the number, and the user that of the account.
        let name = if mapping == "mode = shared" {
            "tacacs15"
        } else {
            "alice"
        };
        for (words, why) in [
            (&["dora"][..], "with uid 5000"),
            (&[name, "--uid", "2010000020"], "is that of 'dora'"),
            (&[name, "--uid", "2010000021"], "is that of 'group elves'"),
        ] {
            let add = stage.run("tacplus", &[&["identity", "add"], words].concat())?;
            assert_eq!(add.code, 1, "{mapping} {words:?}: {add}");
            assert!(add.stderr.contains(why), "{mapping}: {add}");
        }
        assert_eq!(stage.read(identity::PATH), "", "{mapping}");
        // What lookups find of our own is no obstacle, also the second time.
        for words in [&[name, "--uid", "2010000022"][..], &["alice"], &["alice"]] {
            let add = stage.run("tacplus", &[&["identity", "add"], words].concat())?;
            assert_eq!(add.code, 0, "{mapping} {words:?}: {add}");
        }
    }
    Ok(())
}

#[test]
fn with_a_key_names_give_uids_that_nobody_can_choose_and_stored_users_keep_theirs() -> Result {
    let stage = host("mode = unique\nuid_key_file = /etc/tacplus/uid.key")?;
    let permit = Step::permit(&["priv-lvl=15"]);
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]).author([permit]))?;
    users::store(&stage, &[entry("alice", 15, &[])])?;
    // Without the key, and with one that others can read, nobody new is let in.
    let add = stage.run("tacplus", &["identity", "add", "carol"])?;
    assert_eq!(add.code, 2, "{add}");
    assert!(add.stderr.contains("uid_key_file"), "{add}");
    assert_eq!(stage.sh("getent passwd carol")?.code, 2);
    let key = "00112233445566778899aabbccddeeff";
    stage.write("/etc/tacplus/uid.key", 0o644, key)?;
    let login = stage.ssh("carol").password(PASSWORD, "id -u")?;
    assert_eq!(login.stdout, "", "{login}");
    assert!(warnings(&stage)?.contains("too many can use this uid_key_file"));
    stage.sh("chmod 600 /etc/tacplus/uid.key")?.success()?;

    // A lookup, a login and the command are of one mind, and it is not the one without.
    let login = stage.ssh("carol").password(PASSWORD, "id -u")?;
    let carol = login.stdout.trim();
    assert!(
        !carol.is_empty() && carol != uid("carol").to_string(),
        "{login}{}",
        stage.logs()
    );
    let found = stage.sh("getent passwd carol | cut -d: -f3")?;
    assert_eq!(found.stdout, login.stdout);
    let shown = stage.run("tacplus", &["identity", "add", "carol"])?;
    assert!(shown.stdout.contains(carol), "{shown}");
    let login = stage.ssh("alice").password(PASSWORD, "id -u")?;
    assert_eq!(login.stdout, format!("{}\n", uid("alice")), "{login}");
    let told = warnings(&stage)?;
    let alice = format!("'alice' keeps uid {}, where", uid("alice"));
    assert!(told.contains(&alice) && !told.contains("'carol'"), "{told}");
    drop(peer);
    Ok(())
}

#[test]
fn an_account_that_users_share_is_not_one_of_the_hosts() -> Result {
    let stage = host("mode = shared")?;
    let line = "echo tacacs15:x:1015:1015::/:/bin/sh >>/etc/passwd";
    stage.sh(line)?.success()?;
    let told = warnings(&stage)?;
    assert!(told.contains("/etc/passwd lists 'tacacs15'"), "{told}");
    let add = stage.run("tacplus", &["identity", "add", "tacacs15"])?;
    assert_eq!(add.code, 1, "{add}");
    assert!(add.stderr.contains("is a local user"), "{add}");
    Ok(())
}
