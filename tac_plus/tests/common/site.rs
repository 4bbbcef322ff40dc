//! A server with TLS and everything that its clients need.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::certificates::{Authority, Holder, Secured};
use super::{CONFIGURATION, Server, V1, pap};

/// A server with TLS, and what its clients need.
pub struct Site {
    pub server: Server,
    pub address: SocketAddr,
    pub authority: Authority,
    pub folder: tempfile::TempDir,
}

/// The client entry of a router, with the names its certificate may have.
pub const ROUTER: &str = "host = 127.0.0.1 { tls name = r1.example.net tls name = 192.0.2.7 \
                      tls name = \"R2.example.net\" }\n";

impl Site {
    pub fn start() -> Self {
        Self::with("")
    }

    /// `extra` is for the configuration; `FOLDER` in it is where certificates are.
    pub fn with(extra: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("test authority");
        authority.server().write(folder.path(), "server");
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        fs::write(folder.path().join("crl.pem"), authority.crl(&[], 2099)).unwrap();
        let mut server = Server::start(&configuration(folder.path(), ROUTER, extra));
        let line = server.wait_for_line("listening for TLS on");
        let address = line.rsplit(' ').next().unwrap().parse().unwrap();
        Self {
            server,
            address,
            authority,
            folder,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn router(&self) -> Holder {
        self.authority.client(&["r1.example.net"])
    }

    pub fn connect(&self, holder: &Holder) -> Secured {
        Secured::connect(self.address, &holder.config(&self.authority))
    }

    pub fn reload(&mut self, hosts: &str, extra: &str) {
        let text = format!(
            "accounting file = {}\n{}",
            self.server.accounting_path().display(),
            configuration(self.folder.path(), hosts, extra)
        );
        fs::write(self.server.configuration_path(), text).unwrap();
        self.server.signal("HUP");
        self.server.wait_for_line("configuration reloaded");
    }

    /// Whether a login goes through with this certificate.
    pub fn admits(&self, holder: &Holder) -> bool {
        let login = pap("alice", "alice-pap");
        let reply = self.connect(holder).ask(1, V1, false, &login);
        reply.is_ok_and(|reply| reply.status() == "PASS")
    }
}

pub fn configuration(folder: &Path, hosts: &str, extra: &str) -> String {
    let users = CONFIGURATION.split_once("user = alice").unwrap().1;
    let folder = folder.display();
    format!(
        "tls listen = 127.0.0.1:0\ntls certificate = {folder}/server.pem\n\
         tls key = {folder}/server.key\ntls ca = {folder}/ca.pem\n{}\
         host = 127.0.0.9 {{ key = Kat-Secret-0123456789-abcdefghij }}\n\
         {hosts}user = alice{users}",
        extra.replace("FOLDER", &folder.to_string())
    )
}
