//! One cell of the matrix: the rule, and the least that a client lacks there.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data},
};
use jeton_oauth::ClientId;
use jeton_policy::{
    ClientAccess, ContentHash, JudgedAlternative, LivePolicies, MatrixAccess, NumberedLine, PolicySet,
    PolicySnapshot, did_you_mean,
};
use serde::{Deserialize, Serialize};

use super::asked;
use crate::http::{EndpointProblem, written_json_answer};

/// How many clients are named that have what is missing.
const MOST_HOLDERS: usize = 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfCell {
    api: String,
    client: String,
    route: String,
}

#[derive(Serialize)]
struct Cell<'c> {
    hash: &'c ContentHash,
    api: &'c str,
    client: &'c str,
    route: &'c str,
    access: &'static str,
    condition: Option<&'c str>,
    public: bool,
    rule: ShownRule<'c>,
    alternatives: &'c [JudgedAlternative],
    least: Option<ShownGap<'c>>,
    hint: Option<&'c str>,
}

#[derive(Serialize)]
struct ShownRule<'c> {
    rule: &'c str,
    file: &'c str,
    line: u32,
    text: Vec<NumberedLine>,
}

#[derive(Serialize)]
struct ShownGap<'c> {
    missing: &'c [String],
    how: &'c [String],
    held_by: &'c [ClientId],
    held_by_count: usize,
}

pub(super) async fn get(
    request: HttpRequest,
    policies: Data<Arc<LivePolicies>>,
) -> Result<HttpResponse, EndpointProblem> {
    let needed =
        "name an API, a client and a route, as `?api=orders&client=acme-sync&route=GET /orders/{order}`";
    let cell: OfCell = asked::parameters(&request, needed)?;
    let snapshot = policies.snapshot();
    asked::api(&request, &snapshot.policies, &cell.api)?;
    if snapshot.policies.clients().find(&cell.client).is_none() {
        return Err(asked::no_such(&request, &no_client(&snapshot.policies, &cell.client)));
    }
    let no_route = format!("API `{}` has no route `{}`: write it as the matrix does", cell.api, cell.route);
    // every client is asked whether it has what is missing
    let answer = web::block(move || answer(&snapshot, &cell)).await;
    match answer {
        Ok(Some(json)) => Ok(written_json_answer(&json)),
        Ok(None) => Err(asked::no_such(&request, &no_route)),
        Err(_) => Err(asked::failed(&request)),
    }
}

fn no_client(policies: &PolicySet, name: &str) -> String {
    let hint = did_you_mean(name, policies.clients().iter().map(|client| client.id.as_str()));
    let hint = hint.map(|hint| format!(": {hint}")).unwrap_or_default();
    format!("there is no client `{name}` in the policies in force{hint}")
}

fn answer(snapshot: &PolicySnapshot, asked: &OfCell) -> Option<String> {
    let OfCell { api, client, route } = asked;
    let found: ClientAccess = snapshot.policies.client_access(snapshot.policies.api(api)?, client, route)?;
    let text = snapshot.rule_text(api, &found.rule.rule).map(|rule| rule.text).unwrap_or_default();
    let (access, condition) = match &found.access {
        MatrixAccess::Always => ("always", None),
        MatrixAccess::When(condition) => ("when", Some(condition.as_str())),
        MatrixAccess::Never => ("never", None),
    };
    let cell = Cell {
        hash: snapshot.policies.hash(),
        api,
        client,
        route,
        access,
        condition,
        public: found.public,
        rule: ShownRule { rule: &found.rule.rule, file: &found.rule.file, line: found.rule.line, text },
        alternatives: &found.alternatives,
        least: found.least.as_ref().map(|gap| ShownGap {
            missing: &gap.missing,
            how: &gap.how,
            held_by: gap.held_by.get(..MOST_HOLDERS).unwrap_or(&gap.held_by),
            held_by_count: gap.held_by.len(),
        }),
        hint: found.hint.as_deref(),
    };
    serde_json::to_string(&cell).ok()
}
