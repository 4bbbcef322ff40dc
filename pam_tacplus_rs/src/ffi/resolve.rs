//! Looks up the name of a server in this process, which nothing can interrupt.
//!
//! Owns getaddrinfo(3), of whose errors the standard library keeps no more than words.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::ptr;

use libc::{AF_INET, AF_INET6, SOCK_STREAM, addrinfo, sockaddr_in, sockaddr_in6};
use tacacs_common::client::names_have_authority;

const NSSWITCH: &str = "/etc/nsswitch.conf";

/// Behind nscd(8) a name that could not be looked up is one that there is not.
const NSCD: &str = "/var/run/nscd/socket";

/// Longest part of a file that is read.
const MAX_BYTES: u64 = 64 * 1024;

/// The addresses of a name.
///
/// # Errors
/// `NotFound`: there is no such name, as far as the name service can know. Any other kind:
/// it may have been without a port, a descriptor or an answer.
pub(crate) fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    let name = CString::new(name)?;
    let found = Found::of(&name).map_err(error)?;
    let addresses: Vec<IpAddr> = found.addresses().collect();
    if addresses.is_empty() {
        return Err(io::Error::other("it has no address now"));
    }
    Ok(addresses)
}

fn error(code: i32) -> io::Error {
    match code {
        libc::EAI_SYSTEM => io::Error::last_os_error(),
        libc::EAI_NONAME if names_have_authority(&nsswitch()) && !is_nscd_there() => {
            io::Error::new(io::ErrorKind::NotFound, "there is no such name")
        }
        libc::EAI_NONAME => io::Error::other("no name service knows it now"),
        libc::EAI_AGAIN => io::Error::other("no name server answered"),
        libc::EAI_FAIL => io::Error::other("the name servers failed"),
        code => io::Error::other(format!("it has no address now ({code})")),
    }
}

fn is_nscd_there() -> bool {
    Path::new(NSCD).exists()
}

fn nsswitch() -> String {
    let mut text = String::new();
    let read = File::open(NSSWITCH).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    read.map_or_else(|_| String::new(), |_| text)
}

/// A list that getaddrinfo made.
struct Found(*mut addrinfo);

impl Found {
    /// The addresses of a name, or the number of an error.
    fn of(name: &CStr) -> Result<Self, i32> {
        let hints = addrinfo {
            ai_flags: 0,
            ai_family: libc::AF_UNSPEC,
            ai_socktype: SOCK_STREAM,
            ai_protocol: 0,
            ai_addrlen: 0,
            ai_addr: ptr::null_mut(),
            ai_canonname: ptr::null_mut(),
            ai_next: ptr::null_mut(),
        };
        let mut list = ptr::null_mut();
        // SAFETY: the name ends with NUL, the hints are numbers without a list, and both
        // outlive the call, which writes one pointer.
        let code = unsafe {
            libc::getaddrinfo(name.as_ptr(), ptr::null(), &raw const hints, &raw mut list)
        };
        if code == 0 { Ok(Self(list)) } else { Err(code) }
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let mut next = self.0;
        std::iter::from_fn(move || {
            // SAFETY: null, or an element of the list, which `self` keeps.
            let element = unsafe { next.as_ref() }?;
            next = element.ai_next;
            Some(address(element))
        })
        .flatten()
    }
}

fn address(element: &addrinfo) -> Option<IpAddr> {
    let raw = element.ai_addr;
    match element.ai_family {
        AF_INET => {
            // SAFETY: null, or what the family says, in memory of the C library's.
            let v4 = unsafe { raw.cast::<sockaddr_in>().as_ref() }?;
            Some(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into())
        }
        AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { raw.cast::<sockaddr_in6>().as_ref() }?;
            Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

impl Drop for Found {
    fn drop(&mut self) {
        // SAFETY: getaddrinfo made it, and nobody uses it after this.
        unsafe { libc::freeaddrinfo(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_its_addresses_and_a_number_is_itself() {
        assert!(
            resolve("localhost")
                .unwrap()
                .iter()
                .all(IpAddr::is_loopback)
        );
        let expected: [IpAddr; 1] = ["2001:db8::1".parse().unwrap()];
        assert_eq!(resolve("2001:db8::1").unwrap(), expected);
        assert_eq!(
            resolve("192.0.2.7").unwrap(),
            [IpAddr::from([192, 0, 2, 7])]
        );
    }

    #[test]
    fn only_the_c_librarys_own_word_for_it_is_no_such_name() {
        for code in [
            libc::EAI_AGAIN,
            libc::EAI_FAIL,
            libc::EAI_MEMORY,
            libc::EAI_NODATA,
        ] {
            assert_ne!(error(code).kind(), io::ErrorKind::NotFound, "{code}");
        }
    }
}
