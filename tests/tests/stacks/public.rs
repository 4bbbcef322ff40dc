//! Stacks as hosts have them: distributions' own, and those of guides to TACACS+.
//!
//! `TACPLUS` stands for the module under test and its words. Modules that Debian does not
//! have are played by pam_debug, with the codes that they would answer.

/// A stack, and why it lets somebody in whom it would not let in with the C module.
pub(crate) struct Public {
    pub(crate) name: &'static str,
    pub(crate) auth: &'static str,
    pub(crate) account: &'static str,
    /// The way, as in the table, and the reason.
    pub(crate) why: &'static [(char, &'static str)],
}

/// The account phase of most guides.
const STRICT: &str = "account required TACPLUS\naccount required pam_unix.so";

/// The documented one.
const OURS: &str =
    "account [success=ok ignore=ignore default=die] TACPLUS\naccount required pam_unix.so";

/// Where TACACS+ is for passwords only.
const UNIX: &str = "account required pam_unix.so";

/// The C module authorizes nobody whom it did not authenticate in the same process.
const KEY: (char, &str) = (
    'k',
    "sshd has checked a key: the servers authorize it, root and local users are the host's own",
);

/// The same for root, whom pam_rootok authenticates.
const ROOTS_SU: (char, &str) = (
    's',
    "pam_rootok has let root through: the servers authorize the user, local ones are the host's own",
);

/// What user_unknown=ignore is for.
const LOCAL: (char, &str) = (
    'r',
    "the line passes root and local users over, and pam_unix checks their own password",
);

pub(crate) const STACKS: [Public; 34] = [
    Public {
        name: "documented",
        auth: "auth [success=done user_unknown=ignore authinfo_unavail=ignore service_err=ignore ignore=ignore default=die] TACPLUS\n\
               auth required pam_unix.so try_first_pass",
        account: OURS,
        why: &[LOCAL, KEY],
    },
    Public {
        name: "documented-before",
        auth: "auth [success=done authinfo_unavail=ignore service_err=ignore ignore=ignore default=die] TACPLUS\n\
               auth required pam_unix.so try_first_pass",
        account: OURS,
        why: &[KEY],
    },
    Public {
        name: "documented-only",
        auth: "auth [success=done user_unknown=ignore ignore=ignore default=die] TACPLUS\n\
               auth requisite pam_succeed_if.so uid = 0 quiet\n\
               auth required pam_unix.so",
        account: "account [success=done ignore=ignore default=die] TACPLUS\n\
                  account requisite pam_succeed_if.so uid = 0 quiet\n\
                  account required pam_unix.so",
        why: &[
            (
                'r',
                "root is passed over, and pam_unix checks root's own password",
            ),
            KEY,
        ],
    },
    Public {
        name: "documented-sufficient",
        auth: "auth sufficient TACPLUS\nauth required pam_unix.so try_first_pass",
        account: OURS,
        why: &[
            (
                'r',
                "the account line passes root and local users over, as it does with a key",
            ),
            (
                'o',
                "sufficient lets a local password count, and the servers authorize whoever has it",
            ),
            KEY,
        ],
    },
    Public {
        name: "required-alone",
        auth: "auth required TACPLUS",
        account: STRICT,
        why: &[KEY],
    },
    Public {
        name: "sample-pppd",
        auth: "auth requisite pam_nologin.so\nauth required TACPLUS",
        account: "account required TACPLUS\naccount sufficient pam_exec.so quiet /bin/true",
        why: &[KEY],
    },
    Public {
        name: "required-faillock",
        auth: "auth required pam_faillock.so preauth\nauth required TACPLUS\nauth optional pam_faillock.so authsucc",
        account: UNIX,
        why: &[],
    },
    Public {
        name: "requisite-faillock",
        auth: "auth required pam_faillock.so preauth\nauth requisite TACPLUS\nauth optional pam_faillock.so authsucc",
        account: UNIX,
        why: &[],
    },
    Public {
        name: "required-permit",
        auth: "auth required TACPLUS\nauth required pam_permit.so",
        account: "account required pam_permit.so",
        why: &[],
    },
    Public {
        name: "required-succeed-if",
        auth: "auth required pam_succeed_if.so uid >= 0 quiet\nauth required TACPLUS",
        account: UNIX,
        why: &[],
    },
    Public {
        name: "required-exec",
        auth: "auth required TACPLUS\nauth sufficient pam_exec.so quiet /bin/true",
        account: UNIX,
        why: &[],
    },
    Public {
        name: "requisite-exec-optional",
        auth: "auth requisite TACPLUS\nauth optional pam_exec.so quiet /bin/true",
        account: UNIX,
        why: &[],
    },
    Public {
        name: "vsftpd",
        auth: "auth required pam_listfile.so item=user sense=deny file=/etc/ftpusers onerr=succeed\n\
               auth required pam_shells.so\n\
               auth required TACPLUS",
        account: UNIX,
        why: &[],
    },
    Public {
        name: "listfile-allow",
        auth: "auth required pam_listfile.so item=user sense=allow file=/etc/allowed onerr=fail\n\
               auth required pam_shells.so\n\
               auth requisite TACPLUS",
        account: STRICT,
        why: &[KEY],
    },
    Public {
        name: "second-factor-behind",
        auth: "auth requisite TACPLUS\nauth required pam_debug.so auth=success",
        account: UNIX,
        why: &[],
    },
    Public {
        name: "second-factor-before",
        auth: "auth required pam_debug.so auth=success\nauth required TACPLUS",
        account: UNIX,
        why: &[],
    },
    Public {
        name: "wrong-second-factor-behind",
        auth: "auth required TACPLUS\nauth required pam_debug.so auth=auth_err",
        account: UNIX,
        why: &[],
    },
    Public {
        name: "debian-common-auth",
        auth: "auth [success=2 default=ignore] TACPLUS\n\
               auth [success=1 default=ignore] pam_unix.so nullok try_first_pass\n\
               auth requisite pam_deny.so\n\
               auth required pam_permit.so\n\
               auth optional pam_cap.so",
        account: "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\n\
                  account requisite pam_deny.so\n\
                  account required pam_permit.so",
        why: &[],
    },
    Public {
        name: "debian-unix-first",
        auth: "auth [success=2 default=ignore] pam_unix.so nullok\n\
               auth [success=1 default=ignore] TACPLUS try_first_pass\n\
               auth requisite pam_deny.so\n\
               auth required pam_permit.so",
        account: UNIX,
        why: &[],
    },
    Public {
        name: "debian-login",
        auth: "auth optional pam_faildelay.so delay=3000000\n\
               auth requisite pam_nologin.so\n\
               auth required TACPLUS\n\
               auth optional pam_group.so",
        account: "account required pam_access.so\naccount required pam_unix.so",
        why: &[],
    },
    Public {
        name: "authselect-faillock",
        auth: "auth required pam_env.so\n\
               auth required pam_faillock.so preauth silent\n\
               auth sufficient pam_unix.so nullok\n\
               auth sufficient TACPLUS use_first_pass\n\
               auth required pam_faillock.so authfail\n\
               auth required pam_deny.so",
        account: "account required pam_faillock.so\naccount required pam_unix.so",
        why: &[],
    },
    Public {
        name: "faillock-authsucc",
        auth: "auth required pam_faillock.so preauth silent\n\
               auth [success=1 default=bad] TACPLUS\n\
               auth [default=die] pam_faillock.so authfail\n\
               auth sufficient pam_faillock.so authsucc",
        account: "account required pam_faillock.so\naccount required pam_unix.so",
        why: &[],
    },
    Public {
        name: "authselect-sssd-after",
        auth: "auth required pam_env.so\n\
               auth required pam_faildelay.so delay=2000000\n\
               auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular\n\
               auth [default=1 ignore=ignore success=ok] pam_localuser.so\n\
               auth sufficient pam_unix.so nullok\n\
               auth sufficient TACPLUS try_first_pass\n\
               auth sufficient pam_debug.so auth=user_unknown\n\
               auth required pam_deny.so",
        account: "account required pam_unix.so\n\
                  account sufficient pam_localuser.so\n\
                  account sufficient pam_usertype.so issystem\n\
                  account [default=bad success=ok user_unknown=ignore] pam_debug.so acct=user_unknown\n\
                  account required pam_permit.so",
        why: &[],
    },
    Public {
        name: "sssd-before",
        auth: "auth sufficient pam_debug.so auth=user_unknown\n\
               auth requisite TACPLUS\n\
               auth required pam_permit.so",
        account: "account [default=bad success=ok user_unknown=ignore] pam_debug.so acct=user_unknown\n\
                  account required pam_unix.so",
        why: &[],
    },
    Public {
        name: "sssd-unreachable-before",
        auth: "auth [success=done authinfo_unavail=ignore user_unknown=ignore default=die] pam_debug.so auth=authinfo_unavail\n\
               auth required TACPLUS try_first_pass",
        account: UNIX,
        why: &[],
    },
    Public {
        name: "system-users-skip",
        auth: "auth [success=1 default=ignore] pam_succeed_if.so uid < 1000 quiet\n\
               auth [success=done default=die] TACPLUS\n\
               auth required pam_unix.so",
        account: UNIX,
        why: &[],
    },
    Public {
        name: "local-users-skip",
        auth: "auth [success=1 default=ignore] pam_localuser.so\n\
               auth [success=done default=die] TACPLUS\n\
               auth required pam_unix.so",
        account: UNIX,
        why: &[],
    },
    Public {
        name: "both-passwords",
        auth: "auth requisite TACPLUS\nauth required pam_unix.so use_first_pass",
        account: UNIX,
        why: &[],
    },
    Public {
        name: "optional-unix",
        auth: "auth optional TACPLUS\nauth required pam_unix.so try_first_pass",
        account: UNIX,
        why: &[],
    },
    Public {
        name: "sufficient-deny",
        auth: "auth sufficient TACPLUS\nauth requisite pam_deny.so",
        account: STRICT,
        why: &[KEY],
    },
    Public {
        name: "substack",
        auth: "auth substack tacplus-part\nauth optional pam_permit.so",
        account: UNIX,
        why: &[],
    },
    Public {
        name: "su",
        auth: "auth sufficient pam_rootok.so\nauth required TACPLUS",
        account: STRICT,
        why: &[KEY, ROOTS_SU],
    },
    Public {
        name: "su-documented",
        auth: "auth sufficient pam_rootok.so\n\
               auth [success=done user_unknown=ignore authinfo_unavail=ignore service_err=ignore ignore=ignore default=die] TACPLUS\n\
               auth required pam_unix.so try_first_pass",
        account: OURS,
        why: &[LOCAL, KEY, ROOTS_SU],
    },
    Public {
        name: "sudo",
        auth: "auth required pam_env.so readenv=1 user_readenv=0\nauth sufficient TACPLUS\nauth requisite pam_unix.so try_first_pass\nauth required pam_permit.so",
        account: UNIX,
        why: &[],
    },
];

/// What `substack` refers to.
pub(crate) const PART: &str = "auth requisite TACPLUS\n";
