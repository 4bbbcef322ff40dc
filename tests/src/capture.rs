//! What went over the wire of a stage, as the dissector of Wireshark sees it.

use crate::{Daemon, Output, Result, Stage, wait};

const FILE: &str = "/var/log/capture.pcap";

/// A running capture of TCP port 49 on the stage's loopback interface.
pub struct Capture<'a> {
    stage: &'a Stage,
    _dumpcap: Daemon,
}

impl<'a> Capture<'a> {
    /// Starts it and waits until it sees packets.
    pub fn start(stage: &'a Stage) -> Result<Self> {
        let args = ["-q", "-P", "-i", "lo", "-f", "tcp port 49", "-w", FILE];
        let dumpcap = stage.spawn("dumpcap", "dumpcap", &args)?;
        stage.wait_for_line("/var/log/dumpcap.out", "File:")?;
        Ok(Self {
            stage,
            _dumpcap: dumpcap,
        })
    }

    /// Runs `tshark` on what was captured so far, with the shared secret.
    pub fn tshark(&self, secret: &str, args: &[&str]) -> Result<Output> {
        let key = format!("tacplus.key:{secret}");
        let mut all = vec!["-r", FILE, "-o", &key, "-d", "tcp.port==49,tacplus"];
        all.extend(args);
        self.stage.run("tshark", &all)
    }

    /// Waits until so many TACACS+ packets with these type and sequence numbers
    /// were captured.
    pub fn wait_for(&self, packet_type: u8, seq_no: u8, count: usize) -> Result {
        let filter = format!("tacplus.type == {packet_type} && tacplus.seqno == {seq_no}");
        wait::until(&format!("{count} packets with {filter}"), || {
            let found = self.tshark("", &["-Y", &filter]).ok()?;
            (found.stdout.lines().count() >= count).then_some(())
        })
    }

    /// Fails when the dissector complains about any packet captured so far.
    pub fn assert_clean(&self, secret: &str) -> Result {
        let complaints = "_ws.malformed || (tacplus && _ws.expert.severity >= 0x400000)";
        let found = self.tshark(secret, &["-Y", complaints, "-O", "tacplus"])?;
        if found.code == 0 && found.stdout.is_empty() {
            return Ok(());
        }
        Err(format!("the dissector complains: {found}").into())
    }
}
