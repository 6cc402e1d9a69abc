//! The page of `jeton policies matrix --format html`: the console's matrix, with its data, in one file that loads nothing.

use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD};
use jeton_oauth::{
    clock::{Clock, SystemClock},
    text::{printable, printable_json},
};
use jeton_policy::{CompactMatrix, ContentHash};
use ring::digest;

use crate::console::assets;

/// The scripts of the console that the page is made of, those that others need first.
const SCRIPTS: [&str; 2] = ["dom.js", "grid.js"];
const STYLE: &str = "style.css";
/// What it does itself.
const OWN: &str = include_str!("page.js");

/// The page of these matrices.
pub(super) fn of(matrices: &[CompactMatrix], hash: &ContentHash, dir: &Path) -> anyhow::Result<String> {
    let now = SystemClock.now().strftime("%Y-%m-%d %H:%M UTC");
    let about = format!("policies {hash} in {}, read {now}", printable(&dir.display().to_string()));
    // within a script element, only `<` could end it
    let data = printable_json(&serde_json::to_string(matrices)?.replace('<', "\\u003c"));
    let style = format!("\n{}", asset(STYLE));
    let mut script = "\n".to_owned();
    for part in SCRIPTS.map(asset).into_iter().chain([OWN]) {
        script.push_str(&without_modules(part));
    }
    Ok(format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '{style_hash}'; script-src '{script_hash}'">
<title>Who may do what</title>
<style>{style}</style>
</head>
<body>
<main class="wide">
<h1>Who may do what</h1>
<p class="about">{about}</p>
<div id="matrix"></div>
<noscript>This page needs JavaScript to show its matrix. It loads nothing.</noscript>
</main>
<script id="data" type="application/json">{data}</script>
<script type="module">{script}</script>
</body>
</html>
"#,
        style_hash = hash_source(&style),
        script_hash = hash_source(&script),
        about = as_html(&about),
    ))
}

/// The source that lets this one text be a style or a script of the page (Content Security Policy Level 3, section 2.3.1).
fn hash_source(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes())))
}

/// A file of the console. A test holds that each is there.
fn asset(path: &str) -> &'static str {
    assets::file(path).and_then(|content| std::str::from_utf8(content).ok()).unwrap_or_default()
}

/// A module as a part of a script that has what it imports: without the lines that import, and nothing is exported.
fn without_modules(module: &str) -> String {
    let lines = module.lines().filter(|line| !line.starts_with("import "));
    let mut script = String::with_capacity(module.len());
    for line in lines {
        script.push_str(line.strip_prefix("export ").unwrap_or(line));
        script.push('\n');
    }
    script
}

/// As text between tags.
fn as_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_module_loses_its_imports_and_exports_alone() {
        let module = "// an import of words\nimport { h } from \"./dom.js\";\nexport const important = h;\nexport function \
                      exported() {\n  return \"export const\";\n}\nconst imported = 1;\n";
        let script = "// an import of words\nconst important = h;\nfunction exported() {\n  return \"export const\";\n}\nconst \
                      imported = 1;\n";
        assert_eq!(without_modules(module), script);
    }

    #[test]
    fn every_script_is_there_and_ends_each_import_on_its_line() {
        for path in SCRIPTS {
            let text = asset(path);
            assert!(text.contains("export function"), "{path}");
            for line in text.lines().chain(OWN.lines()).filter(|line| line.starts_with("import ")) {
                assert!(line.ends_with(".js\";"), "{path}: {line}");
            }
        }
        assert!(asset(STYLE).contains("--ink"));
    }

    /// One script has one place for names.
    #[test]
    fn no_two_scripts_have_a_name_in_common() {
        let mut names = BTreeSet::new();
        for script in SCRIPTS.map(asset).into_iter().chain([OWN]).map(without_modules) {
            for line in script.lines() {
                let words: Vec<_> = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
                if let ["const" | "let" | "function" | "class", name, ..] | ["async", "function", name, ..] =
                    words[..]
                {
                    assert!(names.insert(name.to_owned()), "`{name}` stands twice");
                }
            }
        }
        assert!(names.contains("accessMatrix") && names.contains("grid") && names.contains("h"), "{names:?}");
    }
}
