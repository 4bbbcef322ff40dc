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

/// Perl's Authen::TacacsPlus as user alice: prints `pass` or `fail`. For CHAP it
/// leaves the response to its caller: id, challenge and response as one password.
pub fn perl(stage: &Stage, authen_type: &str, password: &str) -> Result<Output> {
    let secret = peer::SECRET;
    let program = format!(
        "use Authen::TacacsPlus;
        use Digest::MD5 'md5';
        my ($id, $challenge, $password) = ('7', 'sixteen bytes...', '{password}');
        $password = $id . $challenge . md5($id . $password . $challenge)
            if '{authen_type}' eq 'CHAP';
        my $server = Authen::TacacsPlus->new(
            Host => '127.0.0.1', Port => 49, Key => '{secret}', Timeout => 5)
            or die Authen::TacacsPlus::errmsg();
        my $type = Authen::TacacsPlus::TAC_PLUS_AUTHEN_TYPE_{authen_type}();
        print $server->authen('alice', $password, $type) ? \"pass\\n\" : \"fail\\n\";"
    );
    stage.run("perl", &["-e", &program])
}
