//! Clients: their public keys, what they may do beside fetching tokens, and what is revoked.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use jeton_jose::{ForeignKey, ForeignKeys, InvalidPublicKey};
use jeton_oauth::{ApiName, TokenId};
use jiff::Timestamp;
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;

use super::report::{CompileReport, DefinedNames};
use crate::{
    clients::{Abilities, IntrospectedApis, MOST_KEYS},
    document::{self, Introspect, PolicyDocument, PublicKeyEntry, RevokedToken, Text},
    finding::{FindingCode, ReadingProblem, Span},
    position::{FileIndex, numbered},
    read::{Field, Items, Spanned},
    source::PolicySources,
};

impl CompileReport<'_> {
    pub(super) fn public_keys(
        &mut self,
        file: FileIndex,
        client: &Spanned<String>,
        keys: &Items<Spanned<PublicKeyEntry>>,
    ) -> Vec<ForeignKey> {
        let mut taken = Vec::with_capacity(keys.0.len());
        let mut seen = FxHashSet::default();
        for key in &keys.0 {
            match self.public_key(file, client, key) {
                Ok((at, found)) => {
                    for key in &found.passed_over {
                        let message = format!("a key of client `{}` is passed over: {key}", client.value);
                        let hint =
                            "the client cannot sign with it: remove it from the set, unless others need it";
                        self.warn(file, ReadingProblem::new(at, FindingCode::PassedOver, message).hint(hint));
                    }
                    for key in found.taken {
                        if seen.insert(key.thumbprint().clone()) {
                            taken.push(key);
                            continue;
                        }
                        let (client, key) = (&client.value, key.thumbprint());
                        let message = format!("client `{client}` has the public key `{key}` twice");
                        let problem = ReadingProblem::new(at, FindingCode::BadPublicKey, message);
                        self.add(
                            file,
                            problem
                                .hint("remove one; a key without `alg` is for every algorithm that fits it"),
                        );
                    }
                }
                Err(Some(problem)) => self.add(file, problem),
                // it is told already
                Err(None) => {}
            }
        }
        if taken.len() > MOST_KEYS {
            let message = format!("client `{}` has more than {MOST_KEYS} public keys", client.value);
            let problem = ReadingProblem::new(client.at, FindingCode::BadPublicKey, message);
            self.add(file, problem.hint("remove those that it no longer signs with"));
        }
        taken
    }

    /// The keys of one entry, which may name a set, and where they are written.
    fn public_key(
        &self,
        file: FileIndex,
        client: &Spanned<String>,
        key: &Spanned<PublicKeyEntry>,
    ) -> Result<(Span, ForeignKeys), Option<ReadingProblem>> {
        let PublicKeyEntry { jwk, pem, file: name } = &key.value;
        if matches!((jwk, pem, name), (Field::Wrong, _, _) | (_, Field::Wrong, _) | (_, _, Field::Wrong)) {
            return Err(None);
        }
        let unusable = |at: Span, of: &str, error: InvalidPublicKey| {
            let message =
                format!("client `{}` has a public key{of} that cannot be used: {error}", client.value);
            Some(ReadingProblem::new(at, FindingCode::BadPublicKey, message).hint(fix(&error)))
        };
        match (jwk.given(), pem.given(), name.given()) {
            (Some(jwk), None, None) => {
                let key = ForeignKey::from_jwk(&Value::Object(jwk.value.clone()));
                key.map(|key| (jwk.at, ForeignKeys { taken: vec![key], ..ForeignKeys::default() }))
                    .map_err(|error| unusable(jwk.at, "", error))
            }
            (None, Some(pem), None) => {
                let keys = ForeignKeys::from_pem(&pem.value);
                keys.map(|keys| (pem.at, keys)).map_err(|error| unusable(pem.at, "", error))
            }
            (None, None, Some(name)) => {
                let (_, bytes) = self.key_file(file, name)?;
                let keys = ForeignKeys::from_file(bytes);
                let of = format!(" in `{}`", name.value);
                keys.map(|keys| (name.at, keys)).map_err(|error| unusable(name.at, &of, error))
            }
            _ => {
                let message = format!("a public key of client `{}` is not in one form", client.value);
                let problem = ReadingProblem::new(key.at, FindingCode::BadPublicKey, message);
                Err(Some(problem.hint("give each entry one of `jwk: {...}`, `pem: ...` and `file: NAME`")))
            }
        }
    }

    /// The file of keys that an entry names: its path below the policies folder, and what it holds.
    pub(super) fn key_file(&self, file: FileIndex, name: &Text) -> Result<(PathBuf, &[u8]), ReadingProblem> {
        let refused = |what: &str, hint: String| {
            let message = format!("`{}` {what}", name.value);
            ReadingProblem::new(name.at, FindingCode::BadPublicKey, message).hint(hint)
        };
        let policy = self.sources.files.get(file.position()).map(|source| self.sources.below(&source.name));
        let folder = policy.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let Some(path) = below(folder, Path::new(&name.value)) else {
            let hint = "name a file below that folder, relative to this policy file";
            return Err(refused("is outside of the policies folder", hint.to_owned()));
        };
        if path.iter().any(|part| part.as_encoded_bytes().starts_with(b".")) {
            let hint = "hidden files and folders are not read: rename what starts with a dot";
            return Err(refused("is hidden", hint.to_owned()));
        }
        if !PolicySources::is_key_file(&path) {
            let hint = "name a `*.pem`, `*.jwk`, `*.jwks` or `*.json` file that is not a `*.schema.json`";
            return Err(refused("is not the name of a key file", hint.to_owned()));
        }
        match self.sources.key_file(&path) {
            Some(Ok(bytes)) => Ok((path, bytes)),
            Some(Err(finding)) => Err(refused(&finding.message, finding.hint.clone().unwrap_or_default())),
            None => {
                let hint =
                    format!("put it at `{}` in the policies folder, or correct the name", path.display());
                Err(refused("is not there", hint))
            }
        }
    }

    /// What the client may do beside fetching tokens for itself.
    pub(super) fn abilities(
        &mut self,
        file: FileIndex,
        name: &Spanned<String>,
        client: &document::ClientEntry,
        names: &DefinedNames,
    ) -> Abilities {
        let is_anonymous = client.anonymous.given() == Some(&true);
        let for_named = [
            ("refresh", &client.refresh, "nothing would bind a refresh token to it"),
            ("status_list", &client.status_list, "the status list would identify it"),
            (
                "token_exchange",
                &client.token_exchange,
                "the tokens that it gets could not be revoked with the first one",
            ),
        ];
        for (key, given, because) in for_named {
            if let Some(Spanned { at, value: true }) = given.given()
                && is_anonymous
            {
                let message =
                    format!("client `{}` is anonymous, and cannot have `{key}`: {because}", name.value);
                let problem = ReadingProblem::new(*at, FindingCode::Anonymous, message);
                self.add(file, problem.hint(format!("remove `{key}` or `anonymous`")));
            }
        }
        let is_on = |field: &Field<bool>| field.given() == Some(&true);
        let may = |field: &Field<Spanned<bool>>| field.given().is_some_and(|given| given.value);
        Abilities {
            token_exchange: may(&client.token_exchange),
            refresh: may(&client.refresh),
            introspect: self.introspected(file, client.introspect.given(), names),
            strict_assertions: is_on(&client.strict_assertions),
            status_list: client.status_list.given().map(|given| given.value),
        }
    }

    fn introspected(
        &mut self,
        file: FileIndex,
        given: Option<&Spanned<Introspect>>,
        names: &DefinedNames,
    ) -> IntrospectedApis {
        let (at, list) = match given {
            None | Some(Spanned { value: Introspect::Switch(false), .. }) => return IntrospectedApis::None,
            Some(Spanned { value: Introspect::Switch(true), .. }) => return IntrospectedApis::All,
            Some(Spanned { at, value: Introspect::List(list) }) => (*at, list),
        };
        if list.is_empty() {
            let problem = ReadingProblem::new(at, FindingCode::Missing, "`introspect` names no API");
            self.add(file, problem.hint("name APIs, write `true` for all of them, or remove it"));
        }
        let mut apis = BTreeSet::new();
        for api in &list.0 {
            if !names.apis.contains(&api.value) {
                self.unknown(
                    file,
                    api,
                    FindingCode::UnknownApi,
                    "API",
                    names.apis.iter().map(String::as_str),
                );
            } else if let Ok(name) = ApiName::parse(&api.value)
                && !apis.insert(name)
            {
                let message = format!("`{}` stands twice in `introspect`", api.value);
                self.add(
                    file,
                    ReadingProblem::new(api.at, FindingCode::DuplicateName, message)
                        .hint("remove one of them"),
                );
            }
        }
        IntrospectedApis::Only(apis.into_iter().collect())
    }

    /// The tokens that the files revoke, each with the time from which on that has no effect.
    pub(super) fn revoked_tokens(
        &mut self,
        documents: &[PolicyDocument],
    ) -> FxHashMap<TokenId, Option<Timestamp>> {
        let mut revoked = FxHashMap::default();
        let mut places = BTreeMap::new();
        for (file, document) in numbered(FileIndex::at, documents.iter()) {
            for Spanned { at, value } in &document.revoked_tokens.0 {
                let (jti, until) = match value {
                    RevokedToken::Text(jti) => (Spanned { at: *at, value: jti.clone() }, None),
                    RevokedToken::Map(revocation) => match &revocation.jti {
                        Field::Given(jti) => (jti.clone(), revocation.until.given()),
                        Field::Wrong => continue,
                        Field::Absent => {
                            let problem = ReadingProblem::new(
                                *at,
                                FindingCode::Missing,
                                "a revoked token has no `jti`",
                            );
                            self.add(file, problem.hint("write the claim `jti` of the token"));
                            continue;
                        }
                    },
                };
                let until = until.and_then(|until| self.time(file, until));
                let Some(token) = self.name(file, &jti, TokenId::parse) else { continue };
                if let Some((first, place)) = places.get(&token) {
                    let message = format!("token `{token}` is revoked twice");
                    let problem = ReadingProblem::new(jti.at, FindingCode::DuplicateName, message);
                    let hint = format!("it stands at {} first: remove one", self.place(*first, *place));
                    self.add(file, problem.hint(hint));
                    continue;
                }
                places.insert(token.clone(), (file, jti.at));
                revoked.insert(token, until);
            }
        }
        revoked
    }
}

/// `name` as seen from a folder, both below the policies folder; `None` where it leads out of that.
fn below(folder: &Path, name: &Path) -> Option<PathBuf> {
    let mut path = folder.to_owned();
    for part in name.components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir => path.pop().then_some(())?,
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// What to do about a key that cannot be used.
pub(super) fn fix(error: &InvalidPublicKey) -> &'static str {
    match error {
        InvalidPublicKey::Private | InvalidPublicKey::PrivateInSet(_) => {
            "let the client make a new pair, and give what `openssl pkey -in NEW_KEY -pubout` prints"
        }
        InvalidPublicKey::Symmetric
        | InvalidPublicKey::Kind
        | InvalidPublicKey::Unsound
        | InvalidPublicKey::NoneLeft(_) => {
            "let the client make a pair with `openssl genpkey -algorithm ed25519`, and give its public half"
        }
        InvalidPublicKey::Purpose => "give the key that is for signatures, or remove these members",
        InvalidPublicKey::NotJwk | InvalidPublicKey::NoKeyId => {
            "write its members as text: `kty` and `crv`, `x`, `y` or `n`, `e` (RFC 7517)"
        }
        InvalidPublicKey::Pkcs1 | InvalidPublicKey::Certificate | InvalidPublicKey::Compressed => {
            "give a `PUBLIC KEY` block, as that command prints it"
        }
        InvalidPublicKey::Coordinate(_) | InvalidPublicKey::LeadingZero(_) | InvalidPublicKey::Base64(_) => {
            "let the client write its key again with a library for JSON Web Keys, or as PEM"
        }
        InvalidPublicKey::NotPem => "give what `openssl pkey -in KEY -pubout` prints",
        InvalidPublicKey::Empty => "give at least one key, or remove the entry",
    }
}
