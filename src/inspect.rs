//! Whether a token that somebody pasted is good, and for what: for operators who look at one. Nothing of it is used up, kept
//! or logged.

use std::sync::Arc;

use jeton_jose::JwsError;
use jeton_oauth::{Audience, Confirmation, Issuer};
use jeton_policy::{Explanation, LivePolicies, PolicySet, ProtectedApi, did_you_mean};
use jeton_verify::{
    BearerToken, ExplainedAsker, ExplainedRequest, InForce, InsecureParts, NoAnswer, NotInForce, Standing,
    TokenError, VerifiedClaims, Verifier, insecure_parts,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::token::VerifiedRefresh;

/// Judges tokens as a guard does, and says what a guard keeps to itself.
pub(crate) struct TokenInspector {
    verifier: Verifier,
    standing: Standing,
    policies: Arc<LivePolicies>,
}

/// A token, and what is to be known of it.
pub(crate) struct InspectedToken<'q> {
    /// As it was pasted: what stands before it in a header may stand here too.
    pub(crate) token: &'q str,
    /// The API for which it should be good. Without one, its `aud` says.
    pub(crate) api: Option<&'q str>,
    /// A method and a path: whether it would pass there.
    pub(crate) request: Option<(&'q str, &'q str)>,
}

/// What a token is good for.
#[derive(Debug, Serialize)]
pub(crate) struct TokenVerdict {
    /// Whether its signature, its times and its standing are good, and an API takes it.
    pub(crate) valid: bool,
    /// Why not, or what a request must show beside it.
    pub(crate) detail: Option<String>,
    /// The API for which it is.
    pub(crate) api: Option<String>,
    /// The client to which it was issued, as far as that is sure.
    pub(crate) client: Option<String>,
    /// What it is bound to.
    pub(crate) bound: Option<BoundTo>,
    /// When it expires, as far as that is sure.
    pub(crate) expires_at: Option<String>,
    /// What becomes of the request.
    pub(crate) explanation: Option<Explanation>,
}

/// What a token is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BoundTo {
    /// A key, which signs a proof for each request (RFC 9449).
    Dpop,
    /// A certificate of a client (RFC 8705).
    Certificate,
}

/// There is no such API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no API `{name}` in the policies in force{hint}")]
pub(crate) struct UnknownApi {
    name: String,
    hint: String,
}

impl UnknownApi {
    /// Of policies that do not name it.
    pub(crate) fn new(name: &str, policies: &PolicySet) -> Self {
        let known = || policies.apis().keys().map(jeton_oauth::ApiName::as_str);
        let all =
            || format!("there is {}", known().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "));
        let hint = did_you_mean(name, known()).unwrap_or_else(all);
        Self { name: name.to_owned(), hint: format!(": {hint}") }
    }
}

impl TokenVerdict {
    fn bad(detail: impl Into<String>) -> Self {
        Self {
            valid: false,
            detail: Some(detail.into()),
            api: None,
            client: None,
            bound: None,
            expires_at: None,
            explanation: None,
        }
    }
}

impl TokenInspector {
    /// One that knows of tokens what `verifier` and `standing` know.
    pub(crate) fn new(verifier: Verifier, standing: Standing, policies: Arc<LivePolicies>) -> Self {
        Self { verifier, standing, policies }
    }

    /// Judges a token by the policies in force.
    ///
    /// # Errors
    /// [`UnknownApi`] where the API that is asked about is none of these.
    pub(crate) fn inspect(&self, asked: &InspectedToken<'_>) -> Result<TokenVerdict, UnknownApi> {
        let snapshot = self.policies.snapshot();
        let policies = &snapshot.policies;
        let api = asked.api.map(|name| policies.api(name).ok_or_else(|| UnknownApi::new(name, policies)));
        let api = api.transpose()?;
        let token = pasted_token(asked.token);
        let mut verdict = self.judge(policies, &token, api);
        let api = api.or_else(|| policies.api(verdict.api.as_deref()?));
        if let (Some((method, target)), Some(known)) = (asked.request, api) {
            let question = ExplainedRequest {
                api: known.name().as_str(),
                method,
                target,
                asker: ExplainedAsker::Token(token),
            };
            // with an API that is there, every token has an answer
            verdict.explanation = self.explain(policies, &question).ok();
        }
        Ok(verdict)
    }

    fn explain(
        &self,
        policies: &PolicySet,
        question: &ExplainedRequest<'_>,
    ) -> Result<Explanation, NoAnswer> {
        question.explain_by(policies, |token, audience| {
            let claims = self.standing.verify(&self.verifier, policies, token, audience);
            Ok(claims.map_err(|not_in_force| self.why(&not_in_force, token, audience)))
        })
    }

    fn why(&self, not_in_force: &NotInForce, token: &BearerToken, audience: &Audience) -> String {
        match not_in_force {
            NotInForce::Ended(error) => with_values(error, token, self.verifier.issuer(), audience),
            NotInForce::Unknown(unknown) => unknown.to_string(),
        }
    }

    fn judge(&self, policies: &PolicySet, token: &BearerToken, api: Option<&ProtectedApi>) -> TokenVerdict {
        let claims = match self.verifier.verify_for_any(token) {
            Ok(claims) => claims,
            Err(TokenError::Jws(JwsError::Type(_))) => return self.of_another_kind(policies, token),
            Err(error) => {
                return TokenVerdict::bad(with_values(
                    &error,
                    token,
                    self.verifier.issuer(),
                    self.verifier.issuer().audience(),
                ));
            }
        };
        let of_token = |verdict: TokenVerdict| TokenVerdict {
            client: claims.client().map(ToString::to_string),
            bound: claims.confirmation().map(BoundTo::of),
            expires_at: time(claims.expires_at()),
            ..verdict
        };
        let taken_by = policies.apis().values().find(|api| claims.audiences().contains(api.audience()));
        let Some(found) = api.or(taken_by) else {
            let all: Vec<_> = claims.audiences().iter().map(|audience| format!("`{audience}`")).collect();
            return of_token(TokenVerdict::bad(format!(
                "no API of the policies in force has the audience {}, so nobody takes the token",
                all.join(" or ")
            )));
        };
        let verdict = match self.standing.verify(&self.verifier, policies, token, found.audience()) {
            Ok(claims) => judged_in_force(&claims, found),
            Err(not_in_force) => {
                let mut why = self.why(&not_in_force, token, found.audience());
                if let (NotInForce::Ended(TokenError::Audience), Some(other)) = (&not_in_force, taken_by) {
                    why = format!("{why}: it is for API `{}`", other.name());
                }
                TokenVerdict::bad(why)
            }
        };
        of_token(TokenVerdict { api: Some(found.name().to_string()), ..verdict })
    }

    /// What is no access token may be one that our token endpoint takes.
    fn of_another_kind(&self, policies: &PolicySet, token: &BearerToken) -> TokenVerdict {
        let no_access_token = TokenError::Jws(JwsError::Type("an access token"));
        let refresh = match VerifiedRefresh::verify(&self.verifier, token) {
            Ok(refresh) => refresh,
            Err(TokenError::Jws(JwsError::Type(_))) => {
                let typ = insecure_parts(token).ok().and_then(|parts| parts.header.get("typ").cloned());
                let typ = typ.map_or_else(|| "missing".to_owned(), |typ| typ.to_string());
                return TokenVerdict::bad(format!("{no_access_token} (it is {typ}): no API takes it"));
            }
            Err(error) => {
                return TokenVerdict::bad(format!("it is a refresh token that is not good: {error}"));
            }
        };
        let (client, expires_at) = (refresh.client().to_string(), refresh.expires_at());
        let detail = match self.standing.in_force(policies, refresh) {
            Ok(_) => format!(
                "it is a refresh token: client `{client}` gets access tokens for it at `/oauth2/token`, and no API takes \
                 it; whether it was used already is not looked at here"
            ),
            Err(not_in_force) => format!("it is a refresh token that has ended: {not_in_force}"),
        };
        TokenVerdict { client: Some(client), expires_at: time(expires_at), ..TokenVerdict::bad(detail) }
    }
}

/// Of a token whose signature, times and standing are good.
fn judged_in_force(claims: &InForce<VerifiedClaims>, api: &ProtectedApi) -> TokenVerdict {
    match claims.confirmation() {
        None if api.bound_tokens() => TokenVerdict::bad(format!(
            "the token is not bound, and API `{}` takes bound tokens only (`bound_tokens`)",
            api.name()
        )),
        bound => TokenVerdict {
            valid: true,
            detail: bound.map(|bound| {
                let shown = match BoundTo::of(bound) {
                    BoundTo::Dpop => "a DPoP proof by its key",
                    BoundTo::Certificate => "its certificate",
                };
                format!(
                    "its signature, times and standing are good; each request with it must also show {shown}, which \
                     cannot be checked here"
                )
            }),
            ..TokenVerdict::bad("")
        },
    }
}

impl BoundTo {
    fn of(bound: Confirmation) -> Self {
        if bound.jkt().is_some() { Self::Dpop } else { Self::Certificate }
    }
}

/// Seconds since 1970 as text.
fn time(seconds: i64) -> Option<String> {
    Timestamp::from_second(seconds).ok().map(|time| time.to_string())
}

/// A token as it is copied from a request, without what stands before it there.
pub(crate) fn pasted_token(text: &str) -> BearerToken {
    BearerToken::new(pasted(text))
}

/// As [`pasted_token`], of a token that others issued.
pub(crate) fn pasted(text: &str) -> &str {
    ["authorization:", "bearer ", "dpop "].iter().fold(text.trim(), |text, before| {
        match text.split_at_checked(before.len()) {
            Some((start, rest)) if start.eq_ignore_ascii_case(before) => rest.trim_start(),
            _ => text,
        }
    })
}

/// Why a token does not verify, with both values where its own is another than what is wanted.
pub(crate) fn with_values(
    error: &TokenError,
    token: &BearerToken,
    issuer: &Issuer,
    audience: &Audience,
) -> String {
    let Ok(InsecureParts { claims, .. }) = insecure_parts(token) else { return error.to_string() };
    let named = |name: &str| {
        claims.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    match error {
        // the keys of another issuer are unknown before its name is looked at
        TokenError::Issuer | TokenError::Jws(JwsError::UnknownKey) => match named("iss") {
            Some(iss) if iss != issuer.as_str() => {
                format!("{error} (`iss` is `{iss}`, and the issuer of the settings is `{issuer}`)")
            }
            _ => error.to_string(),
        },
        TokenError::Audience => match named("aud") {
            Some(aud) => format!("{error} (it is `{aud}`, and the audience of the API is `{audience}`)"),
            None => error.to_string(),
        },
        _ => error.to_string(),
    }
}
