// Services that check tokens offline, by jwks-rsa with passport-jwt and by express-oauth2-jwt-bearer.
//
//     node express.mjs BASE_URL      the server has the policies beside this file
import { generateKeyPairSync } from "node:crypto";

import express from "express";
import { auth, requiredScopes } from "express-oauth2-jwt-bearer";
import * as jose from "jose";
import { passportJwtSecret } from "jwks-rsa";
import passport from "passport";
import { ExtractJwt, Strategy } from "passport-jwt";

import { count, holds, orders, tokenOf } from "./checks.mjs";

const [base] = process.argv.slice(2);

// --- the services; each answers a refusal with what the library says

const app = express();

const strategy = new Strategy(
  {
    jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
    secretOrKeyProvider: passportJwtSecret({
      jwksUri: `${base}/.well-known/jwks.json`,
      cache: true,
      // as long as the key set says that it may be kept; by itself ten minutes
      cacheMaxAge: 300_000,
      rateLimit: true,
    }),
    algorithms: ["RS256"],
    issuer: base,
    audience: orders,
  },
  (claims, done) => done(null, { id: claims.sub, scopes: claims.scope.split(" ") }),
);
passport.use(strategy);
app.get("/passport", (req, res, next) => {
  passport.authenticate("jwt", { session: false }, (error, user, info) => {
    if (error || !user) return res.status(401).send(String(error ?? info.message ?? info));
    return res.send(user.id);
  })(req, res, next);
});

// it finds the keys by discovery
const bearer = auth({ issuerBaseURL: base, audience: orders, strict: true });
app.get("/bearer", bearer, requiredScopes("orders:read"), (req, res) => res.send(req.auth.payload.sub));
app.use((error, _req, res, _next) => res.status(error.status).send(`${error.code}: ${error.message}`));

const server = app.listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));

// --- the tokens

const forOrders = { resource: orders };
const good = await tokenOf(base, "reader", forOrders);
const { kid } = jose.decodeProtectedHeader(good);
const foreign = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
const signed = (kid) =>
  new jose.SignJWT(jose.decodeJwt(good)).setProtectedHeader({ alg: "RS256", typ: "at+jwt", kid }).sign(foreign);

const tokens = {
  "a good token": [good, "reader", "reader"],
  "a token for another audience": [
    await tokenOf(base, "reader", { resource: base }),
    `jwt audience invalid. expected: ${orders}`,
    "invalid_token: Unexpected 'aud' value",
  ],
  "a token that somebody else signed": [
    await signed(kid),
    "invalid signature",
    "invalid_token: signature verification failed",
  ],
  "a token with a key that is not in the set": [
    await signed("none"),
    "secret or public key must be provided",
    "invalid_token: no applicable key found in the JSON Web Key Set",
  ],
  "a token without the scope": [
    await tokenOf(base, "reader", { ...forOrders, scope: "orders:write" }),
    // the strategy knows no scopes
    "reader",
    "insufficient_scope: Insufficient Scope",
  ],
};

for (const [name, [token, ...expected]] of Object.entries(tokens)) {
  for (const [index, path] of ["/passport", "/bearer"].entries()) {
    const url = `http://127.0.0.1:${server.address().port}${path}`;
    const answer = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
    const seen = await answer.text();
    holds(`${name} at ${path}: ${expected[index]}`, seen === expected[index], seen);
  }
}
server.close();
server.closeAllConnections();

console.log(`${count()} checks by passport-jwt and express-oauth2-jwt-bearer hold`);
