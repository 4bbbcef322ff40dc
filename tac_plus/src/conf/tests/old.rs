//! What files of the original look like: all of it loads.

use super::*;

#[test]
fn a_password_keeps_its_braces_and_a_name_does_not() {
    let normalised = normalised(&format!(
        "{KEY}user = fred{{\n login = cleartext a{{b}}c\n service=exec{{\n priv-lvl=15}}\n}}\n"
    ));
    assert!(normalised.contains("user = \"fred\" {"), "{normalised}");
    assert!(normalised.contains("\"priv-lvl\" = \"15\""), "{normalised}");
    let warnings = loaded("key = abcdefghijklmnop}\n").warnings.join("\n");
    assert!(
        warnings.contains("the brace at its end is part"),
        "{warnings}"
    );
}

#[test]
fn what_makes_sense_to_the_original_is_read_as_it_reads_it() {
    let strict = normalised(&format!(
        "{KEY}user = fred{{ {{\n cmd = show {{\n permit a}}\n deny b}}\n }}\n member = g}}\n}}\ngroup = g}} {{ }}\n"
    ));
    for line in [
        "user = \"fred{\" {",
        "permit \"a}\"",
        "deny \"b}\"",
        "member = \"g}\"",
    ] {
        assert!(strict.contains(line), "{line}: {strict}");
    }
    let apart = normalised(&format!(
        "{KEY}user = fred{{\n cmd = show {{\n permit a}}\n member = g}}\ngroup = g{{ }}\n"
    ));
    for line in ["user = \"fred\" {", "permit \"a\"", "member = \"g\""] {
        assert!(apart.contains(line), "{line}: {apart}");
    }
}

#[test]
fn every_kind_of_password_loads_where_the_original_takes_it() {
    loaded(&format!(
        r#"{KEY}default authentication = file /etc/passwd
host = 192.0.2.1 {{ enable = des mEX027bHtzTlQ }}
host = 192.0.2.2 {{ enable = nopassword }}
host = 192.0.2.3 {{ enable = file /etc/enable }}
user = bart {{
    arap = cleartext "arap password"
    chap = cleartext "chap password"
    ms-chap = cleartext "ms-chap password"
    enable = des $6$salt$hash
    pap = PAM
    opap = cleartext "outbound pap password"
    login = file /etc/passwd
    global = cleartext "outbound pap password"
}}
user = lisa {{ pap = des $y$j9T$salt$hash login = PAM enable = file /etc/enable }}
user = maggie {{ pap = file /etc/passwd login = nopassword enable = nopassword }}
user = $enable$ {{ login = cleartext x }}
user = $enab7$ {{ login = des mEX027bHtzTlQ }}"#
    ));
}

#[test]
fn what_the_manual_page_and_the_program_write_differently_loads_both_ways() {
    let text = format!(
        "{KEY}accounting syslog;\naccounting syslog\n\
         user = a {{ expires \"May 23 2005\" before authorization = \"/bin/x $user\" }}\n\
         user = b {{ expires = \"May 23 2005\" before authorization \"/bin/x $user\" }}\n\
         user = c {{ msg = hi service = x {{ default attribute = deny }} }}\n\
         user = d {{ message = hi service = x {{ default attribute = permit }} }}"
    );
    let normalised = normalised(&text);
    for line in [
        "accounting syslog\n",
        "default attribute = deny\n",
        "default attribute = permit\n",
    ] {
        assert!(normalised.contains(line), "{normalised}");
    }
    for line in [
        "expires = 2005-05-23\n",
        "before authorization = \"/bin/x $user\"\n",
        "message = \"hi\"\n",
    ] {
        assert_eq!(normalised.matches(line).count(), 2, "{normalised}");
    }
}

#[test]
fn what_is_odd_loads_with_a_warning() {
    for (text, warning) in [
        ("host = 192.0.2.1.1 { }", "host '192.0.2.1.1' is no address"),
        (
            "user = a { acl = b }",
            "there is no acl 'b': nobody gets in by it",
        ),
        (
            "accounting file = /a accounting file = /b",
            "'accounting file' is given twice: the last one counts",
        ),
        ("logging = loud", "unknown syslog facility 'loud'"),
        (
            "user = a { enable = cleartext x enable = cleartext y }",
            "'enable' is given twice: the last one counts",
        ),
        (
            "user = a { after authorization /bin/x after authorization /bin/y }",
            "'after authorization' is given twice: the last one counts",
        ),
        (
            "host = router1.example.net { key = x }",
            "no client is known by a name",
        ),
        (
            "host = 192.0.2.1 { prompt = \"\u{1b}[2JName: \" }",
            "what is not is left out",
        ),
        (
            "user = a { login = cleartext \"\" }",
            "an empty password lets nobody in",
        ),
        (
            "user = a { login = des nonsense }",
            "nothing that crypt(3) makes",
        ),
        (
            "user = a { login = des mEX027bHtzTlQ }",
            "DES reads eight characters",
        ),
        (
            "user = a { expires = \"some day\" }",
            "nobody gets in by it",
        ),
        ("user = a { maxsess = 3 }", "'maxsess' has no effect"),
        ("maxprocs = 3", "'maxprocs' has no effect"),
        ("readtimeout = 3", "'readtimeout' has no effect"),
        (
            "user = a { service = x { a = \"caf\u{e9}\" } }",
            "can never be sent",
        ),
        (
            "user = a { service = shell { priv-lvl = 15 } }",
            "'shell' is called 'exec'",
        ),
        (
            "user = a { service = x { *b = c } }",
            "an argument without a name is never sent",
        ),
        (
            "user = a { service = \"exec\" { } }",
            "in quotes this is another service than exec",
        ),
        (
            "acl = a { permit = 10.0.0.0/8 }",
            "this is no network but an expression",
        ),
        (
            "acl = a { permit = 10.0.0.1 }",
            "matches other addresses too, that only hold it (^10\\.0\\.0\\.1$)",
        ),
        (
            "user = a { cmd = * { permit .* } }",
            "this block is about one called so",
        ),
        (
            "user = a { cmd = .* { permit .* } }",
            "this block is about one called so",
        ),
        (
            "user = a { member = g } group = g { name = \u{201c}Ops\u{201d} }",
            "the quotation marks are part of this word",
        ),
        (
            "user = a { service = exec { priv-lvl = 15; } }",
            "the semicolon at its end is part of this word",
        ),
        (
            "user = $enab15$ { login = nopassword }",
            "'$enab15$' has no password",
        ),
        (
            "user = a { arap = cleartext x }",
            "'arap' is read and never used",
        ),
    ] {
        let warnings = loaded(&format!("{KEY}{text}")).warnings.join("\n");
        assert!(warnings.contains(warning), "{text}: {warnings}");
    }
}

#[test]
fn a_file_whose_hosts_are_names_loads_with_the_warning_about_them() {
    let text = "host = router1.example.net { key = \"a secret of more than sixteen\" }";
    let warnings = loaded(text).warnings.join("\n");
    for warning in [
        "is no address",
        "no client may ask: no 'host' is an address",
    ] {
        assert!(warnings.contains(warning), "{warnings}");
    }
}

#[test]
fn an_access_list_of_expressions_is_no_warning() {
    let text = r"acl = a { permit = ^10\.1\.2\.3$ deny = 10\.0 permit = .* }";
    let warnings = loaded(&format!("{KEY}{text}")).warnings.join("\n");
    assert!(!warnings.contains("expression"), "{warnings}");
}

#[test]
fn a_mark_of_byte_order_is_no_part_of_the_first_word() {
    let text = format!("\u{feff}{KEY}user = a {{ }}");
    assert!(normalised(&text).starts_with("key = ***"));
    assert!(
        error(&format!("\u{feff}bogus\n{KEY}"))
            .starts_with("t.conf:1:2: unknown directive 'bogus'")
    );
}

#[test]
fn an_arguments_first_separator_decides_whether_it_is_optional() {
    let normalised = normalised(&format!(
        "{KEY}user = a {{ service = x {{ shell:roles*a = b \"c=d\" = e optional f = g*h }} }}"
    ));
    for line in [
        "optional \"shell:roles\" = \"a=b\"",
        "        \"c\" = \"d=e\"",
        "optional \"f\" = \"g*h\"",
    ] {
        assert!(normalised.contains(line), "{line}: {normalised}");
    }
}
