//! The examples of RFC 9449 (DPoP) and RFC 8705 (mutual TLS), as the RFCs print them.

use base64::{Engine, prelude::BASE64_STANDARD};
use jeton_jose::CompactJws;
use jeton_oauth::{Confirmation, Thumbprint};
use jeton_verify::{DpopProof, ProofFault, ProofTerms, TargetUri, certificate_thumbprint};
use serde_json::json;

/// Section 4.1: at the token endpoint.
const AT_TOKEN_ENDPOINT: &str = concat!(
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo",
    "RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJ",
    "qdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0Ijo",
    "xNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg",
);

/// Section 5: at the token endpoint again, with a refresh token.
const AT_REFRESH: &str = concat!(
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo",
    "RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJ",
    "qdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0Ijo",
    "xNTYyMjY1Mjk2fQ.pAqut2IRDm_De6PR93SYmGBPXpwrAk90e8cP2hjiaG5QsGSuKDYW7_X620BxqhvYC8ynrrvZLTk41mSRroapUA",
);

/// Section 6.1: a token that is bound to the key. The RFC does not print the key of its issuer.
const BOUND_TOKEN: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsImtpZCI6IkJlQUxrYiJ9.eyJzdWIiOiJzb21lb25lQGV4YW1wbGUuY29tIiwiaXNzIjoiaHR0cHM6Ly9zZXJ2ZXIuZXh",
    "hbXBsZS5jb20iLCJuYmYiOjE1NjIyNjI2MTEsImV4cCI6MTU2MjI2NjIxNiwiY25mIjp7ImprdCI6IjBaY09DT1JaTll5LURXcHFxMzBqWnlKR0h",
    "UTjBkMkhnbEJWM3VpZ3VBNEkifX0.3Tyo8VTcn6u_PboUmAOYUY1kfAavomW_YwYMkmRNizLJoQzWy2fCo79Zi5yObpIzjWb5xW4OGld7ESZrh0f",
    "srA",
);

/// Section 7.1: with a token, by the same key.
const WITH_TOKEN: &str = concat!(
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo",
    "RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJ",
    "qdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXN",
    "vdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yR",
    "qzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA",
);

const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

/// The certificate of RFC 8705 appendix A, in DER, as base64.
const CERTIFICATE: &str = concat!(
    "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwE",
    "bXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGG",
    "WvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUa",
    "KlLR50Q2DmFfQj1L+SY=",
);

/// What is the matter with a proof for this.
#[track_caller]
fn check(proof: &str, method: &str, target: &str, token: Option<&str>, now: i64) -> Result<(), ProofFault> {
    let target = TargetUri::parse(target).unwrap();
    let terms = ProofTerms { method, target: &target, access_token: token, now, leeway: 30 };
    DpopProof::verify(proof)?.check(&terms)
}

#[test]
fn rfc_9449_4_1_the_example_is_a_proof_at_a_token_endpoint() {
    let (target, now) = ("https://server.example.com/token", 1_562_262_616);
    let at = |method: &str, target: &str, now| check(AT_TOKEN_ENDPOINT, method, target, None, now);
    assert_eq!(at("POST", target, now), Ok(()));
    assert_eq!(at("POST", "HTTPS://Server.example.com:443/%74oken", now + 30), Ok(()));
    assert_eq!(at("GET", target, now), Err(ProofFault::Method));
    assert_eq!(at("POST", "https://server.example.com/", now), Err(ProofFault::Target));
    assert_eq!(at("POST", "https://server.example.org/token", now), Err(ProofFault::Target));
    assert_eq!(at("POST", target, now + 31), Err(ProofFault::Old));
    assert_eq!(at("POST", target, now - 31), Err(ProofFault::Early));
    assert_eq!(DpopProof::verify(AT_TOKEN_ENDPOINT).unwrap().jti(), "-BwC3ESc6acc2lTc");
    // it has no `ath`, so it says nothing of a token
    let with_token = check(AT_TOKEN_ENDPOINT, "POST", target, Some(TOKEN), now);
    assert_eq!(with_token, Err(ProofFault::Missing("ath")));
}

#[test]
fn rfc_9449_5_the_example_is_a_proof_with_a_refresh_token() {
    let (target, now) = ("https://server.example.com/token", 1_562_265_296);
    assert_eq!(check(AT_REFRESH, "POST", target, None, now), Ok(()));
    assert_eq!(check(AT_REFRESH, "POST", target, None, 1_562_262_616), Err(ProofFault::Early));
    // the RFC uses the `jti` of the first proof again, which is 44 minutes old: by then that is forgotten
    let [first, second] = [AT_TOKEN_ENDPOINT, AT_REFRESH].map(|proof| DpopProof::verify(proof).unwrap());
    assert_eq!(first.jti(), second.jti());
    assert!(first.good_until(30) < second.issued_at());
}

#[test]
fn rfc_9449_4_3_a_proof_with_one_character_changed_is_refused() {
    let mut tried = 0;
    for proof in [AT_TOKEN_ENDPOINT, AT_REFRESH, WITH_TOKEN] {
        for at in 0..proof.len() {
            let mut bytes = proof.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(DpopProof::verify(&changed).is_err(), "{at}: {changed}");
            tried += 1;
        }
    }
    assert_eq!(tried, 1400);
}

#[test]
fn rfc_9449_7_1_the_example_is_a_proof_with_a_token() {
    let (target, now) = ("https://resource.example.org/protectedresource", 1_562_262_618);
    let with = |token: &str, target: &str| check(WITH_TOKEN, "GET", target, Some(token), now);
    assert_eq!(with(TOKEN, target), Ok(()));
    assert_eq!(with(TOKEN, &format!("{target}?page=2#top")), Ok(()));
    assert_eq!(with(&TOKEN.replace("Kz", "kz"), target), Err(ProofFault::AccessToken));
    assert_eq!(with(TOKEN, &format!("{target}/")), Err(ProofFault::Target));
    let altered = WITH_TOKEN.replace("-yqyVnmcw", "-yqyVnmcx");
    assert!(matches!(DpopProof::verify(&altered), Err(ProofFault::Jws(_))));
}

#[test]
fn rfc_9449_6_1_the_example_names_its_key() {
    let claim = json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" });
    let bound = Confirmation::read(&claim).unwrap();
    for proof in [AT_TOKEN_ENDPOINT, AT_REFRESH, WITH_TOKEN] {
        assert_eq!(Some(DpopProof::verify(proof).unwrap().thumbprint()), bound.jkt());
    }
    let token = CompactJws::parse(BOUND_TOKEN).unwrap();
    assert_eq!(Confirmation::read(&token.payload().unwrap()["cnf"]), Some(bound));
    assert_eq!(json!(bound), claim);
}

#[test]
fn rfc_8705_3_1_the_example_names_a_certificate_and_no_key() {
    let claim = json!({ "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" });
    // as the RFC prints it, its last character has bits that no byte takes: it is the thumbprint of nothing
    assert_eq!(Confirmation::read(&claim), None);
    assert!("bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0".parse::<Thumbprint>().is_ok());
}

#[test]
fn rfc_8705_appendix_a_the_example_names_its_certificate() {
    let claim = json!({ "x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0" });
    let der = BASE64_STANDARD.decode(CERTIFICATE).unwrap();
    assert_eq!(Some(certificate_thumbprint(&der)), Confirmation::read(&claim).unwrap().x5t_s256());
}
