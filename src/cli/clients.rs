//! `jeton clients`.

mod certificate;
mod list;
mod matching;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use jeton_jose::{ForeignKey, ForeignKeys};
use jeton_oauth::{
    clock::{Clock, SystemClock, seconds_up},
    text::printable,
};
use jeton_policy::{
    EditedFile, PolicySources,
    clients::{CertificateField, ClientKind, ClientSecret},
    files, scalar,
};
use jiff::Timestamp;
use serde_json::{Map, Value};

use self::certificate::AddedCertificate;
use super::{
    Outcome,
    arguments::{duration, time},
    consent::{Answer, Consent},
    files::{EntryPlace, OfSeveral, PolicyFiles},
    say,
};
use crate::config::NeededFolders;

#[derive(Subcommand)]
pub(super) enum ClientCommand {
    /// Add a client to a policy file. Prints its new secret once, unless the client gets a public key or a certificate.
    Add(Box<Add>),
    /// Add a secret to a client, and let its old secrets expire. Prints the new secret once.
    Rotate {
        /// The id of the client.
        id: String,
        /// How long the old secrets stay valid.
        #[arg(long, default_value = "7d", value_parser = duration, value_name = "DURATION")]
        keep_old: Duration,
    },
    /// List the clients: what each is granted, and with what it can authenticate.
    List {
        /// The output format.
        #[arg(long, value_enum, default_value_t = list::ListFormat::Table)]
        format: list::ListFormat,
    },
    /// Say which client a token of another issuer stands for, or what differs for each.
    Match(matching::Match),
    /// Enable a client again. Its revoked tokens stay revoked.
    Enable {
        /// The id of the client.
        id: String,
    },
    /// Disable a client, and revoke all of its tokens.
    Revoke {
        /// The id of the client.
        id: String,
        /// Revoke only the tokens issued before this time. The client stays enabled.
        #[arg(long, value_parser = time, value_name = "TIME")]
        before: Option<Timestamp>,
        #[command(flatten)]
        consent: Consent,
    },
}

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub(super) struct Add {
    /// The id of the new client.
    id: String,
    /// The API of its grant.
    #[arg(long)]
    api: Option<String>,
    /// A scope to grant. Repeat for more.
    #[arg(long = "scope", requires = "api", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A role to grant. Repeat for more.
    #[arg(long = "role", requires = "api", value_name = "ROLE")]
    roles: Vec<String>,
    /// A claim of its tokens. `tenant=acme` is text, `level:=3` is JSON. Repeat for more.
    #[arg(long = "claim", value_name = "NAME=TEXT | NAME:=JSON", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// The lifetime of its tokens: a number and `s`, `m`, `h` or `d`, such as `15m`.
    #[arg(long, value_parser = ttl)]
    ttl: Option<String>,
    /// A file with its public keys: PEM, JWK or JWK set. The client then gets no secret. Repeat for more.
    #[arg(long = "public-key", value_name = "FILE")]
    public_keys: Vec<PathBuf>,
    /// The trusted issuer whose tokens stand for it, by its name in the policies. The client then gets no secret.
    #[arg(long, requires = "matches", value_name = "NAME")]
    issuer: Option<String>,
    /// A claim that the issuer's token must have: `repository_id=456789`, or `/kubernetes.io/namespace=shop` for one
    /// within another. The value is text. Repeat for more.
    #[arg(long = "match", requires = "issuer", num_args = 1.., value_name = "CLAIM=VALUE", value_parser = matched_claim)]
    matches: Vec<(String, String)>,
    /// A file with a certificate of the client, PEM or DER: exactly this one authenticates it. The client then gets no
    /// secret. Repeat for more.
    #[arg(long = "certificate", value_name = "FILE")]
    certificates: Vec<PathBuf>,
    #[command(flatten)]
    names: CertificateNames,
    /// Give it only tokens that are bound to its key or certificate.
    #[arg(long)]
    bound_tokens: bool,
    /// Make a secret even with `--public-key`, `--certificate`, a name of a certificate or `--issuer`.
    #[arg(long)]
    secret: bool,
    /// Let it get refresh tokens.
    #[arg(long)]
    refresh: bool,
    /// Let it exchange tokens for narrower ones.
    #[arg(long)]
    token_exchange: bool,
    /// Let it introspect tokens of this API. Repeat for more. Without a value: tokens of all APIs.
    #[arg(long, value_name = "API", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    introspect: Vec<String>,
    /// Put a status list reference into its tokens.
    #[arg(long)]
    status_list: bool,
    /// The policy file, relative to the policies folder. Default: the file that has clients.
    #[arg(long)]
    file: Option<PathBuf>,
}

/// Names in certificates of an authority, each of which stands for the client.
#[derive(Args)]
struct CertificateNames {
    /// A DNS name in its certificates, which an authority issues. The client then gets no secret. Repeat for more, as for
    /// the names below.
    #[arg(long = "san-dns", value_name = "NAME")]
    san_dns: Vec<String>,
    /// A URI in its certificates, such as a SPIFFE ID.
    #[arg(long = "san-uri", value_name = "URI")]
    san_uri: Vec<String>,
    /// An IP address in its certificates.
    #[arg(long = "san-ip", value_name = "ADDRESS")]
    san_ip: Vec<String>,
    /// An email address in its certificates.
    #[arg(long = "san-email", value_name = "ADDRESS")]
    san_email: Vec<String>,
    /// The subject of its certificates, as `openssl x509 -subject -nameopt RFC2253` prints it: `CN=orders,O=ACME`.
    #[arg(long = "subject", value_name = "NAME")]
    subject: Vec<String>,
}

impl CertificateNames {
    /// Each with where it stands in a certificate.
    fn each(&self) -> impl Iterator<Item = (CertificateField, &str)> {
        let each = CertificateField::ALL.into_iter().map(|field| (field, self.of(field)));
        each.flat_map(|(field, names)| names.iter().map(move |name| (field, name.as_str())))
    }

    fn of(&self, field: CertificateField) -> &[String] {
        match field {
            CertificateField::SanDns => &self.san_dns,
            CertificateField::SanUri => &self.san_uri,
            CertificateField::SanIp => &self.san_ip,
            CertificateField::SanEmail => &self.san_email,
            CertificateField::Subject => &self.subject,
            _ => &[],
        }
    }
}

/// A claim: `NAME=TEXT`, or `NAME:=JSON` for a number, a boolean, a list or an object.
pub(super) fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').unwrap_or_default();
    let (name, value) = match name.strip_suffix(':') {
        Some(name) => {
            let value =
                serde_json::from_str(value).map_err(|error| format!("`{value}` is not JSON: {error}"));
            (name, value?)
        }
        None => (name, value.into()),
    };
    match (name, &value) {
        ("", _) => Err("write it as NAME=TEXT or NAME:=JSON".to_owned()),
        (_, Value::Null) => Err("a claim must have a value".to_owned()),
        (name, _) => Ok((name.to_owned(), value)),
    }
}

/// A claim of another issuer's token, and its text.
fn matched_claim(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((claim, value)) if !claim.is_empty() => Ok((claim.to_owned(), value.to_owned())),
        _ => Err("write it as CLAIM=VALUE".to_owned()),
    }
}

fn ttl(text: &str) -> Result<String, String> {
    duration(text).map(|_| text.to_owned())
}

/// The members of a JSON Web Key that everybody may know and somebody may need, in this order.
const PUBLIC_MEMBERS: [&str; 9] = ["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"];

pub(super) fn run(command: ClientCommand, config: Option<&Path>) -> anyhow::Result<Outcome> {
    let command = match command {
        ClientCommand::List { format } => return list::run(format, config),
        ClientCommand::Match(command) => return matching::run(command, config),
        command => command,
    };
    let settings = super::settings(NeededFolders::Policies, config)?;
    if let ClientCommand::Revoke { id, before, consent } = &command {
        let what = || {
            // the files are unlocked again before somebody is asked: a person may take long
            let files = PolicyFiles::of(settings.clone())?;
            files.policies_with(&[Revocation::of(&files, id, *before)?.edited])?;
            Ok(match before {
                None => format!("Client `{id}` is disabled, and all tokens that it has are revoked."),
                Some(before) => format!("The tokens of client `{id}` issued before {before} are revoked."),
            })
        };
        if consent.to(what)? == Answer::Stop {
            return Ok(Outcome::Failed);
        }
    }
    let files = PolicyFiles::of(settings)?;
    match command {
        ClientCommand::List { .. } | ClientCommand::Match(_) => {}
        ClientCommand::Add(command) => add(&files, &command)?,
        ClientCommand::Rotate { id, keep_old } => rotate(&files, &id, keep_old)?,
        ClientCommand::Enable { id } => enable(&files, &id)?,
        ClientCommand::Revoke { id, before, .. } => revoke(&files, &id, before)?,
    }
    Ok(Outcome::Done)
}

fn add(files: &PolicyFiles, add: &Add) -> anyhow::Result<()> {
    // before a file is asked for
    files.sources.lacks_client(&add.id)?;
    let place = EntryPlace { section: "clients", new: "clients.yaml", of_several: OfSeveral::Chosen };
    let file = files.target(add.file.as_deref(), &place)?;
    let keys = add.public_keys.iter().map(|file| public_keys(file)).collect::<anyhow::Result<Vec<_>>>()?;
    let keys = keys.concat();
    let now = SystemClock.now();
    let certificates = add.certificates.iter().map(|file| certificate::read(file, now));
    let certificates = certificates.collect::<anyhow::Result<Vec<_>>>()?;
    let has_certificate = !certificates.is_empty() || add.names.each().next().is_some();
    let needs_secret = keys.is_empty() && !has_certificate && add.issuer.is_none();
    let secret = if add.secret || needs_secret { Some(generate()?) } else { None };
    let edited =
        files.sources.add_client(&file, &add.id, &body(add, secret.as_ref(), &keys, &certificates))?;
    let policies = files.write(&[edited])?;
    say!("{file}: added client `{}`", add.id);
    for key in &keys {
        say!("public key {}", key.thumbprint());
    }
    let added = policies.clients().find(&add.id);
    for terms in added.iter().flat_map(|client| &client.certificates) {
        let until = terms.expires.map(|expires| format!(", until {expires}")).unwrap_or_default();
        let (key, certificate) = (terms.certificate.key(), printable(&terms.certificate.to_string()));
        say!("certificates with `{key}: {certificate}` stand for it{until}");
    }
    for terms in added.iter().flat_map(|client| &client.federated) {
        say!("tokens of {terms} stand for it");
    }
    secret.iter().try_for_each(show)
}

fn rotate(files: &PolicyFiles, id: &str, keep_old: Duration) -> anyhow::Result<()> {
    let secret = generate()?;
    let until = SystemClock.now().round(jiff::Unit::Second)?.checked_add(keep_old)?;
    let edited = files.sources.add_secret(id, &secret.hash().to_string(), &until.to_string())?;
    let file = edited.file.clone();
    files.write(&[edited])?;
    say!("{file}: added a secret to client `{id}`; the old ones expire at {until}");
    show(&secret)
}

fn enable(files: &PolicyFiles, id: &str) -> anyhow::Result<()> {
    let revoked_before = files.sources.revoked_before(id)?;
    if files.sources.is_disabled(id)? {
        let edited = files.sources.set_client(id, &[("enabled", "true".to_owned())])?;
        let file = edited.file.clone();
        files.write(&[edited])?;
        say!("{file}: client `{id}` is enabled");
    } else {
        say!("client `{id}` is enabled already, and nothing was written");
    }
    if let Some(time) = revoked_before {
        say!("its tokens issued before {time} stay revoked");
    }
    Ok(())
}

/// What `clients revoke` is about to do.
struct Revocation {
    /// From when on tokens are good, and whether that is still to come.
    at: Timestamp,
    is_ahead: bool,
    edited: EditedFile,
}

impl Revocation {
    fn of(files: &PolicyFiles, id: &str, before: Option<Timestamp>) -> anyhow::Result<Self> {
        let former = files.sources.revoked_before(id)?.map(seconds_up);
        let now = seconds_up(SystemClock.now());
        let time = match before {
            None => revoked_now(former, now),
            Some(before) => revoked_until(id, former, seconds_up(before))?,
        };
        let at = Timestamp::from_second(time)?;
        let mut values = vec![("revoked_before", at.to_string())];
        if before.is_none() {
            values.insert(0, ("enabled", "false".to_owned()));
        }
        Ok(Self { at, is_ahead: time > now, edited: files.sources.set_client(id, &values)? })
    }
}

fn revoke(files: &PolicyFiles, id: &str, before: Option<Timestamp>) -> anyhow::Result<()> {
    let Revocation { at, is_ahead, edited } = Revocation::of(files, id, before)?;
    let file = edited.file.clone();
    let policies = files.write(&[edited])?;
    let is_anonymous = policies.clients().find(id).is_some_and(|client| client.kind == ClientKind::Anonymous);
    match (before, is_anonymous) {
        (None, false) => {
            say!("{file}: client `{id}` is disabled, and its tokens issued before {at} are revoked");
        }
        (None, true) => say!("{file}: client `{id}` is disabled"),
        (Some(_), false) => say!("{file}: the tokens of client `{id}` issued before {at} are revoked"),
        (Some(_), true) => say!("{file}: client `{id}` gets no token before {at}"),
    }
    if is_anonymous {
        say!("its tokens do not name it: the tokens that it has stay valid until they expire");
    }
    match (before, is_ahead) {
        (Some(_), true) => say!("this time is in the future: the client gets no token before {at}"),
        (None, true) => {
            say!("this time is in the future: even when enabled, the client gets no token before {at}");
        }
        (_, false) => {}
    }
    Ok(())
}

/// From when on a client's tokens are good if all that it has end now. Tokens since the former time stand in
/// the status list at the minute to which that moved them, and so this must lie after it.
fn revoked_now(former: Option<i64>, now: i64) -> i64 {
    match former {
        Some(former) if former >= now => former,
        Some(former) => now.max(moved_to(former) + 1),
        None => now,
    }
}

/// As [`revoked_now`] for a time that the operator chose.
fn revoked_until(id: &str, former: Option<i64>, time: i64) -> anyhow::Result<i64> {
    let Some(former) = former else { return Ok(time) };
    let at = |time: i64| Timestamp::from_second(time).map_or_else(|_| time.to_string(), |at| at.to_string());
    anyhow::ensure!(
        time >= former,
        "the tokens of client `{id}` issued before {} are revoked already, and {} would make some of them valid \
         again: edit the file if you intend that",
        at(former),
        at(time)
    );
    let earliest = moved_to(former) + 1;
    anyhow::ensure!(
        time == former || time >= earliest,
        "{} is too close to {}, before which its tokens are revoked already, for a status list to tell the two \
         apart: the earliest time that works is {}",
        at(time),
        at(former),
        at(earliest)
    );
    Ok(time)
}

/// The start of the whole minute at or after `revoked_before`, whose bit in the status list tokens since then
/// have.
fn moved_to(revoked_before: i64) -> i64 {
    revoked_before + (-revoked_before).rem_euclid(60)
}

fn generate() -> anyhow::Result<ClientSecret> {
    Ok(ClientSecret::generate()?)
}

fn show(secret: &ClientSecret) -> anyhow::Result<()> {
    say!("the secret is shown only now, nobody can look it up later:");
    // unlike other results it must arrive
    let shown = writeln!(io::stdout(), "{}", secret.reveal());
    shown.context("the secret could not be shown and is lost: remove its `sha256` from the policy file")
}

/// The public keys in a file of the client's.
fn public_keys(file: &Path) -> anyhow::Result<Vec<ForeignKey>> {
    let read = files::read(file, PolicySources::LONGEST_KEYS);
    let bytes = read.map_err(|error| anyhow::anyhow!("{} {error}", file.display()))?;
    let keys =
        ForeignKeys::from_file(&bytes).with_context(|| format!("{} cannot be used", file.display()))?;
    for key in keys.passed_over {
        say!("warning: {}: a key is passed over: {key}", file.display());
    }
    Ok(keys.taken)
}

/// The lines of a client.
fn body(
    add: &Add,
    secret: Option<&ClientSecret>,
    keys: &[ForeignKey],
    certificates: &[AddedCertificate],
) -> Vec<String> {
    let list = |items: &[String]| {
        let items: Vec<_> = items.iter().map(|item| scalar(item)).collect();
        format!("[{}]", items.join(", "))
    };
    let mut lines = Vec::new();
    if let Some(secret) = secret {
        lines.extend(["secrets:".to_owned(), format!("  - sha256: {}", secret.hash())]);
    }
    if !keys.is_empty() {
        lines.push("public_keys:".to_owned());
        lines.extend(keys.iter().map(|key| format!("  - jwk: {{ {} }}", members(key.jwk()))));
    }
    let hashes = certificates.iter().map(|AddedCertificate { sha256, expires }| {
        let expires = expires.map(|time| format!(", expires: {time}")).unwrap_or_default();
        format!("  - {{ sha256: {sha256}{expires} }}")
    });
    let names = add.names.each().map(|(field, name)| format!("  - {}: {}", field.as_str(), scalar(name)));
    let entries: Vec<_> = hashes.chain(names).collect();
    if !entries.is_empty() {
        lines.push("certificates:".to_owned());
        lines.extend(entries);
    }
    if let Some(issuer) = &add.issuer {
        lines.extend([
            "federated:".to_owned(),
            format!("  - issuer: {}", scalar(issuer)),
            "    claims:".to_owned(),
        ]);
        lines.extend(conditions(&add.matches));
    }
    let switches = [
        ("bound_tokens", add.bound_tokens),
        ("token_exchange", add.token_exchange),
        ("refresh", add.refresh),
        ("status_list", add.status_list),
    ];
    lines.extend(switches.iter().filter(|(_, is_on)| *is_on).map(|(key, _)| format!("{key}: true")));
    if add.introspect.iter().any(String::is_empty) {
        lines.push("introspect: true".to_owned());
    } else if !add.introspect.is_empty() {
        lines.push(format!("introspect: {}", list(&add.introspect)));
    }
    if let Some(api) = &add.api {
        lines.extend(["grants:".to_owned(), format!("  {}:", scalar(api))]);
        if !add.roles.is_empty() {
            lines.push(format!("    roles: {}", list(&add.roles)));
        }
        if !add.scopes.is_empty() {
            lines.push(format!("    scopes: {}", list(&add.scopes)));
        }
    }
    if !add.claims.is_empty() {
        lines.push("claims:".to_owned());
        lines.extend(add.claims.iter().map(|(name, value)| match value {
            Value::String(text) => format!("  {}: {}", scalar(name), scalar(text)),
            // JSON is YAML
            other => format!("  {}: {other}", scalar(name)),
        }));
    }
    lines.extend(add.ttl.as_ref().map(|ttl| format!("ttl: {ttl}")));
    lines
}

/// The lines of conditions on another issuer's token. Of several values for one claim each will do.
fn conditions(matches: &[(String, String)]) -> Vec<String> {
    let mut claims: Vec<(&str, Vec<String>)> = Vec::new();
    for (claim, value) in matches {
        let value = scalar(value);
        match claims.iter_mut().find(|(known, _)| known == claim) {
            Some((_, values)) if values.contains(&value) => {}
            Some((_, values)) => values.push(value),
            None => claims.push((claim, vec![value])),
        }
    }
    let each = claims.iter().map(|(claim, values)| match values.as_slice() {
        [only] => format!("      {}: {{ is: {only} }}", scalar(claim)),
        several => format!("      {}: {{ in: [{}] }}", scalar(claim), several.join(", ")),
    });
    each.collect()
}

/// The public members of a JSON Web Key, as a line of YAML has them.
fn members(jwk: &Map<String, Value>) -> String {
    let texts = PUBLIC_MEMBERS.iter().filter_map(|name| Some((name, jwk.get(*name)?.as_str()?)));
    let members: Vec<_> = texts.map(|(name, text)| format!("{name}: {}", scalar(text))).collect();
    members.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_move_to_the_whole_minute_at_or_after() {
        for (revoked_before, minute) in [(0, 0), (1, 60), (59, 60), (60, 60), (61, 120), (-1, 0), (-60, -60)]
        {
            assert_eq!(moved_to(revoked_before), minute, "{revoked_before}");
        }
    }

    #[test]
    fn all_that_a_client_has_ends_after_the_former_minute() {
        for (former, now, expected) in [
            (None, 1000, 1000),
            // 960 is a whole minute
            (Some(900), 1000, 1000),
            (Some(960), 1000, 1000),
            (Some(960), 961, 961),
            (Some(961), 1000, 1021),
            (Some(999), 1000, 1021),
            // what lies ahead covers it
            (Some(1000), 1000, 1000),
            (Some(5000), 1000, 5000),
        ] {
            assert_eq!(revoked_now(former, now), expected, "{former:?} at {now}");
        }
    }

    #[test]
    fn a_chosen_time_is_the_former_or_lies_after_its_minute() {
        for (former, time, is_taken) in [
            (None, 1, true),
            (Some(961), 961, true),
            (Some(961), 960, false),
            (Some(961), 962, false),
            (Some(961), 1020, false),
            (Some(961), 1021, true),
            (Some(960), 961, true),
        ] {
            assert_eq!(revoked_until("x", former, time).is_ok(), is_taken, "{former:?}, {time}");
        }
    }
}
