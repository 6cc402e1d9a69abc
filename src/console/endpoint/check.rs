//! What is wrong with edited policies, and what they would do. Nothing of them is kept or logged.

use std::{pin::pin, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use futures_util::future::{Either, select};
use jeton_oauth::clock::Clock;
use jeton_policy::LivePolicies;

use super::asked;
use crate::{
    app,
    config::Settings,
    console::{
        guard,
        trial::{BadTrial, TrialFailed, TrialJob, TrialRequest, Trials},
    },
    http::{BodyLimit, EndpointProblem, ProblemKind, hung_up, written_json_answer},
};

/// For the log alone.
const NOBODY_WAITS: &str = "who asked has hung up";
/// While another check runs.
const BUSY: &str = "another check is running, and the server runs one at a time: ask again in a second";

pub(super) async fn post(
    request: HttpRequest,
    body: Payload,
    trials: Data<Trials>,
    policies: Data<Arc<LivePolicies>>,
    settings: Data<Settings>,
    clock: Data<dyn Clock>,
) -> Result<HttpResponse, EndpointProblem> {
    let problem = |kind: ProblemKind| EndpointProblem::new(kind, &request);
    // many bodies at once would take much memory, and one that comes slowly keeps nobody from a trial
    let sending = trials.begin_sending().ok_or_else(|| problem(ProblemKind::Busy(BUSY)))?;
    let body = guard::question(&request, body, BodyLimit::POLICIES).await?;
    let permit = trials.begin().ok_or_else(|| problem(ProblemKind::Busy(BUSY)))?;
    drop(sending);
    let TrialRequest { files, ask } = TrialRequest::read(&body).map_err(|bad| problem(bad.into()))?;
    drop(body);
    let snapshot = policies.snapshot();
    let job = TrialJob::new(&snapshot, &app::surroundings(&settings), clock.now(), files, ask);
    // what is left to run ends with this
    let (run, gone) = (pin!(permit.run(&job)), pin!(hung_up(&request)));
    let Either::Left((answer, _)) = select(run, gone).await else {
        return Err(problem(ProblemKind::Busy(NOBODY_WAITS)));
    };
    match answer {
        Ok(answer) => Ok(written_json_answer(&answer)),
        Err(failed @ (TrialFailed::TooSlow | TrialFailed::TooLarge)) => {
            Err(problem(ProblemKind::TooMuchWork(failed.to_string().into())))
        }
        Err(failed) => Err(asked::check_failed(&request, &failed)),
    }
}

impl From<BadTrial> for ProblemKind {
    fn from(bad: BadTrial) -> Self {
        Self::BadQuestion(bad.to_string().into())
    }
}
