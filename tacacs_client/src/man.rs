//! The manual pages: options from the command lines, the rest from `man/`.

use std::path::Path;

use clap::builder::Resettable;
use clap::{Command, CommandFactory};
use clap_mangen::Man;

/// A page of a program with everything about its subcommands.
fn page(command: Command, section: &str, rest: &str) -> String {
    let man = Man::new(command.clone())
        .section(section)
        .date("")
        .source("tacplus-rs")
        .manual("TACACS+");
    let mut out = Vec::new();
    man.render_title(&mut out).unwrap();
    man.render_name_section(&mut out).unwrap();
    man.render_synopsis_section(&mut out).unwrap();
    man.render_description_section(&mut out).unwrap();
    man.render_options_section(&mut out).unwrap();
    let mut out = String::from_utf8(out).unwrap();
    out.push_str(".SH ACTIONS\n");
    actions(&command, command.get_name(), &mut out);
    format!("{out}{rest}")
}

fn actions(command: &Command, path: &str, out: &mut String) {
    for sub in command.get_subcommands() {
        let path = format!("{path} {}", sub.get_name());
        if sub.has_subcommands() {
            actions(sub, &path, out);
            continue;
        }
        out.push_str(&format!(
            ".SS {path}\n{}\n",
            sub.get_about().unwrap_or_default()
        ));
        // Alone, without the options of the whole program that they conflict with.
        let arguments = sub
            .get_arguments()
            .map(|argument| argument.clone().conflicts_with(Resettable::Reset));
        let own = Command::new("action")
            .disable_help_flag(true)
            .args(arguments);
        let own = Man::new(own);
        let mut options = Vec::new();
        own.render_options_section(&mut options).unwrap();
        let options = String::from_utf8(options).unwrap();
        // Up to here is the document's preamble and the heading of a section.
        out.push_str(options.split_once(".SH OPTIONS\n").unwrap().1);
    }
}

/// Compares a page with the one that is checked in, or writes it.
fn is_checked_in(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging/man")
        .join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).is_ok_and(|found| found == page),
        "{name} is not what the command line says: UPDATE=1 cargo test -p tacacs_client man"
    );
}

#[test]
fn the_page_of_the_client_says_what_its_command_line_says() {
    let rest = include_str!("../man/tacacs_client.roff");
    is_checked_in(
        "tacacs_client.1",
        &page(crate::args::Cli::command(), "1", rest),
    );
}

#[test]
fn the_page_of_the_administration_command_says_what_its_command_line_says() {
    let rest = include_str!("../man/tacplus.roff");
    is_checked_in("tacplus.8", &page(crate::admin::Cli::command(), "8", rest));
}
