//! The operations of a document as routes, and those that no route can say.

use std::collections::{BTreeMap, BTreeSet};

use jeton_policy::Method;
use percent_encoding::percent_decode_str;

use super::{
    deciders::{DecidingRoutes, Requests},
    document::{self, DocumentText, OpenApiDocument, PathItem, Server},
    need::Need,
    pattern,
};

/// What the document has, in the order of paths and methods.
#[derive(Default)]
pub(super) struct Operations<'d> {
    pub(super) routes: Vec<Operation<'d>>,
    /// What no route says, and so is denied.
    pub(super) left_out: Vec<LeftOut>,
    /// What the route of another operation decides.
    pub(super) covered: Vec<LeftOut>,
    /// Routes that may decide more than the document lets them.
    pub(super) warnings: Vec<String>,
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
    pub(super) says: &'d document::OperationObject,
    pub(super) need: Need<'d>,
}

/// An operation without a route of its own, and why.
pub(super) struct LeftOut {
    pub(super) title: String,
    pub(super) why: String,
}

/// What is kept until all operations are known.
#[derive(Default)]
struct FoundRoutes<'d> {
    /// The routes by method and shape.
    by_shape: BTreeMap<String, usize>,
    /// For each operation without a route of its own: the requests it covers, and the need that the document states.
    requests: Vec<(Requests, Need<'d>)>,
}

/// What to do about a route that may decide more than it is meant for.
const STRICTER: &str = "let its rule ask for the stricter of the two";

/// How many of the routes are named that may decide one operation.
const MOST_NAMED: usize = 3;

/// What path items refer to, the nearest last, by the reference.
#[derive(Default)]
struct References<'d>(BTreeMap<&'d str, Result<Vec<&'d PathItem>, String>>);

/// How many path items that say something may refer to each other in a row.
const FURTHEST: usize = 100;

impl<'d> Operations<'d> {
    pub(super) fn of(document: &'d OpenApiDocument) -> Self {
        let mut operations = Self::default();
        let mut found = FoundRoutes::default();
        let mut references = References::default();
        for (path, item) in &document.paths.0 {
            match references.resolved(document, item) {
                Ok(items) => operations.add_path(document, path, &items, &mut found),
                Err(why) => {
                    let server = first(item.servers.as_ref()).or(first(document.servers.as_ref()));
                    let base = server.map_or_else(String::new, |server| operations.base(server));
                    found.requests.push((Requests::new(None, &joined(&base, path)), Need::unsaid()));
                    operations.left_out.push(LeftOut { title: path.clone(), why });
                }
            }
        }
        operations.name_deciders(&found.requests);
        operations
    }

    /// Adds the operations of a path: those that stand there, and those of what it refers to.
    fn add_path(
        &mut self,
        document: &'d OpenApiDocument,
        path: &str,
        items: &[&'d PathItem],
        found: &mut FoundRoutes<'d>,
    ) {
        let mut of_methods: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (method, operation) in items.iter().flat_map(|item| &item.operations) {
            let position = Method::ALL.iter().position(|known| known.as_str() == method);
            // what policies do not know comes last
            of_methods.entry((position.is_none(), position, method)).or_default().push(operation);
        }
        let of_path = items.iter().find_map(|item| first(item.servers.as_ref()));
        let of_document = first(document.servers.as_ref());
        for ((.., method), all) in of_methods {
            let [says, others @ ..] = all.as_slice() else { continue };
            let title = format!("{method} {path}");
            let mut need = Need::of(document, says);
            if !others.is_empty() {
                for other in others {
                    need.add(&Need::of(document, other));
                }
                self.remarks.insert(format!(
                    "{title} stands beside a `$ref` or in `additionalOperations` once more: by `security`, its rule asks for what each asks for"
                ));
            }
            let server = first(says.servers.as_ref()).or(of_path).or(of_document);
            let base = server.map_or_else(String::new, |server| self.base(server));
            match pattern::route(method, &base, path, says) {
                Err(why) => {
                    let need = if says.reference.is_some() { Need::unsaid() } else { need };
                    found.requests.push((Requests::new(Some(method), &joined(&base, path)), need));
                    self.left_out.push(LeftOut { title, why });
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
                    self.add(Operation { title, route, remark, says, need }, shape, &mut found.by_shape);
                }
            }
        }
        for (written, says) in items.iter().flat_map(|item| &item.miswritten) {
            let server = first(says.servers.as_ref()).or(of_path).or(of_document);
            let base = server.map_or_else(String::new, |server| self.base(server));
            let why = format!("OpenAPI has methods in lower case: write `{}`", written.to_ascii_lowercase());
            let requests = Requests::new(Some(written), &joined(&base, path));
            found.requests.push((requests, Need::of(document, says)));
            self.left_out.push(LeftOut { title: format!("{written} {path}"), why });
        }
    }

    /// Adds an operation, unless another matches the same requests: its rule then asks for what both ask for.
    fn add(&mut self, mut operation: Operation<'d>, shape: String, by_shape: &mut BTreeMap<String, usize>) {
        let next = self.routes.len();
        let first = *by_shape.entry(shape).or_insert(next);
        let Some(first) = self.routes.get_mut(first) else { return self.routes.push(operation) };
        if first.need.is_public() && !operation.need.is_public() {
            std::mem::swap(first, &mut operation);
        }
        let mut why = format!("it has the pattern of {}, whose rule decides", first.title);
        if first.need != operation.need {
            why.push_str(" and asks, by `security`, for what both ask for");
        }
        first.need.add(&operation.need);
        self.covered.push(LeftOut { title: operation.title, why });
    }

    /// Says of each operation that is left out which routes may decide it all the same.
    fn name_deciders(&mut self, requests: &[(Requests, Need<'d>)]) {
        let Self { routes, left_out, warnings, .. } = self;
        let mut tree = DecidingRoutes::new(routes.iter().map(|it| it.route.as_str()));
        let mut not_compared = 0_usize;
        let mut less = Vec::new();
        for (it, (requests, need)) in left_out.iter_mut().zip(requests) {
            let Some(found) = tree.that_may_decide(requests) else {
                not_compared += 1;
                it.why.push_str("; any route may decide it, for it was not compared with them");
                continue;
            };
            let mut deciders: Vec<_> = found.iter().filter_map(|number| routes.get(*number)).collect();
            // the most open one comes first
            deciders.sort_by_cached_key(|route| (!route.need.asks_less_than(need), !route.need.is_public()));
            let Some(first) = deciders.first() else { continue };
            let named: Vec<_> = deciders.iter().take(MOST_NAMED).map(|it| it.route.as_str()).collect();
            let verbs = match deciders.len() {
                1 => " decides the requests that it matches".to_owned(),
                count if count > MOST_NAMED => {
                    format!(" and {} more decide the requests that they match", count - MOST_NAMED)
                }
                _ => " decide the requests that they match".to_owned(),
            };
            it.why.extend(["; ", &named.join(", "), &verbs]);
            if first.need.asks_less_than(need) {
                let Operation { route, need, .. } = first;
                let title = &it.title;
                if need.is_public() {
                    warnings.push(format!("{route} is public in the document and may decide {title}, which it does not call public: {STRICTER}"));
                } else {
                    less.push(format!(
                        "{route} asks for less than {title} in the document and may decide it: {STRICTER}"
                    ));
                }
            }
        }
        warnings.append(&mut less);
        if not_compared > 0 {
            warnings.push(format!(
                "{not_compared} operations without a route were not compared with the routes, which may decide them: there are too many"
            ));
        }
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
        let DocumentText(address) = &self.url;
        self.variables.0.iter().fold(address.clone(), |address, (name, variable)| match &variable.default {
            Some(DocumentText(default)) => address.replace(&format!("{{{name}}}"), default),
            None => address,
        })
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

/// The path of an operation behind that of its server.
fn joined(base: &str, path: &str) -> String {
    [base, if path.starts_with('/') { "" } else { "/" }, path].concat()
}

impl<'d> References<'d> {
    /// A path item, and those that it refers to one after the other.
    fn resolved(
        &mut self,
        document: &'d OpenApiDocument,
        item: &'d PathItem,
    ) -> Result<Vec<&'d PathItem>, String> {
        let mut passed = BTreeSet::new();
        let mut way = Vec::new();
        let mut next = item.reference.as_deref();
        let mut items = Ok(Vec::new());
        while let Some(reference) = next {
            if let Some(known) = self.0.get(reference) {
                items.clone_from(known);
                break;
            }
            if !passed.insert(reference) {
                items = Err(format!("`$ref: {reference}` leads back to itself"));
                break;
            }
            match referred_to(document, reference) {
                Ok(item) => {
                    way.push((reference, item));
                    next = item.reference.as_deref();
                }
                Err(why) => {
                    items = Err(why);
                    break;
                }
            }
        }
        for (reference, item) in way.into_iter().rev() {
            items = items.and_then(|items| with(items, item));
            self.0.insert(reference, items.clone());
        }
        let mut items = with(items?, item)?;
        items.reverse();
        Ok(items)
    }
}

/// Path items, the nearest last, and one before them, if it says anything.
fn with<'d>(mut items: Vec<&'d PathItem>, item: &'d PathItem) -> Result<Vec<&'d PathItem>, String> {
    let PathItem { servers, operations, miswritten, .. } = item;
    if servers.is_some() || !operations.is_empty() || !miswritten.is_empty() {
        items.push(item);
    }
    if items.len() > FURTHEST {
        return Err(format!(
            "its `$ref` leads through more than {FURTHEST} others: write the operations out"
        ));
    }
    Ok(items)
}

/// The path item of a JSON Pointer in the fragment of an address (RFC 6901 section 6).
fn referred_to<'d>(document: &'d OpenApiDocument, reference: &str) -> Result<&'d PathItem, String> {
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
            (_, Some(name)) => (&document.components.path_items.0, name),
            (None, None) => return Err(nothing()),
        };
    items.get(&name.replace("~1", "/").replace("~0", "~")).ok_or_else(nothing)
}
