//! Messages that say the real cause.
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use tempfile::TempDir;

use crate::{
    binary::{Run, Workplace},
    commands::good_token,
    support::{install_policies, program::Binary},
};

/// What `policies check` says of a file with these lines below `rules:`.
#[track_caller]
fn check(rule: &str) -> Run {
    let workplace = Workplace::new();
    workplace.write(
        "policies/policies.yaml",
        &format!("version: 1\napis:\n  x:\n    audience: https://x.example\n    rules:\n{rule}\n"),
    );
    workplace.run(&["policies", "check"]).exits(1)
}

#[test]
fn a_route_with_braces_inside_brackets_is_told_to_be_quoted() {
    for (routes, bare, place) in [
        ("[POST /x/{id}/send]", "POST /x/{id}/send", "7:18"),
        ("[GET /x/{id}]", "GET /x/{id}", "7:18"),
        ("[GET /a, \"GET /b/{b}\", POST /x/{id}:purge, GET /z]", "POST /x/{id}:purge", "7:40"),
        ("[\n          GET /a,\n          POST /x/{id}/y/{z},\n        ]", "POST /x/{id}/y/{z}", "9:11"),
        ("\n          - [PUT /x/{id}]", "PUT /x/{id}", "8:14"),
    ] {
        let run = check(&format!("      r:\n        routes: {routes}\n        public: true"));
        let says = format!(
            "policies/policies.yaml:{place}: error: `{bare}` needs quotes here: within brackets, a brace starts a map"
        );
        run.shows(&[
            &says,
            &format!("= help: write `\"{bare}\"`, or put it on a line of its own behind `- `"),
        ]);
    }
    check("      r: { routes: [GET /x/{id}], public: true }")
        .shows(&["error: `GET /x/{id}` needs quotes here"]);
    check("      r: { public: true, routes: GET /x/{id}}").shows(&["error: `GET /x/{id}` needs quotes here"]);
    // other faults of brackets are told as before
    for rule in ["      r: { routes: [GET /x, }", "      r: [{a: b} c]", "      r: [ {"] {
        check(rule).shows(&["this is not YAML: "]);
    }
}

#[test]
fn a_folder_without_policies_is_said_once_and_with_its_whole_path() {
    let workplace = Workplace::sample();
    workplace.write("empty/notes.txt", "x");
    let place = format!("note: empty is {}", workplace.path("empty").canonicalize().unwrap().display());
    for arguments in [
        &["policies", "check", "empty"][..],
        &["policies", "test", "empty"],
        &["policies", "matrix", "empty"],
        &["policies", "diff", "policies", "empty"],
    ] {
        let run = workplace.run(arguments).exits(1);
        let text = run.stdout.clone() + &run.stderr;
        assert!(text.contains("empty: error: holds no `*.yaml` file"), "{run:#?}");
        assert!(run.stderr.contains(&place), "{run:#?}");
    }
    let bare = Workplace::new();
    let place = format!("note: policies is {}", bare.path("policies").canonicalize().unwrap().display());
    for arguments in [&["clients", "add", "x"][..], &["clients", "rotate", "x"], &["serve"]] {
        let run = bare.run(arguments).exits(1);
        assert!(run.stderr.starts_with("policies: error: holds no `*.yaml` file"), "{run:#?}");
        assert_eq!(run.stderr.matches("error:").count(), 1, "{run:#?}");
        assert!(run.stderr.contains(&place), "{run:#?}");
    }
    // what was named by its whole path needs no note
    let whole = workplace.path("empty").display().to_string();
    let run = workplace.run(&["policies", "check", &whole]).exits(1);
    assert!(!run.stderr.contains("note:"), "{run:#?}");
}

#[test]
fn what_is_behind_an_error_is_said_once() {
    let workplace = Workplace::sample();
    workplace.write("keys.json", "{\"keys\": [").write("keys/keyring.yaml", "keys: [\n");
    let token =
        format!("{}.{}.AAAA", encoded("{\"alg\":\"RS256\",\"kid\":\"x\"}"), encoded("{\"aud\":\"x\"}"));
    let run = workplace.run(&["token", "inspect", &token, "--jwks", "keys.json"]).exits(1);
    assert_eq!(run.stderr.matches("EOF while parsing").count(), 1, "{run:#?}");
    let run = workplace.run(&["keys", "list"]).exits(1);
    assert_eq!(run.stderr, "keys/keyring.yaml:1:7: error: unclosed bracket '['\n");
}

/// A first start is none of which an operator must be warned.
#[actix_web::test]
async fn the_first_start_warns_of_nothing() {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    let binary = Binary::serve_in(dir, "[keys]\ndir = \"fresh\"\n").await;
    let [generated] = binary.lines_of("keys.generated")[..] else { panic!("{}", binary.log_text()) };
    assert_eq!(generated["level"], "INFO", "{generated}");
    assert!(!binary.log_text().contains("WARN"), "{}", binary.log_text());
}

fn encoded(json: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(json)
}

#[test]
fn a_token_of_another_issuer_is_told_with_both() {
    let workplace = Workplace::sample();
    let token = format!(
        "{}.{}.AAAA",
        encoded("{\"alg\":\"RS256\",\"kid\":\"x\",\"typ\":\"at+jwt\"}"),
        encoded("{\"iss\":\"https://other.example\\u001b\",\"aud\":\"https://orders.example.com\"}")
    );
    let says =
        "`iss` is `https://other.example\\u{1b}`, and the issuer of the settings is `http://127.0.0.1:8080`";
    workplace
        .run(&["token", "inspect", &token])
        .exits(3)
        .shows(&["does not verify: no key has this `kid`", says]);
    workplace
        .run(&["policies", "explain", "--api", "orders", "--token", &token, "GET", "/x"])
        .exits(3)
        .shows(&[says]);
    let says = "`aud` is another audience (it is `https://orders.example.com`, and the audience of the API is `http://127.0.0.1:8080`)";
    let token = good_token(&workplace);
    workplace
        .run(&["policies", "explain", "--api", "jeton", "--token", &token, "GET", "/x"])
        .exits(3)
        .shows(&[says]);
}

#[test]
fn a_token_is_taken_as_it_is_copied() {
    let workplace = Workplace::sample();
    let token = good_token(&workplace);
    for before in ["Bearer ", "bearer  ", "Authorization: Bearer ", "authorization:bearer ", "DPoP "] {
        workplace.run(&["token", "inspect", &format!("{before}{token}")]).exits(0).shows(&["\nverifies\n"]);
        workplace.run_with_input(&["token", "inspect"], &format!("{before}{token}\r\n")).exits(0);
    }
    workplace.run(&["token", "inspect", &format!("Basic {token}")]).exits(3);
}

#[test]
fn the_times_of_a_token_are_said_as_times() {
    let workplace = Workplace::sample();
    let token = format!(
        "{}.{}.AAAA",
        encoded("{\"alg\":\"RS256\"}"),
        encoded("{\"aud\":\"x\",\"iat\":1790000000,\"nbf\":\"soon\",\"exp\":9223372036854775807}")
    );
    let run = workplace.run(&["token", "inspect", &token]).exits(3);
    let run = run.shows(&["  \"iat\": 1790000000", "\niat: 2026-09-21T14:13:20Z (", " ago)\n"]);
    assert!(!run.stdout.contains("\nexp: ") && !run.stdout.contains("\nnbf: "), "{run:#?}");
}

/// A file with a public key, and how `clients add` refuses it.
#[track_caller]
fn refuses_key(workplace: &Workplace, text: &str, says: &str) {
    workplace.write("key", text);
    workplace.run(&["clients", "add", "new", "--public-key", "key"]).exits(1).says(&[says]);
    assert!(!workplace.path("policies/new.yaml").exists());
}

#[test]
fn a_public_key_in_another_form_is_told_how_to_be_written() {
    let workplace = Workplace::sample();
    let block = |tag: &str, hex: &str| {
        let bytes: Vec<u8> = hex
            .as_bytes()
            .chunks(2)
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect();
        format!("-----BEGIN {tag}-----\n{}\n-----END {tag}-----\n", BASE64_STANDARD.encode(bytes))
    };
    let x = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
    let compressed = format!("3039301306072a8648ce3d020106082a8648ce3d03010703220003{x}");
    for (text, says) in [
        (block("RSA PUBLIC KEY", "3003020101"), "it is PKCS#1 (`RSA PUBLIC KEY`): give what `openssl rsa "),
        (block("CERTIFICATE", "3003020101"), "it is a certificate: give its key, which `openssl x509 "),
        (block("PUBLIC KEY", &compressed), "its point is compressed: give what `openssl ec "),
        (block("PRIVATE KEY", "3003020101"), "it is a private key"),
        (block("EC PARAMETERS", "3003020101"), "it is not PEM with a `PUBLIC KEY` block"),
    ] {
        refuses_key(&workplace, &text, says);
    }
}

#[test]
fn a_json_web_key_is_told_which_member_is_wrong() {
    let workplace = Workplace::sample();
    let (x, y) =
        ("axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU");
    let ec = |x: &str, y: &str| format!("{{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"{x}\",\"y\":\"{y}\"}}");
    let short = encoded("x".repeat(31).as_str());
    let longer = BASE64_URL_SAFE_NO_PAD.encode([&[0][..], &[7; 32]].concat());
    let modulus = |first: &[u8]| BASE64_URL_SAFE_NO_PAD.encode([first, &[0xff; 256]].concat());
    let rsa = |n: &str, e: &str| format!("{{\"kty\":\"RSA\",\"n\":\"{n}\",\"e\":\"{e}\"}}");
    for (text, says) in [
        (ec(&short, y), "a coordinate has 31 bytes, not 32"),
        (ec(x, &longer), "a coordinate has 33 bytes, not 32"),
        (ec(&format!("{x}="), y), "`x` is not base64url without padding"),
        (ec(x, &y.replace('-', "+")), "`y` is not base64url without padding"),
        (
            format!("{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"{short}\"}}"),
            "a coordinate has 31 bytes, not 32",
        ),
        (rsa(&format!("{}==", modulus(&[])), "AQAB"), "`n` is not base64url without padding"),
        (rsa(&modulus(&[0]), "AQAB"), "`n` begins with a zero byte"),
        (rsa(&modulus(&[]), "AAEAAQ"), "`e` begins with a zero byte"),
        (rsa(&modulus(&[]), "Ag"), "it is not a sound key"),
        (ec(x, x), "it is not a sound key"),
    ] {
        refuses_key(&workplace, &text, says);
    }
    workplace.write("key", &ec(x, y)).run(&["clients", "add", "new", "--public-key", "key"]).exits(0);
}

#[test]
fn a_method_in_small_letters_is_told_apart() {
    let workplace = Workplace::sample();
    for (method, is_told) in [("get", true), ("Get", true), ("GET", false), ("PROPFIND", false)] {
        let run = workplace.run(&["policies", "explain", "--api", "orders", method, "/x"]).exits(3);
        let note = format!("note: methods are told apart by case, and `{method}` is not `GET`");
        assert_eq!(run.stderr.contains(&note), is_told, "{run:#?}");
        assert_eq!(run.stderr.contains("note: methods"), is_told, "{run:#?}");
    }
}

#[test]
fn an_encoded_slash_in_a_route_is_told_to_be_refused_everywhere() {
    for (route, says) in [
        ("GET /a%2Fb", "an encoded `/` is refused in every path"),
        ("GET /a/%2f", "an encoded `/` is refused in every path"),
        ("GET /a/b%2Fc/{x}", "an encoded `/` is refused in every path"),
        ("GET /a%20b", "write the decoded character"),
        ("GET /a%2", "write the decoded character"),
    ] {
        check(&format!("      r: {{ routes: [\"{route}\"], public: true }}")).shows(&["bad-route", says]);
    }
}
