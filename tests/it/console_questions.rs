//! What the console answers of the policies in force: cell by cell what the commands print.
use std::fs;

use reqwest::header;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    printed_names::HOSTILE_YAML,
    support::console::{ConsoleServer, read},
};

/// Policies whose names and values are others' words.
pub(crate) fn hostile_policies() -> String {
    format!(
        r#"version: 1
scopes: {{ "orders:read": "{HOSTILE_YAML}", "<b>": x }}
apis:
  orders:
    audience: https://orders.example.com
    rules:
      "</script><script>alert(1)</script>":
        routes: ["GET /orders/{{order}}", "GET /é/\"'&/{{order}}"]
        require:
          - {{ scope: "orders:read", claims: {{ tenant: {{ in: ["{HOSTILE_YAML}", acme] }}, order: {{ same_as_path: order }} }} }}
          - {{ scope: "<b>" }}
      "'\"&": {{ routes: ["ANY /x'&b/**"], require: {{ any_scope: ["<b>", "orders:read"] }} }}
      public: {{ routes: [GET /healthz], public: true }}
clients:
  "<img/src=x/onerror=alert(1)>":
    description: "{HOSTILE_YAML}"
    grants: {{ orders: {{ scopes: ["orders:read"] }} }}
    claims: {{ tenant: "{HOSTILE_YAML}", order: "{HOSTILE_YAML}<script>" }}
  "::error::a-10": {{ grants: {{ orders: {{ scopes: ["<b>"] }} }} }}
  "::error::a-2": {{ grants: {{ orders: {{ scopes: ["orders:read"] }} }}, claims: {{ tenant: acme, order: "7" }} }}
  "'\"--": {{ enabled: false, grants: {{ orders: {{ scopes: ["<b>"] }} }} }}
  without: {{}}
"#
    )
}

/// A server with these policies.
pub(crate) async fn server_with(text: &str, settings: &str) -> ConsoleServer {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("policies")).unwrap();
    fs::write(dir.path().join("policies/policies.yaml"), text).unwrap();
    ConsoleServer::serve_in(dir, settings).await
}

/// A matrix of the console as the command prints it.
pub(crate) fn as_printed(matrix: &Value) -> Value {
    let mut printed = json!({ "api": matrix["api"], "clients": matrix["clients"] });
    if matrix["bound_tokens"] == true {
        printed["bound_tokens"] = json!(true);
    }
    let access = |code: &Value| match code.as_u64().unwrap() {
        0 => json!("never"),
        1 => json!("always"),
        code => json!({ "when": matrix["conditions"][usize::try_from(code).unwrap() - 2] }),
    };
    let route = |route: &Value| {
        json!({
            "route": route["route"],
            "rule": route["rule"],
            "public": route["public"],
            "access": route["access"].as_array().unwrap().iter().map(access).collect::<Vec<_>>(),
        })
    };
    printed["routes"] = matrix["routes"].as_array().unwrap().iter().map(route).collect();
    printed
}

fn names(of: &Value) -> Vec<&str> {
    of.as_array().unwrap().iter().map(|one| one["api"].as_str().unwrap()).collect()
}

async fn matrices_are_those_of_the_command(server: &ConsoleServer) {
    let printed = server.command(&["policies", "matrix", "--format", "json"]);
    assert!(!names(&printed).is_empty());
    for printed in printed.as_array().unwrap() {
        let matrix = server.got(&format!("matrix?api={}", printed["api"].as_str().unwrap())).await;
        assert_eq!(as_printed(&matrix), *printed);
        assert!(matrix["hash"].is_string() && matrix["loaded_at"].is_string(), "{matrix}");
        assert_eq!(matrix["dir"], "policies", "as the settings have it");
        // each condition is told once, and none without need
        let conditions = matrix["conditions"].as_array().unwrap();
        for (at, condition) in conditions.iter().enumerate() {
            assert!(!conditions[..at].contains(condition), "{condition}");
        }
        // its rule stands where the matrix says
        for route in matrix["routes"].as_array().unwrap() {
            let rule = route["rule"].as_str().unwrap();
            assert!(route["line"].as_u64().unwrap() > 0, "{route}");
            assert!(!rule.is_empty() && !route["file"].as_str().unwrap().is_empty(), "{route}");
        }
    }
}

#[actix_web::test]
async fn the_matrix_is_that_of_the_command() {
    matrices_are_those_of_the_command(&ConsoleServer::with_sample().await).await;
    let server = server_with(&hostile_policies(), "").await;
    matrices_are_those_of_the_command(&server).await;
    let matrix = server.got("matrix?api=orders").await;
    let ids: Vec<_> =
        matrix["clients"].as_array().unwrap().iter().map(|client| client["id"].as_str().unwrap()).collect();
    let at = |wanted: &str| ids.iter().position(|id| *id == wanted).unwrap();
    assert!(at("::error::a-2") < at("::error::a-10"), "{ids:?}");
}

#[actix_web::test]
async fn the_matrix_is_compressed_for_whoever_takes_that_and_kept_by_nobody() {
    let server = ConsoleServer::with_sample().await;
    let plain = server.asking("matrix?api=orders").send().await.unwrap();
    assert_eq!(plain.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(plain.headers().get(header::CONTENT_ENCODING), None);
    let plain = plain.bytes().await.unwrap();
    let asking = server.asking("matrix?api=orders").header(header::ACCEPT_ENCODING, "gzip, br");
    let gzipped = asking.send().await.unwrap();
    assert_eq!(gzipped.headers()[header::CONTENT_ENCODING], "gzip");
    assert_eq!(gzipped.headers()[header::CACHE_CONTROL], "no-store");
    let mut unpacked = Vec::new();
    let gzipped = gzipped.bytes().await.unwrap();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*gzipped), &mut unpacked).unwrap();
    assert!(gzipped.len() < plain.len());
    assert_eq!(unpacked, plain);
}

#[actix_web::test]
async fn the_matrix_follows_a_reload() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("policies")).unwrap();
    fs::write(dir.path().join("policies/policies.yaml"), hostile_policies()).unwrap();
    let mut server = ConsoleServer::serve_in(dir, "[policies]\npoll = \"1s\"\n").await;
    let before = server.got("matrix?api=orders").await;
    let edited = hostile_policies().replace("  without: {}\n", "  without: {}\n  another: {}\n");
    fs::write(server.dir().join("policies/policies.yaml"), edited).unwrap();
    server.binary.logged("policies.reloaded").await;
    let after = server.got("matrix?api=orders").await;
    assert_ne!(before["hash"], after["hash"]);
    let clients = |matrix: &Value| matrix["clients"].as_array().unwrap().len();
    assert_eq!(clients(&after), clients(&before) + 1);
    matrices_are_those_of_the_command(&server).await;
}

#[actix_web::test]
async fn routes_say_what_they_ask_and_how_many_may_use_them() {
    for server in [ConsoleServer::with_sample().await, server_with(&hostile_policies(), "").await] {
        let (routes, matrix) = (server.got("routes?api=orders").await, server.got("matrix?api=orders").await);
        assert_eq!(routes["hash"], matrix["hash"]);
        assert_eq!(routes["audience"], "https://orders.example.com");
        assert_eq!(routes["bound_tokens"], false);
        let (routes, rows) = (routes["routes"].as_array().unwrap(), matrix["routes"].as_array().unwrap());
        assert_eq!(routes.len(), rows.len());
        for (route, row) in routes.iter().zip(rows) {
            for name in ["route", "rule", "public", "file", "line"] {
                assert_eq!(route[name], row[name], "{name} of {route}");
            }
            let written =
                format!("{} {}", route["method"].as_str().unwrap(), route["path"].as_str().unwrap());
            assert_eq!(route["route"], written);
            let may = row["access"].as_array().unwrap().iter().filter(|code| **code != 0).count();
            assert_eq!(route["clients"], may, "{route}");
            assert_eq!(route["alternatives"].as_array().unwrap().is_empty(), route["public"] == true);
            // nobody is told the same conditions
            if route["public"] == false && !written.starts_with("ANY") {
                let asked = json!({ "api": "orders", "method": route["method"], "path": route["path"] });
                let explained = server.post("explain", &asked).await.1;
                let mut alternatives: Vec<_> =
                    explained["alternatives"].as_array().cloned().unwrap_or_default();
                alternatives.sort_by_key(|one| one["position"].as_u64());
                let conditions = |one: &Value| -> Value {
                    one["conditions"].as_array().unwrap().iter().map(|it| it["condition"].clone()).collect()
                };
                let told: Value = alternatives.iter().map(conditions).collect();
                if explained["decided_by"]["route"] == route["route"] {
                    assert_eq!(route["alternatives"], told, "{route}");
                }
            }
        }
    }
}

#[actix_web::test]
async fn an_explanation_is_that_of_the_command() {
    let server = ConsoleServer::with_sample().await;
    for client in ["acme-sync", "globex-sync", "support-desk"] {
        for (method, path) in [
            ("GET", "/tenants/acme/orders/42"),
            ("PUT", "/tenants/globex/orders/42"),
            ("POST", "/tenants/acme/orders/42/refund"),
            ("GET", "/reports/2026/q3"),
            ("GET", "/tenants/acme/orders/"),
            ("GET", "/nowhere//%2e"),
            ("TRACE", "/healthz"),
        ] {
            let asked = json!({ "api": "orders", "as": client, "method": method, "path": path });
            let arguments =
                ["policies", "explain", "--api", "orders", "--as", client, "--format", "json", method, path];
            assert_eq!(server.posted("explain", &asked).await, server.command(&arguments), "{asked}");
        }
    }
    let nobody = json!({ "api": "orders", "method": "GET", "path": "/tenants/acme/orders" });
    let arguments =
        ["policies", "explain", "--api", "orders", "--format", "json", "GET", "/tenants/acme/orders"];
    assert_eq!(server.posted("explain", &nobody).await, server.command(&arguments));
    let bearer = json!({ "api": "orders", "method": "GET", "path": "/reports/2026/q3",
        "as": { "scopes": ["reports:read"] } });
    assert_eq!(server.posted("explain", &bearer).await["allowed"], true);
}

#[track_caller]
fn problem((status, body): (u16, Value), expected: u16, says: &[&str]) {
    assert_eq!(status, expected, "{body}");
    assert_eq!(body["status"], expected, "{body}");
    let detail = body["detail"].as_str().unwrap_or_else(|| panic!("no detail: {body}"));
    for words in says {
        assert!(detail.contains(words), "{words:?} is not in {detail:?}");
    }
}

#[actix_web::test]
async fn a_wrong_question_is_told_what_is_wrong_with_it() {
    let server = ConsoleServer::with_sample().await;
    for question in ["matrix", "routes"] {
        problem(server.get(question).await, 400, &["`?api=orders`", "api"]);
        problem(server.get(&format!("{question}?api=orders&x=1")).await, 400, &["x"]);
        problem(server.get(&format!("{question}?api=order")).await, 404, &["`order`", "`orders`"]);
        problem(server.get(&format!("{question}?api=")).await, 404, &["``", "`jeton`", "`orders`"]);
    }
    for (body, says) in [
        (json!([]), "`api`, `method` and `path`"),
        (json!({ "api": "orders", "method": "GET" }), "path"),
        (json!({ "api": "orders", "method": "GET", "path": "/", "who": 1 }), "who"),
        (
            json!({ "api": "orders", "method": "GET", "path": "/", "as": "acme-sync", "token": "x" }),
            "`token`",
        ),
        (json!({ "api": "orders", "method": "GET", "path": "/", "as": "nobody" }), "`nobody`"),
        (json!({ "api": "none", "method": "GET", "path": "/", "token": "x" }), "`none`"),
    ] {
        problem(server.post("explain", &body).await, 400, &[says]);
    }
    let long = json!({ "api": "orders", "method": "GET", "path": "/".repeat(20_000) });
    problem(server.post("explain", &long).await, 413, &["16 KiB"]);
    for question in ["explain", "token", "check"] {
        problem(server.post_text(question, "{}").await, 415, &["application/json"]);
        problem(server.get(question).await, 405, &["POST"]);
    }
    for question in ["matrix?api=orders", "routes?api=orders", "diff", "sources"] {
        problem(server.post(question, &json!({})).await, 405, &["GET"]);
    }
}

#[actix_web::test]
async fn the_texts_in_force_are_told_without_hashes_of_secrets() {
    let server = ConsoleServer::with_sample().await;
    let sources = server.got("sources").await;
    assert_eq!(sources["hash"], server.got("matrix?api=orders").await["hash"]);
    assert_eq!(sources["withheld"], json!([]));
    let mut hashes = 0;
    for file in sources["files"].as_array().unwrap() {
        let name = file["name"].as_str().unwrap().rsplit('/').next().unwrap();
        let on_disk = fs::read_to_string(server.dir().join("policies").join(name)).unwrap();
        let shown = file["text"].as_str().unwrap();
        assert_eq!(shown.lines().count(), on_disk.lines().count());
        for (shown, written) in shown.lines().zip(on_disk.lines()) {
            match written.split_once("sha256: ") {
                None => assert_eq!(shown, written),
                Some((before, hash)) => {
                    hashes += 1;
                    assert_eq!(shown, format!("{before}sha256: {}{}", &hash[..8], "0".repeat(56)));
                }
            }
        }
    }
    assert_eq!(hashes, 4);
}

/// The cell of a client and a route.
async fn cell(server: &ConsoleServer, client: &str, route: &str) -> (u16, Value) {
    let asking = server.asking("cell").query(&[("api", "orders"), ("client", client), ("route", route)]);
    read(asking.send().await.unwrap()).await
}

#[actix_web::test]
async fn a_cell_says_what_the_matrix_says_and_why() {
    for server in [ConsoleServer::with_sample().await, server_with(&hostile_policies(), "").await] {
        let matrix = server.got("matrix?api=orders").await;
        let mut denied = 0;
        for (at, client) in matrix["clients"].as_array().unwrap().iter().enumerate() {
            let client = client["id"].as_str().unwrap();
            for row in matrix["routes"].as_array().unwrap() {
                let route = row["route"].as_str().unwrap();
                let (status, cell) = cell(&server, client, route).await;
                assert_eq!(status, 200, "{client} at {route}: {cell}");
                let (access, condition) = match row["access"][at].as_u64().unwrap() {
                    0 => ("never", Value::Null),
                    1 => ("always", Value::Null),
                    code => ("when", matrix["conditions"][usize::try_from(code).unwrap() - 2].clone()),
                };
                assert_eq!((&cell["access"], &cell["condition"]), (&json!(access), &condition), "{cell}");
                for (name, other) in [("hash", &matrix["hash"]), ("public", &row["public"])] {
                    assert_eq!(&cell[name], other, "{name} of {cell}");
                }
                assert_eq!((&cell["client"], &cell["route"]), (&json!(client), &json!(route)));
                for name in ["rule", "file", "line"] {
                    assert_eq!(cell["rule"][name], row[name], "{name} of {cell}");
                }
                let lines = cell["rule"]["text"].as_array().unwrap();
                assert!(lines.iter().any(|line| line["line"] == row["line"]), "{cell}");
                let on_disk = fs::read_to_string(server.dir().join(row["file"].as_str().unwrap())).unwrap();
                let on_disk: Vec<_> = on_disk.lines().collect();
                for line in lines {
                    let number = usize::try_from(line["line"].as_u64().unwrap()).unwrap();
                    assert_eq!(line["text"], on_disk[number - 1], "{cell}");
                }
                // for whoever never gets through, it is told what to do about it
                assert_eq!(cell["least"].is_null(), access != "never", "{cell}");
                if access == "never" {
                    denied += 1;
                    assert_ne!(cell["least"]["how"], json!([]), "{cell}");
                    let held_by = cell["least"]["held_by"].as_array().unwrap().len();
                    assert_eq!(cell["least"]["held_by_count"], held_by, "{cell}");
                }
            }
        }
        assert!(denied > 0);
    }
}

#[actix_web::test]
async fn the_least_that_is_missing_does() {
    let server = ConsoleServer::with_sample().await;
    let route = "POST /tenants/{tenant}/orders/{order}/refund";
    let (_, cell) = cell(&server, "acme-sync", route).await;
    assert_eq!(cell["access"], "never");
    assert_eq!(cell["least"]["missing"], json!(["scope: orders:refund"]), "{cell}");
    assert_eq!(cell["least"]["held_by"], json!(["globex-sync", "support-desk"]), "{cell}");
    let how = cell["least"]["how"].to_string();
    assert!(how.contains("grant scope `orders:refund`") && how.contains("`support-lead`"), "{how}");
}

#[actix_web::test]
async fn a_cell_that_is_not_there_is_told() {
    let server = ConsoleServer::with_sample().await;
    let route = "GET /tenants/{tenant}/orders";
    problem(cell(&server, "acme-synch", route).await, 404, &["`acme-synch`", "`acme-sync`"]);
    problem(cell(&server, "acme-sync", "GET /nowhere").await, 404, &["`GET /nowhere`", "matrix"]);
    problem(server.get("cell?api=order&client=a&route=b").await, 404, &["`orders`"]);
    problem(server.get("cell?api=orders&client=acme-sync").await, 400, &["route"]);
}
