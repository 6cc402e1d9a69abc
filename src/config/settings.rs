//! The settings, understood and checked.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use config::Environment;
use jeton_oauth::Issuer;

use super::{
    admin::{self, AdminSettings, ConsoleState},
    console::ConsoleSettings,
    effective::CheckedSettings,
    federation::{FederationSettings, FetchSettings},
    gateways::{self, GatewaySettings},
    keys::KeySettings,
    layers::{Layers, SettingErrors},
    limits::LimitSettings,
    log::LogSettings,
    needs::NeededFolders,
    server::ServerSettings,
    store::StoreSettings,
    traces::TraceSettings,
    values::{duration, folder},
};

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `issuer`.
    pub issuer: Issuer,
    /// `[server]`.
    pub server: ServerSettings,
    /// `[admin]`; `None` for no admin listener.
    pub admin: Option<AdminSettings>,
    /// `[console]`.
    pub console: ConsoleSettings,
    /// `[keys]`.
    pub keys: KeySettings,
    /// `[policies]`.
    pub policies: PolicySettings,
    /// `[tokens]`.
    pub tokens: TokenSettings,
    /// `[store]`.
    pub store: StoreSettings,
    /// `[federation]`.
    pub federation: FederationSettings,
    /// `[fetch]`.
    pub fetch: FetchSettings,
    /// `[limits]`.
    pub limits: LimitSettings,
    /// `[gateways.NAME]`.
    pub gateways: Vec<GatewaySettings>,
    /// `[log]`.
    pub log: LogSettings,
    /// `OTEL_*`; `None` where there are no traces. Read for a command that needs [`NeededFolders::Everything`] alone.
    pub traces: Option<TraceSettings>,
    /// What is taken, and not as it should be.
    pub warnings: Vec<String>,
}

/// `[policies]`.
#[derive(Clone, Debug)]
pub struct PolicySettings {
    /// The policies folder.
    pub dir: PathBuf,
    /// How often its content is compared; `None` for never.
    pub poll: Option<Duration>,
    /// The folder of policies that are asked too, and not enforced.
    pub candidate: Option<PathBuf>,
    /// For how long services keep a bundle before they ask again.
    pub bundle_ttl: Duration,
}

/// `[tokens]`.
#[derive(Clone, Copy, Debug)]
pub struct TokenSettings {
    /// The lifetime of a token whose client has none of its own.
    pub ttl: Duration,
    /// The longest lifetime of any token.
    pub max_ttl: Duration,
    /// How far the clocks of issuer and verifier may be apart.
    pub leeway: Duration,
    /// For how long a client that asks again gets the token that it got; `None` for never.
    pub reuse: Option<Duration>,
    /// The lifetime of a family of refresh tokens, from the first one on.
    pub refresh_ttl: Duration,
    /// For how long after its first use a refresh token is taken again; zero for never.
    pub refresh_grace: Duration,
    /// The most exchanges that may lead to one token.
    pub max_exchanges: u32,
    /// The furthest that the `exp` of a client's assertion may lie ahead.
    pub max_assertion_ttl: Duration,
    /// Whether the tokens of clients that do not say have a status list.
    pub status_list: bool,
    /// How long verifiers keep a status list.
    pub status_list_ttl: Duration,
    /// Whether proofs at the token endpoint need a nonce.
    pub dpop_nonce: DpopNonce,
}

/// Whether a `DPoP` proof needs a nonce of this issuer (RFC 9449 section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DpopNonce {
    /// It does not.
    Off,
    /// It does.
    Required,
}

/// Every key, for "did you mean".
const KNOWN: [&str; 52] = [
    "issuer",
    "server.listen",
    "server.shutdown_timeout",
    "server.drain",
    "server.trusted_proxies",
    "server.tls.cert_file",
    "server.tls.key_file",
    "server.client_certificates",
    "server.certificate_proxies",
    "server.client_ca_file",
    "admin.listen",
    "admin.hosts",
    "admin.console",
    "admin.tls.cert_file",
    "admin.tls.key_file",
    "console.compare",
    "keys.dir",
    "keys.algorithm",
    "keys.rsa_bits",
    "keys.generate_if_missing",
    "keys.publish_ahead",
    "keys.rotate_every",
    "keys.passphrase",
    "keys.passphrase_file",
    "policies.dir",
    "policies.poll",
    "policies.candidate",
    "policies.bundle_ttl",
    "tokens.ttl",
    "tokens.max_ttl",
    "tokens.leeway",
    "tokens.reuse",
    "tokens.refresh_ttl",
    "tokens.refresh_grace",
    "tokens.max_exchanges",
    "tokens.max_assertion_ttl",
    "tokens.status_list",
    "tokens.status_list_ttl",
    "tokens.dpop_nonce",
    "store.url",
    "store.password",
    "store.password_file",
    "store.prefix",
    "store.ca_file",
    "federation.token_dirs",
    "fetch.proxy",
    "limits.tokens",
    "limits.introspections",
    "limits.failures",
    "log.format",
    "log.level",
    "log.decisions",
];

/// The settings file that is read without being asked for, if it is there.
const DEFAULT_FILE: &str = "jeton.toml";

impl Settings {
    /// Reads the settings: the defaults, then `file` (or `jeton.toml` in the working directory, if it is
    /// there), then the environment.
    ///
    /// # Errors
    /// Everything that is wrong, each with its file and key or its variable.
    pub fn load(file: Option<&Path>) -> Result<Self, SettingErrors> {
        Self::load_for(NeededFolders::Everything, file)
    }

    /// As [`Self::load`], for a command that may do without the policies folder.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_for(needs: NeededFolders, file: Option<&Path>) -> Result<Self, SettingErrors> {
        Self::check(needs, file).outcome
    }

    /// As [`Self::load_for`], with every setting as it counts, also where something is wrong.
    pub fn check(needs: NeededFolders, file: Option<&Path>) -> CheckedSettings {
        let default = Path::new(DEFAULT_FILE);
        let file = file.or_else(|| default.exists().then_some(default));
        match Layers::read(file, Environment::default()) {
            Ok(layers) => Self::read(needs, layers),
            Err(errors) => CheckedSettings { effective: Vec::new(), outcome: Err(errors) },
        }
    }

    fn read(needs: NeededFolders, mut layers: Layers) -> CheckedSettings {
        let mut warnings = Vec::new();
        let issuer = layers.text("issuer", |text| Issuer::parse(text).map_err(|error| error.to_string()));
        let server = ServerSettings::read(issuer.as_ref(), &mut layers, &mut warnings);
        let admin = admin::read(&mut layers, server.as_ref().map(|server| server.listen));
        let console = ConsoleSettings::read(needs, &mut layers);
        let keys = KeySettings::read(needs, &mut layers, &mut warnings);
        let policies = PolicySettings::read(needs, &mut layers);
        let tokens = TokenSettings::read(&mut layers);
        let store = StoreSettings::read(needs, &mut layers, &mut warnings);
        let federation = FederationSettings::read(&mut layers);
        let fetch = FetchSettings::read(&mut layers);
        let limits = LimitSettings::read(&mut layers);
        let log = LogSettings::read(needs, &mut layers);
        let traces = layers.keep_all(TraceSettings::read(needs, &mut warnings));
        let (gateways, known) = gateways::read(&mut layers, issuer.as_ref());
        let known: Vec<_> = KNOWN.into_iter().chain(known.iter().map(String::as_str)).collect();
        let (effective, errors) = layers.finish(&known);
        let settings = || {
            Some(Self {
                issuer: issuer?,
                server: server?,
                admin,
                console: console?,
                keys: keys?,
                policies: policies?,
                tokens: tokens?,
                store: store?,
                federation: federation?,
                fetch: fetch?,
                limits: limits?,
                gateways,
                log: log?,
                traces: traces?,
                warnings,
            })
        };
        let outcome = settings().filter(|_| errors.0.is_empty()).ok_or(errors);
        CheckedSettings { effective, outcome }
    }

    /// Whether the admin listener has a console.
    pub fn has_console(&self) -> bool {
        self.admin.as_ref().is_some_and(|admin| admin.console == ConsoleState::On)
    }

    /// Whether nobody but this machine can reach the server, by its address and its name.
    pub fn is_loopback(&self) -> bool {
        self.issuer.is_loopback() && self.server.listen.ip().is_loopback()
    }
}

impl PolicySettings {
    fn read(needs: NeededFolders, layers: &mut Layers) -> Option<Self> {
        let dir = layers.path("policies.dir", |dir| match needs {
            NeededFolders::Everything | NeededFolders::Policies => folder(dir).map_err(|missing| {
                if dir.exists() { missing } else { format!("{missing}: `jeton init` makes a first one") }
            }),
            NeededFolders::Keys | NeededFolders::Nothing => Ok(()),
        });
        let poll = layers.text("policies.poll", duration);
        let candidate = layers.file("policies.candidate", |dir| match dir {
            Some(dir) if needs == NeededFolders::Everything => folder(&dir).map(|()| Some(dir)),
            dir => Ok(dir),
        });
        let bundle_ttl = layers.text("policies.bundle_ttl", |text| match lifetime(text)? {
            long if long > Duration::from_hours(1) => {
                Err("more than an hour: services would not see an edit that long".to_owned())
            }
            ttl => Ok(ttl),
        });
        Some(Self {
            dir: dir?,
            poll: poll.map(|poll| (!poll.is_zero()).then_some(poll))?,
            candidate: candidate?,
            bundle_ttl: bundle_ttl?,
        })
    }
}

impl TokenSettings {
    fn read(layers: &mut Layers) -> Option<Self> {
        let max_ttl = layers.text("tokens.max_ttl", lifetime);
        let ttl = layers.text("tokens.ttl", |text| match lifetime(text)? {
            ttl if max_ttl.is_some_and(|max_ttl| ttl > max_ttl) => Err(format!(
                "`{text}` is longer than `tokens.max_ttl`: shorten it, or raise `tokens.max_ttl`"
            )),
            ttl => Ok(ttl),
        });
        let leeway =
            layers.text("tokens.leeway", |text| five_minutes(duration(text)?, "set the clocks instead"));
        let reuse = layers.text("tokens.reuse", |text| match duration(text)? {
            Duration::ZERO => Ok(None),
            long if ttl.is_some_and(|ttl| long >= ttl) => {
                Err(format!("`{text}` is not shorter than `tokens.ttl`: a token is reused while it lives"))
            }
            reuse => Ok(Some(reuse)),
        });
        let refresh_ttl = layers.text("tokens.refresh_ttl", lifetime);
        let refresh_grace = layers.text("tokens.refresh_grace", |text| {
            five_minutes(duration(text)?, "the theft of a refresh token would stay unnoticed that long")
        });
        let max_exchanges = layers.number("tokens.max_exchanges", |number| match number {
            0..=16 => Ok(number),
            _ => Err("more than 16: each exchange makes the token longer".to_owned()),
        });
        let max_assertion_ttl = layers.text("tokens.max_assertion_ttl", |text| {
            five_minutes(lifetime(text)?, "an assertion is made for one request")
        });
        let status_list = layers.switch("tokens.status_list");
        let status_list_ttl = layers.text("tokens.status_list_ttl", |text| match lifetime(text)? {
            long if long > Duration::from_hours(24) => {
                Err("more than a day: verifiers would not see a revocation that long".to_owned())
            }
            ttl => Ok(ttl),
        });
        let dpop_nonce = layers.text("tokens.dpop_nonce", |text| match text {
            "off" => Ok(DpopNonce::Off),
            "required" => Ok(DpopNonce::Required),
            other => Err(format!("`{other}` is not a rule for nonces: write `off` or `required`")),
        });
        Some(Self {
            ttl: ttl?,
            max_ttl: max_ttl?,
            leeway: leeway?,
            reuse: reuse?,
            refresh_ttl: refresh_ttl?,
            refresh_grace: refresh_grace?,
            max_exchanges: max_exchanges?,
            max_assertion_ttl: max_assertion_ttl?,
            status_list: status_list?,
            status_list_ttl: status_list_ttl?,
            dpop_nonce: dpop_nonce?,
        })
    }
}

/// Refuses a duration of more than five minutes.
fn five_minutes(given: Duration, because: &str) -> Result<Duration, String> {
    if given > Duration::from_mins(5) { Err(format!("more than 5 minutes: {because}")) } else { Ok(given) }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("the lifetime is zero: write more than `0s`".to_owned()),
        lifetime => Ok(lifetime),
    }
}
