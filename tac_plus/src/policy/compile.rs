//! From a draft to a policy.
//!
//! Owns the resolution of names and inheritance: after this every user stands
//! alone. Linear in the size of the draft, whatever the depth of groups.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::callout::Callout;
use super::clients::Clients;
use super::draft::{
    self, At, Credential, Draft, Permission, Place, Problem, ServiceName, Settings,
};
use super::login;
use super::pattern::Pattern;
use super::rules::{Rule, Rules};
use super::{LevelUser, Pair, Policy, Profile, Service};

/// As many expressions have their machines before anybody asks: more than usual files
/// hold, and a tenth of a second of a reload at most.
const PREPARED: usize = 512;

impl Policy {
    /// Compiles a draft and adds to its warnings.
    ///
    /// # Errors
    ///
    /// The first thing in it that cannot be.
    pub fn compile(draft: &Draft, warnings: &mut Vec<Problem>) -> Result<Policy, Problem> {
        let Clients { known, anybody } = Clients::compile(draft, warnings)?;
        let mut compiler = Compiler {
            patterns: HashMap::new(),
            prepared: 0,
            acls: HashMap::new(),
            shell: draft.settings.callout_shell,
            lines: &draft.line_starts,
            warnings,
        };
        compiler.acls(draft)?;
        let mut groups = Groups {
            drafts: HashMap::new(),
            done: HashMap::new(),
        };
        for group in &draft.groups {
            if groups.drafts.insert(&group.name.value, group).is_some() {
                return Err(twice("group", &group.name));
            }
        }
        let mut users = HashMap::with_capacity(draft.users.len());
        let mut levels = HashMap::new();
        for user in &draft.users {
            let parent = match &user.member {
                Some(member) => Some(groups.resolve(member, &mut compiler)?),
                None => None,
            };
            let profile = Arc::new(compiler.profile(user, parent.as_deref())?);
            if login::is_level(&user.name.value) {
                let level = compiler.level(user, &profile);
                levels.insert(Box::from(user.name.value.as_slice()), level);
            }
            if users
                .insert(Box::from(user.name.value.as_slice()), profile)
                .is_some()
            {
                return Err(twice("user", &user.name));
            }
        }
        groups.check_unused(draft, &mut compiler);
        let fallback = users.get(b"DEFAULT".as_slice()).cloned();
        let settings = draft.settings.clone();
        let accounting = settings
            .accounting_file
            .clone()
            .unwrap_or_else(|| PathBuf::from(Settings::DEFAULT_ACCOUNTING));
        let mut prefixes: Vec<u8> = known.keys().map(|network| network.prefix()).collect();
        prefixes.sort_unstable_by(|a, b| b.cmp(a));
        prefixes.dedup();
        let default_credential = draft.default_authentication.as_ref();
        let decoy = login::decoy(
            users.values().map(Arc::as_ref),
            default_credential.map(|credential| &credential.value),
        );
        Ok(Policy {
            clients: known,
            prefixes,
            anybody,
            users,
            levels,
            fallback,
            accounting,
            decoy,
            default_credential: default_credential.map(|credential| Arc::clone(&credential.value)),
            settings,
        })
    }
}

fn twice(what: &str, name: &At<Vec<u8>>) -> Problem {
    Problem::new(
        name.place,
        format!("{what} '{}' is defined twice", show(&name.value)),
    )
}

fn show(name: &[u8]) -> String {
    String::from_utf8_lossy(name).escape_debug().to_string()
}

/// Groups resolve on demand, so they may be used before they are defined.
struct Groups<'a> {
    drafts: HashMap<&'a [u8], &'a draft::Profile>,
    done: HashMap<&'a [u8], Arc<Profile>>,
}

impl<'a> Groups<'a> {
    /// The group with all it inherits. A loop, not a recursion: depth costs no stack.
    fn resolve(
        &mut self,
        member: &'a At<Vec<u8>>,
        compiler: &mut Compiler<'_>,
    ) -> Result<Arc<Profile>, Problem> {
        let mut chain: Vec<&draft::Profile> = Vec::new();
        let mut on_chain = std::collections::HashSet::new();
        let mut next = Some(member);
        let mut parent: Option<Arc<Profile>> = None;
        while let Some(member) = next {
            let name = member.value.as_slice();
            if let Some(done) = self.done.get(name) {
                parent = Some(Arc::clone(done));
                break;
            }
            let Some(group) = self.drafts.get(name) else {
                return Err(Problem::new(
                    member.place,
                    format!("there is no group '{}'", show(name)),
                ));
            };
            if !on_chain.insert(name) {
                return Err(Problem::new(
                    member.place,
                    format!("group '{}' is a member of itself", show(name)),
                )
                .hint("remove one 'member' of the circle"));
            }
            chain.push(group);
            next = group.member.as_ref();
        }
        while let Some(group) = chain.pop() {
            let profile = Arc::new(compiler.profile(group, parent.as_deref())?);
            self.done.insert(&group.name.value, Arc::clone(&profile));
            parent = Some(profile);
        }
        Ok(parent.unwrap_or_default())
    }

    /// A group that no user refers to does no harm: what is wrong with it is a warning.
    fn check_unused(&mut self, draft: &'a Draft, compiler: &mut Compiler<'_>) {
        for group in &draft.groups {
            if !self.done.contains_key(group.name.value.as_slice())
                && let Err(problem) = self.resolve(&group.name, compiler)
            {
                compiler.warnings.push(problem);
            }
        }
    }
}

struct Compiler<'a> {
    /// Identical expressions are compiled once.
    patterns: HashMap<Vec<u8>, Arc<Pattern>>,
    /// Machines that were built at once.
    prepared: usize,
    acls: HashMap<Vec<u8>, Arc<Rules>>,
    /// Callouts are for a shell.
    shell: bool,
    /// Where lines begin.
    lines: &'a [usize],
    warnings: &'a mut Vec<Problem>,
}

impl Compiler<'_> {
    fn acls(&mut self, draft: &Draft) -> Result<(), Problem> {
        for acl in &draft.acls {
            let rules = Arc::new(self.rules(&acl.name.value, &acl.rules)?);
            if self.acls.insert(acl.name.value.clone(), rules).is_some() {
                return Err(twice("acl", &acl.name));
            }
        }
        Ok(())
    }

    fn rules(&mut self, name: &[u8], rules: &[draft::Rule]) -> Result<Rules, Problem> {
        let mut compiled = Vec::with_capacity(rules.len());
        for rule in rules {
            let behind = self
                .lines
                .partition_point(|start| *start <= rule.pattern.place.start);
            compiled.push(Rule {
                permission: rule.permission,
                pattern: self.pattern(&rule.pattern)?,
                line: u32::try_from(behind).unwrap_or(0),
            });
        }
        Ok(Rules::new(name, compiled))
    }

    fn pattern(&mut self, text: &At<Vec<u8>>) -> Result<Arc<Pattern>, Problem> {
        if let Some(known) = self.patterns.get(&text.value) {
            return Ok(Arc::clone(known));
        }
        let pattern = Pattern::new(&text.value).map_err(|error| {
            Problem::new(text.place, format!("not a regular expression: {error}"))
        })?;
        let pattern = Arc::new(pattern);
        if self.prepared < PREPARED {
            self.prepared += usize::from(pattern.prepare());
        }
        self.patterns
            .insert(text.value.clone(), Arc::clone(&pattern));
        Ok(pattern)
    }

    /// A list that there is not admits nobody, as in the original.
    fn acl(&mut self, name: &At<Vec<u8>>) -> Arc<Rules> {
        if let Some(rules) = self.acls.get(&name.value) {
            return Arc::clone(rules);
        }
        self.warnings.push(
            Problem::new(
                name.place,
                format!(
                    "there is no acl '{}': nobody gets in by it",
                    show(&name.value)
                ),
            )
            .hint("define it, or remove this line"),
        );
        Arc::new(Rules::new(&name.value, Vec::new()))
    }

    fn callout(&self, line: &At<Vec<u8>>) -> Result<Arc<Callout>, Problem> {
        if self.shell {
            return Ok(Arc::new(Callout::Shell(line.value.clone())));
        }
        let callout = Callout::words(&line.value).map_err(|error| {
            Problem::new(line.place, format!("this program cannot be run: {error}"))
                .hint("put it into a script, or write 'callout shell = yes' at the top level")
        })?;
        Ok(Arc::new(callout))
    }

    /// The user's or group's own words over those of its parent.
    fn profile(
        &mut self,
        own: &draft::Profile,
        parent: Option<&Profile>,
    ) -> Result<Profile, Problem> {
        let mut profile = parent.cloned().unwrap_or_default();
        let credentials = &own.credentials;
        for (slot, value) in [
            (&mut profile.login, &credentials.login),
            (&mut profile.pap, &credentials.pap),
            (&mut profile.chap, &credentials.chap),
            (&mut profile.mschap, &credentials.mschap),
            (&mut profile.global, &credentials.global),
            (&mut profile.enable, &credentials.enable),
        ] {
            if let Some(value) = value {
                *slot = Some(Arc::clone(&value.value));
            }
        }
        if let Some(permission) = &own.default_service {
            profile.default_service = Some(permission.value);
        }
        if let Some(name) = &own.acl {
            profile.acl = Some(self.acl(name));
        }
        if let Some(name) = &own.enable_acl {
            profile.enable_acl = Some(self.acl(name));
        }
        if let Some(date) = &own.expires {
            profile.expires = Some(date.value);
        }
        if let Some(message) = &own.message {
            profile.message = Some(message.value.as_slice().into());
        }
        if let Some(line) = &own.before {
            profile.before = Some(self.callout(line)?);
        }
        if let Some(line) = &own.after {
            profile.after = Some(self.callout(line)?);
        }
        self.services(own, &mut profile);
        self.commands(own, &mut profile)?;
        Ok(profile)
    }

    /// The password of a level: as in the original one that stands in its own block, and
    /// never none.
    fn level(&mut self, own: &draft::Profile, profile: &Profile) -> LevelUser {
        let credentials = &own.credentials;
        let typed = |at: &&At<Arc<Credential>>| !matches!(*at.value, Credential::NoPassword);
        let login = credentials.login.as_ref().filter(typed);
        let credential = login.or(credentials.global.as_ref());
        if credential.is_none() {
            self.warnings.push(
                Problem::new(
                    own.name.place,
                    format!(
                        "'{}' has no password: nobody raises privileges by it",
                        show(&own.name.value)
                    ),
                )
                .hint("it has to stand in this block, and 'nopassword' is none; 'enable' of a user or host may say 'nopassword'"),
            );
        }
        LevelUser {
            credential: credential.map(|at| Arc::clone(&at.value)),
            enable_acl: own.enable_acl.as_ref().and(profile.enable_acl.clone()),
            expires: own.expires.as_ref().map(|at| at.value),
        }
    }

    /// A service found at a nearer node hides the same one further up, whole.
    fn services(&mut self, own: &draft::Profile, profile: &mut Profile) {
        if own.services.is_empty() {
            return;
        }
        let mut mine: HashMap<ServiceName, Arc<Service>> = HashMap::new();
        for service in &own.services {
            if mine.contains_key(&service.name.value) {
                self.warn_hidden(service.name.place, "service");
                continue;
            }
            mine.insert(
                service.name.value.clone(),
                Arc::new(compile_service(service)),
            );
        }
        Arc::make_mut(&mut profile.services).extend(mine);
    }

    fn commands(&mut self, own: &draft::Profile, profile: &mut Profile) -> Result<(), Problem> {
        if own.commands.is_empty() {
            return Ok(());
        }
        let mut mine: HashMap<Box<[u8]>, Arc<Rules>> = HashMap::new();
        for command in &own.commands {
            let rules = Arc::new(self.rules(&command.name.value, &command.rules)?);
            if mine.contains_key(command.name.value.as_slice()) {
                self.warn_hidden(command.name.place, "command");
                continue;
            }
            mine.insert(Box::from(command.name.value.as_slice()), rules);
        }
        Arc::make_mut(&mut profile.commands).extend(mine);
        Ok(())
    }

    fn warn_hidden(&mut self, place: Place, what: &str) {
        self.warnings.push(Problem::new(
            place,
            format!("this {what} is never used: an earlier block has the same name"),
        ));
    }
}

fn compile_service(service: &draft::Service) -> Service {
    let pairs = |optional: bool, separator: u8| {
        let chosen = service
            .attributes
            .iter()
            .filter(|attribute| attribute.optional == optional);
        chosen
            .map(|attribute| Pair::new(&attribute.name.value, separator, &attribute.value))
            .collect()
    };
    Service {
        default_attribute: service
            .default_attribute
            .as_ref()
            .map_or(Permission::Deny, |permission| permission.value),
        mandatory: pairs(false, b'='),
        optional: pairs(true, b'*'),
    }
}
