//! The numbers of RFC 8907 that have names.
//!
//! Owns the wire enumerations. An unknown number is kept, never mapped to a
//! known one: what it means is for the reader of the packet to decide.

macro_rules! wire_enum {
    (
        $(#[$doc:meta])*
        pub enum $name:ident {
            $( $(#[$variant_doc:meta])* $variant:ident = $value:literal $text:literal, )+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[$variant_doc])* $variant, )+
            /// A value that the RFC does not define.
            Unknown(u8),
        }

        impl $name {
            /// The value on the wire.
            pub const fn to_wire(self) -> u8 {
                match self {
                    $( Self::$variant => $value, )+
                    Self::Unknown(value) => value,
                }
            }

            /// The meaning of a value on the wire.
            pub const fn from_wire(value: u8) -> Self {
                match value {
                    $( $value => Self::$variant, )+
                    other => Self::Unknown(other),
                }
            }

            /// The RFC's name, or `None` for an unknown value.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $( Self::$variant => Some($text), )+
                    Self::Unknown(_) => None,
                }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "unknown({:#04x})", self.to_wire()),
                }
            }
        }
    };
}

wire_enum! {
    /// `type` of a packet (RFC 8907 section 4.1).
    pub enum PacketType {
        /// Authentication.
        Authen = 1 "AUTHEN",
        /// Authorization.
        Author = 2 "AUTHOR",
        /// Accounting.
        Acct = 3 "ACCT",
    }
}

wire_enum! {
    /// `action` of an authentication START (section 5.1).
    pub enum Action {
        /// Log in, or enable.
        Login = 1 "LOGIN",
        /// Change a password.
        ChangePass = 2 "CHPASS",
        /// Removed from the protocol; recognised only to be refused.
        SendPass = 3 "SENDPASS",
        /// SHOULD NOT be used (section 10.5.3); recognised only to be refused.
        SendAuth = 4 "SENDAUTH",
    }
}

wire_enum! {
    /// `authen_type` (section 5.1).
    pub enum AuthenType {
        /// Authorization and accounting only: how the user logged in is not known.
        NotSet = 0 "NOT_SET",
        /// A dialogue of prompts and answers.
        Ascii = 1 "ASCII",
        /// The password is in the START.
        Pap = 2 "PAP",
        /// RFC 1994.
        Chap = 3 "CHAP",
        /// Removed from the protocol.
        Arap = 4 "ARAP",
        /// RFC 2433.
        MsChap = 5 "MSCHAP",
        /// RFC 2759.
        MsChapV2 = 6 "MSCHAPV2",
    }
}

wire_enum! {
    /// `authen_service`, what asks for the authentication (section 5.1).
    pub enum AuthenService {
        /// None.
        None = 0 "NONE",
        /// An ordinary login.
        Login = 1 "LOGIN",
        /// A request for a privilege level.
        Enable = 2 "ENABLE",
        /// PPP.
        Ppp = 3 "PPP",
        /// Removed from the protocol.
        Arap = 4 "ARAP",
        /// PT.
        Pt = 5 "PT",
        /// RCMD.
        Rcmd = 6 "RCMD",
        /// X.25.
        X25 = 7 "X25",
        /// NASI.
        Nasi = 8 "NASI",
        /// A firewall's proxy.
        FwProxy = 9 "FWPROXY",
    }
}

wire_enum! {
    /// `authen_method`, how the client says the user was authenticated
    /// (section 6.1). A server must not use it in a policy decision.
    pub enum AuthenMethod {
        /// Not set.
        NotSet = 0x00 "NOT_SET",
        /// None.
        None = 0x01 "NONE",
        /// Kerberos 5.
        Krb5 = 0x02 "KRB5",
        /// A password of the line.
        Line = 0x03 "LINE",
        /// The enable password.
        Enable = 0x04 "ENABLE",
        /// The host's own user database, or a key.
        Local = 0x05 "LOCAL",
        /// TACACS+.
        TacacsPlus = 0x06 "TACACSPLUS",
        /// A guest.
        Guest = 0x08 "GUEST",
        /// RADIUS.
        Radius = 0x10 "RADIUS",
        /// Kerberos 4.
        Krb4 = 0x11 "KRB4",
        /// r-commands.
        Rcmd = 0x20 "RCMD",
    }
}

wire_enum! {
    /// `status` of an authentication REPLY (section 5.2).
    pub enum AuthenStatus {
        /// Authenticated.
        Pass = 0x01 "PASS",
        /// Refused.
        Fail = 0x02 "FAIL",
        /// Asks for more data, as `flags` and `server_msg` say.
        GetData = 0x03 "GETDATA",
        /// Asks for the user name.
        GetUser = 0x04 "GETUSER",
        /// Asks for the password.
        GetPass = 0x05 "GETPASS",
        /// Start again with another `authen_type`.
        Restart = 0x06 "RESTART",
        /// The server could not answer.
        Error = 0x07 "ERROR",
        /// Deprecated: ask another server. Treated as FAIL.
        Follow = 0x21 "FOLLOW",
    }
}

wire_enum! {
    /// `status` of an authorization REPLY (section 6.2).
    pub enum AuthorStatus {
        /// Authorized; the reply's arguments are added to the request's.
        PassAdd = 0x01 "PASS_ADD",
        /// Authorized; the reply's arguments replace the request's.
        PassRepl = 0x02 "PASS_REPL",
        /// Denied.
        Fail = 0x10 "FAIL",
        /// The server could not answer.
        Error = 0x11 "ERROR",
        /// Deprecated: ask another server. Treated as FAIL.
        Follow = 0x21 "FOLLOW",
    }
}

wire_enum! {
    /// `status` of an accounting REPLY (section 7.2).
    pub enum AcctStatus {
        /// The record is stored.
        Success = 0x01 "SUCCESS",
        /// The record is not stored.
        Error = 0x02 "ERROR",
        /// Deprecated: ask another server. The record is not stored.
        Follow = 0x21 "FOLLOW",
    }
}

/// A privilege level, 0 to 15 (RFC 8907 section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrivLvl(u8);

impl PrivLvl {
    /// Not authenticated.
    pub const MIN: Self = Self(0);
    /// An ordinary user.
    pub const USER: Self = Self(1);
    /// All rights.
    pub const ROOT: Self = Self(15);

    /// `None` above 15.
    pub const fn new(level: u8) -> Option<Self> {
        if level <= 15 { Some(Self(level)) } else { None }
    }

    /// 0 to 15.
    pub const fn level(self) -> u8 {
        self.0
    }

    /// The value of a `priv-lvl` argument: one or two decimal digits, 0 to 15,
    /// and nothing else.
    pub fn from_decimal(value: &[u8]) -> Option<Self> {
        match *value {
            [d @ b'0'..=b'9'] => Self::new(d - b'0'),
            [b'1', d @ b'0'..=b'5'] => Self::new(10 + (d - b'0')),
            _ => None,
        }
    }
}

impl core::fmt::Display for PrivLvl {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_the_way_through_an_enumeration() {
        for byte in 0..=u8::MAX {
            assert_eq!(PacketType::from_wire(byte).to_wire(), byte);
            assert_eq!(AuthenStatus::from_wire(byte).to_wire(), byte);
            assert_eq!(AuthenMethod::from_wire(byte).to_wire(), byte);
        }
    }

    #[test]
    fn a_privilege_level_is_a_plain_decimal_from_0_to_15() {
        for level in 0..=15u8 {
            let text = level.to_string();
            assert_eq!(
                PrivLvl::from_decimal(text.as_bytes()).map(PrivLvl::level),
                Some(level)
            );
        }
        for bad in [
            "", "16", "100", "-1", "+1", "0x1", "01", " 1", "1 ", "15\0", "1.0", "00",
        ] {
            assert_eq!(PrivLvl::from_decimal(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
