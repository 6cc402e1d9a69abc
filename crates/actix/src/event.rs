//! What this crate logs: `Protect`, and the span around each request.

use jeton_verify::event::ShownValue;

jeton_verify::events! {
    /// A request was answered.
    "request" =>
        Request<'e>: info { method: &'e str, path: &'e str, status: u16, ms: Option<f64> },
        RequestFailed<'e>: error { status: u16, error: ShownValue<'e> };

    /// A handler takes a `Principal`, but is not wrapped in `Protect`. The caller gets 500.
    "protect.missing" => ProtectMissing: error {}
        "a handler takes a `Principal`, but is not wrapped in `Protect`";

    /// A middleware inside `Protect` changed the path. The caller gets 500.
    "protect.misrouted" => ProtectMisrouted: error {}
        "a middleware inside `Protect` changed the path after the decision: wrap it around `Protect` instead";
}
