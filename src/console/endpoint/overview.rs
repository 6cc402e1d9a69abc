//! What this replica serves, how often it is asked, and what is wrong.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data},
};
use jeton_actix::GuardFault;

use crate::{
    http::{Ending, EndpointProblem, json_answer},
    report::Overview,
};

pub(super) async fn get(
    request: HttpRequest,
    overview: Data<Overview>,
    ending: Data<Ending>,
) -> Result<HttpResponse, EndpointProblem> {
    let is_draining = ending.has_begun();
    // the warnings of new policies may take a while, which no other request should wait for
    let told = web::block(move || overview.told(is_draining)).await;
    let told = told.map_err(|_| EndpointProblem::new(GuardFault::Internal, &request))?;
    Ok(json_answer(&told))
}
