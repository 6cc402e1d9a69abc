//! Denied decisions as they come, as server-sent events (HTML, section 9.2).

use std::{convert::Infallible, pin::pin, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header},
    web::{Bytes, Data},
};
use futures_util::{
    Stream,
    future::{Either, select},
    stream,
};
use tokio::time::{Interval, interval};

use crate::{
    console::guard::{Asker, DataGuard, Exposure},
    http::{EndpointProblem, LastingAnswer, ProblemKind},
    telemetry::{DenialWatch, Telemetry, TooManyWatchers, WatchedDenial},
};

/// How often a comment is sent, so that nobody between takes the connection for dead.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

pub(super) async fn get(
    request: HttpRequest,
    telemetry: Data<Telemetry>,
    exposure: Data<Exposure>,
    guard: Data<DataGuard>,
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
    let mut comments = interval(COMMENT_EVERY);
    comments.reset();
    let asker = Asker::of(&request, **exposure, &guard);
    let events = LastingAnswer::to(&request, events(watch, comments, asker)).ok_or_else(|| {
        problem(ProblemKind::Busy("most connections of this listener are taken: close some, and ask again"))
    })?;
    Ok(response.streaming(events))
}

/// What a watcher is told, as it is sent. Before each event the bearer is judged anew: with a token that ended or was
/// revoked, nobody sees more.
fn events(
    watch: DenialWatch,
    comments: Interval,
    asker: Asker,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((watch, comments, asker), |(mut watch, mut comments, asker)| async move {
        let next = match select(pin!(watch.next()), pin!(comments.tick())).await {
            Either::Left((event, _)) => Some(event?),
            Either::Right(_) => None,
        };
        if !asker.may_ask().await {
            return None;
        }
        let event = match next {
            Some(WatchedDenial::Denied(decision)) => format!("event: decision\ndata: {decision}\n\n"),
            Some(WatchedDenial::Missed(missed)) => {
                format!("event: missed\ndata: {{\"missed\":{missed}}}\n\n")
            }
            None => ":\n\n".to_owned(),
        };
        Some((Ok(event.into()), (watch, comments, asker)))
    })
}
