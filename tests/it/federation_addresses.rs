//! Where the metadata of an issuer may lead: never from a public issuer into the network of the service.
use std::{
    cell::RefCell,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{self, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use url::Url;

use crate::{
    federation_files::{TlsIssuer, failure},
    support::{
        Setup, TestApp,
        forge::Forge,
        head::read_head,
        now,
        platform::{AUDIENCE, deployer},
        spawn_app_with,
        tls::Authority,
    },
};

const METADATA: &str = "/.well-known/openid-configuration";

/// A port to which nobody may connect: a request that is cut off before its head would be one, too.
struct Trap {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Trap {
    async fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let trap = Self { port: listener.local_addr().unwrap().port(), connections: Arc::default() };
        let connections = Arc::clone(&trap.connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                drop(stream);
            }
        });
        trap
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A proxy that leads every name to one server of this machine, so that an issuer has a public name without a public
/// address. Returns its address, and where it was asked to go.
async fn proxy_to(port: u16) -> (Url, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let Some(head) = read_head(&mut stream).await else { continue };
            seen.lock().unwrap().push(head.lines().next().unwrap().to_owned());
            let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            tokio::spawn(async move {
                // who learned enough hangs up
                let _ = io::copy_bidirectional(&mut stream, &mut server).await;
            });
        }
    });
    (url, asked)
}

thread_local! {
    /// What the settings of the next server get.
    static PROXY: RefCell<Option<Url>> = const { RefCell::new(None) };
}

/// An issuer over TLS, and a server that trusts it by this name.
struct Scene {
    issuer: TlsIssuer,
    iss: String,
    key: Forge,
    app: TestApp,
    _dir: TempDir,
}

impl Scene {
    /// By a public name, and the proxy that leads there.
    async fn public() -> (Self, Arc<Mutex<Vec<String>>>) {
        let authority = Authority::new();
        let issuer = TlsIssuer::start(&authority).await;
        let (proxy, asked) = proxy_to(issuer.port).await;
        (Self::of(&authority, issuer, "https://issuer.example.com".to_owned(), Some(proxy)).await, asked)
    }

    /// By a name of this machine.
    async fn internal() -> Self {
        let authority = Authority::new();
        let issuer = TlsIssuer::start(&authority).await;
        let iss = format!("https://localhost:{}", issuer.port);
        Self::of(&authority, issuer, iss, None).await
    }

    async fn of(authority: &Authority, issuer: TlsIssuer, iss: String, proxy: Option<Url>) -> Self {
        let (dir, key) = (TempDir::new().unwrap(), Forge::with("test-only-other.pem"));
        let ca = dir.path().join("ca.pem");
        fs::write(&ca, authority.pem()).unwrap();
        issuer.answers("/keys", json!({ "keys": [key.jwk()] }));
        let text = format!(
            "version: 1\nissuers:\n  ci:\n    issuer: {iss}\n    audience: {AUDIENCE}\n    keys: {{ discover: true, ca_file: {} \
             }}\nclients:\n{}",
            ca.display(),
            deployer("deployer", "")
        );
        PROXY.set(proxy);
        let app = spawn_app_with(Setup {
            policies: vec![("ci.yaml", text)],
            settings: |settings| settings.fetch.proxy = PROXY.take(),
            ..Setup::default()
        });
        // the fetch at the start, without metadata
        app.until_answered(async || !failure(&app).await.is_empty()).await;
        Self { issuer, iss, key, app, _dir: dir }
    }

    /// Whether a token is taken after the metadata named this key set.
    async fn takes_by(&self, jwks_uri: &str) -> bool {
        self.issuer.answers(METADATA, json!({ "issuer": self.iss, "jwks_uri": jwks_uri }));
        self.app.clock.advance(31);
        let header = json!({ "alg": "RS256", "kid": self.key.kid() });
        let claims = json!({
            "iss": self.iss, "aud": AUDIENCE, "iat": now(), "exp": now() + 3600, "repository_id": "456789",
            "ref": "refs/heads/main",
        });
        self.app.takes(&self.key.sign(header.to_string(), claims.to_string())).await
    }
}

#[actix_web::test]
async fn a_public_issuer_leads_to_no_address_of_an_internal_network() {
    let trap = Trap::set().await;
    let (scene, asked) = Scene::public().await;
    let port = trap.port;
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "keys.localhost",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::1]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "[fd00::1]",
        "[fe80::1]",
    ] {
        assert!(!scene.takes_by(&format!("https://{host}:{port}/keys")).await, "{host}");
        let told = failure(&scene.app).await;
        assert!(told.contains("leads to an address of an internal network"), "{host}: {told}");
    }
    assert_eq!(trap.connections(), 0);
    let others = |lines: &Mutex<Vec<String>>| -> Vec<String> {
        let lines = lines.lock().unwrap();
        lines.iter().filter(|line| !line.starts_with("CONNECT issuer.example.com:443 ")).cloned().collect()
    };
    assert_eq!(others(&asked), Vec::<String>::new(), "nobody else is asked for, by the proxy neither");
    // another public name is fine
    assert!(scene.takes_by("https://keys.example.com/keys").await, "{}", failure(&scene.app).await);
    assert!(others(&asked).iter().all(|line| line.starts_with("CONNECT keys.example.com:443 ")), "{asked:?}");
}

/// The issuer's own host is of this network, so the policies chose that already. And the trap can be stepped on.
#[actix_web::test]
async fn an_internal_issuer_may_lead_to_one() {
    let trap = Trap::set().await;
    let scene = Scene::internal().await;
    assert!(scene.takes_by(&format!("https://127.0.0.1:{}/keys", scene.issuer.port)).await);
    scene.app.clock.advance(24 * 60 * 60);
    assert!(!scene.takes_by(&format!("https://127.0.0.1:{}/keys", trap.port)).await);
    assert!(trap.connections() > 0);
}
