//! Grants: from an authenticated client's request to what its token says.

mod approved;
mod client_credentials;
mod error;
mod refresh_token;
mod request;
mod target;
mod token_exchange;

pub use approved::NoTokenId;
pub(crate) use approved::random_id;
pub use approved::{ApprovedGrant, Lifetimes, StatusClaim};
pub use client_credentials::approve as approve_client_credentials;
pub use error::GrantError;
pub use refresh_token::{RefreshAbility, approve as approve_refresh};
pub use request::{RequestedAccess, TokenRequest};
pub use target::RequestedTarget;
pub use token_exchange::{ExchangeAbility, ExchangeRules, approve as approve_exchange};

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use jeton_oauth::{ApiName, Audience, ClientId, ErrorCode, Issuer, NoRandomness, ScopeSet, TokenId};
    use jeton_policy::clients::{Abilities, ApiGrant, Client, ClientKind, ClientState, IntrospectedApis};
    use serde_json::json;

    use super::*;
    use crate::{authenticate::AuthenticatedClient, binding::Binding};

    fn client(abilities: Abilities) -> AuthenticatedClient {
        AuthenticatedClient::pretended(with(abilities))
    }

    fn with(abilities: Abilities) -> Client {
        Client {
            id: ClientId::parse("c").unwrap(),
            state: ClientState::Enabled,
            kind: ClientKind::Named,
            secrets: Vec::new(),
            public_keys: Vec::new(),
            certificates: Vec::new(),
            bound_tokens: false,
            federated: Vec::new(),
            abilities,
            revoked_before: None,
            grants: Arc::new([]),
            claims: Arc::default(),
            ttl: None,
            limit: None,
        }
    }

    /// Whatever the policies say: what it would refresh came from a token that it has anyway.
    #[test]
    fn a_client_that_shows_a_platforms_token_has_no_refresh_tokens() {
        let abilities = Abilities { refresh: true, token_exchange: true, ..Abilities::default() };
        for claims in [json!({}), json!({ "repository": "octo-org/octo-repo" })] {
            let claims = claims.as_object().cloned().unwrap();
            let client = AuthenticatedClient::pretended_foreign(with(abilities.clone()), claims.clone());
            let refused = RefreshAbility::of(&client).err();
            assert_eq!(refused, Some(GrantError::NoRefreshByFederation));
            assert_eq!(refused.map(|error| error.code()), Some(ErrorCode::UnauthorizedClient));
            assert!(ExchangeAbility::of(&client).is_ok());
            assert_eq!(client.foreign_claims().is_some(), !claims.is_empty());
        }
    }

    #[test]
    fn a_client_has_the_abilities_that_the_policies_name_and_no_other() {
        let none = Abilities::default();
        let all = Abilities {
            token_exchange: true,
            refresh: true,
            introspect: IntrospectedApis::All,
            strict_assertions: true,
            status_list: Some(true),
        };
        for (name, abilities, may_refresh, may_exchange) in [
            ("none", none.clone(), false, false),
            ("refresh alone", Abilities { refresh: true, ..none.clone() }, true, false),
            ("exchange alone", Abilities { token_exchange: true, ..none }, false, true),
            ("all but refresh", Abilities { refresh: false, ..all.clone() }, false, true),
            ("all but exchange", Abilities { token_exchange: false, ..all.clone() }, true, false),
            ("all", all, true, true),
        ] {
            let client = client(abilities);
            check(name, RefreshAbility::of(&client).err(), may_refresh, "`refresh: true`");
            check(name, ExchangeAbility::of(&client).err(), may_exchange, "`token_exchange: true`");
        }
    }

    /// What came of a token with the longest name that there is gets none, and not for want of random bytes.
    #[test]
    fn a_name_that_would_be_too_long_is_told_as_that() {
        let client = client(Abilities::default());
        let grant = ApiGrant {
            api: ApiName::parse("orders").unwrap(),
            audience: Audience::parse("https://orders.example").unwrap(),
            scopes: ScopeSet::default(),
            roles: Vec::new(),
        };
        let lifetimes = Lifetimes {
            ttl: Duration::from_mins(1),
            max_ttl: Duration::from_mins(1),
            refresh_ttl: Duration::from_mins(1),
            refresh_grace: Duration::ZERO,
            leeway: Duration::ZERO,
        };
        let issuer = Issuer::parse("https://tokens.example").unwrap();
        let named_behind = |before: usize| {
            let scopes = ScopeSet::default();
            let approved =
                ApprovedGrant::own(client.client(), &grant, scopes, lifetimes, StatusClaim::OnRequest);
            let binding = Binding::pretended(None);
            approved.into_claims(&issuer, &binding, Some(&TokenId::parse(&"a".repeat(before)).unwrap()), 0)
        };
        assert!(named_behind(1).is_ok());
        let error = named_behind(512).err().unwrap();
        assert!(matches!(error, NoTokenId::Name(_)), "{error}");
        assert_eq!(NoTokenId::from(NoRandomness).to_string(), "the system gives no random bytes");
    }

    #[track_caller]
    fn check(name: &str, error: Option<GrantError>, expected: bool, needed: &str) {
        assert_eq!(error.is_none(), expected, "{name}: {needed}");
        if let Some(error) = error {
            assert_eq!(error.code(), ErrorCode::UnauthorizedClient, "{name}");
            assert!(error.to_string().contains(needed), "{name}: {error}");
        }
    }
}
