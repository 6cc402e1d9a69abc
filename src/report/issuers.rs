//! The issuers that the policies trust.

use jeton_oauth::ShownUrl;
use jeton_policy::federation::IssuerKeySource;
use serde_json::{Value, json};

use crate::federation::IssuerState;

/// An issuer, and what is known of its keys.
pub(crate) fn issuer(state: &IssuerState) -> Value {
    let issuer = &state.issuer;
    let (source, url, file) = match &issuer.keys.source {
        IssuerKeySource::Discover => ("discover", None, None),
        IssuerKeySource::Jwks(url) => ("jwks", Some(ShownUrl(url.as_str()).to_string()), None),
        IssuerKeySource::File(file) => ("file", None, Some(file.path.display().to_string())),
        _ => ("other", None, None),
    };
    json!({
        "name": issuer.name,
        "issuer": issuer.issuer.as_str(),
        "audience": issuer.audience,
        "enabled": issuer.enabled,
        "algorithms": issuer.algorithms.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>(),
        "max_lifetime": issuer.max_lifetime.as_secs(),
        "single_use": issuer.single_use,
        "status": state.standing.as_str(),
        "source": source,
        "jwks": url,
        "file": file,
        "keys": state.keys,
        "kids": state.kids,
        "fetched_at": state.fetched_at.map(|at| at.to_string()),
        "last_fetch_error": state.failure.as_ref().map(|failure| json!({
            "at": failure.at.to_string(),
            "error": failure.error,
        })),
    })
}
