//! Traces: a span for each request, exported by OTLP (HTTP with protobuf).
//!
//! The span of a request becomes one of OpenTelemetry by the layer of tracing-opentelemetry. What it says comes from two
//! sides: `request.rs` tells what HTTP knows, and `events.rs` copies from the events that are logged anyway. It waits in
//! a queue of bounded length, and a thread of the library's own exports it (`exporter.rs`), so that no request waits for
//! a collector. Where traces are off, there is no such layer.

mod events;
mod exporter;
mod request;

use std::{error::Error, fs, io, path::PathBuf, time::Duration};

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    resource::TelemetryResourceDetector,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider},
};
use reqwest::{Certificate, blocking::Client, redirect};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use self::{events::SpanAttributes, exporter::CollectorExporter};
use crate::config::{TraceSampler, TraceSettings};

pub(crate) use self::request::{AnsweredRequest, begin_trace, tell_answer};

/// How long the last export may take, when the server ends.
const LAST_EXPORT: Duration = Duration::from_secs(5);

/// The variable that names a file of authorities.
const AUTHORITIES: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";

/// Why there can be no traces.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// A file of authorities cannot be read.
    #[error("{AUTHORITIES}: `{}` cannot be read", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of authorities holds something else.
    #[error("{AUTHORITIES}: `{}` holds no certificate in PEM", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There can be no client for the collector, for want of certificate authorities.
    #[error("traces cannot be exported")]
    Client(#[from] reqwest::Error),
    /// The exporter cannot be what the variables say.
    #[error("traces cannot be exported")]
    Exporter(#[from] ExporterBuildError),
}

impl TracesError {
    /// The variable at fault, and what is wrong with what it says.
    pub fn by_variable(&self) -> (&'static str, String) {
        let text = match self.source() {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        };
        match text.strip_prefix(AUTHORITIES).and_then(|rest| rest.strip_prefix(": ")) {
            Some(rest) => (AUTHORITIES, rest.to_owned()),
            None => ("OTEL_EXPORTER_OTLP_ENDPOINT", text),
        }
    }
}

/// The spans of a running service, on their way to the collector.
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// What spans say that the log does not, below its level.
    pub(super) const WANTS: fn(&Metadata<'_>) -> bool = events::is_told;

    /// Starts the thread that exports spans. Must not run within an async runtime.
    ///
    /// # Errors
    /// [`TracesError`] where nothing could be exported, whether the collector is there or not.
    pub fn start(settings: &TraceSettings) -> Result<Self, TracesError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(settings.endpoint.as_str())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(settings.timeout)
            .with_http_client(client(settings)?)
            .build()?;
        let batch = BatchConfigBuilder::default()
            .with_max_queue_size(settings.queue)
            .with_max_export_batch_size(settings.batch)
            .with_scheduled_delay(settings.interval)
            .build();
        let exporter = CollectorExporter::new(exporter, settings.endpoint.as_str());
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batch).build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(sampler(settings.sampler))
            .with_resource(resource(settings))
            .build();
        Ok(Self { provider })
    }

    /// Holds that there can be a client for the collector. Must not run within an async runtime.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn check(settings: &TraceSettings) -> Result<(), TracesError> {
        client(settings).map(drop)
    }

    /// What makes spans of requests, and attributes of events.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'l> LookupSpan<'l> + Send + Sync,
    {
        let spans = tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("jeton"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false);
        // what is logged within a request has its trace id, and need not be sent twice
        let requests =
            filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("jeton_actix"));
        spans.with_filter(requests).and_then(SpanAttributes)
    }

    /// Exports what waits, within a few seconds.
    pub fn end(&self) {
        // the exporter tells of spans that cannot be exported
        let _ = self.provider.shutdown_with_timeout(LAST_EXPORT);
    }
}

/// The client for the collector. Its timeouts are the exporter's.
fn client(settings: &TraceSettings) -> Result<Client, TracesError> {
    // a second call keeps the first provider
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().timeout(settings.timeout).redirect(redirect::Policy::none());
    let builder = match &settings.ca_file {
        Some(path) => builder.tls_certs_only(authorities(path.clone())?),
        // without TLS there is no need for certificate authorities, which a container may not have
        None if settings.endpoint.scheme() == "http" => builder.tls_certs_only([]),
        None => builder,
    };
    Ok(builder.build()?)
}

fn authorities(path: PathBuf) -> Result<Vec<Certificate>, TracesError> {
    match fs::read(&path).map(|pem| Certificate::from_pem_bundle(&pem)) {
        Ok(Ok(authorities)) if !authorities.is_empty() => Ok(authorities),
        Ok(_) => Err(TracesError::NoCertificate { path }),
        Err(source) => Err(TracesError::Unread { path, source }),
    }
}

fn sampler(TraceSampler { ratio, follows_parent }: TraceSampler) -> Sampler {
    // all and none are shares too
    let sampler = Sampler::TraceIdRatioBased(ratio);
    if follows_parent { Sampler::ParentBased(Box::new(sampler)) } else { sampler }
}

fn resource(settings: &TraceSettings) -> Resource {
    let attributes = settings.resource.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(attributes.collect::<Vec<_>>())
        .build()
}
