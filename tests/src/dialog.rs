//! A program that asks questions on a terminal, and the answers to give.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::artefacts::OWN;
use crate::{Output, Result, Stage};

/// What the helper program `answer` reads on its standard input.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Script {
    /// Questions and answers in order.
    pub steps: Vec<Step>,
    /// Seconds the whole dialog may last; longer ends it with exit code 124.
    pub limit: u64,
}

/// Wait for `expect` on the terminal, wait `delay` milliseconds more, type `send`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Step {
    /// A piece of text that has not yet been waited for.
    pub expect: String,
    /// How long the person takes to type, in milliseconds.
    pub delay: u64,
    /// The line typed, without its end.
    pub send: String,
}

/// A command and the conversation with it. It gets a terminal of its own as
/// standard input, standard error and controlling terminal; its standard output
/// stays apart in [`Output::stdout`].
#[must_use]
pub struct Dialog<'a> {
    stage: &'a Stage,
    command: Vec<String>,
    script: Script,
}

impl<'a> Dialog<'a> {
    pub(crate) fn new(stage: &'a Stage, command: &[&str]) -> Self {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Self {
            stage,
            command,
            script: Script {
                steps: Vec::new(),
                limit: 50,
            },
        }
    }

    /// Runs the command as this user of the stage, as if logged in on a console.
    pub fn as_user(mut self, user: &str) -> Self {
        let identity = [format!("--reuid={user}"), format!("--regid={user}")];
        let head = ["setpriv".to_owned()].into_iter().chain(identity);
        self.command = head
            .chain(["--init-groups".to_owned()])
            .chain(self.command)
            .collect();
        self
    }

    /// Shows the command's standard output on the terminal too, where questions
    /// are looked for: for a terminal within a terminal.
    pub fn all_on_terminal(mut self) -> Self {
        let shell = ["sh", "-c", "exec \"$@\" >&2", "sh"].map(str::to_owned);
        self.command = shell.into_iter().chain(self.command).collect();
        self
    }

    /// When the terminal shows `question`, `text` and a return are typed.
    pub fn answer(self, question: &str, text: &str) -> Self {
        self.answer_after(question, Duration::ZERO, text)
    }

    /// The same by a person who takes some time.
    pub fn answer_after(mut self, question: &str, time: Duration, text: &str) -> Self {
        let delay = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.script.steps.push(Step {
            expect: question.into(),
            delay,
            send: text.into(),
        });
        self
    }

    /// Runs the command to its end.
    pub fn run(self) -> Result<Output> {
        let answer = format!("{OWN}/answer");
        let mut command = self.stage.enter(&[&answer]);
        let mut child = command
            .args(&self.command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(&serde_json::to_vec(&self.script)?)?;
        }
        Ok(child.wait_with_output()?.into())
    }
}
