//! Trusted issuers: whose tokens may stand for clients, and where their keys are.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jeton_jose::{InvalidPublicKey, IssuerKeySet};
use jeton_oauth::{Audience, ForeignAlgorithm, IssuerName, ShownUrl, clock::parse_duration, is_loopback};
use url::Url;

use super::{
    Surroundings,
    credentials::fix,
    report::{CompileReport, DefinedNames},
};
use crate::{
    document::{self, PolicyDocument, Text},
    federation::{ForeignIssuer, IssuerKeyFile, IssuerKeySource, IssuerKeys, TrustedIssuer},
    finding::{FindingCode, ReadingProblem, Span},
    position::{FileIndex, numbered},
    read::{Field, Items, Spanned},
};

/// The longest lifetime of tokens where an issuer has none of its own: a day, and an hour for a clock.
const MAX_LIFETIME: Duration = Duration::from_hours(25);

/// The issuers, and where each is defined.
pub(super) struct CompiledIssuers {
    pub(super) issuers: Vec<TrustedIssuer>,
    /// By name, those too of which something else is wrong.
    pub(super) known: BTreeMap<IssuerName, KnownIssuer>,
}

/// An issuer whose `iss` is known.
pub(super) struct KnownIssuer {
    pub(super) iss: ForeignIssuer,
    pub(super) file: FileIndex,
    pub(super) at: Span,
    pub(super) is_enabled: bool,
    /// Whether no other issuer is defined by the same name.
    pub(super) is_only: bool,
}

impl CompileReport<'_> {
    pub(super) fn compile_issuers(
        &mut self,
        documents: &[PolicyDocument],
        names: &DefinedNames,
        surroundings: &Surroundings,
    ) -> CompiledIssuers {
        let mut compiled = CompiledIssuers { issuers: Vec::new(), known: BTreeMap::new() };
        let mut taken = HashMap::new();
        for (file, document) in numbered(FileIndex::at, documents.iter()) {
            for (name, issuer) in &document.issuers.0 {
                let parsed = self.name(file, name, IssuerName::parse);
                let Some(issuer) = issuer else { continue };
                let iss = self.iss(file, name, &issuer.issuer, surroundings, &mut taken);
                let audience = self.foreign_audience(file, name, &issuer.audience);
                let algorithms = self.algorithms(file, issuer.algorithms.given());
                let keys = self.issuer_keys(file, name, &issuer.keys, algorithms.as_deref());
                let max_lifetime = self.max_lifetime(file, issuer.max_lifetime.given());
                let is_enabled = issuer.enabled.given() != Some(&false);
                let (Some(parsed), Some(iss)) = (parsed, iss) else { continue };
                let known = KnownIssuer { iss: iss.clone(), file, at: name.at, is_enabled, is_only: true };
                compiled
                    .known
                    .entry(parsed.clone())
                    .and_modify(|first| first.is_only = false)
                    .or_insert(known);
                if let (Some(audience), Some(keys), Some(algorithms), Some(max_lifetime)) =
                    (audience, keys, algorithms, max_lifetime)
                {
                    compiled.issuers.push(TrustedIssuer {
                        name: parsed,
                        issuer: iss,
                        audience,
                        keys,
                        algorithms,
                        max_lifetime,
                        single_use: issuer.single_use.given() == Some(&true),
                        enabled: is_enabled,
                    });
                }
            }
        }
        self.clients_named_as_issuers(documents, names, &taken);
        compiled
    }

    /// The `iss` of an issuer, which no other one has.
    fn iss(
        &mut self,
        file: FileIndex,
        name: &Spanned<String>,
        text: &Field<Text>,
        surroundings: &Surroundings,
        taken: &mut HashMap<ForeignIssuer, (FileIndex, Span, String)>,
    ) -> Option<ForeignIssuer> {
        let text = match text {
            Field::Given(text) => text,
            Field::Wrong => return None,
            Field::Absent => {
                let message = format!("issuer `{}` has no `issuer`", name.value);
                let hint = "add `issuer: https://...`, the `iss` of its tokens";
                self.add(file, ReadingProblem::new(name.at, FindingCode::Missing, message).hint(hint));
                return None;
            }
        };
        let iss = match ForeignIssuer::parse(&text.value) {
            Ok(iss) => iss,
            Err(error) => {
                let problem = ReadingProblem::new(text.at, FindingCode::BadIssuer, error.to_string());
                let hint =
                    "write the `iss` of its tokens byte by byte; `jeton token inspect` shows that of a token";
                self.add(file, problem.hint(hint));
                return None;
            }
        };
        if iss.as_str() == surroundings.issuer.as_str() {
            let message = format!("`{iss}` is the issuer of this service itself");
            let problem = ReadingProblem::new(text.at, FindingCode::DuplicateIssuer, message);
            let hint = "remove the entry: tokens of this service are exchanged without one";
            self.add(file, problem.hint(hint));
        }
        if let Some((first_file, at, first)) = taken.get(&iss) {
            let message = format!("`{iss}` is issuer `{first}` already");
            let problem = ReadingProblem::new(text.at, FindingCode::DuplicateIssuer, message);
            let hint = format!("it stands at {} first: remove one", self.place(*first_file, *at));
            self.add(file, problem.hint(hint));
        } else {
            taken.insert(iss.clone(), (file, text.at, name.value.clone()));
        }
        Some(iss)
    }

    /// An assertion whose `iss` is a client's id is that client's own, so no issuer may be called the same.
    fn clients_named_as_issuers(
        &mut self,
        documents: &[PolicyDocument],
        names: &DefinedNames,
        taken: &HashMap<ForeignIssuer, (FileIndex, Span, String)>,
    ) {
        if !taken.keys().any(|iss| names.clients.contains(iss.as_str())) {
            return;
        }
        for (file, document) in numbered(FileIndex::at, documents.iter()) {
            for (id, _) in &document.clients.0 {
                let Ok(iss) = ForeignIssuer::parse(&id.value) else { continue };
                let Some((_, _, issuer)) = taken.get(&iss) else { continue };
                let message = format!("client id `{}` is the `iss` of issuer `{issuer}`", id.value);
                let problem = ReadingProblem::new(id.at, FindingCode::DuplicateIssuer, message);
                self.add(
                    file,
                    problem.hint(
                        "give the client another id, or the issuer's tokens could be taken for its own",
                    ),
                );
            }
        }
    }

    fn foreign_audience(
        &mut self,
        file: FileIndex,
        name: &Spanned<String>,
        text: &Field<Text>,
    ) -> Option<Audience> {
        match text {
            Field::Given(text) => match Audience::parse(&text.value) {
                Ok(audience) => Some(audience),
                Err(error) => {
                    let problem = ReadingProblem::new(text.at, FindingCode::BadAudience, error.to_string());
                    self.add(file, problem.hint("write the `aud` that its tokens for this service have"));
                    None
                }
            },
            Field::Wrong => None,
            Field::Absent => {
                let message = format!("issuer `{}` has no `audience`", name.value);
                let hint = "add the `aud` of its tokens for this service: without one, a token for another service would do";
                self.add(file, ReadingProblem::new(name.at, FindingCode::Missing, message).hint(hint));
                None
            }
        }
    }

    fn issuer_keys(
        &mut self,
        file: FileIndex,
        name: &Spanned<String>,
        keys: &Field<Spanned<document::IssuerKeysEntry>>,
        algorithms: Option<&[ForeignAlgorithm]>,
    ) -> Option<IssuerKeys> {
        let one_of = "write one of `discover: true`, `jwks: URL` and `file: NAME`";
        let Spanned { at, value: keys } = match keys {
            Field::Given(keys) => keys,
            Field::Wrong => return None,
            Field::Absent => {
                let message = format!("issuer `{}` has no `keys`", name.value);
                let hint = "add `keys: { discover: true }`, or `jwks: URL` or `file: NAME` in its place";
                self.add(file, ReadingProblem::new(name.at, FindingCode::Missing, message).hint(hint));
                return None;
            }
        };
        let document::IssuerKeysEntry { discover, jwks, file: key_file, ca_file, token_file } = keys;
        let before = self.findings.len();
        let ca_file_path = self.file_beside(file, ca_file.given());
        let token_file_path = self.file_beside(file, token_file.given());
        let given = [!discover.is_absent(), !jwks.is_absent(), !key_file.is_absent()];
        let source = match (given, discover, jwks, key_file) {
            ([true, false, false], Field::Given(discover), _, _) if discover.value => {
                Some(IssuerKeySource::Discover)
            }
            ([true, false, false], Field::Given(discover), _, _) => {
                let message = "`discover: false` says nothing";
                let problem = ReadingProblem::new(discover.at, FindingCode::BadRequirement, message);
                self.add(file, problem.hint(one_of));
                None
            }
            ([false, true, false], _, Field::Given(text), _) => {
                self.jwks_address(file, text).map(IssuerKeySource::Jwks)
            }
            ([false, false, true], _, _, Field::Given(name)) => {
                for (key, given) in [("ca_file", ca_file), ("token_file", token_file)] {
                    let Field::Given(given) = given else { continue };
                    let message = format!("`{key}` stands beside `file`, for which nothing is fetched");
                    let problem = ReadingProblem::new(given.at, FindingCode::BadRequirement, message);
                    self.add(file, problem.hint(format!("remove `{key}`")));
                }
                self.issuer_key_file(file, name, algorithms).map(IssuerKeySource::File)
            }
            ([false, false, false], ..) => {
                // what was wrong is told, unless nothing was
                let message = format!("`keys` of issuer `{}` does not say where they are", name.value);
                self.add(file, ReadingProblem::new(*at, FindingCode::Missing, message).hint(one_of));
                None
            }
            ([true, false, false] | [false, true, false] | [false, false, true], ..) => None,
            _ => {
                let message = format!("`keys` of issuer `{}` says several times where they are", name.value);
                self.add(file, ReadingProblem::new(*at, FindingCode::BadRequirement, message).hint(one_of));
                None
            }
        };
        let is_whole = self.findings.len() == before
            && !matches!(ca_file, Field::Wrong)
            && !matches!(token_file, Field::Wrong);
        let source = source.filter(|_| is_whole)?;
        let written = [ca_file, token_file].map(|field| field.given().map(|text| text.value.as_str().into()));
        Some(IssuerKeys { source, ca_file: ca_file_path, token_file: token_file_path, written })
    }

    fn jwks_address(&mut self, file: FileIndex, text: &Text) -> Option<Url> {
        let shown = ShownUrl(&text.value);
        let rule = match Url::parse(&text.value) {
            Err(_) => "it is not an absolute URL",
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "it must not hold a user name or a password"
            }
            Ok(url) if url.fragment().is_some() => "it must have no fragment",
            // these would be left out, or taken for slashes, without a word
            Ok(_) if text.value.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') => {
                "it must hold no space, tab, line break or `\\`"
            }
            Ok(_) if text.value.contains(":///") => "its host must follow `://`",
            Ok(url) => match (text.value.starts_with("https://"), text.value.starts_with("http://")) {
                (true, _) => return Some(url),
                (_, true) if is_loopback(&url) => return Some(url),
                _ => "its scheme must be `https`, unless its host is this machine",
            },
        };
        let message = format!("`{shown}` is not an address of keys: {rule}");
        let problem = ReadingProblem::new(text.at, FindingCode::BadIssuer, message);
        self.add(file, problem.hint("write the address of its JSON Web Key Set, or `discover: true`"));
        None
    }

    fn issuer_key_file(
        &mut self,
        file: FileIndex,
        name: &Text,
        algorithms: Option<&[ForeignAlgorithm]>,
    ) -> Option<IssuerKeyFile> {
        let found = self.key_file(file, name).map(|(path, bytes)| (path, Arc::<[u8]>::from(bytes)));
        let (path, content) = match found {
            Ok(found) => found,
            Err(problem) => {
                self.add(file, problem);
                return None;
            }
        };
        // without its algorithms nobody knows which keys are the issuer's
        match IssuerKeySet::from_file(&content, algorithms?) {
            Ok(keys) => {
                for key in keys.passed_over() {
                    let message = format!("a key in `{}` is passed over: {key}", name.value);
                    let hint =
                        "the issuer's `algorithms` have no use for it: remove it, unless others need it";
                    self.warn(
                        file,
                        ReadingProblem::new(name.at, FindingCode::PassedOver, message).hint(hint),
                    );
                }
                Some(IssuerKeyFile { path, content })
            }
            Err(error) => {
                let message = format!("`{}` holds no public keys that can be used: {error}", name.value);
                let hint = match error {
                    InvalidPublicKey::Private | InvalidPublicKey::PrivateInSet(_) => {
                        "put the public keys alone there: whoever reads a private key can sign tokens"
                    }
                    InvalidPublicKey::Kind | InvalidPublicKey::Purpose | InvalidPublicKey::NoneLeft(_) => {
                        "give keys for the `algorithms` of the issuer, or name theirs (default: `[RS256]`)"
                    }
                    error => fix(&error),
                };
                self.add(file, ReadingProblem::new(name.at, FindingCode::BadPublicKey, message).hint(hint));
                None
            }
        }
    }

    /// The path of a file that a policy file names.
    fn file_beside(&mut self, file: FileIndex, name: Option<&Text>) -> Option<PathBuf> {
        let name = name?;
        if name.value.is_empty() {
            let problem =
                ReadingProblem::new(name.at, FindingCode::BadIssuer, "the name of the file is empty");
            self.add(file, problem.hint("name a file, or remove the line"));
            return None;
        }
        let source = self.sources.files.get(file.position());
        let folder = source.and_then(|source| Path::new(&source.name).parent()).unwrap_or(Path::new(""));
        let path = folder.join(&name.value);
        Some(std::path::absolute(&path).unwrap_or(path))
    }

    fn algorithms(
        &mut self,
        file: FileIndex,
        given: Option<&Spanned<Items<Text>>>,
    ) -> Option<Vec<ForeignAlgorithm>> {
        let Some(Spanned { at, value: names }) = given else { return Some(vec![ForeignAlgorithm::Rs256]) };
        if names.is_empty() {
            let problem = ReadingProblem::new(*at, FindingCode::BadRequirement, "`algorithms` is empty");
            self.add(file, problem.hint("name at least one, or remove it: the default is `[RS256]`"));
            return None;
        }
        let mut algorithms = Vec::new();
        for text in &names.0 {
            if let Some(algorithm) = ForeignAlgorithm::parse(&text.value) {
                if !algorithms.contains(&algorithm) {
                    algorithms.push(algorithm);
                }
                continue;
            }
            let known = || ForeignAlgorithm::ALL.into_iter().map(ForeignAlgorithm::name);
            let message = format!("`{}` is not a signature algorithm of trusted issuers", text.value);
            let problem = ReadingProblem::new(text.at, FindingCode::BadIssuer, message);
            // of names that differ in one character, only case is a slip
            let hint = match known().find(|known| known.eq_ignore_ascii_case(&text.value)) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known: {}", known().collect::<Vec<_>>().join(", ")),
            };
            self.add(file, problem.hint(hint));
        }
        Some(algorithms).filter(|algorithms| !algorithms.is_empty())
    }

    fn max_lifetime(&mut self, file: FileIndex, text: Option<&Text>) -> Option<Duration> {
        let Some(text) = text else { return Some(MAX_LIFETIME) };
        let (message, hint) = match parse_duration(&text.value) {
            Some(lifetime) if !lifetime.is_zero() => return Some(lifetime),
            Some(_) => ("the longest lifetime is zero".to_owned(), "write more than `0s`"),
            None => (
                format!("`{}` is not a duration", text.value),
                "write a number and `s`, `m`, `h` or `d`, such as `1h`",
            ),
        };
        self.add(file, ReadingProblem::new(text.at, FindingCode::BadDuration, message).hint(hint));
        None
    }
}
