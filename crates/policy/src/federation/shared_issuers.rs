//! Whose a token is: of an issuer that many tenants share, some of its claims say it.
//!
//! `shared_issuers.json` is data: the platforms, their claims, and the pages that say so. Whatever is not in it is
//! taken for an issuer of one tenant, such as that of a cluster.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use crate::{
    claim::{ClaimName, ClaimValue},
    condition::{ClaimTest, Condition},
};

/// The table.
static TABLE: LazyLock<IssuerTable> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is a part of the program, and a test reads it")]
    serde_json::from_str(include_str!("shared_issuers.json")).expect("the table of shared issuers")
});

#[derive(Debug, Deserialize)]
struct IssuerTable {
    shared: Vec<SharedIssuer>,
    own: Vec<OwnIssuer>,
}

/// A platform with one `iss` for all of its tenants.
#[derive(Debug, Deserialize)]
struct SharedIssuer {
    platform: String,
    issuer: String,
    /// Claims, or pointers, that say whose a token is by an id that is given out once.
    ids: Vec<String>,
    /// Claims that say it by a name that somebody else can register later, each with the id to use.
    names: BTreeMap<String, String>,
    /// What `sub` says, by its form: the first that fits.
    sub: Vec<SubForm>,
}

/// A platform with an `iss` for each tenant.
#[derive(Debug, Deserialize)]
struct OwnIssuer {
    platform: String,
    /// `{...}` stands for a text without `/`.
    issuer: String,
    #[serde(default)]
    names: BTreeMap<String, String>,
    /// The shared issuer whose claims it has.
    names_as: Option<String>,
}

/// What a `sub` of one form says.
#[derive(Debug, Deserialize)]
struct SubForm {
    /// What it begins with.
    begins: Option<String>,
    /// What stands between that and the next `:`.
    with: Option<String>,
    /// Of which kind the whole of it is.
    form: Option<WholeSub>,
    is: Tells,
    /// The claim to use in its place.
    r#use: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WholeSub {
    Uuid,
}

/// Whether somebody else can get the same later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tells {
    Id,
    Name,
}

impl SubForm {
    fn fits(&self, sub: &str) -> bool {
        let rest = self.begins.as_ref().map_or(Some(sub), |begins| sub.strip_prefix(begins.as_str()));
        rest.is_some_and(|rest| {
            let first = rest.split(':').next().unwrap_or_default();
            self.with.as_ref().is_none_or(|with| first.contains(with.as_str()))
                && self.form.is_none_or(|WholeSub::Uuid| is_uuid(rest))
        })
    }
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// What is known of the platform of an issuer.
pub(crate) struct Platform {
    /// What people call it.
    pub(crate) name: &'static str,
    /// Whether other tenants get tokens of the same issuer.
    pub(crate) is_shared: bool,
    ids: &'static [String],
    names: [Option<&'static BTreeMap<String, String>>; 2],
    sub: &'static [SubForm],
}

/// What conditions say of whose a token is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Whose<'c> {
    /// One tenant's, for good.
    Certain,
    /// That of whoever has these names: each claim with the one to use in its place.
    OfName(Vec<(&'c ClaimName, &'static str)>),
    /// Nothing.
    Anybodys,
}

impl Platform {
    /// The platform with this `iss`, if it is known.
    pub(crate) fn of(iss: &str) -> Option<Self> {
        let shared = |iss: &str| TABLE.shared.iter().find(|one| one.issuer == iss);
        if let Some(SharedIssuer { platform, ids, names, sub, .. }) = shared(iss) {
            return Some(Self { name: platform, is_shared: true, ids, names: [Some(names), None], sub });
        }
        let own = TABLE.own.iter().find(|own| fits(&own.issuer, iss))?;
        let like = own.names_as.as_deref().and_then(shared);
        Some(Self {
            name: &own.platform,
            is_shared: false,
            ids: like.map_or(&[], |like| &like.ids),
            names: [Some(&own.names), like.map(|like| &like.names)],
            sub: like.map_or(&[], |like| &like.sub),
        })
    }

    /// What these conditions, which must all hold, say of whose a token is.
    pub(crate) fn whose<'c>(&self, conditions: &'c [Condition]) -> Whose<'c> {
        let mut of_name = Vec::new();
        for condition in conditions {
            let Condition::Claim { name, test: ClaimTest::Is(_) | ClaimTest::In(_) } = condition else {
                continue;
            };
            match self.told_by(condition, name) {
                Some((Tells::Id, _)) => return Whose::Certain,
                Some((Tells::Name, instead)) => of_name.push((name, instead)),
                None => {}
            }
        }
        if of_name.is_empty() { Whose::Anybodys } else { Whose::OfName(of_name) }
    }

    /// The claims by which to say whose a token is.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &'static str> {
        self.ids.iter().map(String::as_str)
    }

    /// Whether the platform gives the claim as text. What says whose a token of a shared issuer is, is text, but for what
    /// is within another claim.
    pub(crate) fn has_as_text(&self, name: &ClaimName) -> bool {
        if !self.is_shared {
            return false;
        }
        let of_names = self.names.into_iter().flatten().flat_map(|names| names.keys());
        let known = self.ids.iter().chain(of_names).filter(|known| !known.starts_with('/'));
        known.map(String::as_str).chain(["sub"]).any(|known| is_called(name, known))
    }

    fn told_by(&self, condition: &Condition, name: &ClaimName) -> Option<(Tells, &'static str)> {
        let names = || self.names.into_iter().flatten();
        let is_id = self.ids.iter().chain(names().flat_map(BTreeMap::values)).any(|id| is_called(name, id));
        if is_id {
            return Some((Tells::Id, ""));
        }
        if let Some((_, instead)) = names().flatten().find(|(known, _)| is_called(name, known)) {
            return Some((Tells::Name, instead));
        }
        let Condition::Claim { test, .. } = condition else { return None };
        if !is_called(name, "sub") {
            return None;
        }
        // each value that would do must say it
        let forms = test.values().iter().map(|value| match value {
            ClaimValue::Text(sub) => self.sub.iter().find(|form| form.fits(sub)),
            ClaimValue::Whole(_) | ClaimValue::Truth(_) => None,
        });
        let forms = forms.collect::<Option<Vec<_>>>()?;
        match forms.iter().find(|form| form.is == Tells::Name) {
            Some(form) => Some((Tells::Name, form.r#use.as_deref().unwrap_or_default())),
            None => Some((Tells::Id, "")),
        }
    }
}

/// Whether the claim is the one of this name, or at this pointer.
fn is_called(name: &ClaimName, written: &str) -> bool {
    match written.strip_prefix('/') {
        Some(pointer) => name.names().into_iter().eq(pointer.split('/')),
        None => name.names() == [written],
    }
}

/// Whether a text is as a pattern says, in which `{...}` stands for a text without `/`.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('{') else { return pattern == text };
    let Some((_, after)) = rest.split_once('}') else { return pattern == text };
    let Some(text) = text.strip_prefix(before) else { return false };
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]).skip(1);
    ends.take_while(|end| text.get(..*end).is_some_and(|value| !value.contains('/')))
        .any(|end| text.get(end..).is_some_and(|text| fits(after, text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::federation::ForeignIssuer;

    fn is(name: &str, values: &[&str]) -> Condition {
        let name = ClaimName::parse_foreign(name, |name| name.into()).unwrap();
        let values = values.iter().map(|value| ClaimValue::Text((*value).into())).collect();
        Condition::Claim { name, test: ClaimTest::In(values) }
    }

    #[track_caller]
    fn told(iss: &str, name: &str, values: &[&str], expected: &str) {
        let condition = [is(name, values)];
        let platform = Platform::of(iss).unwrap();
        let told = match platform.whose(&condition) {
            Whose::Certain => "certain".to_owned(),
            Whose::OfName(names) => format!("name: {}", names[0].1),
            Whose::Anybodys => "anybody's".to_owned(),
        };
        assert_eq!(told, expected, "{iss} {name} {values:?}");
    }

    #[test]
    fn the_table_can_be_read_and_names_issuers_that_policies_can() {
        assert!(TABLE.shared.len() >= 6 && TABLE.own.len() >= 12);
        for shared in &TABLE.shared {
            assert!(ForeignIssuer::parse(&shared.issuer).is_ok(), "{}", shared.issuer);
            let uses = shared.sub.iter().filter_map(|form| form.r#use.as_ref()).chain(shared.names.values());
            for id in uses {
                assert!(shared.ids.contains(id), "{}: {id}", shared.platform);
            }
            assert!(shared.sub.iter().all(|form| (form.is == Tells::Name) == form.r#use.is_some()));
        }
        let like = TABLE.own.iter().filter_map(|own| own.names_as.as_ref());
        assert!(like.clone().count() > 0);
        assert!(like.clone().all(|like| TABLE.shared.iter().any(|shared| shared.issuer == *like)));
    }

    #[test]
    fn ids_tell_for_good_names_for_now_and_the_rest_nothing() {
        const GITHUB: &str = "https://token.actions.githubusercontent.com";
        const GOOGLE: &str = "https://accounts.google.com";
        const BUILDKITE: &str = "https://agent.buildkite.com";
        told(GITHUB, "repository_id", &["1"], "certain");
        told(GITHUB, "/repository_id", &["1"], "certain");
        told(GITHUB, "repository", &["a/b"], "name: repository_id");
        told(GITHUB, "repository_owner", &["a"], "name: repository_owner_id");
        told(GITHUB, "job_workflow_ref", &["a/b/.github/workflows/c.yml@refs/heads/main"], "anybody's");
        told(GITHUB, "environment", &["production"], "anybody's");
        told(GITHUB, "sub", &["repo:a/b:ref:refs/heads/main"], "name: repository_id");
        told(GITHUB, "sub", &["repo:a@1/b@2:ref:refs/heads/main"], "certain");
        told(GITHUB, "sub", &["repo:a@1/b@2:x", "repo:a/b:x"], "name: repository_id");
        told(GITHUB, "sub", &["repo:a/b:environment:x@1"], "name: repository_id");
        told(GITHUB, "sub", &["environment:production"], "anybody's");
        told(GITHUB, "sub", &["repo:a/b:x", "environment:production"], "anybody's");
        told(GOOGLE, "sub", &["1"], "certain");
        told(GOOGLE, "email", &["a@b.iam.gserviceaccount.com"], "name: sub");
        told(GOOGLE, "azp", &["1"], "anybody's");
        told(GOOGLE, "/google/compute_engine/project_id", &["a"], "certain");
        told(GOOGLE, "/google/compute_engine/zone", &["a"], "anybody's");
        told(BUILDKITE, "sub", &["organization:a:pipeline:b"], "name: pipeline_id");
        told(BUILDKITE, "sub", &["019040d5-7a4d-4e2a-8f5b-2f4c9b1f9a01"], "certain");
        told(BUILDKITE, "sub", &["019040d5"], "anybody's");
        told(BUILDKITE, "pipeline_slug", &["b"], "anybody's");
    }

    #[test]
    fn an_issuer_of_one_tenant_is_known_by_its_form() {
        for (iss, shared) in [
            ("https://token.actions.githubusercontent.com", Some(true)),
            ("https://token.actions.githubusercontent.com/acme", Some(false)),
            ("https://token.actions.acme.ghe.com", Some(false)),
            ("https://oidc.circleci.com/org/1", Some(false)),
            ("https://github.example.com/_services/token", Some(false)),
            ("https://token.actions.githubusercontent.com/acme/x", None),
            ("https://gitlab.example.com", Some(false)),
            ("https://cluster.example.com/x", None),
            ("http://127.0.0.1:8090", None),
        ] {
            assert_eq!(Platform::of(iss).map(|platform| platform.is_shared), shared, "{iss}");
        }
        told(
            "https://token.actions.githubusercontent.com/acme",
            "repository",
            &["a/b"],
            "name: repository_id",
        );
        told("https://gitlab.example.com", "project_path", &["a/b"], "name: project_id");
        told("https://gitlab.example.com", "sub", &["system:serviceaccount:a:b"], "anybody's");
        told(
            "https://oidc.circleci.com/org/1",
            "oidc.circleci.com/vcs-origin",
            &["x"],
            "name: oidc.circleci.com/project-id",
        );
        told("https://oidc.circleci.com/org/1", "oidc.circleci.com/project-id", &["x"], "certain");
    }
}
