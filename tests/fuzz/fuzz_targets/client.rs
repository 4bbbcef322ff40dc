//! A client at a server that says anything: no panic, no endless wait, and no pass unless
//! the header, the secret and the status of the last reply are right, as computed here from
//! the bytes on the wire.
//!
//! The input is a byte for the operation (PAP, ASCII, authorization, accounting), and a
//! reply after the other: a byte for what is wrong with it, a mask of 12 bytes for its
//! header if one is asked for, a length of two bytes, the clear body.
#![no_main]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{LazyLock, Mutex};
use std::thread;

use libfuzzer_sys::fuzz_target;
use md5::{Digest, Md5};
use tacacs_common::client::{Client, Way};
use tacacs_common::config::{Config, HostFacts};
use tacacs_common::exchange::authen::{Ask, Who};
use tacacs_common::packet::{
    ArgumentsBuf, AuthenMethod, AuthenService, AuthenType, AuthorRequest, PrivLvl,
};
use tacacs_common::secret::Secret;

const SECRET: &[u8] = b"the secret of the fuzz target";
const HEADER: usize = 12;

/// What is wrong with a reply.
const OTHER_SECRET: u8 = 1;
const MASKED_HEADER: u8 = 2;
const CUT_OFF: u8 = 4;
const CLEAR: u8 = 8;

/// What the server is to say, and the last that it heard and said.
static SCRIPT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static LAST: Mutex<Option<(Vec<u8>, Vec<u8>)>> = Mutex::new(None);

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let path = format!("/dev/shm/tacplus-fuzz-{}.sock", std::process::id());
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).expect("a socket");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = serve(stream);
        }
    });
    let secret = String::from_utf8_lossy(SECRET);
    let text = format!(
        "[global]\ntimeout = 2\ndeadline = 2\nauthen_timeout = 2\n[mapping]\nmode = local\n\
         [server s]\naddress = unix:{path}\nsecret = {secret}\n"
    );
    Config::parse(text.as_bytes(), &HostFacts::default()).expect("a good configuration")
});

/// One connection: a reply for each request, as long as there are any.
fn serve(mut stream: UnixStream) -> std::io::Result<()> {
    let script = SCRIPT.lock().expect("a lock").clone();
    let mut rest = script.as_slice();
    loop {
        let mut request = vec![0; HEADER];
        stream.read_exact(&mut request)?;
        let length = u32::from_be_bytes(request[8..12].try_into().expect("four bytes"));
        let mut body = vec![0; length as usize];
        stream.read_exact(&mut body)?;
        let Some((reply, faulty)) = next(&request, &mut rest) else { return Ok(()) };
        *LAST.lock().expect("a lock") = Some((request, reply.clone()));
        stream.write_all(&reply)?;
        if faulty {
            // The client may wait for more than there is.
            return stream.shutdown(Shutdown::Both);
        }
    }
}

/// The next reply of the script, and whether something in it is wrong.
fn next(request: &[u8], rest: &mut &[u8]) -> Option<(Vec<u8>, bool)> {
    let (wrong, more) = rest.split_first()?;
    *rest = more;
    let mask = if wrong & MASKED_HEADER == 0 {
        [0; HEADER]
    } else {
        *take(rest, HEADER)?.first_chunk()?
    };
    let length = u16::from_be_bytes(*take(rest, 2)?.first_chunk()?);
    let length = usize::from(length).min(rest.len());
    let body = take(rest, length)?;
    let mut header = request.to_vec();
    header[2] = header[2].wrapping_add(1);
    header[8..12].copy_from_slice(&u32::try_from(length).ok()?.to_be_bytes());
    if wrong & CLEAR != 0 {
        header[3] |= 1;
    }
    for (byte, mask) in header.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    let secret: &[u8] = if wrong & OTHER_SECRET == 0 { SECRET } else { b"another secret" };
    let mut reply = header.clone();
    reply.extend(obfuscated(secret, &header, body));
    if wrong & CUT_OFF != 0 {
        reply.pop();
    }
    Some((reply, *wrong != 0))
}

fn take<'s>(rest: &mut &'s [u8], length: usize) -> Option<&'s [u8]> {
    let (taken, more) = rest.split_at_checked(length)?;
    *rest = more;
    Some(taken)
}

/// The pad of RFC 8907 section 4.5, in as few words as it takes.
fn obfuscated(secret: &[u8], header: &[u8], body: &[u8]) -> Vec<u8> {
    let mut sum: Vec<u8> = Vec::new();
    let mut out = Vec::new();
    for chunk in body.chunks(16) {
        let known = [&header[4..8], secret, &header[0..1], &header[2..3], &sum].concat();
        sum = Md5::digest(&known).to_vec();
        out.extend(chunk.iter().zip(&sum).map(|(byte, pad)| byte ^ pad));
    }
    out
}

/// Whether the last reply is one that lets somebody through: its status, at this place, is
/// one of these, and what stands behind its fixed fields is as long as they say.
fn is_pass(at: usize, passes: &[u8], fixed: usize, lengths: fn(&[u8]) -> usize) -> bool {
    let last = LAST.lock().expect("a lock");
    let Some((request, reply)) = last.as_ref() else { return false };
    let Some((header, body)) = reply.split_at_checked(HEADER) else { return false };
    let said = u32::from_be_bytes(header[8..12].try_into().expect("four bytes"));
    let body = obfuscated(SECRET, header, body);
    let header_is_right = header[0..2] == request[0..2]
        && header[2] == request[2].wrapping_add(1)
        && header[3] & 1 == 0
        && header[4..8] == request[4..8]
        && said as usize == body.len();
    header_is_right
        && body.len() >= fixed
        && passes.contains(&body[at])
        && body.len() == fixed + lengths(&body)
}

fn two(body: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([body[at], body[at + 1]]))
}

fuzz_target!(|data: &[u8]| {
    let Some((operation, script)) = data.split_first() else { return };
    *SCRIPT.lock().expect("a lock") = script.to_vec();
    *LAST.lock().expect("a lock") = None;
    let mut client = Client::new(&CONFIG);
    let password = Secret::from_slice(b"a password");
    let who = Who {
        user: "alice",
        port: "tty1",
        rem_addr: "192.0.2.7",
        priv_lvl: PrivLvl::USER,
        service: AuthenService::Login,
    };
    let mut args = ArgumentsBuf::new();
    args.mandatory("service", b"shell").expect("an argument");
    args.mandatory("cmd", b"").expect("an argument");
    let request = AuthorRequest {
        authen_method: AuthenMethod::TacacsPlus,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::Pap,
        authen_service: AuthenService::Login,
        user: b"alice",
        port: b"tty1",
        rem_addr: b"192.0.2.7",
        args: args.as_arguments(),
    };
    match operation % 4 {
        0 | 1 => {
            let way = if operation % 4 == 0 { Way::Pap(&password) } else { Way::Ascii };
            let ask = &mut |_: &Ask<'_>| Some(Secret::from_slice(b"an answer"));
            let passed = client.authenticate(&who, way, ask).is_pass();
            let texts = |body: &[u8]| two(body, 2) + two(body, 4);
            assert!(!passed || is_pass(0, &[1], 6, texts));
        }
        2 => {
            let passed = client.authorize(&request).is_pass();
            let texts = |body: &[u8]| {
                let count = usize::from(body[1]);
                let arguments: usize = body[6..].iter().take(count).map(|n| usize::from(*n)).sum();
                count + arguments + two(body, 2) + two(body, 4)
            };
            assert!(!passed || is_pass(0, &[1, 2], 6, texts));
        }
        _ => {
            // A START: flags, then what an authorization has.
            let mut record = vec![2, 6, 1, 2, 1, 5, 4, 9, 1, 9];
            record.extend(b"alicetty1192.0.2.7task_id=7");
            let passed = client.account(&record).is_pass();
            let texts = |body: &[u8]| two(body, 0) + two(body, 2);
            assert!(!passed || is_pass(4, &[1], 5, texts));
        }
    }
});
