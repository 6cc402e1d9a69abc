//! Examples that others published: RFC 9449 (DPoP), RFC 8705 (mutual TLS), and the draft of status lists.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise, in its helpers too")]

mod possession;
mod status_list;
