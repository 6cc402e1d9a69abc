//! What an authorizer is made of, as JavaScript says it.

use std::{fmt, path::PathBuf, time::Duration};

use jeton_oauth::ClientId;
use jeton_verify::{Authorizer, Origin, ServiceCredentials, ServiceOptions};
use napi::{Error, Result};
use napi_derive::napi;

/// The members of the object that `new Authorizer` takes, once `lib/authorizer.js` looked at their types.
#[napi(object, object_to_js = false)]
pub struct EngineOptions {
    /// The issuer of the tokens.
    pub issuer: String,
    /// The name of the API.
    pub api: String,
    /// A policies folder in the place of the bundle.
    pub policies: Option<String>,
    /// A file with the issuer's keys.
    pub jwks: Option<String>,
    /// Seconds by which clocks may differ.
    pub leeway: u32,
    /// A folder for the last documents.
    pub keep: Option<String>,
    /// The scheme and host by which clients reach the service.
    pub origin: Option<String>,
    /// As which client the bundle is fetched.
    pub client_id: Option<String>,
    /// The file with its secret.
    pub secret_file: Option<String>,
    /// A file with the authorities of the issuer.
    pub ca_file: Option<String>,
    /// Whether events below warnings are told too.
    pub is_verbose: bool,
}

impl EngineOptions {
    /// Starts to follow what decides. `giver` gives tokens for the bundle. In a runtime.
    pub(crate) fn start(self, giver: Option<ServiceCredentials>) -> Result<Authorizer> {
        let mut options = ServiceOptions::new(&self.issuer, &self.api).map_err(wrong)?;
        options.policies = self.policies.map(PathBuf::from);
        options.jwks = self.jwks.map(PathBuf::from);
        options.leeway = Duration::from_secs(self.leeway.into());
        options.keep = self.keep.map(PathBuf::from);
        options.origin = self.origin.as_deref().map(Origin::parse).transpose().map_err(wrong)?;
        options.ca_file = self.ca_file.map(PathBuf::from);
        options.credentials = match (self.client_id, self.secret_file) {
            (Some(id), Some(file)) => {
                let id = ClientId::parse(&id).map_err(wrong)?;
                Some(ServiceCredentials::Client { id, secret_file: file.into() })
            }
            _ => giver,
        };
        options.start().map_err(wrong)
    }
}

fn wrong(error: impl fmt::Display) -> Error {
    Error::from_reason(error.to_string())
}
