//! Where the status of a token stands: the list of its client, and the bit of its minute.

use std::{fmt, sync::Arc};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_oauth::{ClientId, Issuer};
use ring::digest;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

/// 2026-01-01T00:00:00Z in seconds since 1970: the start of the minute of bit 0.
pub(super) const EPOCH: i64 = 1_767_225_600;
/// Seconds for which one bit stands.
pub(super) const MINUTE: i64 = 60;

/// The name of a client's list: the base64url of the first 16 bytes of SHA-256 of the client id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StatusHandle(Arc<str>);

impl StatusHandle {
    /// The handle of a client.
    pub fn of(client: &ClientId) -> Self {
        let hash = digest::digest(&digest::SHA256, client.as_str().as_bytes());
        Self(BASE64_URL_SAFE_NO_PAD.encode(hash.as_ref().get(..16).unwrap_or_default()).into())
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of the list.
    pub fn uri(&self, issuer: &Issuer) -> String {
        issuer.endpoint(&format!("/status/{self}"))
    }
}

impl std::borrow::Borrow<str> for StatusHandle {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StatusHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The bit of a token issued at `issued_at` by a client with this `revoked_before` (both in seconds since
/// 1970): the minute of its issue; if the revocation lies after that minute's start, the next whole minute at
/// or after the revocation, so that no token from after it shares a bit with one from before.
pub fn index_of(issued_at: i64, revoked_before: Option<i64>) -> u64 {
    let minutes = |seconds: i64| u64::try_from(seconds.div_euclid(MINUTE)).unwrap_or(0);
    let issued = minutes(issued_at.saturating_sub(EPOCH));
    let moved = revoked_before.map_or(0, first_index_after);
    issued.max(moved)
}

/// The first bit whose minute does not start before `revoked_before` (seconds since 1970).
pub(super) fn first_index_after(revoked_before: i64) -> u64 {
    let seconds = revoked_before.saturating_sub(EPOCH).max(0);
    u64::try_from(seconds).unwrap_or(0).div_ceil(60)
}

/// The claim `status` of a token (draft-ietf-oauth-status-list section 6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReference {
    /// The bit.
    pub index: u64,
    /// The address of the list.
    pub uri: Arc<str>,
}

impl StatusReference {
    /// Reads the claim; `None` where it is not of its form.
    pub fn read(claim: &Value) -> Option<Self> {
        let list = claim.as_object()?.get("status_list")?.as_object()?;
        Some(Self { index: list.get("idx")?.as_u64()?, uri: list.get("uri")?.as_str()?.into() })
    }
}

impl Serialize for StatusReference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = Map::new();
        list.insert("idx".to_owned(), self.index.into());
        list.insert("uri".to_owned(), (*self.uri).into());
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("status_list", &list)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_points_to_its_minute_or_past_the_revocation() {
        for (issued, revoked, expected) in [
            (EPOCH, None, 0),
            (EPOCH + 59, None, 0),
            (EPOCH + 60, None, 1),
            // the revocation at the start of the minute moves nothing
            (EPOCH + 60, Some(EPOCH + 60), 1),
            (EPOCH + 61, Some(EPOCH + 61), 2),
            (EPOCH + 119, Some(EPOCH + 61), 2),
            (EPOCH + 120, Some(EPOCH + 61), 2),
            (EPOCH + 180, Some(EPOCH + 61), 3),
            // before the lists begin
            (EPOCH - 1, None, 0),
            (EPOCH - 100, Some(EPOCH - 50), 0),
        ] {
            assert_eq!(index_of(issued, revoked), expected, "{issued} {revoked:?}");
        }
    }

    #[test]
    fn a_handle_is_the_start_of_the_hash_of_the_client_id() {
        let handle = StatusHandle::of(&ClientId::parse("acme-sync").unwrap());
        assert_eq!(handle.as_str().len(), 22);
        assert_eq!(handle.to_string(), "_dyI1geedQecUydfgisg4w");
    }
}
