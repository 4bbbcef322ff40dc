//! The PAM lines of this host: do they fit what the module answers?
//!
//! | module | owns |
//! |---|---|
//! | `lines` | the syntax of `/etc/pam.d` |
//! | `stack` | what libpam makes of a stack |
//!
//! Owns which files are read and what is said about them. Must never change one.

mod lines;
mod stack;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use lines::{Line, Step, What};
use stack::{Call, Module, Role, USER_UNKNOWN, lets_anybody_in};

/// libpam's own limits, or far above what a host has.
const DEEPEST: usize = 16;
const LONGEST: usize = 4096;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// root and local users are refused by an old line that meant to let them pass.
    LocksOut,
    /// Anybody gets in as root or as a local user.
    LetsIn,
    /// To be known.
    Warning,
}

/// Something about a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    pub(super) weight: Weight,
    /// File, line, what is wrong and what to write.
    pub(super) text: String,
}

/// What there is to say about the PAM lines below this root folder.
pub(super) fn findings(root: &Path) -> Vec<Finding> {
    let mut host = Host::new(root);
    host.read();
    // What cannot be read may be anything.
    let unread = host.unread.drain(..).map(|what| Finding {
        weight: Weight::LocksOut,
        text: format!("{what}: whom its lines refuse is not known"),
    });
    let mut found: BTreeSet<Finding> = unread.collect();
    for (path, lines) in &host.files {
        found.extend(lines.iter().filter_map(|line| of_line(path, line)));
    }
    for calls in host.stacks() {
        for ours in (0..calls.len()).filter(|at| calls[*at].is_ours()) {
            found.extend(of_stack(&calls, ours));
        }
    }
    found.into_iter().collect()
}

/// A line by which root and local users are refused.
fn of_line(path: &Path, line: &Line) -> Option<Finding> {
    let What::Module {
        control,
        file,
        words,
    } = &line.what
    else {
        return None;
    };
    let refuses = matches!(control.step(USER_UNKNOWN), Step::Bad | Step::Die);
    if Role::of(file, words) != Role::Ours || !refuses || control.names_user_unknown {
        return None;
    }
    let place = place(path, line);
    let instead = if control.in_brackets {
        "write user_unknown=ignore into its brackets"
    } else {
        "brackets with user_unknown=ignore leave them to the lines below (pam_tacplus(8)), and \
         user_unknown=die says that it is meant, as the C module has it"
    };
    Some(Finding {
        weight: Weight::LocksOut,
        text: format!(
            "{place}: this line refuses root and every local user, to whom the module answers user_unknown: {instead}"
        ),
    })
}

/// What becomes of whom our line passes over.
fn of_stack(calls: &[Call], ours: usize) -> Option<Finding> {
    let place = &calls.get(ours)?.place;
    let over = format!("{place}: this line passes root and local users over");
    if lets_anybody_in(calls, ours, true) {
        return Some(Finding {
            weight: Weight::LetsIn,
            text: format!(
                "{over}, and the stack lets them in with any password: below it add a line that checks it and whose refusal counts, such as 'auth required pam_unix.so try_first_pass'"
            ),
        });
    }
    if lets_anybody_in(calls, ours, false) {
        let unknown = calls
            .iter()
            .filter(|call| call.role() == Some(Role::Unknown));
        let unknown: Vec<&str> = unknown.map(|call| call.place.as_str()).collect();
        return Some(Finding {
            weight: Weight::Warning,
            text: format!(
                "{over}: make sure that their password is checked by the module of {}, which is not known here",
                unknown.join(" or ")
            ),
        });
    }
    let passes = calls.get(ours)?.module.as_ref()?.control.step(USER_UNKNOWN);
    let checked = calls
        .iter()
        .any(|call| call.role().is_some_and(Role::checks_a_password));
    let refused = matches!(passes, Step::Bad | Step::Die);
    (!checked && !refused).then(|| Finding {
        weight: Weight::Warning,
        text: format!(
            "{over}, and no other auth line checks a password: they cannot log in with one"
        ),
    })
}

fn place(path: &Path, line: &Line) -> String {
    format!("{}:{}", path.display(), line.number)
}

/// The files that libpam would read.
struct Host<'a> {
    root: &'a Path,
    files: BTreeMap<PathBuf, Vec<Line>>,
    /// The whole of each service: a path, and the service if it is one of several there.
    services: Vec<(PathBuf, Option<String>)>,
    /// Files that are a part of others.
    included: BTreeSet<PathBuf>,
    /// Files and folders that are there and cannot be read, and why.
    unread: Vec<String>,
}

impl<'a> Host<'a> {
    fn new(root: &'a Path) -> Self {
        Self {
            root,
            files: BTreeMap::new(),
            services: Vec::new(),
            included: BTreeSet::new(),
            unread: Vec::new(),
        }
    }

    /// In the order in which libpam looks.
    fn folders(&self) -> [PathBuf; 2] {
        ["etc/pam.d", "usr/lib/pam.d"].map(|folder| self.root.join(folder))
    }

    fn read(&mut self) {
        let folders = self.folders();
        if !folders.iter().any(|folder| folder.is_dir()) {
            return self.read_pam_conf();
        }
        let mut names = BTreeSet::new();
        for folder in folders {
            let found = self.readable(&folder, lines::services(&folder));
            for (name, path) in found.unwrap_or_default() {
                if names.insert(name) {
                    self.load(&path, false);
                    self.services.push((path, None));
                }
            }
        }
    }

    /// Where there is no folder at all.
    fn read_pam_conf(&mut self) {
        let path = self.root.join("etc/pam.conf");
        self.load(&path, true);
        let lines = self.files.get(&path).into_iter().flatten();
        let services: BTreeSet<_> = lines.map(|line| line.service.clone()).collect();
        let services = services.into_iter().map(|service| (path.clone(), service));
        self.services.extend(services);
    }

    /// Reads a file and all that it includes, each once.
    fn load(&mut self, path: &Path, with_services: bool) {
        let mut open = vec![(path.to_owned(), with_services)];
        while let Some((path, with_services)) = open.pop() {
            if self.files.contains_key(&path) {
                continue;
            }
            let lines = self.readable(&path, lines::read(&path, with_services));
            let Some(lines) = lines.flatten() else {
                continue;
            };
            for line in &lines {
                if let What::Include { file, .. } = &line.what {
                    let file = self.find(file);
                    self.included.insert(file.clone());
                    open.push((file, false));
                }
            }
            self.files.insert(path, lines);
        }
    }

    /// Keeps what could not be read for the report.
    fn readable<T>(&mut self, path: &Path, read: io::Result<T>) -> Option<T> {
        let report = |why| self.unread.push(format!("{}: {why}", path.display()));
        read.map_err(report).ok()
    }

    /// The file that a line means when it includes this.
    fn find(&self, file: &str) -> PathBuf {
        if let Some(path) = file.strip_prefix('/') {
            return self.root.join(path);
        }
        let [first, second] = self.folders().map(|folder| folder.join(file));
        if !first.exists() && second.exists() {
            second
        } else {
            first
        }
    }

    /// The stacks of all services. What is included elsewhere is looked at there.
    fn stacks(&self) -> Vec<Vec<Call>> {
        let whole = self.services.iter();
        let whole = whole.filter(|(path, _)| !self.included.contains(path));
        whole
            .map(|(path, service)| {
                let mut calls = Vec::new();
                self.expand(path, service.as_deref(), (0, 0), &mut calls);
                calls
            })
            .collect()
    }

    /// Puts the lines of a file in place, `depth` includes and `level` substacks deep.
    fn expand(
        &self,
        path: &Path,
        service: Option<&str>,
        (depth, level): (usize, usize),
        calls: &mut Vec<Call>,
    ) {
        let lines = self.files.get(path).filter(|_| depth < DEEPEST);
        let Some(lines) = lines else {
            // A file that is not there, or one that includes itself.
            return calls.push(Call {
                level,
                module: None,
                place: path.display().to_string(),
            });
        };
        for line in lines {
            if calls.len() >= LONGEST {
                return;
            }
            if service.is_some() && line.service.as_deref() != service {
                continue;
            }
            let (module, included) = match &line.what {
                What::Broken => (None, None),
                What::Module {
                    control,
                    file,
                    words,
                } => {
                    let role = Role::of(file, words);
                    let control = control.clone();
                    (Some(Module { control, role }), None)
                }
                What::Include { file, substack } => (Some(Module::head()), Some((file, *substack))),
            };
            if !matches!(included, Some((_, false))) {
                calls.push(Call {
                    level,
                    module,
                    place: place(path, line),
                });
            }
            if let Some((file, substack)) = included {
                let deeper = (depth + 1, level + usize::from(substack));
                self.expand(&self.find(file), None, deeper, calls);
            }
        }
    }
}

#[cfg(test)]
mod tests;
