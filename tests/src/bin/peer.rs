#![forbid(unsafe_code)]
//! A TACACS+ server that does what its script says, however wrong, and writes
//! down what it saw: `peer ADDRESS SCRIPT LOG`. The words are in `e2e::peer`.
//!
//! A thread a connection. Must never help the client: a reply is made by hand,
//! byte by byte, and nothing is checked that the script did not ask for.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use e2e::peer::{Forged, Reply, Script, Seen, Step};
use tacacs_common::obfuscate::obfuscate;
use tacacs_common::packet::{
    AcctRequest, Arguments, AuthenContinue, AuthenStart, AuthorRequest, Body, HEADER_LEN, Header,
    PacketType,
};

fn main() -> e2e::Result {
    let mut args = std::env::args().skip(1);
    let (Some(address), Some(script), Some(log)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: peer ADDRESS SCRIPT LOG".into());
    };
    let script: Arc<Script> = Arc::new(serde_json::from_reader(File::open(script)?)?);
    let log = Arc::new(Mutex::new(OpenOptions::new().append(true).open(log)?));
    let start = |stream: Box<dyn Stream>, from: String, number: u32| {
        let (script, log) = (Arc::clone(&script), Arc::clone(&log));
        thread::spawn(move || {
            Connection {
                stream,
                from,
                number,
                script,
                log,
            }
            .serve()
        });
    };
    if let Some(path) = address.strip_prefix("unix:") {
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
        note(
            &log,
            &Seen {
                kind: "listening".into(),
                ..Seen::default()
            },
        )?;
        for (stream, number) in listener.incoming().zip(1..) {
            start(Box::new(stream?), "unix".into(), number);
        }
    } else {
        let listener = TcpListener::bind(address)?;
        note(
            &log,
            &Seen {
                kind: "listening".into(),
                ..Seen::default()
            },
        )?;
        for number in 1.. {
            let (stream, from) = listener.accept()?;
            start(Box::new(stream), from.ip().to_string(), number);
        }
    }
    Ok(())
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// One line of the log, at once.
fn note(log: &Mutex<File>, seen: &Seen) -> io::Result<()> {
    let mut line = serde_json::to_vec(seen)?;
    line.push(b'\n');
    log.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .write_all(&line)
}

struct Connection {
    stream: Box<dyn Stream>,
    from: String,
    number: u32,
    script: Arc<Script>,
    log: Arc<Mutex<File>>,
}

impl Connection {
    fn serve(mut self) -> io::Result<()> {
        self.note("connect", Seen::default())?;
        let ended = self.packets();
        self.note("close", Seen::default())?;
        ended
    }

    fn packets(&mut self) -> io::Result<()> {
        let mut header_bytes = [0; HEADER_LEN];
        while self.stream.read_exact(&mut header_bytes).is_ok() {
            let Ok(header) = Header::decode(&header_bytes) else {
                return self.note("malformed", Seen::default());
            };
            let mut body = vec![0; usize::try_from(header.length).unwrap_or(usize::MAX)];
            self.stream.read_exact(&mut body)?;
            if !header.flags.unencrypted {
                obfuscate(self.script.secret.as_bytes(), &header, &mut body);
            }
            let (kind, seen) = read(&header, &body).unwrap_or_default();
            let kind = if kind.is_empty() { "malformed" } else { kind };
            let own = self.script.acct_of.iter();
            let own = own.filter(|(user, _)| kind == "acct" && *user == seen.user);
            let own = own.map(|(_, step)| step.clone()).next();
            self.note(kind, seen)?;

            let steps = match header.packet_type {
                PacketType::Author => &self.script.author,
                PacketType::Acct => &self.script.acct,
                _ => &self.script.authen,
            };
            let number = usize::from(header.seq_no / 2);
            let step = own
                .or_else(|| steps.get(number).or(steps.last()).cloned())
                .unwrap_or(Step::Silence);
            match step {
                Step::Reply(reply) => {
                    thread::sleep(Duration::from_millis(reply.delay));
                    self.send(&header, &reply)?;
                }
                Step::Silence => {}
                Step::Close => return Ok(()),
            }
        }
        Ok(())
    }

    fn note(&self, kind: &str, seen: Seen) -> io::Result<()> {
        let from = self.from.clone();
        note(
            &self.log,
            &Seen {
                kind: kind.into(),
                connection: self.number,
                from,
                ..seen
            },
        )
    }

    fn send(&mut self, request: &Header, reply: &Reply) -> io::Result<()> {
        let mut body = encode(request.packet_type, reply);
        if reply.forged == Some(Forged::ShortBody) {
            body.truncate(1);
        }
        if reply.forged == Some(Forged::LongFields) {
            // The high byte of server_msg's length.
            let at = if request.packet_type == PacketType::Acct {
                0
            } else {
                2
            };
            body.get_mut(at).into_iter().for_each(|byte| *byte = 0x7F);
        }
        let mut header = request.encode();
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        header[8..].copy_from_slice(&length.to_be_bytes());
        header[2] = request.seq_no.wrapping_add(1);
        header[3] = u8::from(request.flags.unencrypted)
            | u8::from(self.script.single_connect && request.flags.single_connect) << 2;
        match reply.forged {
            Some(Forged::SessionId) => header[7] ^= 1,
            Some(Forged::SeqNo) => header[2] = request.seq_no.wrapping_add(3),
            Some(Forged::MinorVersion) => header[0] ^= 1,
            Some(Forged::PacketType) => header[1] = header[1] % 3 + 1,
            Some(Forged::Unencrypted) => header[3] |= 1,
            _ => {}
        }
        if header[3] & 1 == 0
            && let Ok(sent) = Header::decode(&header)
        {
            let wrong = reply.forged == Some(Forged::Secret);
            let secret = if wrong {
                "not the secret"
            } else {
                &self.script.secret
            };
            obfuscate(secret.as_bytes(), &sent, &mut body);
        }
        match reply.forged {
            Some(Forged::MajorVersion) => header[0] = 0xD0,
            Some(Forged::LongLength) => header[8] = 0x7F,
            Some(Forged::Status(status)) => {
                let at = if request.packet_type == PacketType::Acct {
                    4
                } else {
                    0
                };
                body.get_mut(at)
                    .into_iter()
                    .for_each(|byte| *byte ^= reply.status ^ status);
            }
            _ => {}
        }
        self.put(&header, &body, reply.forged)
    }

    fn put(&mut self, header: &[u8], body: &[u8], forged: Option<Forged>) -> io::Result<()> {
        let packet = [header, body].concat();
        match forged {
            Some(Forged::HeaderOnly) => self.stream.write_all(header),
            Some(Forged::CutOff) => {
                self.stream
                    .write_all(&packet[..header.len() + body.len() / 2])?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Some(Forged::Trickle) => {
                for byte in packet {
                    self.stream.write_all(&[byte])?;
                    thread::sleep(Duration::from_secs(1));
                }
                Ok(())
            }
            _ => self.stream.write_all(&packet),
        }
    }
}

/// The clear body of a reply (RFC 8907 sections 5.2, 6.2, 7.2).
fn encode(packet_type: PacketType, reply: &Reply) -> Vec<u8> {
    let message = u16::try_from(reply.message.len())
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    let lengths = [message[0], message[1], 0, 0];
    let mut body = Vec::new();
    match packet_type {
        PacketType::Acct => {
            body.extend(lengths);
            body.push(reply.status);
            body.extend(&reply.message);
        }
        PacketType::Author => {
            let length = |arg: &String| u8::try_from(arg.len()).unwrap_or(u8::MAX);
            body.push(reply.status);
            body.push(u8::try_from(reply.args.len()).unwrap_or(u8::MAX));
            body.extend(lengths);
            body.extend(reply.args.iter().map(length));
            body.extend(&reply.message);
            body.extend(reply.args.concat().bytes());
        }
        _ => {
            body.extend([reply.status, u8::from(reply.no_echo)]);
            body.extend(lengths);
            body.extend(&reply.message);
        }
    }
    body
}

/// What a clear request says; none when it cannot be read.
fn read(header: &Header, body: &[u8]) -> Option<(&'static str, Seen)> {
    let seen = Seen {
        session: format!("{:08x}", header.session_id),
        seq_no: header.seq_no,
        unencrypted: header.flags.unencrypted,
        ..Seen::default()
    };
    Some(match header.packet_type {
        PacketType::Authen if header.seq_no == 1 => {
            ("start", start(&AuthenStart::decode(body).ok()?, seen))
        }
        PacketType::Authen => {
            let packet = AuthenContinue::decode(body).ok()?;
            let kind = if packet.abort { "abort" } else { "continue" };
            (
                kind,
                Seen {
                    text: text(packet.user_msg),
                    ..seen
                },
            )
        }
        PacketType::Author => ("author", request(&AuthorRequest::decode(body).ok()?, seen)),
        PacketType::Acct => {
            let packet = AcctRequest::decode(body).ok()?;
            let record = packet.record().ok()?;
            let action = format!("{record:?}").to_uppercase();
            (
                "acct",
                Seen {
                    action,
                    ..request(&packet.about, seen)
                },
            )
        }
        PacketType::Unknown(_) => return None,
    })
}

fn start(packet: &AuthenStart<'_>, seen: Seen) -> Seen {
    Seen {
        action: packet.action.to_string(),
        authen_type: packet.authen_type.to_string(),
        service: packet.authen_service.to_string(),
        priv_lvl: packet.priv_lvl.level(),
        user: text(packet.user),
        port: text(packet.port),
        rem_addr: text(packet.rem_addr),
        text: text(packet.data),
        ..seen
    }
}

fn request(packet: &AuthorRequest<'_>, seen: Seen) -> Seen {
    Seen {
        authen_type: packet.authen_type.to_string(),
        service: packet.authen_service.to_string(),
        method: packet.authen_method.to_string(),
        priv_lvl: packet.priv_lvl.level(),
        user: text(packet.user),
        port: text(packet.port),
        rem_addr: text(packet.rem_addr),
        args: args(packet.args),
        ..seen
    }
}

fn args(args: Arguments<'_>) -> Vec<String> {
    args.raw().map(text).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
