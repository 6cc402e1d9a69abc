//! What a client gains or loses by claims that its tokens take over from those of another issuer.

use std::collections::BTreeMap;

use crate::{
    claim::ClaimName,
    client_tokens::ClientTokens,
    condition::{Alternative, Condition},
    path::CanonicalPath,
    space::Beyond,
    subject::Permissions,
};

/// What passes on a path: tokens of a client, and what they ask of claims that are taken over. Nothing asked is any token.
pub(super) struct PassingTokens<'a, 'p> {
    pub(super) tokens: Option<&'a ClientTokens<'p>>,
    pub(super) asked: Vec<Vec<Condition>>,
    /// Whether none of the claims matters, whatever holds of them anyway.
    is_free: bool,
}

/// A token that passes on one side alone.
pub(super) struct TokenBeyond {
    /// What it carries, or what others carry instead, in words; `None` where any token of the client is meant.
    pub(super) words: Option<String>,
    pub(super) token: Permissions,
}

impl<'a, 'p> PassingTokens<'a, 'p> {
    /// By the alternatives of a rule; `None` is a public one.
    pub(super) fn of<'c>(
        tokens: Option<&'a ClientTokens<'p>>,
        alternatives: Option<impl Iterator<Item = Alternative<'c>>>,
        path: &CanonicalPath<'_>,
    ) -> Self {
        let Some(alternatives) = alternatives else {
            return Self { tokens, asked: vec![Vec::new()], is_free: true };
        };
        let Some(known) = tokens else { return Self { tokens, asked: Vec::new(), is_free: false } };
        let alternatives: Vec<_> = alternatives.collect();
        let is_free = alternatives.iter().any(|alternative| alternative.holds(&known.base.subject(), path));
        Self { tokens, asked: known.asked(alternatives.into_iter(), path), is_free }
    }

    /// The smallest tokens of these that are not among others.
    pub(super) fn beyond(&self, others: &Self, path: &CanonicalPath<'_>) -> Vec<TokenBeyond> {
        if others.is_free {
            return Vec::new();
        }
        let base = self.tokens.map(|tokens| tokens.base.clone()).unwrap_or_default();
        let others_asked = others.asked.iter().filter_map(|asked| lacking(asked, &base, path));
        let others_asked: Vec<Vec<Condition>> = others_asked.collect();
        if others_asked.iter().any(Vec::is_empty) {
            return Vec::new();
        }
        let alternatives: Vec<_> = others_asked.iter().map(|asked| Alternative(asked)).collect();
        let roles = BTreeMap::new();
        let names = self.tokens.map(ClientTokens::open_claims).unwrap_or_default();
        let no_objects: Vec<_> = names.into_iter().map(|name| ClaimName::at(&[name])).collect();
        let beyond =
            Beyond { path, roles: &roles, others: &alternatives, others_path: path, no_objects: &no_objects };
        let mut found: Vec<TokenBeyond> = Vec::new();
        for asked in &self.asked {
            if asked.is_empty() {
                let but: Vec<_> =
                    others.asked.iter().map(|asked| others.in_words(&worded(asked), asked)).collect();
                let words = (!but.is_empty()).then(|| format!("its token lacks {}", but.join(", or ")));
                return vec![TokenBeyond { words, token: base }];
            }
            for (words, token) in beyond.all(Alternative(asked)) {
                let words = format!("its token has {}", self.in_words(&words, asked));
                let token = Permissions {
                    claims: base.claims.clone().into_iter().chain(token.claims).collect(),
                    ..base.clone()
                };
                found.push(TokenBeyond { words: Some(words), token });
            }
        }
        found
    }

    /// With whose tokens the claims come from.
    fn in_words(&self, words: &str, asked: &[Condition]) -> String {
        let names = asked.iter().filter_map(|condition| match condition {
            Condition::Claim { name, .. } => Some(name),
            _ => None,
        });
        let mut origins: Vec<_> = names.filter_map(|name| self.tokens?.origin(name)).collect();
        origins.dedup();
        if origins.is_empty() { words.to_owned() } else { format!("{words} (from {})", origins.join(", ")) }
    }
}

/// What of this a bearer does not have; `None` where it has another value.
fn lacking(asked: &[Condition], base: &Permissions, path: &CanonicalPath<'_>) -> Option<Vec<Condition>> {
    let open = |condition: &&Condition| !condition.holds(&base.subject(), path);
    let open: Vec<_> = asked.iter().filter(open).cloned().collect();
    let is_free = |condition: &Condition| match condition {
        Condition::Claim { name, .. } => !base.claims.contains_key(name.root()),
        _ => false,
    };
    open.iter().all(is_free).then_some(open)
}

fn worded(asked: &[Condition]) -> String {
    asked.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
