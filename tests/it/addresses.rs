//! Addresses from outside: which are fetched, and that none is printed with what may be secret in it.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
    thread,
};

use jeton_oauth::{Audience, Issuer, MetadataAddress, clock::SystemClock};
use jeton_verify::{JwksOptions, JwksSource};
use tempfile::TempDir;

use crate::{
    binary::{Run, Workplace},
    commands::good_token,
    support::{http_client, install_policies, program::Binary, spawn_app},
};

/// What stands in every address that nobody may see.
const SECRET: &str = "hunter2";

/// Holds that nothing which was printed has a secret or a user name in it.
#[track_caller]
fn tells_nothing(run: Run) -> Run {
    for text in [&run.stdout, &run.stderr] {
        assert!(!text.contains(SECRET) && !text.contains("mallory"), "{run:#?}");
    }
    run
}

/// A server that answers every request so.
fn answering(head: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(stream, "{head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    format!("http://{address}")
}

#[test]
fn a_key_set_is_fetched_by_https_or_from_this_machine() {
    let (app, workplace) = (spawn_app(), Workplace::sample());
    let token = good_token(&workplace);
    let port = app.address.rsplit(':').next().unwrap();
    let inspect = |url: &str| workplace.run(&["token", "inspect", &token, "--jwks", url]);
    let path = "/.well-known/jwks.json";
    for host in ["127.0.0.1", "localhost", "127.1", "LOCALHOST"] {
        inspect(&format!("http://{host}:{port}{path}")).exits(0).shows(&["\nverifies\n"]);
    }
    for url in [
        // this machine too, and every other of its networks
        &format!("http://0.0.0.0:{port}{path}"),
        &format!("HTTP://0.0.0.0:{port}{path}"),
        &format!("http:0.0.0.0:{port}{path}"),
        &format!("http://[::ffff:127.0.0.1]:{port}{path}"),
        "http://192.0.2.1/jwks.json",
        "http://127.0.0.1.example/jwks.json",
        "http://localhost.example/jwks.json",
    ] {
        inspect(url).exits(1).says(&["must be `https`", "`http` is allowed only for this machine"]);
    }
    for url in [&format!("ftp://127.0.0.1:{port}{path}"), &format!("file://{path}"), "https://", "://x"] {
        inspect(url).exits(1).says(&["must be an absolute URL such as `https://"]);
    }
    let moved = answering("HTTP/1.1 302 Found\r\nLocation: /elsewhere");
    inspect(&moved).exits(1).says(&["it is answered with status 302", &moved]);
}

#[test]
fn the_address_of_a_key_set_is_printed_without_secrets() {
    let (app, workplace) = (spawn_app(), Workplace::sample());
    let token = good_token(&workplace);
    let local = app.address.trim_start_matches("http://");
    let inspect = |url: &str| workplace.run(&["token", "inspect", &token, "--jwks", url]);
    for url in [
        format!("http://mallory:hunter2@{local}/.well-known/jwks.json"),
        format!("http://hunter2@{local}/.well-known/jwks.json"),
        "https://mallory:hunter2@tokens.example/jwks.json".to_owned(),
        "HTTPS://mallory:hunter2@tokens.example/jwks.json".to_owned(),
        " https://mallory:hunter2@tokens.example/jwks.json".to_owned(),
        "https:mallory:hunter2@tokens.example/jwks.json".to_owned(),
        "https://mallory:hunter2/2@tokens.example/jwks.json".to_owned(),
        "https://mallory:hunter2@".to_owned(),
        "redis://mallory:hunter2@tokens.example".to_owned(),
    ] {
        tells_nothing(inspect(&url)).exits(1).says(&["without a user name and a password"]);
    }
    for (url, says) in [
        // nobody answers, something else answers, it is refused
        ("http://127.0.0.1:1/jwks.json?key=hunter2".to_owned(), "http://127.0.0.1:1/jwks.json: it cannot be"),
        (format!("http://{local}/nothing?key=hunter2"), "it is answered with status 404"),
        (format!("http://{local}/healthz?key=hunter2#hunter2"), "it is not a JSON Web Key Set"),
        ("http://0.0.0.0:1/jwks.json?key=hunter2".to_owned(), "`http://0.0.0.0:1/jwks.json` must be `https`"),
    ] {
        tells_nothing(inspect(&url)).exits(1).says(&[says]);
    }
    // and a proxy of the environment
    let mut behind = Workplace::sample();
    behind.set("HTTPS_PROXY", "http://mallory:hunter2@127.0.0.1:1");
    let run = behind.run(&["token", "inspect", &token, "--jwks", "https://tokens.example/jwks.json"]);
    tells_nothing(run).exits(1);
}

#[test]
fn the_address_of_a_gateway_is_printed_without_secrets() {
    let workplace = Workplace::sample();
    for url in [
        "http://mallory:hunter2@127.0.0.1:9",
        "http://hunter2@127.0.0.1:9",
        "https://mallory:hunter2@127.0.0.1:9",
        "http://127.0.0.1:9/?key=hunter2",
        "http://127.0.0.1:9/#hunter2",
        "http://mallory:hunter2@127.0.0.1:no-port",
        "mallory:hunter2@127.0.0.1:9",
    ] {
        let run = workplace.run(&["gateway", "check", url, "--gateway", "edge", "--echo", "127.0.0.1:0"]);
        tells_nothing(run).exits(2).says(&["http://HOST:PORT"]);
    }
}

#[test]
fn addresses_in_the_settings_are_printed_without_secrets() {
    for settings in [
        "issuer = \"https://mallory:hunter2@tokens.example\"",
        "issuer = \"https://mallory:hunter2@tokens.example:no-port\"",
        "issuer = \"https://mallory:hunter/hunter2@tokens.example\"",
        "issuer = \"mallory:hunter2@tokens.example\"",
        "issuer = \"https://tokens.example?key=hunter2\"",
        "issuer = \"https://tokens.example#hunter2\"",
        "issuer = \"redis://:hunter2@tokens.example\"",
        // an address where it cannot be, or is not written to its end
        "[store]\nurl = \"redis://mallory:hunter2@store.example",
        "[store]\nurl = 'redis://mallory:hunter2@store.example",
        "[store]\nurl = redis://mallory:hunter2@store.example",
        "[store]\nurl = \"redis://mallory:hunter2\\@store.example\"",
        "[store]\nurl = [\"redis://mallory:hunter2@store.example\"]",
        "[store]\nurl = \"redis://mallory:hunter2@store.example\" hunter2",
        "[store]\nurl = \"redis://h\"\nurl = \"redis://mallory:hunter2@store.example\"",
        "[store]\nurl = \"http://mallory:hunter2@store.example\"",
        "[store]\nurl = \"redis://mallory:hunter2@store.example:no-port\"",
        "[store]\nurl = \"redis://mallory:hunter2@store.example/one\"",
        "[store]\npassword = \"hunter2\"",
        "[store]\npassword = \"hunter2",
        "[keys]\npassphrase = hunter2",
    ] {
        let workplace = Workplace::sample();
        workplace.write("jeton.toml", settings);
        for command in [&["serve"][..], &["keys", "list"], &["policies", "check"], &["config", "check"]] {
            tells_nothing(workplace.run(command)).exits(1).says(&["jeton.toml"]);
        }
    }
    for (name, value) in [
        ("JETON__ISSUER", "https://mallory:hunter2@tokens.example"),
        ("JETON__STORE__URL", "redis://mallory:hunter2@store.example:no-port"),
    ] {
        let mut workplace = Workplace::sample();
        tells_nothing(workplace.set(name, value).run(&["keys", "list"])).exits(1).says(&[name]);
    }
}

/// A store that says in its errors what it was sent, as Redis does of commands that it does not know.
#[actix_web::test]
async fn a_store_that_repeats_the_password_does_not_bring_it_into_the_log() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut sent = [0; 4096];
            let count = stream.read(&mut sent).unwrap_or_default();
            let sent = String::from_utf8_lossy(&sent[..count]).replace("\r\n", " ");
            let refused = format!("-ERR unknown command, with args beginning with: {sent}\r\n");
            let _ = stream.write_all(refused.repeat(8).as_bytes());
        }
    });
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    let settings = format!("[store]\nurl = \"redis://mallory:hunter2@{address}\"\n");
    let mut binary = Binary::serve_in(dir, &settings).await;
    let line = match binary.lines_of("store.unreachable").first() {
        Some(line) => line.to_string(),
        None => binary.logged("store.unreachable").await.to_string(),
    };
    assert!(line.contains(&address.to_string()), "{line}");
    assert!(!line.contains(SECRET) && !line.contains("mallory"), "{line}");
    let readyz = http_client().get(format!("http://{}/readyz", binary.address)).send().await.unwrap();
    let readyz = readyz.text().await.unwrap();
    assert!(!readyz.contains(SECRET) && !readyz.contains("mallory"), "{readyz}");
}

/// The place and the reason stay: whoever wrote it finds it again.
#[test]
fn settings_that_are_not_toml_are_told_by_line_and_reason() {
    let workplace = Workplace::sample();
    workplace.write("jeton.toml", "# the store\n[store]\nurl = \"redis://:hunter2@store.example\n");
    let run = tells_nothing(workplace.run(&["keys", "list"])).exits(1);
    run.says(&["jeton.toml: ", "line 3, column", "invalid basic string"]);
}

#[test]
fn errors_of_the_library_hold_no_secrets() {
    let options = JwksOptions::default();
    for url in ["http://tokens.example/jwks?key=hunter2", "http://mallory:hunter2@tokens.example/jwks"] {
        let error = JwksSource::new(url, &options, Arc::new(SystemClock)).err().unwrap();
        let text = format!("{error} {error:?}");
        assert!(!text.contains(SECRET) && !text.contains("mallory"), "{text}");
    }
    let audience = Audience::parse("https://mallory:hunter2@orders.example").unwrap();
    let error = MetadataAddress::of(&audience).unwrap_err().to_string();
    assert!(!error.contains(SECRET) && !error.contains("mallory"), "{error}");
    let error = Issuer::parse("https://mallory:hunter2@tokens.example").unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains(SECRET) && !text.contains("mallory"), "{text}");
}
