// The orders API in Node: takes tokens of jeton, and knows nothing of it but its name and the address of its keys.
//
//     npm ci --ignore-scripts
//     ISSUER=http://127.0.0.1:8080 AUDIENCE=https://orders.example.com PORT=9102 node server.mjs
import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";

import express from "express";
import { createRemoteJWKSet, customFetch, jwtVerify } from "jose";

const { ISSUER, AUDIENCE, PORT } = process.env; // ISSUER: byte by byte as its tokens have it
const algorithms = (process.env.ALGORITHMS ?? "RS256").split(",");
const keysUrl = new URL(process.env.KEYS_URL ?? `${ISSUER}/.well-known/jwks.json`);
// seconds at least from one fetch of the keys to the next
const keysCooldown = Number(process.env.KEYS_COOLDOWN ?? 30);
const keysMaxAge = 300; // seconds, as jeton's `Cache-Control` says
const leeway = 30; // seconds by which our clock and jeton's may differ

// jose does not compare what is undefined.
if (!ISSUER || !AUDIENCE || !PORT) throw new Error("set ISSUER, AUDIENCE and PORT");
// With HS256 a public key would be the secret, and everybody has that; `none` needs no key at all.
if (!algorithms.every((name) => ["RS256", "PS256", "ES256", "EdDSA"].includes(name)))
  throw new Error(`ALGORITHMS=${algorithms}: use RS256, PS256, ES256 or EdDSA`);
// Who can change the keys on their way can sign tokens.
if (keysUrl.protocol !== "https:" && !["127.0.0.1", "[::1]", "localhost"].includes(keysUrl.hostname))
  throw new Error(`${keysUrl}: use https`);

// What the caller is told, with the challenge of RFC 6750 section 3. The reason is for the log alone.
class Refusal extends Error {
  constructor(status, detail, reason, challenge = {}) {
    super(reason);
    const pairs = Object.entries(challenge).map(([name, value]) => `${name}="${value}"`);
    Object.assign(this, { status, detail, challenge: `Bearer ${pairs.join(", ")}`.trim() });
  }
}

// --- the keys of the issuer

let triedAt = -Infinity;
const keys = createRemoteJWKSet(keysUrl, {
  // By itself jose throws its keys away after `cacheMaxAge`, also where the issuer is away. They are kept, and
  // fetched beside the requests instead.
  cacheMaxAge: Infinity,
  // Anybody can invent kids. However many come, and whatever the issuer answers, it is asked once in this time: below,
  // for jose's own cooldown counts from the last fetch that succeeded.
  cooldownDuration: 0,
  timeoutDuration: 5000,
  [customFetch]: (url, options) => {
    if (performance.now() - triedAt < keysCooldown * 1000) throw new Error("the issuer was asked a moment ago");
    triedAt = performance.now();
    return fetch(url, options);
  },
});
// Without any key this service would refuse everybody, so it does not start.
await keys.reload();
setInterval(async () => {
  await keys.reload().catch((error) => console.warn("keys not fetched, those from before count:", error.message));
}, keysMaxAge * 1000).unref();

// --- who may what

// Puts the claims of the token into `req.claims`, if it is good.
async function verified(req, res, next) {
  const refuse = (detail) =>
    new Refusal(400, detail, detail, { error: "invalid_request", error_description: detail });
  // URLs end up in logs and histories.
  if ("access_token" in req.query) throw refuse("an access token must not be in the URL");
  // `req.headers` has the first of two, and something in front of us may have looked at the other one.
  const sent = req.headersDistinct.authorization ?? [];
  if (sent.length > 1) throw refuse("there are two authorization headers");
  const [, token] = /^bearer (.*)$/i.exec(sent[0] ?? "") ?? [];
  if (token === undefined) throw new Refusal(401, "this needs an access token", "no token");
  try {
    // By its kid, and only from keysUrl: a token that brings a key or an address (jwk, jku, x5u) gains nothing.
    const { payload, protectedHeader } = await jwtVerify(token, keys, {
      algorithms,
      issuer: ISSUER,
      audience: AUDIENCE,
      clockTolerance: leeway,
      requiredClaims: ["exp", "iat", "jti"], // jose checks `exp` only if it is there
    });
    // A refresh token or a status list has the same signature. `JWT` is the token of an anonymous client.
    if (!["at+jwt", "JWT"].includes(protectedHeader.typ)) throw new Error("not an access token");
    // Only its holder may use such a token, and nothing here asks for the holder's key.
    if ("cnf" in payload) throw new Error("a token that is bound to a key or a certificate");
    req.claims = payload;
  } catch (error) {
    const detail = "the access token is not valid here";
    throw new Refusal(401, detail, String(error), { error: "invalid_token", error_description: detail });
  }
  next();
}

// Lets through who has the scope, within its own tenant; or the role, in every tenant.
function needs(scope, { orRole } = {}) {
  return (req, res, next) => {
    const { tenant, scope: scopes = "", roles = [], jti } = req.claims;
    // The tenant as the handler gets it, so there is one reading of the path. A claim that is missing is no match.
    const own = tenant === req.params.tenant;
    if ((own && scopes.split(" ").includes(scope)) || (orRole && roles.includes(orRole))) return next();
    const detail = "the access token does not allow this";
    // The scope is named only where it would help.
    const more = own ? { scope } : { error_description: detail };
    const lacks = scopes.split(" ").includes(scope) ? [] : [`it lacks ${scope}`];
    if (!own) lacks.push(`its tenant is ${JSON.stringify(tenant)}, and the path has ${JSON.stringify(req.params.tenant)}`);
    throw new Refusal(403, detail, `token ${jti}: ${lacks.join(", ")}`, { error: "insufficient_scope", ...more });
  };
}

// --- the API

const app = express();
app.disable("x-powered-by").enable("case sensitive routing").enable("strict routing");

app.get("/healthz", (req, res) => res.json({ status: "live" }));

// Everything below wants a good token, also a route whose author forgets `needs`.
app.use(verified);

app.get("/tenants/:tenant/orders", needs("orders:read", { orRole: "support-lead" }), (req, res) => {
  const { tenant } = req.params;
  res.json({ orders: [{ order: 42, total: "99.00" }], read_by: req.claims.client_id, tenant });
});
app.post("/tenants/:tenant/orders", needs("orders:write"), (req, res) => {
  res.status(201).json({ created_by: req.claims.client_id, order: 43, tenant: req.params.tenant });
});
const mayRefund = needs("orders:refund", { orRole: "support-lead" });
app.post("/tenants/:tenant/orders/:order/refund", mayRefund, (req, res) => {
  res.json({ by: req.claims.client_id, refunded: req.params.order, tenant: req.params.tenant });
});

app.use(() => {
  throw Object.assign(new Error("no such route"), { status: 404 });
});

// Every refusal, as RFC 9457 has it. Express knows an error handler by its four parameters.
app.use((error, req, res, _next) => {
  const { status = 500, challenge } = error;
  const title = STATUS_CODES[status];
  const reference = randomUUID();
  console.info(status, reference, error.message);
  if (challenge) res.set("WWW-Authenticate", challenge);
  res.status(status).set("Cache-Control", "no-store").type("application/problem+json");
  res.send(JSON.stringify({ detail: error.detail ?? title, reference, status, title }));
});

app.listen(Number(PORT), "127.0.0.1", (error) => {
  if (error) throw error;
  console.info(`listening on 127.0.0.1:${PORT}`);
});
