//! The shortest way through both flows.

use crate::support::spawn_app;

#[actix_web::test]
async fn a_client_gets_a_token_and_reads_what_it_says() {
    let app = spawn_app();
    let token = app.token_of("acme-sync", "jeton").await;
    let answer = app.get_principal(&token).await;
    assert_eq!(answer.status(), 200);
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["client"], "acme-sync");
    assert_eq!(body["claims"]["tenant"], "acme");
}
