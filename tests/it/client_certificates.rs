//! Clients that authenticate by certificates: which stand for whom, by the listener and by a proxy.
use std::{fmt::Write, fs, sync::LazyLock};

use jeton::{
    config::{ClientCertificateSettings, Settings, TlsSettings},
    gateway::TrustedPeers,
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, KeyUsagePurpose, NameConstraints, PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm,
    date_time_ymd,
};
use serde_json::{Value, json};

use crate::support::{
    Setup, TestApp,
    holder::{Holder, Signer, authority, client, connect, dns, email, send, uri},
    spawn_app_with,
    tls::Authority,
};

pub(crate) static SERVER: LazyLock<Authority> = LazyLock::new(Authority::new);
static ROOT: LazyLock<Signer> = LazyLock::new(|| Signer::root("clients"));
static BELOW: LazyLock<Signer> = LazyLock::new(|| ROOT.intermediate("clients below"));
pub(crate) static PINNED: LazyLock<Holder> = LazyLock::new(|| Holder::of_openssl("pinned"));
static SEVERAL: LazyLock<Holder> = LazyLock::new(|| Holder::of_openssl("one of several"));
static LATE: LazyLock<Holder> = LazyLock::new(|| Holder::of_openssl("late"));
static OFF: LazyLock<Holder> = LazyLock::new(|| Holder::of_openssl("off"));

const SVID: &str = "spiffe://acme.example/ns/shop/sa/orders";

/// Clients of each kind, all with the same grant.
fn policies(more: &str) -> String {
    let (pinned, off) = (PINNED.sha256(), OFF.sha256());
    let entries = [
        ("pinned", format!("{{ sha256: {pinned} }}")),
        ("by-dns", "{ san_dns: Orders.acme.example }".to_owned()),
        ("by-uri", "{ san_uri: 'https://acme.example/Orders' }".to_owned()),
        ("by-svid", format!("{{ san_uri: '{SVID}' }}")),
        ("by-ip", "{ san_ip: 10.0.0.1 }".to_owned()),
        ("by-ip6", "{ san_ip: '2001:db8::1' }".to_owned()),
        ("by-email", "{ san_email: Ops@acme.example }".to_owned()),
        ("by-subject", "{ subject: 'CN=orders,O=ACME\\, Inc.' }".to_owned()),
        ("late-entry", format!("{{ sha256: {}, expires: 2026-01-01T00:00:00Z }}", LATE.sha256())),
        ("several", format!("{{ san_dns: none.acme.example }}, {{ sha256: {} }}", SEVERAL.sha256())),
    ];
    let grants = "    grants: { orders: { scopes: [orders:read] } }\n";
    let mut text = "version: 1\nclients:\n".to_owned();
    for (id, entries) in entries {
        write!(text, "  {id}:\n    certificates: [{entries}]\n{grants}").unwrap();
    }
    write!(text, "  switched-off:\n    enabled: false\n    certificates: [{{ sha256: {off} }}]\n{grants}")
        .unwrap();
    text + more
}

fn taking(settings: &mut Settings, proxies: &[&str]) {
    let dir = settings.keys.dir.parent().unwrap();
    let ca_file = dir.join("ca.pem");
    fs::write(&ca_file, ROOT.pem()).unwrap();
    let proxies: Vec<_> = proxies.iter().map(|&proxy| proxy.to_owned()).collect();
    settings.server.client_certificates = Some(ClientCertificateSettings {
        proxies: TrustedPeers::parse(&proxies).unwrap(),
        ca_file: Some(ca_file),
    });
}

pub(crate) fn by_listener(settings: &mut Settings) {
    taking(settings, &["192.0.2.7"]);
    let dir = settings.keys.dir.parent().unwrap();
    SERVER.pair().write(dir);
    settings.server.tls =
        Some(TlsSettings { cert_file: dir.join("cert.pem"), key_file: dir.join("key.pem") });
}

pub(crate) fn by_proxy(settings: &mut Settings) {
    taking(settings, &["192.0.2.7", "127.0.0.0/8"]);
}

fn spawn(settings: fn(&mut Settings)) -> TestApp {
    let policies = vec![("certificates.yaml", policies(""))];
    spawn_app_with(Setup { policies, settings, ..Setup::default() })
}

/// A token request by TLS; status, head and body.
async fn ask_by_tls(
    app: &TestApp,
    holder: Option<&Holder>,
    headers: &[(&str, String)],
    form: &str,
) -> (u16, String, Value) {
    let address = app.address.trim_start_matches("http://");
    let mut stream = connect(&SERVER, holder, address).await.unwrap();
    send(&mut stream, "POST", "/oauth2/token", headers, form).await.unwrap()
}

/// The same behind a proxy.
pub(crate) async fn ask_by_proxy(app: &TestApp, headers: &[(&str, String)], form: &str) -> (u16, Value) {
    let request = app.http.post(format!("{}/oauth2/token", app.address));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

pub(crate) fn form(client: &str) -> String {
    format!("grant_type=client_credentials&client_id={client}&resource=https%3A%2F%2Forders.example.com")
}

/// Whether a certificate stands for a client, which must be the same by the listener and by a proxy.
struct Row(&'static str, Holder, &'static str, bool);

fn signed(names: Vec<rcgen::SanType>) -> Holder {
    ROOT.sign(&client("client", names))
}

fn changed(names: Vec<rcgen::SanType>, change: impl FnOnce(&mut CertificateParams)) -> Holder {
    let mut params = client("client", names);
    change(&mut params);
    ROOT.sign(&params)
}

fn name() -> Vec<rcgen::SanType> {
    vec![dns("orders.acme.example")]
}

fn subject(parts: &[(DnType, &str)]) -> Holder {
    let mut params = client("", Vec::new());
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in parts {
        params.distinguished_name.push(kind.clone(), *value);
    }
    ROOT.sign(&params)
}

fn rows() -> Vec<Row> {
    [pinned_rows(), name_rows(), path_rows(), usage_rows(), subject_rows(), svid_rows()]
        .into_iter()
        .flatten()
        .collect()
}

fn pinned_rows() -> Vec<Row> {
    vec![
        Row("the certificate itself", PINNED.clone(), "pinned", true),
        Row("one of several entries", SEVERAL.clone(), "several", true),
        Row("an entry that has expired", LATE.clone(), "late-entry", false),
        Row("a disabled client", OFF.clone(), "switched-off", false),
        Row("a client that is not there", PINNED.clone(), "nobody", false),
        Row("another client", PINNED.clone(), "by-dns", false),
        Row("a client with secrets alone", PINNED.clone(), "acme-sync", false),
        Row("another of the same name", Holder::of_openssl("pinned"), "pinned", false),
        Row("another of the same key", PINNED.renewed(&client("pinned", Vec::new())), "pinned", false),
    ]
}

fn name_rows() -> Vec<Row> {
    let ip = |address: &str| rcgen::SanType::IpAddress(address.parse().unwrap());
    vec![
        Row("a name", signed(name()), "by-dns", true),
        Row("a name in other letters", signed(vec![dns("ORDERS.acme.EXAMPLE")]), "by-dns", true),
        Row("a second name", signed(vec![dns("a.example"), dns("orders.acme.example")]), "by-dns", true),
        Row("more in front", signed(vec![dns("x.orders.acme.example")]), "by-dns", false),
        Row("less in front", signed(vec![dns("acme.example")]), "by-dns", false),
        Row("more behind", signed(vec![dns("orders.acme.example.evil.example")]), "by-dns", false),
        Row("a dot behind", signed(vec![dns("orders.acme.example.")]), "by-dns", false),
        Row("a wildcard", signed(vec![dns("*.acme.example")]), "by-dns", false),
        Row(
            "the name as a common name",
            ROOT.sign(&client("orders.acme.example", Vec::new())),
            "by-dns",
            false,
        ),
        Row("the name as a URI", signed(vec![uri("orders.acme.example")]), "by-dns", false),
        Row("a URI", signed(vec![uri("https://acme.example/Orders")]), "by-uri", true),
        Row("a URI in other letters", signed(vec![uri("https://acme.example/orders")]), "by-uri", false),
        Row("a URI with more", signed(vec![uri("https://acme.example/Orders/")]), "by-uri", false),
        Row("an address", signed(vec![ip("10.0.0.1")]), "by-ip", true),
        Row("another address", signed(vec![ip("10.0.0.2")]), "by-ip", false),
        Row("an address as a name", signed(vec![dns("10.0.0.1")]), "by-ip", false),
        Row("an address within a longer one", signed(vec![ip("::ffff:10.0.0.1")]), "by-ip", false),
        Row("a long address", signed(vec![ip("2001:db8::1")]), "by-ip6", true),
        Row("an email address", signed(vec![email("Ops@ACME.example")]), "by-email", true),
        Row("another mailbox", signed(vec![email("ops@acme.example")]), "by-email", false),
    ]
}

/// An authority below the root that may sign for other hosts alone.
fn narrow() -> Signer {
    let mut params = authority("narrow");
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("other.example".to_owned())],
        excluded_subtrees: Vec::new(),
    });
    ROOT.below(params)
}

fn path_rows() -> Vec<Row> {
    let later = |params: &mut CertificateParams| params.not_before = date_time_ymd(2027, 1, 1);
    let ended = |params: &mut CertificateParams| params.not_after = date_time_ymd(2026, 11, 23);
    let (other_root, narrow) = (Signer::root("clients"), narrow());
    let mut end = client("no authority", Vec::new());
    end.is_ca = IsCa::ExplicitNoCa;
    let pretended = ROOT.below(end);
    let usage = |usages: &[ExtendedKeyUsagePurpose]| {
        let usages = usages.to_vec();
        changed(name(), |params| params.extended_key_usages = usages)
    };
    vec![
        Row("by an intermediate", BELOW.sign(&client("client", name())), "by-dns", true),
        Row("by two", BELOW.intermediate("further").sign(&client("client", name())), "by-dns", true),
        Row("without the intermediate", BELOW.sign(&client("client", name())).alone(), "by-dns", false),
        Row("by one that is no authority", pretended.sign(&client("client", name())), "by-dns", false),
        Row("outside of what the authority may", narrow.sign(&client("client", name())), "by-dns", false),
        Row("by another authority", other_root.sign(&client("client", name())), "by-dns", false),
        Row("by itself", Holder::self_signed(&client("client", name())), "by-dns", false),
        Row("expired", changed(name(), ended), "by-dns", false),
        Row("not yet valid", changed(name(), later), "by-dns", false),
        Row("for servers alone", usage(&[ExtendedKeyUsagePurpose::ServerAuth]), "by-dns", false),
        Row("for email alone", usage(&[ExtendedKeyUsagePurpose::EmailProtection]), "by-dns", false),
        Row(
            "for both",
            usage(&[ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]),
            "by-dns",
            true,
        ),
        Row("for no use that is named", usage(&[]), "by-dns", true),
        Row(
            "an authority itself",
            changed(name(), |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            "by-dns",
            false,
        ),
    ]
}

/// What keys are for (RFC 5280 sections 4.2.1.3 and 6.1.4 (n)).
fn usage_rows() -> Vec<Row> {
    use KeyUsagePurpose::{
        ContentCommitment, CrlSign, DataEncipherment, DigitalSignature, KeyAgreement, KeyCertSign,
        KeyEncipherment,
    };
    let between = |change: fn(&mut CertificateParams)| {
        let mut params = authority("between");
        change(&mut params);
        ROOT.below(params)
    };
    let no_signer = between(|params| params.key_usages = vec![DigitalSignature, CrlSign]);
    // no bit, and what is no list of bits
    let none = between(|params| usage_as(params, &[3, 1, 0]));
    let garbled = between(|params| usage_as(params, &[4, 1, 4]));
    let above = between(|params| params.key_usages = vec![CrlSign]).intermediate("further");
    let unnamed = between(|params| params.key_usages = Vec::new());
    let signer = between(|params| params.key_usages = vec![DigitalSignature, KeyCertSign]);
    // the same authority twice: the path by the certificate that may sign is there, whatever stands before it
    let mut twice = no_signer.sign(&client("client", name()));
    twice.chain.push(no_signer.again(&authority("between"), &ROOT));
    let by = |signer: &Signer| signer.sign(&client("client", name()));
    let with = |usages: &[KeyUsagePurpose]| {
        let usages = usages.to_vec();
        changed(name(), |params| params.key_usages = usages)
    };
    vec![
        Row("by an authority that may not sign", by(&no_signer), "by-dns", false),
        Row("by an authority with no use", by(&none), "by-dns", false),
        Row("by an authority with a use that is not one", by(&garbled), "by-dns", false),
        Row("below an authority that may not sign", by(&above), "by-dns", false),
        Row("by an authority that may do all", by(&unnamed), "by-dns", true),
        Row("by an authority that may sign", by(&signer), "by-dns", true),
        Row("by an authority of which one certificate may sign", twice, "by-dns", true),
        Row("a key that signs", with(&[DigitalSignature]), "by-dns", true),
        Row("a key that agrees", with(&[KeyAgreement]), "by-dns", true),
        Row("a key that does more", with(&[KeyEncipherment, DigitalSignature]), "by-dns", true),
        Row("a key that encrypts", with(&[KeyEncipherment, DataEncipherment]), "by-dns", false),
        Row("a key that signs documents", with(&[ContentCommitment]), "by-dns", false),
        Row("a key that signs others", with(&[KeyCertSign, CrlSign]), "by-dns", false),
        Row("a key with no use", changed(name(), |params| usage_as(params, &[3, 1, 0])), "by-dns", false),
    ]
}

/// The key usage with this content.
fn usage_as(params: &mut CertificateParams, der: &[u8]) {
    params.key_usages = Vec::new();
    params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 15], der.to_vec()));
}

fn subject_rows() -> Vec<Row> {
    let o = (DnType::OrganizationName, "ACME, Inc.");
    let cn = (DnType::CommonName, "orders");
    vec![
        Row("a subject", subject(&[o.clone(), cn.clone()]), "by-subject", true),
        Row("a subject the other way round", subject(&[cn.clone(), o.clone()]), "by-subject", false),
        Row(
            "more in the subject",
            subject(&[o.clone(), (DnType::OrganizationalUnitName, "x"), cn.clone()]),
            "by-subject",
            false,
        ),
        Row("less in the subject", subject(std::slice::from_ref(&cn)), "by-subject", false),
        Row(
            "other letters in the subject",
            subject(&[o, (DnType::CommonName, "Orders")]),
            "by-subject",
            false,
        ),
    ]
}

fn svid_rows() -> Vec<Row> {
    vec![
        Row("an SVID", signed(vec![uri(SVID)]), "by-svid", true),
        Row("an SVID with a name", signed(vec![uri(SVID), dns("orders.acme.example")]), "by-svid", true),
        Row(
            "an SVID with two URIs",
            signed(vec![uri(SVID), uri("https://acme.example/Orders")]),
            "by-svid",
            false,
        ),
        Row(
            "an SVID of another workload",
            signed(vec![uri("spiffe://acme.example/ns/shop/sa/order")]),
            "by-svid",
            false,
        ),
        Row("an SVID below", signed(vec![uri(&format!("{SVID}/x"))]), "by-svid", false),
        Row(
            "an SVID of another domain",
            signed(vec![uri("spiffe://acme.example.evil/ns/shop/sa/orders")]),
            "by-svid",
            false,
        ),
        Row("an SVID of the domain", signed(vec![uri("spiffe://acme.example")]), "by-svid", false),
        Row(
            "an SVID that signs others",
            changed(vec![uri(SVID)], |params| {
                params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
            }),
            "by-svid",
            false,
        ),
        Row(
            "an SVID that signs lists",
            changed(vec![uri(SVID)], |params| params.key_usages = vec![KeyUsagePurpose::CrlSign]),
            "by-svid",
            false,
        ),
    ]
}

#[actix_web::test]
async fn each_certificate_stands_for_its_client_and_no_other() {
    let (listener, proxy) = (spawn(by_listener), spawn(by_proxy));
    let mut refusal = None;
    for Row(name, holder, id, is_taken) in rows() {
        let (status, head, body) = ask_by_tls(&listener, Some(&holder), &[], &form(id)).await;
        let behind = ask_by_proxy(&proxy, &holder.headers(), &form(id)).await;
        assert_eq!(status, behind.0, "{name}: {body} or {}", behind.1);
        assert_eq!(status, if is_taken { 200 } else { 401 }, "{name}: {body}");
        if !is_taken {
            assert!(head.contains("www-authenticate: basic"), "{name}");
            assert_eq!(body["error"], "invalid_client", "{name}");
            // whatever is wrong, the same is told
            assert_eq!(refusal.get_or_insert_with(|| body.clone()), &body, "{name}");
        }
    }
}

#[actix_web::test]
async fn a_pinned_certificate_counts_within_its_times() {
    let mut params = client("short", Vec::new());
    params.not_before = date_time_ymd(2026, 12, 1);
    params.not_after = date_time_ymd(2026, 12, 10);
    let holder = Holder::self_signed(&params);
    let app = spawn_app_with(Setup {
        settings: by_proxy,
        policies: vec![(
            "short.yaml",
            format!(
                "version: 1\nclients:\n  short:\n    certificates: [{{ sha256: {} }}]\n    grants: {{ orders: {{ scopes: [orders:read] }} }}\n",
                holder.sha256()
            ),
        )],
        ..Setup::default()
    });
    // until the second before it begins, and from the second after it ends
    for (seconds, expected) in [(647_999, 401), (1, 200), (9 * 86_400, 200), (1, 401)] {
        app.clock.advance(seconds);
        let (status, body) = ask_by_proxy(&app, &holder.headers(), &form("short")).await;
        assert_eq!(status, expected, "{seconds}: {body}");
    }
}

#[actix_web::test]
async fn rfc_9440_4_headers_of_strangers_are_refused() {
    let plain = |settings: &mut Settings| taking(settings, &["192.0.2.7"]);
    let headers = PINNED.headers();
    for (name, app) in [("optional", spawn(plain)), ("off", spawn(|_| ()))] {
        for header in ["Client-Cert", "client-cert", "Client-Cert-Chain"] {
            let forged = [(header, headers[0].1.clone())];
            for form in
                [form("pinned"), format!("{}&client_secret=demo-secret-of-acme-sync", form("acme-sync"))]
            {
                let (status, body) = ask_by_proxy(&app, &forged, &form).await;
                assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{name}: {body}");
            }
            let secret = ("authorization", "Basic b3BlcmF0b3I6ZGVtby1zZWNyZXQtb2Ytb3BlcmF0b3I=".to_owned());
            for path in ["/oauth2/introspect", "/oauth2/revoke"] {
                let request = app.http.post(format!("{}{path}", app.address)).form(&[("token", "x")]);
                let request = request.header(header, &forged[0].1).header(secret.0, &secret.1);
                assert_eq!(request.send().await.unwrap().status(), 400, "{name}: {path}");
            }
            for path in ["/principal", "/ops/policies", "/ops/none"] {
                let request = app.http.get(format!("{}{path}", app.address)).header(header, &forged[0].1);
                assert_eq!(request.send().await.unwrap().status(), 400, "{name}: {path}");
            }
            // nothing is judged by it
            let request = app.http.get(format!("{}/healthz", app.address)).header(header, &forged[0].1);
            assert_eq!(request.send().await.unwrap().status(), 200, "{name}");
        }
    }
}

#[actix_web::test]
async fn a_proxy_hands_over_one_certificate() {
    let app = spawn(by_proxy);
    let good = PINNED.headers()[0].1.clone();
    let other = Holder::of_openssl("other").headers()[0].1.clone();
    for (name, headers, expected) in [
        ("one", vec![("Client-Cert", good.clone())], 200),
        ("none", vec![], 401),
        ("twice", vec![("Client-Cert", other.clone()), ("Client-Cert", good.clone())], 400),
        ("twice the same", vec![("Client-Cert", good.clone()), ("Client-Cert", good.clone())], 400),
        ("a list", vec![("Client-Cert", format!("{other}, {good}"))], 400),
        ("no field", vec![("Client-Cert", good.trim_matches(':').to_owned())], 400),
        ("nothing", vec![("Client-Cert", String::new())], 400),
        ("no certificate", vec![("Client-Cert", ":AAAA:".to_owned())], 400),
        ("a chain alone", vec![("Client-Cert-Chain", good.clone())], 400),
        (
            "a chain that is none",
            vec![("Client-Cert", good.clone()), ("Client-Cert-Chain", "x".to_owned())],
            400,
        ),
        ("a chain", vec![("Client-Cert", good.clone()), ("Client-Cert-Chain", other.clone())], 200),
    ] {
        let (status, body) = ask_by_proxy(&app, &headers, &form("pinned")).await;
        assert_eq!(status, expected, "{name}: {body}");
    }
}

/// An RSA key of so many bytes, behind so many zeros.
struct RsaKey(Vec<u8>);

impl RsaKey {
    fn of(zeros: usize, bytes: usize) -> Self {
        let field = |tag: u8, content: Vec<u8>| {
            let length = u16::try_from(content.len()).unwrap().to_be_bytes();
            [&[tag, 0x82, length[0], length[1]], &content[..]].concat()
        };
        // a sign, and a number with its highest and lowest bit
        let mut modulus = vec![0; 1 + zeros + bytes];
        modulus[1 + zeros] = 0x80;
        modulus[zeros + bytes] |= 1;
        Self(field(0x30, [field(2, modulus), vec![2, 3, 1, 0, 1]].concat()))
    }
}

impl PublicKeyData for RsaKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

/// The listener takes none in the handshake.
#[actix_web::test]
async fn a_proxy_hands_over_no_certificate_with_a_weak_key() {
    let app = spawn(by_proxy);
    for (zeros, bytes, expected) in
        [(0, 64, 400), (0, 128, 400), (0, 255, 400), (128, 128, 400), (0, 256, 200), (0, 384, 200)]
    {
        let holder = ROOT.sign_for(&RsaKey::of(zeros, bytes), &client("client", name()));
        let (status, body) = ask_by_proxy(&app, &holder.headers(), &form("by-dns")).await;
        assert_eq!(status, expected, "{zeros} and {bytes}: {body}");
        if expected == 400 {
            assert_eq!(body["error"], "invalid_request", "{body}");
            assert!(body["error_description"].as_str().unwrap().contains("2048 bits"), "{body}");
        }
        let request = app.http.get(format!("{}/principal", app.address));
        let request = request.header("Client-Cert", &holder.headers()[0].1);
        let status = request.send().await.unwrap().status();
        assert_eq!(status, if expected == 400 { 400 } else { 401 }, "{zeros} and {bytes}");
    }
}

/// The proxy is asked for a certificate too, and its own is not its client's.
#[actix_web::test]
async fn what_a_proxy_shows_of_itself_is_not_its_clients() {
    let app = spawn(|settings| {
        by_listener(settings);
        taking(settings, &["127.0.0.1"]);
    });
    let other = signed(name());
    let (status, ..) = ask_by_tls(&app, Some(&PINNED), &[], &form("pinned")).await;
    assert_eq!(status, 401);
    let headers = other.headers();
    let (status, _, body) = ask_by_tls(&app, Some(&PINNED), &headers, &form("by-dns")).await;
    assert_eq!(status, 200, "{body}");
    let (status, ..) = ask_by_tls(&app, Some(&PINNED), &headers, &form("pinned")).await;
    assert_eq!(status, 401);
}

#[actix_web::test]
async fn a_certificate_is_no_second_way_beside_other_credentials() {
    let app = spawn(by_listener);
    let secret = "client_secret=demo-secret-of-acme-sync";
    let grant = "grant_type=client_credentials&resource=https%3A%2F%2Forders.example.com";
    for (name, form, expected) in [
        ("a secret beside it", format!("{}&{secret}", form("acme-sync")), 200),
        ("a wrong secret beside it", format!("{}&client_secret=wrong", form("pinned")), 401),
        ("two others", format!("{}&{secret}&client_assertion=x", form("acme-sync")), 400),
        ("no id", grant.to_owned(), 401),
    ] {
        let (status, _, body) = ask_by_tls(&app, Some(&PINNED), &[], &form).await;
        assert_eq!(status, expected, "{name}: {body}");
    }
    let (status, ..) = ask_by_tls(&app, None, &[], &form("pinned")).await;
    assert_eq!(status, 401, "an id alone");
}

#[actix_web::test]
async fn each_request_is_judged_by_the_policies_of_its_moment() {
    let app = spawn(by_listener);
    let address = app.address.trim_start_matches("http://");
    let mut stream = connect(&SERVER, Some(&PINNED), address).await.unwrap();
    let (status, ..) = send(&mut stream, "POST", "/oauth2/token", &[], &form("pinned")).await.unwrap();
    assert_eq!(status, 200);
    let file = app.dir.path().join("policies/certificates.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace(&PINNED.sha256(), &"ab".repeat(32))).unwrap();
    let operator = "grant_type=client_credentials&client_id=operator&client_secret=demo-secret-of-operator";
    let (.., body) = send(&mut stream, "POST", "/oauth2/token", &[], operator).await.unwrap();
    let bearer = [("Authorization", format!("Bearer {}", body["access_token"].as_str().unwrap()))];
    let (status, _, body) = send(&mut stream, "POST", "/ops/reload", &bearer, "").await.unwrap();
    assert_eq!((status, &body["reloaded"]), (200, &json!(true)), "{body}");
    let (status, ..) = send(&mut stream, "POST", "/oauth2/token", &[], &form("pinned")).await.unwrap();
    assert_eq!(status, 401, "on the connection that was good");
}
