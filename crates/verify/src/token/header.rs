//! The token of a request (RFC 6750 section 2, RFC 9449 section 7.1).

use jeton_oauth::form;

use super::bearer::{BearerToken, TokenScheme};

/// What is wrong with the way in which a token came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BearerFault {
    /// Two `Authorization` headers, or one that was joined of two.
    #[error("there are two authorization headers")]
    Several,
    /// `access_token` in the query, where logs and histories keep it (RFC 9700 section 4.3.2).
    #[error("an access token must not be in the URL")]
    InQuery,
    /// `Bearer` or `DPoP` and nothing after it, or bytes that are no text.
    #[error("the authorization header holds no token")]
    Malformed,
}

/// The token in the `Authorization` headers, the one place where it is looked for (RFC 6750 section 2.1). A header is the
/// bytes of its value. None, an empty one and one of another scheme hold no token.
///
/// # Errors
/// [`BearerFault`] when it is not clear which token is meant, or it came in the URL.
pub fn bearer_token<'h>(
    authorization: impl IntoIterator<Item = &'h [u8]>,
    query: &str,
) -> Result<Option<BearerToken>, BearerFault> {
    if form::names(query).any(|name| name == "access_token") {
        return Err(BearerFault::InQuery);
    }
    let mut values = authorization.into_iter();
    let (first, second) = (values.next(), values.next());
    let Some(value) = first else { return Ok(None) };
    if second.is_some() {
        return Err(BearerFault::Several);
    }
    let value = std::str::from_utf8(value).map_err(|_| BearerFault::Malformed)?;
    if !value.bytes().all(|byte| byte == b'\t' || matches!(byte, b' '..=b'~')) {
        return Err(BearerFault::Malformed);
    }
    let is_joined = value.split(',').skip(1).any(|part| scheme_of(part.trim_start()).0.is_some());
    if is_joined {
        return Err(BearerFault::Several);
    }
    let (Some(scheme), rest) = scheme_of(value) else { return Ok(None) };
    // a tab, a comma: somebody else may find a token behind it
    match rest.strip_prefix(' ').map(|token| token.trim_matches(' ')) {
        None | Some("") => Err(BearerFault::Malformed),
        Some(token) => Ok(Some(BearerToken::of_scheme(scheme, token))),
    }
}

/// The scheme by which a value begins, if it is one of tokens, and what stands behind it.
fn scheme_of(value: &str) -> (Option<TokenScheme>, &str) {
    let (name, rest) = value.split_at(value.find(|c: char| !is_of_scheme(c)).unwrap_or(value.len()));
    (TokenScheme::ALL.into_iter().find(|scheme| name.eq_ignore_ascii_case(scheme.name())), rest)
}

/// A character of a scheme (RFC 9110 section 5.6.2).
fn is_of_scheme(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::{BearerFault, TokenScheme, bearer_token};

    #[track_caller]
    fn check(headers: &[&[u8]], query: &str, expected: Result<Option<&str>, BearerFault>) {
        let token = bearer_token(headers.iter().copied(), query);
        let token = token.as_ref().map(|token| token.as_ref().map(super::BearerToken::as_str));
        assert_eq!(token, expected.as_ref().copied(), "{headers:?} ?{query}");
    }

    #[test]
    fn rfc_6750_2_1_one_token_comes_in_one_header() {
        use BearerFault::{Malformed, Several};

        for (headers, expected) in [
            (&[][..], Ok(None)),
            (&[&b""[..]], Ok(None)),
            (&[b" "], Ok(None)),
            (&[b"Bearer x.y.z"], Ok(Some("x.y.z"))),
            (&[b"bEARER   x.y.z "], Ok(Some("x.y.z"))),
            (&[b"Basic eDp5"], Ok(None)),
            (&[b"BearerX x.y.z"], Ok(None)),
            (&[b"Bearer"], Err(Malformed)),
            (&[b"Bearer "], Err(Malformed)),
            (&[b"Bearer\tx.y.z"], Err(Malformed)),
            (&[b"Bearer,x.y.z"], Err(Malformed)),
            (&[b"Bearer x\xff"], Err(Malformed)),
            (&[b"\xff"], Err(Malformed)),
            ("Bearer x\u{e9}".as_bytes().chunks(100).collect::<Vec<_>>().as_slice(), Err(Malformed)),
            (&[b"Bearer x\0y"], Err(Malformed)),
            (&[b"Bearer x\r\n"], Err(Malformed)),
            (&[b"Bearer x.y.z", b"Bearer x.y.z"], Err(Several)),
            (&[b"Bearer x.y.z", b""], Err(Several)),
            (&[b"", b"Basic eDp5"], Err(Several)),
            (&[b"Bearer x.y.z,Bearer x.y.z"], Err(Several)),
            (&[b"Bearer x.y.z, bearer"], Err(Several)),
            (&[b"Basic eDp5, Bearer x.y.z"], Err(Several)),
            (&[b"Bearer a,b"], Ok(Some("a,b"))),
            (&[b"Bearer a,bearers"], Ok(Some("a,bearers"))),
        ] {
            check(headers, "", expected);
        }
    }

    #[test]
    fn rfc_9449_7_1_a_token_with_a_proof_comes_in_one_header_too() {
        use BearerFault::{Malformed, Several};

        for (headers, expected) in [
            (&[&b"DPoP x.y.z"[..]][..], Ok(Some("x.y.z"))),
            (&[b"dPOP   x.y.z "], Ok(Some("x.y.z"))),
            (&[b"DPoPX x.y.z"], Ok(None)),
            (&[b"DPoP"], Err(Malformed)),
            (&[b"DPoP "], Err(Malformed)),
            (&[b"DPoP\tx.y.z"], Err(Malformed)),
            (&[b"DPoP,x.y.z"], Err(Malformed)),
            (&[b"DPoP x\xff"], Err(Malformed)),
            (&[b"DPoP x.y.z", b"DPoP x.y.z"], Err(Several)),
            (&[b"DPoP x.y.z", b"Bearer x.y.z"], Err(Several)),
            (&[b"Bearer x.y.z", b"DPoP x.y.z"], Err(Several)),
            (&[b"DPoP x.y.z, Bearer x.y.z"], Err(Several)),
            (&[b"Bearer x.y.z, dpop x.y.z"], Err(Several)),
            (&[b"Bearer x.y.z,DPoP"], Err(Several)),
            (&[b"Basic eDp5, DPoP x.y.z"], Err(Several)),
            (&[b"DPoP a,dpops"], Ok(Some("a,dpops"))),
        ] {
            check(headers, "", expected);
        }
        let scheme = |value: &'static [u8]| bearer_token([value], "").unwrap().unwrap().scheme();
        assert_eq!(scheme(b"bearer x"), TokenScheme::Bearer);
        assert_eq!(scheme(b"dpop x"), TokenScheme::Dpop);
    }

    #[test]
    fn rfc_9700_4_3_2_no_token_comes_in_the_url() {
        for query in ["access_token=x", "a=b&access_token", "access%5ftoken=x", "a&access%5Ftoken="] {
            check(&[], query, Err(BearerFault::InQuery));
            check(&[b"Bearer x.y.z"], query, Err(BearerFault::InQuery));
        }
        for query in ["", "a=access_token", "access_tokens=x", "Access_Token=x", "%ff=x", "access_token%00"] {
            check(&[b"Bearer x.y.z"], query, Ok(Some("x.y.z")));
        }
    }
}
