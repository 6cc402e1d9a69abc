//! A collector that takes spans as OTLP sends them: HTTP with protobuf.
use std::net::SocketAddr;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value},
    trace::v1::Span,
};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time,
};

use super::{head::read_head, program::PATIENCE};

/// One export, as it came.
struct Export {
    head: String,
    body: Vec<u8>,
}

/// A running collector, and what it was sent.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    exports: UnboundedReceiver<Export>,
    /// The heads of the requests so far.
    pub(crate) heads: String,
    /// Everything so far, byte by byte.
    pub(crate) bytes: Vec<u8>,
    /// The resource attributes that came last.
    pub(crate) resource: Vec<KeyValue>,
    spans: Vec<Span>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let (sender, exports) = unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, sender.clone()));
            }
        });
        Self {
            address,
            exports,
            heads: String::new(),
            bytes: Vec::new(),
            resource: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// As `OTEL_EXPORTER_OTLP_ENDPOINT` names it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans so far, once there are so many.
    pub(crate) async fn spans(&mut self, count: usize) -> &[Span] {
        while self.spans.len() < count {
            let export = time::timeout(PATIENCE, self.exports.recv()).await;
            let export = export.unwrap_or_else(|_| panic!("{count} spans are expected: {:#?}", self.spans));
            self.take(export.unwrap());
        }
        &self.spans
    }

    /// Whether nothing came so far.
    pub(crate) fn is_empty(&mut self) -> bool {
        while let Ok(export) = self.exports.try_recv() {
            self.take(export);
        }
        self.bytes.is_empty()
    }

    fn take(&mut self, Export { head, body }: Export) {
        let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        for resource in request.resource_spans {
            self.resource = resource.resource.unwrap().attributes;
            self.spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        self.bytes.extend_from_slice(&body);
        self.bytes.extend_from_slice(head.as_bytes());
        self.heads.push_str(&head);
    }
}

/// Takes the requests of a connection, one after the other.
async fn answer(mut stream: TcpStream, exports: UnboundedSender<Export>) {
    while let Some(head) = read_head(&mut stream).await {
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
        });
        let mut body = vec![0; length.expect("an export has a length")];
        stream.read_exact(&mut body).await.unwrap();
        // the test may be over
        let _ = exports.send(Export { head, body });
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// The value of an attribute as text, if it is there once.
pub(crate) fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let mut values = attributes.iter().filter(|attribute| attribute.key == name);
    let value = values.next()?.value.clone().unwrap();
    assert!(values.next().is_none(), "`{name}` is told twice: {attributes:#?}");
    Some(match value {
        AnyValue { value: Some(any_value::Value::StringValue(text)) } => text,
        AnyValue { value: Some(any_value::Value::IntValue(number)) } => number.to_string(),
        other => panic!("`{name}` is {other:?}"),
    })
}
