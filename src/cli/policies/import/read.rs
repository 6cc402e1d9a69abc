//! From a file to an OpenAPI 3 document, or what the file is instead.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, anyhow, bail, ensure};
use jeton_policy::files::{self, FileError};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess},
};
use serde_saphyr::{UserMessageFormatter, options::NonFiniteFloatPolicy};

use super::{
    document::{DocumentText, Members, OpenApiDocument, members},
    write::cut,
};

/// The longest document, in bytes: ten times that of GitHub.
const LONGEST: u64 = 128 * 1024 * 1024;

/// How deep objects and lists may stand in each other, as `serde_json` has it.
const DEEPEST: usize = 128;

/// What else is taken for an OpenAPI 3 document: by a member at its top, what it is, and what to do.
const OTHERS: [(&str, &str, &str); 6] = [
    ("swagger", "a Swagger document", "convert it to OpenAPI 3 first, for example by `npx swagger2openapi`"),
    ("swaggerVersion", "a Swagger 1 document", "ask for one of OpenAPI 3"),
    ("asyncapi", "an AsyncAPI document", "name the OpenAPI document of the HTTP API"),
    ("discoveryVersion", "a Google discovery document", "convert it to OpenAPI 3 first"),
    ("overlay", "an overlay", "apply it to its document first"),
    ("arazzo", "an Arazzo document", "name the OpenAPI document that its steps are about"),
];

/// Reads a document.
pub(super) fn read(path: &Path) -> anyhow::Result<OpenApiDocument> {
    let name = path.display().to_string();
    parse(&text(path, &name)?).with_context(|| name)
}

/// What stands in the file.
fn text(path: &Path, name: &str) -> anyhow::Result<String> {
    let bytes = files::read(path, LONGEST).map_err(|error| match error {
        FileError::Io(_) => anyhow!("{name} {error}"),
        FileError::NotAFile(_) => anyhow!("{name} {error}: name a file in which the document is saved"),
        FileError::TooLong(_) => {
            anyhow!("{name} {error}: name the document in which each `$ref` stands as it was written")
        }
    })?;
    String::from_utf8(bytes).map_err(|_| anyhow!("{name} is not UTF-8: save it as UTF-8"))
}

fn parse(text: &str) -> anyhow::Result<OpenApiDocument> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    ensure!(!text.trim().is_empty(), "this is empty: save the OpenAPI document again");
    ensure!(
        !text.trim_start().starts_with('<'),
        "this is HTML or XML: fetch the document itself, as JSON or YAML, not the page that shows it"
    );
    let document = deserialize::<OpenApiDocument>(text);
    // what it is comes before what is wrong in it
    if !document.as_ref().is_ok_and(|document| is_version_3(document.openapi.as_ref())) {
        let top = deserialize::<Top>(text);
        refuse_others(
            &top.map_err(|error| anyhow!("this text cannot be read as an OpenAPI 3 document: {error}"))?,
        )?;
    }
    let document = document.map_err(|error| anyhow!("this document cannot be read: {error}"))?;
    ensure!(
        !document.paths.0.is_empty(),
        "this document has no paths, so there is nothing to make rules for"
    );
    Ok(document)
}

/// Says what it is, if it is not OpenAPI 3.
fn refuse_others(top: &Top) -> anyhow::Result<()> {
    let version = top.0.get("openapi");
    if is_version_3(version) {
        return Ok(());
    }
    if let Some(DocumentText(version)) = version {
        bail!("this is OpenAPI {}, but jeton reads only OpenAPI 3: convert it first", cut(version));
    }
    for (member, what, fix) in OTHERS {
        if let Some(DocumentText(version)) = top.0.get(member) {
            bail!("this is {what} (`{member}: {}`), but jeton reads only OpenAPI 3: {fix}", cut(version));
        }
    }
    bail!("this is not an OpenAPI document: name one that has the member `openapi`, such as `openapi: 3.1.0`")
}

fn is_version_3(version: Option<&DocumentText>) -> bool {
    version.is_some_and(|DocumentText(version)| version == "3" || version.starts_with("3."))
}

/// Reads JSON or YAML; the error is one line, with the place.
fn deserialize<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    // what is in braces may be YAML too, and JSON with a number in the place of a text is read as such
    let as_json = text.trim_start().starts_with(['{', '[']).then(|| serde_json::from_str(text));
    let json_error = match as_json {
        Some(Ok(read)) => return Ok(read),
        Some(Err(error)) => Some(error),
        None => None,
    };
    let longest = usize::try_from(LONGEST).unwrap_or(usize::MAX);
    let options = serde_saphyr::options! {
        // the length of the file bounds what is there, and these what aliases make of it
        budget: serde_saphyr::budget! {
            max_depth: DEEPEST,
            max_nodes: longest,
            max_events: longest,
            max_total_scalar_bytes: longest,
            enforce_alias_anchor_ratio: false,
        },
        // in an example, which is passed over
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        ignore_binary_tag_for_string: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let error = json_error.map_or_else(|| not_read(&error), |error| error.to_string());
        cut(&error)
    })
}

fn not_read(error: &serde_saphyr::Error) -> String {
    if let serde_saphyr::Error::Budget { location, .. } = error {
        let (line, column) = (location.line(), location.column());
        return format!("too deep, or aliases that repeat too much, at line {line} column {column}");
    }
    error.render_with_formatter(&UserMessageFormatter).lines().next().unwrap_or_default().to_owned()
}

/// The members at the top that say what a document is.
#[derive(Default)]
struct Top(BTreeMap<String, DocumentText>);

impl Members for Top {
    const EXPECTED: &str = "an object with the member `openapi`";

    fn take<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error> {
        if name == "openapi" || OTHERS.iter().any(|(member, ..)| *member == name) {
            self.0.insert(name, map.next_value()?);
            return Ok(());
        }
        map.next_value::<IgnoredAny>().map(drop)
    }
}

impl<'de> Deserialize<'de> for Top {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        members(deserializer)
    }
}
