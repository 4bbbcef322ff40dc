//! Documents made from the key table: the example file, the manual page
//! tacplus.conf(5) and the reference in Markdown.
//!
//! Owns their form and the prose around the keys. Must never state a name, a
//! default or a range of a key: those come from the table.

use std::fmt::Write;

use super::keys::{HELP, Help, KEYS, Key, Kind, Section};
use super::old;

const SECTIONS: [Section; 4] = [
    Section::Global,
    Section::Server,
    Section::Mapping,
    Section::Accounting,
];

const ABOUT: &str = "tacplus.conf is read by every TACACS+ program of this host: the PAM module, name lookups, the \
    accounting helper, the agent and the command-line clients. It holds sections, and keys with values. Unknown \
    keys and bad values are errors: a program that finds one says where it is and uses nothing of the file.";

const FORMAT: &[&str] = &[
    "One key = value stands on a line, below the heading of its section. Blanks around keys and values do not \
        count. An empty value means the default, or no names where a key takes names. A key stands once in a \
        section. Names are apart by blanks or commas.",
    "A comment starts at ; or # at the start of a line or after a blank. There is none inside a secret: the value \
        of secret is the rest of the line as it stands, without the blanks at both ends.",
    "include = FILE reads another file at that place, into the section that the line stands in. A path that does \
        not start with / counts from the folder of the file that includes. The section of the line goes on behind \
        it.",
    "The section [server NAME] is there once for each server. Servers are asked in the order of their sections. A \
        server that denies ends the list; the next one is asked only when no answer came.",
];

const ACCESS: &[&str] = &[
    "Each file belongs to root, or to the user that runs the program, and nobody else can write to it. A file with \
        a secret in it has mode 0600. A secret_file has mode 0600, or 0640 where a group reads it, and is no \
        symbolic link. Anything else is an error.",
    "A secret is at least 16 characters long (RFC 8907 section 10.5.1). A server that is reached neither by TLS nor \
        by a Unix socket has one.",
];

const OLD: &[&str] = &[
    "No key of an old file says what an outage means, nor does a word of the PAM line: unreachable and \
        fallback_users do, and without them no TACACS+ user logs in while no server answers. What older clients did \
        then, where the stack went on to local passwords, is unreachable = ignore.",
    "A file without sections, or the lines above the first heading, may use the keys of an old \
        /etc/tacplus_servers. All keys of [global] are good there, debug as a number too, and these:",
];

const PAM: &[&str] = &[
    "Words on the PAM line override the file. A value of a server's own section, its timeout say, stays. With \
        server= or include= on the line /etc/tacplus.conf need not exist.",
];

const EXAMPLE: &str = "\
[server primary]
address     = 192.0.2.10
secret_file = /etc/tacplus/primary.secret

[server second]
address     = [2001:db8::10]:4949
secret_file = /etc/tacplus/second.secret

[mapping]
groups.15   = sudo
";

/// The commented file that packages install as /etc/tacplus.conf.
pub fn example() -> String {
    let mut out = String::from(
        "; TACACS+ on this host. tacplus.conf(5) explains every key.\n\
         ;\n\
         ; Behind a ; at the start of a line stands the default of a key, or an example\n\
         ; where it has none. Take the ; away to set it. Check the file: tacplus check\n",
    );
    for section in SECTIONS {
        let heading = if section == Section::Server {
            ";[server primary]"
        } else {
            section.title()
        };
        let _ = write!(out, "\n{heading}\n");
        for (key, help) in rows(section) {
            if key.name == "tls" {
                out.push_str("\n;[server tls1]\n;address = aaa1.example.net\n");
            }
            let name = key.name.replace('N', "15");
            let value = match key.name {
                "tls" => "yes",
                _ if key.default.is_empty() => help.example,
                _ => key.default,
            };
            let _ = write!(out, "\n; {}\n;{name} = {value}\n", help.brief);
        }
    }
    out
}

/// The manual page tacplus.conf(5), in mdoc.
pub fn man_page() -> String {
    let mut page = Man(String::from(
        ".\\\" Made from the key table of tacacs_common::config: change it there.\n\
         .Dd November 22, 2026\n.Dt TACPLUS.CONF 5\n.Os tacplus-rs\n\
         .Sh NAME\n.Nm tacplus.conf\n.Nd TACACS+ servers and rules of a host\n",
    ));
    write_page(&mut page);
    page.0.push_str(
        ".Sh FILES\n.Bl -tag -width Ds\n\
         .It Pa /etc/tacplus.conf\nThe configuration, unless conf= on the PAM line names another.\n\
         .It Pa /etc/tacplus_servers\nThat of older clients; include it, or copy it into the other.\n.El\n\
         .Sh SEE ALSO\n.Xr pam 8 ,\n.Xr nsswitch.conf 5\n\
         .Sh STANDARDS\nRFC 8907 (TACACS+) and RFC 9887 (TACACS+ over TLS 1.3).\n",
    );
    page.0
}

/// The same text for docs/configuration.md.
pub fn reference() -> String {
    let mut page = Markdown(String::from(
        "<!-- Made from the key table of tacacs_common::config: change it there. -->\n# tacplus.conf\n",
    ));
    write_page(&mut page);
    page.0
}

/// A form of the reference.
trait Page {
    fn chapter(&mut self, title: &str);
    fn section(&mut self, title: &str);
    /// Between paragraphs.
    fn gap(&mut self);
    fn paragraph(&mut self, text: &str);
    fn begin_list(&mut self);
    fn item(&mut self, name: &str, text: &str);
    fn end_list(&mut self);
    fn code(&mut self, text: &str);
}

fn write_page(page: &mut dyn Page) {
    chapter(page, "Description", &[ABOUT]);
    chapter(page, "Format", FORMAT);
    chapter(page, "Owners and modes", ACCESS);
    chapter(page, "Keys", &[]);
    for section in SECTIONS {
        page.section(section.title());
        page.begin_list();
        for (key, help) in rows(section) {
            page.item(key.name, &explained(key, help));
        }
        page.end_list();
    }
    chapter(page, "Old files", OLD);
    list(page, old::KEYS);
    chapter(page, "PAM line", PAM);
    list(page, old::PAM_WORDS);
    chapter(page, "Example", &[]);
    page.code(EXAMPLE);
}

fn chapter(page: &mut dyn Page, title: &str, paragraphs: &[&str]) {
    page.chapter(title);
    for (at, text) in paragraphs.iter().enumerate() {
        if at > 0 {
            page.gap();
        }
        page.paragraph(text);
    }
}

fn list(page: &mut dyn Page, words: &[(&str, &str)]) {
    page.begin_list();
    for (word, help) in words {
        page.item(word, &format!("{help}."));
    }
    page.end_list();
}

fn rows(section: Section) -> impl Iterator<Item = (&'static Key, &'static Help)> {
    KEYS.iter()
        .zip(HELP)
        .filter(move |(key, _)| key.section() == section)
}

/// What a key is for, what it takes and what it is without a line.
fn explained(key: &Key, help: &Help) -> String {
    let (first, rest) = help.brief.split_at(1);
    let mut text = format!("{}{rest}. {}", first.to_ascii_uppercase(), help.more);
    if let Kind::Seconds(from, to) | Kind::Number(from, to) = key.kind {
        let _ = write!(text, " From {from} to {to}.");
    }
    if !key.default.is_empty() {
        let _ = write!(text, " Default: {}.", key.default);
    }
    text
}

struct Man(String);

impl Man {
    /// One sentence a line, and none of them taken for a request.
    fn text(&mut self, text: &str) {
        for sentence in text.replace('\\', "\\e").split_inclusive(". ") {
            let guard = if sentence.starts_with(['.', '\'']) {
                "\\&"
            } else {
                ""
            };
            let _ = writeln!(self.0, "{guard}{}", sentence.trim_end());
        }
    }
}

impl Page for Man {
    fn chapter(&mut self, title: &str) {
        let _ = writeln!(self.0, ".Sh {}", title.to_uppercase());
    }
    fn section(&mut self, title: &str) {
        let _ = writeln!(self.0, ".Ss {title}");
    }
    fn gap(&mut self) {
        self.0.push_str(".Pp\n");
    }
    fn paragraph(&mut self, text: &str) {
        self.text(text);
    }
    fn begin_list(&mut self) {
        self.0.push_str(".Bl -tag -width Ds\n");
    }
    fn item(&mut self, name: &str, text: &str) {
        let _ = writeln!(self.0, ".It Cm {name}");
        self.text(text);
    }
    fn end_list(&mut self) {
        self.0.push_str(".El\n");
    }
    fn code(&mut self, text: &str) {
        let _ = write!(self.0, ".Bd -literal\n{text}.Ed\n");
    }
}

struct Markdown(String);

impl Page for Markdown {
    fn chapter(&mut self, title: &str) {
        let _ = write!(self.0, "\n## {title}\n");
    }
    fn section(&mut self, title: &str) {
        let _ = write!(self.0, "\n### `{title}`\n");
    }
    fn gap(&mut self) {}
    fn paragraph(&mut self, text: &str) {
        let _ = write!(self.0, "\n{text}\n");
    }
    fn begin_list(&mut self) {
        self.0.push('\n');
    }
    fn item(&mut self, name: &str, text: &str) {
        let _ = writeln!(self.0, "* `{name}`: {text}");
    }
    fn end_list(&mut self) {}
    fn code(&mut self, text: &str) {
        let _ = write!(self.0, "\n```ini\n{text}```\n");
    }
}
