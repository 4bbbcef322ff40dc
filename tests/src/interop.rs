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
    stage.run(&program, &all)
}
