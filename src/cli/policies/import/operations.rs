//! The operations of a document as routes, and those that no route can say.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;

use super::document::{self, Document, PathItem, Server, Text};
use crate::policy::{Method, Route, printable};

/// What the document has, in the order of paths and methods.
#[derive(Default)]
pub(super) struct Operations<'d> {
    pub(super) routes: Vec<Operation<'d>>,
    /// What no route says, and so is denied.
    pub(super) left_out: Vec<LeftOut>,
    /// What the route of another operation decides.
    pub(super) covered: Vec<LeftOut>,
    /// What else is to be known of them.
    pub(super) remarks: BTreeSet<String>,
}

/// An operation, and the route that says it.
pub(super) struct Operation<'d> {
    /// Method and path, as the document has them.
    pub(super) title: String,
    pub(super) route: String,
    /// In what the route differs from what the document has.
    pub(super) remark: Option<String>,
    pub(super) says: &'d document::Operation,
    pub(super) need: Need<'d>,
}

/// An operation without a route of its own, and why.
pub(super) struct LeftOut {
    pub(super) title: String,
    pub(super) why: String,
    /// The method and the whole path.
    request: String,
}

/// What the document asks of who calls an operation.
#[derive(PartialEq, Eq)]
pub(super) enum Need<'d> {
    /// Nothing, in so many words.
    Nothing,
    /// It does not say.
    Unsaid,
    /// One of these: security schemes that are asked for together, each with its scopes.
    AnyOf(Vec<BTreeMap<&'d str, Vec<&'d str>>>),
}

/// A path as a route has it.
struct Pattern {
    text: String,
    /// The same for all patterns that match the same paths.
    shape: String,
    /// The parameters that have other names in the document.
    renamed: Vec<String>,
}

impl<'d> Operations<'d> {
    pub(super) fn of(document: &'d Document) -> Self {
        let mut operations = Self::default();
        let mut by_shape = BTreeMap::new();
        for (path, item) in &document.paths.0 {
            match resolved(document, item) {
                Ok(items) => operations.add_path(document, path, &items, &mut by_shape),
                Err(why) => {
                    operations.left_out.push(LeftOut { title: path.clone(), why, request: String::new() });
                }
            }
        }
        let Self { routes, left_out, .. } = &mut operations;
        for it in left_out {
            if let Some(other) = routes.iter().find(|other| may_decide(&other.route, &it.request)) {
                it.why.extend(["; ", &other.route, " decides the requests that it matches"]);
            }
        }
        operations
    }

    /// Adds the operations of a path: those that stand there, and those of what it refers to.
    fn add_path(
        &mut self,
        document: &'d Document,
        path: &str,
        items: &[&'d PathItem],
        by_shape: &mut BTreeMap<String, usize>,
    ) {
        let mut found: BTreeMap<_, _> = BTreeMap::new();
        for (method, operation) in items.iter().flat_map(|item| &item.operations) {
            let position = Method::ALL.iter().position(|known| known.as_str() == method);
            found.entry((position.unwrap_or(usize::MAX), method)).or_insert(operation);
        }
        let of_path = items.iter().find_map(|item| first(item.servers.as_ref()));
        let of_document = first(document.servers.as_ref());
        for ((_, method), says) in found {
            let title = format!("{method} {path}");
            let server = first(says.servers.as_ref()).or(of_path).or(of_document);
            let base = server.map_or_else(String::new, |server| self.base(server));
            match route(method, &base, path, says) {
                Err(why) => {
                    self.left_out.push(LeftOut { title, why, request: format!("{method} {base}{path}") });
                }
                Ok(pattern) => {
                    let shape = format!("{method} {}", pattern.shape);
                    let elsewhere =
                        server.zip(of_document).filter(|(one, usual)| one.address() != usual.address());
                    let remarks: Vec<_> = pattern
                        .renamed
                        .iter()
                        .map(|name| format!("`{{{name}}}` in the document"))
                        .chain(elsewhere.map(|(server, _)| format!("at {}", server.address())))
                        .collect();
                    let remark = (!remarks.is_empty()).then(|| remarks.join(", "));
                    let route = format!("{method} {}", pattern.text);
                    let need = Need::of(document, says);
                    self.add(Operation { title, route, remark, says, need }, shape, by_shape);
                }
            }
        }
    }

    /// Adds an operation, unless another matches the same requests: of two, the one that needs a token decides, else
    /// the first.
    fn add(&mut self, mut operation: Operation<'d>, shape: String, by_shape: &mut BTreeMap<String, usize>) {
        let next = self.routes.len();
        let first = *by_shape.entry(shape).or_insert(next);
        let Some(first) = self.routes.get_mut(first) else { return self.routes.push(operation) };
        if first.need == Need::Nothing && operation.need != Need::Nothing {
            std::mem::swap(first, &mut operation);
        }
        let why = format!("it has the pattern of {}, whose rule decides", first.title);
        self.covered.push(LeftOut { title: operation.title, why, request: operation.route });
    }

    /// The path of a server, which stands before all others.
    fn base(&mut self, server: &Server) -> String {
        let address = server.address();
        if let Some(path) = path_of(&address) {
            return path.to_owned();
        }
        self.remarks.insert(format!(
            "the server `{address}` is relative to where the document lies: its path does not stand in the routes"
        ));
        String::new()
    }
}

impl Server {
    /// The address, with the default of each variable.
    pub(super) fn address(&self) -> String {
        let Text(address) = &self.url;
        self.variables.iter().fold(address.clone(), |address, (name, variable)| match &variable.default {
            Some(Text(default)) => address.replace(&format!("{{{name}}}"), default),
            None => address,
        })
    }
}

impl<'d> Need<'d> {
    fn of(document: &'d Document, operation: &'d document::Operation) -> Self {
        let required = match (&operation.security, &document.security) {
            (Some(required), _) => {
                if required.is_empty() {
                    return Self::Nothing;
                }
                required
            }
            // an empty list for all says nothing (OpenAPI 3.1.1 section 4.8.1.1)
            (None, Some(required)) => required,
            (None, None) => return Self::Unsaid,
        };
        let scopes = |scopes: &'d Option<Vec<Text>>| {
            scopes.iter().flatten().map(|Text(scope)| scope.as_str()).collect()
        };
        let any_of: Vec<BTreeMap<_, _>> = required
            .iter()
            .flatten()
            .map(|schemes| schemes.iter().map(|(name, named)| (name.as_str(), scopes(named))).collect())
            .collect();
        if any_of.is_empty() {
            return Self::Unsaid;
        }
        if any_of.iter().any(BTreeMap::is_empty) { Self::Nothing } else { Self::AnyOf(any_of) }
    }
}

impl<'d> Need<'d> {
    /// The security schemes of it.
    pub(super) fn schemes(&self) -> impl Iterator<Item = &'d str> {
        let any_of = match self {
            Self::Nothing | Self::Unsaid => None,
            Self::AnyOf(any_of) => Some(any_of),
        };
        any_of.into_iter().flatten().flat_map(BTreeMap::keys).copied()
    }
}

fn first(servers: Option<&Vec<Server>>) -> Option<&Server> {
    servers.and_then(|servers| servers.first())
}

/// The path of an address, without a slash at its end; none if it is relative.
pub(super) fn path_of(address: &str) -> Option<&str> {
    let rest = match address.split_once("://") {
        Some((_, rest)) => rest,
        None => match address.strip_prefix("//") {
            Some(rest) => rest,
            None if address.starts_with('/') || matches!(address, "" | "." | "./") => {
                address.trim_start_matches('.')
            }
            None => return None,
        },
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let path = rest.find('/').and_then(|start| rest.get(start..)).unwrap_or_default();
    Some(path.trim_end_matches('/'))
}

/// Whether a route matches requests for an operation that has none: where a segment cannot be said, a parameter may
/// take it.
fn may_decide(route: &str, request: &str) -> bool {
    let (Some((method, route)), Some((asked, path))) = (route.split_once(' '), request.split_once(' '))
    else {
        return false;
    };
    let takes = |(ours, theirs): (&str, &str)| match ours.split_once('}') {
        Some((_, ending)) => theirs.len() > ending.len() && theirs.ends_with(ending),
        None => ours == theirs,
    };
    (method == asked || (method, asked) == ("GET", "HEAD"))
        && route.split('/').count() == path.split('/').count()
        && route.split('/').zip(path.split('/')).all(takes)
}

/// A path item, and those that it refers to one after the other.
fn resolved<'d>(document: &'d Document, item: &'d PathItem) -> Result<Vec<&'d PathItem>, String> {
    let mut items = vec![item];
    let mut followed = BTreeSet::new();
    let mut next = item.reference.as_deref();
    while let Some(reference) = next {
        if !followed.insert(reference) {
            return Err(format!("`$ref: {reference}` leads back to itself"));
        }
        let item = referred_to(document, reference)?;
        items.push(item);
        next = item.reference.as_deref();
    }
    Ok(items)
}

/// The path item of a JSON Pointer in the fragment of an address (RFC 6901 section 6).
fn referred_to<'d>(document: &'d Document, reference: &str) -> Result<&'d PathItem, String> {
    let Some(pointer) = reference.strip_prefix('#') else {
        return Err(format!(
            "`$ref: {reference}` leads to another file: make one document of them first, for example by `npx @redocly/cli bundle`"
        ));
    };
    let nothing = || format!("`$ref: {reference}` leads to no path of the document");
    let pointer = percent_decode_str(pointer).decode_utf8().map_err(|_| nothing())?;
    let (items, name) =
        match (pointer.strip_prefix("/paths/"), pointer.strip_prefix("/components/pathItems/")) {
            (Some(name), _) => (&document.paths.0, name),
            (_, Some(name)) => (&document.components.path_items, name),
            (None, None) => return Err(nothing()),
        };
    items.get(&name.replace("~1", "/").replace("~0", "~")).ok_or_else(nothing)
}

/// The pattern of an operation, if there is a route for it.
fn route(method: &str, base: &str, path: &str, says: &document::Operation) -> Result<Pattern, String> {
    if let Some(Text(reference)) = &says.reference {
        return Err(format!("`$ref: {reference}` stands in the place of an operation: write it out"));
    }
    if !path.starts_with('/') {
        return Err("a path begins with `/`".to_owned());
    }
    let pattern = pattern(&format!("{base}{path}"))?;
    let text = format!("{method} {}", pattern.text);
    if printable(&text) != text {
        return Err("a character of it is not seen".to_owned());
    }
    match Route::parse(&text) {
        Ok(_) => Ok(pattern),
        Err(bad) => Err(bad.message),
    }
}

/// A path with parameters by names that routes have, and with literals as they are after decoding.
fn pattern(path: &str) -> Result<Pattern, String> {
    let mut pattern = Pattern { text: String::new(), shape: String::new(), renamed: Vec::new() };
    let mut names = BTreeSet::new();
    let mut rest = path;
    loop {
        let (before, after) =
            rest.split_once('{').map_or((rest, None), |(before, after)| (before, Some(after)));
        let before = literal(before)?;
        pattern.text.push_str(&before);
        pattern.shape.push_str(&before);
        let Some(after) = after else { return Ok(pattern) };
        let (written, after) = after.split_once('}').ok_or("a `{` has no `}`")?;
        let name = parameter(written, &mut names)?;
        if name != written {
            pattern.renamed.push(written.to_owned());
        }
        pattern.text.extend(["{", &name, "}"]);
        pattern.shape.push_str("{}");
        rest = after;
    }
}

/// What stands between parameters, decoded.
fn literal(text: &str) -> Result<String, String> {
    let star = "a `*` stands for itself in OpenAPI, and for more in a route";
    if text.contains('*') {
        return Err(star.to_owned());
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| format!("`{text}` is not UTF-8"))?;
    if ['/', '{', '}', '*'].iter().any(|c| decoded.matches(*c).count() != text.matches(*c).count()) {
        return Err(format!("`{text}` has an escape that no route has"));
    }
    Ok(decoded.into_owned())
}

/// A name for a parameter, of the characters that names have, and which no other of the path has.
fn parameter(written: &str, names: &mut BTreeSet<String>) -> Result<String, String> {
    if written.is_empty() {
        return Err("`{}` names no parameter".to_owned());
    }
    if written.contains(['*', '+', '=', '|', '/', '{']) || written.contains("...") {
        return Err(format!("`{{{written}}}` may stand for more than one segment"));
    }
    let word = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    let mut name: String = written.chars().map(word).collect();
    if name != written {
        let trimmed = name.trim_matches('_');
        name = if trimmed.is_empty() { "parameter".to_owned() } else { trimmed.to_owned() };
    }
    let mut distinct = name.clone();
    let mut number = 1;
    while !names.insert(distinct.clone()) {
        number += 1;
        distinct = format!("{name}-{number}");
    }
    Ok(distinct)
}
