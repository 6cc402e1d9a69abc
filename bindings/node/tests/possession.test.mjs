// Tokens that only their holder can use, in each framework, over real sockets.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { after, before, suite, test } from "node:test";

import { Authorizer } from "jeton";

import { FRAMEWORKS } from "./frameworks.mjs";
import { CERTIFICATE, Holder, RENEWED } from "./holders.mjs";
import { ROOT, TLS, ask } from "./support.mjs";

const folder = join(ROOT, "tests/fixtures/decisions");
const { issuer, api, origin, jwks: keys, policies, tokens } = JSON.parse(readFileSync(join(folder, "cases.json"), "utf8"));
const jwks = join(mkdtempSync(join(tmpdir(), "jeton-possession-")), "jwks.json");
const holder = new Holder(readFileSync(join(ROOT, "tests/fixtures/keys/test-only-client-p256.pem")));
const ORDERS = "/tenants/acme/orders";

const proof = (method = "GET", htu = `${origin}${ORDERS}`, token = tokens.bound) => holder.proof(method, htu, token);
const bound = (...proofs) => [`Authorization: DPoP ${tokens.bound}`, ...proofs.map((value) => `DPoP: ${value}`)];

let authorizer;

before(() => {
  writeFileSync(jwks, JSON.stringify(keys));
  authorizer = new Authorizer({ issuer, api, origin, jwks, policies: join(folder, policies), onLog: () => {} });
});

after(() => authorizer.close());

for (const [name, start] of Object.entries(FRAMEWORKS))
  suite(name, () => {
    let service;
    let secured;
    before(async () => {
      service = await start(authorizer);
      const https = {
        cert: readFileSync(join(TLS, "server.pem")),
        key: readFileSync(join(TLS, "test-only-key.pem")),
        requestCert: true,
        // certificates as `openssl req -x509` makes them
        rejectUnauthorized: false,
      };
      secured = await start(authorizer, undefined, { https });
    });
    after(() => {
      service.close();
      secured.close();
    });

    test("takes a proof once", async () => {
      const lines = bound(proof());
      const first = await ask(service.port, `${ORDERS}?page=2`, { lines });
      assert.equal(first.status, 200, first.body);
      assert.equal(JSON.parse(first.body).principal.client, "acme-sync");
      const second = await ask(service.port, `${ORDERS}?page=2`, { lines });
      assert.equal(second.status, 401, second.body);
      assert.match(second.headers["www-authenticate"], /^DPoP .*error="invalid_token"/);
    });

    test("takes an escape that needs none with one proof", async () => {
      // no route differs by it, and no second proof is asked for that
      const answer = await ask(service.port, `${ORDERS}/a%3Ab`, { lines: bound(proof("GET", `${origin}${ORDERS}/a%3Ab`)) });
      assert.equal(answer.status, 200, answer.body);
      assert.deepEqual(JSON.parse(answer.body).params, { tenant: "acme", order: "a:b" });
    });

    test("refuses a stolen token", async () => {
      const evil = ["Host: evil.example", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https"];
      for (const [what, lines] of Object.entries({
        "as Bearer": [`Authorization: Bearer ${tokens.bound}`],
        "as Bearer, with a proof": [`Authorization: Bearer ${tokens.bound}`, `DPoP: ${proof()}`],
        "without a proof": bound(),
        "two proofs": bound(proof(), proof()),
        "two proofs, in two spellings of the name": [...bound(proof()), `dpop: ${proof()}`],
        "two proofs in one header": bound(`${proof()},${proof()}`),
        "another key": bound(new Holder().proof("GET", `${origin}${ORDERS}`, tokens.bound)),
        "another method": bound(proof("POST")),
        "another path": bound(proof("GET", `${origin}${ORDERS}/42`)),
        "another host": [...evil.slice(1), ...bound(proof("GET", `https://evil.example${ORDERS}`))],
        "another token": bound(proof("GET", `${origin}${ORDERS}`, tokens.reader)),
      })) {
        const answer = await ask(service.port, ORDERS, { lines });
        assert.equal(answer.status, 401, `${what}: ${answer.body}`);
      }
      const unbound = await ask(service.port, ORDERS, { lines: [`Authorization: DPoP ${tokens.reader}`, `DPoP: ${proof()}`] });
      assert.equal(unbound.status, 401, unbound.body);
    });

    test("takes the certificate of the connection, and of no header", async () => {
      const lines = [`Authorization: Bearer ${tokens.certified}`];
      const shown = ({ pem, key }) => ({ cert: pem, key });
      const escaped = CERTIFICATE.der.toString("base64");
      const forged = [`Client-Cert: :${escaped}:`, `X-Client-Cert: ${escaped}`, `SSL-Client-Cert: ${escaped}`];
      for (const [what, port, status, more] of [
        ["its own", secured.port, 200, { secured: shown(CERTIFICATE) }],
        ["another of the same key", secured.port, 401, { secured: shown(RENEWED) }],
        ["none", secured.port, 401, { secured: {} }],
        ["none, and a header", secured.port, 401, { secured: {}, lines: [...lines, ...forged] }],
        ["another, and a header", secured.port, 401, { secured: shown(RENEWED), lines: [...lines, ...forged] }],
        ["no TLS", service.port, 401, {}],
        ["no TLS, and a header", service.port, 401, { lines: [...lines, ...forged] }],
      ]) {
        const answer = await ask(port, ORDERS, { lines, ...more });
        assert.equal(answer.status, status, `${what}: ${answer.body}`);
      }
      const proven = await ask(secured.port, ORDERS, { lines: bound(proof()), secured: {} });
      assert.equal(proven.status, 200, proven.body);
    });
  });
