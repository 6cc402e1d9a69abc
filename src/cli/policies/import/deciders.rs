//! Which routes may decide the requests of an operation that has none.
//!
//! The answer is one for the reader of the file, and errs on the side of naming a route too many.

use std::collections::{BTreeMap, BTreeSet};

use jeton_policy::Route;

use super::pattern::{Expression, literal};

/// The requests of an operation, as far as they can be told from its path.
pub(super) struct Requests {
    /// None for all methods.
    method: Option<String>,
    /// Of each segment the texts that stand in it, with any text between each two; a single one is the whole
    /// segment.
    segments: Vec<Vec<String>>,
    /// What follows, where it may be any number of segments.
    more: Option<More>,
}

struct More {
    /// How the next segment begins, if there must be one.
    next: Option<Vec<String>>,
    /// How the last segment ends.
    end: String,
}

/// The routes by their segments.
pub(super) struct DecidingRoutes<'r> {
    nodes: Vec<DecidingNode<'r>>,
    /// How many steps the searches may still take, so that no document keeps them for long.
    steps: usize,
}

#[derive(Default)]
struct DecidingNode<'r> {
    /// The last segment, or how it ends.
    last: &'r str,
    literals: BTreeMap<&'r str, usize>,
    /// Parameters, by what follows them.
    endings: BTreeMap<&'r str, usize>,
    /// Each with its method and number.
    routes: Vec<(&'r str, usize)>,
}

/// How many steps all searches of a document may take: more than any real one needs, and a second or two.
const MOST_STEPS: usize = 20_000_000;

impl Requests {
    /// Those of a method, or of all, to a path that no route may say.
    pub(super) fn new(method: Option<&str>, path: &str) -> Self {
        let mut requests =
            Self { method: method.map(str::to_ascii_uppercase), segments: Vec::new(), more: None };
        let mut segment = vec![String::new()];
        let mut rest = path.strip_prefix('/').unwrap_or(path);
        loop {
            let end = rest.find(['{', '?', '#', '*', '/']).unwrap_or(rest.len());
            let (text, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            match literal(text) {
                Ok(text) => segment.last_mut().into_iter().for_each(|last| last.push_str(&text)),
                Err(_) => segment.push(String::new()),
            }
            let mut after = after.chars();
            let next = after.next();
            rest = after.as_str();
            let expression = match next {
                Some('/') => {
                    requests.end(std::mem::replace(&mut segment, vec![String::new()]));
                    continue;
                }
                None | Some('?' | '#') => break,
                Some('{') => {
                    // without an end, it may be anything
                    let (written, after) = rest.split_once('}').unwrap_or(("/", ""));
                    rest = after;
                    Expression::of(written)
                }
                Some(_) => Expression::Segments,
            };
            match expression {
                Expression::NoPath => break,
                Expression::Parameter | Expression::Part => segment.push(String::new()),
                Expression::Segments | Expression::MaybeSegments => {
                    let is_there = expression == Expression::Segments || segment != [""];
                    segment.push(String::new());
                    let next = std::mem::replace(&mut segment, vec![String::new(); 2]);
                    let next = is_there.then_some(next);
                    requests.more.get_or_insert(More { next, end: String::new() });
                }
            }
        }
        requests.end(segment);
        requests
    }

    /// Ends a segment.
    fn end(&mut self, segment: Vec<String>) {
        match (&mut self.more, segment.as_slice()) {
            (Some(more), texts) => more.end = texts.last().cloned().unwrap_or_default(),
            // what no route says may mean anything to the service
            (None, [text]) if !text.is_empty() && Route::parse(&format!("GET /{text}")).is_err() => {
                self.segments.push(vec![String::new(); 2]);
            }
            (None, _) => self.segments.push(segment),
        }
    }

    fn has(&self, method: &str) -> bool {
        self.method.as_deref().is_none_or(|asked| method == asked || (method, asked) == ("GET", "HEAD"))
    }
}

impl<'r> DecidingRoutes<'r> {
    pub(super) fn new(routes: impl Iterator<Item = &'r str>) -> Self {
        let mut tree = Self { nodes: vec![DecidingNode::default()], steps: MOST_STEPS };
        for (number, route) in routes.enumerate() {
            let Some((method, path)) = route.split_once(" /") else { continue };
            let node = path.split('/').fold(0, |node, segment| tree.below(node, segment));
            if let Some(node) = tree.nodes.get_mut(node) {
                node.routes.push((method, number));
            }
        }
        tree
    }

    /// The node of a segment below another.
    fn below(&mut self, node: usize, segment: &'r str) -> usize {
        let next = self.nodes.len();
        let Some(node) = self.nodes.get_mut(node) else { return next };
        let (last, found) = match segment.split_once('}') {
            Some((_, ending)) => (ending, node.endings.entry(ending)),
            None => (segment, node.literals.entry(segment)),
        };
        let found = *found.or_insert(next);
        if found == next {
            self.nodes.push(DecidingNode { last, ..DecidingNode::default() });
        }
        found
    }

    /// The numbers of the routes that may decide one of the requests; none where the search takes too long.
    pub(super) fn that_may_decide(&mut self, requests: &Requests) -> Option<BTreeSet<usize>> {
        let mut reached = vec![0];
        for segment in &requests.segments {
            reached = self.next(&reached, segment)?;
        }
        if let Some(More { next, end }) = &requests.more {
            if let Some(next) = next {
                reached = self.next(&reached, next)?;
            }
            reached = self.all_below(reached)?;
            reached.retain(|node| self.nodes.get(*node).is_some_and(|node| may_end(node.last, end)));
        }
        let mut found = BTreeSet::new();
        for node in reached {
            let routes = self.nodes.get(node).map(|node| node.routes.as_slice()).unwrap_or_default();
            self.steps = self.steps.checked_sub(routes.len())?;
            found.extend(routes.iter().filter(|(method, _)| requests.has(method)).map(|(_, number)| number));
        }
        Some(found)
    }

    /// The nodes of a segment below some.
    fn next(&mut self, nodes: &[usize], segment: &[String]) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        for node in nodes.iter().filter_map(|node| self.nodes.get(*node)) {
            self.steps = self.steps.checked_sub(1 + node.endings.len())?;
            if let [text] = segment {
                found.extend(node.literals.get(text.as_str()));
                let takes = |ending: &str| text.len() > ending.len() && text.ends_with(ending);
                found.extend(node.endings.iter().filter(|(ending, _)| takes(ending)).map(|(_, node)| node));
            } else {
                self.steps = self.steps.checked_sub(node.literals.len())?;
                let end = segment.last().map(String::as_str).unwrap_or_default();
                let literals = node.literals.iter().filter(|(text, _)| is_like(text, segment));
                let endings = node.endings.iter().filter(|(ending, _)| may_end(ending, end));
                found.extend(literals.chain(endings).map(|(_, node)| node));
            }
        }
        Some(found)
    }

    /// Some nodes, and all below them.
    fn all_below(&mut self, mut nodes: Vec<usize>) -> Option<Vec<usize>> {
        let mut position = 0;
        while let Some(node) = nodes.get(position).and_then(|node| self.nodes.get(*node)) {
            self.steps = self.steps.checked_sub(1)?;
            nodes.extend(node.literals.values().chain(node.endings.values()));
            position += 1;
        }
        Some(nodes)
    }
}

/// Whether a segment that ends in one text may end in another.
fn may_end(one: &str, other: &str) -> bool {
    one.ends_with(other) || other.ends_with(one)
}

/// Whether a text is one of a segment: the texts of it in their order, with any text between.
fn is_like<'t>(text: &'t str, segment: &[String]) -> bool {
    let [first, between @ .., last] = segment else { return false };
    let Some(rest) = text.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()))
    else {
        return false;
    };
    let find = |rest: &'t str, part: &String| rest.split_once(part.as_str()).map(|(_, rest)| rest);
    !text.is_empty() && between.iter().try_fold(rest, find).is_some()
}
