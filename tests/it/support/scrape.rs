//! What Prometheus gets, read line by line.
use std::collections::{BTreeMap, BTreeSet};

use jeton::config::{AdminSettings, ConsoleState, Settings};
use reqwest::Response;

use super::TestApp;

/// The metrics of a server at one time.
pub(crate) struct Scrape {
    /// The type of each metric, by its name.
    pub(crate) types: BTreeMap<String, String>,
    /// Each sample as it was written, with its value.
    pub(crate) samples: Vec<(String, f64)>,
}

/// Gives a server an admin listener.
pub(crate) fn with_admin(settings: &mut Settings) {
    let listen = "127.0.0.1:0".parse().unwrap();
    settings.admin = Some(AdminSettings { listen, hosts: Vec::new(), console: ConsoleState::On, tls: None });
}

impl TestApp {
    /// `GET` of a path of the admin listener.
    pub(crate) async fn get_admin(&self, path: &str) -> Response {
        let admin = self.admin.expect("the setup has an admin listener");
        self.http.get(format!("http://{admin}{path}")).send().await.unwrap()
    }

    /// `GET /metrics`.
    pub(crate) async fn scrape(&self) -> Scrape {
        let answer = self.get_admin("/metrics").await;
        assert_eq!(answer.status(), 200);
        Scrape::parse(&answer.text().await.unwrap())
    }
}

impl Scrape {
    /// Reads the text format. Each sample stands below the help and the type of its metric, and there once.
    pub(crate) fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'));
        let (mut types, mut samples) = (BTreeMap::new(), Vec::new());
        let (mut series, mut helped, mut metric) = (BTreeSet::new(), String::new(), String::new());
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                help.split_once(' ').expect("a help text").0.clone_into(&mut helped);
            } else if let Some(typed) = line.strip_prefix("# TYPE ") {
                let (name, kind) = typed.split_once(' ').unwrap();
                assert_eq!(name, helped);
                name.clone_into(&mut metric);
                assert_eq!(types.insert(name.to_owned(), kind.to_owned()), None, "{line}");
            } else {
                let (sample, value) = line.rsplit_once(' ').unwrap();
                let name = name_of(sample);
                let is_part =
                    ["_bucket", "_sum", "_count"].iter().any(|end| name == format!("{metric}{end}"));
                let is_histogram = types[&metric] == "histogram";
                assert_eq!((name == metric, is_part), (!is_histogram, is_histogram), "{line}");
                assert!(series.insert(sample.to_owned()), "twice: {line}");
                samples.push((sample.to_owned(), value.parse().unwrap()));
            }
        }
        Self { types, samples }
    }

    /// The samples of this name: their labels as they were written, and the values.
    pub(crate) fn of(&self, name: &str) -> Vec<(&str, f64)> {
        let of_name = self.samples.iter().filter(|(sample, _)| name_of(sample) == name);
        of_name.map(|(sample, value)| (sample[name.len()..].trim_matches(['{', '}']), *value)).collect()
    }

    /// The value of the one sample of this name, which has no labels.
    #[track_caller]
    pub(crate) fn value(&self, name: &str) -> f64 {
        match self.of(name)[..] {
            [("", value)] => value,
            ref other => panic!("{name}: {other:?}"),
        }
    }

    /// The names and values of the labels of every sample.
    pub(crate) fn labels(&self) -> Vec<(&str, &str)> {
        let texts = self.samples.iter().filter_map(|(sample, _)| Some(sample.split_once('{')?.1));
        let pairs = texts.flat_map(|text| text.trim_end_matches('}').split("\","));
        pairs.map(|pair| pair.trim_end_matches('"').split_once("=\"").unwrap()).collect()
    }
}

fn name_of(sample: &str) -> &str {
    sample.split('{').next().unwrap()
}
