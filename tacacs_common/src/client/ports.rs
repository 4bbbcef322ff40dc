//! The ports that are left when users of this host have taken all others.
//!
//! Any user may bind every port from which a program would connect, and could so decide
//! that no server is reached. Those from 600 to 1023 are root's.
//!
//! Owns which of them may be used, and who is named for it. Must never take a port that
//! belongs to a service.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::geteuid;

use super::random;

/// As bindresvport(3) has it.
const FIRST: u16 = 600;
const LAST: u16 = 1023;
const COUNT: usize = (LAST - FIRST + 1) as usize;

const SERVICES: &str = "/etc/services";
const BLACKLIST: &str = "/etc/bindresvport.blacklist";

/// Below this port only root may bind, unless an administrator has changed it.
const UNPRIVILEGED: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";

/// Longest part of a file that is read: 30 times what a distribution ships.
const MAX_BYTES: u64 = 1024 * 1024;

/// How long sockets are counted at most.
const COUNTING: Duration = Duration::from_millis(200);

/// Ports to connect from, in random order.
///
/// # Errors
/// This process may not, or they are not root's on this host.
pub(super) fn last() -> io::Result<Vec<u16>> {
    let refused = |why: &str| io::Error::new(io::ErrorKind::PermissionDenied, why);
    if !geteuid().is_root() {
        return Err(refused("only root may connect from a port below 1024"));
    }
    let start = text(UNPRIVILEGED);
    if start.trim().parse::<u16>().is_ok_and(|start| start <= LAST) || start.is_empty() {
        return Err(refused(
            "net.ipv4.ip_unprivileged_port_start gives ports below 1024 to users too",
        ));
    }
    let mut ports = left(&text(SERVICES), &text(BLACKLIST));
    let numbers: [u8; 2 * COUNT] = random::fill()?;
    let (numbers, _) = numbers.as_chunks::<2>();
    let draw = |number: &[u8; 2]| {
        let number = usize::from(u16::from_ne_bytes(*number));
        let at = number.checked_rem(ports.len())?;
        Some(ports.swap_remove(at))
    };
    Ok(numbers.iter().map_while(draw).collect())
}

/// Whose processes have most sockets, as far as can be counted in a moment: the uid, and
/// how many. A socket that is only bound is in no table of the kernel but theirs.
pub fn most_sockets() -> Option<(u32, usize)> {
    let begun = Instant::now();
    let mut counts: Vec<(u32, usize)> = Vec::new();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        if begun.elapsed() > COUNTING {
            break;
        }
        let Ok(fds) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let Ok(uid) = process.metadata().map(|process| process.uid()) else {
            continue;
        };
        let mut count = 0_usize;
        for fd in fds.flatten() {
            if begun.elapsed() > COUNTING {
                break;
            }
            if fs::read_link(fd.path()).is_ok_and(|what| is_socket(&what)) {
                count = count.saturating_add(1);
            }
        }
        match counts.iter_mut().find(|(owner, _)| *owner == uid) {
            Some((_, all)) => *all = all.saturating_add(count),
            None => counts.push((uid, count)),
        }
    }
    counts.into_iter().max_by_key(|(_, count)| *count)
}

fn is_socket(link: &Path) -> bool {
    link.as_os_str().as_encoded_bytes().starts_with(b"socket:")
}

/// The ports that neither services(5) names nor the list of those that bindresvport(3)
/// leaves alone.
fn left(services: &str, blacklist: &str) -> Vec<u16> {
    let words = |line: &'_ str, number: usize| -> Option<u16> {
        let line = line.split('#').next()?;
        let word = line.split_whitespace().nth(number)?;
        word.split('/').next()?.parse().ok()
    };
    let mut taken: Vec<u16> = services.lines().filter_map(|line| words(line, 1)).collect();
    taken.extend(blacklist.lines().filter_map(|line| words(line, 0)));
    (FIRST..=LAST)
        .filter(|port| !taken.contains(port))
        .collect()
}

/// The text of a file, or of its beginning; empty if there is none.
fn text(path: &str) -> String {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text));
    match read {
        Ok(_) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_services_and_of_the_blacklist_are_left_alone() {
        let services = "# 600/tcp\nipcserver 600/tcp alias 601/tcp # 602/tcp\n\
            \nldaps\t\t636/udp\nbad x/tcp\nssh 22/tcp\n";
        let left = left(services, "631\t# cups\n #\n873\nx\n");
        for taken in [600, 636, 631, 873, 599, 1024] {
            assert!(!left.contains(&taken), "{taken}");
        }
        for free in [601, 602, 1023] {
            assert!(left.contains(&free), "{free}");
        }
        assert_eq!(left.len(), COUNT - 4);
        assert_eq!(super::left("", "").len(), COUNT);
    }

    #[test]
    fn the_ports_come_in_another_order_each_time() {
        match last() {
            Ok(first) => {
                let mut sorted = first.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, left(&text(SERVICES), &text(BLACKLIST)));
                assert!(first.len() > 100, "{} ports", first.len());
                assert_ne!(first, last().unwrap());
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        }
    }

    #[test]
    fn who_has_most_sockets_is_told() {
        let sockets: Vec<_> = (0..50)
            .map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap())
            .collect();
        let (_, count) = most_sockets().unwrap();
        assert!(count >= sockets.len() || !geteuid().is_root(), "{count}");
    }
}
