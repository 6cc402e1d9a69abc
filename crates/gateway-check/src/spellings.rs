//! Spellings of a path by which some server may take it for another.

/// Paths around a piece that means "upwards" or nothing, for `{it}`.
const UPWARDS: &[&str] = &[
    "{start}/{it}/{to}",
    "/x/{it}/{to}",
    "/{it}/{to}",
    "/{first}/x/{it}/{rest}",
    "/{to}/x/{it}",
    "/{to}/{it}/{first}",
];
/// Paths with something in the place of a slash.
const SLASHES: &[&str] =
    &["{start}{it}..{it}{to}", "/{it}{to}", "/{first}{it}{rest}", "/{to}{it}", "/x/..{it}{to}", "{it}{to}"];
/// Paths with something at which a reader may stop.
const ENDS: &[&str] = &[
    "/{to}{it}",
    "/{to}{it}x",
    "/{to}{it}.html",
    "{start}{it}/../{to}",
    "/{to}{it}/..{start}",
    "{start}{it}/{to}",
    "/{first}{it}/{rest}",
];
/// Paths that look like one of a file.
const FILES: &[&str] = &["/{to}{it}", "/{to}/x{it}", "/{to};x{it}", "/{to}?x{it}", "/{to}%3fx{it}"];
/// Paths with a folder that many gateways leave open, or take away.
const FOLDERS: &[&str] =
    &["/{it}/{to}", "/{it}/../{to}", "/{it}../{to}", "/{it}{to}", "/{to}/{it}/", "/{to}/{it}/x"];
/// The path alone.
const ALONE: &[&str] = &["{it}"];

/// By class: the pieces, and the paths around them. `{start}` is a path that is judged otherwise, `{to}` the one that is
/// spelled, without its slash, `{first}` and `{rest}` its first segment and what follows.
const TABLE: &[(&str, &[&str], &[&str])] = &[
    ("as it is", &["/{to}", "/{to}?a=b", "/{to}?x={start}", "{start}?/../{to}"], ALONE),
    ("dot segments", &["..", ".", "...", "./..", "../.", "....//"], UPWARDS),
    ("dot segments", &["/{to}/.", "/{to}/..", "/./{to}/"], ALONE),
    ("encoded dots", &["%2e%2e", "%2E%2E", ".%2e", "%2e.", "%2e", "%2e%2e%2e"], UPWARDS),
    (
        "double encoding",
        &["%252e%252e", "%25%32%65%25%32%65", "%2525252e%2525252e", "..%252f", "..%255c", "%u002e%u002e"],
        UPWARDS,
    ),
    ("semicolons", &["..;", ".;", "..;x=1", ";/..", ";x/..", "..%3b", "%2e%2e;"], UPWARDS),
    (
        "semicolons",
        &[
            "/{to};",
            "/{to};a=b",
            "/{first};a/{rest}",
            "/;/{to}",
            "/{to}%3b",
            "{start};/../{to}",
            "/{to};{start}",
        ],
        ALONE,
    ),
    (
        "empty segments",
        &["//{to}", "///{to}", "/{first}//{rest}", "{start}//../{to}", "/{to}//", "{start}//{to}"],
        ALONE,
    ),
    ("encoded slashes", &["%2f", "%2F", "%c0%af", "%ef%bc%8f", "%252f"], SLASHES),
    ("backslashes", &["%5c", "%5C", "\\"], SLASHES),
    ("file endings", &[".css", ".js", ".png", ".json"], FILES),
    (
        "open folders",
        &["static", ".well-known", "internal", "api", "public", "assets", "health", "favicon.ico"],
        FOLDERS,
    ),
    ("case", &["/{TO}", "/{FIRST}/{rest}"], ALONE),
    ("trailing slash", &["/{to}/", "/{to}/?", "/{to}%20", "/{to}/%20", "/{to}."], ALONE),
    ("encoded marks", &["#", "%23", "%3f", "%3F", "%26"], ENDS),
    ("control characters", &["%00", "%0a", "%0d%0a", "%09", "%7f", "%c2%80", "%08", "%1b"], ENDS),
    (
        "encodings",
        &[
            "/{escaped}",
            "/{to}%",
            "/{to}%4",
            "/{to}%zz",
            "/{to}%ff",
            "/{to}%e0%80%ae",
            "/{to}%C3%A9",
            "{start}/%c0%ae%c0%ae/{to}",
            "{start}/%uff0e%uff0e/{to}",
            "{start}/%ef%bc%8e%ef%bc%8e/{to}",
        ],
        ALONE,
    ),
    ("raw bytes", &["/{to}\0", "/{to}\u{1}", "/{to}\t", "/{to} x", "/{to}\r", "/{to}é"], ALONE),
    ("raw bytes", &["{start} HTTP/1.1\r\nX-Nothing: /{to}"], ALONE),
];

/// Each with its class.
pub(crate) fn spellings(start: &str, spelled: &str) -> Vec<(&'static str, Vec<u8>)> {
    let to = spelled.trim_start_matches('/');
    let (first, rest) = to.split_once('/').unwrap_or((to, ""));
    let filled = |path: &str| {
        let names = [
            ("{start}", start),
            ("{to}", to),
            ("{first}", first),
            ("{rest}", rest),
            ("{TO}", &to.to_uppercase()),
            ("{FIRST}", &first.to_uppercase()),
            ("{escaped}", &escaped(to)),
        ];
        names.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value)).into_bytes()
    };
    let rows = TABLE.iter().flat_map(|(class, pieces, paths)| {
        let each = pieces.iter().flat_map(|piece| paths.iter().map(|path| path.replace("{it}", piece)));
        each.map(|path| (*class, path))
    });
    let mut spellings: Vec<_> = rows.map(|(class, path)| (class, filled(&path))).collect();
    spellings.push(("raw bytes", [spelled.as_bytes(), b"\xff"].concat()));
    let long = [
        format!("/{}/../{to}", "a".repeat(9_000)),
        format!("{start}?{}", "a".repeat(70_000)),
        format!("{spelled}?{}", "a".repeat(9_000)),
        format!("{}{spelled}", "/a/..".repeat(70)),
        format!("/{to}{}", "/a".repeat(70)),
        format!("/{to}/{}", "%61".repeat(3_000)),
    ];
    spellings.extend(long.map(|path| ("over-long", path.into_bytes())));
    spellings
}

/// Each letter as an escape.
fn escaped(text: &str) -> String {
    let escape =
        |c: char| if c.is_ascii_alphabetic() { format!("%{:02x}", u32::from(c)) } else { c.to_string() };
    text.chars().map(escape).collect()
}
