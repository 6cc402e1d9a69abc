//! The token by which a service fetches a bundle that is not for everybody.

use std::{error::Error, path::PathBuf, sync::Arc};

use jeton_jose::strict_object;
use jeton_oauth::{
    ClientId, Issuer,
    clock::Clock,
    text::{printable, unmarked},
};
use jeton_policy::files::{self, FileError};
use serde_json::Value;
use tokio::{
    sync::Mutex,
    task::{self, JoinError},
};

use crate::fetch::{Fetcher, HttpError, IssuerMetadata};

/// What the token is for.
const SCOPE: &str = "jeton:policies";
/// The longest file with a secret, in bytes.
const LONGEST_SECRET: u64 = 4 * 1024;

/// By what a service may have a bundle that is for clients alone.
#[derive(Clone)]
#[non_exhaustive]
pub enum ServiceCredentials {
    /// As a client of the issuer, which is granted `jeton:policies` at API `jeton`. The file is read for each token.
    Client {
        /// Which one.
        id: ClientId,
        /// Where its secret is, alone in the file; a line break at its end does not count.
        secret_file: PathBuf,
    },
    /// Whoever gives a token for each fetch. It may block.
    Token(Arc<dyn GiveToken>),
}

/// Gives a token of the issuer that has the scope `jeton:policies`.
pub trait GiveToken: Send + Sync + 'static {
    /// A token that is good now.
    ///
    /// # Errors
    /// Why no token could be given, for the log.
    fn give(&self) -> Result<String, Box<dyn Error + Send + Sync>>;
}

impl<F> GiveToken for F
where
    F: Fn() -> Result<String, Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
{
    fn give(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        self()
    }
}

/// Why there is no token: for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenNotFetched {
    #[error("the secret file of client `{0}` {1}")]
    Secret(ClientId, FileError),
    #[error("the secret file of client `{0}` holds no secret")]
    NoSecret(ClientId),
    #[error("the issuer's metadata have no `token_endpoint`")]
    NoEndpoint,
    #[error("a token for the bundle: {0}")]
    Http(#[from] HttpError),
    #[error("the issuer gives client `{client}` no token for the bundle: `{error:.100}` ({status})")]
    Refused { client: ClientId, error: String, status: u16 },
    #[error("the issuer's answer holds no token")]
    NoToken,
    #[error("no token for the bundle: {0}")]
    Given(Box<dyn Error + Send + Sync>),
    #[error("a token for the bundle: it failed within jeton: {0}")]
    Failed(#[from] JoinError),
}

/// Tokens for the bundle, kept until shortly before they end.
pub(crate) struct ServiceTokens {
    credentials: ServiceCredentials,
    issuer: Issuer,
    fetcher: Arc<Fetcher>,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<HeldToken>>,
}

struct HeldToken {
    token: String,
    renew_at: i64,
}

impl ServiceTokens {
    pub(crate) fn new(
        credentials: ServiceCredentials,
        issuer: Issuer,
        fetcher: Arc<Fetcher>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { credentials, issuer, fetcher, clock, held: Mutex::default() }
    }

    /// A token that is good now.
    pub(crate) async fn token(&self, metadata: &IssuerMetadata) -> Result<String, TokenNotFetched> {
        let (id, secret_file) = match &self.credentials {
            ServiceCredentials::Client { id, secret_file } => (id, secret_file.clone()),
            ServiceCredentials::Token(giver) => {
                let giver = Arc::clone(giver);
                return task::spawn_blocking(move || giver.give()).await?.map_err(TokenNotFetched::Given);
            }
        };
        let mut held = self.held.lock().await;
        let now = self.clock.numeric_date();
        if let Some(held) = held.as_ref().filter(|held| now < held.renew_at) {
            return Ok(held.token.clone());
        }
        let url = metadata.token_endpoint.as_ref().ok_or(TokenNotFetched::NoEndpoint)?;
        let secret = task::spawn_blocking(move || files::read(&secret_file, LONGEST_SECRET)).await?;
        let secret = secret.map_err(|error| TokenNotFetched::Secret(id.clone(), error))?;
        let secret =
            std::str::from_utf8(unmarked(&secret)).unwrap_or_default().trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(TokenNotFetched::NoSecret(id.clone()));
        }
        let form =
            [("grant_type", "client_credentials"), ("scope", SCOPE), ("resource", self.issuer.as_str())];
        let (status, body) = self.fetcher.post_form(url, (id.as_str(), secret), &form).await?;
        let answer = strict_object(&body).unwrap_or_default();
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        if status != 200 {
            let error = printable(text("error").unwrap_or_default());
            return Err(TokenNotFetched::Refused { client: id.clone(), error, status });
        }
        let token = text("access_token").ok_or(TokenNotFetched::NoToken)?.to_owned();
        let lifetime = answer.get("expires_in").and_then(Value::as_i64).unwrap_or(0).max(0);
        // before its end: four fifths of it
        let renew_at = now.saturating_add(lifetime - lifetime / 5);
        *held = Some(HeldToken { token: token.clone(), renew_at });
        Ok(token)
    }

    /// Lets go of a token that was not taken.
    pub(crate) async fn forget(&self) {
        *self.held.lock().await = None;
    }
}
