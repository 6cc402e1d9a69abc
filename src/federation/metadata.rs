//! What the metadata of an issuer say of its key set.

use jeton_jose::strict_object;
use jeton_oauth::text::printable;
use serde_json::Value;
use url::Url;

/// Where the metadata of an issuer say that its keys are (OpenID Connect Discovery 1.0 section 3).
#[derive(Debug)]
pub struct IssuerMetadata {
    /// The address of its key set: of the issuer's own origin, or `https`.
    pub key_set: Url,
    /// Whether that is the origin of the metadata.
    pub is_of_issuer: bool,
}

/// Why metadata of an issuer lead to no key set.
#[derive(Debug, thiserror::Error)]
pub enum BadMetadata {
    /// They cannot be read.
    #[error("its metadata are not a JSON object with each name once")]
    NotMetadata,
    /// They are those of somebody else.
    #[error("its metadata have another `issuer`: `{0:.200}`")]
    OtherIssuer(String),
    /// They name no key set.
    #[error("its metadata have no `jwks_uri`")]
    NoKeySet,
    /// They name one where none may be.
    #[error("the `jwks_uri` of its metadata {0}")]
    KeySetAddress(&'static str),
}

impl IssuerMetadata {
    /// Reads what came from `own`, which belongs to this issuer.
    ///
    /// # Errors
    /// [`BadMetadata`].
    pub fn read(json: &[u8], issuer: &str, own: &Url) -> Result<Self, BadMetadata> {
        let metadata = strict_object(json).map_err(|_| BadMetadata::NotMetadata)?;
        let text = |name: &str| metadata.get(name).and_then(Value::as_str);
        match text("issuer") {
            Some(told) if told == issuer => {}
            told => return Err(BadMetadata::OtherIssuer(printable(told.unwrap_or_default()))),
        }
        let told = text("jwks_uri").ok_or(BadMetadata::NoKeySet)?;
        let key_set = Url::parse(told).map_err(|_| BadMetadata::KeySetAddress("is not a URL"))?;
        if !key_set.username().is_empty() || key_set.password().is_some() {
            return Err(BadMetadata::KeySetAddress("holds a user name or a password"));
        }
        let is_of_issuer = key_set.origin() == own.origin();
        if !is_of_issuer && key_set.scheme() != "https" {
            return Err(BadMetadata::KeySetAddress("is of another origin, and not `https`"));
        }
        Ok(Self { key_set, is_of_issuer })
    }
}
