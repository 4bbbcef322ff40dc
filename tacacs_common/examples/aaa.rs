//! Authenticates a user, authorizes a command and accounts for it, with the library
//! that every program of this workspace uses.
//!
//! ```text
//! TACACS_PLUS_PWD=password cargo run -p tacacs_common --example aaa -- \
//!     192.0.2.1 /etc/tacplus/primary.secret alice
//! ```
#![allow(clippy::print_stdout, reason = "an example shows what it got")]

use std::error::Error;
use std::os::unix::ffi::OsStringExt;

use tacacs_common::client::{Client, Way};
use tacacs_common::config::{Address, Config, SecretSource, Server};
use tacacs_common::exchange::authen::Who;
use tacacs_common::outcome::Outcome;
use tacacs_common::packet::{
    AcctRecord, AcctRequest, ArgumentsBuf, AuthenMethod, AuthenService, AuthenType, AuthorRequest,
    Body, PrivLvl,
};
use tacacs_common::secret::Secret;

const PORT: &str = "tty0";
const REM_ADDR: &str = "127.0.0.1";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, key_file, user] = arguments.as_slice() else {
        return Err("give a server, the file with its shared secret, and a user".into());
    };
    let password = std::env::var_os("TACACS_PLUS_PWD").ok_or("set TACACS_PLUS_PWD")?;
    let password = Secret::new(password.into_vec());

    // A configuration as /etc/tacplus.conf would give it: `Config::load` reads that.
    let address = Address::parse(server, 49).ok_or("the server is not an address")?;
    let secret = SecretSource::file(key_file.into(), "the second argument");
    let config = Config {
        servers: vec![Server::new(server, address, Some(secret))],
        ..Config::default()
    };
    let mut client = Client::new(&config);

    // Authenticate the user with a password.
    let who = Who {
        user,
        port: PORT,
        rem_addr: REM_ADDR,
        priv_lvl: PrivLvl::USER,
        service: AuthenService::Login,
    };
    // PAP asks nothing; with `Way::Ascii` this answers the server's questions.
    let outcome = client.authenticate(&who, Way::Pap(&password), &mut |_question| None);
    println!("authenticate: {}", verdict(&outcome));

    // Authorize the user for a command.
    let show_version = arguments_of(&["service=shell", "cmd=show", "cmd-arg=version"])?;
    let outcome = client.authorize(&about(user, &show_version));
    println!("authorize: {}", verdict(&outcome));
    if let Outcome::Pass(granted) = &outcome {
        for pair in granted.args.as_arguments().raw() {
            println!("    {}", tacacs_common::escape::line(pair));
        }
    }

    // Account for a session: it starts, goes on with another command, and stops. One
    // task_id holds the records together.
    let start = ["task_id=1", "service=shell", "cmd=show", "cmd-arg=version"];
    let update = ["task_id=1", "service=shell", "cmd=debug", "cmd-arg=aaa"];
    let stop = ["task_id=1", "service=shell", "cmd=exit"];
    let records = [
        ("start", AcctRecord::Start, &start[..]),
        ("update", AcctRecord::Update, &update),
        ("stop", AcctRecord::Stop, &stop),
    ];
    for (name, record, pairs) in records {
        let args = arguments_of(pairs)?;
        let request = AcctRequest {
            flags: record.to_wire(),
            about: about(user, &args),
        };
        let mut body = Vec::new();
        request.encode(&mut body)?;
        println!("account {name}: {}", verdict(&client.account(&body)));
    }
    Ok(())
}

fn arguments_of(pairs: &[&str]) -> Result<ArgumentsBuf, tacacs_common::packet::Error> {
    let mut args = ArgumentsBuf::new();
    for pair in pairs {
        args.push_raw(pair.as_bytes())?;
    }
    Ok(args)
}

fn about<'a>(user: &'a str, args: &'a ArgumentsBuf) -> AuthorRequest<'a> {
    AuthorRequest {
        authen_method: AuthenMethod::TacacsPlus,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::Pap,
        authen_service: AuthenService::Login,
        user: user.as_bytes(),
        port: PORT.as_bytes(),
        rem_addr: REM_ADDR.as_bytes(),
        args: args.as_arguments(),
    }
}

/// The three outcomes stay apart: a denial is final, a server that cannot be
/// reached says nothing about the user.
fn verdict<T>(outcome: &Outcome<T>) -> String {
    match outcome {
        Outcome::Pass(_) => "PASS!".to_owned(),
        Outcome::Deny(denial) => format!("FAIL! {}", denial.reason),
        Outcome::Unreachable(why) => format!("no answer: {why}"),
    }
}
