//! Why a request would be allowed or denied: a question, and who is meant to ask.

use jeton_oauth::Audience;
use jeton_policy::{Explanation, NoSuchClaims, Permissions, PolicySet};
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
    /// A token is for an API, and there is no such API.
    #[error("there is no API `{0}`")]
    NoApi(String),
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
    /// taken. Whoever asks need not hold it.
    ///
    /// # Errors
    /// [`NoAnswer`] for a client without a grant and for a token where there is no such API; and whatever `bearer`
    /// fails with.
    pub fn explain_by<E: From<NoAnswer>>(
        &self,
        policies: &PolicySet,
        bearer: impl FnOnce(&BearerToken, &Audience) -> Result<Result<InForce<VerifiedClaims>, String>, E>,
    ) -> Result<Explanation, E> {
        let Self { api, method, target, ref asker } = *self;
        match asker {
            ExplainedAsker::Nobody => Ok(policies.explain(api, method, target, None)),
            ExplainedAsker::Client(client) => Ok(self.explain_client(policies, client, &Map::new())?),
            ExplainedAsker::ClientWith(client, claims) => Ok(self.explain_client(policies, client, claims)?),
            ExplainedAsker::Bearer(permissions) => {
                let permissions = permissions.clone().with_scopes_of_roles(policies.roles());
                Ok(policies.explain(api, method, target, Some(&permissions.subject())))
            }
            ExplainedAsker::Token(token) => {
                let known = policies.api(api).ok_or_else(|| NoAnswer::NoApi(api.to_owned()))?;
                Ok(match bearer(token, known.audience())? {
                    Ok(claims) if known.bound_tokens() && claims.confirmation().is_none() => {
                        policies.explain_bad_token(api, method, target, "the token is not bound")
                    }
                    Ok(claims) => policies.explain(api, method, target, Some(&claims.judged())),
                    Err(why) => policies.explain_bad_token(api, method, target, &why),
                })
            }
        }
    }
}

impl ExplainedRequest<'_> {
    fn explain_client(
        &self,
        policies: &PolicySet,
        client: &str,
        claims: &Map<String, Value>,
    ) -> Result<Explanation, NoAnswer> {
        let Self { api, method, target, .. } = *self;
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
