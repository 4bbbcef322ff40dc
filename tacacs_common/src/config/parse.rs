//! From the lines of files to a draft.
//!
//! Owns sections, keys and includes. Must never repeat what a line says
//! unless it is close to a word of ours: see `error.rs`.

use std::path::Path;
use std::sync::Arc;

use super::draft::{Draft, Here, ServerDraft};
use super::error::{Error, Place, nearest};
use super::files::{Loaded, Refusal};
use super::keys::{KEYS, Key, Kind, Section, Set};
use super::lines::{self, Line};
use super::old;

/// Files within files, and files in all: an include that multiplies stops.
const MAX_DEPTH: usize = 8;
const MAX_FILES: usize = 64;
/// More than any host has; keeps every search through them short.
const MAX_SERVERS: usize = 64;

/// Opens a file.
pub(super) type Open<'a> = &'a dyn Fn(&Path) -> Result<Loaded, Refusal>;

/// What reads files into a draft and collects what is wrong.
pub(super) struct Parser<'a> {
    open: Open<'a>,
    /// Folder of the main file: names below it are shown without it.
    root: &'a Path,
    pub(super) draft: Draft,
    pub(super) problems: Error,
    within: Vec<(u64, u64)>,
    files: usize,
}

/// The file that is being read.
pub(super) struct Source<'a> {
    name: Arc<str>,
    path: &'a Path,
    pub(super) mode: u32,
}

impl<'a> Parser<'a> {
    pub(super) fn new(main: &'a Path, open: Open<'a>) -> Self {
        Self {
            open,
            root: main.parent().unwrap_or(Path::new("")),
            draft: Draft::default(),
            problems: Error::default(),
            within: Vec::new(),
            files: 0,
        }
    }

    /// Reads `path`, which `asked` includes, into the section `here`.
    pub(super) fn file(&mut self, path: &Path, asked: Option<&Place>, here: Option<Here>) {
        let main = || Place::path(path);
        let asked_at = || asked.cloned().unwrap_or_else(main);
        let loaded = match (self.open)(path) {
            Ok(loaded) => loaded,
            Err(Refusal::Missing(text) | Refusal::Unopened(text)) => {
                let what = if asked.is_some() {
                    "the included file "
                } else {
                    ""
                };
                return self.problems.add(asked_at(), format!("{what}{text}"));
            }
            Err(Refusal::Bad(text)) => return self.problems.add(main(), text),
        };
        self.files = self.files.saturating_add(1);
        if self.within.contains(&loaded.id) {
            return self.problems.add(
                asked_at(),
                "this file is being read already: remove the include",
            );
        }
        if self.within.len() >= MAX_DEPTH || self.files > MAX_FILES {
            let text = format!(
                "too many includes: at most {MAX_DEPTH} within each other and {MAX_FILES} in all"
            );
            return self.problems.add(asked_at(), text);
        }
        self.within.push(loaded.id);
        let shown = path.strip_prefix(self.root).unwrap_or(path);
        let source = Source {
            name: shown.to_string_lossy().into(),
            path,
            mode: loaded.mode,
        };
        self.bytes(loaded.bytes.expose(), &source, here);
        self.within.pop();
    }

    fn bytes(&mut self, bytes: &[u8], source: &Source<'_>, here: Option<Here>) {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let (bad, why) = match std::str::from_utf8(bytes) {
            Err(error) => (error.valid_up_to(), "this line is not UTF-8"),
            Ok(text) => match text.find('\0') {
                None => return self.text(text, source, here),
                Some(at) => (at, "this line holds a zero byte"),
            },
        };
        let before = bytes
            .iter()
            .take(bad)
            .filter(|byte| **byte == b'\n')
            .count();
        self.problems
            .add(Place::line(&source.name, before.saturating_add(1)), why);
    }

    fn text(&mut self, text: &str, source: &Source<'_>, mut here: Option<Here>) {
        // Outside of every heading the keys of an old file are good too.
        let mut headed = here != Some(Here::Global);
        for (line, number) in text.split('\n').zip(1..) {
            if self.problems.is_full() {
                return;
            }
            let line = line.strip_suffix('\r').unwrap_or(line);
            let place = Place::line(&source.name, number);
            match lines::cut(line) {
                Line::Empty => {}
                Line::Section(title) => {
                    here = self.heading(title, place);
                    headed = true;
                }
                Line::Entry { key, value } => {
                    if let Some(here) = here {
                        self.entry(here, headed, key, value, &place, source);
                    }
                }
                Line::Other => self
                    .problems
                    .add(place, "expected 'key = value' or '[section]'"),
            }
        }
    }

    /// The section a heading opens; `None` skips its lines.
    fn heading(&mut self, title: &str, place: Place) -> Option<Here> {
        let (word, name) = title.split_once([' ', '\t']).unwrap_or((title, ""));
        let name = name.trim();
        match (word, name) {
            ("global", "") => Some(Here::Global),
            ("mapping", "") => Some(Here::Mapping),
            ("accounting", "") => Some(Here::Accounting),
            ("server", name) => self.server_heading(name, place),
            _ => {
                let mut text = "unknown section".to_owned();
                match nearest(
                    word,
                    &mut ["global", "server", "mapping", "accounting"].into_iter(),
                ) {
                    Some(meant) if meant != word => {
                        text += &format!(" '{word}', did you mean '{meant}'?")
                    }
                    _ => text += ": expected [global], [server NAME], [mapping] or [accounting]",
                }
                self.problems.add(place, text);
                None
            }
        }
    }

    fn server_heading(&mut self, name: &str, place: Place) -> Option<Here> {
        let letters = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if name.is_empty() || name.len() > 64 || !letters {
            self.problems.add(
                place,
                "expected [server NAME], NAME of letters, digits, '.', '_' and '-'",
            );
            return None;
        }
        if let Some(first) = self.draft.servers.iter().find(|server| server.name == name) {
            let text = format!(
                "there is a server '{name}' already, at {}: give this one another name",
                first.place
            );
            self.problems.add(place, text);
            return None;
        }
        self.add_server(ServerDraft::new(name, place))
    }

    pub(super) fn add_server(&mut self, server: ServerDraft) -> Option<Here> {
        if self.draft.servers.len() >= MAX_SERVERS {
            self.problems
                .add(server.place, format!("more than {MAX_SERVERS} servers"));
            return None;
        }
        self.draft.servers.push(server);
        Some(Here::Server(self.draft.servers.len().saturating_sub(1)))
    }

    fn entry(
        &mut self,
        here: Here,
        headed: bool,
        key: &str,
        value: &str,
        place: &Place,
        source: &Source<'_>,
    ) {
        if key == "include" {
            return self.include(here, value, place, source);
        }
        if key == "secret" && !value.is_empty() && source.mode & 0o077 != 0 {
            let text = format!(
                "others can read this secret (mode {:04o}): chmod 0600 {}, or use secret_file",
                source.mode,
                source.path.display()
            );
            return self.problems.add(place.clone(), text);
        }
        if !headed && self.old_entry(key, value, place) {
            return;
        }
        let Some(known) = here.section().find(key) else {
            let text = unknown_key(here.section(), headed, key);
            return self.problems.add(place.clone(), text);
        };
        if let Some(first) = self.draft.note(here, key, place) {
            // `key` is a word of the table here, and never a secret.
            let text = format!("'{key}' is given already, at {first}: remove one of them");
            return self.problems.add(place.clone(), text);
        }
        self.set(known, here, key, value, place);
    }

    fn include(&mut self, here: Here, value: &str, place: &Place, source: &Source<'_>) {
        if value.is_empty() {
            return self
                .problems
                .add(place.clone(), "include needs the path of a file");
        }
        let folder = source.path.parent().unwrap_or(Path::new(""));
        self.file(&folder.join(value), Some(place), Some(here));
    }

    /// Gives a key its value. An empty one leaves the default, unless the key
    /// takes a list, which is empty then.
    pub(super) fn set(
        &mut self,
        key: &'static Key,
        here: Here,
        name: &str,
        value: &str,
        place: &Place,
    ) {
        if value.is_empty() && !matches!(key.kind, Kind::Names) {
            return;
        }
        let draft = &mut self.draft;
        let done = match (&key.set, here) {
            _ if !key.kind.allows(value) => None,
            (Set::Global(set), _) => set(&mut draft.global, value),
            (Set::Mapping(set), _) => set(&mut draft.mapping, value),
            (Set::Accounting(set), _) => set(&mut draft.accounting, value),
            (Set::Server(set), Here::Server(at)) => draft.servers.get_mut(at).and_then(|server| {
                if matches!(key.kind, Kind::Secret) {
                    server.secret_place = Some(place.clone());
                }
                set(server, value)
            }),
            (Set::Server(_), _) => None,
            (Set::Groups, _) => name
                .strip_prefix("groups.")
                .and_then(super::values::level)
                .and_then(|level| {
                    let names = super::values::names(value)?;
                    let groups = &mut draft.mapping.groups;
                    let at = groups.partition_point(|(of, _)| *of < level);
                    groups.insert(at, (level, names));
                    Some(())
                }),
        };
        if done.is_none() {
            let text = match key.kind.meant(value) {
                Some((word, meant)) => {
                    format!("unknown word '{word}' for '{name}', did you mean '{meant}'?")
                }
                None => format!("bad value for '{name}': expected {}", key.kind.expected()),
            };
            self.problems.add(place.clone(), text);
        }
    }
}

fn unknown_key(section: Section, headed: bool, key: &str) -> String {
    if key.starts_with("groups.") && section == Section::Mapping {
        return "groups.N needs a privilege level from 0 to 15, such as groups.15".to_owned();
    }
    if let Some(other) = KEYS
        .iter()
        .find(|other| other.name == key && other.section() != section)
    {
        let (own, other) = (section.title(), other.section().title());
        return format!("'{key}' is a key of {other} and not of {own}");
    }
    let old = old::KEYS.iter().map(|(name, _)| *name).filter(|_| !headed);
    let mut own = section
        .keys()
        .map(|key| key.name)
        .chain(["include"])
        .chain(old);
    let mut all = KEYS.iter().map(|key| key.name);
    match nearest(key, &mut own).or_else(|| nearest(key, &mut all)) {
        Some(meant) => format!("unknown key '{key}', did you mean '{meant}'?"),
        None => format!(
            "unknown key: tacplus.conf(5) lists those of {}",
            section.title()
        ),
    }
}
