//! What somebody sends who tries policies.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::report::{BadQuestion, WrittenQuestion};

/// The policies to be tried, and what they are asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `files`")]
pub(in crate::console) struct TrialRequest {
    pub(in crate::console) files: Vec<EditedFile>,
    #[serde(default)]
    pub(in crate::console) ask: Option<Asked>,
}

/// A policy file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `name` and `text`")]
pub(in crate::console) struct EditedFile {
    pub(in crate::console) name: String,
    pub(in crate::console) text: String,
}

/// What policies that are tried are asked, beside what is wrong with them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::console) enum Asked {
    /// The matrix of this API.
    Matrix(String),
    /// A question as `/ops/explain` takes it.
    Explain(Value),
    /// What differs from the policies in force.
    Difference(bool),
}

/// Why a request cannot be understood.
#[derive(Debug, thiserror::Error)]
pub(in crate::console) enum BadTrial {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("the body must be a JSON object with `files`, a list of objects with `name` and `text`")]
    NotAnObject,
    #[error("`ask.explain`: {0}")]
    Question(#[from] BadQuestion),
    #[error("`ask.explain.token`: the keys judge a token, not the edited texts: ask with `as`")]
    Token,
}

impl TrialRequest {
    /// Reads what was sent.
    ///
    /// # Errors
    /// [`BadTrial`].
    pub(in crate::console) fn read(sent: &[u8]) -> Result<Self, BadTrial> {
        // the library takes a list of the members in their order too
        if !sent.trim_ascii_start().starts_with(b"{") {
            return Err(BadTrial::NotAnObject);
        }
        let request: Self = serde_json::from_slice(sent)?;
        if let Some(Asked::Explain(question)) = &request.ask {
            let question = WrittenQuestion::of_value(question)?;
            if question.has_token() {
                return Err(BadTrial::Token);
            }
            question.parse()?;
        }
        Ok(request)
    }
}
