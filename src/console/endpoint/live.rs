//! Denied decisions as they come, as server-sent events (HTML, section 9.2).

use std::{convert::Infallible, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header},
    web::{Bytes, Data},
};
use futures_util::{Stream, stream};
use tokio::time::timeout;

use crate::{
    http::{EndpointProblem, LastingAnswer, ProblemKind},
    telemetry::{DenialWatch, Telemetry, TooManyWatchers, WatchedDenial},
};

/// After how long without an event a comment is sent, so that nobody between takes the connection for dead.
const COMMENT_AFTER: Duration = Duration::from_secs(15);

pub(super) async fn get(
    request: HttpRequest,
    telemetry: Data<Telemetry>,
) -> Result<HttpResponse, EndpointProblem> {
    let problem = |kind| EndpointProblem::new(kind, &request);
    let denials = telemetry.denials().ok_or_else(|| problem(ProblemKind::NotFound))?;
    let mut response = HttpResponse::Ok();
    response.content_type("text/event-stream").insert_header((header::CACHE_CONTROL, "no-store"));
    // a proxy that gathers an answer before it passes it on would show nothing
    response.insert_header(("x-accel-buffering", "no")).force_close();
    if *request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let watch = denials.watch().map_err(|TooManyWatchers| {
        problem(ProblemKind::Busy("8 others watch already, and no more can: close one of these pages"))
    })?;
    let events = LastingAnswer::to(&request, events(watch)).ok_or_else(|| {
        problem(ProblemKind::Busy("most connections of this listener are taken: close some, and ask again"))
    })?;
    Ok(response.streaming(events))
}

/// What a watcher is told, as it is sent.
fn events(watch: DenialWatch) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(watch, |mut watch| async move {
        let event = match timeout(COMMENT_AFTER, watch.next()).await {
            Ok(Some(WatchedDenial::Denied(decision))) => format!("event: decision\ndata: {decision}\n\n"),
            Ok(Some(WatchedDenial::Missed(missed))) => {
                format!("event: missed\ndata: {{\"missed\":{missed}}}\n\n")
            }
            Ok(None) => return None,
            Err(_) => ":\n\n".to_owned(),
        };
        Some((Ok(event.into()), watch))
    })
}
