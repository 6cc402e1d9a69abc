//! Scopes and rules for the operations of a document.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;
use jeton_oauth::{ApiName, Scope};

use super::{
    document::{DocumentText, OpenApiDocument, OperationObject},
    names::{as_scope, distinct, slug},
    need::Wanted,
    operations::{Operation, Operations},
};

/// What each scope and rule stands for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ScopeFrom {
    /// Each tag: an operation belongs to its first tag.
    Tag,
    /// Each operation.
    Operation,
    /// Each OAuth scope that the document requires, or else its security scheme. `security: []` is public.
    Security,
}

/// The scopes and rules of an API.
pub(super) struct ImportPlan<'d> {
    /// What each scope allows, by its name.
    pub(super) scopes: BTreeMap<String, String>,
    /// The rules by name.
    pub(super) rules: BTreeMap<String, PlannedRule<'d>>,
    /// What is to be known of them.
    pub(super) remarks: BTreeSet<String>,
}

/// One rule.
pub(super) struct PlannedRule<'d> {
    pub(super) remark: Option<String>,
    pub(super) operations: Vec<&'d Operation<'d>>,
    pub(super) access: PlannedAccess,
}

/// Who gets through.
pub(super) enum PlannedAccess {
    /// Everybody.
    Public,
    /// Whoever has all scopes of one of these.
    AnyOf(BTreeSet<BTreeSet<String>>),
}

/// What a scope stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Meaning<'d> {
    kind: MeaningKind,
    /// What the document calls it.
    name: &'d str,
    /// The method and path, of an operation.
    title: &'d str,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum MeaningKind {
    /// A scope of OAuth, or what else the document wants of a security scheme by name.
    Scope,
    /// A security scheme of which no scope is named.
    Scheme,
    Tag,
    NoTag,
    Operation,
    /// What of which the document does not say what it needs.
    Unsaid,
}

/// What a rule asks.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum PlannedNeed<'d> {
    Nothing,
    /// All of one of these.
    AnyOf(BTreeSet<BTreeSet<Meaning<'d>>>),
}

impl<'d> ImportPlan<'d> {
    pub(super) fn new(
        api: &ApiName,
        document: &'d OpenApiDocument,
        operations: &'d Operations<'d>,
        from: ScopeFrom,
    ) -> Self {
        let mut remarks = BTreeSet::new();
        let mut by_asked: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut described = BTreeMap::new();
        for operation in &operations.routes {
            let asked = PlannedNeed::of(operation, from);
            for meaning in asked.meanings() {
                described.entry(*meaning).or_insert_with(|| meaning.describe(document, operation.says));
            }
            if from == ScopeFrom::Security {
                remarks.extend(operation.need.schemes().filter_map(|scheme| undefined(document, scheme)));
            }
            by_asked.entry(asked).or_default().push(operation);
        }

        let mut meanings: Vec<_> = described.keys().map(|meaning| (*meaning, meaning.scope(api))).collect();
        // what is named as in the document comes before what had to be changed
        meanings.sort_by_key(|(meaning, scope)| meaning.name.is_empty() || !scope.ends_with(meaning.name));
        let names = distinct(meanings.iter().map(|(_, scope)| scope));
        let names: BTreeMap<_, _> = meanings.iter().map(|(meaning, _)| *meaning).zip(names).collect();
        let changed = names
            .iter()
            .filter(|(meaning, name)| meaning.kind == MeaningKind::Scope && meaning.name != *name);
        remarks.extend(
            changed.map(|(meaning, name)| format!("the scope `{}` is written `{name}`", meaning.name)),
        );

        for (meaning, name) in names.iter().filter(|(meaning, _)| meaning.kind == MeaningKind::Unsaid) {
            let count = by_asked.get(&PlannedNeed::only(*meaning)).map_or(0, Vec::len);
            remarks.insert(format!(
                "operations for which the document states no security: {count} (scope `{name}`)"
            ));
        }

        let mut by_asked: Vec<_> = by_asked
            .into_iter()
            .map(|(asked, operations)| (asked.rule(api, &names), asked, operations))
            .collect();
        // a rule for one scope has the name of the scope, with its number; what is made of several comes after
        by_asked.sort_by_key(|(wanted, asked, _)| {
            let mut scopes = asked.meanings().filter_map(|meaning| names.get(meaning));
            (asked.meanings().count() > 1, scopes.next().is_some_and(|scope| !scope.ends_with(wanted)))
        });
        let rules = distinct(by_asked.iter().map(|(wanted, ..)| wanted));
        let rules = rules.into_iter().zip(by_asked).map(|(name, (_, asked, operations))| {
            let rule = PlannedRule { remark: asked.remark(&name), operations, access: asked.access(&names) };
            (name, rule)
        });
        let rules = rules.collect();
        let scopes =
            described.into_iter().filter_map(|(meaning, text)| Some((names.get(&meaning)?.clone(), text)));
        Self { scopes: scopes.collect(), rules, remarks }
    }
}

/// That the document uses a security scheme which it does not define, if so.
fn undefined(document: &OpenApiDocument, scheme: &str) -> Option<String> {
    let is_defined = document.components.security_schemes.0.contains_key(scheme);
    (!is_defined).then(|| format!("the security scheme `{scheme}` is not defined in the document"))
}

impl<'d> PlannedNeed<'d> {
    fn only(meaning: Meaning<'d>) -> Self {
        Self::AnyOf(BTreeSet::from([BTreeSet::from([meaning])]))
    }

    fn of(operation: &'d Operation<'d>, from: ScopeFrom) -> Self {
        let named = |kind, name| Meaning { kind, name, title: "" };
        match (from, &operation.need) {
            (ScopeFrom::Tag, _) => Self::only(match operation.says.tags.first() {
                Some(DocumentText(tag)) => named(MeaningKind::Tag, tag),
                None => named(MeaningKind::NoTag, "untagged"),
            }),
            (ScopeFrom::Operation, _) => {
                let id = operation.says.id.as_ref();
                let name = id.map_or("", |DocumentText(id)| id.as_str());
                Self::only(Meaning { kind: MeaningKind::Operation, name, title: &operation.title })
            }
            (ScopeFrom::Security, need) if need.is_public() => Self::Nothing,
            (ScopeFrom::Security, need) => {
                let meaning = |wanted: &Wanted<'d>| match *wanted {
                    Wanted::Unsaid => named(MeaningKind::Unsaid, "unsaid"),
                    Wanted::Scheme { scope: Some(scope), .. } => named(MeaningKind::Scope, scope),
                    Wanted::Scheme { name, scope: None } => named(MeaningKind::Scheme, name),
                };
                Self::AnyOf(need.any_of().map(|all_of| all_of.iter().map(meaning).collect()).collect())
            }
        }
    }

    fn meanings(&self) -> impl Iterator<Item = &Meaning<'d>> {
        let any_of = match self {
            Self::Nothing => None,
            Self::AnyOf(any_of) => Some(any_of),
        };
        any_of.into_iter().flatten().flatten()
    }

    /// The name for its rule, of the names of its scopes.
    fn rule(&self, api: &ApiName, names: &BTreeMap<Meaning<'d>, String>) -> String {
        let Self::AnyOf(any_of) = self else { return "public".to_owned() };
        let of_api = format!("{api}:");
        let name = |meaning: &Meaning<'_>| {
            let scope = names.get(meaning).map(String::as_str).unwrap_or_default();
            let rule = if meaning.kind == MeaningKind::Scope {
                slug(scope)
            } else {
                scope.strip_prefix(&of_api).map(str::to_owned)
            };
            rule.unwrap_or_else(|| meaning.kind.name().to_owned())
        };
        let mut meanings = self.meanings();
        if let (Some(only), None) = (meanings.next(), meanings.next()) {
            return name(only);
        }
        let all_of =
            |all_of: &BTreeSet<Meaning<'_>>| all_of.iter().map(name).collect::<Vec<_>>().join("-and-");
        let any_of: Vec<_> = any_of.iter().map(all_of).collect();
        slug(&any_of.join("-or-")).unwrap_or_default()
    }

    /// What the name of its rule does not say.
    fn remark(&self, rule: &str) -> Option<String> {
        let Some(Meaning { kind, name, .. }) = self.meanings().next() else {
            return Some("the document says that no token is needed".to_owned());
        };
        match kind {
            MeaningKind::Unsaid => Some("the document does not say what these need".to_owned()),
            MeaningKind::Tag if *name != rule => Some(format!("tag: {name}")),
            MeaningKind::Operation if *name != rule && !name.is_empty() => Some(format!("operation: {name}")),
            _ => None,
        }
    }

    fn access(&self, names: &BTreeMap<Meaning<'d>, String>) -> PlannedAccess {
        let Self::AnyOf(any_of) = self else { return PlannedAccess::Public };
        let scopes = |all_of: &BTreeSet<_>| all_of.iter().filter_map(|it| names.get(it).cloned()).collect();
        PlannedAccess::AnyOf(any_of.iter().map(scopes).collect())
    }
}

impl Meaning<'_> {
    /// The name for its scope.
    fn scope(&self, api: &ApiName) -> String {
        match self.kind {
            MeaningKind::Scope if Scope::parse(self.name).is_ok() => self.name.to_owned(),
            MeaningKind::Scope => as_scope(self.name).unwrap_or_else(|| "scope".to_owned()),
            _ => format!("{api}:{}", self.slug()),
        }
    }

    fn slug(&self) -> String {
        let of_title = || slug(&self.title.to_ascii_lowercase().replace('/', "-"));
        slug(self.name).or_else(of_title).unwrap_or_else(|| self.kind.name().to_owned())
    }

    /// What it allows, in the words of the document where there are some.
    fn describe(&self, document: &OpenApiDocument, operation: &OperationObject) -> String {
        let name = self.name;
        let (said, otherwise) = match self.kind {
            MeaningKind::Scope => {
                let schemes = document.components.security_schemes.0.values();
                (
                    schemes.map(|scheme| scheme.flows.description(name)).find(Option::is_some).flatten(),
                    name.to_owned(),
                )
            }
            MeaningKind::Scheme => {
                let scheme = document.components.security_schemes.0.get(name);
                (
                    scheme.and_then(|it| it.description.as_ref()),
                    format!("Operations behind the security scheme {name}"),
                )
            }
            MeaningKind::Tag => {
                let tag = document.tags.iter().find(|tag| tag.name.0 == name);
                (tag.and_then(|tag| tag.description.as_ref()), format!("Operations tagged {name}"))
            }
            MeaningKind::Operation => {
                let OperationObject { summary, description, .. } = operation;
                (summary.as_ref().or(description.as_ref()), self.title.to_owned())
            }
            MeaningKind::NoTag => (None, "Operations without a tag".to_owned()),
            MeaningKind::Unsaid => (None, "Operations for which the document states no security".to_owned()),
        };
        said.map(|DocumentText(said)| said.clone())
            .filter(|said| !said.trim().is_empty())
            .unwrap_or(otherwise)
    }
}

impl MeaningKind {
    /// What stands for a name without a letter that names have.
    fn name(self) -> &'static str {
        match self {
            Self::Scope => "scope",
            Self::Scheme => "scheme",
            Self::Tag | Self::NoTag => "tag",
            Self::Operation => "operation",
            Self::Unsaid => "unsaid",
        }
    }
}
