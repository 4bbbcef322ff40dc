//! Which names are names of users. Pure.

use crate::config::Case;

/// The longest name that utmp, and so every tool, can hold.
pub const MAX_NAME: usize = 32;

/// Names that a passwd entry and a path can take, and that no program mistakes for
/// an option, a folder or a number.
pub fn is_name(name: &str, case: Case) -> bool {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || b"_-.".contains(&byte)
            || (case == Case::Keep && byte.is_ascii_uppercase())
    };
    name.len() <= MAX_NAME
        && name.bytes().all(allowed)
        && !name.starts_with(['-', '.'])
        // Of the empty name this is true too.
        && !name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether this is one of the accounts of mode shared, `prefix0` to `prefix15`.
pub fn is_shared_account(name: &str, prefix: &str) -> bool {
    shared_level(name, prefix).is_some()
}

/// The level whose shared account this is.
pub fn shared_level(name: &str, prefix: &str) -> Option<u8> {
    let digits = name.strip_prefix(prefix)?;
    let level = digits.parse::<u8>().ok()?;
    // Written in one way only: neither tacacs+1 nor tacacs01.
    let canonical = !digits.starts_with('+') && (digits.len() == 1 || !digits.starts_with('0'));
    (level <= 15 && canonical).then_some(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_every_tool_takes_for_a_name_is_a_name() {
        for good in ["alice", "a", "_svc", "a.b-c_d", "9lives", &"n".repeat(32)] {
            assert!(is_name(good, Case::Lower), "{good}");
        }
        for bad in [
            "",
            "-rf",
            "12345",
            "0",
            ".",
            "..",
            ".hidden",
            "a:b",
            "a/b",
            "a\nb",
            "a b",
            "a\0",
            "*",
            "Alice",
            "Ålice",
            "a$",
            "a,b",
            &"n".repeat(33),
        ] {
            assert!(!is_name(bad, Case::Lower), "{bad:?}");
        }
        assert!(is_name("Alice", Case::Keep));
        assert!(!is_name("ALICE:", Case::Keep));
    }

    #[test]
    fn shared_accounts_end_in_a_level_written_one_way() {
        assert_eq!(shared_level("tacacs0", "tacacs"), Some(0));
        assert_eq!(shared_level("tacacs15", "tacacs"), Some(15));
        for other in [
            "tacacs", "tacacs16", "tacacs01", "tacacs+1", "tacacs1x", "bob",
        ] {
            assert_eq!(shared_level(other, "tacacs"), None, "{other}");
        }
    }
}
