//! What a policy file says, before anything in it is checked against the rest.
//!
//! One type per thing an operator writes; the names of the fields are the keys of the file. Where
//! several kinds of value may stand, the type is an enum whose variants are named `text`, `list` and
//! `map` ([`super::read`] picks by what it finds).

use serde::Deserialize;
use serde_json::{Map, Value};

use super::read::{Field, Items, Named, Read, Spanned};

/// Text with its place.
pub(super) type Text = Spanned<String>;

/// One file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Document {
    pub(super) version: Field<Spanned<u64>>,
    pub(super) scopes: Named<String>,
    pub(super) roles: Named<Items<Text>>,
    pub(super) apis: Named<Api>,
    pub(super) clients: Named<Client>,
    pub(super) tests: Items<Spanned<Test>>,
}

impl Document {
    /// Whether every name that it defines could be read.
    pub(super) fn names_are_whole(&self) -> bool {
        [self.scopes.1, self.roles.1, self.apis.1, self.clients.1].iter().all(|read| *read == Read::Whole)
    }
}

/// A protected API.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Api {
    pub(super) audience: Field<Text>,
    pub(super) rules: Named<Rule>,
    pub(super) guarantees: Named<Guarantee>,
}

/// Routes, and what a request to them needs.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) routes: Field<Items<Text>>,
    pub(super) public: Field<Spanned<bool>>,
    pub(super) require: Field<Spanned<Require>>,
}

/// What must hold on every path that these routes cover, whichever rule decides.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Guarantee {
    pub(super) routes: Field<Items<Text>>,
    pub(super) only_when: Field<Spanned<Require>>,
}

/// One alternative, or a list of which one must hold.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Require {
    Map(Box<Alternative>),
    List(Items<Spanned<Alternative>>),
}

/// Conditions that must all hold.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Alternative {
    pub(super) scope: Field<Text>,
    pub(super) all_scopes: Field<Spanned<Items<Text>>>,
    pub(super) any_scope: Field<Spanned<Items<Text>>>,
    pub(super) role: Field<Text>,
    pub(super) any_role: Field<Spanned<Items<Text>>>,
    pub(super) client: Field<Text>,
    pub(super) any_client: Field<Spanned<Items<Text>>>,
    pub(super) claims: Field<Spanned<Named<ClaimTest>>>,
}

/// What must hold of one claim; several operators must all hold.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ClaimTest {
    pub(super) is: Field<Spanned<Value>>,
    pub(super) r#in: Field<Spanned<Items<Spanned<Value>>>>,
    pub(super) contains: Field<Spanned<Value>>,
    pub(super) same_as_path: Field<Text>,
    pub(super) contains_path: Field<Text>,
}

/// A machine that may fetch tokens.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Client {
    pub(super) description: Field<String>,
    pub(super) enabled: Field<bool>,
    pub(super) anonymous: Field<bool>,
    pub(super) secrets: Items<Spanned<Secret>>,
    pub(super) grants: Named<Grant>,
    pub(super) claims: Named<Value>,
    pub(super) ttl: Field<Text>,
}

/// What is kept of a client's secret.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Secret {
    pub(super) sha256: Field<Text>,
    pub(super) expires: Field<Text>,
}

/// What a client may ask for at one API.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Grant {
    pub(super) roles: Items<Text>,
    pub(super) scopes: Items<Text>,
}

/// A test case: who asks, at which API, and what must come out.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Test {
    pub(super) r#as: Field<Spanned<TestSubject>>,
    pub(super) api: Field<Text>,
    pub(super) allow: Items<Text>,
    pub(super) deny: Items<Text>,
}

/// Who asks in a test case.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TestSubject {
    /// A client, with all it is granted at the API.
    Text(String),
    /// A bearer of just this.
    Map(Box<Bearer>),
}

/// What a token in a test case carries.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Bearer {
    pub(super) scopes: Items<Text>,
    pub(super) roles: Items<Text>,
    pub(super) claims: Map<String, Value>,
}
