//! `OTEL_*`, the variables of OpenTelemetry: traces have no section of their own in `jeton.toml`.

use std::{collections::BTreeMap, env, ffi::OsString, path::PathBuf, time::Duration};

use percent_encoding::percent_decode_str;
use url::Url;

use super::{NeededFolders, layers::SettingError, values::without_secrets_of};

/// Where spans go, how many, and what they say of this service.
///
/// Holds no secret: the headers for the collector are checked here, and read from the environment by the exporter.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSettings {
    /// Where the collector takes spans: `http` or `https`, without user, password and query.
    pub endpoint: Url,
    /// How long one export may take.
    pub timeout: Duration,
    /// A PEM file of the authorities that the collector's certificate may have, in the place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Which requests have a span.
    pub sampler: TraceSampler,
    /// How many spans wait for an export at most.
    pub queue: usize,
    /// How many spans are exported at once.
    pub batch: usize,
    /// How often what waits is exported.
    pub interval: Duration,
    /// The resource attributes, `service.name` among them.
    pub resource: BTreeMap<String, String>,
}

/// Which requests have a span that is exported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceSampler {
    /// The share of traces, from 0 to 1.
    pub ratio: f64,
    /// Whether a trace that somebody else began is sampled where its caller samples it.
    pub follows_parent: bool,
}

/// A variable of traces alone, and the one of all signals.
type Names = [&'static str; 2];

const DISABLED: &str = "OTEL_SDK_DISABLED";
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const ENDPOINT: Names = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOL: Names = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const HEADERS: Names = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const TIMEOUT: Names = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const COMPRESSION: Names = ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
const CA_FILE: Names = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
const OWN_CERTIFICATE: Names =
    ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"];
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const RATIO: &str = "OTEL_TRACES_SAMPLER_ARG";
const QUEUE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const BATCH: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
const INTERVAL: &str = "OTEL_BSP_SCHEDULE_DELAY";
const EXPORT_TIMEOUT: &str = "OTEL_BSP_EXPORT_TIMEOUT";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Where a collector takes spans, below its address.
const PATH: &str = "/v1/traces";

/// The most spans that wait: they are memory.
const LONGEST_QUEUE: u32 = 100_000;
/// The longest time, in milliseconds: an hour.
const LONGEST_TIME: u32 = 3_600_000;

/// The resource attribute that names the service.
const SERVICE: &str = "service.name";

impl TraceSettings {
    /// Reads the variables, for a service. `None` where they turn traces off, or name no collector.
    ///
    /// # Errors
    /// Each variable that makes no sense or asks for what jeton cannot do, whether there is a collector or not.
    pub(super) fn read(
        needs: NeededFolders,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Self>, Vec<SettingError>> {
        match needs {
            NeededFolders::Everything => Self::of_environment(|name| env::var_os(name), warnings),
            NeededFolders::Policies | NeededFolders::Keys | NeededFolders::Nothing => Ok(None),
        }
    }

    /// As [`Self::read`], from these variables.
    fn of_environment(
        variable: impl Fn(&str) -> Option<OsString>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Self>, Vec<SettingError>> {
        let mut variables = Variables { variable, errors: Vec::new() };
        let is_disabled = variables.take(DISABLED, |text| match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("write `true` or `false`".to_owned()),
        });
        if is_disabled == Some(true) {
            return Ok(None);
        }
        let is_wanted = variables.take(EXPORTER, |text| match text {
            "otlp" => Ok(true),
            "none" => Ok(false),
            other => Err(format!("`{other}` is not supported: write `otlp` or `none`")),
        });
        if is_wanted == Some(false) {
            return Ok(None);
        }
        let [_, collector] = ENDPOINT;
        if is_wanted == Some(true) && variables.first(ENDPOINT).is_none() {
            warnings.push(format!("{EXPORTER}: there are no traces until {collector} names a collector"));
        }
        let endpoint = variables.endpoint();
        variables.check_supported();
        let timeout = variables.take_first(TIMEOUT, milliseconds);
        let export_timeout = variables.take(EXPORT_TIMEOUT, milliseconds);
        let ca_file = variables.take_first(CA_FILE, |text| match PathBuf::from(text) {
            path if path.is_file() => Ok(path),
            path => Err(format!("the file `{}` does not exist", path.display())),
        });
        let sampler = variables.sampler();
        let queue = variables.take(QUEUE, |text| number(text, LONGEST_QUEUE)).unwrap_or(2048);
        let batch = variables.take(BATCH, |text| match number(text, LONGEST_QUEUE)? {
            long if long > queue => Err(format!("`{long}` is more than {QUEUE}, which is {queue}")),
            batch => Ok(batch),
        });
        let interval = variables.take(INTERVAL, milliseconds);
        let resource = variables.resource();
        if !variables.errors.is_empty() {
            return Err(variables.errors);
        }
        let [timeout, export_timeout] =
            [timeout.unwrap_or(Duration::from_secs(10)), export_timeout.unwrap_or(Duration::from_secs(30))];
        Ok(endpoint.map(|endpoint| Self {
            endpoint,
            timeout: timeout.min(export_timeout),
            ca_file,
            sampler,
            queue,
            batch: batch.unwrap_or_else(|| queue.min(512)),
            interval: interval.unwrap_or(Duration::from_secs(5)),
            resource,
        }))
    }
}

/// The environment, and what is wrong with it. A variable that is empty counts as not set.
struct Variables<F> {
    variable: F,
    errors: Vec<SettingError>,
}

impl<F: Fn(&str) -> Option<OsString>> Variables<F> {
    /// Takes a variable and understands it by `parse`, whose error is what to do.
    fn take<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let value = (self.variable)(name).filter(|value| !value.is_empty())?;
        let text = value.to_str().ok_or_else(|| "is not text in UTF-8".to_owned());
        let outcome = text.and_then(|text| {
            let text = text.trim();
            parse(text).map_err(|message| without_secrets_of(text, message))
        });
        outcome.map_err(|message| self.errors.push(SettingError { origin: name.to_owned(), message })).ok()
    }

    /// The first of these that is set.
    fn first(&self, names: Names) -> Option<&'static str> {
        names.into_iter().find(|name| (self.variable)(name).is_some_and(|value| !value.is_empty()))
    }

    fn take_first<T>(&mut self, names: Names, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.take(self.first(names)?, parse)
    }

    /// Where the collector takes spans. The variable of traces says it whole, the other one without the path.
    fn endpoint(&mut self) -> Option<Url> {
        let [of_traces, _] = ENDPOINT;
        let name = self.first(ENDPOINT)?;
        self.take(name, |text| {
            let mut url = parse_url(text)?;
            if name != of_traces {
                let path = format!("{}{PATH}", url.path().trim_end_matches('/'));
                url.set_path(&path);
            }
            Ok(url)
        })
    }

    /// What jeton has one way for: other values would be ignored, and nobody would know why there are no spans.
    fn check_supported(&mut self) {
        self.take_first(PROTOCOL, |text| match text {
            "http/protobuf" => Ok(()),
            other => Err(format!(
                "`{other}` is not supported: write `http/protobuf`, which most collectors \
                                  take on port 4318"
            )),
        });
        self.take_first(COMPRESSION, |text| match text {
            "none" | "gzip" => Ok(()),
            other => Err(format!("`{other}` is not supported: write `gzip` or `none`")),
        });
        self.take_first(OWN_CERTIFICATE, |_| {
            Err::<(), _>("is not supported: a collector learns who sends spans by headers".to_owned())
        });
        self.take_first(HEADERS, check_headers);
    }

    fn sampler(&mut self) -> TraceSampler {
        let ratio = self.take(RATIO, |text| match text.parse() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
            _ => Err(format!("`{text}` is not a share: write a number from 0 to 1, such as `0.1`")),
        });
        let ratio = ratio.unwrap_or(1.0);
        let sampler = self.take(SAMPLER, |text| {
            let (name, follows_parent) = match text.strip_prefix("parentbased_") {
                Some(name) => (name, true),
                None => (text, false),
            };
            let ratio = match name {
                "always_on" => 1.0,
                "always_off" => 0.0,
                "traceidratio" => ratio,
                _ => {
                    return Err(format!(
                        "`{text}` is not supported: write `always_on`, `always_off` or `traceidratio`, or one of them \
                         behind `parentbased_`"
                    ));
                }
            };
            Ok(TraceSampler { ratio, follows_parent })
        });
        sampler.unwrap_or(TraceSampler { ratio: 1.0, follows_parent: true })
    }

    fn resource(&mut self) -> BTreeMap<String, String> {
        let mut resource: BTreeMap<_, _> =
            self.take(RESOURCE, |text| pairs(text).collect()).unwrap_or_default();
        if let Some(name) = self.take(SERVICE_NAME, |text| Ok(text.to_owned())) {
            resource.insert(SERVICE.to_owned(), name);
        }
        resource.entry(SERVICE.to_owned()).or_insert_with(|| "jeton".to_owned());
        resource
    }
}

/// Names no part of the text, which may hold a secret.
fn parse_url(text: &str) -> Result<Url, String> {
    let wrong = |what| format!("{what}: write `http://HOST:4318`, or `https://HOST:4318` for TLS");
    let url = Url::parse(text).map_err(|_| wrong("this is not a URL"))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(wrong("the scheme is neither `http` nor `https`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let [_, headers] = HEADERS;
        return Err(format!("there is a user or password in it: use {headers}"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("there is a `?` or `#` in it"));
    }
    Ok(url)
}

/// Names an entry by its number alone: what somebody writes in another form may hold the secret anywhere.
fn check_headers(text: &str) -> Result<(), String> {
    for (at, pair) in pairs(text).enumerate() {
        let (name, value) = pair?;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if !name.bytes().all(is_token) {
            return Err(wrong_entry(at, "has something else than the name of a header before its `=`"));
        }
        if value.is_empty() || value.chars().any(char::is_control) {
            return Err(wrong_entry(at, "has an empty value, or a control character in it"));
        }
    }
    Ok(())
}

/// `NAME=VALUE,NAME=VALUE`, each value percent-encoded.
fn pairs(text: &str) -> impl Iterator<Item = Result<(String, String), String>> {
    text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).enumerate().map(|(at, pair)| {
        let (name, value) = pair.split_once('=').ok_or_else(|| wrong_entry(at, "has no `=`"))?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() {
            return Err(wrong_entry(at, "has no name"));
        }
        let value = percent_decode_str(value).decode_utf8().map_err(|_| wrong_entry(at, "is not UTF-8"))?;
        Ok((name.to_owned(), value.into_owned()))
    })
}

/// What is wrong with the entry at this position, and the fix.
fn wrong_entry(at: usize, what: &str) -> String {
    format!("entry {} {what}: write `NAME=VALUE`, with commas between", at + 1)
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let long = number(text, LONGEST_TIME).map_err(|error| format!("{error}, in milliseconds"))?;
    Ok(Duration::from_millis(u64::try_from(long).unwrap_or(u64::MAX)))
}

/// A whole number from 1 on.
fn number(text: &str, most: u32) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    let number = number.and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| format!("`{text}` is not a whole number from 1 to {most}"))
}

#[cfg(test)]
mod tests;
