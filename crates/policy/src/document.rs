//! What a policy file says, before anything in it is checked against the rest.
//!
//! One type per thing an operator writes; the names of the fields are the keys of the file, and their
//! comments are what an editor shows of them ([`super::schema`]). Where several kinds of value may stand,
//! the type is an enum whose variants are named `switch`, `text`, `list` and `map` ([`super::read`] picks by what it
//! finds).

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    clients::CertificateField,
    read::{Field, Items, Named, ReadExtent, Spanned},
    schema::{
        self, Algorithm, AnyText, ApiName, Audience, Bundle, ClaimName, ClaimSource, ClaimValue, ClientId,
        ComparedClaim, ComparedValue, DnsName, Duration, EmailAddress, Entries, ForeignClaim, IpAddress,
        Issuer, IssuerName, KeyFile, ParameterName, Rate, Request, Role, Route, Scope, Sha256, SomeItems,
        Subject, Time, TokenId, Uri, Url,
    },
};

/// The JSON Schema (draft 2020-12) of a policy file.
pub fn schema() -> Value {
    SchemaGenerator::default().into_root_schema_for::<PolicyDocument>().to_value()
}

/// Text with its place.
pub(super) type Text = Spanned<String>;

/// The policies of jeton, or a part of them: all files of the folder together are the policies.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "jeton policy file", extend("$id" = schema::ID, "required" = ["version"]))]
pub(super) struct PolicyDocument {
    /// The version of this format, which is 1.
    #[schemars(with = "Value", extend("const" = 1))]
    pub(super) version: Field<Spanned<u64>>,
    /// Every scope, and what it allows in words. Nothing else can be granted or required.
    #[schemars(with = "Entries<Scope, AnyText>")]
    pub(super) scopes: Named<String>,
    /// Roles: each is a named set of scopes. Roles do not nest.
    #[schemars(with = "Entries<Role, Items<Scope>>")]
    pub(super) roles: Named<Items<Text>>,
    /// The protected APIs by name. `jeton` is jeton's own.
    #[schemars(schema_with = "schema::apis::<ApiEntry>")]
    pub(super) apis: Named<ApiEntry>,
    /// The clients that may fetch tokens, by client id.
    #[schemars(with = "Entries<ClientId, ClientEntry>")]
    pub(super) clients: Named<ClientEntry>,
    /// The issuers whose tokens may stand for clients, by name.
    #[schemars(with = "Entries<IssuerName, IssuerEntry>")]
    pub(super) issuers: Named<IssuerEntry>,
    /// Revoked tokens, each by its `jti`. `jeton token revoke` writes the list.
    pub(super) revoked_tokens: Items<Spanned<RevokedToken>>,
    /// Test cases: who asks, and which requests must be allowed and which denied.
    pub(super) tests: Items<Spanned<TestEntry>>,
}

impl PolicyDocument {
    /// Whether every name that it defines could be read.
    pub(super) fn names_are_whole(&self) -> bool {
        [self.scopes.1, self.roles.1, self.apis.1, self.clients.1, self.issuers.1]
            .iter()
            .all(|read| *read == ReadExtent::Whole)
    }
}

/// A protected API.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Api", extend("type" = ["object", "null"]))]
pub(super) struct ApiEntry {
    /// The `aud` of the API's tokens. Only `jeton` has no `audience`: its audience is the issuer.
    #[schemars(with = "Audience")]
    pub(super) audience: Field<Text>,
    /// Who may fetch the bundle of the API, by which a service decides without the folder (`GET /policies/NAME`): `public`
    /// for anybody, `clients` for bearers with `jeton:policies`. Default: nobody.
    #[schemars(with = "Bundle")]
    pub(super) bundle: Field<Text>,
    /// With `true` the service answers questions about the API by `AuthZEN` 1.0, to bearers with `jeton:pdp`. Default:
    /// `false`.
    pub(super) pdp: Field<Spanned<bool>>,
    /// With `true` the API takes only tokens that are bound to the key or certificate of their client, and no other token
    /// is issued for it. Default: `false`.
    pub(super) bound_tokens: Field<bool>,
    /// The rules by name. The most specific matching route decides a request. A request without a matching route is denied.
    pub(super) rules: Named<RuleEntry>,
    /// The guarantees by name: what must hold for every possible token, whichever rule decides.
    pub(super) guarantees: Named<GuaranteeEntry>,
}

/// Routes, and what a request to them needs: either `public: true` or `require`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Rule", extend("required" = ["routes"], "oneOf" = [{ "required": ["public"] }, { "required": ["require"] }]))]
pub(super) struct RuleEntry {
    /// Methods and paths, such as `GET /orders/{order}`.
    #[schemars(with = "SomeItems<Route>")]
    pub(super) routes: Field<Items<Text>>,
    /// Allows every request, even without a token.
    #[schemars(extend("const" = true))]
    pub(super) public: Field<Spanned<bool>>,
    /// What the token must have: conditions that must all hold, or a list of alternatives of which one must hold.
    pub(super) require: Field<Spanned<Require>>,
}

/// What must hold on every path that these routes cover, whichever rule decides.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Guarantee", extend("required" = ["routes", "only_when"]))]
pub(super) struct GuaranteeEntry {
    /// The methods and paths that are guarded, such as `GET /tenants/{tenant}/**`.
    #[schemars(with = "SomeItems<Route>")]
    pub(super) routes: Field<Items<Text>>,
    /// What the token of every allowed request has, written as in `require`.
    pub(super) only_when: Field<Spanned<Require>>,
}

/// One alternative, or a list of which one must hold.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(untagged)]
pub(super) enum Require {
    Map(Box<AlternativeEntry>),
    List(#[schemars(with = "SomeItems<AlternativeEntry>")] Items<Spanned<AlternativeEntry>>),
}

/// Conditions that must all hold.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Alternative", extend("minProperties" = 1))]
pub(super) struct AlternativeEntry {
    /// The token has this scope.
    #[schemars(with = "Scope")]
    pub(super) scope: Field<Text>,
    /// The token has each of these scopes.
    #[schemars(with = "SomeItems<Scope>")]
    pub(super) all_scopes: Field<Spanned<Items<Text>>>,
    /// The token has one of these scopes.
    #[schemars(with = "SomeItems<Scope>")]
    pub(super) any_scope: Field<Spanned<Items<Text>>>,
    /// The token has this role.
    #[schemars(with = "Role")]
    pub(super) role: Field<Text>,
    /// The token has one of these roles.
    #[schemars(with = "SomeItems<Role>")]
    pub(super) any_role: Field<Spanned<Items<Text>>>,
    /// The token is this client's.
    #[schemars(with = "ClientId")]
    pub(super) client: Field<Text>,
    /// The token is one of these clients'.
    #[schemars(with = "SomeItems<ClientId>")]
    pub(super) any_client: Field<Spanned<Items<Text>>>,
    /// What must hold of the token's claims, by name. A name that starts with `/` is a JSON Pointer (RFC 6901) into them.
    #[schemars(with = "Entries<ComparedClaim, ClaimTestEntry>", extend("type" = "object", "minProperties" = 1))]
    pub(super) claims: Field<Spanned<Named<Spanned<ClaimTestEntry>>>>,
}

/// What must hold of one claim; several operators must all hold.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ClaimTest", extend("minProperties" = 1))]
pub(super) struct ClaimTestEntry {
    /// The claim is this text, whole number or boolean, of the same type: `42` is not `"42"`.
    #[schemars(with = "ComparedValue")]
    pub(super) is: Field<Spanned<Value>>,
    /// The claim is one of these values.
    #[schemars(with = "SomeItems<ComparedValue>")]
    pub(super) r#in: Field<Spanned<Items<Spanned<Value>>>>,
    /// The claim is a list that contains this value.
    #[schemars(with = "ComparedValue")]
    pub(super) contains: Field<Spanned<Value>>,
    /// The claim is what the path has at this parameter: the text, or the whole number of these digits. It stands in every
    /// route of the rule.
    #[schemars(with = "ParameterName")]
    pub(super) same_as_path: Field<Text>,
    /// The claim is a list that contains what the path has at this parameter. It stands in every route of the rule.
    #[schemars(with = "ParameterName")]
    pub(super) contains_path: Field<Text>,
}

/// A machine that may fetch tokens.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Client", extend("type" = ["object", "null"]))]
pub(super) struct ClientEntry {
    /// What this client is, in words.
    #[schemars(with = "AnyText")]
    pub(super) description: Field<String>,
    /// With `false` the client gets no tokens, and this service rejects the tokens that name it.
    pub(super) enabled: Field<bool>,
    /// Tokens that name the client and were issued before this time are revoked. Before it, the client gets no tokens.
    /// Rounded up to a whole second. `jeton clients revoke` writes it.
    #[schemars(with = "Time")]
    pub(super) revoked_before: Field<Text>,
    /// With `true` the client's tokens do not name it.
    pub(super) anonymous: Field<bool>,
    /// The hashes of its secrets. Several may be valid, so that a client can change its secret without a gap.
    pub(super) secrets: Items<Spanned<SecretEntry>>,
    /// The public keys of the key pairs with which it signs its assertions (`private_key_jwt`), instead of or
    /// beside secrets.
    pub(super) public_keys: Items<Spanned<PublicKeyEntry>>,
    /// The certificates by which it authenticates, instead of or beside secrets: one entry must hold.
    pub(super) certificates: Items<Spanned<CertificateEntry>>,
    /// With `true` it gets only tokens that are bound to its key or certificate. Default: `false`.
    pub(super) bound_tokens: Field<bool>,
    /// The tokens of other issuers that stand for the client, instead of or beside secrets: one entry must hold, all of
    /// it.
    pub(super) federated: Items<Spanned<FederatedEntry>>,
    /// With `true` the `aud` of its assertions must be only the issuer, and their `typ` must be `client-authentication+jwt`.
    pub(super) strict_assertions: Field<bool>,
    /// With `true` it may exchange tokens for narrower ones.
    pub(super) token_exchange: Field<Spanned<bool>>,
    /// With `true` it gets refresh tokens.
    pub(super) refresh: Field<Spanned<bool>>,
    /// The APIs whose tokens it may introspect: a list, or `true` for all.
    pub(super) introspect: Field<Spanned<Introspect>>,
    /// Whether its tokens point to a status list, which says offline what is revoked. Default: the setting
    /// `tokens.status_list`.
    pub(super) status_list: Field<Spanned<bool>>,
    /// What it may ask for, by API.
    #[schemars(with = "Entries<ApiName, GrantEntry>")]
    pub(super) grants: Named<GrantEntry>,
    /// The other claims of its tokens.
    #[schemars(with = "Entries<ClaimName, ClaimValue>")]
    pub(super) claims: Named<Value>,
    /// The lifetime of its tokens, such as `15m`: a whole number and `s`, `m`, `h` or `d`.
    #[schemars(with = "Duration")]
    pub(super) ttl: Field<Text>,
    /// How many tokens it may ask for, such as `100/m`: that many at once, and then as evenly as they come back. Or `off`.
    /// Default: the setting `limits.tokens`.
    #[schemars(with = "Rate")]
    pub(super) limit: Field<Text>,
}

/// An issuer whose tokens may stand for clients: a platform on which these run.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "TrustedIssuer", extend("required" = ["issuer", "audience", "keys"]))]
pub(super) struct IssuerEntry {
    /// The `iss` of its tokens, byte by byte: an https URL, or an http URL of this machine.
    #[schemars(with = "Issuer")]
    pub(super) issuer: Field<Text>,
    /// What the `aud` of its tokens must be: exactly this, or a list with only this.
    #[schemars(with = "Audience")]
    pub(super) audience: Field<Text>,
    /// Where its public keys are: one of `discover: true`, `jwks` and `file`.
    pub(super) keys: Field<Spanned<IssuerKeysEntry>>,
    /// The algorithms of its signatures. Default: `[RS256]`.
    #[schemars(with = "SomeItems<Algorithm>")]
    pub(super) algorithms: Field<Spanned<Items<Text>>>,
    /// The longest lifetime of its tokens, from `iat` to `exp`. Default: `25h`.
    #[schemars(with = "Duration")]
    pub(super) max_lifetime: Field<Text>,
    /// With `true` each token must have a `jti`, and is taken once. Default: `false`.
    pub(super) single_use: Field<bool>,
    /// With `false` its tokens are not taken. Default: `true`.
    pub(super) enabled: Field<bool>,
}

/// Where the public keys of an issuer are.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "IssuerKeys", extend("oneOf" = [
    { "required": ["discover"] },
    { "required": ["jwks"] },
    { "required": ["file"], "properties": { "ca_file": false, "token_file": false } },
]))]
pub(super) struct IssuerKeysEntry {
    /// At the address that the issuer's metadata names.
    #[schemars(extend("const" = true))]
    pub(super) discover: Field<Spanned<bool>>,
    /// At this address: an https URL, or an http URL of this machine.
    #[schemars(with = "Url")]
    pub(super) jwks: Field<Text>,
    /// A file below the policies folder, relative to this one: PEM, a JSON Web Key or a set of them.
    #[schemars(with = "KeyFile")]
    pub(super) file: Field<Text>,
    /// A file with the certificates of the authorities that the issuer's server is judged by (PEM), relative to this
    /// file. Default: the authorities of the system.
    #[schemars(with = "AnyText")]
    pub(super) ca_file: Field<Text>,
    /// A file with a token that is sent to the origin of the issuer with each fetch, relative to this file.
    #[schemars(with = "AnyText")]
    pub(super) token_file: Field<Text>,
}

/// Which tokens of one issuer stand for the client.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Federated", extend("required" = ["issuer", "claims"]))]
pub(super) struct FederatedEntry {
    /// The name of the issuer in `issuers`.
    #[schemars(with = "IssuerName")]
    pub(super) issuer: Field<Text>,
    /// What must hold of the token's claims, by name. A name that starts with `/` is a JSON Pointer (RFC 6901) into them.
    #[schemars(with = "Entries<ForeignClaim, ForeignTestEntry>", extend("type" = "object", "minProperties" = 1))]
    pub(super) claims: Field<Spanned<Named<Spanned<ForeignTestEntry>>>>,
    /// Claims that tokens of the client take over: by their names, the names of the issuer's claims, or pointers into
    /// them. The issuer's token must have each.
    #[schemars(with = "Entries<ClaimName, ClaimSource>")]
    pub(super) claims_from: Named<Text>,
}

/// What must hold of one claim of another issuer's token; several operators must all hold.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ForeignClaimTest", extend("minProperties" = 1))]
pub(super) struct ForeignTestEntry {
    /// The claim is this text, whole number or boolean, of the same type: `42` is not `"42"`.
    #[schemars(with = "ComparedValue")]
    pub(super) is: Field<Spanned<Value>>,
    /// The claim is one of these values.
    #[schemars(with = "SomeItems<ComparedValue>")]
    pub(super) r#in: Field<Spanned<Items<Spanned<Value>>>>,
    /// The claim is a list that contains this value.
    #[schemars(with = "ComparedValue")]
    pub(super) contains: Field<Spanned<Value>>,
    /// Read to say that it has no meaning here.
    #[schemars(skip)]
    pub(super) same_as_path: Field<Spanned<Value>>,
    #[schemars(skip)]
    pub(super) contains_path: Field<Spanned<Value>>,
}

/// The APIs whose tokens a client may introspect.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(untagged)]
pub(super) enum Introspect {
    /// Of all, or of none.
    Switch(bool),
    /// Of these.
    List(#[schemars(with = "SomeItems<ApiName>")] Items<Text>),
}

/// The hash of a client's secret. `jeton clients add` and `rotate` write it.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Secret", extend("required" = ["sha256"]))]
pub(super) struct SecretEntry {
    /// The SHA-256 of the secret, never the secret itself.
    #[schemars(with = "Sha256")]
    pub(super) sha256: Field<Text>,
    /// When the secret expires, such as `2027-06-30T00:00:00Z`.
    #[schemars(with = "Time")]
    pub(super) expires: Field<Text>,
}

/// The public half of a client's key pair, in one of these forms. RSA of 2048 to 8192 bits, P-256 or Ed25519.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "PublicKey", extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct PublicKeyEntry {
    /// The members of a JSON Web Key.
    #[schemars(with = "Map<String, Value>")]
    pub(super) jwk: Field<Spanned<Map<String, Value>>>,
    /// PEM with `PUBLIC KEY` blocks.
    #[schemars(with = "String")]
    pub(super) pem: Field<Text>,
    /// A file below the policies folder, relative to this one: PEM, a JSON Web Key or a set of them.
    #[schemars(with = "KeyFile")]
    pub(super) file: Field<Text>,
}

/// Which certificates stand for a client: one by its hash, or each with one name that an authority issued.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Certificate", extend("oneOf" = [
    { "required": ["sha256"] },
    { "required": ["san_dns"] },
    { "required": ["san_uri"] },
    { "required": ["san_ip"] },
    { "required": ["san_email"] },
    { "required": ["subject"] },
]))]
pub(super) struct CertificateEntry {
    /// The SHA-256 of the certificate's DER. `jeton clients add --certificate` writes it.
    #[schemars(with = "Sha256")]
    pub(super) sha256: Field<Text>,
    /// A DNS name among the subject alternative names, such as `orders.acme.example`.
    #[schemars(with = "DnsName")]
    pub(super) san_dns: Field<Text>,
    /// A URI among these, byte by byte, such as `spiffe://acme.example/orders`.
    #[schemars(with = "Uri")]
    pub(super) san_uri: Field<Text>,
    /// An IP address among these.
    #[schemars(with = "IpAddress")]
    pub(super) san_ip: Field<Text>,
    /// An email address among these.
    #[schemars(with = "EmailAddress")]
    pub(super) san_email: Field<Text>,
    /// The subject, as RFC 4514 writes it, such as `CN=orders,O=ACME`.
    #[schemars(with = "Subject")]
    pub(super) subject: Field<Text>,
    /// When the entry expires, such as `2027-06-30T00:00:00Z`.
    #[schemars(with = "Time")]
    pub(super) expires: Field<Text>,
}

impl CertificateEntry {
    /// The fields of which one says which certificates are meant, those that are names with where they stand in a
    /// certificate.
    pub(super) fn forms(&self) -> [(Option<CertificateField>, &Field<Text>); 6] {
        [
            (None, &self.sha256),
            (Some(CertificateField::SanDns), &self.san_dns),
            (Some(CertificateField::SanUri), &self.san_uri),
            (Some(CertificateField::SanIp), &self.san_ip),
            (Some(CertificateField::SanEmail), &self.san_email),
            (Some(CertificateField::Subject), &self.subject),
        ]
    }
}

/// A revoked token.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(untagged)]
pub(super) enum RevokedToken {
    /// Its `jti`, for ever.
    Text(#[schemars(with = "TokenId")] String),
    /// Its `jti`, and when the entry can go.
    Map(Box<RevocationEntry>),
}

/// A revoked token, and when the entry can go.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Revocation", extend("required" = ["jti"]))]
pub(super) struct RevocationEntry {
    /// The claim `jti` of the token.
    #[schemars(with = "TokenId")]
    pub(super) jti: Field<Text>,
    /// When the token has expired. After that, the entry can go.
    #[schemars(with = "Time")]
    pub(super) until: Field<Text>,
}

/// What a client may ask for at one API: roles, scopes or both.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Grant", transform = schema::grants_something)]
pub(super) struct GrantEntry {
    /// Roles that it may have there, with every scope of theirs.
    #[schemars(with = "Items<Role>")]
    pub(super) roles: Items<Text>,
    /// Scopes that it may have there, besides the ones of its roles.
    #[schemars(with = "Items<Scope>")]
    pub(super) scopes: Items<Text>,
}

/// A test case: who asks, which API, and the expected answers.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Test", extend("required" = ["as", "api"]), transform = schema::asks_something)]
pub(super) struct TestEntry {
    /// Who asks: a client, or what a token carries.
    pub(super) r#as: Field<Spanned<TestSubject>>,
    /// Values of the claims that the client takes over from another issuer's token (`claims_from`).
    #[schemars(with = "Named<Value>")]
    pub(super) claims: Field<Spanned<Map<String, Value>>>,
    /// The API of the requests.
    #[schemars(with = "ApiName")]
    pub(super) api: Field<Text>,
    /// Requests that must be allowed, such as `GET /tenants/acme/orders`.
    #[schemars(with = "Items<Request>")]
    pub(super) allow: Items<Text>,
    /// Requests that must be denied.
    #[schemars(with = "Items<Request>")]
    pub(super) deny: Items<Text>,
}

/// Who asks in a test case.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(untagged)]
pub(super) enum TestSubject {
    /// A client, with all it is granted at the API.
    Text(#[schemars(with = "ClientId")] String),
    /// A bearer with exactly these permissions.
    Map(Box<TestBearer>),
}

/// What a token in a test case carries.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Bearer")]
pub(super) struct TestBearer {
    /// Its scopes.
    #[schemars(with = "Items<Scope>")]
    pub(super) scopes: Items<Text>,
    /// Its roles.
    #[schemars(with = "Items<Role>")]
    pub(super) roles: Items<Text>,
    /// Its other claims.
    #[schemars(with = "Named<Value>")]
    pub(super) claims: Map<String, Value>,
}
