//! What spans say of jeton: copied from events, each of which is declared and logged anyway.

use std::fmt;

use opentelemetry::{KeyValue, trace::get_active_span};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// Adds attributes to the span of the request in which an event happens.
pub(super) struct SpanAttributes;

/// What an event says of the outcome of its request.
enum EventOutcome {
    /// One of its own.
    Is(&'static str),
    /// The event has a field for it.
    InField,
    /// It is a refusal, unless a decision was told of before.
    Denied,
}

/// The reasons of decisions; `decision.taken` says their outcome.
const DECIDED: [&str; 8] =
    ["no-token", "invalid-token", "unavailable", "no-route", "not-met", "bad-path", "bad-method", "no-api"];

fn outcome(event: &str) -> Option<EventOutcome> {
    Some(match event {
        "token.issued" => EventOutcome::Is("issued"),
        "token.revoked" => EventOutcome::Is("revoked"),
        "token.failed" | "status_list.failed" => EventOutcome::Is("failed"),
        "token.refused" | "introspection.refused" | "revocation.refused" => EventOutcome::Is("refused"),
        "introspection.active" => EventOutcome::Is("active"),
        "introspection.inactive" => EventOutcome::Is("inactive"),
        "decision.taken" => EventOutcome::InField,
        "decision.denied" => EventOutcome::Denied,
        _ => return None,
    })
}

/// Whether spans say what an event says.
pub(super) fn is_told(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && outcome(metadata.name()).is_some()
}

impl<S: Subscriber> Layer<S> for SpanAttributes {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let name = event.metadata().name();
        let Some(outcome) = outcome(name) else { return };
        get_active_span(|span| {
            if !span.is_recording() {
                return;
            }
            let mut read = EventFields::default();
            event.record(&mut read);
            match outcome {
                EventOutcome::Is(_) if read.is_reused => read.add(OUTCOME, "reused"),
                EventOutcome::Is(outcome) => read.add(OUTCOME, outcome),
                EventOutcome::Denied if !read.is_decided => read.add(OUTCOME, "denied"),
                EventOutcome::Denied | EventOutcome::InField => {}
            }
            if name == "token.issued" && !read.has_grant {
                read.add(GRANT, "client_credentials");
            }
            span.set_attributes(read.attributes);
        });
    }
}

const GRANT: &str = "jeton.grant";
const OUTCOME: &str = "jeton.outcome";

/// The fields of an event that a span has too. No token, no secret and no text of a caller is among them.
#[derive(Default)]
struct EventFields {
    attributes: Vec<KeyValue>,
    has_grant: bool,
    is_decided: bool,
    is_reused: bool,
}

impl EventFields {
    fn add(&mut self, name: &'static str, value: impl Into<opentelemetry::Value>) {
        self.attributes.push(KeyValue::new(name, value));
    }
}

impl Visit for EventFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        let name = match field.name() {
            "client" | "caller" => "jeton.client",
            "api" => "jeton.api",
            // of a token that another issuer's stands for; what else that says is a caller's text
            "issuer" => "jeton.issuer",
            "grant" => {
                self.has_grant = true;
                GRANT
            }
            "gateway" => "jeton.gateway",
            "rule" => "jeton.rule",
            "outcome" => OUTCOME,
            "reason" => {
                self.is_decided = DECIDED.contains(&value);
                "jeton.reason"
            }
            _ => return,
        };
        self.add(name, value.to_owned());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.is_reused |= field.name() == "reused" && value;
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
