//! The signatures of Wycheproof (C2SP) against every way in which this crate verifies one.
//!
//! Each key is read from its PEM, and again from the JSON Web Key that was made of it. Each signature is asked of three
//! verifiers, which must agree: the key of a client or of a DPoP proof ([`ForeignKey`]), the key of an issuer that is
//! jeton ([`PublicKeys`]), and the key of another issuer ([`IssuerKeySet`]), which alone knows all nine algorithms.
//! Each is asked for every algorithm that its kind of key has, so that a signature of one never passes for another's.
//!
//! A vector is taken if Wycheproof calls it valid, and refused otherwise. `acceptable` are only PKCS#1 signatures whose
//! padding lacks the NULL of the hash's parameters. They are refused: RFC 8017 section 8.2.2 compares the whole
//! encoding, and section 9.2 has the NULL in it.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_oauth::{ForeignAlgorithm, SignatureAlgorithm};
use serde_json::{Value, json};
use wycheproof::{HashFunction, TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use crate::{ForeignKey, ForeignKeys, InvalidPublicKey, IssuerKeySet, PublicKeys};

/// A public key, as each reader makes it.
struct Readers {
    /// None for keys that jeton takes of other issuers alone (P-384).
    client: Option<ForeignKey>,
    /// By the name of the algorithm.
    jwks: Option<PublicKeys>,
    issuer: IssuerKeySet,
}

impl Readers {
    fn of(pem: &str) -> Result<Self, InvalidPublicKey> {
        let issuer = IssuerKeySet::from_file(pem.as_bytes(), &ForeignAlgorithm::ALL)?;
        let client = ForeignKeys::from_file(pem.as_bytes()).ok().and_then(|mut keys| keys.taken.pop());
        let jwks = client.as_ref().map(|key| {
            let named = |algorithm: &SignatureAlgorithm| {
                let mut jwk = Value::Object(key.jwk().clone());
                jwk["alg"] = algorithm.name().into();
                jwk["kid"] = algorithm.name().into();
                jwk
            };
            let fitting = SignatureAlgorithm::ALL.into_iter().filter(|algorithm| key.is_for(*algorithm));
            let keys: Vec<_> = fitting.map(|algorithm| named(&algorithm)).collect();
            PublicKeys::from_jwks(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
        });
        Ok(Self { client, jwks, issuer })
    }

    /// What all verifiers say that know the algorithm.
    #[track_caller]
    fn verifies(&self, algorithm: ForeignAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        let by_issuer = self.issuer.verify_bytes(message, &signature, None, algorithm).is_ok();
        if let (Some(own), Some(client)) = (SignatureAlgorithm::parse(algorithm.name()), &self.client) {
            let by_client = client.verifies(own, message, &signature);
            let named = self.jwks.as_ref().map(|keys| keys.named(own.name())).unwrap_or_default();
            let by_jwks = named.iter().any(|key| key.verifies(message, &signature));
            assert_eq!([by_client, by_jwks], [by_issuer; 2], "{own} of three verifiers");
        }
        by_issuer
    }
}

/// One vector.
struct Vector<'v> {
    comment: &'v str,
    flags: Vec<String>,
    message: &'v [u8],
    signature: &'v [u8],
    result: TestResult,
}

impl Vector<'_> {
    /// Whether it is a sound signature of another kind than its set is about: with another hash, another padding, or
    /// another salt. An algorithm of that kind takes it rightly.
    fn may_be_of_another_kind(&self) -> bool {
        let is_of_another = |flag: &String| ["WrongHash", "WrongPrimitive"].contains(&flag.as_str());
        self.result == TestResult::Invalid
            && (self.flags.iter().any(is_of_another) || self.comment.starts_with("s_len changed to"))
    }
}

/// What came of the vectors.
#[derive(Default)]
struct Figures {
    tried: usize,
    taken: usize,
    /// Refused by their own algorithm and taken by another one of the same key, with which they were made.
    of_another: usize,
    /// Taken, and refused, by what the vectors are about.
    by_flag: BTreeMap<String, [usize; 2]>,
}

impl Figures {
    /// Asks every algorithm. Where the signatures of a set are of none (`own` is `None`), none of them is to be taken.
    #[track_caller]
    fn ask(&mut self, key: &Readers, own: Option<ForeignAlgorithm>, vector: &Vector<'_>) {
        let mut took = ForeignAlgorithm::ALL.to_vec();
        took.retain(|algorithm| key.verifies(*algorithm, vector.message, vector.signature));
        let expected = own.filter(|_| vector.result == TestResult::Valid);
        if vector.may_be_of_another_kind() {
            assert!(own.is_none_or(|own| !took.contains(&own)), "{}: {took:?}", vector.comment);
            self.of_another += took.len();
        } else {
            assert_eq!(took, Vec::from_iter(expected), "{} {:?}", vector.comment, vector.flags);
        }
        self.tried += 1;
        self.taken += usize::from(expected.is_some());
        for flag in &vector.flags {
            self.by_flag.entry(flag.clone()).or_default()[usize::from(expected.is_none())] += 1;
        }
    }

    /// Compares all of them, so that vectors that are missing are noticed.
    #[track_caller]
    fn are(&self, tried: usize, taken: usize, of_another: usize, by_flag: &[(&str, [usize; 2])]) {
        let own: Vec<_> = self.by_flag.iter().map(|(flag, counts)| (flag.as_str(), *counts)).collect();
        assert_eq!((self.tried, self.taken, self.of_another), (tried, taken, of_another));
        assert_eq!(own, by_flag);
    }
}

/// Asks for every vector of these sets. Each kind of set has types of its own, which look the same.
macro_rules! ask {
    ($figures:ident, $kind:ident, $sets:expr, |$group:ident| $own:expr) => {
        for set in $sets {
            for $group in $kind::TestSet::load(set).unwrap().test_groups {
                let (key, own) = (Readers::of(&$group.pem).unwrap(), $own);
                for test in &$group.tests {
                    let vector = Vector {
                        comment: &test.comment,
                        flags: test.flags.iter().map(|flag| format!("{flag:?}")).collect(),
                        message: &test.msg,
                        signature: &test.sig,
                        result: test.result,
                    };
                    $figures.ask(&key, own, &vector);
                }
            }
        }
    };
}

/// By which algorithm of JOSE a PSS signature with these parameters is verified: the salt is as long as the hash, and
/// the mask is made with the same hash (RFC 7518 section 3.5).
fn of_pss(group: &rsa_pss_verify::TestGroup) -> Option<ForeignAlgorithm> {
    match (&group.hash, group.mgf_hash.as_ref()?, group.salt_size) {
        (HashFunction::Sha2_256, HashFunction::Sha2_256, 32) => Some(ForeignAlgorithm::Ps256),
        (HashFunction::Sha2_384, HashFunction::Sha2_384, 48) => Some(ForeignAlgorithm::Ps384),
        (HashFunction::Sha2_512, HashFunction::Sha2_512, 64) => Some(ForeignAlgorithm::Ps512),
        _ => None,
    }
}

#[test]
fn rs256_takes_what_is_valid_and_nothing_else() {
    use rsa_pkcs1_verify::TestName::{Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256, Rsa8192Sha256};
    let mut figures = Figures::default();
    let sets = [Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256, Rsa8192Sha256];
    ask!(figures, rsa_pkcs1_verify, sets, |group| Some(ForeignAlgorithm::Rs256));
    figures.are(
        1034,
        31,
        12,
        &[
            ("BerEncodedPadding", [0, 56]),
            ("EdgeCaseSignature", [1, 0]),
            ("InvalidAsnInPadding", [0, 468]),
            ("InvalidPadding", [0, 20]),
            ("InvalidSignature", [0, 32]),
            ("MissingNull", [0, 4]),
            ("ModifiedPadding", [0, 303]),
            ("NoHash", [0, 8]),
            ("ShortPadding", [0, 4]),
            ("SignatureMalleability", [0, 12]),
            ("SmallPublicKey", [3, 0]),
            ("SmallSignature", [2, 0]),
            ("WrongHash", [0, 84]),
            ("WrongPrimitive", [0, 12]),
        ],
    );
}

#[test]
fn rs384_takes_what_is_valid_and_nothing_else() {
    use rsa_pkcs1_verify::TestName::{Rsa2048Sha384, Rsa3072Sha384, Rsa4096Sha384, Rsa8192Sha384};
    let mut figures = Figures::default();
    let sets = [Rsa2048Sha384, Rsa3072Sha384, Rsa4096Sha384, Rsa8192Sha384];
    ask!(figures, rsa_pkcs1_verify, sets, |group| Some(ForeignAlgorithm::Rs384));
    figures.are(
        1035,
        28,
        12,
        &[
            ("BerEncodedPadding", [0, 56]),
            ("InvalidAsnInPadding", [0, 476]),
            ("InvalidPadding", [0, 20]),
            ("InvalidSignature", [0, 32]),
            ("MissingNull", [0, 4]),
            ("ModifiedPadding", [0, 299]),
            ("NoHash", [0, 8]),
            ("ShortPadding", [0, 4]),
            ("SignatureMalleability", [0, 12]),
            ("WrongHash", [0, 80]),
            ("WrongPrimitive", [0, 16]),
        ],
    );
}

#[test]
fn rs512_takes_what_is_valid_and_nothing_else() {
    use rsa_pkcs1_verify::TestName::{Rsa2048Sha512, Rsa3072Sha512, Rsa4096Sha512, Rsa8192Sha512};
    let mut figures = Figures::default();
    let sets = [Rsa2048Sha512, Rsa3072Sha512, Rsa4096Sha512, Rsa8192Sha512];
    ask!(figures, rsa_pkcs1_verify, sets, |group| Some(ForeignAlgorithm::Rs512));
    figures.are(
        1037,
        30,
        12,
        &[
            ("BerEncodedPadding", [0, 56]),
            ("InvalidAsnInPadding", [0, 476]),
            ("InvalidPadding", [0, 20]),
            ("InvalidSignature", [0, 32]),
            ("MissingNull", [0, 4]),
            ("ModifiedPadding", [0, 299]),
            ("NoHash", [0, 8]),
            ("ShortPadding", [0, 4]),
            ("SignatureMalleability", [0, 12]),
            ("SmallPublicKey", [2, 0]),
            ("SmallSignature", [2, 0]),
            ("WrongHash", [0, 80]),
            ("WrongPrimitive", [0, 16]),
        ],
    );
}

#[test]
fn no_signature_with_a_hash_that_jose_does_not_have_is_taken() {
    use rsa_pkcs1_verify::TestName as Set;
    let mut figures = Figures::default();
    let sets = [
        Set::Rsa2048Sha224,
        Set::Rsa2048Sha3_224,
        Set::Rsa2048Sha3_256,
        Set::Rsa2048Sha3_384,
        Set::Rsa2048Sha3_512,
        Set::Rsa2048Sha512_224,
        Set::Rsa2048Sha512_256,
        Set::Rsa3072Sha3_256,
        Set::Rsa3072Sha3_384,
        Set::Rsa3072Sha3_512,
        Set::Rsa3072Sha512_256,
        Set::Rsa4096Sha512_256,
    ];
    ask!(figures, rsa_pkcs1_verify, sets, |group| None);
    figures.are(
        3096,
        0,
        36,
        &[
            ("BerEncodedPadding", [0, 168]),
            ("InvalidAsnInPadding", [0, 1412]),
            ("InvalidPadding", [0, 60]),
            ("InvalidSignature", [0, 96]),
            ("MissingNull", [0, 12]),
            ("ModifiedPadding", [0, 909]),
            ("NoHash", [0, 24]),
            ("ShortPadding", [0, 12]),
            ("SignatureMalleability", [0, 36]),
            ("WrongHash", [0, 240]),
            ("WrongPrimitive", [0, 43]),
        ],
    );
}

#[test]
fn ps256_ps384_and_ps512_take_what_is_valid_and_nothing_else() {
    use rsa_pss_verify::TestName as Set;
    let mut figures = Figures::default();
    let sets = [
        Set::RsaPss2048Sha256Mgf1SaltLen32,
        Set::RsaPss3072Sha256Mgf1SaltLen32,
        Set::RsaPss4096Sha256Mgf1SaltLen32,
        Set::RsaPss2048Sha384Mgf1SaltLen48,
        Set::RsaPss4096Sha384Mgf1SaltLen48,
        Set::RsaPss4096Sha512Mgf1SaltLen64,
    ];
    ask!(figures, rsa_pss_verify, sets, |group| of_pss(&group));
    figures.are(
        785,
        511,
        9,
        &[
            ("ModifiedSignature", [12, 265]),
            ("Normal", [42, 0]),
            ("SpecialCaseHash", [457, 0]),
            ("WrongPrimitive", [0, 9]),
        ],
    );
}

#[test]
fn rfc_7518_3_5_pss_has_one_salt_length_and_one_hash() {
    use rsa_pss_verify::TestName as Set;
    let mut figures = Figures::default();
    let sets = [
        Set::RsaPss2048Sha1Mgf1SaltLen20,
        Set::RsaPss2048Sha256Mgf1SaltLen0,
        Set::RsaPss2048Sha256Mgf1Sha1_20,
        Set::RsaPss2048Sha512_224Mgf1SaltLen28,
        Set::RsaPss2048Sha512_256Mgf1SaltLen32,
        Set::RsaPss2048Shake128,
        Set::RsaPss2048Shake256,
        Set::RsaPss3072Shake128,
        Set::RsaPss3072Shake256,
        Set::RsaPss4096Sha512Mgf1SaltLen32,
        Set::RsaPss4096Shake256,
    ];
    ask!(figures, rsa_pss_verify, sets, |group| of_pss(&group));
    figures.are(
        1471,
        0,
        13,
        &[
            ("ModifiedSignature", [0, 503]),
            ("Normal", [0, 77]),
            ("SpecialCaseHash", [0, 875]),
            ("WrongPrimitive", [0, 16]),
        ],
    );

    // each hash with each other and each length of a salt, of which JOSE has three
    let mut figures = Figures::default();
    ask!(figures, rsa_pss_verify, [Set::RsaPssmisc], |group| of_pss(&group));
    figures.are(
        150,
        3,
        0,
        &[
            ("DistinctHash", [0, 120]),
            ("Mgf1Sha1", [0, 30]),
            ("ParameterTest", [3, 147]),
            ("WeakHash", [0, 30]),
        ],
    );
}

/// A key that states its parameters (RFC 4055 section 3.1) might be asked for others: none is read.
#[test]
fn a_key_that_is_for_pss_by_its_own_identifier_is_refused() {
    let sets = rsa_pss_verify::TestName::all();
    let with_parameters = sets.into_iter().filter(|set| format!("{set:?}").ends_with("WithParams"));
    let groups: Vec<_> =
        with_parameters.flat_map(|set| rsa_pss_verify::TestSet::load(set).unwrap().test_groups).collect();
    assert_eq!(groups.len(), 157);
    for group in groups {
        assert_eq!(Readers::of(&group.pem).err(), Some(InvalidPublicKey::Kind));
    }
}

#[test]
fn es256_and_es384_take_what_is_valid_and_nothing_else() {
    let mut figures = Figures::default();
    let set = ecdsa::TestName::EcdsaSecp256r1Sha256P1363;
    ask!(figures, ecdsa, [set], |group| Some(ForeignAlgorithm::Es256));
    figures.are(
        262,
        173,
        0,
        &[
            ("ArithmeticError", [84, 26]),
            ("EdgeCasePublicKey", [24, 0]),
            ("EdgeCaseShamirMultiplication", [1, 0]),
            ("IntegerOverflow", [0, 4]),
            ("InvalidSignature", [0, 49]),
            ("ModifiedInteger", [0, 1]),
            ("ModularInverse", [15, 0]),
            ("PointDuplication", [1, 6]),
            ("RangeCheck", [0, 4]),
            ("SignatureSize", [0, 12]),
            ("SmallRandS", [8, 8]),
            ("SpecialCaseHash", [54, 0]),
            ("ValidSignature", [9, 0]),
        ],
    );

    let mut figures = Figures::default();
    let set = ecdsa::TestName::EcdsaSecp384r1Sha384P1363;
    ask!(figures, ecdsa, [set], |group| Some(ForeignAlgorithm::Es384));
    figures.are(
        280,
        193,
        0,
        &[
            ("ArithmeticError", [78, 24]),
            ("EdgeCasePublicKey", [18, 0]),
            ("EdgeCaseShamirMultiplication", [1, 0]),
            ("IntegerOverflow", [0, 4]),
            ("InvalidSignature", [0, 49]),
            ("ModifiedInteger", [0, 1]),
            ("ModularInverse", [15, 0]),
            ("PointDuplication", [1, 6]),
            ("RangeCheck", [0, 4]),
            ("SignatureSize", [0, 10]),
            ("SmallRandS", [6, 6]),
            ("SpecialCaseHash", [86, 0]),
            ("ValidSignature", [9, 0]),
        ],
    );
}

#[test]
fn rfc_7518_3_4_a_signature_in_der_or_with_another_hash_is_refused() {
    use ecdsa::TestName as Set;
    let mut figures = Figures::default();
    let der = [Set::EcdsaSecp256r1Sha256, Set::EcdsaSecp384r1Sha384];
    ask!(figures, ecdsa, der, |group| None);
    figures.are(
        988,
        0,
        0,
        &[
            ("ArithmeticError", [0, 190]),
            ("BerEncodedSignature", [0, 14]),
            ("EdgeCasePublicKey", [0, 42]),
            ("EdgeCaseShamirMultiplication", [0, 2]),
            ("IntegerOverflow", [0, 10]),
            ("InvalidEncoding", [0, 184]),
            ("InvalidSignature", [0, 128]),
            ("InvalidTypesInSignature", [0, 126]),
            ("MissingZero", [0, 2]),
            ("ModifiedInteger", [0, 10]),
            ("ModifiedSignature", [0, 96]),
            ("ModularInverse", [0, 30]),
            ("PointDuplication", [0, 14]),
            ("RangeCheck", [0, 12]),
            ("SmallRandS", [0, 14]),
            ("SpecialCaseHash", [0, 140]),
            ("ValidSignature", [0, 20]),
        ],
    );

    let mut figures = Figures::default();
    let other_hash = [Set::EcdsaSecp256r1Sha512P1363, Set::EcdsaSecp384r1Sha512P1363];
    ask!(figures, ecdsa, other_hash, |group| None);
    figures.are(
        650,
        0,
        0,
        &[
            ("ArithmeticError", [0, 212]),
            ("EdgeCasePublicKey", [0, 42]),
            ("EdgeCaseShamirMultiplication", [0, 2]),
            ("IntegerOverflow", [0, 8]),
            ("InvalidSignature", [0, 98]),
            ("ModifiedInteger", [0, 2]),
            ("ModularInverse", [0, 30]),
            ("PointDuplication", [0, 14]),
            ("RangeCheck", [0, 8]),
            ("SignatureSize", [0, 22]),
            ("SmallRandS", [0, 28]),
            ("SpecialCaseHash", [0, 246]),
            ("Untruncatedhash", [0, 2]),
            ("ValidSignature", [0, 18]),
        ],
    );
}

#[test]
fn keys_on_other_curves_are_refused() {
    let is_other = |name: &str| {
        name.ends_with("P1363") && !["Secp256r1", "Secp384r1"].iter().any(|taken| name.contains(taken))
    };
    let sets: Vec<_> =
        ecdsa::TestName::all().into_iter().filter(|set| is_other(&format!("{set:?}"))).collect();
    let mut keys = 0;
    for set in &sets {
        for group in ecdsa::TestSet::load(*set).unwrap().test_groups {
            assert_eq!(Readers::of(&group.pem).err(), Some(InvalidPublicKey::Kind), "{set:?}");
            keys += 1;
        }
    }
    for group in eddsa::TestSet::load(eddsa::TestName::Ed448).unwrap().test_groups {
        assert_eq!(Readers::of(&group.pem).err(), Some(InvalidPublicKey::Kind));
        keys += 1;
    }
    assert_eq!((sets.len(), keys), (22, 2222));
}

#[test]
fn eddsa_takes_what_is_valid_and_nothing_else() {
    let mut figures = Figures::default();
    ask!(figures, eddsa, [eddsa::TestName::Ed25519], |group| Some(ForeignAlgorithm::EdDsa));
    figures.are(
        151,
        88,
        0,
        &[
            ("CompressedSignature", [0, 4]),
            ("InvalidEncoding", [0, 22]),
            ("InvalidKnownTestVector", [0, 1]),
            ("InvalidSignature", [0, 20]),
            ("KnownTestVector", [38, 0]),
            ("SignatureMalleability", [0, 8]),
            ("SignatureWithGarbage", [0, 5]),
            ("TinkOverflow", [32, 0]),
            ("TruncatedSignature", [0, 3]),
            ("Valid", [18, 0]),
        ],
    );
}

/// The JSON Web Keys that Wycheproof prints beside PEM: both forms are the same key.
#[test]
fn a_key_is_the_same_as_pem_and_as_jwk() {
    let files = [
        rsa_pkcs1_verify::TestName::Rsa2048Sha256.json_data(),
        rsa_pkcs1_verify::TestName::Rsa4096Sha512.json_data(),
        rsa_pss_verify::TestName::RsaPss3072Sha256Mgf1SaltLen32.json_data(),
        ecdsa::TestName::EcdsaSecp256r1Sha256P1363.json_data(),
        ecdsa::TestName::EcdsaSecp384r1Sha384P1363.json_data(),
        eddsa::TestName::Ed25519.json_data(),
    ];
    let mut compared = 0;
    for file in files {
        let file: Value = serde_json::from_str(file).unwrap();
        for group in file["testGroups"].as_array().unwrap() {
            let Some(jwk) = ["publicKeyJwk", "keyJwk"].iter().find_map(|name| group.get(name)) else {
                continue;
            };
            let all = &ForeignAlgorithm::ALL;
            let of_pem = IssuerKeySet::from_file(group["publicKeyPem"].as_str().unwrap().as_bytes(), all);
            let of_jwk = IssuerKeySet::from_file(jwk.to_string().as_bytes(), all);
            let (of_pem, of_jwk) = (of_pem.unwrap(), of_jwk.unwrap());
            assert!(of_pem.thumbprints().eq(of_jwk.thumbprints()), "{jwk}");
            compared += 1;
        }
    }
    assert_eq!(compared, 281);
}
