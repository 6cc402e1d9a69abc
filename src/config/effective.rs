//! The settings as they count, and from where each is.

use std::{fmt, path::PathBuf};

use config::ValueKind;
use serde_json::Value;
use url::Url;

use super::{
    SettingErrors, Settings,
    values::{SET, without_secrets},
};

/// A setting as it counts. Shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveSetting {
    /// Its key, such as `server.listen`.
    pub key: String,
    /// Its value; `(set)` for a secret. A path is relative to the working directory.
    pub value: Value,
    /// Where it was said.
    pub source: SettingSource,
}

/// Where a setting is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingSource {
    /// Nobody said anything else.
    Default,
    /// A settings file.
    File(PathBuf),
    /// This environment variable.
    Variable(String),
}

/// The settings, and how they came to be.
pub struct CheckedSettings {
    /// Each setting as it counts, by key, as far as it could be read.
    pub effective: Vec<EffectiveSetting>,
    /// The settings, or everything that is wrong with them.
    pub outcome: Result<Settings, SettingErrors>,
}

/// The settings in which a password has its place.
const WITH_PASSWORD: [&str; 2] = ["store.url", "fetch.proxy"];

impl EffectiveSetting {
    pub(super) fn new(key: &str, value: &config::Value, source: SettingSource) -> Self {
        let value = match &value.kind {
            ValueKind::String(text) if WITH_PASSWORD.contains(&key) => without_password(text).into(),
            _ => shown(value),
        };
        Self { key: key.to_owned(), value, source }
    }

    pub(super) fn secret(key: &str, source: SettingSource) -> Self {
        Self { key: key.to_owned(), value: SET.into(), source }
    }

    /// The file and key, or the variable, as errors name it.
    pub fn origin(&self) -> String {
        self.source.origin_of(&self.key)
    }
}

impl SettingSource {
    /// A key that was said here, as errors name it.
    pub(super) fn origin_of(&self, key: &str) -> String {
        match self {
            Self::Default => format!("the defaults: `{key}`"),
            Self::File(path) => format!("{}: `{key}`", path.display()),
            Self::Variable(name) => name.clone(),
        }
    }
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

fn shown(value: &config::Value) -> Value {
    match &value.kind {
        ValueKind::Nil => Value::Null,
        ValueKind::Boolean(switch) => (*switch).into(),
        ValueKind::I64(number) => (*number).into(),
        ValueKind::U64(number) => (*number).into(),
        ValueKind::Array(items) => items.iter().map(shown).collect(),
        ValueKind::String(text) => without_secrets(text).into(),
        other => other.to_string().into(),
    }
}

/// Where a store is. What is no address of a store could be anything.
fn without_password(text: &str) -> String {
    let Ok(url) = Url::parse(text) else {
        return if text.is_empty() { String::new() } else { SET.to_owned() };
    };
    let Some(host) = url.host_str() else { return SET.to_owned() };
    let has_user = !url.username().is_empty() || url.password().is_some();
    let user = if has_user { format!("{SET}@") } else { String::new() };
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    let rest = if url.query().or(url.fragment()).is_some() { SET } else { "" };
    format!("{}://{user}{host}{port}{}{rest}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn an_address_is_shown_without_what_is_secret_in_it() {
        for (given, shown) in [
            ("", ""),
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("rediss://store.example.com/2", "rediss://store.example.com/2"),
            ("redis://:hush@127.0.0.1:6379", "redis://(set)@127.0.0.1:6379"),
            ("redis://user:hush@[::1]:6379/1", "redis://(set)@[::1]:6379/1"),
            ("redis://hush@store", "redis://(set)@store"),
            ("redis://store?password=hush", "redis://store(set)"),
            ("redis://store#hush", "redis://store(set)"),
            ("store:hush", "(set)"),
            ("user:hush@store", "(set)"),
            ("hush", "(set)"),
            ("redis://user:hu sh@", "(set)"),
        ] {
            assert_eq!(without_password(given), shown, "{given}");
        }
    }
}
