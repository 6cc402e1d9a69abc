//! Parameters as other languages of routes write them, which would be literals here and match next to nothing.

/// What other languages write before the name of a parameter for its type, and a colon.
const TYPES: [&str; 9] = ["any", "float", "int", "path", "re", "slug", "str", "string", "uuid"];

/// Another language's parameter in a segment.
#[derive(Debug, PartialEq, Eq)]
struct Spelling<'s> {
    before: &'s str,
    text: &'s str,
    behind: &'s str,
    means: Means<'s>,
}

#[derive(Debug, PartialEq, Eq)]
enum Means<'s> {
    /// A segment, with the name of the parameter.
    One(&'s str),
    /// Maybe several segments.
    Several(&'s str),
    /// One of these texts.
    OneOf(&'s str),
}

/// What is wrong with a route, and what to write instead.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}: {hint}")]
pub struct BadRoute {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// Refuses a segment with another language's parameter. `is_segment` tells what can be written here.
pub(super) fn refuse(segment: &str, is_segment: impl Fn(&str) -> bool) -> Result<(), BadRoute> {
    let Some(Spelling { before, text, behind, means }) = find(segment) else { return Ok(()) };
    let (name, is_one) = match means {
        Means::One(name) => (name, true),
        Means::Several(name) => (name, false),
        Means::OneOf(texts) => {
            let each = texts.split('|').map(|text| format!("`{before}{text}{behind}`"));
            return Err(BadRoute {
                message: format!("`{text}` is how other languages write several texts"),
                hint: format!("write a route for each: {}", each.collect::<Vec<_>>().join(", ")),
            });
        }
    };
    let here = format!("{before}{{{name}}}{behind}");
    let hint = match (is_segment(&here), is_one) {
        (true, true) => format!("write `{here}`"),
        (true, false) => format!("write `{here}` for one segment; `**`, at the end only, is one or more"),
        (false, _) => format!(
            "write `{{{name}}}` as a whole segment, or with an ending behind it, as in `{{{name}}}:cancel` and `{{{name}}}.json`"
        ),
    };
    Err(BadRoute { message: format!("`{text}` is how other languages write a parameter"), hint })
}

/// The first one in a segment.
fn find(segment: &str) -> Option<Spelling<'_>> {
    let at = |start: usize, length: usize, means| {
        let (before, rest) = segment.split_at_checked(start)?;
        let (text, behind) = rest.split_at_checked(length)?;
        Some(Spelling { before, text, behind, means })
    };
    if let Some(rest) = segment.strip_prefix(':') {
        // in most languages a `-` ends the name
        let name = if word(rest) == rest { rest } else { word(rest).split('-').next().unwrap_or_default() };
        let mut behind = rest.get(name.len()..)?;
        if let Some((_, rest)) = behind.strip_prefix('(').and_then(|group| group.split_once(')')) {
            behind = rest;
        }
        let is_one = !behind.starts_with(['*', '+']);
        let behind = behind.strip_prefix(['*', '+', '?']).unwrap_or(behind);
        let name = if name.is_empty() { "name" } else { name };
        let means = if is_one { Means::One(name) } else { Means::Several(name) };
        return at(0, segment.len() - behind.len(), means);
    }
    let bracketed = |start: usize| {
        let (before, rest) = segment.split_at_checked(start)?;
        let (open, close) = if rest.starts_with('<') { ('<', '>') } else { ('[', ']') };
        let inner = rest.trim_start_matches(open);
        let (content, behind) = inner.split_once(close)?;
        let is_first = !before.contains(open) && !content.contains(open);
        let is_name =
            content.trim_start_matches('.').starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let length = rest.len() - behind.trim_start_matches(close).len();
        if is_first && is_name { at(start, length, meaning(content)) } else { None }
    };
    segment.char_indices().find_map(|(start, c)| {
        let rest = segment.get(start..)?;
        match c {
            '<' | '[' => bracketed(start),
            '(' => {
                let length = rest.find('|').and_then(|bar| Some(bar + rest.get(bar..)?.find(')')? + 1))?;
                at(start, length, Means::OneOf(rest.get(1..length - 1)?))
            }
            '*' => at(start, rest.bytes().take_while(|byte| *byte == b'*').count(), Means::Several("name")),
            '{' => {
                let length = rest.find('}')? + 1;
                let content = rest.get(1..length - 1)?;
                let is_ours = content.is_empty() || content == word(content) || content.contains(' ');
                if is_ours { None } else { at(start, length, meaning(content)) }
            }
            _ => None,
        }
    })
}

/// What stands within brackets: a name, maybe with its type and how often it comes.
fn meaning(content: &str) -> Means<'_> {
    let bare = content.trim_matches(['*', '+', '?', '.']);
    let (first, second) = bare.split_once([':', '=']).unwrap_or((bare, ""));
    let name = if TYPES.contains(&first) && !second.is_empty() { word(second) } else { word(first) };
    let name = if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') { name } else { "name" };
    let is_one =
        !content.contains(['*', '+']) && !content.contains("..") && first != "path" && second != "path";
    if is_one { Means::One(name) } else { Means::Several(name) }
}

/// The letters, digits, `_` and `-` at the start.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::refuse;
    use crate::route::Route;

    #[track_caller]
    fn says(segment: &str, hint: &str) {
        let bad = Route::parse(&format!("GET /items/{segment}/x")).unwrap_err();
        assert_eq!(bad.hint, hint, "{segment}: {}", bad.message);
    }

    #[test]
    fn a_parameter_of_another_language_is_told_in_ours() {
        let several =
            |here: &str| format!("write `{here}` for one segment; `**`, at the end only, is one or more");
        for (segment, here) in [
            (":id", "{id}"),
            (":order_id", "{order_id}"),
            (":order-id", "{order-id}"),
            (":id.json", "{id}.json"),
            (":id:cancel", "{id}:cancel"),
            (":id(\\d+)", "{id}"),
            (":id?", "{id}"),
            (":", "{name}"),
            ("<id>", "{id}"),
            ("<int:id>", "{id}"),
            ("<id:int>", "{id}"),
            ("<id>.json", "{id}.json"),
            ("[id]", "{id}"),
            ("[id]:cancel", "{id}:cancel"),
            ("{id:int}", "{id}"),
            ("{id?}", "{id}"),
            ("{id:[0-9]}", "{id}"),
        ] {
            says(segment, &format!("write `{here}`"));
        }
        for (segment, here) in [
            (":rest*", "{rest}"),
            (":rest+", "{rest}"),
            ("*", "{name}"),
            ("*.png", "{name}.png"),
            ("**.png", "{name}.png"),
            ("{id*}", "{id}"),
            ("{*id}", "{id}"),
            ("{**id}", "{id}"),
            ("{+id}", "{id}"),
            ("{id+}", "{id}"),
            ("{id...}", "{id}"),
            ("{id:path}", "{id}"),
            ("{id:[0-9]+}", "{id}"),
            ("<path:id>", "{id}"),
            ("<id..>", "{id}"),
            ("[...id]", "{id}"),
            ("[[...id]]", "{id}"),
        ] {
            says(segment, &several(here));
        }
    }

    #[test]
    fn in_the_middle_of_a_segment_it_is_told_too() {
        let own = "write `{id}` as a whole segment, or with an ending behind it, as in `{id}:cancel` and `{id}.json`";
        for segment in ["v<id>", "v[id]", "v{id*}", "<id>-x", ":id-(x)", "{a}.<id>", "{a}:[id]", ":id-:to"] {
            says(segment, own);
        }
        says("v*", &own.replace("{id}", "{name}"));
        says("(a|b)", "write a route for each: `a`, `b`");
        says("x-(a|b).json", "write a route for each: `x-a.json`, `x-b.json`");
        says("{file}.(json|xml)", "write a route for each: `{file}.json`, `{file}.xml`");
    }

    #[test]
    fn what_only_looks_a_little_like_it_is_a_literal() {
        for segment in [
            "<!--<script>",
            "<1>",
            "a[0]",
            "[0-9]",
            "[]",
            "$metadata",
            "$count",
            "items:batchGet",
            "a:",
            "a<b",
            "a>b",
            "a[b",
            "a]b",
            "(a)",
            "delta()",
            "a|b",
            "a|b)",
            "(a|b",
            "Users('x')",
            "+",
            "a+b",
            "@me",
            "~user",
            "!",
            "=",
            "a,b",
            "'",
            "&",
            "a.b",
            "-:",
            "_",
        ] {
            assert_eq!(refuse(segment, |_| true), Ok(()), "{segment}");
            assert!(Route::parse(&format!("GET /{segment}")).is_ok(), "{segment}");
        }
    }
}
