//! The pages of what a search finds (section 8.2). Nothing is kept between them: a token says itself where its page
//! begins, and of which search it is.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_oauth::ApiName;
use ring::digest;
use serde::Serialize;
use serde_json::json;

use super::question::{BadQuestion, Members, Searched};

/// The most results of one answer.
const MOST: u32 = 1000;

/// How many bytes of the hash of a search stand in its tokens: it keeps mistakes away, not attackers, who gain nothing.
const HASH_LENGTH: usize = 16;

/// Which page is asked for.
#[derive(Debug)]
pub(super) struct PageRequest {
    /// At which result it begins.
    start: u32,
    limit: u32,
    search: [u8; HASH_LENGTH],
}

/// Which page was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Page {
    /// The token of the next page; empty behind the last.
    next_token: String,
    count: usize,
    total: usize,
}

impl PageRequest {
    pub(super) fn of(question: &Members<'_>, searched: Searched, api: &ApiName) -> Result<Self, BadQuestion> {
        let page = question.object_if_any("page")?;
        let properties = page.as_ref().map(Members::properties).transpose()?.flatten();
        let asked = ["subject", "resource", "action", "context"].map(|name| question.get(name));
        let search = hash(&json!([api, searched.as_str(), asked, properties]).to_string());
        let first = Self { start: 0, limit: MOST, search };
        let Some(page) = page else { return Ok(first) };
        let limit = match page.get("limit") {
            None => None,
            Some(limit) => {
                let limit = limit.as_u64().ok_or_else(|| page.wrong("limit", "a whole number from 0 on"))?;
                Some(u32::try_from(limit).map_or(MOST, |limit| limit.min(MOST)))
            }
        };
        let Some(token) = page.text_if_any("token")?.filter(|token| !token.is_empty()) else {
            return Ok(Self { limit: limit.unwrap_or(MOST), ..first });
        };
        let next = Self::parse(token).filter(|next| next.search == search);
        let next =
            next.ok_or_else(|| page.bad("token", "it is not of this search: leave it out to start again"))?;
        if limit.is_some_and(|limit| limit != next.limit) {
            return Err(page.bad("limit", "it is another one than that of the page before"));
        }
        Ok(next)
    }

    fn parse(token: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (start, rest) = bytes.split_first_chunk()?;
        let (limit, search) = rest.split_first_chunk()?;
        let limit = u32::from_be_bytes(*limit).min(MOST);
        Some(Self { start: u32::from_be_bytes(*start), limit, search: search.try_into().ok()? })
    }

    fn token(&self) -> String {
        let bytes = [&self.start.to_be_bytes()[..], &self.limit.to_be_bytes(), &self.search].concat();
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The page of these results.
    pub(super) fn cut<T>(self, all: Vec<T>) -> (Page, Vec<T>) {
        let total = all.len();
        let (start, limit) = (position(self.start), position(self.limit));
        let results: Vec<_> = all.into_iter().skip(start).take(limit).collect();
        let end = start.saturating_add(results.len());
        let next_token = if end < total {
            let start = u32::try_from(end).unwrap_or(u32::MAX);
            Self { start, limit: self.limit, search: self.search }.token()
        } else {
            String::new()
        };
        (Page { next_token, count: results.len(), total }, results)
    }
}

fn position(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn hash(search: &str) -> [u8; HASH_LENGTH] {
    let hash = digest::digest(&digest::SHA256, search.as_bytes());
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}
