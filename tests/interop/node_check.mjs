// The grants, introspection and revocation by oauth4webapi and jose.
//
//     node node_check.mjs BASE_URL FOLDER      the server has the policies beside this file; FOLDER has the keys
import { createPrivateKey, webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";

import * as jose from "jose";
import * as oauth from "oauth4webapi";

const [base, folder] = process.argv.slice(2);
const orders = "https://orders.example.com";
const invoices = "https://invoices.example.com";
const exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange";
const accessToken = "urn:ietf:params:oauth:token-type:access_token";
const insecure = { [oauth.allowInsecureRequests]: true };
let checks = 0;

function holds(name, does, seen) {
  if (!does) {
    console.error(`error: ${name}`, seen ?? "");
    process.exit(1);
  }
  checks += 1;
  console.log(`ok: ${name}`);
}

async function refused(name, error, attempt) {
  let seen = "it was not refused";
  try {
    await attempt();
  } catch (refusal) {
    // with the challenge of a 401 the library gives that alone
    if (refusal instanceof oauth.WWWAuthenticateChallengeError) {
      const body = await refusal.response.json();
      seen = `${refusal.cause[0].scheme} ${body.error}`;
    } else {
      seen = refusal.error ?? refusal;
    }
  }
  holds(`${name}: ${error}`, seen === error, seen);
}

const secretOf = (client) => `interop-secret-of-${client}`;
const odd = { id: "odd client: 100% + 1/2", secret: "ödd secret: 100% + more & =/?" };

// --- discovery

const issuer = new URL(base);
const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
const server = await oauth.processDiscoveryResponse(issuer, found);
holds("oauth4webapi takes the metadata", server.token_endpoint === `${base}/oauth2/token`);

const keys = jose.createRemoteJWKSet(new URL(server.jwks_uri));

async function verify(token, audience = orders) {
  const options = { issuer: server.issuer, audience, typ: "at+jwt", algorithms: ["RS256"] };
  return (await jose.jwtVerify(token, keys, options)).payload;
}

async function fetchToken(client, authentication, parameters = { resource: orders }) {
  const answer = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, insecure);
  return oauth.processClientCredentialsResponse(server, client, answer);
}

const basic = (id) => [{ client_id: id }, oauth.ClientSecretBasic(secretOf(id))];
const post = (id) => [{ client_id: id }, oauth.ClientSecretPost(secretOf(id))];

// --- client credentials

for (const [name, way] of [["client_secret_basic", basic], ["client_secret_post", post]]) {
  const answer = await fetchToken(...way("plain"));
  const claims = await verify(answer.access_token);
  holds(`oauth4webapi gets a token by ${name}`, claims.client_id === "plain" && answer.expires_in === 900);
}
for (const [name, way] of [["client_secret_basic", oauth.ClientSecretBasic], ["client_secret_post", oauth.ClientSecretPost]]) {
  const answer = await fetchToken({ client_id: odd.id }, way(odd.secret));
  holds(`an odd id and secret by ${name}`, (await verify(answer.access_token)).sub === odd.id);
}
await refused("a wrong secret by client_secret_basic", "basic invalid_client", () =>
  fetchToken({ client_id: "plain" }, oauth.ClientSecretBasic("wrong")));
await refused("a wrong secret by client_secret_post", "basic invalid_client", () =>
  fetchToken({ client_id: "plain" }, oauth.ClientSecretPost("wrong")));
const two = new URLSearchParams([["resource", orders], ["resource", invoices]]);
await refused("two resources", "invalid_target", () => fetchToken(...basic("plain"), two));
await refused("a scope beyond the grant", "invalid_scope", () =>
  fetchToken(...basic("plain"), { resource: orders, scope: "jeton:ops" }));

// --- private_key_jwt

const algorithms = {
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  PS256: { name: "RSA-PSS", hash: "SHA-256" },
  ES256: { name: "ECDSA", namedCurve: "P-256" },
  EdDSA: { name: "Ed25519" },
};

function keyOf(algorithm) {
  const pem = readFileSync(`${folder}/${algorithm.toLowerCase()}.pem`);
  const der = createPrivateKey(pem).export({ format: "der", type: "pkcs8" });
  return webcrypto.subtle.importKey("pkcs8", der, algorithms[algorithm], false, ["sign"]);
}

const assertions = [];
for (const algorithm of Object.keys(algorithms)) {
  const client = { client_id: `key-${algorithm.toLowerCase()}` };
  const note = { [oauth.modifyAssertion]: (header, payload) => assertions.push({ ...header, ...payload }) };
  const authentication = oauth.PrivateKeyJwt(await keyOf(algorithm), note);
  for (const which of ["a", "another"]) {
    const { access_token: token } = await fetchToken(client, authentication);
    const claims = await verify(token);
    const { alg } = assertions.at(-1);
    holds(`oauth4webapi gets ${which} token by private_key_jwt with ${alg}`, claims.client_id === client.client_id);
  }
}
holds("Ed25519 goes by its newer name", assertions.at(-1).alg === "Ed25519");
holds("each assertion has its own jti", new Set(assertions.map(({ jti }) => jti)).size === assertions.length);

const es256 = { client_id: "key-es256" };
const es256Key = await keyOf("ES256");
const changed = (change) => oauth.PrivateKeyJwt(es256Key, { [oauth.modifyAssertion]: change });
const bad = {
  "without jti": (_, payload) => delete payload.jti,
  "with a jti that was used": (_, payload) => Object.assign(payload, { jti: assertions[4].jti }),
  "with a foreign entry in aud": (_, payload) => Object.assign(payload, { aud: [server.issuer, "https://evil.example.com"] }),
  "with exp far ahead": (_, payload) => Object.assign(payload, { exp: payload.iat + 3600 }),
  "that has expired": (_, payload) => Object.assign(payload, { iat: payload.iat - 3600, nbf: payload.iat - 3600, exp: payload.iat - 3000 }),
  "of another client": (_, payload) => Object.assign(payload, { iss: "plain", sub: "plain" }),
  "of the type of access tokens": (header) => Object.assign(header, { typ: "at+jwt" }),
};
for (const [name, change] of Object.entries(bad)) {
  await refused(`an assertion ${name}`, "basic invalid_client", () => fetchToken(es256, changed(change)));
}
const list = changed((_, payload) => Object.assign(payload, { aud: [server.issuer, server.token_endpoint] }));
holds("an assertion for issuer and token endpoint", "access_token" in (await fetchToken(es256, list)));
const strict = changed((header) => Object.assign(header, { typ: "client-authentication+jwt" }));
holds("a client with strict_assertions", "access_token" in (await fetchToken({ client_id: "strict" }, strict)));

const spent = new jose.SignJWT({})
  .setProtectedHeader({ alg: "ES256" }).setIssuer("key-es256").setSubject("key-es256").setAudience(server.issuer)
  .setJti(crypto.randomUUID()).setIssuedAt().setExpirationTime("30s");
const assertion = await spent.sign(es256Key);
const withAssertion = (_server, client, body) => {
  body.set("client_id", client.client_id);
  body.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
  body.set("client_assertion", assertion);
};
holds("an assertion made by jose", "access_token" in (await fetchToken(es256, withAssertion)));
await refused("the same assertion again", "basic invalid_client", () => fetchToken(es256, withAssertion));

// --- token exchange

async function exchange(client, authentication, subject, parameters) {
  const all = { subject_token: subject, subject_token_type: accessToken, ...parameters };
  const answer = await oauth.genericTokenEndpointRequest(server, client, authentication, exchangeGrant, all, insecure);
  return oauth.processGenericTokenEndpointResponse(server, client, answer);
}

const subject = (await fetchToken(...basic("plain"))).access_token;
const narrow = await exchange(...basic("exchanger"), subject, { scope: "orders:read" });
const narrowClaims = await verify(narrow.access_token);
holds("an exchange narrows the scopes", narrowClaims.scope === "orders:read" && narrowClaims.sub === "plain");
holds("it says what it gives", narrow.issued_token_type === accessToken);
await refused("a wider scope", "invalid_scope", () =>
  exchange(...basic("exchanger"), narrow.access_token, { scope: "orders:write" }));
await refused("an exchange by a client that may not", "unauthorized_client", () => exchange(...basic("plain"), subject, {}));
await refused("a subject token that is none", "invalid_request", () => exchange(...basic("exchanger"), "none", {}));

// --- refresh tokens

async function refresh(client, authentication, token, parameters = {}) {
  const options = { additionalParameters: parameters, ...insecure };
  const answer = await oauth.refreshTokenGrantRequest(server, client, authentication, token, options);
  return oauth.processRefreshTokenResponse(server, client, answer);
}

const first = await fetchToken(...basic("refresher"));
const next = await refresh(...basic("refresher"), first.refresh_token);
holds("a refresh token brings another token", (await verify(next.access_token)).client_id === "refresher");
// with a shared store each is good for one use
const current = next.refresh_token ?? first.refresh_token;
const less = await refresh(...basic("refresher"), current, { scope: "orders:read" });
holds("it can be asked for less", less.scope === "orders:read");
await refused("a refresh token that is none", "invalid_grant", () => refresh(...basic("refresher"), "none"));
await refused("the refresh token of another client", "invalid_grant", () => refresh(...basic("listed"), first.refresh_token));
await refused("a refresh by a client that may not", "unauthorized_client", () => refresh(...basic("plain"), first.refresh_token));

// --- introspection and revocation

async function introspect(client, authentication, token) {
  const answer = await oauth.introspectionRequest(server, client, authentication, token, insecure);
  return oauth.processIntrospectionResponse(server, client, answer);
}

const answer = await introspect(...basic("introspector"), subject);
holds("a live token is active", answer.active === true && answer.client_id === "plain" && answer.scope.includes("orders:read"));
const none = await introspect(...basic("introspector"), "none");
holds("what is no token is not active, and nothing else", JSON.stringify(none) === '{"active":false}', none);
await refused("introspection by a client that may not", "unauthorized_client", () => introspect(...basic("plain"), subject));

async function revoke(client, authentication, token) {
  // not in the metadata without a shared store, so the library would not know where to ask
  const known = { revocation_endpoint: `${base}/oauth2/revoke`, ...server };
  const answer = await oauth.revocationRequest(known, client, authentication, token, insecure);
  return oauth.processRevocationResponse(answer);
}

if (server.revocation_endpoint) {
  await revoke(...basic("plain"), subject);
  const revoked = await introspect(...basic("introspector"), subject);
  holds("a revoked token is not active, and nothing else", JSON.stringify(revoked) === '{"active":false}', revoked);
  const rotated = await refresh(...basic("refresher"), (await fetchToken(...basic("refresher"))).refresh_token);
  holds("with a shared store each refresh brings a new refresh token", typeof rotated.refresh_token === "string");
  await refused("the token of another client", "unauthorized_client", () => revoke(...basic("listed"), rotated.refresh_token));
  await revoke(...basic("refresher"), rotated.refresh_token);
  await refused("a revoked refresh token", "invalid_grant", () => refresh(...basic("refresher"), rotated.refresh_token));
} else {
  await refused("revocation without a shared store", "unsupported_token_type", () => revoke(...basic("plain"), subject));
}

// --- what must not be taken

const token = (await fetchToken(...basic("plain"))).access_token;
const [head, payload, signature] = token.split(".");
const otherPayload = Buffer.from(JSON.stringify({ ...jose.decodeJwt(token), tenant: "globex" })).toString("base64url");
const unsigned = Buffer.from(JSON.stringify({ typ: "at+jwt", alg: "none" })).toString("base64url");
const forgeries = {
  "a changed claim": [[head, otherPayload, signature].join("."), orders, "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"],
  "no signature": [[unsigned, payload, ""].join("."), orders, "ERR_JOSE_ALG_NOT_ALLOWED"],
  "another audience": [token, invoices, "ERR_JWT_CLAIM_VALIDATION_FAILED"],
  "a refresh token": [first.refresh_token, server.issuer, "ERR_JWT_CLAIM_VALIDATION_FAILED"],
};
for (const [name, [forged, audience, code]] of Object.entries(forgeries)) {
  const seen = await verify(forged, audience).then(() => "taken", (error) => error.code);
  holds(`jose refuses ${name}: ${code}`, seen === code, seen);
}

const installed = JSON.parse(readFileSync(new URL("package.json", import.meta.url))).dependencies;
console.log(`${checks} checks by oauth4webapi ${installed.oauth4webapi} and jose ${installed.jose} hold`);
