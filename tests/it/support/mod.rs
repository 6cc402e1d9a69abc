//! A server on a free port, with the sample policies, a test key and a clock that tests move.

pub(crate) mod bundle;
pub(crate) mod collector;
pub(crate) mod console;
pub(crate) mod dpop;
pub(crate) mod forge;
pub(crate) mod head;
pub(crate) mod holder;
pub(crate) mod issuer;
pub(crate) mod platform;
pub(crate) mod program;
pub(crate) mod proof;
pub(crate) mod redis;
pub(crate) mod scrape;
pub(crate) mod signer;
pub(crate) mod terminal;
pub(crate) mod tls;

use std::{
    fmt::Write,
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use jeton::{
    config::Settings,
    keys::{KeyFolder, KeyTerms, LiveKeys},
    server::{HttpService, ListenersHandle, RunningServer, Signals},
};
use jeton_oauth::{
    Issuer, RateLimit,
    clock::{Clock, ManualClock},
};
use jeton_verify::audit::Audit;
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use self::forge::Forge;

/// What the clock of a spawned server shows at first.
pub(crate) const NOW: &str = "2026-11-23T12:00:00Z";

/// The `iss` of a spawned server.
pub(crate) const ISSUER: &str = "http://127.0.0.1:8080";

/// The audience of the sample's orders API.
pub(crate) const ORDERS: &str = "https://orders.example.com";

/// A running server. It ends when this is dropped.
pub(crate) struct TestApp {
    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub(crate) address: String,
    /// Where its admin listener is, if the setup has one.
    pub(crate) admin: Option<SocketAddr>,
    /// The clock that it reads.
    pub(crate) clock: Arc<ManualClock>,
    /// The folder that holds its `keys` and `policies`.
    pub(crate) dir: TempDir,
    pub(crate) http: Client,
    /// Who is told of its decisions.
    pub(crate) audit: Audit,
    handle: ListenersHandle,
    thread: Option<thread::JoinHandle<()>>,
}

/// What differs from the sample.
pub(crate) struct Setup {
    pub(crate) issuer: String,
    /// Policy files by name, beside those of the sample; a name of the sample replaces its file.
    pub(crate) policies: Vec<(&'static str, String)>,
    /// Where the shared store is, if there is one.
    pub(crate) store: Option<String>,
    /// What else is set.
    pub(crate) settings: fn(&mut Settings),
}

impl Default for Setup {
    fn default() -> Self {
        Self { issuer: ISSUER.to_owned(), policies: Vec::new(), store: None, settings: |_| {} }
    }
}

/// An answer as it came over the socket.
pub(crate) struct RawResponse {
    pub(crate) status: u16,
    /// Status line and headers.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// The root of the source tree.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The secret of a demo client.
pub(crate) fn secret(client: &str) -> String {
    format!("demo-secret-of-{client}")
}

/// A private key of the fixtures.
pub(crate) fn key_fixture(name: &str) -> PathBuf {
    root().join("tests/fixtures/keys").join(name)
}

/// The SHA-256 of a client's secret, as policy files hold it.
pub(crate) fn secret_hash(secret: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, secret.as_bytes());
    let mut digits = String::new();
    hash.as_ref().iter().for_each(|byte| write!(digits, "{byte:02x}").unwrap());
    digits
}

/// `secrets:` of a client whose secret is made as those of the demo clients are.
pub(crate) fn secrets(client: &str) -> String {
    format!("secrets: [{{ sha256: {} }}]", secret_hash(&secret(client)))
}

/// [`NOW`] in seconds since 1970.
pub(crate) fn now() -> i64 {
    NOW.parse::<Timestamp>().unwrap().as_second()
}

/// Installs a key of the fixtures, made a day after the one before it: the last one signs.
pub(crate) fn install_key(fixture: &str, dir: &Path) -> PathBuf {
    let path = copy_key(fixture, dir);
    let keyring = dir.join("keyring.yaml");
    let mut text = fs::read_to_string(&keyring).unwrap_or_else(|_| "keys:\n".to_owned());
    let created = format!("2026-01-{:02}T00:00:00Z", text.matches("kid:").count() + 1);
    let kid = Forge::with(fixture).kid();
    write!(text, "  - kid: {kid}\n    alg: RS256\n    created: {created}\n    activates: {created}\n")
        .unwrap();
    fs::write(keyring, text).unwrap();
    path
}

/// The keys of a folder, by the rules of the default settings.
pub(crate) fn live_keys(dir: &Path, clock: &Arc<ManualClock>) -> Arc<LiveKeys> {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    Arc::new(LiveKeys::load(KeyFolder::new(dir), KeyTerms::default(), clock).unwrap())
}

/// Copies a key of the fixtures into a key folder, with the mode that keys must have.
pub(crate) fn copy_key(fixture: &str, dir: &Path) -> PathBuf {
    fs::create_dir_all(dir).unwrap();
    let path = dir.join(fixture);
    fs::copy(key_fixture(fixture), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// Copies the sample policies.
pub(crate) fn install_policies(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    for entry in fs::read_dir(root().join("policies")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.join(path.file_name().unwrap())).unwrap();
    }
}

/// A client that follows no redirects.
pub(crate) fn http_client() -> Client {
    // a second call keeps the first provider
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// A server with the sample policies.
pub(crate) fn spawn_app() -> TestApp {
    spawn_app_with(Setup::default())
}

/// A server that differs from the sample.
pub(crate) fn spawn_app_with(setup: Setup) -> TestApp {
    let dir = TempDir::new().unwrap();
    install_key("test-only-signing.pem", &dir.path().join("keys"));
    install_policies(&dir.path().join("policies"));
    for (name, text) in setup.policies {
        fs::write(dir.path().join("policies").join(name), text).unwrap();
    }
    let mut settings = Settings::load(Some(&root().join("jeton.toml"))).unwrap();
    settings.issuer = Issuer::parse(&setup.issuer).unwrap();
    settings.server.listen = "127.0.0.1:0".parse().unwrap();
    settings.admin = None;
    settings.keys.dir = dir.path().join("keys");
    settings.policies.dir = dir.path().join("policies");
    settings.policies.poll = None;
    settings.store.url = setup.store;
    // tests of what is refused send more of it than anybody who is not guessing
    settings.limits.failures = RateLimit::Off;
    (setup.settings)(&mut settings);
    let clock = Arc::new(ManualClock::at(NOW.parse::<Timestamp>().unwrap()));
    let (sender, receiver) = mpsc::channel();
    let service_clock = Arc::clone(&clock);
    let thread = thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let signals = Signals::hear().unwrap();
            let service = HttpService::load(settings, service_clock).await.unwrap();
            let audit = service.audit().clone();
            let RunningServer { address, admin, server } = service.start(signals).unwrap();
            sender.send((address, admin, server.handle(), audit)).unwrap();
            server.run().await.unwrap();
        });
    });
    let (address, admin, handle, audit) = receiver.recv().unwrap();
    TestApp {
        address: format!("http://{address}"),
        admin,
        clock,
        dir,
        http: http_client(),
        audit,
        handle,
        thread: Some(thread),
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl TestApp {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// `POST /oauth2/token` as a demo client, by Basic.
    pub(crate) fn post_token(&self, client: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.http.post(self.url("/oauth2/token")).basic_auth(client, Some(secret(client))).form(form)
    }

    /// An access token of a demo client for an API of the sample.
    pub(crate) async fn token_of(&self, client: &str, api: &str) -> String {
        let resource = if api == "jeton" { ISSUER } else { ORDERS };
        let form = [("grant_type", "client_credentials"), ("resource", resource)];
        let answer = self.post_token(client, &form).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let body: Value = answer.json().await.unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }

    /// `POST` of a form by a client with the secret of a demo client, and what came.
    pub(crate) async fn post_form(&self, path: &str, client: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let request = self.http.post(self.url(path)).basic_auth(client, Some(secret(client))).form(form);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Asks again and again until this is so; it must come to be so within some seconds.
    pub(crate) async fn until_answered(&self, mut is_so: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !is_so().await {
            assert!(started.elapsed() < Duration::from_secs(20), "it never came to be so");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the shared store was read.
    pub(crate) async fn is_ready(&self) {
        self.until_answered(async || self.get("/readyz").await.status() == 200).await;
    }

    /// Waits until the token is not in force any more, as this client is told.
    pub(crate) async fn until_inactive(&self, client: &str, token: &str) {
        let answer = async || self.post_form("/oauth2/introspect", client, &[("token", token)]).await.1;
        self.until_answered(async || answer().await["active"] == false).await;
    }

    /// `GET /principal`.
    pub(crate) async fn get_principal(&self, token: &str) -> Response {
        self.http.get(self.url("/principal")).bearer_auth(token).send().await.unwrap()
    }

    /// `GET` of any path, without a token.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    /// Puts a file into the policies folder, in the place of one of that name.
    pub(crate) fn write_policy(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join("policies").join(name), text).unwrap();
    }

    /// A file of the policies folder.
    pub(crate) fn policy(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join("policies").join(name)).unwrap()
    }

    /// `POST /ops/reload` as the sample's operator.
    pub(crate) async fn post_reload(&self) -> Response {
        let token = self.token_of("operator", "jeton").await;
        self.http.post(self.url("/ops/reload")).bearer_auth(token).send().await.unwrap()
    }

    /// A connection of one's own.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address.trim_start_matches("http://")).await.unwrap()
    }

    /// Sends bytes that no client would, and reads until the server hangs up: the request has to say
    /// `Connection: close`.
    pub(crate) async fn send_raw(&self, request: impl AsRef<[u8]>) -> RawResponse {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.unwrap();
        RawResponse::read(&mut stream).await
    }
}

impl RawResponse {
    /// Reads until the server hangs up.
    pub(crate) async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Self { status: status.expect("a status line"), head: head.to_owned(), body: body.to_owned() }
    }
}
