//! The bytes of a connection: where its first request ends, as the limits of time and size see it, and as the HTTP library
//! does that answers it.
//!
//! Input: the bytes.
#![no_main]

use actix_http::{
    ServiceConfig,
    h1::{Codec, Message, MessageType},
};
use actix_web::rt::System;
use bytes::BytesMut;
use jeton::http::{FirstRequest, first_request};
use libfuzzer_sys::fuzz_target;
use tokio_util::codec::Decoder;

thread_local! {
    /// Is made in a runtime, which keeps the time for it, and can then do without.
    static CONFIG: ServiceConfig = System::new().block_on(async { ServiceConfig::default() });
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    let request = first_request(&mut bytes);
    nothing_but_an_upgrade_is_blanked(data, &bytes);
    match request {
        FirstRequest::Whole { head, body, is_last } => {
            let length = head + body;
            assert!(0 < head && length <= data.len());
            the_library_reads_the_same(&bytes, head, length);
            what_follows_is_another_request(data, length, request);
            if is_last {
                assert!(says_that_nothing_follows(data, head), "a request after it is not answered");
            }
        }
        FirstRequest::Partial { head: None } => {
            assert!(!is_taken_by_the_library(&bytes), "the library answers what the limits do not see");
        }
        FirstRequest::Partial { head: Some(head) } => assert!(0 < head && head <= data.len()),
        // nobody answers it
        FirstRequest::Refused => {}
    }
    a_part_says_no_more(data, request);
});

fn nothing_but_an_upgrade_is_blanked(before: &[u8], after: &[u8]) {
    assert_eq!(before.len(), after.len());
    let changed = before.iter().zip(after).filter(|(before, after)| before != after);
    assert!(changed.clone().all(|(_, after)| *after == b' '));
    let says_upgrade = before.windows(7).any(|word| word.eq_ignore_ascii_case(b"upgrade"));
    assert!(says_upgrade || changed.count() == 0);
}

/// The library takes the head and then the body, and is done where the limits say so; or it refuses the request.
fn the_library_reads_the_same(bytes: &[u8], head: usize, length: usize) {
    if bytes.starts_with(b"CONNECT") || bytes.trim_ascii_start().starts_with(b"CONNECT") {
        // of which nobody reads more than the head
        return;
    }
    let mut codec = CONFIG.with(|config| Codec::new(config.clone()));
    let mut left = BytesMut::from(bytes);
    let Ok(Some(Message::Item(_))) = codec.decode(&mut left) else { return };
    assert_eq!(bytes.len() - left.len(), head, "another head");
    if let MessageType::None = codec.message_type() {
        return assert_eq!(head, length, "the library sees no body");
    }
    loop {
        match codec.decode(&mut left) {
            Ok(Some(Message::Chunk(Some(_)))) => {}
            Ok(Some(Message::Chunk(None))) => break,
            Ok(Some(Message::Item(_))) => panic!("a request within a body"),
            // the library wants more
            Ok(None) => panic!("another body: {} bytes of {length} are read", bytes.len() - left.len()),
            Err(_) => return,
        }
    }
    assert_eq!(bytes.len() - left.len(), length, "another body");
}

fn is_taken_by_the_library(bytes: &[u8]) -> bool {
    let mut codec = CONFIG.with(|config| Codec::new(config.clone()));
    matches!(codec.decode(&mut BytesMut::from(bytes)), Ok(Some(_)))
}

/// Whether a client says that it sends no more, by its version, a header or its method.
fn says_that_nothing_follows(data: &[u8], head: usize) -> bool {
    let head = data[..head].to_ascii_lowercase();
    let says = |word: &[u8]| head.windows(word.len()).any(|part| part == word);
    says(b"close") || says(b"http/1.0") || says(b"connect ")
}

/// The end of a request does not depend on what is behind it.
fn what_follows_is_another_request(data: &[u8], length: usize, request: FirstRequest) {
    let follows = b"GET /next HTTP/1.1\r\nhost: a\r\n\r\n";
    for behind in [&follows[..], b"", b"\r\n", b"0\r\n\r\n"] {
        let mut bytes = [&data[..length], behind].concat();
        assert_eq!(first_request(&mut bytes), request, "before {:?}", behind.escape_ascii().to_string());
    }
}

/// As long as bytes are missing, it is not whole; and the head does not change when they come.
fn a_part_says_no_more(data: &[u8], request: FirstRequest) {
    let (head, length) = match request {
        FirstRequest::Whole { head, body, .. } => (head, head + body),
        FirstRequest::Partial { head: Some(head) } => (head, data.len()),
        FirstRequest::Partial { head: None } | FirstRequest::Refused => return,
    };
    for end in [head / 2, head - 1, head, (head + length) / 2, length - 1] {
        let part = first_request(&mut data[..end.min(length)].to_vec());
        match part {
            FirstRequest::Partial { head: None } => assert!(end < head, "{end} of {head} and {length}"),
            FirstRequest::Partial { head: Some(read) } => assert!(read == head && end >= head),
            FirstRequest::Whole { .. } => assert_eq!((part, end), (request, length)),
            FirstRequest::Refused => panic!("{end} of {length} bytes are refused"),
        }
    }
}
