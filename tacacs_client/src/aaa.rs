//! The actions `authenticate`, `authorize` and `account`.
//!
//! Owns what a request says. Must never print a password or a secret, also not with
//! `-d`.

use std::fmt::Arguments;

use tacacs_common::client::{Client, Way, getent};
use tacacs_common::config::Config;
use tacacs_common::escape;
use tacacs_common::exchange::authen::{Ask, Who};
use tacacs_common::exchange::author::grant;
use tacacs_common::outcome::Outcome;
use tacacs_common::packet::{
    AcctRequest, ArgumentsBuf, AuthenMethod, AuthenService, AuthorRequest, Body, PrivLvl,
};

use crate::answers::Answers;
use crate::args::{Account, Authenticate, Authorize, Cli, Common, Type};
use crate::exit::{Exit, Failure};
use crate::report::Report;
use crate::{NAME, output, servers};

/// Makes the request, lets `ask` put it to the servers, and prints the answer.
pub(crate) fn run(
    cli: &Cli,
    ask: impl FnOnce(&Request<'_>, &mut Client<'_>) -> Result<Report, Failure>,
) -> Result<Exit, Failure> {
    let Some(user) = cli.common.username.as_deref() else {
        return Err(Failure::usage("-u is missing: name the user"));
    };
    let config = servers::configuration(cli)?;
    let request = Request {
        common: &cli.common,
        user,
        authen_type: servers::authen_type(&cli.common, &config),
    };
    request.introduce(&config);
    let mut client = Client::new(&config).resolving_by(getent::within);
    let report = ask(&request, &mut client)?;
    request.passed_over(&mut client);
    print(&report, &cli.common);
    Ok(report.exit())
}

fn print(report: &Report, common: &Common) {
    if common.json {
        let json = serde_json::to_string(report).unwrap_or_default();
        output::result(format_args!("{json}\n"));
    } else if common.verbose {
        output::result(report.text());
    }
    if let Some(error) = report.error() {
        output::tell(NAME, error);
    }
}

/// What every request says.
pub(crate) struct Request<'a> {
    common: &'a Common,
    user: &'a str,
    authen_type: Type,
}

impl Request<'_> {
    pub(crate) fn authenticate(
        &self,
        client: &mut Client<'_>,
        with: &Authenticate,
    ) -> Result<Report, Failure> {
        if with.change_password && self.common.authen_type.is_some_and(|t| t != Type::Ascii) {
            return Err(Failure::usage(
                "--change-password is a dialogue: use it with -t ascii",
            ));
        }
        let mut answers = Answers::new(self.user, with);
        let authen_type = if with.change_password {
            Type::Ascii
        } else {
            self.authen_type
        };
        let password = match authen_type {
            Type::Ascii => None,
            _ => Some(answers.password()?),
        };
        let way = match (authen_type, &password) {
            (Type::Pap, Some(password)) => Way::Pap(password),
            (Type::Chap, Some(password)) => Way::Chap(password),
            (Type::Mschap, Some(password)) => Way::MsChap(password),
            (Type::Mschapv2, Some(password)) => Way::MsChapV2(password),
            _ if with.change_password => Way::ChangePassword,
            _ => Way::Ascii,
        };
        let (service, usual_level) = if with.enable {
            (AuthenService::Enable, PrivLvl::ROOT)
        } else {
            (AuthenService::Login, PrivLvl::MIN)
        };
        let who = Who {
            user: self.user,
            port: &self.common.virtual_port,
            rem_addr: &self.common.rem_addr,
            priv_lvl: self.priv_lvl().unwrap_or(usual_level),
            service,
        };
        let common = self.common;
        let outcome = client.authenticate(&who, way, &mut |ask: &Ask<'_>| {
            debug(
                common,
                format_args!(
                    "the server asks for {:?}: {}",
                    ask.what,
                    escape::line(ask.prompt)
                ),
            );
            answers.answer(ask)
        });
        match answers.take_failure() {
            Some(failure) => Err(failure),
            None => Ok(Report::of_accepted(outcome, "PASS")),
        }
    }

    pub(crate) fn authorize(
        &self,
        client: &mut Client<'_>,
        with: &Authorize,
    ) -> Result<Report, Failure> {
        let args = arguments(&with.cmds)?;
        let outcome = client.authorize(&self.about(&args));
        let refusal = match &outcome {
            Outcome::Pass(granted) => {
                // Every pair is handed to whoever called: none is unknown here.
                let handled: Vec<String> = granted
                    .args
                    .as_arguments()
                    .parsed()
                    .filter_map(|argument| String::from_utf8(argument.ok()?.name.to_vec()).ok())
                    .collect();
                let reply = granted.args.as_arguments();
                match grant(args.as_arguments(), granted.status, reply, &handled) {
                    Ok(granted) => self.level_too_low(granted.priv_lvl),
                    Err(refusal) => Some(refusal.to_string()),
                }
            }
            _ => None,
        };
        let report = Report::of_authorized(outcome);
        Ok(match refusal {
            Some(reason) => report.refuse(reason),
            None => report,
        })
    }

    /// A level below the one asked for is a refusal, as in other clients of this
    /// command line.
    fn level_too_low(&self, granted: Option<PrivLvl>) -> Option<String> {
        let (asked, granted) = (self.priv_lvl()?, granted?);
        (granted < asked).then(|| format!("priv-lvl {granted} was granted, -l asks for {asked}"))
    }

    pub(crate) fn account(
        &self,
        client: &mut Client<'_>,
        with: &Account,
    ) -> Result<Report, Failure> {
        let args = arguments(&with.cmds)?;
        let record = AcctRequest {
            flags: tacacs_common::packet::AcctRecord::from(with.flag).to_wire(),
            about: self.about(&args),
        };
        let mut body = Vec::new();
        record.encode(&mut body).map_err(Failure::usage)?;
        Ok(Report::of_accepted(client.account(&body), "SUCCESS"))
    }

    fn about<'r>(&'r self, args: &'r ArgumentsBuf) -> AuthorRequest<'r> {
        AuthorRequest {
            authen_method: AuthenMethod::TacacsPlus,
            priv_lvl: self.priv_lvl().unwrap_or(PrivLvl::MIN),
            authen_type: self.authen_type.into(),
            authen_service: AuthenService::Login,
            user: self.user.as_bytes(),
            port: self.common.virtual_port.as_bytes(),
            rem_addr: self.common.rem_addr.as_bytes(),
            args: args.as_arguments(),
        }
    }

    fn priv_lvl(&self) -> Option<PrivLvl> {
        self.common.priv_lvl.and_then(PrivLvl::new)
    }

    fn introduce(&self, config: &Config) {
        for server in &config.servers {
            debug(
                self.common,
                format_args!(
                    "server {} at {}, {} s to connect or answer",
                    server.name,
                    server.address,
                    server.timeout.as_secs()
                ),
            );
        }
        debug(
            self.common,
            format_args!(
                "user {}, port {}, rem_addr {}, authen_type {:?}",
                escape::line(self.user.as_bytes()),
                escape::line(self.common.virtual_port.as_bytes()),
                escape::line(self.common.rem_addr.as_bytes()),
                self.authen_type
            ),
        );
    }

    /// Servers that were passed over before one answered.
    fn passed_over(&self, client: &mut Client<'_>) {
        for (server, trouble) in client.take_troubles() {
            if self.common.verbose || self.common.debug {
                output::tell(NAME, format_args!("{server}: {trouble}"));
            }
        }
    }
}

/// The arguments of `-c`, in their order.
fn arguments(cmds: &[String]) -> Result<ArgumentsBuf, Failure> {
    let mut args = ArgumentsBuf::new();
    for cmd in cmds {
        args.push_raw(cmd.as_bytes()).map_err(|error| {
            Failure::usage(format!("-c {}: {error}", escape::line(cmd.as_bytes())))
        })?;
    }
    Ok(args)
}

fn debug(common: &Common, step: Arguments<'_>) {
    if common.debug {
        output::tell(NAME, format_args!("debug: {step}"));
    }
}
