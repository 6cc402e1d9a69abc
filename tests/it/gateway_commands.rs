//! `jeton gateway`: what it writes, and what it says where it cannot.
use std::{fs, net::TcpListener, path::Path};

use crate::{binary::Workplace, support::root};

const SETTINGS: &str = "[gateways.edge]\nkind = \"nginx\"\napi = \"orders\"\ntrusted_peers = [\"127.0.0.1\"]\nclaims = [\"tenant\", \"cost_centre\"]\n";

fn workplace(settings: &str) -> Workplace {
    let workplace = Workplace::sample();
    workplace.write("jeton.toml", settings);
    workplace
}

const ADDRESSES: [&str; 4] = ["--listen", "127.0.0.1:8084", "--upstream", "127.0.0.1:9000"];

#[test]
fn each_kind_has_its_files_and_nothing_is_left_to_fill_in() {
    for (kind, files) in [
        ("nginx", &["nginx.conf"][..]),
        ("caddy", &["Caddyfile"]),
        ("haproxy", &["haproxy.cfg", "jeton.lua"]),
        ("envoy", &["envoy.yaml"]),
        ("traefik", &["traefik.yml", "traefik.dynamic.yml"]),
    ] {
        let workplace = workplace(&SETTINGS.replace("nginx", kind));
        let command = [&["gateway", "config", "edge", "--out", "made/here"][..], &ADDRESSES].concat();
        workplace.run(&command).exits(0).says(&files.iter().map(|file| &**file).collect::<Vec<_>>());
        let mut made: Vec<_> =
            fs::read_dir(workplace.path("made/here")).unwrap().map(|it| it.unwrap().file_name()).collect();
        made.sort();
        let mut expected = files.to_vec();
        expected.sort_unstable();
        assert_eq!(made, expected, "{kind}");
        let text: String = files.iter().map(|file| workplace.read(&format!("made/here/{file}"))).collect();
        assert!(!text.contains("{{"), "{kind}");
        let text = text.to_lowercase().replace('_', "-");
        let identity = match kind {
            // by a pattern
            "traefik" => &["^x-auth-"][..],
            _ => &["x-auth-client", "x-auth-token-id", "x-auth-claim-tenant", "x-auth-claim-cost-centre"],
        };
        for part in ["127.0.0.1", "8084", "9000", "8080", "/authz/edge"].iter().chain(identity) {
            assert!(text.contains(part), "{kind}: `{part}` is missing");
        }
    }
}

/// By kind: what stands in the files of every recipe with TLS, and what with an authority alone.
const TLS: [(&str, &[&str], &[&str]); 5] = [
    (
        "nginx",
        &[
            "listen 127.0.0.1:8084 ssl;",
            "ssl_certificate /etc/edge.pem;",
            "ssl_certificate_key /etc/edge.key;",
        ],
        &["ssl_client_certificate /etc/clients.pem;", "ssl_verify_client optional;"],
    ),
    (
        "caddy",
        &["https://:8084 {", "tls /etc/edge.pem /etc/edge.key {"],
        &[
            "mode verify_if_given",
            "trusted_ca_cert_file /etc/clients.pem",
            "Client-Cert \":{http.request.tls",
        ],
    ),
    (
        "haproxy",
        &["proto h1 ssl crt ", "/tls.pem alpn http/1.1"],
        &["ca-file /etc/clients.pem verify optional", "set-header Client-Cert"],
    ),
    (
        "envoy",
        &["filename: \"/etc/edge.pem\"", "filename: \"/etc/edge.key\"", "DownstreamTlsContext"],
        &["trusted_ca: { filename: \"/etc/clients.pem\" }", "require_client_certificate: false"],
    ),
    (
        "traefik",
        &["tls: {}", "certFile: \"/etc/edge.pem\"", "keyFile: \"/etc/edge.key\""],
        &[
            "caFiles: [\"/etc/clients.pem\"]",
            "VerifyClientCertIfGiven",
            "[drop, certificate, jeton]",
            "pem: true",
        ],
    ),
];

#[test]
fn clients_are_asked_for_certificates_where_an_authority_is_given() {
    let pair = ["--tls-cert", "/etc/edge.pem", "--tls-key", "/etc/edge.key"];
    let authority = ["--client-ca", "/etc/clients.pem"];
    for (kind, with_tls, with_authority) in TLS {
        for (more, has_tls, has_authority) in [
            (vec![], false, false),
            (pair.to_vec(), true, false),
            ([&pair[..], &authority].concat(), true, true),
        ] {
            let workplace = workplace(&SETTINGS.replace("nginx", kind));
            let command = [&["gateway", "config", "edge", "--out", "made"][..], &ADDRESSES, &more].concat();
            workplace.run(&command).exits(0);
            let files = fs::read_dir(workplace.path("made")).unwrap().map(|it| it.unwrap().path());
            let (links, files): (Vec<_>, Vec<_>) = files.partition(|it| it.is_symlink());
            let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
            assert!(!text.contains("{{"), "{kind} {more:?}");
            for (parts, stand) in [(with_tls, has_tls), (with_authority, has_authority)] {
                for part in parts {
                    assert_eq!(text.contains(part), stand, "{kind} {more:?}: `{part}`\n{text}");
                }
            }
            let mut to: Vec<_> = links.iter().map(|link| fs::read_link(link).unwrap()).collect();
            to.sort();
            let expected: &[&str] =
                if kind == "haproxy" && has_tls { &["/etc/edge.key", "/etc/edge.pem"] } else { &[] };
            assert_eq!(to, expected.iter().map(Path::new).collect::<Vec<_>>(), "{kind} {more:?}");
        }
    }
}

/// Whatever else a recipe does: what a client says of its certificate never counts, and its proof goes along.
#[test]
fn every_recipe_hands_over_the_proof_and_drops_a_certificate_of_the_client() {
    for (kind, parts) in [
        (
            "nginx",
            &[
                "proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert;",
                "proxy_set_header Client-Cert \"\";",
                "proxy_set_header X-Forwarded-Client-Cert \"\";",
                "proxy_set_header SSL-Client-Cert \"\";",
                "proxy_set_header SSL-Client-Verify \"\";",
                "proxy_set_header SSL-Client-Subject-DN \"\";",
                "proxy_set_header SSL-Client-Issuer-DN \"\";",
                "proxy_set_header X-SSL-Client-Verify \"\";",
                "proxy_set_header X-Amzn-Mtls-Clientcert \"\";",
                "proxy_set_header X-Amzn-Mtls-Clientcert-Leaf \"\";",
            ][..],
        ),
        (
            "caddy",
            &[
                "request_header -Client-Cert\n",
                "request_header -SSL-Client-*\n",
                "request_header -X-Amzn-Mtls-Clientcert*\n",
                "|dpop|client-cert|",
            ],
        ),
        (
            "haproxy",
            &[
                "http-request del-header client-cert\n",
                "http-request del-header ssl-client- -m beg\n",
                "http-request del-header x-amzn-mtls-clientcert -m beg\n",
                "\"dpop\",\n",
            ],
        ),
        (
            "envoy",
            &[
                "forward_client_cert_details: SANITIZE_SET",
                "prefix: ssl-client-, ignore_case",
                "prefix: x-amzn-mtls-clientcert, ignore_case",
                "- exact: dpop\n",
            ],
        ),
        (
            "traefik",
            &[
                "X-Forwarded-Tls-Client-Cert: \"\"",
                " SSL-Client-Cert: \"\"\n",
                " SSL-Client-Verify: \"\"\n",
                " X-SSL-Client-Verify: \"\"\n",
                " X-Amzn-Mtls-Clientcert: \"\"\n",
                " X-Amzn-Mtls-Clientcert-Leaf: \"\"\n",
                "          - DPoP\n",
            ],
        ),
    ] {
        let workplace = workplace(&SETTINGS.replace("nginx", kind));
        let command = [&["gateway", "config", "edge", "--out", "made"][..], &ADDRESSES].concat();
        workplace.run(&command).exits(0);
        let files = fs::read_dir(workplace.path("made")).unwrap();
        let text: String = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        for part in parts {
            assert!(text.contains(part), "{kind}: `{part}` is missing");
        }
    }
}

#[test]
fn what_was_there_is_kept() {
    let workplace = workplace(SETTINGS);
    let command = [&["gateway", "config", "edge"][..], &ADDRESSES].concat();
    workplace.run(&command).exits(0);
    let made = workplace.read("nginx.conf");
    workplace.run(&command).exits(0);
    assert!(!workplace.path("nginx.conf.old").exists(), "the same again");
    workplace.write("nginx.conf", "edited by hand");
    workplace.run(&command).exits(0).says(&["nginx.conf is kept as ./nginx.conf.old"]);
    assert_eq!(
        (workplace.read("nginx.conf"), workplace.read("nginx.conf.old")),
        (made, "edited by hand".to_owned())
    );
    workplace.write("nginx.conf", "edited once more");
    workplace.run(&command).exits(0).says(&["kept as ./nginx.conf.old.2"]);
    let kept = ["nginx.conf.old", "nginx.conf.old.2"].map(|name| workplace.read(name));
    assert_eq!(kept, ["edited by hand", "edited once more"]);
}

#[test]
fn wrong_orders_are_refused_and_the_fix_is_said() {
    let known = workplace(SETTINGS);
    for (arguments, code, says) in [
        (&["config", "other"][..], 1, "no gateway `other`: they have `edge`"),
        (&["config", "edge", "--listen", "8084"], 2, "write HOST:PORT"),
        (&["config", "edge", "--listen", "h;x:1"], 2, "write HOST:PORT"),
        (&["config", "edge", "--listen", "::1:80"], 2, "write HOST:PORT"),
        (&["config", "edge", "--listen", "h:0"], 2, "write HOST:PORT"),
        (&["config", "edge", "--jeton", ""], 2, "--jeton"),
        (&["config", "edge", "--tls-cert", "a.pem"], 2, "--tls-key"),
        (&["config", "edge", "--tls-key", "a.key"], 2, "--tls-cert"),
        (&["config", "edge", "--client-ca", "ca.pem"], 2, "--tls-cert"),
        (&["config", "edge", "--tls-cert", "a b.pem", "--tls-key", "a.key"], 1, "choose a file whose name"),
        (&["config", "edge", "--tls-cert", "a.pem", "--tls-key", "a;b.key"], 1, "choose a file whose name"),
    ] {
        let has = |name: &&str| arguments.contains(name);
        let rest = ADDRESSES.chunks(2).filter(|pair| !has(&pair[0])).flatten().copied();
        let command: Vec<_> = ["gateway"].into_iter().chain(arguments.iter().copied()).chain(rest).collect();
        known.run(&command).exits(code).says(&[says]);
    }
    let none = workplace("");
    none.run(&[&["gateway", "config", "edge"][..], &ADDRESSES].concat())
        .exits(1)
        .says(&["add a section `[gateways.edge]`"]);
    let service = workplace(&SETTINGS.replace("\"nginx\"", "\"service\""));
    service
        .run(&[&["gateway", "config", "edge", "--out", "made"][..], &ADDRESSES].concat())
        .exits(1)
        .says(&["gateway `edge` is a service that asks by itself", "docs/any-language.md"]);
    assert!(!service.path("made").exists());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let echo = taken.local_addr().unwrap().to_string();
    let check = |url: &'static str| ["gateway", "check", url, "--gateway", "edge", "--echo", &echo];
    known.run(&check("nothing")).exits(2).says(&["invalid value"]);
    for url in
        ["http://127.0.0.1:9/orders", "http://127.0.0.1:9?a", "http://me@127.0.0.1:9", "http://127.0.0.1:9#a"]
    {
        known.run(&check(url)).exits(2).says(&["write only http://HOST:PORT"]);
    }
    known.run(&check("https://127.0.0.1:1")).exits(1).says(&["only http:// works"]);
    known.run(&check("http://127.0.0.1:9")).exits(1).says(&[&format!("{echo} cannot be listened on")]);
}

#[test]
fn an_api_that_the_policies_lack_stops_the_start() {
    let workplace = workplace(&SETTINGS.replace("\"orders\"", "\"order\""));
    workplace.run(&["serve"]).exits(1).says(&["`gateways.edge`", "`order` is not an API", "`orders`"]);
}

/// The recipes in the tree are what the command writes for the settings beside them.
#[test]
fn the_recipes_in_the_tree_are_up_to_date() {
    let workplace = Workplace::sample();
    workplace.write("jeton.toml", &fs::read_to_string(root().join("gateways/jeton.toml")).unwrap());
    for kind in ["nginx", "caddy", "haproxy", "envoy", "traefik"] {
        let out = format!("gateways/{kind}");
        let command = [&["gateway", "config", kind, "--out", &out][..], &ADDRESSES].concat();
        workplace.run(&command).exits(0);
        for entry in fs::read_dir(workplace.path(&out)).unwrap() {
            let name = entry.unwrap().file_name();
            let file = format!("{out}/{}", name.to_str().unwrap());
            // a recipe names its own folder
            let here = fs::canonicalize(workplace.path(&out)).unwrap();
            let made = workplace.read(&file).replace(here.to_str().unwrap(), &format!("/etc/jeton/{kind}"));
            let kept = fs::read_to_string(root().join(&file)).unwrap_or_default();
            assert_eq!(
                kept, made,
                "{file}: make it again with `jeton gateway config {kind}`, as gateways/README.md says"
            );
        }
    }
}
