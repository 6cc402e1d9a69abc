// One application for each framework: behind protect, every route answers which one it is, with its parameters and who calls.
import { once } from "node:events";
import http from "node:http";
import https from "node:https";

import { createAdaptorServer } from "@hono/node-server";
import express5 from "express";
import express4 from "express4";
import fastify from "fastify";
import { Hono } from "hono";

import { protect as protectExpress } from "jeton/express";
import { protect as protectFastify } from "jeton/fastify";
import { protect as protectHono } from "jeton/hono";

// as Express and Fastify spell them; Hono takes `*` for the rest
export const ROUTES = [
  ["get", "/healthz"],
  ["get", "/tenants/:tenant/orders"],
  ["get", "/tenants/:tenant/orders/:order"],
  ["post", "/tenants/:tenant/orders"],
  ["post", "/tenants/:tenant/orders/:order/refund"],
  ["get", "/pages/c++"],
  ["get", "/pages/:page"],
];

async function listening(server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: server.address().port, close: () => server.close() };
}

const inExpress = (express) => async (authorizer, prepare = () => {}, { https: tls } = {}) => {
  const app = express();
  app.enable("case sensitive routing").enable("strict routing");
  prepare(app);
  app.use(protectExpress(authorizer));
  for (const [method, route] of ROUTES)
    app[method](route.replace("++", "\\+\\+"), (req, res) =>
      res.json({ route, params: { ...req.params }, principal: req.principal }),
    );
  return listening(tls ? https.createServer(tls, app) : http.createServer(app));
};

async function inFastify(authorizer, prepare = () => {}, options = {}) {
  const app = fastify(options);
  prepare(app);
  app.register(protectFastify, { authorizer });
  // in a plugin of its own, as applications have them
  app.register(async (routes) => {
    for (const [method, route] of ROUTES)
      routes[method](route, async ({ params, principal }) => ({ route, params, principal }));
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  return { app, port: app.server.address().port, close: () => app.close() };
}

async function inHono(authorizer, prepare = () => {}, { https: tls, ...options } = {}) {
  const app = new Hono(options);
  prepare(app);
  app.use(protectHono(authorizer));
  for (const [method, route] of ROUTES)
    app[method](route, (c) => c.json({ route, params: c.req.param(), principal: c.get("principal") }));
  const secured = tls && { createServer: https.createServer, serverOptions: tls };
  const served = await listening(createAdaptorServer({ fetch: app.fetch, ...secured }));
  return { app, ...served };
}

export const FRAMEWORKS = {
  "Express 5": inExpress(express5),
  "Express 4": inExpress(express4),
  Fastify: inFastify,
  Hono: inHono,
};
