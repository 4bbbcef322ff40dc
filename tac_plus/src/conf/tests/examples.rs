//! Every example of the manual page: it loads, and says here what it says there.

use super::*;

/// An example, and lines of its normalised form.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("accounting syslog;", &["accounting syslog"]),
    (
        "accounting file = /var/log/tac_plus.acct",
        &["accounting file = \"/var/log/tac_plus.acct\""],
    ),
    (
        r"acl = loopbacks {
            # not from the last network of these
            deny = ^66\.1\.255\.
            permit = ^66\.1\.
        }",
        &[
            r#"    deny = "^66\\.1\\.255\\.""#,
            r#"    permit = "^66\\.1\\.""#,
        ],
    ),
    (
        "default authentication = file /etc/passwd",
        &["default authentication = file \"/etc/passwd\""],
    ),
    (
        "group = inner { member = outer } group = outer { default service = permit } user = a { member = inner }",
        &["    member = \"outer\"", "    member = \"inner\""],
    ),
    (
        r#"host = 192.168.1.1 { key = "your key here" prompt = "Who? " enable = des mEX027bHtzTlQ
        }"#,
        &[
            "host = 192.168.1.1 {",
            "    key = ***",
            "    prompt = \"Who? \"",
            "    enable = des ***",
        ],
    ),
    ("logging = local6", &["logging = local6"]),
    (
        "user = a { cmd = show {
            permit diag
            deny
        } }",
        &["        permit \"diag\"", "        deny \"\""],
    ),
    (
        "user = a { expires \"May 23 2005\" }",
        &["    expires = 2005-05-23"],
    ),
    (
        r#"user = bart {
            arap = cleartext "arap password"
            chap = cleartext "chap password"
            enable = cleartext "enable password"
            pap = cleartext "inbound pap password"
            opap = cleartext "outbound pap password"
            login = des mEX027bHtzTlQ
            global = cleartext "outbound pap password"
        }
        user = lisa { pap = des mEX027bHtzTlQ login = PAM }
        user = maggie { pap = file /etc/pap.passwd login = nopassword }
        user = hugo { pap = PAM login = file /etc/passwd }"#,
        &[
            "    chap = cleartext ***",
            "    enable = cleartext ***",
            "    pap = des ***",
            "    pap = file \"/etc/pap.passwd\"",
            "    pap = PAM",
            "    login = PAM",
            "    login = nopassword",
            "    global = cleartext ***",
        ],
    ),
    (
        r"user=fred {
            cmd = telnet {
                # two networks
                permit 131\.108\.13\.[0-9]+
                permit 128\.[0-9]+\.12\.3
            }
            cmd = show {
                # everything
                permit .*
            }
        }",
        &[
            r#"        permit "131\\.108\\.13\\.[0-9]+""#,
            r#"        permit "128\\.[0-9]+\\.12\\.3""#,
            "        permit \".*\"",
        ],
    ),
    (
        r#"user = auth1 { before authorization "/path/pre_authorize $user $port $address" }
        group = auth1 { after authorization "/path/post_authorize $user $port $status" }"#,
        &[
            "    before authorization = \"/path/pre_authorize $user $port $address\"",
            "    after authorization = \"/path/post_authorize $user $port $status\"",
        ],
    ),
    (
        "user = a { service = exec { priv_lvl = 15 optional allow-shell = true } }",
        &[
            "        \"priv_lvl\" = \"15\"",
            "        optional \"allow-shell\" = \"true\"",
        ],
    ),
    (
        "user = jim {
            login = cleartext lab
            service = raccess {
                port#1 = clientname1/tty2
                port#2 = clientname2/tty5
            }
        }",
        &[
            "    service = \"raccess\" {",
            "        \"port#1\" = \"clientname1/tty2\"",
        ],
    ),
    (
        r#"user = lists {
            service = ppp protocol = ip {
                inacl#1="permit ip any any precedence immediate"
                inacl#2="deny igrp 0.0.1.2 255.255.0.0 any"
                outacl#1="permit ip any any precedence immediate"
                outacl#2="deny igrp 0.0.9.10 255.255.0.0 any"
                route="3.0.0.0 255.0.0.0 1.2.3.4"
                route#1="3.0.0.0 255.0.0.0 1.2.3.4"
                route#2="4.0.0.0 255.0.0.0"
            }
            service = ppp protocol = ipx {
                route#1="4C000000 ff000000 30.12.3.4"
                sap#1="4 CE1-LAB 1234.0000.0000.0001 451 4"
                sap-fltr-in#1="deny 6C01.0000.0000.0001"
                sap-fltr-in#2="permit -1"
                sap-fltr-out#1="deny 6C01.0000.0000.0001"
            }
            service=ppp protocol=multilink {
                load-threshold=7
                max-links=2
            }
        }"#,
        &[
            "    service = ppp protocol = \"ip\" {",
            "        \"inacl#1\" = \"permit ip any any precedence immediate\"",
            "        \"sap-fltr-in#2\" = \"permit -1\"",
            "        \"max-links\" = \"2\"",
        ],
    ),
];

/// The page's last example, a whole file.
const WHOLE: &str = r#"
key = "your key here"
accounting file = /var/log/tac.acct

# for whoever is not below
default authentication = file /etc/passwd

acl = dial_only {
        # all of 192.168, and of 192.168.0 the first only
        permit = ^192\.168\.0\.1$
        deny = ^192\.168\.0\.
        permit = ^192\.168\.
}

group = no_backbone {
        default service = permit
        service = exec {
                # a keyword of the original
                "acl" = 4
                autocmd = "telnet duffhost"
        }
        acl = dial_only
}

group = admin {
        login = file /etc/passwd
        expires = "Jan 1 1997"
        acl = dial_only
}

user = DEFAULT {
        service = ppp protocol = ip {
                addr-pool=foobar
        }
}

user = homer {
        default service = permit
        member = no_backbone
}

user = fred {
        login = des mEX027bHtzTlQ
        name = "Fred Flintstone"
        member = admin
        expires = "May 23 2005"
        arap = cleartext "Fred's arap secret"
        chap = cleartext "Fred's chap secret"
        service = exec {
                "acl" = 5
                autocmd = "telnet foo"
        }
        cmd = show {
                permit system
                deny .*
        }
        service = ppp protocol = ip {
                addr=131.108.12.11
                addr=131.108.12.12
                addr=131.108.12.13
                addr=131.108.12.14
                inacl=101
                # for those who ask
                optional outacl=102
        }
        service = slip {
                inacl=101
                outacl=102
        }
}

user = wilma {
        # password and day from her group
        member = admin
}
"#;

#[test]
fn every_example_of_the_manual_page_loads_and_means_what_it_says() {
    for (example, lines) in EXAMPLES {
        let normalised = normalised(&format!("{KEY}{example}"));
        for line in *lines {
            let found = normalised.lines().any(|found| found == *line);
            assert!(found, "{line}\nis missing in\n{normalised}");
        }
    }
}

#[test]
fn the_whole_file_of_the_manual_page_loads_unchanged() {
    let normalised = normalised(WHOLE);
    for block in [
        "default authentication = file \"/etc/passwd\"\naccounting file = \"/var/log/tac.acct\"\n",
        "acl = \"dial_only\" {\n    permit = \"^192\\\\.168\\\\.0\\\\.1$\"\n    deny = \"^192\\\\.168\\\\.0\\\\.\"\n    permit = \"^192\\\\.168\\\\.\"\n}\n",
        "group = \"admin\" {\n    login = file \"/etc/passwd\"\n    expires = 1997-01-01\n    acl = \"dial_only\"\n}\n",
        "user = \"wilma\" {\n    member = \"admin\"\n}\n",
        "        optional \"outacl\" = \"102\"\n",
    ] {
        assert!(
            normalised.contains(block),
            "{block}\nis missing in\n{normalised}"
        );
    }
    // The sixteen characters of RFC 8907 apart, what the page shows is worth these words.
    let warnings = loaded(WHOLE).warnings.join("\n");
    for expected in [
        "a key shorter than 16",
        "from every address",
        "DES reads eight",
        "'arap' is read",
    ] {
        assert!(
            warnings.contains(expected),
            "{expected} is missing in\n{warnings}"
        );
    }
}
