//! A token of another issuer, as it says, and all that is asked of it beside its signature. The service and
//! `jeton clients match` ask it here, so that neither takes what the other refuses.

use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_jose::{CompactJws, JwsHeader};
use jeton_oauth::{
    Confirmation, ForeignAlgorithm, IssuerName,
    text::{printable, shortened},
};
use jeton_policy::{
    clients::{Client, ClientState},
    federation::{Issuers, TrustedIssuer},
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::FederationError;

/// A token of a trusted issuer, as it says. Nobody has looked at its signature.
pub(crate) struct UnverifiedToken<'t> {
    pub(super) parts: CompactJws<'t>,
    pub(crate) claims: Map<String, Value>,
    pub(crate) issuer: &'t Arc<TrustedIssuer>,
}

/// What is no token of a trusted issuer, and the one that it names all the same.
pub(crate) struct UnreadToken<'t> {
    pub(super) issuer: Option<&'t Arc<TrustedIssuer>>,
    pub(crate) error: FederationError,
}

/// What the log says of a token that another issuer's stands for. All of it is safe to print, and long values lose
/// their middle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignOrigin {
    /// The issuer.
    pub issuer: IssuerName,
    /// Its `sub`.
    pub subject: Option<String>,
    /// Its `jti`.
    pub token_id: Option<String>,
}

/// When a token is shown, and how far the clocks of others may be off.
#[derive(Clone, Copy)]
pub(crate) struct ShownAt {
    now: Timestamp,
    leeway: Duration,
}

/// A `typ` that says what a token is for, and that it is not to show who somebody is (RFC 8725 section 3.11): our own
/// kinds, and those of others.
const OTHER_TYPES: [&str; 11] = [
    "at+jwt",
    "rt+jwt",
    "statuslist+jwt",
    "policies+jwt",
    "dpop+jwt",
    "logout+jwt",
    "secevent+jwt",
    "token-introspection+jwt",
    "oauth-authz-req+jwt",
    "entity-statement+jwt",
    "wpt+jwt",
];
/// The last date that is told apart from later ones, in seconds since 1970: all whole numbers up to it are exact.
const LAST_DATE: f64 = 9_007_199_254_740_992.0;
/// How much of a value is told within a reason, in characters.
const LONGEST_TOLD: usize = 200;

impl ShownAt {
    /// `leeway` is cut to whole seconds.
    pub(crate) fn new(now: Timestamp, leeway: Duration) -> Self {
        Self { now, leeway: Duration::from_secs(leeway.as_secs()) }
    }
}

impl<'t> UnverifiedToken<'t> {
    pub(crate) fn read(issuers: &'t Issuers, token: &'t str) -> Result<Self, UnreadToken<'t>> {
        let parts = CompactJws::parse(token).map_err(UnreadToken::of_nobody)?;
        let claims = match parts.payload() {
            Ok(claims) => claims,
            Err(error) => {
                let issuer = insecure_iss(&parts).and_then(|iss| issuers.by_issuer(&iss));
                return Err(UnreadToken { issuer, error: error.into() });
            }
        };
        let iss = match claims.get("iss") {
            None => return Err(UnreadToken::of_nobody(FederationError::Missing("iss"))),
            Some(Value::String(iss)) => iss,
            Some(_) => return Err(UnreadToken::of_nobody(FederationError::WrongType("iss"))),
        };
        match issuers.by_issuer(iss) {
            Some(issuer) => Ok(Self { parts, claims, issuer }),
            None => Err(UnreadToken::of_nobody(FederationError::UnknownIssuer { iss: iss.clone() })),
        }
    }

    /// Everything for which it is refused, whoever signed it and whomever it stands for.
    pub(crate) fn faults(&self, at: ShownAt) -> Vec<FederationError> {
        let header = self.header().err();
        header.into_iter().chain(self.faults_of_claims(at)).collect()
    }

    /// The header, and the algorithm that it names: one with which the issuer may sign.
    pub(super) fn header(&self) -> Result<(JwsHeader, ForeignAlgorithm), FederationError> {
        if !self.issuer.enabled {
            return Err(FederationError::IssuerDisabled);
        }
        let header = self.parts.header()?;
        let algorithm = ForeignAlgorithm::parse(&header.algorithm);
        let algorithm = algorithm.filter(|algorithm| self.issuer.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or_else(|| FederationError::Algorithm {
            found: told(&header.algorithm),
            allowed: self.issuer.algorithms.clone(),
        })?;
        if header.typ.as_deref().is_some_and(|typ| OTHER_TYPES.contains(&typ)) {
            return Err(FederationError::Type);
        }
        Ok((header, algorithm))
    }

    /// Why its claims are not for us, or do not count now. The first is what a caller is refused for.
    pub(super) fn faults_of_claims(&self, ShownAt { now, leeway }: ShownAt) -> Vec<FederationError> {
        let Self { claims, issuer, .. } = self;
        let mut faults = Vec::new();
        faults.extend(self.audience_fault());
        let required = |name| date(claims, name)?.map(Some).ok_or(FederationError::Missing(name));
        let read = [required("exp"), required("iat"), date(claims, "nbf")];
        let [expires_at, issued_at, not_before] = read.map(|read| {
            read.unwrap_or_else(|fault| {
                faults.push(fault);
                None
            })
        });
        let (seconds, leeway, now) = (seconds_of(now), leeway.as_secs_f64(), now.as_second());
        if let Some(expires_at) = expires_at.filter(|at| at + leeway <= seconds) {
            faults.push(FederationError::Expired { expires_at, now });
        }
        for (claim, start) in [("iat", issued_at), ("nbf", not_before)] {
            if let Some(start) = start.filter(|at| *at > seconds + leeway) {
                faults.push(FederationError::NotYetValid { claim, start, now });
            }
        }
        if let Some((expires_at, issued_at)) = expires_at.zip(issued_at) {
            let (lived, most) = (expires_at - issued_at, issuer.max_lifetime.as_secs_f64());
            if lived <= 0.0 {
                faults.push(FederationError::Reversed);
            } else if lived > most {
                faults.push(FederationError::TooLongLived { lived, most });
            }
        }
        match claims.get("jti") {
            None if issuer.single_use => faults.push(FederationError::Missing("jti")),
            None => {}
            Some(Value::String(id)) if !id.is_empty() => {}
            Some(_) => faults.push(FederationError::WrongType("jti")),
        }
        faults.extend(self.confirmation().err());
        faults
    }

    fn audience_fault(&self) -> Option<FederationError> {
        let wanted = &self.issuer.audience;
        let is_ours = |audience: &Value| audience.as_str() == Some(wanted.as_str());
        let Some(found) = self.claims.get("aud") else { return Some(FederationError::Missing("aud")) };
        let is_for_us = match found {
            Value::Array(audiences) => matches!(audiences.as_slice(), [only] if is_ours(only)),
            one => is_ours(one),
        };
        let fault = || FederationError::Audience { found: told(&found.to_string()), wanted: wanted.clone() };
        (!is_for_us).then(fault)
    }

    /// What it is bound to, if it is bound (RFC 7800). It counts only with a request that shows this.
    pub(crate) fn confirmation(&self) -> Result<Option<Confirmation>, FederationError> {
        let Some(claim) = self.claims.get(Confirmation::CLAIM) else { return Ok(None) };
        let unknown = || FederationError::UnknownBinding { found: told(&claim.to_string()) };
        Confirmation::read(claim).map(Some).ok_or_else(unknown)
    }

    /// Whether the client that it stands for may do anything now.
    pub(crate) fn check_client(&self, client: &Client, at: ShownAt) -> Result<(), FederationError> {
        let seconds = |before: i64| SignedDuration::from_secs(before).as_secs_f64();
        match (client.state, client.revoked_before) {
            (ClientState::Disabled, _) => Err(FederationError::ClientDisabled),
            (ClientState::Enabled, None) => Ok(()),
            (ClientState::Enabled, Some(before)) if at.now.as_second() < before => {
                Err(FederationError::RevokedAhead)
            }
            (ClientState::Enabled, Some(before)) => match date(&self.claims, "iat")? {
                Some(issued_at) if issued_at >= seconds(before) => Ok(()),
                _ => Err(FederationError::Revoked),
            },
        }
    }

    /// What the log says of it.
    pub(super) fn origin(&self) -> ForeignOrigin {
        let text = |name: &str| {
            let claim = self.claims.get(name)?;
            Some(claim.as_str().map_or_else(|| told(&claim.to_string()), told))
        };
        ForeignOrigin { issuer: self.issuer.name.clone(), subject: text("sub"), token_id: text("jti") }
    }

    /// Until when it must be remembered that it was used, in whole seconds since 1970.
    pub(super) fn counts_until(&self, leeway: Duration) -> Result<i64, FederationError> {
        let expires_at = date(&self.claims, "exp")?.ok_or(FederationError::Missing("exp"))?;
        #[expect(clippy::cast_possible_truncation, reason = "a whole number that an i64 holds")]
        let whole = expires_at.ceil() as i64;
        Ok(whole.saturating_add_unsigned(leeway.as_secs()))
    }
}

impl UnreadToken<'_> {
    fn of_nobody(error: impl Into<FederationError>) -> Self {
        Self { issuer: None, error: error.into() }
    }
}

/// The `iss` of claims that are not as they must be, for the log.
fn insecure_iss(parts: &CompactJws<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
    }

    let payload = parts.signed.split('.').nth(1)?;
    let json = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice::<Claims>(&json).ok().map(|claims| claims.iss)
}

/// A claim that is a date, in seconds since 1970. Others' clocks may tell fractions (RFC 7519 section 2), and they
/// count: a date that was cut could pass a limit.
fn date(claims: &Map<String, Value>, name: &'static str) -> Result<Option<f64>, FederationError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0);
    seconds.map(|seconds| Some(seconds.min(LAST_DATE))).ok_or(FederationError::WrongType(name))
}

fn seconds_of(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

/// A value of a token, within a reason: no longer than a line or two, and safe to print.
fn told(value: &str) -> String {
    shortened(&printable(value), LONGEST_TOLD).into_owned()
}
