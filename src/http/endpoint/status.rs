//! `GET /status/{handle}` (draft-ietf-oauth-status-list section 8).

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    web::{Data, Path},
};

use jeton_actix::GuardFault;

use super::cached::CachedDocument;
use crate::{
    event,
    http::error::{EndpointProblem, ProblemKind},
    status_lists::StatusLists,
};

pub(in crate::http) async fn get(
    request: HttpRequest,
    handle: Path<String>,
    lists: Data<Arc<StatusLists>>,
) -> HttpResponse {
    match lists.serve(&handle).await {
        Ok(Some(served)) => {
            let document = CachedDocument {
                content_type: "application/statuslist+jwt",
                body: served.list.body(),
                etag: served.list.etag(),
                max_age: served.max_age,
            };
            document.answer(&request)
        }
        Ok(None) => EndpointProblem::new(ProblemKind::NotFound, &request).error_response(),
        Err(error) => {
            event::StatusListFailed { error: &error.to_string() }.error();
            EndpointProblem::new(GuardFault::Internal, &request).error_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path as FilePath, time::Duration};

    use actix_web::{App, body, dev::ServiceResponse, http::header, test, web};
    use jeton_oauth::{
        ClientId, Issuer,
        clock::{Clock, ManualClock},
    };
    use jeton_policy::{DemoSecrets, LivePolicies, Surroundings};
    use jeton_verify::status::StatusHandle;

    use super::*;
    use crate::{
        keys::{KeyFolder, KeyKeeper, KeyTerms, LiveKeys},
        status_lists::StatusListOptions,
    };

    /// The lists of the sample, 20 seconds into a minute.
    fn lists(dir: &FilePath) -> Arc<StatusLists> {
        let root = FilePath::new(env!("CARGO_MANIFEST_DIR"));
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at("2026-11-23T12:00:20Z".parse().unwrap()));
        let issuer = Issuer::parse("http://127.0.0.1:8080").unwrap();
        let surroundings = Surroundings {
            issuer: issuer.audience().clone(),
            max_ttl: Some(86_400),
            demo_secrets: DemoSecrets::Allowed,
            needed_apis: Vec::new(),
        };
        let policies = LivePolicies::load(&root.join("policies"), surroundings, Arc::clone(&clock)).unwrap();
        let keeper = KeyKeeper::new(KeyFolder::new(dir), KeyTerms::default(), Arc::clone(&clock));
        keeper.generate().unwrap();
        let keys = LiveKeys::load(keeper.folder().clone(), KeyTerms::default(), Arc::clone(&clock));
        let keys = Arc::new(keys.unwrap());
        let options = StatusListOptions { ttl: Duration::from_mins(1), by_default: true };
        Arc::new(StatusLists::new(issuer, keys, Arc::new(policies), options, clock))
    }

    fn header<B>(answer: &ServiceResponse<B>, name: header::HeaderName) -> &str {
        answer.headers().get(name).unwrap().to_str().unwrap()
    }

    #[actix_web::test]
    async fn draft_8_2_the_answer_is_typed_and_can_be_kept() {
        let dir = tempfile::TempDir::new().unwrap();
        let data = Data::new(lists(dir.path()));
        let app = App::new().app_data(data.clone()).route("/status/{handle}", web::get().to(get));
        let app = test::init_service(app).await;
        let handle = StatusHandle::of(&ClientId::parse("acme-sync").unwrap());
        let uri = format!("/status/{handle}");
        let answer = test::call_service(&app, test::TestRequest::get().uri(&uri).to_request()).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(header(&answer, header::CONTENT_TYPE), "application/statuslist+jwt");
        assert_eq!(header(&answer, header::CACHE_CONTROL), "public, max-age=40");
        let served = data.serve(handle.as_str()).await.unwrap().unwrap();
        assert_eq!(header(&answer, header::ETAG), served.list.etag());
        let sent = body::to_bytes(answer.into_body()).await.unwrap();
        assert_eq!(sent, served.list.body());

        for (known, status) in [
            (served.list.etag().to_owned(), 304),
            (format!("\"x\", W/{}", served.list.etag()), 304),
            ("*".to_owned(), 304),
            ("\"x\"".to_owned(), 200),
        ] {
            let request = test::TestRequest::get().uri(&uri).insert_header((header::IF_NONE_MATCH, known));
            let answer = test::call_service(&app, request.to_request()).await;
            assert_eq!(answer.status(), status);
            assert_eq!(header(&answer, header::ETAG), served.list.etag());
            assert_eq!(header(&answer, header::CACHE_CONTROL), "public, max-age=40");
            let is_empty = body::to_bytes(answer.into_body()).await.unwrap().is_empty();
            assert_eq!(is_empty, status == 304);
        }

        let unknown = test::TestRequest::get().uri("/status/unknown").to_request();
        let answer = test::call_service(&app, unknown).await;
        assert_eq!(answer.status(), 404);
        assert_eq!(header(&answer, header::CONTENT_TYPE), "application/problem+json");
        assert_eq!(header(&answer, header::CACHE_CONTROL), "no-store");
    }
}
