//! The first flow: a client's request to a signed token.

use std::sync::Arc;

use jeton_oauth::{ApiName, ClientId, Confirmation, Issuer, KeyId, ScopeSet, TokenId, clock::Clock};
use jeton_policy::{LivePolicies, PolicySet, PolicySnapshot, ProtectedApi};
use jeton_verify::{
    BearerToken, NotInForce, RevocationsUnknown, Shown, Standing, TokenError, TokenOrigin, VerifiedClaims,
    Verifier,
};
use jiff::Timestamp;

use crate::{
    authenticate::{AuthenticatedClient, AuthenticationError, Authenticator, ClientCredentials},
    binding::{Binding, BindingError, CertificateUse, ProvenBinding, TokenBinder},
    event,
    federation::ForeignOrigin,
    grant::{
        self, ApprovedGrant, ExchangeAbility, GrantError, Lifetimes, NoTokenId, RefreshAbility,
        RequestedAccess, StatusClaim, TokenRequest,
    },
    keys::{LiveKeys, SigningError},
    limits::{Limits, RateLimited},
    reuse::{GrantedAccess, KeptToken, ReusableTokens, TokenReuse},
    store::{FamilyAdvance, RefreshUse, SharedStore, Store, StoreError},
    token::{RefreshClaims, SignedToken, VerifiedRefresh},
};

/// Issues the tokens of one issuer.
pub struct TokenIssuer {
    /// The `iss` of every token.
    pub issuer: Issuer,
    /// The keys, of which one signs.
    pub keys: Arc<LiveKeys>,
    /// The clients and what they are granted.
    pub policies: Arc<LivePolicies>,
    /// Lets clients in.
    pub authenticator: Arc<Authenticator>,
    /// Binds tokens to what requests show.
    pub binder: TokenBinder,
    /// How often clients may ask.
    pub limits: Arc<Limits>,
    /// Opens tokens that clients bring.
    pub verifier: Verifier,
    /// Tells which of them are in force.
    pub standing: Standing,
    /// Where families of refresh tokens are followed, if it is shared.
    pub store: Arc<Store>,
    /// How long tokens live.
    pub lifetimes: Lifetimes,
    /// Tokens that may be handed out again, if that is wanted.
    pub reuse: Option<TokenReuse>,
    /// Whether tokens point to a status list where the policies do not say.
    pub status_claim: StatusClaim,
    /// The most exchanges that may lead to one token.
    pub max_exchanges: u32,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// A token and what the answer and the log say of it.
pub struct IssuedToken {
    /// The token itself.
    pub token: SignedToken,
    /// The refresh token that goes with it.
    pub refresh_token: Option<SignedToken>,
    /// Its `jti`.
    pub token_id: TokenId,
    /// The client that asked; the token of an anonymous client does not name it.
    pub client: ClientId,
    /// The client to which the permissions were granted, after an exchange.
    pub subject: Option<ClientId>,
    /// The API for which it is.
    pub api: ApiName,
    /// What it allows.
    pub scopes: ScopeSet,
    /// Its lifetime in seconds from now on.
    pub expires_in: u64,
    /// The key that signed it.
    pub kid: KeyId,
    /// What it is bound to, if it is bound.
    pub bound_to: Option<Confirmation>,
    /// The nonce for the client's next proof, if proofs need any.
    pub next_nonce: Option<String>,
    /// Whether it was handed out before.
    pub is_reused: bool,
    /// The token of another issuer that showed who the client is, if that is how it did.
    pub foreign: Option<ForeignOrigin>,
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssuanceRefused {
    /// The client did not show who it is.
    #[error(transparent)]
    Unauthenticated(AuthenticationError),
    /// What the request shows cannot bind a token.
    #[error("{error}")]
    Unbound {
        /// The client, once it has shown who it is.
        client: Option<ClientId>,
        /// Why.
        error: BindingError,
    },
    /// The client asks more often than it may.
    #[error("{limited}")]
    RateLimited {
        /// The client.
        client: ClientId,
        /// How often it may, and when again.
        limited: RateLimited,
    },
    /// The client asks for what it cannot have.
    #[error("{error}")]
    NotGranted {
        /// The client.
        client: ClientId,
        /// Why.
        error: GrantError,
        /// What the client is not told.
        detail: Option<String>,
    },
    /// The token would be longer than a verifier takes.
    #[error("the token would be longer than 8 KiB: ask for fewer scopes")]
    TooLong {
        /// The client.
        client: ClientId,
    },
    /// The store must be asked and cannot be asked now; a fault of ours.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
    /// What was revoked must be known and is not known yet; a fault of ours.
    #[error(transparent)]
    RevocationsUnknown(#[from] RevocationsUnknown),
    /// The token has no name; a fault of ours.
    #[error("the token could not be named: {0}")]
    Unnamed(#[from] NoTokenId),
    /// The token could not be signed; a fault of ours.
    #[error("the token could not be signed: {0}")]
    Failed(#[from] SigningError),
}

/// One request on its way: who asks, when, under which policies.
struct Issuance<'i> {
    issuer: &'i TokenIssuer,
    snapshot: &'i Arc<PolicySnapshot>,
    policies: &'i PolicySet,
    client: AuthenticatedClient,
    proven: ProvenBinding,
    now: i64,
}

impl TokenIssuer {
    /// Credentials, to an authenticated client, to an approved grant, to claims, to a signed token.
    ///
    /// # Errors
    /// [`IssuanceRefused`], of which the client learns the grant's error in full and of authentication nothing.
    pub async fn issue(
        &self,
        credentials: &ClientCredentials,
        request: &TokenRequest,
        shown: &Shown<'_>,
    ) -> Result<IssuedToken, IssuanceRefused> {
        let now: Timestamp = self.clock.now();
        let snapshot = self.policies.snapshot();
        let policies = &snapshot.policies;
        // before all else: a bad proof, or one that lacks a nonce, uses up no assertion, and tells nothing of clients
        let proven = self.binder.prove(shown, now.as_second());
        let proven = proven.map_err(|error| IssuanceRefused::Unbound { client: None, error })?;
        let client = self.authenticator.authenticate(policies, credentials, &proven, now).await;
        let client = client.map_err(IssuanceRefused::Unauthenticated)?;
        self.limits.count_token_request(client.client()).map_err(|limited| IssuanceRefused::RateLimited {
            client: client.client().id.clone(),
            limited,
        })?;
        let issuance =
            Issuance { issuer: self, snapshot: &snapshot, policies, client, proven, now: now.as_second() };
        match request {
            // whose subject token was the client's credentials
            TokenRequest::ClientCredentials(access) | TokenRequest::ForeignExchange(access) => {
                issuance.client_credentials(access).await
            }
            TokenRequest::RefreshToken { refresh_token, access } => {
                issuance.refresh(refresh_token, access).await
            }
            TokenRequest::TokenExchange { subject_token, access } => {
                issuance.exchange(subject_token, access).await
            }
        }
    }
}

impl Issuance<'_> {
    async fn client_credentials(&self, access: &RequestedAccess) -> Result<IssuedToken, IssuanceRefused> {
        let TokenIssuer { lifetimes, status_claim, .. } = *self.issuer;
        let approved = grant::approve_client_credentials(&self.client, access, lifetimes, status_claim)
            .map_err(|error| self.refuse(error))?;
        let binding = self.bind(&approved, None).await?;
        if let Ok(ability) = RefreshAbility::of(&self.client) {
            // each family begins with a token of its own
            let first = self.first_refresh(ability, &approved)?;
            let family = first.family.clone();
            return self.sign(approved, binding, Some(&family), Some(first)).await;
        }
        // what a token of another issuer gives may be another value next time
        let reuse = self.issuer.reuse.as_ref().filter(|_| self.client.foreign_claims().is_none());
        let Some(reuse) = reuse else { return self.sign(approved, binding, None, None).await };
        let (tokens, granted) = (reuse.tokens_of(self.snapshot), GrantedAccess::of(&approved, binding));
        if let Some(again) = self.find_issued(&tokens, &granted, &approved, binding) {
            return Ok(again);
        }
        let issued = self.sign(approved, binding, None, None).await?;
        let kept = KeptToken {
            token: issued.token.clone(),
            token_id: issued.token_id.clone(),
            kid: issued.kid.clone(),
            issued_at: self.now,
            expires_at: self.now.saturating_add_unsigned(issued.expires_in),
        };
        tokens.keep(granted, kept);
        Ok(issued)
    }

    /// The token that was issued for the same a moment ago, if it is as good as a new one. Where revocations are
    /// not known, none is.
    fn find_issued(
        &self,
        tokens: &ReusableTokens,
        granted: &GrantedAccess,
        approved: &ApprovedGrant,
        binding: Binding,
    ) -> Option<IssuedToken> {
        let kept = tokens.find(granted, self.now, self.issuer.keys.ring().signing().kid())?;
        let client = approved.client();
        // an anonymous client's token does not name it, and ends with it all the same
        let origin = TokenOrigin {
            token_id: &kept.token_id,
            subject: Some(client),
            client: None,
            issued_at: kept.issued_at,
            authenticated_at: kept.issued_at,
            earlier_actors: &[],
        };
        self.issuer.standing.check_origin(self.policies, &origin).ok()?;
        Some(IssuedToken {
            token: kept.token.clone(),
            refresh_token: None,
            token_id: kept.token_id.clone(),
            client: client.clone(),
            subject: None,
            api: approved.api().clone(),
            scopes: approved.scopes().clone(),
            expires_in: u64::try_from(kept.expires_at.saturating_sub(self.now)).ok()?,
            kid: kept.kid.clone(),
            bound_to: binding.confirmation().copied(),
            next_nonce: self.next_nonce(),
            is_reused: true,
            foreign: self.client.foreign_origin().cloned(),
        })
    }

    async fn refresh(
        &self,
        token: &BearerToken,
        access: &RequestedAccess,
    ) -> Result<IssuedToken, IssuanceRefused> {
        let ability = RefreshAbility::of(&self.client).map_err(|error| self.refuse(error))?;
        let bad = |detail: String| self.refuse_for(GrantError::BadRefreshToken, detail);
        let verified =
            VerifiedRefresh::verify(&self.issuer.verifier, token).map_err(|error| bad(error.to_string()))?;
        // the leeway is for clocks that differ, and this one is the clock that set `exp`
        if verified.expires_at() <= self.now {
            return Err(bad(TokenError::Expired.to_string()));
        }
        let verified = match self.issuer.standing.in_force(self.policies, verified) {
            Ok(in_force) => in_force,
            Err(NotInForce::Ended(error)) => return Err(bad(error.to_string())),
            Err(NotInForce::Unknown(unknown)) => return Err(unknown.into()),
        };
        let TokenIssuer { lifetimes, status_claim, .. } = *self.issuer;
        let approved = grant::approve_refresh(ability, &verified, access, lifetimes, status_claim)
            .map_err(|error| self.refuse(error))?;
        let shared = self.issuer.store.shared();
        let next = shared.map(|_| verified.next(self.now));
        let asked = access.scopes().map_err(|error| self.refuse(error))?.unwrap_or(verified.scopes());
        let binding = self.bind(&approved, None).await?;
        let issued = self.sign(approved, binding, Some(verified.family()), next).await?;
        // last of all: a request that fails for another reason uses nothing up
        if let Some(store) = shared {
            self.advance(store, &verified, asked).await?;
        }
        Ok(issued)
    }

    /// Uses a refresh token up. One that was used before is in two hands: with its family end the access
    /// tokens that the family brought (RFC 9700 section 4.14.2). A retry is no second use: it brings the same generation.
    /// A retry asks for the same scopes; what is granted of them does not count, since a policy edit can change it.
    async fn advance(
        &self,
        store: &SharedStore,
        token: &VerifiedRefresh,
        asked: &ScopeSet,
    ) -> Result<(), IssuanceRefused> {
        let family = token.family();
        let lifetimes = self.issuer.lifetimes;
        let used = RefreshUse {
            family,
            generation: token.generation(),
            scopes: asked,
            until: lifetimes.family_end(token),
            grace: lifetimes.refresh_grace,
        };
        let detail = match store.advance(&used).await? {
            FamilyAdvance::Taken => return Ok(()),
            FamilyAdvance::Retried => {
                let client = token.client().as_str();
                event::RefreshRetried { client, family: family.as_str() }.info();
                return Ok(());
            }
            FamilyAdvance::Ended => "its family was ended",
            FamilyAdvance::Reused => {
                let client = token.client().as_str();
                event::RefreshReused { client, family: family.as_str() }.warn();
                "it was used before: its family is ended now"
            }
        };
        // of an ended one too: whoever ended it may have been cut off before this
        store.revoke(family, lifetimes.family_tokens_end(token)).await?;
        Err(self.refuse_for(GrantError::BadRefreshToken, detail.to_owned()))
    }

    async fn exchange(
        &self,
        subject: &BearerToken,
        access: &RequestedAccess,
    ) -> Result<IssuedToken, IssuanceRefused> {
        let ability = ExchangeAbility::of(&self.client).map_err(|error| self.refuse(error))?;
        let bad = |error| self.refuse(GrantError::BadSubjectToken(error));
        let verified = self.issuer.verifier.verify_for_any(subject).map_err(bad)?;
        // the leeway is for clocks that differ, and this one is the clock that set `exp`
        if verified.expires_at() <= self.now {
            return Err(bad(TokenError::Expired));
        }
        let verified = match self.issuer.standing.in_force(self.policies, verified) {
            Ok(in_force) => in_force,
            Err(NotInForce::Ended(error)) => return Err(bad(error)),
            Err(NotInForce::Unknown(unknown)) => return Err(unknown.into()),
        };
        let TokenIssuer { lifetimes, max_exchanges, .. } = *self.issuer;
        let own_api = self.issuer.issuer.audience();
        let rules = grant::ExchangeRules {
            policies: self.policies,
            own_api,
            lifetimes,
            max_exchanges,
            now: self.now,
        };
        let approved = grant::approve_exchange(ability, &verified, access, &rules)
            .map_err(|error| self.refuse(error))?;
        let binding = self.bind(&approved, Some(&verified)).await?;
        self.sign(approved, binding, Some(verified.token_id()), None).await
    }

    /// The first refresh token of a new family. The store is not asked: it learns of a family when it is used.
    fn first_refresh(
        &self,
        ability: RefreshAbility<'_>,
        approved: &ApprovedGrant,
    ) -> Result<RefreshClaims, IssuanceRefused> {
        let lifetime = self.issuer.lifetimes.refresh_ttl.as_secs();
        Ok(RefreshClaims {
            issuer: self.issuer.issuer.clone(),
            client: ability.client().id.clone(),
            family: grant::random_id()?,
            generation: 0,
            audience: approved.audience().clone(),
            scopes: approved.scopes().clone(),
            issued_at: self.now,
            authenticated_at: self.now,
            expires_at: self.now.saturating_add_unsigned(lifetime),
        })
    }

    /// The binding of the new token, which comes of `subject` if it is exchanged. A request that is refused for another
    /// reason uses no proof up, so nothing but the signature comes after this.
    async fn bind(
        &self,
        approved: &ApprovedGrant,
        subject: Option<&VerifiedClaims>,
    ) -> Result<Binding, IssuanceRefused> {
        let client = self.client.client();
        // beside another authentication it may be that of a mesh or of a proxy, and change with each connection
        let binds = client.bound_tokens || self.client.is_by_certificate();
        let certificate = if binds { CertificateUse::Binds } else { CertificateUse::Ignored };
        if self.proven.confirmation(certificate).is_none() {
            if client.bound_tokens {
                return Err(self.refuse(GrantError::UnboundForClient));
            }
            if self.policies.api(approved.api().as_str()).is_some_and(ProtectedApi::bound_tokens) {
                return Err(self.refuse(GrantError::UnboundForApi));
            }
            // else a stolen token, which nobody else can use, would bring one that everybody can
            if subject.is_some_and(|subject| subject.confirmation().is_some()) {
                return Err(self.refuse(GrantError::UnboundForSubject));
            }
        }
        self.issuer.binder.use_up(&self.proven, certificate).await.map_err(|error| match error {
            BindingError::Unavailable(error) => error.into(),
            error => IssuanceRefused::Unbound { client: Some(client.id.clone()), error },
        })
    }

    fn next_nonce(&self) -> Option<String> {
        self.issuer.binder.next_nonce(&self.proven, self.now)
    }

    async fn sign(
        &self,
        approved: ApprovedGrant,
        binding: Binding,
        comes_from: Option<&TokenId>,
        refresh: Option<RefreshClaims>,
    ) -> Result<IssuedToken, IssuanceRefused> {
        let ring = self.issuer.keys.ring();
        let key = ring.signing();
        let (client, api, expires_in) = (approved.client().clone(), approved.api().clone(), approved.ttl());
        let claims = approved.into_claims(&self.issuer.issuer, &binding, comes_from, self.now)?;
        let token = SignedToken::sign(&claims, key).await?;
        let refresh_token = match refresh {
            Some(refresh) => Some(SignedToken::sign_refresh(&refresh, key).await?),
            None => None,
        };
        let is_long = |token: &SignedToken| token.as_str().len() > BearerToken::LONGEST;
        if is_long(&token) || refresh_token.as_ref().is_some_and(is_long) {
            return Err(IssuanceRefused::TooLong { client });
        }
        Ok(IssuedToken {
            token,
            refresh_token,
            token_id: claims.token_id,
            subject: claims.named.map(|named| named.subject).filter(|subject| *subject != client),
            client,
            api,
            scopes: claims.scopes,
            expires_in,
            kid: key.kid().clone(),
            bound_to: claims.confirmation,
            next_nonce: self.next_nonce(),
            is_reused: false,
            foreign: self.client.foreign_origin().cloned(),
        })
    }

    fn refuse(&self, error: GrantError) -> IssuanceRefused {
        let detail = match &error {
            GrantError::BadSubjectToken(why) => Some(why.to_string()),
            _ => None,
        };
        IssuanceRefused::NotGranted { client: self.client.client().id.clone(), error, detail }
    }

    fn refuse_for(&self, error: GrantError, detail: String) -> IssuanceRefused {
        IssuanceRefused::NotGranted { client: self.client.client().id.clone(), error, detail: Some(detail) }
    }
}
