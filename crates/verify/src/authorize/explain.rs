//! Why a request would be allowed or denied: a question, and who is meant to ask.

use jeton_oauth::{Audience, Confirmation};
use jeton_policy::{Explanation, NoSuchClaims, Permissions, PolicySet, ProtectedApi, did_you_mean};
use serde_json::{Map, Value};

use super::Authorizer;
use crate::{
    bundle::PoliciesUnknown,
    standing::{InForce, NotInForce},
    token::{BearerToken, VerifiedClaims},
};

/// A request that nobody sends, to be explained.
pub struct ExplainedRequest<'q> {
    /// The name of the API, as somebody wrote it.
    pub api: &'q str,
    /// The method.
    pub method: &'q str,
    /// The target below the prefix of the API.
    pub target: &'q str,
    /// Who is meant to ask.
    pub asker: ExplainedAsker<'q>,
}

/// Who is meant to ask.
#[non_exhaustive]
pub enum ExplainedAsker<'q> {
    /// Somebody without a token.
    Nobody,
    /// A client, with all that it is granted at the API.
    Client(&'q str),
    /// As [`Self::Client`], where these claims come from another issuer's token.
    ClientWith(&'q str, Map<String, Value>),
    /// A bearer of just these permissions, and of the scopes of its roles.
    Bearer(Permissions),
    /// The bearer of a token, which is verified first.
    Token(BearerToken),
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoAnswer {
    /// A token is for an API, and a client has grants at APIs, and there is no such API.
    #[error("there is no API `{0}`")]
    NoApi(String),
    /// There is no such client.
    #[error("there is no client `{client}`{}", hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default())]
    NoClient {
        /// The name of the client, as somebody wrote it.
        client: String,
        /// The one that may have been meant.
        hint: Option<String>,
    },
    /// Nothing is known of the policies.
    #[error(transparent)]
    NoPolicies(#[from] PoliciesUnknown),
    /// The client may ask for nothing there.
    #[error("client `{client}` has no grant for API `{api}`")]
    NoGrant {
        /// The client.
        client: String,
        /// The API.
        api: String,
    },
    /// No token of the client carries the claims.
    #[error(transparent)]
    NoSuchClaims(#[from] NoSuchClaims),
}

impl ExplainedRequest<'_> {
    /// Answers by `policies`, which need not be in force. `bearer` says what a token says, or why the token is not
    /// taken. Whoever asks need not hold it: what a bound token is bound to is not checked, and the hint says so.
    ///
    /// # Errors
    /// [`NoAnswer`] for a client that is not there or has no grant, and for a client and a token where there is no such
    /// API; and whatever `bearer` fails with.
    pub fn explain_by<E: From<NoAnswer>>(
        &self,
        policies: &PolicySet,
        bearer: impl FnOnce(&BearerToken, &Audience) -> Result<Result<InForce<VerifiedClaims>, String>, E>,
    ) -> Result<Explanation, E> {
        let Self { api, method, target, ref asker } = *self;
        let must_be_bound = policies.api(api).is_some_and(ProtectedApi::bound_tokens);
        let for_bound_tokens = must_be_bound.then(|| FOR_BOUND_TOKENS.to_owned());
        let (explanation, hint) = match asker {
            ExplainedAsker::Nobody => (
                policies.explain(api, method, target, None),
                must_be_bound.then(|| TAKES_BOUND_TOKENS.to_owned()),
            ),
            ExplainedAsker::Client(client) => {
                (self.explain_client(policies, client, &Map::new())?, for_bound_tokens)
            }
            ExplainedAsker::ClientWith(client, claims) => {
                (self.explain_client(policies, client, claims)?, for_bound_tokens)
            }
            ExplainedAsker::Bearer(permissions) => {
                let permissions = permissions.clone().with_scopes_of_roles(policies.roles());
                (policies.explain(api, method, target, Some(&permissions.subject())), for_bound_tokens)
            }
            ExplainedAsker::Token(token) => {
                let known = policies.api(api).ok_or_else(|| NoAnswer::NoApi(api.to_owned()))?;
                match bearer(token, known.audience())? {
                    Ok(claims) if must_be_bound && claims.confirmation().is_none() => {
                        (policies.explain_bad_token(api, method, target, "the token is not bound"), None)
                    }
                    Ok(claims) => (
                        policies.explain(api, method, target, Some(&claims.judged())),
                        claims.confirmation().map(to_be_shown),
                    ),
                    Err(why) => (policies.explain_bad_token(api, method, target, &why), None),
                }
            }
        };
        Ok(with_hint(explanation, hint))
    }
}

/// At an API with `bound_tokens: true`, to whoever asks without a token.
const TAKES_BOUND_TOKENS: &str = "the API takes bound tokens only (`bound_tokens`): a token must be bound to a key or \
                                  a certificate, and each request with it must prove that";
/// There, to whoever asks what permissions would do.
const FOR_BOUND_TOKENS: &str = "the API takes bound tokens only (`bound_tokens`): this is the answer for a token that is \
                                bound to a key or a certificate, in a request that proves it";

/// What a request must show beside a bound token.
fn to_be_shown(bound: Confirmation) -> String {
    let key = bound.jkt().map(|_| "a DPoP proof by its key");
    let certificate = bound.x5t_s256().map(|_| "its certificate");
    let shown: Vec<_> = key.into_iter().chain(certificate).collect();
    let shown = shown.join(" and ");
    format!("the token is bound: a request must also show {shown}, which cannot be checked here")
}

fn with_hint(mut explanation: Explanation, more: Option<String>) -> Explanation {
    let hints: Vec<_> = explanation.hint.take().into_iter().chain(more).collect();
    explanation.hint = (!hints.is_empty()).then(|| hints.join("; "));
    explanation
}

impl ExplainedRequest<'_> {
    fn explain_client(
        &self,
        policies: &PolicySet,
        client: &str,
        claims: &Map<String, Value>,
    ) -> Result<Explanation, NoAnswer> {
        let Self { api, method, target, .. } = *self;
        policies.api(api).ok_or_else(|| NoAnswer::NoApi(api.to_owned()))?;
        policies.clients().find(client).ok_or_else(|| NoAnswer::NoClient {
            client: client.to_owned(),
            hint: did_you_mean(client, policies.clients().iter().map(|known| known.id.as_str())),
        })?;
        let no_grant = || NoAnswer::NoGrant { client: client.to_owned(), api: api.to_owned() };
        policies.explain_client(api, method, target, client, claims)?.ok_or_else(no_grant)
    }
}

impl Authorizer {
    /// Explains how a request to any API would be decided now. As [`Self::decide`], it waits for a key or a status list
    /// that a token needs and that was not fetched yet. Nobody is told.
    ///
    /// # Errors
    /// As [`ExplainedRequest::explain_by`].
    pub async fn explain(&self, question: &ExplainedRequest<'_>) -> Result<Explanation, NoAnswer> {
        let mut fetched = None;
        loop {
            let mut lacking = None;
            let explained = self.policies.ask(|policies| {
                question.explain_by(policies, |token, audience| {
                    let bearer = self.standing.verify(&self.verifier, policies, token, audience);
                    if let Err(NotInForce::Ended(error)) = &bearer {
                        lacking = self.missing(error, fetched.as_ref());
                    }
                    Ok(bearer.map_err(|not_in_force| not_in_force.to_string()))
                })
            });
            let Some(missing) = lacking else { return explained? };
            self.fetch(&missing).await;
            fetched = Some(missing);
        }
    }
}
