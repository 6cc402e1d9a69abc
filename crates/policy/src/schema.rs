//! The JSON Schema of a policy file, for editors.
//!
//! It is made from the types of [`super::document`], which read the file too. It knows one file only, and
//! only what is regular in it: it refuses nothing that is read, and the rest is up to [`PolicySet::compile`].
//!
//! [`PolicySet::compile`]: super::PolicySet::compile

use std::{borrow::Cow, marker::PhantomData};

use jeton_oauth::{ForeignAlgorithm, REGISTERED_CLAIMS};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::{
    claim::VERIFIED_CLAIMS,
    read::{Field, Items, Named, Spanned},
    set::BundleAccess,
};

/// The name of the schema; nothing is to be fetched there.
pub(super) const ID: &str = "urn:jeton:policy:1";
/// Text. What YAML takes for a number or a truth value is read as text too, without quotes.
const TEXT: [&str; 3] = ["string", "number", "boolean"];
/// Printable ASCII without space, `"` and `\`.
const NQCHAR: &str = r"^[!#-\[\]-~]+$";
/// A method and a path whose segments are parameters, maybe with an ending, or literals, with `**`, `**/` or nothing after
/// the last `/`.
const ROUTE: &str = concat!(
    r"^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|ANY) /",
    r"((\{[A-Za-z0-9_-]+\}([:.][^/{}*\\%;?#\x00-\x1f\x7f-\x9f]*)?",
    r"|\.*[^./{}*\\%;?#\x00-\x1f\x7f-\x9f][^/{}*\\%;?#\x00-\x1f\x7f-\x9f]*)(/|$))*",
    r"(\*\*/?)?$"
);
/// Parameters as other languages write them, those apart that no segment can hold.
const ANOTHER_SPELLING: &str =
    r"/:|/[^/<]*<+\.*[A-Za-z_][^/<>]*>|/[^/\[]*\[+\.*[A-Za-z_][^/\[\]]*\]|\([^/]*\|[^/]*\)";

/// A name that starts with `/` is a JSON Pointer.
const POINTER: &str = r"^([^/]|$)|^(/([^/~]|~[01])*)+$";

/// The names of claims, and pointers into them, that no condition can be about.
fn not_compared() -> String {
    let all = REGISTERED_CLAIMS.join("|");
    let but_sub: Vec<_> = REGISTERED_CLAIMS.into_iter().filter(|name| *name != "sub").collect();
    format!("^({})$|^/({all})(/|$)", but_sub.join("|"))
}

/// Each name of an algorithm with which a trusted issuer may sign.
fn algorithms() -> Vec<&'static str> {
    ForeignAlgorithm::ALL.into_iter().map(ForeignAlgorithm::name).chain(["Ed25519"]).collect()
}

/// The names of claims of another issuer's token, and pointers into them, that no condition can be about.
fn verified() -> String {
    let all = VERIFIED_CLAIMS.join("|");
    format!("^({all})$|^/({all})(/|$)")
}

/// Declares kinds of single values, which stand in the schema under their names and with their comments.
macro_rules! scalars {
    ($(#[doc = $doc:literal] $name:ident: $schema:tt;)*) => {$(
        #[doc = $doc]
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema = json_schema!($schema);
                schema.insert("description".to_owned(), $doc.trim().into());
                schema
            }
        }
    )*};
}
scalars! {
    /// Text.
    AnyText: { "type": TEXT };
    /// Who may fetch a bundle.
    Bundle: { "enum": BundleAccess::ALL.map(BundleAccess::as_str) };
    /// A scope: printable ASCII without space, `"` and `\`.
    Scope: { "type": TEXT, "pattern": NQCHAR, "maxLength": 512 };
    /// A role: printable ASCII without space, `"` and `\`.
    Role: { "type": TEXT, "pattern": NQCHAR, "maxLength": 512 };
    /// A client id: printable ASCII.
    ClientId: { "type": TEXT, "pattern": "^[ -~]+$", "maxLength": 512 };
    /// The name of an API: letters, digits, `-`, `_` and `.`.
    ApiName: { "type": TEXT, "pattern": "^[A-Za-z0-9._-]+$", "maxLength": 512 };
    /// The `aud` of tokens: printable ASCII without space, `"` and `\`.
    Audience: { "type": TEXT, "pattern": NQCHAR, "maxLength": 512 };
    /// The name of a trusted issuer: letters, digits, `-`, `_` and `.`.
    IssuerName: { "type": TEXT, "pattern": "^[A-Za-z0-9._-]+$", "maxLength": 512 };
    /// The `iss` of tokens: an https URL without query and fragment, or an http URL of this machine.
    Issuer: { "type": "string", "pattern": r"^https?://[^?#\s]+$", "maxLength": 512 };
    /// An https URL, or an http URL of this machine.
    Url: { "type": "string", "pattern": "^https?://[^#]+$" };
    /// A signature algorithm of JOSE.
    Algorithm: { "enum": algorithms() };
    /// A method and a path: `{name}` is one segment, maybe with an ending (`{name}:verb`), `**` at the end one or more.
    Route: { "type": "string", "pattern": ROUTE, "not": { "pattern": ANOTHER_SPELLING } };
    /// A method and a path, as a client sends them.
    Request: { "type": "string", "pattern": "^[^ ]* /" };
    /// The name of a parameter of the path: letters, digits, `-` and `_`.
    ParameterName: { "type": TEXT, "pattern": "^[A-Za-z0-9_-]+$" };
    /// A whole number and `s`, `m`, `h` or `d`.
    Duration: { "type": "string", "pattern": "^[0-9]+[smhd]$" };
    /// A whole number from 1 to 1000000 and `/s`, `/m` or `/h`; or `off`.
    Rate: { "type": "string", "pattern": "^(0*([1-9][0-9]{0,5}|1000000)/[smh]|off)$" };
    /// 64 hexadecimal digits. Those without a letter are a number to YAML.
    Sha256: { "type": ["string", "number"], "pattern": "^[0-9A-Fa-f]{64}$" };
    /// The DNS name of a host, without a wildcard.
    DnsName: { "type": TEXT, "pattern": r"^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$", "maxLength": 253 };
    /// A URI with a scheme.
    Uri: { "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+$", "maxLength": 2048 };
    /// An IP address.
    IpAddress: { "type": "string", "pattern": "^[0-9A-Fa-f:.]+$" };
    /// An email address.
    EmailAddress: { "type": "string", "pattern": "^[!-?A-~]+@[A-Za-z0-9_.-]+$" };
    /// The subject of a certificate, as RFC 4514 writes it.
    Subject: { "type": "string", "pattern": "^[A-Za-z0-9.]+=" };
    /// A time, such as `2027-06-30T00:00:00Z`.
    Time: { "type": "string", "format": "date-time" };
    /// The `jti` of a token: printable ASCII without space, `"` and `\`.
    TokenId: { "type": TEXT, "pattern": NQCHAR, "maxLength": 512 };
    /// A `*.pem`, `*.jwk`, `*.jwks` or `*.json` file.
    KeyFile: { "type": "string", "pattern": r"\.(pem|jwk|jwks|json)$" };
    /// The name of a claim that jeton does not set itself.
    ClaimName: { "not": { "enum": REGISTERED_CLAIMS } };
    /// The name of a claim that a condition can be about: `sub`, one that jeton does not set itself, or a pointer into one.
    ComparedClaim: { "pattern": POINTER, "not": { "pattern": not_compared() } };
    /// The name of a claim of another issuer's token, or a pointer into one; not `iss`, `aud`, `exp`, `nbf`, `iat`, `jti`.
    ForeignClaim: { "pattern": POINTER, "not": { "pattern": verified() } };
    /// The name of a claim of another issuer's token, or a pointer into one.
    ClaimSource: { "type": TEXT, "pattern": POINTER };
    /// What a claim is compared with: text, a whole number of 64 bits or a boolean.
    ComparedValue: { "type": ["string", "integer", "boolean"], "minimum": i64::MIN, "maximum": u64::MAX };
    /// The value of a claim: anything but nothing.
    ClaimValue: { "type": ["string", "number", "boolean", "array", "object"] };
}

/// A list that is not empty.
pub(super) struct SomeItems<T>(PhantomData<T>);
/// A map whose keys are of one kind.
pub(super) struct Entries<K, V>(PhantomData<(K, V)>);

/// Gives schemas to what holds other kinds; they are written out where they are used.
macro_rules! wrappers {
    ($($type:ident<$($part:ident),+>: $schema:expr;)*) => {$(
        impl<$($part: JsonSchema),+> JsonSchema for $type<$($part),+> {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let schema: fn(&mut SchemaGenerator) -> Schema = $schema;
                schema(generator)
            }
        }
    )*};
}
wrappers! {
    Field<T>: |generator| generator.subschema_for::<T>();
    Spanned<T>: |generator| generator.subschema_for::<T>();
    // `key:` with nothing after it is an empty list or map
    Items<T>: |generator| json_schema!({
        "type": ["array", "null"],
        "items": generator.subschema_for::<T>(),
    });
    Named<T>: |generator| json_schema!({
        "type": ["object", "null"],
        "additionalProperties": generator.subschema_for::<T>(),
    });
    Entries<K, V>: |generator| json_schema!({
        "type": ["object", "null"],
        "propertyNames": generator.subschema_for::<K>(),
        "additionalProperties": generator.subschema_for::<V>(),
    });
    SomeItems<T>: |generator| json_schema!({
        "type": "array",
        "items": generator.subschema_for::<T>(),
        "minItems": 1,
    });
}

/// APIs by name: each has an audience, but for jeton's own, whose audience is the issuer.
pub(super) fn apis<Api: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = Entries::<ApiName, Api>::json_schema(generator);
    let mut own = generator.subschema_for::<Api>();
    own.insert("properties".to_owned(), json!({ "audience": false }));
    let mut other = generator.subschema_for::<Api>();
    other.insert("type".to_owned(), "object".into());
    other.insert("required".to_owned(), json!(["audience"]));
    schema.insert("properties".to_owned(), json!({ "jeton": own }));
    schema.insert("additionalProperties".to_owned(), other.to_value());
    schema
}

/// A grant names a role or a scope.
pub(super) fn grants_something(grant: &mut Schema) {
    one_is_not_empty(grant, ["roles", "scopes"]);
}

/// A test names a request.
pub(super) fn asks_something(test: &mut Schema) {
    one_is_not_empty(test, ["allow", "deny"]);
}

fn one_is_not_empty(schema: &mut Schema, lists: [&str; 2]) {
    let some =
        |key: &str| json!({ "required": [key], "properties": { key: { "type": "array", "minItems": 1 } } });
    schema.insert("anyOf".to_owned(), json!(lists.map(some)));
}
