//! One entry of `federated`: conditions on a token, and what is taken over from it.

use std::fmt;

use jeton_oauth::{
    IssuerName,
    text::{printable, shortened},
};
use serde_json::{Map, Value};

use crate::{
    claim::{Claim, ClaimName, Types},
    condition::{Alternative, Condition},
};

/// Which tokens of an issuer stand for a client, and which of their claims the client's own tokens take over.
#[derive(Clone, Debug, PartialEq)]
pub struct FederatedTerms {
    issuer: IssuerName,
    /// Each on a claim. They must all hold.
    conditions: Box<[Condition]>,
    claims_from: Box<[(Box<str>, ClaimName)]>,
}

/// A condition on a claim, and what the claim is instead. All of it is on one line and safe to print, and long values
/// lose their middle.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DifferingClaim {
    /// The name of the claim or the pointer into it, as the policies have it.
    pub claim: String,
    /// What the policies want of it: ``is `refs/heads/main` ``.
    pub wanted: String,
    /// What the token has: the value, or that there is no such claim.
    pub found: String,
}

/// How many characters of a value are shown.
const LONGEST_SHOWN: usize = 200;

impl fmt::Display for DifferingClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { claim, wanted, found } = self;
        write!(f, "claim {claim} {wanted}: {found}")
    }
}

impl FederatedTerms {
    pub(crate) fn new(
        issuer: IssuerName,
        conditions: Vec<Condition>,
        claims_from: Vec<(Box<str>, ClaimName)>,
    ) -> Self {
        Self { issuer, conditions: conditions.into(), claims_from: claims_from.into() }
    }

    /// Whose tokens.
    pub fn issuer(&self) -> &IssuerName {
        &self.issuer
    }

    /// The conditions in words, in the order of the file: the claim, and what must hold of it.
    pub fn conditions(&self) -> impl Iterator<Item = (String, String)> {
        self.tests().map(|(name, test)| (printable(&name.to_string()), printable(&test.to_string())))
    }

    /// The claims of the client's own tokens that come from the other issuer's: their names, and what they come from.
    pub fn claims_from(&self) -> impl Iterator<Item = (&str, String)> {
        self.claims_from.iter().map(|(name, source)| (&**name, source.to_string()))
    }

    /// As [`Self::claims_from`], with what they come from as conditions name it.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&str, &ClaimName)> {
        self.claims_from.iter().map(|(name, source)| (&**name, source))
    }

    pub(crate) fn tests(&self) -> impl Iterator<Item = (&ClaimName, &crate::condition::ClaimTest)> {
        self.conditions.iter().filter_map(|condition| match condition {
            Condition::Claim { name, test } => Some((name, test)),
            _ => None,
        })
    }

    /// The conditions, as those of rules.
    pub(crate) fn as_alternative(&self) -> Alternative<'_> {
        Alternative(&self.conditions)
    }

    /// Whether all conditions hold for a token with these claims. Without a condition none holds.
    pub(super) fn hold(&self, claims: &Map<String, Value>) -> bool {
        !self.conditions.is_empty()
            && self.tests().all(|(name, test)| {
                name.find_in(claims).is_some_and(|claim| test.holds_anywhere(Claim::of(claim)))
            })
    }

    /// Each condition that does not hold for a token with these claims.
    pub(super) fn differing(&self, claims: &Map<String, Value>) -> Vec<DifferingClaim> {
        let each = self.tests().filter_map(|(name, test)| {
            let found = match name.find_in(claims).map(Claim::of) {
                None => "there is no such claim".to_owned(),
                Some(claim) if test.holds_anywhere(claim) => return None,
                Some(claim) => {
                    let types = test.types();
                    let but = if types.meets(Types::of(claim)) {
                        String::new()
                    } else {
                        format!(", {}", types.but(claim))
                    };
                    format!("it is {}{but}", short(&claim.to_string()))
                }
            };
            Some(DifferingClaim {
                claim: printable(&name.to_string()),
                wanted: short(&test.to_string()),
                found,
            })
        });
        each.collect()
    }

    /// What the client's tokens take over.
    ///
    /// # Errors
    /// Each claim that is not there. Nothing and an object are no claim to take over.
    pub(super) fn taken_over(
        &self,
        claims: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Vec<DifferingClaim>> {
        let mut taken = Map::new();
        let mut missing = Vec::new();
        for (name, source) in &self.claims_from {
            let found = match source.find_in(claims) {
                None => "there is no such claim",
                Some(Value::Null) => "it is nothing",
                Some(Value::Object(_)) => "it is an object",
                Some(value) => {
                    taken.insert(name.to_string(), value.clone());
                    continue;
                }
            };
            missing.push(DifferingClaim {
                claim: printable(&source.to_string()),
                wanted: printable(&format!("is taken over as `{name}`")),
                found: found.to_owned(),
            });
        }
        if missing.is_empty() { Ok(taken) } else { Err(missing) }
    }
}

/// The issuer and the conditions: ``github with repository_id is `456789`, ref in [refs/heads/main]``.
impl fmt::Display for FederatedTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.issuer.as_str())?;
        for (position, (claim, wanted)) in self.conditions().enumerate() {
            write!(f, "{} {claim} {wanted}", if position > 0 { "," } else { " with" })?;
        }
        Ok(())
    }
}

/// A value that others may have written, safe to print and cut to what fits on a screen.
fn short(value: &str) -> String {
    shortened(&printable(value), LONGEST_SHOWN).into_owned()
}
