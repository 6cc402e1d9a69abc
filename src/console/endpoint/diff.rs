//! How the policies in force differ from others.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data},
};
use serde::Deserialize;

use super::asked;
use crate::{
    console::comparison::{Comparisons, NoComparison},
    http::{EndpointProblem, written_json_answer},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Side {
    #[serde(default)]
    with: Option<String>,
}

pub(super) async fn get(
    request: HttpRequest,
    comparisons: Data<Comparisons>,
) -> Result<HttpResponse, EndpointProblem> {
    let Side { with } = asked::parameters(&request, "say with what to compare, as `?with=candidate`")?;
    let with = with.filter(|with| !with.is_empty());
    // files are read, and engines asked
    match web::block(move || comparisons.compare(with.as_deref())).await {
        Ok(Ok(json)) => Ok(written_json_answer(&json)),
        Ok(Err(NoComparison::Unknown(unknown))) => Err(asked::no_such(&request, &unknown)),
        Ok(Err(NoComparison::Json(_))) | Err(_) => Err(asked::failed(&request)),
    }
}
