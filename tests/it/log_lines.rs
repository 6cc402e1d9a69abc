//! The lines of the log, as programs read them.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};
use jeton::event::{self, DeclaredEvent};
use serde_json::{Value, json};

use crate::{
    printed_names::{HOSTILE, assert_harmless},
    support::{ORDERS, forge::base64url, http_client, program::Binary, root, secret},
};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

/// What `POST /oauth2/token` answers, and how the log names it.
async fn refused(binary: &mut Binary, basic: Option<&str>, fields: &[(&str, &str)]) -> (Value, Value) {
    let mut request = http_client().post(format!("http://{}/oauth2/token", binary.address)).form(fields);
    if let Some(basic) = basic {
        request = request.header("authorization", format!("Basic {basic}"));
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    assert!(!status.is_success(), "{status}");
    (answer.json().await.unwrap(), binary.logged("token.refused").await)
}

#[actix_web::test]
async fn every_line_is_flat_and_says_when_and_what() {
    let mut binary = Binary::serve().await;
    let url = |binary: &Binary, path: &str| format!("http://{}{path}", binary.address);
    let http = http_client();
    let good = http.post(url(&binary, "/oauth2/token")).form(&[GRANT, ("resource", ORDERS)]);
    let good = good.basic_auth("acme-sync", Some(secret("acme-sync"))).send().await.unwrap();
    assert_eq!(good.status(), 200);
    let issued = binary.logged("token.issued").await;
    let request = binary.logged("request").await;
    for line in [&issued, &request] {
        assert_eq!((&line["id"], &line["peer"]), (&issued["id"], &json!("127.0.0.1")), "{line}");
    }
    assert_eq!(issued["id"].as_str().map(str::len), Some(36), "{issued}");
    assert!(issued["ttl"].is_u64() && issued.get("message").is_none(), "{issued}");
    assert!(request["status"] == 200 && request["ms"].is_f64(), "{request}");
    for path in ["/principal", "/authz/none", "/nowhere"] {
        http.get(url(&binary, path)).header("authorization", "Bearer x").send().await.unwrap();
        let line = binary.logged(if path == "/nowhere" { "request" } else { "decision.denied" }).await;
        assert_eq!(line["peer"], "127.0.0.1", "{line}");
    }
    refused(&mut binary, None, &[GRANT, ("client_id", HOSTILE), ("client_secret", "x")]).await;
    for path in ["introspect", "revoke"] {
        let request = http.post(url(&binary, &format!("/oauth2/{path}"))).form(&[("token", "x")]);
        request.basic_auth("nobody", Some("x")).send().await.unwrap();
        let event = if path == "revoke" { "revocation.refused" } else { "introspection.refused" };
        let line = binary.logged(event).await;
        assert!(line["id"].is_string() && line.get("peer").is_none(), "{line}");
        assert_eq!(line["attempted"], "nobody", "{line}");
    }
    let file = binary.dir.path().join("policies/broken.yaml");
    fs::write(&file, "version: [\n").unwrap();
    binary.signal("HUP").await;
    let rejected = binary.logged("policies.rejected").await;
    assert_eq!(rejected["message"], "the last good ones stay in force", "{rejected}");
    assert!(rejected["count"].is_u64() && rejected.get("id").is_none(), "{rejected}");
    binary.stop().await;
    assert_harmless(binary.log_text(), "the log");
    let is_name = |name: &str| name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_' | b'.'));
    for text in binary.log_text().lines() {
        assert!(text.starts_with("{\"time\":\""), "{text}");
        let line: Value = serde_json::from_str(text).unwrap();
        let members = line.as_object().unwrap();
        assert!(members.values().all(|value| !value.is_object() && !value.is_array()), "{text}");
        // none stands twice
        let names = members.keys().map(|name| text.matches(&format!("{name:?}:")).count());
        assert!(names.into_iter().all(|count| count == 1), "{text}");
        assert!(members["event"].as_str().is_some_and(is_name), "{text}");
        assert!(members["level"].as_str().is_some_and(|level| level == level.to_uppercase()), "{text}");
        for gone in ["timestamp", "span", "target"] {
            assert!(!members.contains_key(gone), "{text}");
        }
    }
}

/// Each row: what proxies say, and the address that counts where it is not the peer's.
#[actix_web::test]
async fn behind_a_proxy_the_lines_of_a_request_have_both_addresses() {
    let (xff, forwarded) = ("x-forwarded-for", "forwarded");
    let forged = &[(xff, "203.0.113.9"), (forwarded, "for=203.0.113.9")][..];
    let behind_proxies = [
        (&[(xff, "203.0.113.9")][..], Some("203.0.113.9")),
        (&[(xff, "203.0.113.9, 198.51.100.1:4711, 10.1.2.3")], Some("198.51.100.1")),
        (&[(forwarded, "for=\"[2001:DB8::1]:80\"")], Some("2001:db8::1")),
        (&[(xff, "::ffff:198.51.100.2")], Some("198.51.100.2")),
        (&[(xff, "203.0.113.9, unknown")], None),
        (&[(xff, "10.9.9.9")], None),
        (&[(xff, "127.0.0.1")], None),
        (&[], None),
    ];
    let none_is_trusted = [(forged, None), (&[], None)];
    for (proxies, rows) in [
        ("127.0.0.1,10.0.0.0/8", &behind_proxies[..]),
        ("198.51.100.0/24", &none_is_trusted),
        ("", &none_is_trusted),
    ] {
        let mut binary = Binary::serve_with(&[
            ("JETON__SERVER__TRUSTED_PROXIES", proxies),
            ("JETON__LIMITS__FAILURES", "1000/s"),
        ])
        .await;
        for (headers, expected) in rows {
            let sent = |request: reqwest::RequestBuilder| {
                headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send()
            };
            let url = |path: &str| format!("http://{}{path}", binary.address);
            let asks = |secret: &str| {
                let form = [GRANT, ("resource", ORDERS)];
                http_client().post(url("/oauth2/token")).form(&form).basic_auth("acme-sync", Some(secret))
            };
            sent(asks(&secret("acme-sync"))).await.unwrap();
            sent(asks("wrong")).await.unwrap();
            sent(http_client().get(url("/principal"))).await.unwrap();
            sent(http_client().get(url("/authz/none"))).await.unwrap();
            let form = [("token", "x")];
            let introspects = http_client().post(url("/oauth2/introspect")).form(&form);
            sent(introspects.basic_auth("nobody", Some("x"))).await.unwrap();
            for event in ["token.issued", "token.refused", "decision.denied", "decision.denied", "request"] {
                let line = binary.logged(event).await;
                assert_eq!(line["client_address"].as_str(), *expected, "{proxies} {headers:?}: {line}");
                assert_eq!(line["peer"], "127.0.0.1", "{line}");
            }
            let line = binary.logged("introspection.refused").await;
            assert!(line.get("client_address").is_none(), "{line}");
        }
        binary.stop().await;
    }
}

#[actix_web::test]
async fn the_address_of_a_line_is_the_one_whose_failures_are_counted() {
    let mut binary = Binary::serve_with(&[
        ("JETON__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
        ("JETON__LIMITS__FAILURES", "1/h"),
    ])
    .await;
    for address in ["203.0.113.9", "2001:db8::1"] {
        for reason in ["invalid_client", "rate_limited"] {
            let request = http_client().post(format!("http://{}/oauth2/token", binary.address));
            let request = request.form(&[GRANT]).basic_auth("acme-sync", Some("wrong"));
            request.header("x-forwarded-for", address).send().await.unwrap();
            let line = binary.logged("token.refused").await;
            assert_eq!(
                (&line["reason"], &line["client_address"]),
                (&reason.into(), &address.into()),
                "{line}"
            );
            let detail = line["detail"].as_str().unwrap();
            assert_eq!(detail.ends_with(&format!(" from {address}")), reason == "rate_limited", "{line}");
        }
    }
    binary.stop().await;
}

#[actix_web::test]
async fn who_is_no_client_is_logged_as_attempted() {
    let mut binary = Binary::serve().await;
    let assertion = |header: Value, subject: &str| {
        let claims = json!({ "iss": subject, "sub": subject });
        format!("{}.{}.AA", base64url(header.to_string()), base64url(claims.to_string()))
    };
    let by_nobody = assertion(json!({ "alg": "EdDSA" }), "nobody");
    let jwt_bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let long = "x".repeat(600);
    let told = format!("{}…", "x".repeat(256));
    let swapped = "jeton_0123456789012345678901234567890123456789012345678";
    for (name, fields, client, attempted) in [
        ("unknown", &[("client_id", "acme-sink"), ("client_secret", "x")][..], None, Some("acme-sink")),
        ("known", &[("client_id", "acme-sync"), ("client_secret", "x")], Some("acme-sync"), None),
        ("no secret", &[("client_id", "acme-sync")], None, Some("acme-sync")),
        ("nobody", &[], None, None),
        ("long", &[("client_id", &long), ("client_secret", "x")], None, Some(&told)),
        ("quotes", &[("client_id", "a\"\n\u{202e}"), ("client_secret", "x")], None, Some("a\"\\n\\u{202e}")),
        ("swapped", &[("client_id", swapped), ("client_secret", "acme-sync")], None, Some("(a secret)")),
        (
            "assertion",
            &[("client_assertion_type", jwt_bearer), ("client_assertion", &by_nobody)],
            None,
            Some("nobody"),
        ),
    ] {
        let (answer, line) = refused(&mut binary, None, &[&[GRANT], fields].concat()).await;
        assert_eq!(answer["error"], "invalid_client", "{name}: {answer}");
        let logged = [&line["client"], &line["attempted"]].map(Value::as_str);
        assert_eq!(logged, [client, attempted], "{name}: {line}");
    }
    binary.stop().await;
    assert!(!binary.log_text().contains(swapped), "{}", binary.log_text());
    assert_harmless(binary.log_text(), "the log");
}

#[actix_web::test]
async fn basic_credentials_that_cannot_be_read_are_told_why() {
    let mut binary = Binary::serve().await;
    let standard = |text: &[u8]| BASE64_STANDARD.encode(text);
    let url_safe = b"acme-sync:~~~???>>>";
    assert!(BASE64_URL_SAFE.encode(url_safe).contains(['-', '_']));
    let base64 = "are in another base64 than the standard one";
    let form = "is not form-encoded";
    for (name, basic, says, attempted) in [
        ("raw %", standard(b"acme-sync:50%off"), form, Some("acme-sync")),
        ("raw % at the end", standard(b"acme-sync:x%"), form, Some("acme-sync")),
        ("raw % in the id", standard(b"a%me:x"), form, Some("a%me")),
        ("Latin-1, form-encoded", standard(b"acme%2Dsync:kaffeekanne%E9"), form, Some("acme-sync")),
        ("Latin-1", standard(b"acme-sync:kaffeekanne\xe9"), "are not UTF-8", Some("acme-sync")),
        ("Latin-1 in the id", standard(b"acm\xe9:x"), "are not UTF-8", Some("acm\u{fffd}")),
        ("UTF-16", standard(b"\xff\xfea\0:\0x\0"), "are not UTF-8", Some("\u{fffd}\u{fffd}a\\u{0}")),
        ("URL-safe", BASE64_URL_SAFE.encode(url_safe), base64, Some("acme-sync")),
        ("URL-safe, bare", BASE64_URL_SAFE_NO_PAD.encode(url_safe), base64, Some("acme-sync")),
        ("without its end", BASE64_STANDARD_NO_PAD.encode(b"acme-sync:x"), base64, Some("acme-sync")),
        ("no base64", "acme-sync:x".to_owned(), "are not base64", None),
        ("no colon", standard(b"acme-sync"), "hold no colon", None),
        ("a secret alone", standard(b"jeton_x"), "hold no colon", None),
    ] {
        let (answer, line) = refused(&mut binary, Some(&basic), &[GRANT]).await;
        assert_eq!(answer["error"], "invalid_client", "{name}: {answer}");
        let told = answer["error_description"].as_str().unwrap();
        assert!(told.contains(says) && line["detail"] == told, "{name}: {told} {line}");
        assert_eq!(
            [&line["client"], &line["attempted"]].map(Value::as_str),
            [None, attempted],
            "{name}: {line}"
        );
    }
    for (name, basic, detail) in [
        ("raw +", "acme-sync:a+b", "it contains a space, perhaps from a raw `+`"),
        ("raw + at the end", "acme-sync:+", "it contains a space, perhaps from a raw `+`"),
        ("a line break", "acme-sync:a%0D%0A", "it ends in a line break"),
        ("encoded +", "acme-sync:a%2Bb", "wrong secret"),
        ("a wrong secret", "acme-sync:ab", "wrong secret"),
    ] {
        let (answer, line) = refused(&mut binary, Some(&standard(basic.as_bytes())), &[GRANT]).await;
        // the caller learns nothing of it
        assert_eq!(answer["error_description"], "client authentication failed", "{name}: {answer}");
        let logged = line["detail"].as_str().unwrap();
        assert!(logged == detail || logged.contains(": it ") && logged.contains(detail), "{name}: {line}");
        assert_eq!(line["client"], "acme-sync", "{name}: {line}");
    }
    binary.stop().await;
    for secret in ["50%off", "~~~???", "kaffeekanne", "jeton_x"] {
        assert!(!binary.log_text().contains(secret), "{secret}: {}", binary.log_text());
    }
}

#[actix_web::test]
async fn what_actix_says_is_in_the_log_of_those_who_look_into_it() {
    for (level, is_there) in [("info", false), ("debug", true)] {
        let mut binary = Binary::serve_with(&[("JETON__LOG__LEVEL", level)]).await;
        let answer = binary.raw(b"\x16\x03\x01 nonsense\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        binary.stop().await;
        let lines = binary.log_text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of_actix: Vec<_> = lines
            .filter(|line| line["event"].as_str().is_some_and(|event| event.starts_with("actix_")))
            .collect();
        assert_eq!(!of_actix.is_empty(), is_there, "{level}: {}", binary.log_text());
        assert!(of_actix.iter().all(|line| line["level"] == json!("DEBUG")), "{of_actix:#?}");
        // a stranger's nonsense is no error of ours
        assert!(!binary.log_text().contains("\"ERROR\""), "{}", binary.log_text());
    }
}

/// The rows of the table in `docs/reference/log.md`, by the declarations.
fn declared() -> Vec<String> {
    fn add(names: &mut Vec<String>, groups: &[&[&str]]) {
        for name in groups.iter().copied().flatten() {
            let name = format!("`{name}`");
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let mut events = BTreeMap::new();
    for DeclaredEvent { name, meaning, levels, fields } in event::all() {
        let (told, all_levels, all_fields) = events.entry(name).or_insert((meaning, Vec::new(), Vec::new()));
        assert_eq!(*told, meaning, "{name}");
        add(all_levels, levels);
        add(all_fields, fields);
    }
    let row = |(name, (meaning, levels, fields)): (_, (&&str, Vec<_>, Vec<_>))| {
        format!("| `{name}` | {} | {} | {} |", levels.join(", "), fields.join(", "), meaning.trim())
    };
    events.into_iter().map(row).collect()
}

#[test]
fn the_reference_has_every_event_as_it_is_declared() {
    let declared = declared();
    let declared: BTreeSet<_> = declared.iter().map(String::as_str).collect();
    assert!(declared.len() > 50, "{declared:#?}");

    let reference = fs::read_to_string(root().join("docs/reference/log.md")).unwrap();
    let (_, table) =
        reference.split_once("| event | level | fields | meaning |\n|---|---|---|---|\n").unwrap();
    let told: BTreeSet<_> = table.lines().take_while(|line| line.starts_with('|')).collect();
    let only =
        |these: &BTreeSet<&str>, others| these.difference(others).copied().collect::<Vec<_>>().join("\n");
    let (untold, undeclared) = (only(&declared, &told), only(&told, &declared));
    assert!(told == declared, "docs/reference/log.md should say:\n{untold}\nin place of:\n{undeclared}");
}

#[test]
fn a_crate_declares_an_event_once() {
    let mut names = BTreeSet::new();
    for events in [event::EVENTS, jeton_actix::event::EVENTS, jeton_verify::event::EVENTS] {
        for (at, DeclaredEvent { name, .. }) in events.iter().enumerate() {
            assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_' | b'.')), "{name}");
            assert!(events.iter().skip(at + 1).all(|other| other.name != *name), "{name} is declared twice");
            names.insert(*name);
        }
    }
    assert!(event::all().all(|event| names.contains(event.name)));
}

/// The files below `dir` that are code.
fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// The calls in a file that log without a declaration.
fn undeclared(text: &str) -> Vec<&str> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let logs = |line: &&str| {
        let line = line.trim_start();
        let calls = ["error!(", "warn!(", "info!(", "debug!(", "trace!(", "event!("].into_iter();
        let mut calls = calls.filter_map(|call| line.split_once(call));
        !line.starts_with("//")
            && calls.any(|(before, _)| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    code.lines().filter(logs).collect()
}

#[test]
fn nothing_is_logged_that_is_not_declared() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let crates = fs::read_dir(root().join("crates")).unwrap();
    crates.for_each(|member| sources(&member.unwrap().path().join("src"), &mut files));
    assert!(files.len() > 150, "only {} files were read", files.len());
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        found.extend(undeclared(&text).into_iter().map(|line| format!("{}: {line}", file.display())));
    }
    assert!(found.is_empty(), "declare these in an `event.rs`:\n{}", found.join("\n"));
}

#[test]
fn a_call_that_logs_is_seen() {
    for call in
        ["tracing::warn!(", "    info!(", "x => tracing::debug!(%error, \"store.broken\"),", "{ event!("]
    {
        assert_eq!(undeclared(call), [call]);
    }
    for other in ["tracing::info_span!(\"request\")", "// tracing::warn!(", "told.warn();", "log!(x.info(a))"]
    {
        assert_eq!(undeclared(other), [""; 0], "{other}");
    }
}
