//! Policies from a text, and subjects by hand: the core without HTTP.
use std::{fs, path::Path};

use jeton_oauth::{Audience, ClientId, Role, Scope, ScopeSet};
use jeton_policy::{DemoSecrets, Findings, Permissions, PolicySet, PolicySources, Surroundings};
use proptest::test_runner::Config as ProptestConfig;
use serde_json::Value;
use tempfile::TempDir;

/// What the policies of a test must fit.
pub(crate) fn surroundings(demo_secrets: DemoSecrets) -> Surroundings {
    Surroundings {
        issuer: Audience::parse("https://tokens.example.com").unwrap(),
        max_ttl: Some(24 * 60 * 60),
        demo_secrets,
        needed_apis: Vec::new(),
    }
}

/// The time at which the policies of a test are compiled.
pub(crate) fn now() -> jiff::Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// So many cases of a property, or as many as `PROPTEST_CASES` says.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().map(|cases| cases.parse().unwrap());
    ProptestConfig { cases: asked.unwrap_or(usual), failure_persistence: None, ..ProptestConfig::default() }
}

/// Compiles the files of a folder.
pub(crate) fn compile_folder(dir: &Path, demo_secrets: DemoSecrets) -> Result<PolicySet, Findings> {
    PolicySources::read(dir)
        .and_then(|sources| PolicySet::compile(&sources, &surroundings(demo_secrets), now()))
}

/// Compiles one file.
pub(crate) fn compile(text: &str) -> Result<PolicySet, Findings> {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("policies.yaml"), text).unwrap();
    compile_folder(dir.path(), DemoSecrets::Allowed)
}

/// Compiles one file that is right.
#[track_caller]
pub(crate) fn compile_good(text: &str) -> PolicySet {
    compile(text).unwrap_or_else(|findings| panic!("{findings}\n{text}"))
}

/// A subject with these scopes.
pub(crate) fn with_scopes(scopes: &[&str]) -> Permissions {
    let scopes: ScopeSet = scopes.iter().map(|scope| Scope::parse(scope).unwrap()).collect();
    Permissions { scopes, ..Permissions::default() }
}

/// A subject with these roles.
pub(crate) fn with_roles(roles: &[&str]) -> Permissions {
    let roles = roles.iter().map(|role| Role::parse(role).unwrap()).collect();
    Permissions { roles, ..Permissions::default() }
}

/// A subject of this client.
pub(crate) fn with_client(client: &str) -> Permissions {
    let client = Some(ClientId::parse(client).unwrap());
    Permissions { sub: client.clone(), client, ..Permissions::default() }
}

/// A subject with this claim.
pub(crate) fn with_claim(name: &str, value: impl Into<Value>) -> Permissions {
    let claims = [(name.to_owned(), value.into())].into_iter().collect();
    Permissions { claims, ..Permissions::default() }
}
