//! The last denied decisions, for those who watch them: kept in bounded memory, and told as they come.
//!
//! An entry is a line of the decision log, with the gateway that asked. Requests that a gateway's endpoint refuses before
//! the policies are asked have an entry too, though the decision log has none.

use std::{
    collections::VecDeque,
    fmt::Display,
    sync::{Arc, Mutex, PoisonError},
};

use jeton_oauth::{clock::Clock, text::printable_json};
use jeton_verify::audit::{AuditedRequest, DecisionListener, TakenDecision, write_line};
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::gateway::GatewayName;

/// How many entries are kept.
const MOST_KEPT: usize = 200;
/// How many may watch at once.
const MOST_WATCHERS: usize = 8;
/// By how many entries a watcher may be behind before it misses some.
const MOST_BEHIND: usize = 256;
/// The longest entry that is kept as it is, in bytes.
const LONGEST: usize = 8 * 1024;
/// The longest text of an entry that is cut, in bytes.
const LONGEST_TEXT: usize = 1024;
/// What of an entry is left out until it is short enough, in this order.
const LISTS: [&str; 5] = ["claims", "scopes", "roles", "earlier_actors", "audience"];

/// A gateway's request that is refused without a decision: before the policies are asked, or because no header can carry
/// the answer.
#[derive(Clone, Copy)]
pub(crate) struct RefusedQuestion<'r> {
    /// The gateway, if the settings know it.
    pub(crate) gateway: Option<&'r str>,
    /// The method that it asks about.
    pub(crate) method: Option<&'r str>,
    /// The path that it asks about.
    pub(crate) path: Option<&'r str>,
    /// The host that it asks about.
    pub(crate) host: Option<&'r str>,
    /// The stable name of the reason.
    pub(crate) reason: &'r str,
    /// More about it.
    pub(crate) detail: Option<&'r str>,
}

impl<'r> RefusedQuestion<'r> {
    /// Of a request of which nothing was read.
    pub(crate) fn unread(gateway: Option<&'r str>, reason: &'r str) -> Self {
        Self { gateway, method: None, path: None, host: None, reason, detail: None }
    }
}

/// The denied decisions of a server.
pub(crate) struct Denials {
    clock: Arc<dyn Clock>,
    recent: Mutex<Recent>,
}

struct Recent {
    /// The oldest first.
    kept: VecDeque<Arc<str>>,
    watchers: broadcast::Sender<Arc<str>>,
}

/// Keeps what is denied to those who ask at one place.
struct DenialListener {
    denials: Arc<Denials>,
    gateway: Option<GatewayName>,
}

/// Somebody who watches: what was kept, then what comes.
pub(crate) struct DenialWatch {
    kept: VecDeque<Arc<str>>,
    coming: broadcast::Receiver<Arc<str>>,
}

/// What a watcher is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WatchedDenial {
    /// A decision, as a JSON object on one line.
    Denied(Arc<str>),
    /// So many decisions came faster than this watcher took them.
    Missed(u64),
}

/// There are as many watchers as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyWatchers;

impl Denials {
    /// Nothing was denied yet.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let (watchers, _) = broadcast::channel(MOST_BEHIND);
        Self { clock, recent: Mutex::new(Recent { kept: VecDeque::new(), watchers }) }
    }

    /// Is told of the decisions that this gateway asks for, or of those about jeton's own API.
    pub(crate) fn of(self: &Arc<Self>, gateway: Option<&GatewayName>) -> Arc<dyn DecisionListener> {
        Arc::new(DenialListener { denials: Arc::clone(self), gateway: gateway.cloned() })
    }

    /// Watches from now on.
    ///
    /// # Errors
    /// [`TooManyWatchers`].
    pub(crate) fn watch(&self) -> Result<DenialWatch, TooManyWatchers> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.watchers.receiver_count() >= MOST_WATCHERS {
            return Err(TooManyWatchers);
        }
        Ok(DenialWatch { kept: recent.kept.clone(), coming: recent.watchers.subscribe() })
    }

    /// Keeps a gateway's request that was refused without a decision.
    pub(super) fn keep_refused(&self, refused: &RefusedQuestion<'_>, id: Option<&dyn Display>) {
        let entry = json!({
            "time": self.clock.now().to_string(),
            "id": id.map(ToString::to_string),
            "api": null,
            "method": refused.method,
            "path": refused.path,
            "host": refused.host,
            "allowed": false,
            "reason": refused.reason,
            "detail": refused.detail,
            "gateway": refused.gateway,
        });
        self.keep(printable_json(&entry.to_string()));
    }

    fn keep(&self, entry: String) {
        let entry: Arc<str> = if entry.len() > LONGEST { cut(&entry).into() } else { entry.into() };
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.kept.len() == MOST_KEPT {
            recent.kept.pop_front();
        }
        recent.kept.push_back(Arc::clone(&entry));
        // nobody may watch
        let _ = recent.watchers.send(entry);
    }
}

impl DecisionListener for DenialListener {
    fn decided(&self, asked: &AuditedRequest<'_>, taken: &TakenDecision<'_>, id: Option<&dyn Display>) {
        if taken.is_allowed() {
            return;
        }
        let mut line = Vec::new();
        if write_line(&mut line, self.denials.clock.now(), id, asked, taken).is_ok()
            && let Some(line) = str::from_utf8(&line).ok().and_then(|line| line.strip_suffix("}\n"))
        {
            let gateway = json!(self.gateway.as_ref().map(GatewayName::as_str));
            self.denials.keep(format!("{line},\"gateway\":{gateway}}}"));
        }
    }
}

/// An entry with `…` behind each text that was cut, without the lists that are too long, and with the names of both
/// in `cut`.
fn cut(entry: &str) -> String {
    let Ok(mut members) = serde_json::from_str::<Map<String, Value>>(entry) else {
        return String::from(r#"{"allowed":false}"#);
    };
    let mut cut = Vec::new();
    for (name, value) in &mut members {
        if let Value::String(text) = value
            && text.len() > LONGEST_TEXT
        {
            text.truncate(text.floor_char_boundary(LONGEST_TEXT));
            text.push('…');
            cut.push(Value::from(name.as_str()));
        }
    }
    for name in LISTS {
        if written(&members).len() <= LONGEST {
            break;
        }
        match members.get_mut(name) {
            Some(Value::Object(list)) => list.clear(),
            Some(Value::Array(list)) => list.clear(),
            _ => continue,
        }
        cut.push(Value::from(name));
    }
    members.insert("cut".to_owned(), Value::Array(cut));
    written(&members)
}

fn written(members: &Map<String, Value>) -> String {
    printable_json(&json!(members).to_string())
}

impl DenialWatch {
    /// The next thing to be told, as soon as there is one; `None` once nothing can be denied any more. Nothing is lost if
    /// it is dropped before.
    pub(crate) async fn next(&mut self) -> Option<WatchedDenial> {
        if let Some(entry) = self.kept.pop_front() {
            return Some(WatchedDenial::Denied(entry));
        }
        match self.coming.recv().await {
            Ok(entry) => Some(WatchedDenial::Denied(entry)),
            Err(RecvError::Lagged(missed)) => Some(WatchedDenial::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use jeton_oauth::{Audience, ClientId, ScopeSet, TokenId, clock::ManualClock};
    use jeton_policy::Subject;
    use jeton_verify::{
        TokenOrigin,
        audit::{AuditedBearer, AuditedBinding, DecisionOutcome},
    };
    use jiff::Timestamp;

    use super::*;

    fn denials() -> Arc<Denials> {
        Arc::new(Denials::new(Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH))))
    }

    fn asked(path: &str) -> AuditedRequest<'_> {
        AuditedRequest { api: "orders", method: "GET", path, bearer: None }
    }

    fn taken(outcome: DecisionOutcome) -> TakenDecision<'static> {
        TakenDecision { outcome, rule: Some("read"), reason: "not-met", detail: Some(&"no scope") }
    }

    /// What a watcher is told without a wait.
    fn told(watch: &mut DenialWatch) -> Vec<WatchedDenial> {
        let mut told = Vec::new();
        while let Some(Some(next)) = futures_util::FutureExt::now_or_never(watch.next()) {
            told.push(next);
        }
        told
    }

    #[track_caller]
    fn entry(told: &WatchedDenial) -> Value {
        match told {
            WatchedDenial::Denied(entry) => serde_json::from_str(entry).unwrap(),
            WatchedDenial::Missed(missed) => panic!("{missed} are missed"),
        }
    }

    #[test]
    fn denied_decisions_are_kept_and_allowed_ones_are_not() {
        let denials = denials();
        let listener = denials.of(Some(&GatewayName::parse("edge").unwrap()));
        for outcome in DecisionOutcome::ALL {
            listener.decided(&asked("/orders/7"), &taken(outcome), Some(&"r-1"));
        }
        let told = told(&mut denials.watch().unwrap());
        assert_eq!(told.len(), 2, "{told:?}");
        let expected = json!({
            "time": "1970-01-01T00:00:00Z", "id": "r-1", "api": "orders", "method": "GET", "path": "/orders/7",
            "allowed": false, "rule": "read", "reason": "not-met", "detail": "no scope", "gateway": "edge",
        });
        assert_eq!(entry(&told[0]), expected);
    }

    #[test]
    fn an_allowed_decision_allocates_nothing() {
        let listener = denials().of(None);
        let counted = allocation_counter::measure(|| {
            listener.decided(&asked("/orders/7"), &taken(DecisionOutcome::Allowed), Some(&"r-1"));
        });
        assert_eq!(counted.count_total, 0);
    }

    #[test]
    fn the_last_ones_alone_are_kept() {
        let denials = denials();
        let listener = denials.of(None);
        for number in 0..MOST_KEPT + 3 {
            listener.decided(&asked(&format!("/{number}")), &taken(DecisionOutcome::Denied), None);
        }
        let told = told(&mut denials.watch().unwrap());
        assert_eq!(told.len(), MOST_KEPT);
        assert_eq!(entry(&told[0])["path"], "/3");
        assert_eq!(entry(&told[MOST_KEPT - 1])["path"], format!("/{}", MOST_KEPT + 2));
        assert_eq!(entry(&told[0])["gateway"], Value::Null);
    }

    /// Nothing is told twice or lost between what was kept and what comes.
    #[test]
    fn what_comes_follows_what_was_kept() {
        let denials = denials();
        let listener = denials.of(None);
        let decide =
            |path: &str| listener.decided(&asked(path), &taken(DecisionOutcome::Unauthenticated), None);
        decide("/before");
        let mut watch = denials.watch().unwrap();
        decide("/after");
        let paths: Vec<_> = told(&mut watch).iter().map(|told| entry(told)["path"].clone()).collect();
        assert_eq!(paths, ["/before", "/after"]);
    }

    #[test]
    fn a_slow_watcher_is_told_how_many_it_missed() {
        let denials = denials();
        let listener = denials.of(None);
        let mut watch = denials.watch().unwrap();
        for number in 0..MOST_BEHIND + 5 {
            listener.decided(&asked(&format!("/{number}")), &taken(DecisionOutcome::Denied), None);
        }
        let told = told(&mut watch);
        assert_eq!(told[0], WatchedDenial::Missed(5));
        assert_eq!(entry(&told[1])["path"], "/5");
        assert_eq!(told.len(), 1 + MOST_BEHIND);
    }

    #[test]
    fn a_watcher_who_leaves_makes_room() {
        let denials = denials();
        let mut watchers: Vec<_> = (0..MOST_WATCHERS).map(|_| denials.watch().unwrap()).collect();
        assert_eq!(denials.watch().err(), Some(TooManyWatchers));
        watchers.pop();
        assert!(denials.watch().is_ok());
    }

    /// The memory is bounded whatever a token holds and whatever is asked.
    #[test]
    fn a_long_entry_is_cut() {
        let (client, token_id) = (ClientId::parse("acme").unwrap(), TokenId::parse("jti").unwrap());
        let audiences = [Audience::parse("https://a.example.com").unwrap()];
        let claims = Map::from_iter([("long".to_owned(), Value::from("é\n".repeat(64 * 1024)))]);
        let scopes = ScopeSet::default();
        let origin = TokenOrigin {
            token_id: &token_id,
            subject: Some(&client),
            client: Some(&client),
            issued_at: 1,
            authenticated_at: 1,
            earlier_actors: &[],
        };
        let subject = Subject {
            client: Some(&client),
            sub: Some(&client),
            scopes: &scopes,
            roles: &[],
            claims: &claims,
        };
        let binding = AuditedBinding::Unbound;
        let bearer = Some(AuditedBearer { audiences: &audiences, origin, subject, binding });
        let path = format!("/{}", "\u{202e}é".repeat(10_000));
        let denials = denials();
        let detail = "x".repeat(100_000);
        let taken = TakenDecision { detail: Some(&detail), ..taken(DecisionOutcome::Denied) };
        denials.of(None).decided(&AuditedRequest { bearer, ..asked(&path) }, &taken, None);
        denials.keep_refused(
            &RefusedQuestion { path: Some(&path), ..RefusedQuestion::unread(Some("edge"), "unknown-host") },
            None,
        );
        let told = told(&mut denials.watch().unwrap());
        for told in &told {
            let WatchedDenial::Denied(text) = told else { panic!("{told:?}") };
            assert!(text.len() <= LONGEST, "{} bytes", text.len());
            assert!(!text.contains(['\u{202e}', '\n']), "{text}");
            assert!(entry(told)["path"].as_str().unwrap().ends_with('…'), "{text}");
        }
        let (decided, refused) = (entry(&told[0]), entry(&told[1]));
        assert_eq!(decided["claims"], json!({}));
        assert_eq!(decided["client"], "acme");
        assert_eq!(decided["cut"], json!(["detail", "path", "claims"]));
        assert_eq!(refused["cut"], json!(["path"]));
    }
}
