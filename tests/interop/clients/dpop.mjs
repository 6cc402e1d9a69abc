// openid-client and oauth4webapi with DPoP: tokens bound to a key, with and without nonces, and what a thief does with one.
//
//     node dpop.mjs BASE_URL required|off      whether the server requires nonces; it has the policies beside this file
import { createHash } from "node:crypto";

import { SignJWT, exportJWK } from "jose";
import * as oauth from "oauth4webapi";
import * as client from "openid-client";

import { count, holds, secretOf, tokenOf } from "./checks.mjs";

const [base, nonces] = process.argv.slice(2);
const principal = new URL(`${base}/principal`);
const ALGORITHMS = ["ES256", "Ed25519", "PS256", "RS256"];

/** How often each address was asked, and the last proof that was shown there. */
const asked = new Map();
const seen = new Map();
const watched = (url, options) => {
  asked.set(String(url), (asked.get(String(url)) ?? 0) + 1);
  seen.set(String(url), new Headers(options.headers).get("dpop"));
  return fetch(url, options);
};

const thumbprint = async (keys) => {
  const { kty, crv, x, y, n, e } = await exportJWK(keys.publicKey);
  const members = { RSA: { e, kty, n }, EC: { crv, kty, x, y }, OKP: { crv, kty, x } }[kty];
  return createHash("sha256").update(JSON.stringify(members)).digest("base64url");
};
const claimsOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));

/** What the server answers to a request by hand, and its challenge. */
async function shown(scheme, token, proof, method = "GET", url = principal) {
  const headers = { authorization: `${scheme} ${token}`, ...(proof && { dpop: proof }) };
  const answer = await fetch(url, { method, headers });
  return { status: answer.status, challenge: answer.headers.get("www-authenticate") };
}

async function proofBy(keys, token, changes = {}, alg = "ES256") {
  const ath = createHash("sha256").update(token).digest("base64url");
  const claims = { jti: crypto.randomUUID(), htm: "GET", htu: principal.href, ath, iat: Math.floor(Date.now() / 1000), ...changes };
  return new SignJWT(claims).setProtectedHeader({ typ: "dpop+jwt", alg, jwk: await exportJWK(keys.publicKey) }).sign(keys.privateKey);
}

async function refused(name, ...request) {
  const { status, challenge } = await shown(...request);
  holds(`${name}: 401 invalid_token`, status === 401 && /^DPoP .*error="invalid_token"/.test(challenge ?? ""), { status, challenge });
}

// --- openid-client

const config = await client.discovery(new URL(base), "holder", undefined, client.ClientSecretBasic(secretOf("holder")), {
  algorithm: "oauth2", execute: [client.allowInsecureRequests], [client.customFetch]: watched,
});
const said = config.serverMetadata().dpop_signing_alg_values_supported;
holds("the metadata name what proofs may be signed by", ALGORITHMS.every((alg) => said.includes(alg)), said);

for (const alg of ALGORITHMS) {
  const keys = await client.randomDPoPKeyPair(alg, { extractable: true });
  const DPoP = client.getDPoPHandle(config, keys);
  asked.clear();
  const token = await client.clientCredentialsGrant(config, { resource: base }, { DPoP });
  const bound = claimsOf(token.access_token).cnf?.jkt;
  holds(`openid-client gets a token that is bound by ${alg}`, token.token_type === "dpop" && bound === (await thumbprint(keys)), token);
  // Ed25519 and the rest: the first answer asks for a nonce, and the library repeats the request with it
  const requests = asked.get(`${base}/oauth2/token`);
  holds(`it needed ${requests} requests for it`, requests === (nonces === "required" ? 2 : 1));
  const answer = await client.fetchProtectedResource(config, token.access_token, principal, "GET", undefined, undefined, { DPoP });
  holds("it uses the token", (await answer.json()).client === "holder");
}

const keys = await client.randomDPoPKeyPair("ES256", { extractable: true });
const DPoP = client.getDPoPHandle(config, keys);
const first = await client.clientCredentialsGrant(config, { resource: base }, { DPoP });
const use = (token, handle = DPoP) =>
  client.fetchProtectedResource(config, token, principal, "GET", undefined, undefined, { DPoP: handle });

const refreshed = await client.refreshTokenGrant(config, first.refresh_token, {}, { DPoP });
holds("it refreshes the token, bound to the same key", claimsOf(refreshed.access_token).cnf.jkt === (await thumbprint(keys)));
holds("it uses the new one", (await (await use(refreshed.access_token)).json()).client === "holder");
const otherKeys = await client.randomDPoPKeyPair("ES256", { extractable: true });
const other = client.getDPoPHandle(config, otherKeys);
const moved = await client.refreshTokenGrant(config, first.refresh_token, {}, { DPoP: other });
holds("a refresh with another key gives a token of that key", claimsOf(moved.access_token).cnf.jkt === (await thumbprint(otherKeys)));

const metadata = config.serverMetadata().introspection_endpoint;
const introspection = { token: first.access_token, client_id: "introspector", client_secret: secretOf("introspector") };
const known = await (await fetch(metadata, { method: "POST", body: new URLSearchParams(introspection) })).json();
holds("introspection says to what it is bound", known.token_type === "DPoP" && known.cnf.jkt === (await thumbprint(keys)), known);

// --- a thief, who has the token and the last proof

const stolen = first.access_token;
await use(stolen);
const proof = seen.get(principal.href);
await refused("the stolen token as Bearer", "Bearer", stolen);
await refused("as Bearer with the proof beside it", "Bearer", stolen, proof);
await refused("as DPoP without a proof", "DPoP", stolen);
await refused("the proof once more", "DPoP", stolen, proof);
await refused("the proof at another address", "DPoP", stolen, proof, "GET", new URL(`${base}/ops/keys`));
await refused("the proof with another token of the same key", "DPoP", refreshed.access_token, proof);
await refused("a proof by another key", "DPoP", stolen, await proofBy(otherKeys, stolen));
await refused("a proof for another method", "DPoP", stolen, await proofBy(keys, stolen, { htm: "POST" }));
await refused("a proof for another host", "DPoP", stolen, await proofBy(keys, stolen, { htu: "https://orders.example.com/principal" }));
await refused("a proof of yesterday", "DPoP", stolen, await proofBy(keys, stolen, { iat: Math.floor(Date.now() / 1000) - 86400 }));
await refused("an unbound token as DPoP", "DPoP", await tokenOf(base, "holder", { resource: base }), await proofBy(keys, stolen));
const right = await shown("DPoP", stolen, await proofBy(keys, stolen));
holds("and its holder still uses it", right.status === 200, right);

let seenError;
await use(stolen, other).catch((error) => (seenError = error.cause?.[0] ?? error));
holds("openid-client shows the challenge", seenError.scheme === "dpop" && seenError.parameters.error === "invalid_token", seenError);

// --- a client that must show a key

const plain = { resource: base, client_id: "strict-holder", client_secret: secretOf("strict-holder"), grant_type: "client_credentials" };
const without = await fetch(`${base}/oauth2/token`, { method: "POST", body: new URLSearchParams(plain) });
holds("a client with bound_tokens gets none without a proof: invalid_request",
  without.status === 400 && (await without.json()).error === "invalid_request");

// --- oauth4webapi, which leaves the second request to its user

const insecure = { [oauth.allowInsecureRequests]: true };
const found = await oauth.discoveryRequest(new URL(base), { algorithm: "oauth2", ...insecure });
const server = await oauth.processDiscoveryResponse(new URL(base), found);
const strict = { client_id: "strict-holder" };
const pair = await oauth.generateKeyPair("ES256");
const handle = { DPoP: oauth.DPoP(strict, pair), ...insecure };
const login = oauth.ClientSecretBasic(secretOf("strict-holder"));

async function tokenByNonce() {
  const grant = async () =>
    oauth.processClientCredentialsResponse(server, strict,
      await oauth.clientCredentialsGrantRequest(server, strict, login, { resource: base }, handle));
  try {
    return { token: await grant(), asked: 1 };
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return { token: await grant(), asked: 2 };
  }
}

const { token, asked: times } = await tokenByNonce();
holds(`oauth4webapi gets a bound token with ${times} requests`,
  token.token_type === "dpop" && times === (nonces === "required" ? 2 : 1), token);
const answer = await oauth.protectedResourceRequest(token.access_token, "GET", principal, undefined, undefined, handle);
holds("it uses it", (await answer.json()).client === "strict-holder");
const again = await tokenByNonce();
holds("the next token needs one request: the nonce is still good", again.asked === 1, again);

console.log(`${count()} checks by openid-client and oauth4webapi hold`);
