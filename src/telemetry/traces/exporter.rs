//! Spans on their last way, in the thread of the library.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{self, SpanData},
};
use tracing::field::display;

use crate::event;

/// Exports spans, and says when that fails and when it works again.
pub(super) struct CollectorExporter {
    exporter: SpanExporter,
    url: String,
    /// Whether the last export failed.
    is_failing: AtomicBool,
}

impl CollectorExporter {
    pub(super) fn new(exporter: SpanExporter, url: &str) -> Self {
        Self { exporter, url: url.to_owned(), is_failing: AtomicBool::new(false) }
    }

    /// The first failure is worth a look, and that it is over. The others are details.
    fn tell(&self, outcome: &OTelSdkResult) {
        let was_failing = self.is_failing.swap(outcome.is_err(), Ordering::Relaxed);
        match outcome {
            Ok(()) if was_failing => event::TracesExported { url: &self.url }.info(),
            Ok(()) => {}
            Err(error) => {
                let told = event::TracesNotExported { url: &self.url, error: display(error) };
                if was_failing { told.debug() } else { told.warn() }
            }
        }
    }
}

/// Shows no header.
impl fmt::Debug for CollectorExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectorExporter").field("url", &self.url).finish_non_exhaustive()
    }
}

impl trace::SpanExporter for CollectorExporter {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        for span in &mut batch {
            settle(&mut span.attributes);
        }
        let outcome = self.exporter.export(batch).await;
        self.tell(&outcome);
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Gives the fields of the log's span the names that attributes have, and keeps of each attribute what was said last.
fn settle(attributes: &mut Vec<KeyValue>) {
    attributes.retain(|attribute| attribute.key.as_str() != "trace_id");
    // the address that counts for limits is the peer's, unless a proxy names another
    if !attributes.iter().any(|attribute| attribute.key.as_str() == "client_address") {
        let peer = attributes.iter().find(|attribute| attribute.key.as_str() == "peer");
        let client = peer.map(|peer| KeyValue::new("client.address", peer.value.clone()));
        attributes.extend(client);
    }
    for attribute in attributes.iter_mut() {
        let name = match attribute.key.as_str() {
            "id" => "jeton.request_id",
            "peer" => "network.peer.address",
            "client_address" => "client.address",
            _ => continue,
        };
        attribute.key = Key::from_static_str(name);
    }
    let mut settled: Vec<KeyValue> = Vec::with_capacity(attributes.len());
    for attribute in attributes.drain(..) {
        match settled.iter_mut().find(|other| other.key == attribute.key) {
            Some(other) => *other = attribute,
            None => settled.push(attribute),
        }
    }
    *attributes = settled;
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;

    use super::settle;

    #[test]
    fn an_attribute_is_told_once_as_it_was_told_last() {
        let mut attributes = vec![
            KeyValue::new("id", "7f"),
            KeyValue::new("trace_id", "4bf9"),
            KeyValue::new("jeton.outcome", "allowed"),
            KeyValue::new("jeton.rule", "read"),
            KeyValue::new("jeton.outcome", "denied"),
        ];
        settle(&mut attributes);
        let expected = [
            KeyValue::new("jeton.request_id", "7f"),
            KeyValue::new("jeton.outcome", "denied"),
            KeyValue::new("jeton.rule", "read"),
        ];
        assert_eq!(attributes, expected);
    }

    #[test]
    fn the_client_is_at_the_address_that_counts() {
        let peer = KeyValue::new("peer", "::1");
        let client = KeyValue::new("client_address", "::2");
        let settled =
            |client| [KeyValue::new("client.address", client), KeyValue::new("network.peer.address", "::1")];
        for (mut attributes, expected) in [
            (vec![peer.clone()], settled("::1").to_vec()),
            (vec![peer.clone(), client.clone()], settled("::2").to_vec()),
            (vec![client, peer], settled("::2").to_vec()),
            (vec![], vec![]),
        ] {
            settle(&mut attributes);
            attributes.sort_by(|a, b| a.key.cmp(&b.key));
            assert_eq!(attributes, expected);
        }
    }
}
