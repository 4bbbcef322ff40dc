//! A PAM handle and a server for the tests of the phases: both play a script and
//! remember what they saw.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use tacacs_common::identity::{self, Store};
use tacacs_common::obfuscate::Protection;
use tacacs_common::packet::{
    AcctReply, AcctRequest, AcctStatus, Action, Arguments, ArgumentsBuf, AuthenContinue,
    AuthenMethod, AuthenService, AuthenStart, AuthenStatus, AuthenType, AuthorReply, AuthorRequest,
    AuthorStatus, Body, HEADER_LEN, Header, PacketType,
};
use tacacs_common::secret::Secret;

use crate::call::{Call, Now, Site};
use crate::handle::{Account, Handle, Item, Level, Memory, Note, Token};
use crate::outcome::{End, Phase};

const SECRET: &str = "a secret for tests only";

const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nalice:x:1001:1001::/home/alice:/bin/sh\n";

/// A handle that answers from lists.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) user: String,
    pub(crate) service: String,
    pub(crate) answers: VecDeque<&'static str>,
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) old_password: Option<Vec<u8>>,
    pub(crate) env: Vec<String>,
    /// What modules leave for each other.
    pub(crate) data: Vec<(String, String)>,
    /// The longest wait that was asked for in the case of a refusal.
    pub(crate) delay: Option<Duration>,
    /// What a lookup of the user says: uid and gid, and the shell where it is not bash. As
    /// our own module, what is stored here, if it says nothing else.
    pub(crate) account: Option<(u32, u32)>,
    pub(crate) shell: Option<&'static str>,
    pub(crate) store: PathBuf,
    /// A lookup finds nobody, or fails with this error number.
    pub(crate) lost: Option<i32>,
    /// What was asked, and whether the answer may be shown.
    pub(crate) asked: Vec<(bool, String)>,
    pub(crate) told: Vec<(Note, String)>,
    pub(crate) log: RefCell<Vec<(Level, String)>>,
}

impl Fake {
    fn slot(&mut self, token: Token) -> &mut Option<Vec<u8>> {
        match token {
            Token::Password => &mut self.password,
            Token::OldPassword => &mut self.old_password,
        }
    }
}

impl Handle for Fake {
    fn user(&mut self) -> Option<String> {
        Some(self.user.clone())
    }

    fn item(&self, item: Item) -> Option<String> {
        Some(match item {
            Item::Service => self.service.clone(),
            Item::Tty => "/dev/pts/7".to_owned(),
            Item::Rhost => "192.0.2.7".to_owned(),
        })
    }

    fn token(&self, token: Token) -> Option<Secret> {
        let slot = match token {
            Token::Password => &self.password,
            Token::OldPassword => &self.old_password,
        };
        slot.as_deref().map(Secret::from_slice)
    }

    fn set_token(&mut self, token: Token, value: &Secret) -> bool {
        *self.slot(token) = Some(value.expose().to_vec());
        true
    }

    fn account(&self, name: &str) -> io::Result<Option<Account>> {
        match self.lost {
            Some(0) => return Ok(None),
            Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
            None => {}
        }
        if let Some((uid, gid)) = self.account {
            return Ok(Some(Account {
                uid,
                gid,
                home: format!("/home/{name}"),
                shell: self.shell.unwrap_or("/bin/bash").to_owned(),
            }));
        }
        let stored = Store::open(&self.store).and_then(|store| store.by_name(name.as_bytes()));
        let active = stored
            .ok()
            .flatten()
            .filter(|entry| entry.state == identity::State::Active);
        Ok(active.map(|entry| Account {
            uid: entry.uid,
            gid: entry.gid,
            home: entry.home,
            shell: entry.shell,
        }))
    }

    fn set_env(&mut self, name: &str, value: &str) -> bool {
        self.env.push(format!("{name}={value}"));
        true
    }

    fn delay_failure(&mut self, time: Duration) {
        self.delay = self.delay.max(Some(time));
    }

    fn env(&self, name: &str) -> Option<String> {
        let mut all = self.env.iter().rev();
        all.find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='))
            .map(str::to_owned)
    }

    fn unset_env(&mut self, name: &str) {
        let start = format!("{name}=");
        self.env.retain(|variable| !variable.starts_with(&start));
    }

    fn set_data(&mut self, name: &str, value: &str) -> bool {
        self.data.push((name.to_owned(), value.to_owned()));
        true
    }

    fn ask(&mut self, echo: bool, prompt: &str) -> Option<Secret> {
        self.asked.push((echo, prompt.to_owned()));
        self.answers
            .pop_front()
            .map(|answer| Secret::from_slice(answer.as_bytes()))
    }

    fn tell(&mut self, note: Note, text: &str) {
        self.told.push((note, text.to_owned()));
    }

    fn log(&self, level: Level, line: &str) {
        self.log.borrow_mut().push((level, line.to_owned()));
    }
}

/// A host of one login: files in a folder of its own.
pub(crate) struct Host {
    folder: tempfile::TempDir,
    pub(crate) site: Site,
    pub(crate) handle: Fake,
    pub(crate) memory: Memory,
    pub(crate) words: Vec<&'static str>,
    pub(crate) silent: bool,
}

impl Host {
    /// Alice, a local user, in mode `local`, and servers at these addresses.
    pub(crate) fn new(servers: &[SocketAddr], global: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let mut conf = format!("[global]\n{global}\n[mapping]\nmode = local\n");
        for (index, server) in servers.iter().enumerate() {
            conf += &format!("[server s{index}]\naddress = {server}\nsecret = {SECRET}\n");
        }
        fs::write(path.join("passwd"), PASSWD).unwrap();
        fs::create_dir(path.join("proc")).unwrap();
        let site = Site {
            conf: path.join("tacplus.conf"),
            passwd: path.join("passwd"),
            group: path.join("group"),
            shells: path.join("shells"),
            identity: path.join("lib/identity"),
            hold_down: path.join("run/servers"),
            dialogues: path.join("run/dialogues"),
            spool: path.join("spool/pam"),
            sessions: path.join("run/sessions"),
            proc: path.join("proc"),
            systemd: path.join("systemd"),
            pam: vec![path.join("pam.d")],
            now: Now {
                unix: 1_700_000_000,
                boot: Duration::from_millis(5_500),
            },
            millis: 1_700_000_000_000,
            setuid: false,
            caller: None,
            pid: 7,
        };
        let handle = Fake {
            user: "alice".to_owned(),
            service: "sshd".to_owned(),
            store: site.identity.clone(),
            ..Fake::default()
        };
        let host = Self {
            folder,
            site,
            handle,
            memory: Memory::default(),
            words: Vec::new(),
            silent: false,
        };
        host.conf(&conf);
        host
    }

    /// Another configuration file.
    pub(crate) fn conf(&self, text: &str) {
        fs::write(&self.site.conf, text).unwrap();
        fs::set_permissions(&self.site.conf, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn answers(mut self, answers: &[&'static str]) -> Self {
        self.handle.answers = answers.iter().copied().collect();
        self
    }

    pub(crate) fn words(mut self, words: &[&'static str]) -> Self {
        self.words = words.to_vec();
        self
    }

    /// Puts this process into an audit session.
    pub(crate) fn audit(&self, session: &str, login_uid: &str) {
        fs::write(self.folder.path().join("proc/sessionid"), session).unwrap();
        fs::write(self.folder.path().join("proc/loginuid"), login_uid).unwrap();
    }

    /// Lets the program that logs in have started this long ago.
    pub(crate) fn running_for(&mut self, millis: u64) {
        let start = (5_500 - millis) / 10;
        let stat = format!("7 (sshd) S 1 7 7 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 {start} 9\n");
        fs::write(self.site.proc.join("stat"), stat).unwrap();
        let _ = std::os::unix::fs::symlink("/usr/sbin/sshd", self.site.proc.join("exe"));
    }

    pub(crate) fn run(&mut self, phase: Phase, run: fn(&mut Call<'_>) -> End) -> End {
        let Self {
            site,
            handle,
            memory,
            words,
            silent,
            ..
        } = self;
        run(&mut Call::new(handle, memory, site, words, phase, *silent))
    }

    /// The log so far, a line each.
    pub(crate) fn log(&self) -> String {
        let lines = self.handle.log.borrow();
        lines
            .iter()
            .map(|(level, line)| format!("{level:?}: {line}\n"))
            .collect()
    }
}

/// What a server saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Start {
        action: Action,
        authen_type: AuthenType,
        service: AuthenService,
        user: String,
        port: String,
        rem_addr: String,
        data: Vec<u8>,
    },
    Continue {
        user_msg: String,
        abort: bool,
    },
    Author {
        method: AuthenMethod,
        authen_type: AuthenType,
        user: String,
        args: Vec<String>,
    },
    Acct {
        flags: u8,
        user: String,
        args: Vec<String>,
    },
    /// A body that its secret did not open.
    Noise,
}

/// What a server says to a packet.
#[derive(Clone)]
pub(crate) enum Say {
    Authen(AuthenStatus, &'static str),
    /// A question with the NOECHO flag.
    Hidden(AuthenStatus, &'static str),
    Author(AuthorStatus, &'static [&'static str]),
    Acct(AcctStatus),
    Close,
}

/// A server that says its lines, one a packet, and then closes connections.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

struct State {
    script: VecDeque<Say>,
    seen: Vec<Seen>,
    connections: usize,
    single_connect: bool,
}

impl Server {
    pub(crate) fn start(script: &[Say]) -> Self {
        Self::listen(script, false)
    }

    /// One that agrees to several sessions on a connection.
    pub(crate) fn single_connect(script: &[Say]) -> Self {
        Self::listen(script, true)
    }

    /// An address where nobody is.
    pub(crate) fn nowhere() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    }

    fn listen(script: &[Say], single_connect: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = script.iter().cloned().collect();
        let state = State {
            script,
            seen: Vec::new(),
            connections: 0,
            single_connect,
        };
        let state = Arc::new((Mutex::new(state), Condvar::new()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&shared);
                state.0.lock().unwrap().connections += 1;
                thread::spawn(move || serve(&mut stream.unwrap(), &state));
            }
        });
        Self { address, state }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.0.lock().unwrap().seen.clone()
    }

    /// The same, once there is as much of it: nobody waits for an ABORT to arrive.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Seen> {
        let (state, news) = &*self.state;
        let few = |state: &mut State| state.seen.len() < count;
        let limit = Duration::from_secs(10);
        news.wait_timeout_while(state.lock().unwrap(), limit, few)
            .unwrap()
            .0
            .seen
            .clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.0.lock().unwrap().connections
    }
}

/// Talks until either side has had enough.
fn serve(stream: &mut TcpStream, (state, news): &(Mutex<State>, Condvar)) -> Option<()> {
    let secret = Secret::from_slice(SECRET.as_bytes());
    let protection = Protection::Obfuscated(&secret);
    loop {
        let mut head = [0; HEADER_LEN];
        stream.read_exact(&mut head).ok()?;
        let mut header = Header::decode(&head).unwrap();
        let mut body = vec![0; header.length.try_into().unwrap()];
        stream.read_exact(&mut body).ok()?;
        protection.apply(&header, &mut body);
        let say = {
            let mut state = state.lock().unwrap();
            state.seen.push(saw(&header, &body).unwrap_or(Seen::Noise));
            news.notify_all();
            header.flags.single_connect &= state.single_connect;
            state.script.pop_front()
        };
        let mut reply = say.and_then(|say| encode(&say))?;
        header.seq_no += 1;
        header.length = reply.len().try_into().unwrap();
        protection.apply(&header, &mut reply);
        stream
            .write_all(&[&header.encode(), reply.as_slice()].concat())
            .ok()?;
    }
}

fn saw(header: &Header, body: &[u8]) -> Option<Seen> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let args = |args: Arguments<'_>| args.raw().map(text).collect();
    Some(match header.packet_type {
        PacketType::Author => {
            let request = AuthorRequest::decode(body).ok()?;
            Seen::Author {
                method: request.authen_method,
                authen_type: request.authen_type,
                user: text(request.user),
                args: args(request.args),
            }
        }
        PacketType::Acct => {
            let request = AcctRequest::decode(body).ok()?;
            let about = request.about;
            Seen::Acct {
                flags: request.flags,
                user: text(about.user),
                args: args(about.args),
            }
        }
        _ if header.seq_no == 1 => {
            let start = AuthenStart::decode(body).ok()?;
            Seen::Start {
                action: start.action,
                authen_type: start.authen_type,
                service: start.authen_service,
                user: text(start.user),
                port: text(start.port),
                rem_addr: text(start.rem_addr),
                data: start.data.to_vec(),
            }
        }
        _ => {
            let answer = AuthenContinue::decode(body).ok()?;
            Seen::Continue {
                user_msg: text(answer.user_msg),
                abort: answer.abort,
            }
        }
    })
}

fn encode(say: &Say) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match *say {
        Say::Close => return None,
        Say::Authen(status, text) | Say::Hidden(status, text) => {
            let no_echo = matches!(say, Say::Hidden(..));
            // By hand: a hostile server's text would not get past the encoder.
            let [high, low] = u16::try_from(text.len()).unwrap().to_be_bytes();
            out.extend([status.to_wire(), no_echo.into(), high, low, 0, 0]);
            out.extend(text.as_bytes());
            Ok(())
        }
        Say::Author(status, list) => {
            let mut args = ArgumentsBuf::new();
            list.iter()
                .for_each(|arg| args.push_raw(arg.as_bytes()).unwrap());
            let args = args.as_arguments();
            AuthorReply {
                status,
                server_msg: b"",
                data: b"",
                args,
            }
            .encode(&mut out)
        }
        Say::Acct(status) => AcctReply {
            status,
            server_msg: b"",
            data: b"",
        }
        .encode(&mut out),
    }
    .unwrap();
    Some(out)
}
