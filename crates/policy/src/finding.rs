//! What is wrong with policy files: each finding with its place and the fix.

use std::{borrow::Cow, fmt};

use jeton_oauth::text::{is_order, is_unseen, printable};
use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The policies do not load.
    Error,
    /// The policies load; an operator should look.
    Warning,
}

/// The kind of a finding: stable, for scripts and for the reference in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingCode {
    /// The folder or a file cannot be read.
    Unreadable,
    /// The text is not YAML.
    YamlSyntax,
    /// YAML that policies do not use: anchors, aliases, merge keys, tags, directives, several documents.
    YamlFeature,
    /// A key stands twice in one map.
    DuplicateKey,
    /// A key that has no meaning here.
    UnknownKey,
    /// A value of the wrong type.
    WrongType,
    /// A required key is missing.
    Missing,
    /// `version` is not known to this program.
    BadVersion,
    /// A name that breaks the rule of its kind.
    BadName,
    /// A name that is defined twice, in one file or in two.
    DuplicateName,
    /// A scope that no file defines.
    UnknownScope,
    /// A role that no file defines.
    UnknownRole,
    /// An API that no file defines.
    UnknownApi,
    /// A client that no file defines.
    UnknownClient,
    /// An issuer that no file defines.
    UnknownIssuer,
    /// A trusted issuer whose `issuer`, `keys` or `algorithms` cannot be used.
    BadIssuer,
    /// Two trusted issuers with the same `issuer`, or one that is the service itself or a client's id.
    DuplicateIssuer,
    /// An entry of `federated` that says nothing of whose token it is.
    OpenFederation,
    /// Two clients that one token of another issuer could stand for.
    AmbiguousFederation,
    /// A route that is not a method and a pattern.
    BadRoute,
    /// Two routes of one API with the same method and pattern.
    DuplicateRoute,
    /// A rule that never decides, because more specific routes cover all of its routes.
    DeadRule,
    /// A requirement that says nothing, or says it wrongly.
    BadRequirement,
    /// `same_as_path` or `contains_path` names a parameter that is not in every route.
    UnknownParameter,
    /// A claim that a client or a rule cannot have.
    BadClaim,
    /// An invalid audience.
    BadAudience,
    /// Two APIs with the same audience.
    DuplicateAudience,
    /// An invalid hash or expiry of a secret.
    BadSecret,
    /// A client's public key that is invalid, too weak, or a private key.
    BadPublicKey,
    /// An entry of a client's `certificates` that is invalid, or stands for two clients.
    BadCertificate,
    /// A setting that an anonymous client cannot have.
    Anonymous,
    /// A time that is not RFC 3339.
    BadTime,
    /// An invalid duration.
    BadDuration,
    /// An invalid rate.
    BadRate,
    /// A client's `ttl` over `tokens.max_ttl`.
    TtlTooLong,
    /// A file that looks like a policy file but is ignored, or a key of a client's set that cannot sign.
    PassedOver,
    /// A guarantee that some request breaks.
    BrokenGuarantee,
    /// A guarantee that cannot be proved: it and a rule compare too many segments with too many values.
    TooComplex,
    /// A guarantee without effect, because no rule has a route on its paths.
    IdleGuarantee,
    /// A guarantee on `**` that does not cover a route which ends in `/`.
    GuaranteeGap,
    /// A test with another result than it expects.
    FailedTest,
    /// A scope that no route requires.
    UnusedScope,
    /// A route that no client can reach.
    UnreachableRoute,
    /// A client without a public key, a valid secret, a valid certificate and an enabled issuer.
    NoCredentials,
    /// A client whose last certificate expires soon, or has expired.
    ExpiringCertificate,
    /// A repository, owner or project that an entry of `federated` knows by its name alone.
    RecyclableName,
    /// An entry of `federated` that no token can meet.
    ImpossibleFederation,
    /// A trusted issuer whose tokens stand for no client.
    UnusedIssuer,
    /// Questions about an API are answered, and no client may ask them.
    UnaskedPdp,
    /// `public` on a route that ends in `**`.
    PublicCatchAll,
    /// An API whose bundle anybody can fetch.
    PublicBundle,
    /// Another method at the path of a route, decided by a less specific route that lets other tokens through.
    MethodHole,
    /// A condition that no client's claim can meet, because of its type alone.
    TypeMismatch,
    /// A verb that a route has in its parameter, while another rule has it for another method.
    OpenVerb,
    /// Another spelling of a route's path, decided by a `**` or a parameter that lets other tokens through.
    LookAlike,
    /// A secret that everybody knows from the documentation, on a server that others can reach.
    DemoSecret,
}

impl fmt::Display for FindingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A range of bytes in one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Something wrong at a place of the file that is being read.
#[derive(Clone, Debug)]
pub(super) struct ReadingProblem {
    pub(super) at: Span,
    pub(super) code: FindingCode,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl ReadingProblem {
    pub(super) fn new(at: Span, code: FindingCode, message: impl Into<String>) -> Self {
        Self { at, code, message: message.into(), hint: None }
    }

    /// What was written about it, on one line whatever the file holds, without a private key that it quotes.
    pub(super) fn into_texts(self) -> (String, Option<String>) {
        let text = |text: &str| printable(&without_private_keys(text));
        (text(&self.message), self.hint.as_deref().map(text))
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Whether a text holds a private key in PEM, or the beginning or the end of one.
pub(super) fn is_private_pem(text: &str) -> bool {
    ["PRIVATE KEY-----", "PRIVATE KEY BLOCK-----"].iter().any(|mark| text.contains(mark))
}

/// A message with `***` in the place of each quotation that is a private key.
fn without_private_keys(message: &str) -> Cow<'_, str> {
    if !is_private_pem(message) {
        return message.into();
    }
    let parts: Vec<_> =
        message.split('`').map(|part| if is_private_pem(part) { "***" } else { part }).collect();
    parts.join("`").into()
}

/// One thing that is wrong, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether the policies load.
    pub severity: Severity,
    /// Its kind.
    pub code: FindingCode,
    /// What is wrong, on one line.
    pub message: String,
    /// The file, as it was reached from the policies folder that was given.
    pub file: String,
    /// The line, from 1; 0 where the finding is about the whole file.
    pub line: usize,
    /// The column in characters, from 1; 0 where the finding is about the whole file.
    pub column: usize,
    /// What to do.
    pub hint: Option<String>,
    /// The source line and how many characters of it are meant.
    #[serde(skip)]
    pub(super) snippet: Option<Snippet>,
}

/// The source line of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snippet {
    pub(super) line: String,
    pub(super) width: usize,
}

impl Finding {
    /// Whether it is about a file that was passed over, and not about keys that were, in a file.
    pub fn is_of_passed_over_file(&self) -> bool {
        self.code == FindingCode::PassedOver && self.line == 0
    }

    /// Where it is, on one line: file, line and column; the file or folder alone where it is about the whole of it.
    pub fn place(&self) -> String {
        let file = printable(&self.file);
        match self.line {
            0 => file,
            line => format!("{file}:{line}:{}", self.column),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}: {severity}: {} [{}]", self.place(), printable(&self.message), self.code)?;
        let margin = " ".repeat(self.line.to_string().len());
        if let Some(Snippet { line, width }) = &self.snippet {
            // a tab keeps its width in the line of carets
            let lead: String = line
                .chars()
                .take(self.column.saturating_sub(1))
                .map(|c| if c == '\t' { c } else { ' ' })
                .collect();
            let carets = "^".repeat(*width);
            write!(f, "\n {margin} |\n {} | {line}\n {margin} | {lead}{carets}", self.line)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n {margin} = help: {}", printable(hint))?;
        }
        Ok(())
    }
}

/// Everything that is wrong, in the order of files and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// One error about a whole file or folder.
    pub(super) fn about(file: &str, message: &str) -> Self {
        Self(vec![Finding {
            severity: Severity::Error,
            code: FindingCode::Unreadable,
            message: message.to_owned(),
            file: file.to_owned(),
            line: 0,
            column: 0,
            hint: None,
            snippet: None,
        }])
    }

    /// In the order of files and lines, each once.
    pub(super) fn sorted(mut findings: Vec<Finding>) -> Self {
        findings.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        findings.dedup();
        Self(findings)
    }

    /// Whether one of them keeps the policies from loading.
    pub fn has_errors(&self) -> bool {
        Self::any_error(&self.0)
    }

    /// Those that keep the policies from loading.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(|finding| finding.severity == Severity::Error)
    }

    pub(super) fn any_error(findings: &[Finding]) -> bool {
        findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, finding) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            writeln!(f, "{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

impl Snippet {
    /// The longest piece of a line that is shown, in characters.
    pub(super) const WIDEST: usize = 400;

    /// A source line that is safe to show: cut, and with a placeholder for each invisible character or command to a
    /// CI system. Each character keeps its place.
    pub(super) fn of(line: impl Iterator<Item = char>, width: usize) -> Self {
        let line: String = line.take(Self::WIDEST).collect();
        let is_hidden = |at: usize, c: char| (is_unseen(c) && c != '\t') || is_order(&line, at);
        let shown = line.char_indices().map(|(at, c)| if is_hidden(at, c) { '\u{fffd}' } else { c });
        let line: String = shown.collect();
        let width = width.min(line.chars().count()).max(1);
        Self { line, width }
    }
}

/// "did you mean `x`?" for the known name nearest to what was written.
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let farthest = |name: &str| 1 + name.len() / 4;
    let length = written.chars().count();
    known
        .into_iter()
        // the distance is at least that of the lengths
        .filter(|name| length.abs_diff(name.chars().count()) <= farthest(name))
        .map(|name| (strsim::damerau_levenshtein(written, name), name))
        .filter(|(distance, name)| *distance <= farthest(name))
        .min()
        .map(|(_, name)| format!("did you mean `{name}`?"))
}
