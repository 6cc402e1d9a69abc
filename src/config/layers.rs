//! The three places from which settings come, read key by key so that everything wrong is found at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

use config::{Config, Environment, File, FileFormat, Source, Value, ValueKind};
use jeton_oauth::text::printable;
use jeton_policy::files::{self, FileError};
use zeroize::Zeroizing;

use super::{
    effective::{EffectiveSetting, SettingSource},
    values::{without_secrets, without_secrets_of},
};

/// One setting that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// The file and key, or the variable.
    pub origin: String,
    /// What is wrong, and the fix.
    pub message: String,
}

/// Everything that is wrong with the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingErrors(pub Vec<SettingError>);

impl fmt::Display for SettingErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            let newline = if position > 0 { "\n" } else { "" };
            write!(f, "{newline}{}: {}", printable(&error.origin), printable(&error.message))?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingErrors {}

/// What `jeton.toml` in the source tree says: the defaults.
pub(crate) const DEFAULTS: &str = include_str!("../../jeton.toml");
/// The section of it that is an example: what it says is there only where somebody writes it.
const NO_DEFAULT: &str = "admin.";
/// What the names of our environment variables start with.
const PREFIX: &str = "JETON";
const SEPARATOR: &str = "__";
/// The longest settings file, in bytes.
const LONGEST_FILE: u64 = 1024 * 1024;

/// Something is wrong, and noted among the errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted;

/// The settings by dotted key, not yet understood.
pub(super) struct Layers {
    /// From the least to the most important.
    stack: Vec<Layer>,
    errors: Vec<SettingError>,
    /// What was taken so far.
    taken: Vec<EffectiveSetting>,
    /// Values that errors must not quote as they are.
    hidden: Vec<String>,
}

struct Layer {
    origin: SettingOrigin,
    /// What relative paths are relative to.
    base: PathBuf,
    values: BTreeMap<String, Value>,
}

enum SettingOrigin {
    Defaults,
    File(PathBuf),
    Environment,
}

impl SettingOrigin {
    fn source(&self, key: &str) -> SettingSource {
        match self {
            Self::Defaults => SettingSource::Default,
            Self::File(path) => SettingSource::File(path.clone()),
            Self::Environment => SettingSource::Variable(variable(key)),
        }
    }

    fn name(&self, key: &str) -> String {
        self.source(key).origin_of(key)
    }
}

/// The environment variable of a key.
fn variable(key: &str) -> String {
    format!("{PREFIX}{SEPARATOR}{}", key.replace('.', SEPARATOR).to_uppercase())
}

impl Layers {
    /// Reads the three places. `file` must be there if it is given.
    pub(super) fn read(file: Option<&Path>, environment: Environment) -> Result<Self, SettingErrors> {
        let mut errors = Vec::new();
        let folder = file.and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
        let mut defaults =
            read_layer(File::from_str(DEFAULTS, FileFormat::Toml), "the defaults", &mut errors);
        defaults.retain(|key, _| !key.starts_with(NO_DEFAULT));
        let mut layers =
            vec![Layer { origin: SettingOrigin::Defaults, base: folder.clone(), values: defaults }];
        if let Some(path) = file {
            let values = match text_of(path) {
                Ok(text) => {
                    let source = File::from_str(&text, FileFormat::Toml);
                    read_layer(source, &path.display().to_string(), &mut errors)
                }
                Err(message) => {
                    errors.push(SettingError { origin: path.display().to_string(), message });
                    BTreeMap::new()
                }
            };
            layers.push(Layer { origin: SettingOrigin::File(path.to_owned()), base: folder, values });
        }
        errors.extend(unreadable_variables());
        if !errors.is_empty() {
            return Err(SettingErrors(errors));
        }
        let environment = environment.prefix(PREFIX).prefix_separator(SEPARATOR).separator(SEPARATOR);
        let values = read_layer(environment, "the environment", &mut errors);
        layers.push(Layer { origin: SettingOrigin::Environment, base: PathBuf::new(), values });
        if errors.is_empty() {
            Ok(Self { stack: layers, errors, taken: Vec::new(), hidden: Vec::new() })
        } else {
            Err(SettingErrors(errors))
        }
    }

    /// Takes a setting and understands it as text, by `parse`, whose error is what to do.
    pub(super) fn text<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let (text, name, _) = self.take_text(key)?;
        self.keep(parse(&text), name)
    }

    /// Takes a path, which is relative to where the setting stands.
    pub(super) fn path(
        &mut self,
        key: &str,
        check: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Option<PathBuf> {
        let (text, name, base) = self.take_text(key)?;
        let path = base.join(text);
        self.note_path(&path);
        self.keep(check(&path).map(|()| path), name)
    }

    /// Takes the path of an optional file, by `read`. `""`: no file.
    pub(super) fn file<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(Option<PathBuf>) -> Result<T, String>,
    ) -> Option<T> {
        let (text, name, base) = self.take_text(key)?;
        let path = (!text.is_empty()).then(|| base.join(text));
        if let Some(path) = &path {
            self.note_path(path);
        }
        self.keep(read(path), name)
    }

    /// Takes what is a folder or something else, by `read`, which is told the text and which path it would be.
    pub(super) fn folder_or_text<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&str, PathBuf) -> Result<T, String>,
    ) -> Option<T> {
        let (text, name, base) = self.take_text(key)?;
        let path = base.join(&text);
        if !text.is_empty() && path.is_dir() {
            self.note_path(&path);
        }
        self.keep(read(&text, path), name)
    }

    /// Takes a secret, if there is one. The environment may hold it, a settings file may not: it is copied,
    /// committed and mounted where anybody can read it. `instead` names the setting to use there.
    pub(super) fn secret(&mut self, key: &str, instead: &str) -> Option<Zeroizing<String>> {
        let mut secret = None;
        for layer in &mut self.stack {
            let Some(value) = layer.values.remove(key) else { continue };
            let outcome = match (&layer.origin, value.kind) {
                (SettingOrigin::Environment, ValueKind::String(text)) if !text.is_empty() => {
                    Ok(Zeroizing::new(text))
                }
                (SettingOrigin::Environment, _) => Err("is empty: set it, or remove it".to_owned()),
                (SettingOrigin::Defaults | SettingOrigin::File(_), _) => Err(format!(
                    "a secret must not be in this file: use `{instead}`, or the variable {}",
                    variable(key)
                )),
            };
            self.taken.push(EffectiveSetting::secret(key, layer.origin.source(key)));
            let origin = layer.origin.name(key);
            secret = outcome.map_err(|message| self.errors.push(SettingError { origin, message })).ok();
        }
        secret
    }

    /// Takes a single value, and understands it as text by `parse`, which so tells of a number or a switch what to write.
    pub(super) fn scalar<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (value, name, _) = self.take(key)?;
        let text = match &value.kind {
            ValueKind::Table(_) | ValueKind::Array(_) => Err("write it as text in quotes".to_owned()),
            single => Ok(single.to_string()),
        };
        self.keep(text.and_then(|text| parse(&text)), name)
    }

    /// Takes `true` or `false`.
    pub(super) fn switch(&mut self, key: &str) -> Option<bool> {
        let (value, name, _) = self.take(key)?;
        let switch = match &value.kind {
            ValueKind::Boolean(switch) => Ok(*switch),
            ValueKind::String(text) if text == "true" => Ok(true),
            ValueKind::String(text) if text == "false" => Ok(false),
            _ => Err("write `true` or `false`".to_owned()),
        };
        self.keep(switch, name)
    }

    /// Takes a whole number, not negative.
    pub(super) fn number(
        &mut self,
        key: &str,
        check: impl FnOnce(u32) -> Result<u32, String>,
    ) -> Option<u32> {
        let (value, name, _) = self.take(key)?;
        let number = match &value.kind {
            ValueKind::I64(number) => u32::try_from(*number).ok(),
            ValueKind::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| "write a whole number, such as `4`".to_owned());
        self.keep(number.and_then(check), name)
    }

    /// Takes a list of text; in the environment, text with commas between.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&[String]) -> Result<T, String>,
    ) -> Option<T> {
        let (list, name, _) = self.take_list(key)?;
        self.keep(parse(&list), name)
    }

    /// Takes a list of paths, each relative to where the setting stands.
    pub(super) fn paths(&mut self, key: &str) -> Option<Vec<PathBuf>> {
        let (list, name, base) = self.take_list(key)?;
        if list.iter().any(String::is_empty) {
            return self.refuse(&name, "a path is empty: name a folder, or remove it");
        }
        Some(list.iter().map(|path| base.join(path)).collect())
    }

    fn take_list(&mut self, key: &str) -> Option<(Vec<String>, String, PathBuf)> {
        let (value, name, base) = self.take(key)?;
        let text = |value: Value| match value.kind {
            ValueKind::String(text) => Some(text),
            _ => None,
        };
        let list: Option<Vec<_>> = match value.kind {
            ValueKind::Array(items) => items.into_iter().map(text).collect(),
            ValueKind::String(text) => Some(
                text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect(),
            ),
            _ => None,
        };
        let list = list.ok_or_else(|| "write it as a list of text, such as `[\"a\", \"b\"]`".to_owned());
        Some((self.keep(list, name.clone())?, name, base))
    }

    /// Takes a table from text to text, each value by `parse`; `None` where something in it is wrong.
    pub(super) fn table<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str, &str) -> Result<T, String>,
    ) -> Option<BTreeMap<String, T>> {
        if let Some((_, name, _)) = self.take(key) {
            return self.refuse(&name, "is empty, or not a table: write it as `{ \"name\" = \"value\" }`");
        }
        let prefix = format!("{key}.");
        let keys: BTreeSet<_> =
            self.keys().filter(|key| key.starts_with(&prefix)).map(str::to_owned).collect();
        let each: Vec<_> = keys
            .into_iter()
            .map(|key| {
                let name = key.get(prefix.len()..).unwrap_or_default().to_owned();
                let value = self.text(&key, |text| parse(&name, text));
                Some((name, value?))
            })
            .collect();
        each.into_iter().collect()
    }

    /// The names of the sections of `[section.NAME]`.
    pub(super) fn names_below(&self, section: &str) -> BTreeSet<String> {
        let below = |key: &str| {
            let name = key.strip_prefix(section)?.strip_prefix('.')?;
            Some(name.split('.').next().unwrap_or_default().to_owned())
        };
        self.keys().filter_map(below).collect()
    }

    /// Whether a setting is given anywhere, or something below it.
    pub(super) fn has(&self, key: &str) -> bool {
        let prefix = format!("{key}.");
        self.keys().any(|other| other == key || other.starts_with(&prefix))
    }

    /// The most important place that says something of a section, to be asked before its settings are taken.
    pub(super) fn origin_of(&self, section: &str) -> String {
        let prefix = format!("{section}.");
        let says = |layer: &&Layer| layer.values.keys().any(|key| key.starts_with(&prefix) || key == section);
        self.stack
            .iter()
            .rev()
            .find(says)
            .map_or_else(|| section.to_owned(), |layer| layer.origin.name(section))
    }

    /// Notes everything that is wrong with something.
    pub(super) fn keep_all<T>(&mut self, outcome: Result<T, Vec<SettingError>>) -> Option<T> {
        outcome.map_err(|errors| self.errors.extend(errors)).ok()
    }

    /// Notes what is wrong at a place; in the place of a value, nothing.
    pub(super) fn refuse<T>(&mut self, origin: &str, message: impl Into<String>) -> Option<T> {
        self.errors.push(SettingError { origin: origin.to_owned(), message: message.into() });
        None
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.stack.iter().flat_map(|layer| layer.values.keys()).map(String::as_str)
    }

    /// What was taken, by key; and everything wrong, the keys that nobody took included.
    pub(super) fn finish(mut self, known: &[&str]) -> (Vec<EffectiveSetting>, SettingErrors) {
        self.errors.extend(misspelt_variables(known));
        for layer in &self.stack {
            let is_section = |key: &str| known.iter().any(|known| known.starts_with(&format!("{key}.")));
            let empty = |value: &Value| matches!(&value.kind, ValueKind::Table(_));
            for (key, _) in layer.values.iter().filter(|(key, value)| !(empty(value) && is_section(key))) {
                let nearest = known.iter().min_by_key(|known| strsim::damerau_levenshtein(known, key));
                let hint = match nearest {
                    Some(name) if strsim::damerau_levenshtein(name, key) <= 1 + key.len() / 4 => {
                        let name = match layer.origin {
                            SettingOrigin::Environment => variable(name),
                            SettingOrigin::Defaults | SettingOrigin::File(_) => (*name).to_owned(),
                        };
                        format!("did you mean `{name}`?")
                    }
                    _ => "remove it; `jeton.toml` in the source tree lists all settings".to_owned(),
                };
                let message = format!("unknown setting: {hint}");
                self.errors.push(SettingError { origin: layer.origin.name(key), message });
            }
        }
        for SettingError { message, .. } in &mut self.errors {
            for text in &self.hidden {
                *message = without_secrets_of(text, std::mem::take(message));
            }
        }
        self.taken.sort_by(|a, b| a.key.cmp(&b.key));
        (self.taken, SettingErrors(self.errors))
    }

    fn take_text(&mut self, key: &str) -> Option<(String, String, PathBuf)> {
        let (value, name, base) = self.take(key)?;
        let text = match value.kind {
            ValueKind::String(text) => Ok(text),
            _ => Err("write it as text in quotes".to_owned()),
        };
        Some((self.keep(text, name.clone())?, name, base))
    }

    /// Takes a setting out of every layer; the most important one counts.
    fn take(&mut self, key: &str) -> Option<(Value, String, PathBuf)> {
        let mut found = None;
        for layer in &mut self.stack {
            if let Some(value) = layer.values.remove(key) {
                let effective = EffectiveSetting::new(key, &value, layer.origin.source(key));
                found = Some((effective, (value, layer.origin.name(key), layer.base.clone())));
            }
        }
        let (effective, found) = found?;
        self.taken.push(effective);
        self.hide(&found.0);
        Some(found)
    }

    /// Notes what errors must not quote of a value.
    fn hide(&mut self, value: &Value) {
        match &value.kind {
            ValueKind::String(text) if without_secrets(text) != *text => self.hidden.push(text.clone()),
            ValueKind::Array(items) => items.iter().for_each(|item| self.hide(item)),
            _ => {}
        }
    }

    /// Notes what path the last setting is.
    fn note_path(&mut self, path: &Path) {
        if let Some(last) = self.taken.last_mut() {
            last.value = without_secrets(&path.display().to_string()).into();
        }
    }

    fn keep<T>(&mut self, outcome: Result<T, String>, origin: String) -> Option<T> {
        outcome.map_err(|message| self.errors.push(SettingError { origin, message })).ok()
    }
}

/// The text of a settings file.
fn text_of(path: &Path) -> Result<String, String> {
    let bytes = files::read(path, LONGEST_FILE).map_err(|error| match error {
        error @ FileError::Io(_) => error.to_string(),
        error @ (FileError::NotAFile(_) | FileError::TooLong(_)) => format!("{error}: name a settings file"),
    })?;
    String::from_utf8(bytes).map_err(|_| "is not text in UTF-8".to_owned())
}

/// Our variables that hold something else than text.
fn unreadable_variables() -> Vec<SettingError> {
    let ours = |name: &str| name.to_uppercase().starts_with(&format!("{PREFIX}{SEPARATOR}"));
    let each = std::env::vars_os().filter(|(_, value)| value.to_str().is_none());
    each.filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| ours(name))
        .map(|origin| SettingError { origin, message: "is not text in UTF-8".to_owned() })
        .collect()
}

/// Variables that would be ours but for their underscores, such as `JETON_ISSUER`. Others that start so are not ours:
/// Kubernetes sets `JETON_SERVICE_HOST` and the like where a service has this name.
fn misspelt_variables(known: &[&str]) -> Vec<SettingError> {
    let words = |name: &str| {
        let words = name.split('_').filter(|word| !word.is_empty()).map(str::to_uppercase);
        words.collect::<Vec<_>>()
    };
    let ours: BTreeMap<_, _> =
        known.iter().map(|key| variable(key)).map(|name| (words(&name), name)).collect();
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let others = names.filter(|name| !name.to_uppercase().starts_with(&format!("{PREFIX}{SEPARATOR}")));
    let misspelt = others.filter_map(|name| {
        let right = ours.get(&words(&name))?;
        let message = format!("is ignored: write it with two underscores, `{right}`, or remove it");
        Some(SettingError { origin: name, message })
    });
    misspelt.collect()
}

fn read_layer(
    source: impl Source + Send + Sync + 'static,
    origin: &str,
    errors: &mut Vec<SettingError>,
) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    match Config::builder().add_source(source).build() {
        Ok(config) => flatten("", config.cache, &mut values),
        Err(error) => {
            let message = without_source(&error.to_string());
            errors.push(SettingError { origin: origin.to_owned(), message });
        }
    }
    values
}

/// What the library says on one line, without the line of the file that it shows: that may hold a secret, and belongs
/// to another file where the settings are a link.
fn without_source(error: &str) -> String {
    let is_source =
        |line: &str| line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|');
    let lines = error.lines().filter(|line| !is_source(line)).map(str::trim);
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(": ")
}

fn flatten(prefix: &str, value: Value, into: &mut BTreeMap<String, Value>) {
    match value.kind {
        ValueKind::Table(table) if prefix.is_empty() || !table.is_empty() => {
            for (key, value) in table {
                let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
                flatten(&key, value, into);
            }
        }
        _ => {
            into.insert(prefix.to_owned(), value);
        }
    }
}
