//! An issuer of status lists and key sets that answers whatever a test wants.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jeton_jose::PublicKeys;
use jeton_oauth::{
    Issuer,
    clock::{Clock, ManualClock},
};
use jeton_policy::{DemoSecrets, LivePolicies, Surroundings};
use jeton_verify::{
    JwksOptions, JwksSource,
    status::{FetchedLists, StatusFetchOptions, StatusReference},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Semaphore,
    time,
};

use super::{
    NOW, forge::Forge, head::read_head, install_key, install_policies, live_keys, program::PATIENCE,
};

/// The first example of the draft: place 0 is INVALID, place 1 VALID, place 16 is behind the end.
pub(crate) const EXAMPLE: &str = "eNrbuRgAAhcBXQ";

/// Where the issuer publishes its keys.
pub(crate) const JWKS: &str = "/.well-known/jwks.json";

/// What the issuer answers.
#[derive(Clone)]
pub(crate) enum Answer {
    Status(u16, &'static str, Vec<u8>),
    /// Nothing, ever.
    Silence,
    /// The connection is closed.
    HangUp,
    /// A head that promises more than comes.
    Half,
    /// A byte now and then, without an end.
    Trickle,
    /// Chunks without an end.
    Endless,
    /// The body, once there is a permit.
    Gate(Arc<Semaphore>, Vec<u8>),
}

/// An issuer that serves lists, or what else a test wants.
pub(crate) struct FakeIssuer {
    pub(crate) issuer: Issuer,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) keys: Arc<PublicKeys>,
    answer: Arc<Mutex<Answer>>,
    /// What it answers at some paths instead.
    elsewhere: Arc<Mutex<BTreeMap<String, Answer>>>,
    /// The heads of the requests so far.
    seen: Arc<Mutex<Vec<String>>>,
    pub(crate) dir: TempDir,
}

impl FakeIssuer {
    pub(crate) async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn on(listener: TcpListener) -> Self {
        let issuer = Issuer::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let answer = Arc::new(Mutex::new(Answer::Status(404, "", Vec::new())));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let elsewhere = Arc::new(Mutex::new(BTreeMap::new()));
        let shared = (Arc::clone(&answer), Arc::clone(&seen), Arc::clone(&elsewhere));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (answer, seen, elsewhere) = shared.clone();
                tokio::spawn(async move {
                    let Some(mut head) = read_head(&mut stream).await else { return };
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
                    stream.read_exact(&mut body).await.unwrap();
                    head.push_str(std::str::from_utf8(&body).unwrap());
                    let path = head.split(' ').nth(1).unwrap().to_owned();
                    seen.lock().unwrap().push(head);
                    let answer_there: Option<Answer> = elsewhere.lock().unwrap().get(&path).cloned();
                    let answer = answer_there.unwrap_or_else(|| answer.lock().unwrap().clone());
                    match answer {
                        Answer::Status(status, headers, body) => {
                            let head = format!(
                                "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
                                body.len()
                            );
                            // whoever has read enough hangs up
                            let _ = stream.write_all(head.as_bytes()).await;
                            let _ = stream.write_all(&body).await;
                        }
                        Answer::Half => {
                            let _ = stream.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nabc").await;
                            time::sleep(PATIENCE).await;
                        }
                        Answer::Silence => time::sleep(PATIENCE).await,
                        Answer::HangUp => {}
                        Answer::Trickle => {
                            let _ = stream.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 999\r\n\r\n").await;
                            while stream.write_all(b"{").await.is_ok() {
                                time::sleep(Duration::from_millis(100)).await;
                            }
                        }
                        Answer::Endless => {
                            let head = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n";
                            let _ = stream.write_all(head).await;
                            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
                            while stream.write_all(chunk.as_bytes()).await.is_ok() {}
                        }
                        Answer::Gate(gate, body) => {
                            gate.acquire().await.unwrap().forget();
                            let length = body.len();
                            let head = format!(
                                "HTTP/1.1 200 X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
                            );
                            let _ = stream.write_all(head.as_bytes()).await;
                            let _ = stream.write_all(&body).await;
                        }
                    }
                });
            }
        });
        let dir = TempDir::new().unwrap();
        install_key("test-only-signing.pem", &dir.path().join("keys"));
        let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        let keys = Arc::clone(live_keys(&dir.path().join("keys"), &clock).ring().public());
        Self { issuer, clock, keys, answer, elsewhere, seen, dir }
    }

    pub(crate) fn lists(&self, options: &StatusFetchOptions) -> Arc<FetchedLists> {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let keys = Arc::clone(&self.keys);
        Arc::new(FetchedLists::new(self.issuer.clone(), keys, options, clock).unwrap())
    }

    /// The keys that are published at [`JWKS`].
    pub(crate) fn source(&self, options: &JwksOptions) -> Arc<JwksSource> {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Arc::new(JwksSource::new(&format!("{}{JWKS}", self.issuer), options, clock).unwrap())
    }

    /// The policies of the sample.
    pub(crate) fn policies(&self) -> Arc<LivePolicies> {
        let dir = self.dir.path().join("policies");
        install_policies(&dir);
        let surroundings = Surroundings {
            issuer: self.issuer.audience().clone(),
            max_ttl: Some(86_400),
            demo_secrets: DemoSecrets::Allowed,
            needed_apis: Vec::new(),
        };
        Arc::new(LivePolicies::load(&dir, surroundings, Arc::clone(&self.clock) as Arc<dyn Clock>).unwrap())
    }

    pub(crate) fn uri(&self, handle: &str) -> String {
        format!("{}/status/{handle}", self.issuer)
    }

    pub(crate) fn at(&self, handle: &str, index: u64) -> StatusReference {
        StatusReference { index, uri: self.uri(handle).into() }
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_second()
    }

    /// The claims of a good list named `a`.
    pub(crate) fn good(&self) -> Value {
        let now = self.now();
        json!({
            "sub": self.uri("a"), "iat": now, "exp": now + 3600, "ttl": 60,
            "status_list": { "bits": 1, "lst": EXAMPLE },
        })
    }

    pub(crate) fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// Answers this at one path, whatever is answered elsewhere.
    pub(crate) fn answers_at(&self, path: &str, answer: Answer) {
        self.elsewhere.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// Answers this list, signed with its key.
    pub(crate) fn serves(&self, claims: &Value) {
        self.answers(signed(claims));
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// A list by the issuer's key.
pub(crate) fn signed(claims: &Value) -> Answer {
    signed_as("statuslist+jwt", &Forge::with_the_servers_key(), claims)
}

/// As [`signed`], with another `typ` or key.
pub(crate) fn signed_as(typ: &str, forge: &Forge, claims: &Value) -> Answer {
    let header = json!({ "typ": typ, "alg": "RS256", "kid": Forge::with_the_servers_key().kid() });
    let body = forge.sign(header.to_string(), claims.to_string());
    Answer::Status(200, "ETag: \"one\"\r\n", body.into_bytes())
}
