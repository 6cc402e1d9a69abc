//! The words of the RFCs, each as it is written there.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise, in its helpers too")]

use jeton_oauth::{
    ApiName, Audience, ErrorCode, ForeignAlgorithm, GrantType, Issuer, MetadataAddress, RsaBits, ScopeSet,
    SignatureAlgorithm, Thumbprint,
    clock::{Clock, ManualClock, SystemClock, parse_duration, seconds_up},
    form, is_registered_claim,
    text::{shown, unmarked},
};
use jiff::Timestamp;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn rfc7518_3_1_algorithms_of_ours_have_their_names_and_keys() {
    let table = [
        (SignatureAlgorithm::Rs256, "RS256", "RSA", true),
        (SignatureAlgorithm::Ps256, "PS256", "RSA", true),
        (SignatureAlgorithm::Es256, "ES256", "EC", false),
        (SignatureAlgorithm::EdDsa, "EdDSA", "OKP", false),
    ];
    assert_eq!(table.map(|row| row.0), SignatureAlgorithm::ALL);
    for (algorithm, name, key_type, is_rsa) in table {
        assert_eq!(SignatureAlgorithm::parse(name), Some(algorithm));
        assert_eq!((algorithm.name(), algorithm.to_string().as_str()), (name, name));
        assert_eq!((algorithm.key_type(), algorithm.is_rsa()), (key_type, is_rsa));
    }
    assert_eq!(SignatureAlgorithm::parse("Ed25519"), Some(SignatureAlgorithm::EdDsa));
    assert!(SignatureAlgorithm::NAMES.iter().all(|name| SignatureAlgorithm::parse(name).is_some()));
    for other in ["", "none", "HS256", "RS384", "rs256"] {
        assert_eq!(SignatureAlgorithm::parse(other), None, "{other}");
    }
}

#[test]
fn rfc7518_3_1_algorithms_of_others_have_their_names() {
    let names = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
    assert_eq!(ForeignAlgorithm::ALL.map(ForeignAlgorithm::name), names);
    for (algorithm, name) in ForeignAlgorithm::ALL.into_iter().zip(names) {
        assert_eq!(ForeignAlgorithm::parse(name), Some(algorithm));
        assert_eq!(algorithm.to_string(), name);
    }
    assert_eq!(ForeignAlgorithm::parse("Ed25519"), Some(ForeignAlgorithm::EdDsa));
    for other in ["", "none", "HS256", "ES512", "rs256"] {
        assert_eq!(ForeignAlgorithm::parse(other), None, "{other}");
    }
}

#[test]
fn rsa_keys_have_one_of_three_lengths() {
    let lengths = [2048, 3072, 4096].map(RsaBits::parse);
    assert_eq!(lengths, [Some(RsaBits::B2048), Some(RsaBits::B3072), Some(RsaBits::B4096)]);
    assert_eq!([0, 1024, 2047, 8192].map(RsaBits::parse), [None; 4]);
}

#[test]
fn rfc6749_4_grant_types_have_their_names() {
    let names = ["client_credentials", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"];
    assert_eq!(GrantType::ALL.map(GrantType::as_str), names);
    assert_eq!(names.map(GrantType::parse), GrantType::ALL.map(Some));
    assert_eq!(["", "password", "authorization_code"].map(GrantType::parse), [None; 3]);
}

#[test]
fn rfc6749_5_2_an_error_code_is_written_as_it_is_sent() {
    for (code, name) in [
        (ErrorCode::InvalidRequest, "invalid_request"),
        (ErrorCode::InvalidClient, "invalid_client"),
        (ErrorCode::InvalidGrant, "invalid_grant"),
        (ErrorCode::UnauthorizedClient, "unauthorized_client"),
        (ErrorCode::UnsupportedGrantType, "unsupported_grant_type"),
        (ErrorCode::UnsupportedResponseType, "unsupported_response_type"),
        (ErrorCode::InvalidScope, "invalid_scope"),
        (ErrorCode::InvalidTarget, "invalid_target"),
        (ErrorCode::InvalidDpopProof, "invalid_dpop_proof"),
        (ErrorCode::UseDpopNonce, "use_dpop_nonce"),
        (ErrorCode::UnsupportedTokenType, "unsupported_token_type"),
        (ErrorCode::TemporarilyUnavailable, "temporarily_unavailable"),
        (ErrorCode::ServerError, "server_error"),
    ] {
        assert_eq!((code.as_str(), code.to_string().as_str()), (name, name));
        assert_eq!(serde_json::to_value(code).unwrap(), name);
    }
}

#[test]
fn clients_carry_no_claim_of_ours() {
    assert!(
        ["iss", "sub", "aud", "exp", "cnf", "act", "status", "auth_time"]
            .into_iter()
            .all(is_registered_claim)
    );
    assert!(!["", "tenant", "ISS", "name"].into_iter().any(is_registered_claim));
}

#[test]
fn a_clock_tells_whole_seconds() {
    let clock = ManualClock::at(at(1_000));
    assert_eq!((clock.now(), clock.numeric_date()), (at(1_000), 1_000));
    clock.advance(-60);
    assert_eq!((clock.now(), clock.numeric_date()), (at(940), 940));
    // 2026, before which nobody wrote this
    assert!(SystemClock.now() > at(1_767_225_600));
}

#[test]
fn parts_of_a_second_count_as_a_whole_one() {
    let up = |second, nanosecond| seconds_up(Timestamp::new(second, nanosecond).unwrap());
    assert_eq!([up(5, 0), up(5, 1), up(5, 999_999_999), up(0, 0)], [5, 6, 6, 0]);
}

#[test]
fn the_longest_duration_is_a_hundred_years() {
    let days = |text| parse_duration(text).map(|duration| duration.as_secs() / 86_400);
    assert_eq!((days("36600d"), days("36601d")), (Some(36_600), None));
}

#[test]
fn names_in_a_query_are_decoded() {
    let names: Vec<_> = form::names("a=1&&b%2Bc=2&d&%zz=3&=4").collect();
    assert_eq!(names, ["a", "b+c", "d", ""]);
}

#[test]
fn rfc8414_2_an_issuer_has_neither_query_nor_fragment() {
    for bad in ["https://a.example/x?y", "https://a.example/x#y", "https://a.example/x?y#z"] {
        assert!(Issuer::parse(bad).is_err(), "{bad}");
    }
    let issuer = Issuer::parse("https://a.example/x").unwrap();
    assert_eq!((issuer.path(), issuer.to_string().as_str()), ("/x", "https://a.example/x"));
    assert_eq!(issuer.endpoint("/oauth2/token"), "https://a.example/x/oauth2/token");
    assert_eq!(Issuer::parse("https://a.example").unwrap().path(), "");
}

#[test]
fn an_audience_is_repeated_but_for_what_may_be_a_password() {
    let refused = |text| MetadataAddress::of(&Audience::parse(text).unwrap()).unwrap_err().to_string();
    assert!(refused("orders").contains("`orders`"));
    let told = refused("https://me:secret@a.example/x");
    assert!(told.contains("`https://…`"), "{told}");
    let address = MetadataAddress::of(&Audience::parse("https://a.example/x").unwrap()).unwrap();
    assert_eq!(address.to_string(), "https://a.example/.well-known/oauth-protected-resource/x");
}

#[test]
fn the_name_of_an_api_is_a_word() {
    assert!(ApiName::parse("orders-v2_eu.1").is_ok());
    for bad in ["", "a b", "a/b", "é", "a:b"] {
        assert!(ApiName::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn sets_of_scopes_grow_and_stay_sorted() {
    let set = |list| ScopeSet::parse(list).unwrap();
    let mut both = set("b d");
    both.extend(&set("a b c"));
    assert_eq!(both.to_string(), "a b c d");
    assert!(set("").is_empty() && !both.is_empty());
}

#[test]
fn a_thumbprint_shows_its_bytes() {
    let thumbprint = Thumbprint::new([7; 32]);
    assert_eq!(thumbprint.as_bytes(), &[7; 32]);
    assert_eq!(format!("{thumbprint:?}"), format!("Thumbprint({thumbprint})"));
}

#[test]
fn what_is_logged_is_cut() {
    assert_eq!(shown("a"), "a");
    let (longest, longer) = ("é".repeat(512), "é".repeat(513));
    assert_eq!(shown(&longest), longest);
    assert_eq!(shown(&longer), format!("{longest}…"));
}

#[test]
fn the_mark_of_an_editor_is_no_text() {
    assert_eq!(unmarked(b"\xef\xbb\xbfa"), b"a");
    assert_eq!(unmarked(b"a\xef\xbb\xbf"), b"a\xef\xbb\xbf");
}
