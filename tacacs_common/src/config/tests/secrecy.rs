//! Whatever a configuration says: no panic, and no secret in any text.

use proptest::prelude::*;

use super::super::*;

const MARK: &str = "S3cretMark";

/// Everything a refusal or an accepted configuration can print.
fn printed(result: Result<Config, Error>) -> String {
    match result {
        Ok(config) => format!("{}\n{config:?}\n{:?}", config.show(), config.warnings),
        Err(error) => format!("{error}\n{error:?}\n{:?}", error.problems()),
    }
}

/// Lines around a marked secret, right and wrong.
fn line() -> impl Strategy<Value = String> {
    let secret = "[a-z ;#=\\[\\]]{0,12}".prop_map(|rest| format!("{MARK}{rest}"));
    let key = prop_oneof![
        Just("secret"),
        Just("secert"),
        Just("Secret"),
        Just("secret_file"),
        Just("secret file"),
        Just("key"),
        Just("secret:"),
        Just("scret"),
        Just("weak_secret"),
        Just("timeout"),
        Just("login"),
        Just("roles"),
        Just("tls"),
        Just("server=192.0.2.3 secret"),
        Just("debug"),
        Just("uid_range"),
        Just("source_ip"),
        Just(""),
    ];
    let before = prop_oneof![
        Just(""),
        Just("\""),
        Just("x "),
        Just("192.0.2.1 secret="),
        Just("yes ")
    ];
    let equals = prop_oneof![Just("="), Just(" = "), Just(" "), Just(": "), Just("\t=\t")];
    prop_oneof![
        4 => (key, equals, before, secret.clone()).prop_map(|(key, equals, before, secret)| {
            format!("{key}{equals}{before}{secret}")
        }),
        // A secret that was broken over two lines, or pasted into a heading.
        1 => secret.clone(),
        1 => secret.clone().prop_map(|secret| format!("{secret}=")),
        1 => secret.clone().prop_map(|secret| format!("groups.{secret} = x")),
        1 => secret.clone().prop_map(|secret| format!("[{secret}]")),
        1 => secret.prop_map(|secret| format!("[global] {secret}")),
        3 => Just("[server a]\naddress = 192.0.2.1".to_owned()),
        1 => Just("server = 192.0.2.2".to_owned()),
        1 => Just("[global]".to_owned()),
        1 => Just("[mapping]".to_owned()),
    ]
}

proptest! {
    #[test]
    fn no_text_holds_a_secret_however_its_line_is_written(lines in prop::collection::vec(line(), 0..8)) {
        let text = lines.join("\n");
        let said = printed(Config::parse(text.as_bytes(), &HostFacts::default()));
        prop_assert!(!said.contains(MARK), "{}\n--\n{}", text, said);
    }

    #[test]
    fn no_text_holds_a_secret_of_the_pam_line(words in prop::collection::vec(line(), 0..4)) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = printed(Config::load_with_pam_line("/nonexistent".as_ref(), &words));
        prop_assert!(!said.contains(MARK), "{:?}\n--\n{}", words, said);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = Config::parse(&bytes, &HostFacts::default());
    }

    #[test]
    fn any_words_in_the_form_of_a_file_are_read_or_refused(
        lines in prop::collection::vec("(\\[?(global|server a|server|mapping|x)?\\]?|[a-z_.0-9]{0,12} ?= ?\\PC{0,20})", 0..30),
    ) {
        let _ = Config::parse(lines.join("\n").as_bytes(), &HostFacts::default());
    }
}
