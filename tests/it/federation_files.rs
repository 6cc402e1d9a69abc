//! The files that fetches of issuers' keys need: authorities, and tokens that go to the issuer alone.
use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::support::{
    Setup, TestApp,
    forge::Forge,
    head::read_head,
    install_policies,
    issuer::FakeIssuer,
    now,
    platform::{AUDIENCE, deployer},
    program::{Binary, PATIENCE},
    spawn_app_with,
    tls::Authority,
};

/// A server of documents over TLS.
pub(crate) struct TlsIssuer {
    pub(crate) port: u16,
    documents: Arc<Mutex<BTreeMap<&'static str, Value>>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl TlsIssuer {
    pub(crate) async fn start(authority: &Authority) -> Self {
        let pair = authority.pair();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let certificate = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let issuer = Self { port, documents: Arc::default(), heads: Arc::default() };
        let (documents, heads) = (Arc::clone(&issuer.documents), Arc::clone(&issuer.heads));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // who does not trust the certificate hangs up
                let _ = answer(&acceptor, stream, &documents, &heads).await;
            }
        });
        issuer
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    pub(crate) fn answers(&self, path: &'static str, document: Value) {
        self.documents.lock().unwrap().insert(path, document);
    }

    /// The paths that were asked for, each with the token that came.
    fn asked(&self) -> Vec<(String, Option<String>)> {
        let heads = self.heads.lock().unwrap();
        let read = |head: &String| {
            let bearer = head.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
            (head.split(' ').nth(1).unwrap().to_owned(), bearer.map(str::to_owned))
        };
        heads.iter().map(read).collect()
    }
}

async fn answer(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    documents: &Mutex<BTreeMap<&'static str, Value>>,
    heads: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let Some(head) = read_head(&mut stream).await else { return Ok(()) };
    let path = head.split(' ').nth(1).unwrap().to_owned();
    heads.lock().unwrap().push(head);
    let found = documents.lock().unwrap().get(path.as_str()).map(Value::to_string);
    let (status, body) = found.map_or((404, String::new()), |body| (200, body));
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// A platform over TLS, and the files that its fetches need.
struct Cluster {
    issuer: TlsIssuer,
    authority: Authority,
    key: Forge,
    dir: TempDir,
}

/// `{}` three times, as any token.
const FIRST: &str = "e30.e30.AAAA";
const SECOND: &str = "e30.e30.BBBB";

impl Cluster {
    async fn start() -> Self {
        let authority = Authority::new();
        let issuer = TlsIssuer::start(&authority).await;
        let cluster =
            Self { issuer, authority, key: Forge::with("test-only-other.pem"), dir: TempDir::new().unwrap() };
        cluster.names(&cluster.issuer.url("/keys"));
        cluster.issuer.answers("/keys", json!({ "keys": [cluster.key.jwk()] }));
        fs::create_dir(cluster.path("tokens")).unwrap();
        fs::write(cluster.path("tokens/token"), format!("{FIRST}\n")).unwrap();
        fs::write(cluster.path("ca.pem"), cluster.authority.pem()).unwrap();
        cluster
    }

    /// Its metadata name this key set.
    fn names(&self, jwks_uri: &str) {
        let metadata = json!({ "issuer": self.issuer.url(""), "jwks_uri": jwks_uri });
        self.issuer.answers("/.well-known/openid-configuration", metadata);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn policies(&self, keys: &str) -> String {
        let (iss, deployer) = (self.issuer.url(""), deployer("deployer", ""));
        format!(
            "version: 1\nissuers:\n  ci:\n    issuer: {iss}\n    audience: {AUDIENCE}\n    keys: {keys}\nclients:\n{deployer}"
        )
    }

    fn keys(&self, source: &str) -> String {
        let (ca, token) = (self.path("ca.pem"), self.path("tokens/token"));
        format!("{{ {source}, ca_file: {}, token_file: {} }}", ca.display(), token.display())
    }

    fn token(&self) -> String {
        let header = json!({ "alg": "RS256", "kid": self.key.kid() });
        let claims = json!({
            "iss": self.issuer.url(""), "aud": AUDIENCE, "iat": now(), "exp": now() + 3600,
            "repository_id": "456789", "ref": "refs/heads/main",
        });
        self.key.sign(header.to_string(), claims.to_string())
    }

    /// A server whose settings let tokens be in these folders.
    fn spawn(&self, keys: &str, token_dirs: &[&str]) -> TestApp {
        let dirs: Vec<_> = token_dirs.iter().map(|dir| self.path(dir)).collect();
        TOKEN_DIRS.set(dirs);
        let settings =
            |settings: &mut jeton::config::Settings| settings.federation.token_dirs = TOKEN_DIRS.take();
        spawn_app_with(Setup {
            policies: vec![("ci.yaml", self.policies(keys))],
            settings,
            ..Setup::default()
        })
    }
}

thread_local! {
    /// What the settings of the next server get.
    static TOKEN_DIRS: std::cell::RefCell<Vec<PathBuf>> = const { std::cell::RefCell::new(Vec::new()) };
}

pub(crate) async fn failure(app: &TestApp) -> String {
    let token = app.token_of("operator", "jeton").await;
    let answer = app.http.get(app.url("/ops/issuers")).bearer_auth(token).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    body["issuers"][0]["last_fetch_error"]["error"].as_str().unwrap_or_default().to_owned()
}

#[actix_web::test]
async fn the_token_goes_to_the_issuer_and_is_read_anew_for_each_fetch() {
    let cluster = Cluster::start().await;
    let app = cluster.spawn(&cluster.keys("discover: true"), &["tokens"]);
    assert!(app.takes(&cluster.token()).await, "{}", failure(&app).await);
    let first = Some(FIRST.to_owned());
    let both = ["/.well-known/openid-configuration", "/keys"];
    assert_eq!(cluster.issuer.asked(), both.map(|path| (path.to_owned(), first.clone())));
    // another key, and another token
    let new = Cluster { key: Forge::with("test-only-signing.pem"), ..cluster };
    fs::write(new.path("tokens/token"), SECOND).unwrap();
    new.issuer.answers("/keys", json!({ "keys": [new.key.jwk()] }));
    app.clock.advance(31);
    assert!(app.takes(&new.token()).await, "{}", failure(&app).await);
    assert!(new.issuer.asked()[2..].iter().all(|(_, token)| token.as_deref() == Some(SECOND)));
}

#[actix_web::test]
async fn no_other_origin_gets_the_token() {
    let cluster = Cluster::start().await;
    let elsewhere = TlsIssuer::start(&cluster.authority).await;
    elsewhere.answers("/keys", json!({ "keys": [cluster.key.jwk()] }));
    cluster.names(&elsewhere.url("/keys"));
    let app = cluster.spawn(&cluster.keys("discover: true"), &["tokens"]);
    // the issuer itself is on this machine, so its keys may be
    assert!(app.takes(&cluster.token()).await, "{}", failure(&app).await);
    assert_eq!(elsewhere.asked(), [("/keys".to_owned(), None)]);
    assert_eq!(cluster.issuer.asked()[0].1.as_deref(), Some(FIRST));
    // with the address in the policies, that is the origin
    let app = cluster.spawn(&cluster.keys(&format!("jwks: {}", elsewhere.url("/keys"))), &["tokens"]);
    assert!(app.takes(&cluster.token()).await, "{}", failure(&app).await);
    assert_eq!(elsewhere.asked()[1].1.as_deref(), Some(FIRST));
}

#[actix_web::test]
async fn without_its_files_nothing_is_fetched() {
    for (name, token_dirs, prepare, error) in [
        ("no folder", &[][..], "", "`federation.token_dirs`"),
        ("another folder", &["elsewhere"], "", "`federation.token_dirs`"),
        ("no token", &["tokens"], "tokens/token", "tokens/token` holds no JWT"),
        ("no authorities", &["tokens"], "ca.pem", "certificates of authorities cannot be used"),
    ] {
        let cluster = Cluster::start().await;
        fs::create_dir(cluster.path("elsewhere")).unwrap();
        if !prepare.is_empty() {
            fs::write(cluster.path(prepare), "hunter2").unwrap();
        }
        let app = cluster.spawn(&cluster.keys("discover: true"), token_dirs);
        assert!(!app.takes(&cluster.token()).await, "{name}");
        let told = failure(&app).await;
        assert!(told.contains(error) && !told.contains("hunter2"), "{name}: {told}");
        assert!(cluster.issuer.asked().is_empty(), "{name}");
    }
    let cluster = Cluster::start().await;
    fs::write(cluster.path("ca.pem"), Authority::new().pem()).unwrap();
    let app = cluster.spawn(&cluster.keys("discover: true"), &["tokens"]);
    assert!(!app.takes(&cluster.token()).await);
    assert!(failure(&app).await.contains("its metadata: it cannot be fetched"), "another authority");
    let app = cluster.spawn("{ discover: true }", &[]);
    assert!(!app.takes(&cluster.token()).await, "the system's authorities do not know it");
    assert!(cluster.issuer.asked().is_empty(), "no token is sent to whom nobody trusts");
}

/// A server with an issuer that is nowhere, and these variables.
async fn serve_with(variables: &[(&str, &str)]) -> Binary {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    let deployer = deployer("deployer", "");
    let text = format!(
        "version: 1\nissuers:\n  ci:\n    issuer: https://issuer.invalid\n    audience: {AUDIENCE}\n    keys: {{ discover: true }}\nclients:\n{deployer}"
    );
    fs::write(dir.path().join("policies/ci.yaml"), text).unwrap();
    Binary::serve_in_with(dir, variables).await
}

#[actix_web::test]
async fn the_settings_alone_name_a_proxy() {
    let proxy = FakeIssuer::start().await;
    let url = proxy.issuer.to_string();
    let environment: Vec<_> =
        ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].map(|name| (name, url.as_str())).to_vec();
    let mut server = serve_with(&environment).await;
    server.logged("issuer_keys.not_fetched").await;
    assert!(proxy.requests().is_empty(), "{:?}", proxy.requests());
    let mut server = serve_with(&[("JETON__FETCH__PROXY", &url)]).await;
    let failed = tokio::time::timeout(PATIENCE, server.logged("issuer_keys.not_fetched")).await.unwrap();
    assert!(failed["error"].as_str().unwrap().starts_with("its metadata: "), "{failed}");
    assert!(proxy.requests()[0].starts_with("CONNECT issuer.invalid:443 "), "{:?}", proxy.requests());
}
