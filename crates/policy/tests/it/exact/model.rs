//! Policies over few words, and what they mean by the contract alone.
use std::{collections::BTreeSet, fmt::Write, path::Path};

use jeton_oauth::{ClientId, Role, Scope};
use jeton_policy::{DemoSecrets, FindingCode, Permissions, PolicyDraft, PolicySources, Severity};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::policy_text::{now, surroundings};

pub(super) const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "DELETE"];

/// The words of which policies, requests and tokens are made: few, so that much overlaps.
#[derive(Debug, PartialEq)]
pub(super) struct Dialect {
    /// The segments of requests: some that policies name, some that they do not.
    pub(super) segments: &'static [&'static str],
    /// How many segments a path has at most.
    pub(super) depth: usize,
    /// Literals of routes.
    pub(super) literals: &'static [&'static str],
    /// What stands behind a parameter.
    pub(super) endings: &'static [&'static str],
    /// Which claims conditions are about.
    pub(super) names: &'static [&'static str],
    /// What conditions compare with, as YAML has it.
    pub(super) values: &'static [&'static str],
    /// What tokens and clients have as a claim, as JSON has a list of it.
    claims: &'static str,
    /// The clients of tokens, and whom tokens are about that are no client's own.
    clients: [&'static [&'static str]; 2],
    /// Whether its tokens are all that conditions can tell apart.
    pub(super) is_whole: bool,
}

impl Dialect {
    /// What tokens and clients have as a claim.
    pub(super) fn claims(&self) -> Vec<Value> {
        serde_json::from_str(self.claims).unwrap()
    }
}

/// Whole segments and text.
static PLAIN: Dialect = Dialect {
    segments: &["a", "b", "z", "é x"],
    depth: 4,
    literals: &["a", "b", "a"],
    endings: &[""],
    names: &["t", "t", "u"],
    values: &["a", "b"],
    clients: [&["x", "y"], &[]],
    is_whole: true,
    claims: r#"["a", "b", "c", "z", "é x", [], ["a"], ["b"], ["z"], ["a", "b"], ["a", "z"], ["b", "z"], ["z", "é x"],
               ["a", "é x"], ["b", "é x"], ["z", "b", 1], "", [""], "..", "a/b", 1]"#,
};

/// Parameters with something behind them.
static ENDINGS: Dialect = Dialect {
    segments: &["a", "z", "a:x", "z:x", "z.g:x", ":x"],
    depth: 4,
    literals: &["a", "a:x", "b"],
    endings: &["", "", ":x", ":x", ".g:x", ":y"],
    names: &["t", "t", "u"],
    values: &["a", "\"a:x\""],
    clients: [&["x", "y"], &[]],
    is_whole: false,
    claims: r#"["a", "b", "c", "z", "a:x", "z:x", "z.g", "a:x:x", "z.g:x", ":x", [], ["a"], ["a:x"], ["z", "a:x"], ["z:x", "z"],
               ["b", "z"], ["z.g", "a"], ["z.g:x"]]"#,
};

/// Numbers and booleans, and text that looks like them.
static TYPED: Dialect = Dialect {
    segments: &["a", "7", "07", "8", "z"],
    depth: 4,
    literals: &["a", "7", "true"],
    endings: &["", "", ":x"],
    names: &["t", "t", "u"],
    values: &["a", "7", "\"7\"", "true", "\"true\"", "8"],
    clients: [&["x", "y"], &[]],
    is_whole: true,
    claims: r#"["a", "c", "z", "7", 7, "8", 8, "07", true, "true", false, 7.0, [], ["a"], ["7"], [7], [8], ["8"], ["07"],
               [true], ["true"], ["z"], ["a", 7], ["a", "7"], [7, "7"], [7, 8], ["7", "8"], ["7", 8], [7, "8"], ["z", 7],
               ["z", "7"], ["a", "z"], [true, 7], [true, "7"], ["true", "a"], ["07", 7], ["07", "7"], ["a", 8], ["a", "8"],
               ["true", 7], ["true", "7"], [true, "a"], [true, "z"], ["true", "z"], [8, "z"], ["8", "z"], ["07", "a"],
               ["07", "z"], [true, 8], [true, "8"], ["true", 8], ["true", "8"], [true, "07"], ["true", "07"], [8, "07"], [7.5]]"#,
};

/// What stands within claims, and the subject.
static WITHIN: Dialect = Dialect {
    segments: &["a", "z", "x", "0"],
    depth: 3,
    literals: &["a", "x"],
    endings: &[""],
    names: &["t", "/t/n", "/t/0", "/t/1", "/u", "u", "sub", "sub"],
    values: &["a", "x", "0"],
    clients: [&["x", "y"], &["x", "y", "a", "z"]],
    is_whole: false,
    claims: r#"["a", "x", "z", 0, "0", [], ["a"], ["x"], ["z"], [0], ["0"], ["a", "z"], ["z", "a"], [null, "a"], ["x", 0],
               [null, null, "a"], [null, null, "z"], [null, null, "z", "a"], ["a", null, "z"], ["a", null, "x"], [null, "z", "a"],
               {"n": "a"}, {"n": "z"}, {"n": 0}, {"n": ["a"]}, {"n": ["z", "x"]}, {"0": "a"}, {"0": "z"}, {"1": "z"}, {"1": "x"},
               {"0": ["a"]}, {"n": "a", "0": "z"}, {"n": "z", "0": "z"}, {"n": "x", "1": "a"}, {"0": "a", "1": "z"},
               {"0": "z", "1": "z"}, {"n": "a", "0": "a", "1": "a"}, [["a"]], {}]"#,
};

pub(super) static DIALECTS: [&Dialect; 4] = [&PLAIN, &ENDINGS, &TYPED, &WITHIN];

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ask {
    Scope(&'static str),
    AllScopes(Vec<&'static str>),
    AnyScope(Vec<&'static str>),
    Role(&'static str),
    AnyRole(Vec<&'static str>),
    Client(&'static str),
    AnyClient(Vec<&'static str>),
    Claim(&'static str, Test),
}

/// What is asked of a claim; values are written as YAML has them, and a parameter is meant by its segment, which is its
/// name too.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Is(&'static str),
    In(Vec<&'static str>),
    Contains(&'static str),
    SameAsPath(usize),
    ContainsPath(usize),
}

pub(super) type Alternatives = Vec<Vec<Ask>>;

/// A rule: its routes, and what it asks for; `None` for a public one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) routes: Vec<String>,
    pub(super) require: Option<Alternatives>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Guarantee {
    pub(super) route: String,
    pub(super) only_when: Alternatives,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Client {
    pub(super) id: &'static str,
    pub(super) enabled: bool,
    pub(super) anonymous: bool,
    /// Scopes and roles.
    pub(super) grant: Option<(Vec<&'static str>, Vec<&'static str>)>,
    pub(super) claims: Vec<(&'static str, Value)>,
}

/// Policies of one API, `api`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Policy {
    pub(super) dialect: &'static Dialect,
    /// The scopes of `r1` and `r2`.
    pub(super) roles: [Vec<&'static str>; 2],
    pub(super) rules: Vec<Rule>,
    pub(super) guarantees: Vec<Guarantee>,
    pub(super) clients: Vec<Client>,
}

impl Ask {
    fn yaml(&self) -> String {
        match self {
            Self::Scope(scope) => format!("scope: {scope}"),
            Self::AllScopes(scopes) => format!("all_scopes: [{}]", scopes.join(", ")),
            Self::AnyScope(scopes) => format!("any_scope: [{}]", scopes.join(", ")),
            Self::Role(role) => format!("role: {role}"),
            Self::AnyRole(roles) => format!("any_role: [{}]", roles.join(", ")),
            Self::Client(client) => format!("client: {client}"),
            Self::AnyClient(clients) => format!("any_client: [{}]", clients.join(", ")),
            Self::Claim(_, test) => match test {
                Test::Is(value) => format!("is: {value}"),
                Test::In(values) => format!("in: [{}]", values.join(", ")),
                Test::Contains(value) => format!("contains: {value}"),
                Test::SameAsPath(segment) => format!("same_as_path: p{segment}"),
                Test::ContainsPath(segment) => format!("contains_path: p{segment}"),
            },
        }
    }

    /// What stands once in an alternative.
    pub(super) fn key(&self) -> (&'static str, String) {
        let claim = if let Self::Claim(name, _) = self { name } else { "" };
        (claim, self.yaml().split(':').next().unwrap().to_owned())
    }

    pub(super) fn parameter(&self) -> Option<usize> {
        match self {
            Self::Claim(_, Test::SameAsPath(segment) | Test::ContainsPath(segment)) => Some(*segment),
            _ => None,
        }
    }

    /// Whether it holds where the parameters have these values, by segment.
    pub(super) fn holds(&self, bearer: &Permissions, at: &[String]) -> bool {
        let scope = |scope: &&str| bearer.scopes.contains(&Scope::parse(scope).unwrap());
        let role = |role: &&str| bearer.roles.contains(&Role::parse(role).unwrap());
        let client = |client: &&str| bearer.client.as_ref().is_some_and(|id| id.as_str() == *client);
        match self {
            Self::Scope(name) => scope(name),
            Self::AllScopes(names) => names.iter().all(scope),
            Self::AnyScope(names) => names.iter().any(scope),
            Self::Role(name) => role(name),
            Self::AnyRole(names) => names.iter().any(role),
            Self::Client(name) => client(name),
            Self::AnyClient(names) => names.iter().any(client),
            Self::Claim(name, test) => {
                let claim = find(bearer, name);
                let items = claim.as_array().map(Vec::as_slice).unwrap_or_default();
                match test {
                    Test::Is(value) => claim == read(value),
                    Test::In(values) => values.iter().any(|value| claim == read(value)),
                    Test::Contains(value) => items.contains(&read(value)),
                    Test::SameAsPath(segment) => text(&claim).as_ref() == Some(&at[*segment]),
                    Test::ContainsPath(segment) => {
                        items.iter().any(|item| text(item).as_ref() == Some(&at[*segment]))
                    }
                }
            }
        }
    }
}

/// What a token has as a claim, or within one.
fn find(bearer: &Permissions, name: &str) -> Value {
    let found = match (name, name.starts_with('/')) {
        ("sub", _) => bearer.sub.as_ref().map(|sub| json!(sub.as_str())),
        (_, true) => Value::Object(bearer.claims.clone()).pointer(name).cloned(),
        (_, false) => bearer.claims.get(name).cloned(),
    };
    found.unwrap_or(Value::Null)
}

/// What a path has for a value: text as it is, a whole number by its digits.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// Every text that a path may have for something in a claim.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        other => text(other).into_iter().collect(),
    }
}

/// A value as YAML has it.
fn read(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|_| json!(value))
}

/// Whether one of the alternatives holds of a request to this route.
pub(super) fn meets(alternatives: &Alternatives, bearer: &Permissions, route: &str, path: &[String]) -> bool {
    let at = parameters(route, path);
    alternatives.iter().any(|asks| asks.iter().all(|ask| ask.holds(bearer, &at)))
}

/// The name of a parameter and what stands behind it.
pub(super) fn parameter(part: &str) -> Option<(&str, &str)> {
    part.strip_prefix('{')?.split_once('}')
}

/// By segment what a parameter there has of a path.
pub(super) fn parameters(route: &str, path: &[String]) -> Vec<String> {
    let (_, pattern) = route.split_once('/').unwrap();
    let parts = pattern.split('/').chain(std::iter::repeat("{}"));
    let each = path.iter().zip(parts).map(|(segment, part)| {
        let ending = parameter(part).map_or("", |(_, ending)| ending);
        segment.strip_suffix(ending).unwrap_or(segment).to_owned()
    });
    each.collect()
}

fn write_alternatives(text: &mut String, indent: &str, alternatives: &Alternatives) {
    for alternative in alternatives {
        let mut keys: Vec<String> = Vec::new();
        let mut claims: Vec<String> = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        names.extend(
            alternative
                .iter()
                .filter_map(|ask| if let Ask::Claim(name, _) = ask { Some(*name) } else { None }),
        );
        names.sort_unstable();
        names.dedup();
        for name in names {
            let of_claim =
                alternative.iter().filter(|ask| matches!(ask, Ask::Claim(claim, _) if *claim == name));
            let tests: Vec<_> = of_claim.map(Ask::yaml).collect();
            claims.push(format!("{name}: {{ {} }}", tests.join(", ")));
        }
        keys.extend(alternative.iter().filter(|ask| !matches!(ask, Ask::Claim(..))).map(Ask::yaml));
        if !claims.is_empty() {
            keys.push(format!("claims: {{ {} }}", claims.join(", ")));
        }
        writeln!(text, "{indent}- {{ {} }}", keys.join(", ")).unwrap();
    }
}

const AUDIENCE: &str = "version: 1\napis:\n  api:\n    audience: https://api.example.com\n";

impl Policy {
    fn vocabulary(&self) -> String {
        let [r1, r2] = &self.roles;
        format!(
            "version: 1\nscopes: {{ s1: x, s2: x, s3: x }}\nroles: {{ r1: [{}], r2: [{}] }}\n",
            r1.join(", "),
            r2.join(", ")
        )
    }

    fn api(&self) -> String {
        let mut text = AUDIENCE.to_owned();
        if self.rules.is_empty() {
            return text;
        }
        text.push_str("    rules:\n");
        for rule in &self.rules {
            writeln!(text, "      {}:\n        routes:", rule.name).unwrap();
            for route in &rule.routes {
                writeln!(text, "          - {route}").unwrap();
            }
            match &rule.require {
                None => text.push_str("        public: true\n"),
                Some(alternatives) => {
                    text.push_str("        require:\n");
                    write_alternatives(&mut text, "          ", alternatives);
                }
            }
        }
        if !self.guarantees.is_empty() {
            text.push_str("    guarantees:\n");
        }
        for (at, guarantee) in self.guarantees.iter().enumerate() {
            writeln!(text, "      g-{at}:\n        routes:\n          - {}", guarantee.route).unwrap();
            text.push_str("        only_when:\n");
            write_alternatives(&mut text, "          ", &guarantee.only_when);
        }
        text
    }

    fn client_entries(&self) -> String {
        let mut text = "version: 1\nclients:\n".to_owned();
        for client in &self.clients {
            writeln!(text, "  {}:\n    enabled: {}", client.id, client.enabled).unwrap();
            writeln!(text, "    anonymous: {}", client.anonymous).unwrap();
            if let Some((scopes, roles)) = &client.grant {
                text.push_str("    grants:\n      api:\n");
                for (key, items) in [("scopes", scopes), ("roles", roles)] {
                    if !items.is_empty() {
                        writeln!(text, "        {key}: [{}]", items.join(", ")).unwrap();
                    }
                }
            }
            let claims: serde_json::Map<String, Value> =
                client.claims.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            writeln!(text, "    claims: {}", Value::Object(claims)).unwrap();
        }
        text
    }

    /// Its files.
    pub(super) fn files(&self) -> Vec<String> {
        vec![self.vocabulary(), self.api(), self.client_entries()]
    }

    pub(super) fn yaml(&self) -> String {
        self.files().join("---\n")
    }

    /// Compiled; `None` where a rule can never decide, which is an error.
    #[track_caller]
    pub(super) fn draft(&self) -> Option<PolicyDraft> {
        draft_of(self.files())
    }

    pub(super) fn rule(&self, name: &str) -> &Rule {
        self.rules.iter().find(|rule| rule.name == name).unwrap()
    }
}

/// Compiles files; `None` where a rule can never decide, which is an error.
#[track_caller]
pub(super) fn draft_of(files: Vec<String>) -> Option<PolicyDraft> {
    let text = files.join("---\n");
    let files = files.into_iter().enumerate();
    let files = files.map(|(at, text)| (format!("{at}.yaml").into(), text.into_bytes())).collect();
    let sources = PolicySources::of_files(Path::new("p"), files).unwrap();
    match PolicyDraft::compile(&sources, &surroundings(DemoSecrets::Allowed), now()) {
        Ok(draft) => Some(draft),
        Err(findings) => {
            let mut errors = findings.0.iter().filter(|finding| finding.severity == Severity::Error);
            assert!(errors.all(|finding| finding.code == FindingCode::DeadRule), "{findings}\n{text}");
            None
        }
    }
}

/// A request target of these segments.
pub(super) fn target(segments: &[String]) -> String {
    let encoded = segments.iter().map(|segment| utf8_percent_encode(segment, NON_ALPHANUMERIC).to_string());
    format!("/{}", encoded.collect::<Vec<_>>().join("/"))
}

/// The segments of a request target.
pub(super) fn segments(target: &str) -> Vec<String> {
    let decode = |part| percent_encoding::percent_decode_str(part).decode_utf8().unwrap().into_owned();
    target[1..].split('/').map(decode).collect()
}

/// Every path of a dialect, those of up to three segments with a slash at the end too.
pub(super) fn paths(dialect: &Dialect) -> Vec<Vec<String>> {
    let mut all = vec![vec![String::new()]];
    let mut longest: Vec<Vec<String>> = vec![Vec::new()];
    for length in 1..=dialect.depth {
        let longer = |path: &Vec<String>| {
            let each = dialect.segments.iter();
            each.map(|segment| [path.clone(), vec![(*segment).to_owned()]].concat()).collect::<Vec<_>>()
        };
        longest = longest.iter().flat_map(longer).collect();
        all.extend(longest.iter().cloned());
        if length <= 3 {
            all.extend(longest.iter().map(|path| [path.clone(), vec![String::new()]].concat()));
        }
    }
    all
}

/// Paths of a pattern in which each parameter, and what `**` stands for, is each of these texts.
pub(super) fn instances(pattern: &str, texts: &[String]) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    let longer = |all: &[Vec<String>], ending: &str| -> Vec<Vec<String>> {
        let with = |path: &Vec<String>| {
            let each = texts.iter();
            each.map(|text| [path.clone(), vec![format!("{text}{ending}")]].concat()).collect::<Vec<_>>()
        };
        all.iter().flat_map(with).collect()
    };
    for part in pattern[1..].split('/') {
        all = match (part, parameter(part)) {
            ("**", _) => {
                let one = longer(&all, "");
                let mut any = longer(&one[..one.len().min(50)], "");
                // deeper than every route, with one text over and over
                for path in all.iter().take(50) {
                    let deeper =
                        texts.iter().flat_map(|text| [3, 4].map(|length| vec![text.clone(); length]));
                    any.extend(deeper.map(|deeper| [path.clone(), deeper].concat()));
                }
                [any, one].concat()
            }
            (_, Some((_, ending))) => longer(&all, ending),
            (literal, None) => {
                all.iter().map(|path| [path.clone(), vec![literal.to_owned()]].concat()).collect()
            }
        };
    }
    all
}

/// Whether a pattern has this path.
pub(super) fn covers(pattern: &str, path: &[String]) -> bool {
    let parts: Vec<_> = pattern[1..].split('/').collect();
    for (at, part) in parts.iter().enumerate() {
        let Some(segment) = path.get(at) else { return false };
        let fits = match (*part, parameter(part)) {
            // with a slash at the end where the pattern has one
            ("**", _) => {
                return !segment.is_empty()
                    && path.last().unwrap().is_empty() == parts.last().unwrap().is_empty();
            }
            (_, Some((_, ending))) => segment.strip_suffix(ending).is_some_and(|before| !before.is_empty()),
            (literal, None) => literal == segment,
        };
        if !fits {
            return false;
        }
    }
    parts.len() == path.len()
}

/// Whether a route has this request.
pub(super) fn has(route: &str, method: &str, path: &[String]) -> bool {
    let (named, pattern) = route.split_once(' ').unwrap();
    (named == method || named == "ANY" || (named == "GET" && method == "HEAD")) && covers(pattern, path)
}

/// Every token over the scopes, both roles, both claims, and two clients.
pub(super) fn tokens(dialect: &Dialect) -> Vec<Permissions> {
    let claims = [vec![Value::Null], dialect.claims()].concat();
    let id = |id: &&str| Some(ClientId::parse(id).unwrap());
    let [clients, subjects] = dialect.clients;
    let mut identities = vec![(None, None)];
    identities.extend(clients.iter().map(|client| (id(client), id(client))));
    identities.extend(subjects.iter().map(|subject| (None, id(subject))));
    let mut tokens = Vec::new();
    for carried in 0..32_u8 {
        let pick = |bit: u8, name: &'static str| (carried & bit != 0).then_some(name);
        let scopes = [pick(1, "s1"), pick(2, "s2"), pick(4, "s3")].into_iter().flatten();
        let roles = [pick(8, "r1"), pick(16, "r2")].into_iter().flatten();
        for t in &claims {
            for u in &claims {
                for (client, sub) in &identities {
                    let claims = [("t", t), ("u", u)].into_iter().filter(|(_, value)| !value.is_null());
                    tokens.push(Permissions {
                        client: client.clone(),
                        sub: sub.clone(),
                        scopes: scopes.clone().map(|scope| Scope::parse(scope).unwrap()).collect(),
                        roles: roles.clone().map(|role| Role::parse(role).unwrap()).collect(),
                        claims: claims.map(|(name, value)| (name.to_owned(), value.clone())).collect(),
                    });
                }
            }
        }
    }
    tokens
}

/// The texts of a column of words.
pub(super) fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    items.into_iter().collect()
}
