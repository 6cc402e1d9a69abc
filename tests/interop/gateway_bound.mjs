// openid-client with DPoP through gateways: it fetches a token that is bound to its key and uses it, and thieves do not.
//
//     node gateway_bound.mjs BASE_URL CLIENT ORIGIN...    one origin for each gateway, in front of the sample's orders API
import { createHash } from "node:crypto";
import https from "node:https";

import { SignJWT, exportJWK } from "jose";
import * as client from "openid-client";

import { count, holds, orders } from "./clients/checks.mjs";

const [base, id, ...origins] = process.argv.slice(2);
const own = "/tenants/acme/orders";
const secret = `demo-secret-of-${id}`;

/** The last proof that was shown at each address. */
const seen = new Map();
const watched = (url, options) => {
  seen.set(String(url), new Headers(options.headers).get("dpop"));
  return fetch(url, options);
};
const config = await client.discovery(new URL(base), id, undefined, client.ClientSecretBasic(secret), {
  algorithm: "oauth2", execute: [client.allowInsecureRequests], [client.customFetch]: watched,
});
const keys = await client.randomDPoPKeyPair("ES256", { extractable: true });
const others = await client.randomDPoPKeyPair("ES256", { extractable: true });
const DPoP = client.getDPoPHandle(config, keys);
const { access_token: token, token_type: type } = await client.clientCredentialsGrant(config, { resource: orders }, { DPoP });
holds("openid-client gets a token that is bound to its key", type === "dpop", type);
const { access_token: loose } = await client.clientCredentialsGrant(config, { resource: orders });

async function proof(origin, changes = {}, by = keys) {
  const ath = createHash("sha256").update(token).digest("base64url");
  const time = Math.floor(Date.now() / 1000);
  const claims = { jti: crypto.randomUUID(), htm: "GET", htu: `${origin}${own}`, ath, iat: time, ...changes };
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: await exportJWK(by.publicKey) };
  return new SignJWT(JSON.parse(JSON.stringify(claims))).setProtectedHeader(header).sign(by.privateKey);
}

/** A request by hand, whose headers stand in it as they are given: a list stands in as many lines. */
function asked(origin, headers, { method = "GET", path = own } = {}) {
  return new Promise((resolve, reject) => {
    // with another `Host`, Node would look for that name in the certificate
    const options = { method, headers, agent: false, checkServerIdentity: () => undefined };
    const request = https.request(`${origin}${path}`, options, (answer) => {
      answer.resume();
      answer.on("end", () => resolve({ status: answer.statusCode, challenge: answer.headers["www-authenticate"] ?? "" }));
    });
    request.on("error", reject);
    request.end();
  });
}

for (const origin of origins) {
  const at = new URL(`${origin}${own}`);
  const use = () => client.fetchProtectedResource(config, token, at, "GET", undefined, undefined, { DPoP });
  for (const time of ["once", "and again"]) {
    const answer = await use();
    holds(`${origin}: openid-client uses it ${time}`, answer.status === 200, answer.status);
  }
  const shown = { authorization: `DPoP ${token}` };
  const elsewhere = { htu: `https://elsewhere.example.com${own}` };
  const rows = [
    ["as Bearer", { authorization: `Bearer ${token}` }],
    ["as Bearer with a proof", { authorization: `Bearer ${token}`, dpop: await proof(origin) }],
    ["without a proof", shown],
    ["with a proof that was seen", { ...shown, dpop: seen.get(at.href) }],
    ["with a proof of another key", { ...shown, dpop: await proof(origin, {}, others) }],
    ["with a proof for another method", { ...shown, dpop: await proof(origin, { htm: "POST" }) }],
    ["with a proof for another path", { ...shown, dpop: await proof(origin, { htu: `${origin}/healthz` }) }],
    ["with a proof for another host", { ...shown, dpop: await proof(origin, elsewhere) }],
    ["and a forwarded host", { ...shown, dpop: await proof(origin, elsewhere), "x-forwarded-host": "elsewhere.example.com" }],
    ["and Forwarded", { ...shown, dpop: await proof(origin, elsewhere), forwarded: "host=elsewhere.example.com;proto=https" }],
    ["and its Host", { ...shown, dpop: await proof(origin, elsewhere), host: "elsewhere.example.com" }],
    ["with a proof without `ath`", { ...shown, dpop: await proof(origin, { ath: undefined }) }],
    ["with a proof for another token", { ...shown, dpop: await proof(origin, { ath: createHash("sha256").update(loose).digest("base64url") }) }],
    ["with an old proof", { ...shown, dpop: await proof(origin, { iat: Math.floor(Date.now() / 1000) - 300 }) }],
    ["with two proofs", { ...shown, dpop: [await proof(origin), await proof(origin)] }],
    ["with two proofs in one line", { ...shown, dpop: `${await proof(origin)}, ${await proof(origin)}` }],
  ];
  for (const [name, headers] of rows) {
    const { status, challenge } = await asked(origin, headers);
    holds(`${origin}: stolen ${name}: 401`, status === 401 && /DPoP .*error="invalid_token"/.test(challenge), { status, challenge });
  }
  const override = await asked(origin, { ...shown, dpop: await proof(origin, { htm: "DELETE" }), "x-http-method-override": "DELETE" });
  holds(`${origin}: stolen with a proof for an overriding method: ${override.status}`, [401, 403].includes(override.status), override);
  const unbound = await asked(origin, { authorization: `Bearer ${loose}` });
  holds(`${origin}: a token that is not bound passes as Bearer`, unbound.status === 200, unbound);
  const last = await use();
  holds(`${origin}: after all that openid-client still uses it`, last.status === 200, last.status);
}
console.log(`${count()} checks by openid-client hold`);
