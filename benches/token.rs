//! Issuing and verifying a token in process, against a raw RSA-2048 signature and verification by the
//! same library.
#![allow(
    missing_docs,
    clippy::pedantic,
    clippy::restriction,
    reason = "a measurement may stop at the first surprise"
)]

#[path = "support/assertion.rs"]
mod assertion;
#[path = "support/federation.rs"]
mod federation;
mod support;

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{self, KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey},
};
use jeton::{
    authenticate::{AssertionRules, Authenticator, CertificateRules, ClientAssertion, ClientCredentials},
    binding::TokenBinder,
    federation::{FollowedIssuers, ForeignVerifier, KeyFetchOptions},
    grant::{Lifetimes, RequestedAccess, StatusClaim, TokenRequest},
    issue::TokenIssuer,
    keys::{KeyFolder, KeyKeeper, KeyTerms, LiveKeys},
    limits::Limits,
    reuse::TokenReuse,
    store::{MemoryStore, Store},
};
use jeton_oauth::{Audience, Issuer, RateLimit, clock::SystemClock};
use jeton_policy::{DemoSecrets, LivePolicies, Surroundings, clients::ClientSecret};
use jeton_verify::{BearerToken, Shown, Standing, Verifier};

/// Calls in a round.
const CALLS: usize = 40;
/// Different tokens, several times as many as are remembered.
const FLOOD: usize = 4 * Verifier::USUAL_MEMORY;
/// Enough for all rounds, the one that warms up too.
const ASSERTIONS: usize = CALLS * (support::ROUNDS + 1);

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (dir, key_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pem = fs::read(root.join("tests/fixtures/keys/test-only-signing.pem")).unwrap();
    let keeper = KeyKeeper::new(
        KeyFolder::new(key_dir.path().join("keys")),
        KeyTerms::default(),
        Arc::new(SystemClock),
    );
    keeper.generate().unwrap();
    let keys = LiveKeys::load(keeper.folder().clone(), KeyTerms::default(), Arc::new(SystemClock));
    let keys = Arc::new(keys.unwrap());
    let issuer = Issuer::parse("http://127.0.0.1:8080").unwrap();
    let clock = Arc::new(SystemClock);
    let surroundings = Surroundings {
        issuer: issuer.audience().clone(),
        max_ttl: Some(86_400),
        demo_secrets: DemoSecrets::Allowed,
        needed_apis: Vec::new(),
    };
    let other = fs::read(root.join("tests/fixtures/keys/test-only-other.pem")).unwrap();
    let other = RsaKeyPair::from_pkcs8(pem::parse(other).unwrap().contents()).unwrap();
    for entry in fs::read_dir(root.join("policies")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    fs::write(dir.path().join("jwt.yaml"), assertion::policies(&other)).unwrap();
    let policies = Arc::new(LivePolicies::load(dir.path(), surroundings.clone(), clock.clone()).unwrap());
    let store = Arc::new(Store::Memory(MemoryStore::new(clock.clone())));
    let leeway = Duration::from_secs(30);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let token_issuer = |reuse, policies: &Arc<LivePolicies>| TokenIssuer {
        issuer: issuer.clone(),
        keys: Arc::clone(&keys),
        policies: Arc::clone(policies),
        authenticator: Arc::new(Authenticator {
            certificates: CertificateRules::new(None),
            assertions: AssertionRules::new(&issuer, Duration::from_secs(60), leeway),
            foreign: {
                let issuers = FollowedIssuers::new(KeyFetchOptions::default(), Arc::new(()), clock.clone());
                let _in_runtime = runtime.enter();
                issuers.follow(policies.snapshot().policies.issuers());
                Arc::new(ForeignVerifier::new(Arc::new(issuers), Arc::clone(&store), leeway))
            },
            store: Arc::clone(&store),
            secret_uses: Arc::default(),
        }),
        binder: TokenBinder::new(&issuer, leeway, None, Arc::clone(&store)),
        limits: Arc::new(Limits::new(RateLimit::Off, RateLimit::Off, RateLimit::Off, clock.clone())),
        verifier: Verifier::new(issuer.clone(), Arc::clone(&keys), leeway, clock.clone()),
        standing: Standing::of_issuer(store.clone()),
        store: Arc::clone(&store),
        lifetimes: Lifetimes {
            ttl: Duration::from_secs(3600),
            max_ttl: Duration::from_secs(86_400),
            refresh_ttl: Duration::from_secs(86_400),
            refresh_grace: Duration::from_secs(10),
            leeway,
        },
        reuse,
        status_claim: StatusClaim::OnRequest,
        max_exchanges: 4,
        clock: clock.clone(),
    };
    let tokens = token_issuer(None, &policies);
    let reusing = token_issuer(Some(TokenReuse::within(Duration::from_secs(1800))), &policies);
    let audience = Audience::parse("https://orders.example.com").unwrap();
    let credentials = || ClientCredentials::Secret {
        client_id: "acme-sync".to_owned(),
        secret: ClientSecret::new("demo-secret-of-acme-sync".to_owned()),
    };
    let request = TokenRequest::ClientCredentials(RequestedAccess::read(None, &[audience.as_str()]));
    let issue_by = |tokens: &TokenIssuer, credentials: &ClientCredentials| {
        runtime
            .block_on(tokens.issue(credentials, &request, &Shown::default()))
            .unwrap_or_else(|error| panic!("{error}"))
    };
    let issue_to = |credentials: &ClientCredentials| issue_by(&tokens, credentials);
    let issue = || issue_to(&credentials());
    assert!(!issue_by(&reusing, &credentials()).is_reused);
    // each is good for one token
    let mut assertions: Vec<_> =
        (0..ASSERTIONS).map(|number| assertion::sign(&other, issuer.as_str(), number)).collect();
    let mut issue_by_assertion = || {
        let assertion = ClientAssertion::new(assertions.pop().unwrap());
        issue_to(&ClientCredentials::Assertion { client_id: None, assertion })
    };

    let der = pem::parse(&pem).unwrap();
    let pair = RsaKeyPair::from_pkcs8(der.contents()).unwrap();
    let random = SystemRandom::new();
    let token = issue().token.as_str().to_owned();
    let (signed, encoded) = token.rsplit_once('.').unwrap();
    let mut sig = [0; 256];
    pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut sig).unwrap();
    assert!(encoded.len() == 342);

    let measured = support::in_turns(
        CALLS,
        &mut [
            ("raw RSA-2048 signature (aws-lc-rs, key parsed once)", &mut || {
                let mut signature = [0; 256];
                pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
                std::hint::black_box(&signature);
            }),
            ("jeton: credentials to signed token", &mut || {
                std::hint::black_box(issue());
            }),
            ("jeton: credentials to a token that is reused", &mut || {
                let issued = issue_by(&reusing, &credentials());
                assert!(issued.is_reused);
                std::hint::black_box(issued);
            }),
        ],
    );
    support::print("issue", &measured);

    let verifier = Verifier::new(issuer.clone(), Arc::clone(&keys), leeway, clock.clone());
    let raw = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref().to_vec());
    let parsed =
        signature::ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref()).unwrap();
    let federated = [(1, 1), (1_000, 10)].map(|(issuers, clients_each)| {
        federation::write(dir.path(), &other, issuers, clients_each);
        let began = Instant::now();
        let policies = LivePolicies::load(dir.path(), surroundings.clone(), clock.clone()).unwrap();
        let clients = policies.snapshot().policies.clients().len();
        println!("\n{issuers} issuers with {clients} clients are loaded in {:.0?}", began.elapsed());
        let tokens = token_issuer(None, &Arc::new(policies));
        let shown: Vec<_> = (0..issuers)
            .step_by(100)
            .flat_map(|issuer| (0..clients_each).map(move |client| (issuer, client)))
            .map(|(issuer, client)| federation::sign(&other, issuer, client))
            .collect();
        (tokens, shown)
    });
    let mut by_federation = federated.iter().map(|(tokens, shown)| {
        let mut shown = shown.iter().cycle();
        move || {
            let assertion = ClientAssertion::new(shown.next().unwrap().clone());
            let credentials = ClientCredentials::Assertion { client_id: None, assertion };
            std::hint::black_box(issue_by(tokens, &credentials));
        }
    });
    let (mut of_one, mut of_many) = (by_federation.next().unwrap(), by_federation.next().unwrap());
    let measured = support::in_turns(
        CALLS,
        &mut [
            ("raw RSA-2048 signature and raw verification", &mut || {
                let mut signature = [0; 256];
                pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
                raw.verify(signed.as_bytes(), &signature).unwrap();
            }),
            ("jeton: assertion (private_key_jwt) to signed token", &mut || {
                std::hint::black_box(issue_by_assertion());
            }),
            ("jeton: a platform's token to signed token, 1 issuer", &mut of_one),
            ("jeton: the same, 1,000 issuers with 10,000 clients", &mut of_many),
        ],
    );
    support::print("issue by what a client or a platform signed", &measured);

    let bearer = BearerToken::new(token.clone());
    let remembering = verifier.clone().remembering(Verifier::USUAL_MEMORY);
    let measured = support::in_turns(
        400,
        &mut [
            ("raw RSA-2048 verification (aws-lc-rs)", &mut || {
                raw.verify(signed.as_bytes(), &sig).unwrap();
            }),
            ("raw, public key parsed once", &mut || {
                parsed.verify_sig(signed.as_bytes(), &sig).unwrap();
            }),
            ("jeton: token to verified claims, first sight", &mut || {
                std::hint::black_box(verifier.verify(&bearer, &audience).unwrap_or_else(|e| panic!("{e}")));
            }),
            ("jeton: token to verified claims, seen before", &mut || {
                let claims = remembering.verify(&bearer, &audience).unwrap_or_else(|e| panic!("{e}"));
                std::hint::black_box(claims);
            }),
        ],
    );
    support::print("verify", &measured);

    let flood: Vec<_> = (0..FLOOD).map(|_| BearerToken::from(issue().token)).collect();
    let before = resident();
    for token in &flood {
        verifier.verify(token, &audience).unwrap_or_else(|e| panic!("{e}"));
    }
    let forgetful = resident();
    let remembering = verifier.clone().remembering(Verifier::USUAL_MEMORY);
    for token in &flood {
        remembering.verify(token, &audience).unwrap_or_else(|e| panic!("{e}"));
    }
    let kept = resident() - forgetful;
    println!("\nresident after {FLOOD} different tokens of {} bytes", token.len());
    println!("  forgetful {} KiB more, remembering {kept} KiB more", forgetful - before);
    // the first ones filled the memory when it was empty, and are in it still
    let (_, late) = flood.split_at(2 * Verifier::USUAL_MEMORY);
    let (mut one, mut other) = (late.iter().cycle(), late.iter().cycle());
    let measured = support::in_turns(
        200,
        &mut [
            ("jeton: each token once", &mut || {
                let token = one.next().unwrap();
                std::hint::black_box(verifier.verify(token, &audience).unwrap_or_else(|e| panic!("{e}")));
            }),
            ("jeton: each token once, remembering", &mut || {
                let token = other.next().unwrap();
                std::hint::black_box(remembering.verify(token, &audience).unwrap_or_else(|e| panic!("{e}")));
            }),
        ],
    );
    support::print("a flood of different tokens", &measured);
}

/// The memory of this process, in KiB.
fn resident() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
