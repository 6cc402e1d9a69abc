// What `tsc` must take and must refuse; nothing runs it.
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";

import { Authorizer, Decision, type AuthorizerOptions, type Principal } from "jeton";
import { protect as protectExpress } from "jeton/express";
import { protect as protectFastify } from "jeton/fastify";
import { protect as protectHono } from "jeton/hono";

const options: AuthorizerOptions = { issuer: "https://tokens.example.com", api: "orders" };
const authorizer = new Authorizer({
  ...options,
  policies: new URL("file:///etc/policies"),
  jwks: "jwks.json",
  leeway: 30,
  keep: "/var/lib/orders",
  origin: "https://orders.example.com",
  credentials: ["orders", "/run/secrets/orders"],
  caFile: null,
  onLog: (level, event, fields) => console.log(level.length, event.length, fields.message, fields["rule"]?.length),
});
new Authorizer({ ...options, credentials: () => "token" });
new Authorizer({ ...options, credentials: async () => "token" });

const decision: Decision = await authorizer.decide("GET", "/orders", ["Bearer x"], null);
authorizer.decide("GET", "/orders", "DPoP x", ["x.y.z"], Buffer.from("0"));
authorizer.decide("GET", "/orders", "Bearer x", undefined, new Uint8Array(4));
const told: Decision | Promise<Decision> = authorizer.decide("GET", "/orders", undefined);
void told;
if (!decision.allowed) console.log(decision.status, decision.headers["WWW-Authenticate"], decision.problem("id"));
const principal: Principal | null = decision.principal;
const client: string | null | undefined = principal?.client;
const tenant: unknown = principal?.claims["tenant"];
void [client, tenant, principal?.tokenId.length, principal?.expiresAt.toFixed(), principal?.scopes.includes("a")];
authorizer.close();

express().use(protectExpress(authorizer)).get("/", (req, res) => void res.json(req.principal?.client));

fastify()
  .register(protectFastify, { authorizer })
  .get("/", async (request) => request.principal?.client);

new Hono().use(protectHono(authorizer)).get("/", (c) => c.json(c.get("principal")?.client));

// @ts-expect-error: no issuer
new Authorizer({ api: "orders" });
// @ts-expect-error: no such option
new Authorizer({ ...options, jwk: "x" });
// @ts-expect-error: nobody makes a decision
new Decision();
// @ts-expect-error: it may be a promise
authorizer.decide("GET", "/orders", undefined).allowed;
// @ts-expect-error: no header is said
authorizer.decide("GET", "/orders");
// @ts-expect-error: a certificate is DER
authorizer.decide("GET", "/orders", "Bearer x", undefined, "-----BEGIN CERTIFICATE-----");
// @ts-expect-error: it is frozen
decision.allowed = true;
// @ts-expect-error: so is what it holds
principal?.scopes.push("orders:write");
// @ts-expect-error: no authorizer
protectExpress({});
// @ts-expect-error: no authorizer
fastify().register(protectFastify, {});
