//! Tokens that are handed out again: within a window, who asks for the same gets the same.
//!
//! It serves fleets that ask for a token before every call, for such an answer costs no signature. Who asks is
//! let in, and what is asked for is approved, as for a new token; here stands only what was issued for that.

use std::{
    hash::RandomState,
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use jeton_oauth::{ApiName, ClientId, KeyId, ScopeSet, TokenId};
use jeton_policy::PolicySnapshot;
use quick_cache::{
    Weighter,
    sync::{Cache, DefaultLifecycle},
};

use crate::{binding::Binding, grant::ApprovedGrant, token::SignedToken};

/// How many tokens are kept, of at most [`USUAL_LENGTH`] each: some 7 MiB. Where there are more, those that
/// were asked for once go first.
const MOST_KEPT: usize = 4_096;
/// Up to this length, in bytes, a token counts as one.
const USUAL_LENGTH: usize = 1_024;

/// The tokens that may be handed out again: those that were issued under the policies in force.
pub struct TokenReuse {
    /// In seconds.
    window: i64,
    current: ArcSwap<ReusableTokens>,
}

/// The tokens that were issued under one snapshot of the policies, from which roles, claims and lifetimes
/// follow. Does not keep the snapshot alive.
pub(crate) struct ReusableTokens {
    snapshot: Weak<PolicySnapshot>,
    window: i64,
    tokens: Cache<GrantedAccess, Arc<KeptToken>, ByTokenLength, RandomState>,
}

/// What a client was granted, and to what its token is bound. However the scopes were written, they are one set.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct GrantedAccess {
    client: ClientId,
    api: ApiName,
    scopes: ScopeSet,
    binding: Binding,
}

/// A token that was issued a while ago.
pub(crate) struct KeptToken {
    /// The token itself.
    pub(crate) token: SignedToken,
    /// Its `jti`.
    pub(crate) token_id: TokenId,
    /// The key that signed it.
    pub(crate) kid: KeyId,
    /// `iat`, in seconds since 1970.
    pub(crate) issued_at: i64,
    /// `exp`, in seconds since 1970.
    pub(crate) expires_at: i64,
}

#[derive(Clone)]
struct ByTokenLength;

impl Weighter<GrantedAccess, Arc<KeptToken>> for ByTokenLength {
    fn weight(&self, _: &GrantedAccess, kept: &Arc<KeptToken>) -> u64 {
        u64::try_from(kept.token.as_str().len().div_ceil(USUAL_LENGTH)).unwrap_or(u64::MAX).max(1)
    }
}

impl TokenReuse {
    /// Hands tokens out again until they are as old as this (cut to whole seconds).
    pub fn within(window: Duration) -> Self {
        let window = i64::try_from(window.as_secs()).unwrap_or(i64::MAX);
        Self { window, current: ArcSwap::from_pointee(ReusableTokens::of(Weak::new(), window)) }
    }

    /// The tokens of a snapshot: those at hand, or none yet. Those of another one are let go.
    pub(crate) fn tokens_of(&self, snapshot: &Arc<PolicySnapshot>) -> Arc<ReusableTokens> {
        let current = self.current.load_full();
        if current.is_of(snapshot) {
            return current;
        }
        let new = Arc::new(ReusableTokens::of(Arc::downgrade(snapshot), self.window));
        let before = self.current.compare_and_swap(&current, Arc::clone(&new));
        // another thread may have been faster
        if before.is_of(snapshot) { Arc::clone(&before) } else { new }
    }
}

impl ReusableTokens {
    fn of(snapshot: Weak<PolicySnapshot>, window: i64) -> Self {
        let room = u64::try_from(MOST_KEPT).unwrap_or(u64::MAX);
        let tokens =
            Cache::with(MOST_KEPT, room, ByTokenLength, RandomState::new(), DefaultLifecycle::default());
        Self { snapshot, window, tokens }
    }

    fn is_of(&self, snapshot: &Arc<PolicySnapshot>) -> bool {
        std::ptr::eq(self.snapshot.as_ptr(), Arc::as_ptr(snapshot))
    }

    /// The token that was issued for this, if at `now` (seconds since 1970) it is young enough and `signing`
    /// still signs. Whether it was revoked is not looked at.
    pub(crate) fn find(&self, access: &GrantedAccess, now: i64, signing: &KeyId) -> Option<Arc<KeptToken>> {
        let kept = self.tokens.get(access)?;
        // one from the future was issued before the clock was set back
        let is_young = (0..self.window).contains(&now.saturating_sub(kept.issued_at));
        (is_young && now < kept.expires_at && kept.kid == *signing).then_some(kept)
    }

    /// Keeps a token, in the place of the former one for the same.
    pub(crate) fn keep(&self, access: GrantedAccess, token: KeptToken) {
        self.tokens.insert(access, Arc::new(token));
    }
}

impl GrantedAccess {
    pub(crate) fn of(approved: &ApprovedGrant, binding: Binding) -> Self {
        Self {
            client: approved.client().clone(),
            api: approved.api().clone(),
            scopes: approved.scopes().clone(),
            binding,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use jeton_oauth::{Issuer, clock::ManualClock};
    use jeton_policy::{DemoSecrets, LivePolicies, Reload, Surroundings};
    use jiff::Timestamp;
    use tempfile::TempDir;

    use super::*;

    fn access(number: usize) -> GrantedAccess {
        GrantedAccess {
            client: ClientId::parse(&format!("client-{number}")).unwrap(),
            api: ApiName::parse("orders").unwrap(),
            scopes: ScopeSet::parse("a b").unwrap(),
            binding: Binding::pretended(None),
        }
    }

    /// One that was issued at 1000 for an hour.
    fn token(length: usize) -> KeptToken {
        KeptToken {
            token: SignedToken::pretended("x".repeat(length)),
            token_id: TokenId::parse("j").unwrap(),
            kid: kid("k"),
            issued_at: 1_000,
            expires_at: 4_600,
        }
    }

    fn kid(name: &str) -> KeyId {
        KeyId::parse(name).unwrap()
    }

    #[test]
    fn a_token_is_found_while_it_is_as_good_as_a_new_one() {
        let reusable = ReusableTokens::of(Weak::new(), 600);
        reusable.keep(access(1), token(700));
        let forever = ReusableTokens::of(Weak::new(), i64::MAX);
        forever.keep(access(1), token(700));
        for (name, reusable, number, now, key, found) in [
            ("at once", &reusable, 1, 1_000, "k", true),
            ("at the last second", &reusable, 1, 1_599, "k", true),
            ("at the end of the window", &reusable, 1, 1_600, "k", false),
            ("from the future", &reusable, 1, 999, "k", false),
            ("the end of time", &reusable, 1, i64::MAX, "k", false),
            ("its beginning", &reusable, 1, i64::MIN, "k", false),
            ("another key signs", &reusable, 1, 1_000, "l", false),
            ("for somebody else", &reusable, 2, 1_000, "k", false),
            ("its last second", &forever, 1, 4_599, "k", true),
            ("expired", &forever, 1, 4_600, "k", false),
        ] {
            assert_eq!(reusable.find(&access(number), now, &kid(key)).is_some(), found, "{name}");
        }
    }

    #[test]
    fn the_bound_holds_for_tokens_of_any_length() {
        // each shard rounds up
        for (length, most) in [(700, MOST_KEPT + 256), (8_192, (MOST_KEPT + 256) / 8)] {
            let reusable = ReusableTokens::of(Weak::new(), 600);
            (0..20_000).for_each(|number| reusable.keep(access(number), token(length)));
            let kept = reusable.tokens.len();
            assert!((most / 2..=most).contains(&kept), "{kept} of {length} bytes");
        }
    }

    #[test]
    fn what_was_kept_under_other_policies_is_let_go_with_them() {
        let dir = TempDir::new().unwrap();
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        for entry in fs::read_dir(sample).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
        let surroundings = Surroundings {
            issuer: Issuer::parse("http://127.0.0.1:8080").unwrap().audience().clone(),
            max_ttl: Some(86_400),
            demo_secrets: DemoSecrets::Allowed,
            needed_apis: Vec::new(),
        };
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let policies = LivePolicies::load(dir.path(), surroundings, clock).unwrap();
        let reuse = TokenReuse::within(Duration::from_mins(10));
        let first = policies.snapshot();
        reuse.tokens_of(&first).keep(access(1), token(700));
        let find =
            |snapshot: &Arc<PolicySnapshot>| reuse.tokens_of(snapshot).find(&access(1), 1_000, &kid("k"));
        let found = Arc::downgrade(&find(&first).unwrap());
        fs::write(dir.path().join("more.yaml"), "version: 1\n").unwrap();
        assert!(matches!(policies.reload(), Reload::Reloaded { .. }));
        let before = Arc::downgrade(&first);
        drop(first);
        assert!(before.upgrade().is_none(), "policies are not kept alive by what was issued under them");
        assert!(find(&policies.snapshot()).is_none());
        assert!(found.upgrade().is_none(), "nor are the tokens");
    }
}
