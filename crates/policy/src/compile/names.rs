//! What every file may refer to: scopes, roles, APIs and clients, each defined once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jeton_oauth::{Role, Scope, ScopeSet};

use super::{
    built_in::{BUILT_IN, OWN_API},
    report::{CompileReport, DefinedNames},
};
use crate::{
    document::{PolicyDocument, Text},
    finding::{FindingCode, ReadingProblem, Span},
    position::{FileIndex, numbered},
    read::{Items, Named, Spanned},
};

/// The places at which names of one section were defined.
struct Definitions<'d> {
    what: &'static str,
    places: HashMap<&'d str, (FileIndex, Span)>,
}

impl<'d> Definitions<'d> {
    fn new(what: &'static str) -> Self {
        Self { what, places: HashMap::new() }
    }

    fn add(&mut self, report: &mut CompileReport<'_>, file: FileIndex, name: &'d Spanned<String>) {
        if let Some((first_file, at)) = self.places.get(&*name.value) {
            // twice in one map is reported as a duplicate key already
            if *first_file != file {
                let message = format!("{} `{}` is defined twice", self.what, name.value);
                let hint = format!("it is defined at {} first", report.place(*first_file, *at));
                report
                    .add(file, ReadingProblem::new(name.at, FindingCode::DuplicateName, message).hint(hint));
            }
        } else {
            self.places.insert(&name.value, (file, name.at));
        }
    }
}

impl CompileReport<'_> {
    pub(super) fn collect_names(&mut self, documents: &[PolicyDocument]) -> DefinedNames {
        let own = (FileIndex::at(documents.len()), &BUILT_IN.document);
        let scopes = self.collect_scopes(documents);
        let mut roles = BTreeMap::new();
        let mut defined = Definitions::new("role");
        for (file, document) in numbered(FileIndex::at, documents.iter()) {
            for (name, items) in &document.roles.0 {
                defined.add(self, file, name);
                let known = items.as_ref().map(|items| self.scopes(file, items, &scopes)).unwrap_or_default();
                if let Some(role) = self.name(file, name, Role::parse) {
                    roles.entry(role).or_insert(known);
                }
            }
        }
        // what is built in comes last, and gives way to what a file defines
        for (name, items) in &own.1.roles.0 {
            let known = items.as_ref().map(|items| self.scopes(own.0, items, &scopes)).unwrap_or_default();
            roles.extend(
                Role::parse(&name.value)
                    .ok()
                    .filter(|role| !roles.contains_key(role))
                    .map(|role| (role, known)),
            );
        }
        let mut apis = self.collect("API", documents, |document| &document.apis);
        apis.insert(OWN_API.to_owned());
        let clients = self.collect("client", documents, |document| &document.clients);
        let issuers = self.collect("issuer", documents, |document| &document.issuers);
        DefinedNames { scopes, roles, apis, clients, issuers }
    }

    fn collect_scopes(&mut self, documents: &[PolicyDocument]) -> BTreeMap<Scope, String> {
        let mut scopes = BTreeMap::new();
        let mut defined = Definitions::new("scope");
        for (file, document) in numbered(FileIndex::at, documents.iter()) {
            for (name, description) in &document.scopes.0 {
                defined.add(self, file, name);
                if let Some(scope) = self.name(file, name, Scope::parse) {
                    scopes.entry(scope).or_insert_with(|| description.clone().unwrap_or_default());
                }
            }
        }
        for (name, description) in &BUILT_IN.document.scopes.0 {
            if let Ok(scope) = Scope::parse(&name.value) {
                scopes.entry(scope).or_insert_with(|| description.clone().unwrap_or_default());
            }
        }
        scopes
    }

    fn collect<T>(
        &mut self,
        what: &'static str,
        documents: &[PolicyDocument],
        section: fn(&PolicyDocument) -> &Named<T>,
    ) -> BTreeSet<String> {
        let mut defined = Definitions::new(what);
        for (file, document) in numbered(FileIndex::at, documents.iter()) {
            for (name, _) in &section(document).0 {
                defined.add(self, file, name);
            }
        }
        defined.places.keys().map(|name| (*name).to_owned()).collect()
    }

    /// Parses a name, or reports what is wrong with it.
    pub(super) fn name<T, E: std::fmt::Display>(
        &mut self,
        file: FileIndex,
        name: &Spanned<String>,
        parse: fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(&name.value) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.add(file, ReadingProblem::new(name.at, FindingCode::BadName, error.to_string()));
                None
            }
        }
    }

    pub(super) fn scopes(
        &mut self,
        file: FileIndex,
        items: &Items<Text>,
        known: &BTreeMap<Scope, String>,
    ) -> ScopeSet {
        items.0.iter().filter_map(|item| self.scope(file, item, known)).collect()
    }

    pub(super) fn scope(
        &mut self,
        file: FileIndex,
        text: &Text,
        known: &BTreeMap<Scope, String>,
    ) -> Option<Scope> {
        if let Some((scope, _)) = known.get_key_value(&*text.value) {
            return Some(scope.clone());
        }
        let names = known.keys().map(Scope::as_str);
        self.unknown(file, text, FindingCode::UnknownScope, "scope", names);
        None
    }

    pub(super) fn role(
        &mut self,
        file: FileIndex,
        text: &Text,
        known: &BTreeMap<Role, ScopeSet>,
    ) -> Option<Role> {
        if let Some((role, _)) = known.get_key_value(&*text.value) {
            return Some(role.clone());
        }
        let names = known.keys().map(Role::as_str);
        self.unknown(file, text, FindingCode::UnknownRole, "role", names);
        None
    }

    /// Reports a name that nothing defines, unless the file that may define it could not be read.
    pub(super) fn unknown<'k>(
        &mut self,
        file: FileIndex,
        text: &Text,
        code: FindingCode,
        what: &'static str,
        known: impl Iterator<Item = &'k str>,
    ) {
        if !self.names_are_known {
            return;
        }
        let section = match code {
            FindingCode::UnknownScope => "scopes",
            FindingCode::UnknownRole => "roles",
            FindingCode::UnknownApi => "apis",
            FindingCode::UnknownIssuer => "issuers",
            _ => "clients",
        };
        let hint = self.nearest.hint(what, &text.value, known);
        let hint = hint.unwrap_or_else(|| format!("define it under `{section}:` in any of the files"));
        let message = format!("{what} `{}` is not defined", text.value);
        self.add(file, ReadingProblem::new(text.at, code, message).hint(hint));
    }
}
