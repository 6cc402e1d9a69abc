// What the middlewares let through and what they answer, in each framework, over real sockets.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, suite, test } from "node:test";

import { Hono } from "hono";
import { Authorizer } from "jeton";
import { protect as protectHono } from "jeton/hono";

import { FRAMEWORKS } from "./frameworks.mjs";
import { Jeton, ask } from "./support.mjs";

const ORDERS = "/tenants/acme/orders";
const LACKS_REFUND = 'Bearer error="insufficient_scope", scope="orders:refund"';
const DENIED = 'Bearer error="insufficient_scope", error_description="the access token does not allow this"';
const INVALID = 'Bearer error="invalid_token", error_description="the access token is not valid here"';
const TWO = 'Bearer error="invalid_request", error_description="there are two authorization headers"';
const NO_TOKEN = 'Bearer error="invalid_request", error_description="the authorization header holds no token"';
const IN_URL = 'Bearer error="invalid_request", error_description="an access token must not be in the URL"';

let jeton;
let authorizer;
let token;
const logged = [];

before(async () => {
  const pages = `    rules:
      page: { routes: ["GET /pages/{page}"], require: { scope: orders:read } }
      one-page: { routes: ["GET /pages/c++"], public: true }
`;
  jeton = await Jeton.start({ edits: [["orders.yaml", "    rules:\n", pages]] });
  token = await jeton.token("acme-sync");
  authorizer = new Authorizer({
    issuer: jeton.issuer,
    api: "orders",
    policies: jeton.policies,
    onLog: (level, event, fields) => logged.push({ level, event, fields }),
  });
});

after(async () => {
  authorizer.close();
  await jeton.end();
});

const bearer = () => [`Authorization: Bearer ${token}`];

for (const [name, start] of Object.entries(FRAMEWORKS))
  suite(name, () => {
    let service;
    before(async () => {
      service = await start(authorizer);
    });
    after(() => service.close());

    test("lets through what the policies allow, and says who calls", async () => {
      const answer = await ask(service.port, `${ORDERS}/42?page=2`, { lines: bearer() });
      assert.equal(answer.status, 200, answer.body);
      const { route, params, principal } = JSON.parse(answer.body);
      assert.equal(route, "/tenants/:tenant/orders/:order");
      assert.deepEqual(params, { tenant: "acme", order: "42" });
      assert.equal(principal.client, "acme-sync");
      assert.deepEqual(principal.scopes, ["orders:read", "orders:write"]);
      assert.equal(principal.claims.tenant, "acme");
    });

    test("lets everybody to a public route", async () => {
      const answer = await ask(service.port, "/healthz");
      assert.equal(answer.status, 200, answer.body);
      assert.equal(JSON.parse(answer.body).principal, null);
    });

    test("answers with status, challenge and words", async () => {
      const rows = [
        ["GET", ORDERS, [], 401, "Bearer"],
        ["POST", `${ORDERS}/42/refund`, bearer(), 403, LACKS_REFUND],
        ["GET", "/tenants/globex/orders", bearer(), 403, DENIED],
        ["GET", "/unknown", bearer(), 403, DENIED],
        ["GET", "/unknown", [], 401, "Bearer"],
        ["PUT", "/unknown", [], 401, "Bearer"],
        ["GET", ORDERS, ["Authorization: Bearer x"], 401, INVALID],
        ["GET", "/healthz", ["Authorization: Bearer x"], 401, INVALID],
        ["GET", ORDERS, [...bearer(), ...bearer()], 400, TWO],
        ["GET", ORDERS, [...bearer(), "aUTHORIZATION: Basic YTpi"], 400, TWO],
        ["GET", ORDERS, ["Authorization: Bearer"], 400, NO_TOKEN],
        ["GET", ORDERS, [`${bearer()[0]}\xe9`], 400, NO_TOKEN],
        ["GET", ORDERS, ["Authorization: \xff\xfe"], 400, NO_TOKEN],
        ["GET", `${ORDERS}?access_token=${token}`, [], 400, IN_URL],
      ];
      for (const [method, target, lines, status, challenge] of rows) {
        const answer = await ask(service.port, target, { method, lines });
        const row = `${method} ${target} ${lines}: ${answer.body}`;
        assert.equal(answer.status, status, row);
        assert.equal(answer.headers["www-authenticate"], challenge, row);
        assert.equal(answer.headers["content-type"], "application/problem+json", row);
        assert.equal(answer.headers["cache-control"], "no-store", row);
        const { detail, ...rest } = JSON.parse(answer.body);
        assert.ok(detail, row);
        const title = { 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden" }[status];
        assert.deepEqual(rest, { status, title, type: "about:blank" }, row);
      }
    });

    test("refuses paths that two servers read differently", async () => {
      for (const target of [
        "/healthz/../tenants/acme/orders",
        "/tenants/globex/../acme/orders",
        "/tenants/globex/%2e%2E/acme/orders",
        "/tenants/./acme/orders",
        "//tenants/acme/orders",
        "/tenants//acme/orders",
        "/tenants/acme%2Forders",
        "/tenants/acme%252Forders",
        "/tenants\\acme\\orders",
        "/tenants/acme%5Corders",
        "/tenants/acme;a=b/orders",
        "/tenants/acme%00/orders",
        "/tenants/%ff/orders",
        "/tenants/acme/orders%zz",
        "/tenants/acme/orders#top",
        "/tenants/acme/orders/",
        "/Tenants/acme/orders",
        "http://orders.example.com/tenants/acme/orders",
        "http://orders.example.com/healthz",
        "*",
      ]) {
        const answer = await ask(service.port, target, { lines: bearer() });
        // Node itself refuses some of them
        assert.ok(answer.status === 403 || (answer.status === 400 && !answer.body.includes("route")), `${target}: ${answer.status} ${answer.body}`);
      }
    });

    test("routes by the path that was judged", async () => {
      const readers = await ask(service.port, "/pages/a%40b%3Ac%2Bd%20e", { lines: bearer() });
      assert.equal(readers.status, 200, readers.body);
      assert.deepEqual(JSON.parse(readers.body).params, { page: "a@b:c+d e" });
      const open = await ask(service.port, "/pages/c++");
      assert.equal(open.status, 200, open.body);
      assert.equal(JSON.parse(open.body).route, "/pages/c++");
      // public for the policies, however it is spelled: must not reach the handler of other pages without a token
      for (const target of ["/pages/c%2B%2B", "/pages/c+%2b", "/pages/%63++"]) {
        const { status, body } = await ask(service.port, target);
        assert.ok(status === 400 || (status === 200 && JSON.parse(body).route === "/pages/c++"), `${target}: ${body}`);
      }
    });

    test("answers HEAD without a body", async () => {
      for (const [lines, status] of [[bearer(), 200], [[], 401]]) {
        const answer = await ask(service.port, ORDERS, { method: "HEAD", lines });
        assert.deepEqual([answer.status, answer.body], [status, ""]);
      }
    });
  });

for (const name of ["Express 5", "Express 4"]) {
  const rewriting = (url) => (app) => app.use((req, _, next) => ((req.url = url(req.url)), next()));

  test(`${name} is refused where something rewrote the path before`, async () => {
    const service = await FRAMEWORKS[name](authorizer, rewriting((url) => url.replace("/old/", "/")));
    const same = await ask(service.port, ORDERS, { lines: bearer() });
    assert.equal(same.status, 200, same.body);
    // as it was sent the policies know no such route
    const old = await ask(service.port, `/old${ORDERS}`, { lines: bearer() });
    assert.equal(old.status, 403, old.body);
    service.close();
    const other = await FRAMEWORKS[name](authorizer, rewriting(() => `${ORDERS}/42`));
    const answer = await ask(other.port, "/healthz");
    assert.equal(answer.status, 500, answer.body);
    assert.match(JSON.parse(answer.body).detail, /req\.url/);
    assert.equal(logged.at(-1).event, "request.unreadable");
    other.close();
  });
}

for (const name of ["Express 5", "Express 4"])
  test(`${name} is warned of once where it is lax`, async () => {
    const lax = () => logged.filter(({ event }) => event === "protect.lax");
    const strict = await FRAMEWORKS[name](authorizer);
    await ask(strict.port, "/healthz");
    strict.close();
    const before = lax().length;
    const service = await FRAMEWORKS[name](authorizer, (app) => app.disable("strict routing"));
    for (let i = 0; i < 2; i++) assert.equal((await ask(service.port, "/healthz")).status, 200);
    service.close();
    assert.equal(lax().length, before + 1);
    assert.match(lax().at(-1).fields.message, /strict routing/);
  });

test("Express judges the whole path in a mounted router", async () => {
  const { default: express } = await import("express");
  const { protect } = await import("jeton/express");
  const router = express.Router({ strict: true });
  router.use(protect(authorizer));
  router.get(["/", "/:order"], (req, res) => res.json(req.params));
  const app = express().use("/tenants/acme/orders", router).use((_, res) => res.sendStatus(418));
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  for (const [target, status] of [
    [ORDERS, 200],
    [`${ORDERS}?page=2`, 200],
    [`${ORDERS}/42`, 200],
    [`${ORDERS}/4%32?page=2`, 200],
    [`${ORDERS}/42/43`, 403],
    ["/elsewhere", 418],
  ]) {
    const answer = await ask(port, target, { lines: bearer() });
    assert.equal(answer.status, status, `${target}: ${answer.body}`);
  }
  server.close();
});

test("Fastify is refused where rewriteUrl rewrote the path", async () => {
  const service = await FRAMEWORKS.Fastify(authorizer, undefined, {
    rewriteUrl: ({ url }) => (url === "/healthz" ? `${ORDERS}/42` : url),
  });
  const same = await ask(service.port, ORDERS, { lines: bearer() });
  assert.equal(same.status, 200, same.body);
  const answer = await ask(service.port, "/healthz");
  assert.equal(answer.status, 500, answer.body);
  assert.match(JSON.parse(answer.body).detail, /rewriteUrl/);
  service.close();
});

test("Fastify protects injected requests and routes of its own level too", async () => {
  const { app, close } = await FRAMEWORKS.Fastify(authorizer, (app) => app.get("/gold", async () => "gold"));
  const headers = { authorization: `Bearer ${token}` };
  assert.equal((await app.inject({ url: ORDERS, headers })).statusCode, 200);
  assert.equal((await app.inject({ url: ORDERS })).statusCode, 401);
  assert.equal((await app.inject({ url: "/gold", headers })).statusCode, 403);
  close();
});

test("Hono is refused where nobody tells the path as it was sent", async () => {
  const { app, close } = await FRAMEWORKS.Hono(authorizer);
  const answer = await app.request(ORDERS, { headers: { authorization: `Bearer ${token}` } });
  assert.equal(answer.status, 500);
  assert.match((await answer.json()).detail, /@hono\/node-server/);
  close();
});

test("Hono is refused where it routes by another path", async () => {
  const getPath = () => `${ORDERS}/42`;
  const service = await FRAMEWORKS.Hono(authorizer, undefined, { getPath });
  const answer = await ask(service.port, "/healthz");
  assert.equal(answer.status, 500, answer.body);
  assert.match(JSON.parse(answer.body).detail, /getPath/);
  service.close();
  const inner = new Hono().use(protectHono(authorizer)).all("*", (c) => c.text(c.req.path));
  const mounted = await FRAMEWORKS.Hono(authorizer, (app) => app.mount("/healthz", inner.fetch));
  const below = await ask(mounted.port, "/healthz");
  assert.equal(below.status, 500, below.body);
  mounted.close();
});

test("each protect wants an authorizer", async () => {
  for (const [name, start] of Object.entries(FRAMEWORKS))
    for (const wrong of [undefined, null, {}, { decide: () => ({ allowed: true }) }])
      await assert.rejects(async () => start(wrong), /Authorizer/, name);
});
