//! What an authorizer is made of, as JavaScript says it.

use std::{fmt, fs, path::PathBuf, sync::Arc, time::Duration};

use jeton_jose::PublicKeys;
use jeton_oauth::{ApiName, Issuer, clock::SystemClock};
use jeton_policy::{LivePolicies, Surroundings};
use jeton_verify::{Authorizer, JwksOptions, JwksSource, TrustedKeys, Verifier};
use napi::{Error, Result};
use napi_derive::napi;
use tokio::{task, time};

/// How often the policies folder is looked at.
const POLL: Duration = Duration::from_secs(2);

/// The members of the object that `new Authorizer` takes, once `lib/index.js` looked at their types.
#[napi(object, object_to_js = false)]
pub struct EngineOptions {
    /// The issuer of the tokens.
    pub issuer: String,
    /// The name of the API.
    pub api: String,
    /// A policies folder.
    pub policies: Option<String>,
    /// A file with the issuer's keys.
    pub jwks: Option<String>,
    /// Seconds by which clocks may differ.
    pub leeway: u32,
    /// Whether events below warnings are told too.
    pub is_verbose: bool,
}

impl EngineOptions {
    /// Starts to follow what decides. In a runtime.
    pub(crate) fn start(self) -> Result<Authorizer> {
        let issuer = Issuer::parse(&self.issuer).map_err(wrong)?;
        let api = ApiName::parse(&self.api).map_err(wrong)?;
        let clock = Arc::new(SystemClock);
        let keys: TrustedKeys = match self.jwks.map(PathBuf::from) {
            Some(file) => {
                let text =
                    fs::read(&file).map_err(|error| wrong(format_args!("{}: {error}", file.display())))?;
                Arc::new(PublicKeys::from_jwks(&text).map_err(wrong)?).into()
            }
            None => {
                let url = format!("{issuer}/.well-known/jwks.json");
                let source = JwksSource::new(&url, &JwksOptions::default(), clock.clone()).map_err(wrong)?;
                let source = Arc::new(source);
                task::spawn(Arc::clone(&source).run());
                source.into()
            }
        };
        let folder = self.policies.ok_or_else(|| wrong("`policies` is missing"))?;
        let surroundings = Surroundings::of_service(&issuer, api.clone());
        let policies = LivePolicies::load(folder.as_ref(), surroundings, clock.clone()).map_err(wrong)?;
        let policies = Arc::new(policies);
        task::spawn(follow(Arc::clone(&policies)));
        let verifier = Verifier::new(issuer, keys, Duration::from_secs(self.leeway.into()), clock);
        Ok(Authorizer::new(verifier.remembering(Verifier::USUAL_MEMORY), policies, api))
    }
}

/// Reads the policies folder again and again.
async fn follow(policies: Arc<LivePolicies>) {
    loop {
        time::sleep(POLL).await;
        let policies = Arc::clone(&policies);
        let _ = task::spawn_blocking(move || policies.poll()).await;
    }
}

fn wrong(error: impl fmt::Display) -> Error {
    Error::from_reason(error.to_string())
}
