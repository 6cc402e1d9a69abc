//! The head of an HTTP request, as a server of a test reads it.
use tokio::io::{AsyncRead, AsyncReadExt};

/// The head of the next request, with its empty line. `None` where the connection ends before.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}
