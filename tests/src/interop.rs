//! Other people's TACACS+ clients.

use crate::{Output, Result, Stage, artefacts, peer};

/// The `tacacs_client` of PyPI as user alice, with [`peer::SECRET`].
pub fn pypi(stage: &Stage, host: &str, authen_type: &str, args: &[&str]) -> Result<Output> {
    let program = artefacts::workspace().join("target/interop/bin/tacacs_client");
    if !program.is_file() {
        return Err("the client of PyPI is missing: run `make setup`".into());
    }
    let program = program.display().to_string();
    let mut all = vec![
        "-u",
        "alice",
        "-H",
        host,
        "-k",
        peer::SECRET,
        "-t",
        authen_type,
        "-v",
    ];
    if host.contains(':') {
        all.push("-6");
    }
    all.extend(args);
    // For CHAP it asks for an id and a challenge.
    let asked = "printf '7\\nsixteen bytes...\\n' | \"$0\" \"$@\"";
    stage.run("sh", &[&["-c", asked, &program], &all[..]].concat())
}

/// What the `tacacs_plus` of PyPI is told when this user asks for a level with this
/// password. Its `authenticate` does all of it; the service of what it sends is LOGIN
/// unless its START is changed, which its command line cannot.
pub fn pypi_enable(
    stage: &Stage,
    user: &str,
    authen_type: &str,
    level: u8,
    password: &str,
) -> Result<Output> {
    const PROGRAM: &str = "
import sys
from tacacs_plus import client, flags
ENABLE = 2  # TAC_PLUS_AUTHEN_SVC_ENABLE, which its flags do not have
class Start(client.TACACSAuthenticationStart):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.service = ENABLE
client.TACACSAuthenticationStart = Start
secret, user, kind, level, password = sys.argv[1:]
server = client.TACACSClient('127.0.0.1', 49, secret, timeout=5)
reply = server.authenticate(user, password, priv_lvl=int(level),
    authen_type=flags.TAC_PLUS_AUTHEN_TYPES[kind],
    chap_ppp_id='7', chap_challenge='sixteen bytes...')
print(reply.human_status)
";
    let python = artefacts::workspace().join("target/interop/bin/python");
    if !python.is_file() {
        return Err("the client of PyPI is missing: run `make setup`".into());
    }
    let level = level.to_string();
    let args = [
        "-c",
        PROGRAM,
        peer::SECRET,
        user,
        authen_type,
        &level,
        password,
    ];
    stage.run(&python.display().to_string(), &args)
}

/// Perl's Authen::TacacsPlus as user alice: prints `pass`, or why not. The type is one
/// of its own names or any number; what goes with it is a password, or for a challenge
/// identifier, challenge and response, which it leaves to its caller.
pub fn perl(stage: &Stage, authen_type: &str, data: &[u8]) -> Result<Output> {
    const PROGRAM: &str = "
use Authen::TacacsPlus;
my ($secret, $type, $data) = @ARGV;
my $server = Authen::TacacsPlus->new(
    Host => '127.0.0.1', Port => 49, Key => $secret, Timeout => 5)
    or die Authen::TacacsPlus::errmsg();
my $name = \"Authen::TacacsPlus::TAC_PLUS_AUTHEN_TYPE_$type\";
$type = &$name() unless $type =~ /^[0-9]+$/;
my $passed = $server->authen('alice', pack('H*', $data), $type);
print $passed ? 'pass' : Authen::TacacsPlus::errmsg(), \"\\n\";
";
    let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
    stage.run("perl", &["-e", PROGRAM, peer::SECRET, authen_type, &hex])
}
