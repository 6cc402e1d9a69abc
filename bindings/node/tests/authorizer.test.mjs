// The class Authorizer: what it takes and tells, and what runs beside it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { after, before, test } from "node:test";
import { Worker } from "node:worker_threads";

import { Authorizer, Decision } from "jeton";

import { Issuer, POLICIES } from "./issuer.mjs";
import { CERTIFICATE, Holder } from "./holders.mjs";
import { freePort, until } from "./support.mjs";

const ORIGIN = "https://orders.example.com";

let issuer;
let options;

before(async () => {
  issuer = await Issuer.start();
  mkdirSync(issuer.policies);
  writeFileSync(join(issuer.policies, "orders.yaml"), POLICIES);
  options = { issuer: issuer.address, api: "orders", policies: issuer.policies };
});

after(() => issuer.close());

const offline = () => ({ ...options, jwks: join(issuer.folder, "jwks.json") });
const bearer = (claims) => `Bearer ${issuer.token(claims)}`;

test("a decision says all that a server needs, and is frozen", () => {
  const authorizer = new Authorizer(offline());
  const claims = { tenant: "acme", nested: { list: [1, { a: "b" }] } };
  const decision = authorizer.decide("GET", "/orders/42?page=2", bearer(claims));
  assert.ok(decision instanceof Decision);
  const { expiresAt, ...principal } = decision.principal;
  assert.ok(expiresAt > Date.now() / 1000);
  assert.deepEqual(principal, {
    client: "acme-sync",
    subject: "acme-sync",
    scopes: ["orders:read"],
    roles: [],
    claims,
    tokenId: "one",
  });
  const { allowed, status, headers, reason, rule, detail } = decision;
  assert.deepEqual(
    { allowed, status, headers, reason, rule, detail },
    { allowed: true, status: 200, headers: {}, reason: "met", rule: "read", detail: "" },
  );
  for (const part of [decision, decision.headers, decision.principal, principal.scopes, principal.claims.nested.list[1]])
    assert.ok(Object.isFrozen(part));

  const refused = authorizer.decide("GET", "/orders/42", undefined);
  assert.deepEqual([refused.status, refused.headers], [401, { "WWW-Authenticate": "Bearer" }]);
  assert.deepEqual(JSON.parse(refused.problem("request-7")), {
    type: "about:blank",
    title: "Unauthorized",
    status: 401,
    detail: "this needs an access token",
    reference: "request-7",
  });
  assert.ok(!("reference" in JSON.parse(refused.problem())));
  authorizer.close();
});

test("a claim cannot reach the prototype of anything", () => {
  const authorizer = new Authorizer(offline());
  const claims = JSON.parse('{ "__proto__": { "polluted": true }, "constructor": "x" }');
  const { principal } = authorizer.decide("GET", "/orders/42", bearer(claims));
  assert.equal({}.polluted, undefined);
  assert.equal(principal.polluted, undefined);
  assert.ok(Object.hasOwn(principal.claims, "__proto__"));
  authorizer.close();
});

test("it is the same class for import and require", () => {
  const require = createRequire(import.meta.url);
  assert.equal(require("jeton").Authorizer, Authorizer);
  assert.equal(typeof require("jeton/express").protect, "function");
});

test("a folder may be a URL, and options may be null", () => {
  const policies = pathToFileURL(issuer.policies);
  new Authorizer({ ...offline(), policies, keep: null, credentials: undefined, caFile: null, origin: null }).close();
});

test("wrong options are refused with words", () => {
  for (const [wrong, words] of [
    [undefined, /object of options/],
    ["orders", /object of options/],
    [{ ...offline(), issuer: undefined }, /`issuer` is missing/],
    [{ ...offline(), api: 7 }, /`api` must be a string/],
    [{ ...offline(), api: "no such API!" }, /API/],
    [{ ...offline(), issuer: "not an address" }, /issuer/],
    [{ ...options, issuer: "http://tokens.example.com" }, /https/],
    [{ ...offline(), jwk: "x" }, /`jwk` is no option: use issuer, api, policies, jwks/],
    [{ ...offline(), origin: 7 }, /`origin` must be a string/],
    [{ ...offline(), origin: "orders.example.com" }, /orders\.example\.com/],
    [{ ...offline(), origin: "https://orders.example.com/api" }, /https:\/\/orders\.example\.com/],
    [{ ...offline(), leeway: -1 }, /`leeway` must be a number of seconds/],
    [{ ...offline(), leeway: 1.5 }, /`leeway` must be/],
    [{ ...offline(), leeway: "30" }, /`leeway` must be/],
    [{ ...offline(), onLog: "x" }, /`onLog` must be a function/],
    [{ ...offline(), credentials: ["acme-sync"] }, /`credentials` must be/],
    [{ ...offline(), policies: join(issuer.folder, "absent") }, /absent/],
    [{ ...offline(), jwks: join(issuer.folder, "absent") }, /absent/],
    [{ ...offline(), jwks: join(issuer.policies, "orders.yaml") }, /./],
    [{ ...offline(), api: "invoices" }, /invoices/],
  ])
    assert.throws(() => new Authorizer(wrong), words, JSON.stringify(wrong));
});

test("wrong arguments of a request are refused", () => {
  const authorizer = new Authorizer(offline());
  for (const wrong of [
    [],
    ["GET"],
    [undefined, "/healthz", undefined],
    ["GET", 7, undefined],
    ["GET", "/healthz", 7],
    ["GET", "/healthz", { 0: "Bearer x", length: 1 }],
    ["GET", "/healthz", ["Bearer x", 7]],
    ["GET", "/healthz", undefined, 7],
    ["GET", "/healthz", undefined, undefined, "text"],
    ["GET", "/healthz", undefined, undefined, [48]],
    ["GET", "/healthz", undefined, undefined, new ArrayBuffer(4)],
  ])
    assert.throws(() => authorizer.decide(...wrong), TypeError, JSON.stringify(wrong));
  for (const [target, status] of [["/orders/\ud800", 401], ["/healthz", 200], ["/healthz\0", 401]])
    assert.equal(authorizer.decide("GET", target, null).status, status);
  authorizer.close();
});

test("a token that is bound to a key needs a proof, once", async () => {
  const authorizer = new Authorizer({ ...offline(), origin: ORIGIN });
  const holder = new Holder();
  const token = issuer.token({ cnf: { jkt: holder.thumbprint } });
  const ask = (dpop, target = "/orders/42") => authorizer.decide("GET", target, `DPoP ${token}`, dpop);
  const proof = holder.proof("GET", `${ORIGIN}/orders/42`, token);
  assert.equal(ask(proof, "/orders/42?page=2").status, 200);
  const replayed = ask([proof]);
  assert.deepEqual([replayed.status, replayed.reason], [401, "replayed-proof"]);
  assert.match(replayed.headers["WWW-Authenticate"], /^DPoP .*error="invalid_token"/);
  for (const wrong of [
    undefined,
    [],
    "",
    "x.y.z",
    "\u00e9",
    "\ud800",
    [holder.proof("GET", `${ORIGIN}/orders/42`, token), holder.proof("GET", `${ORIGIN}/orders/42`, token)],
    holder.proof("POST", `${ORIGIN}/orders/42`, token),
    holder.proof("GET", `${ORIGIN}/orders/43`, token),
    holder.proof("GET", "https://evil.example/orders/42", token),
    holder.proof("GET", `${ORIGIN}/orders/42`, "another"),
    new Holder().proof("GET", `${ORIGIN}/orders/42`, token),
  ])
    assert.equal(ask(wrong).status, 401, String(wrong));
  const bearer = authorizer.decide("GET", "/orders/42", `Bearer ${token}`, holder.proof("GET", `${ORIGIN}/orders/42`, token));
  assert.deepEqual([bearer.status, bearer.reason], [401, "not-held"]);
  authorizer.close();
  const nowhere = new Authorizer(offline());
  const fresh = holder.proof("GET", `${ORIGIN}/orders/42`, token);
  assert.equal(nowhere.decide("GET", "/orders/42", `DPoP ${token}`, fresh).reason, "no-origin");
  nowhere.close();
});

test("a certificate is DER", () => {
  const authorizer = new Authorizer(offline());
  const token = issuer.token({ cnf: { "x5t#S256": CERTIFICATE.thumbprint } });
  const ask = (der) => authorizer.decide("GET", "/orders/42", `Bearer ${token}`, undefined, der);
  assert.equal(ask(CERTIFICATE.der).status, 200);
  assert.equal(ask(new Uint8Array(CERTIFICATE.der)).status, 200);
  for (const wrong of [undefined, null, Buffer.concat([CERTIFICATE.der, CERTIFICATE.der])])
    assert.equal(ask(wrong).status, 401, String(wrong));
  for (const wrong of [Buffer.alloc(0), Buffer.from(CERTIFICATE.pem)])
    assert.throws(() => ask(wrong), /`certificate` must be DER/);
  authorizer.close();
});

test("what must be fetched first is a promise, and the event loop goes on", async () => {
  const release = issuer.hold();
  const authorizer = new Authorizer(options);
  const before = issuer.fetched;
  const token = bearer();
  // what needs no key is decided meanwhile
  assert.equal(authorizer.decide("GET", "/healthz", undefined).status, 200);
  const waiting = Array.from({ length: 100 }, () => authorizer.decide("GET", "/orders/42", token));
  for (const decision of waiting) assert.ok(decision instanceof Promise);
  await until("the keys are fetched", () => issuer.fetched > before);
  release();
  for (const decision of await Promise.all(waiting)) {
    assert.ok(decision instanceof Decision);
    assert.equal(decision.allowed, true, decision.reason);
  }
  assert.equal(issuer.fetched, before + 1);
  assert.ok(authorizer.decide("GET", "/orders/42", token) instanceof Decision);
  authorizer.close();
});

test("close lets decisions that wait end, and nothing else begin", async () => {
  const release = issuer.hold();
  const authorizer = new Authorizer(options);
  const before = issuer.fetched;
  const waiting = authorizer.decide("GET", "/orders/42", bearer());
  await until("the keys are fetched", () => issuer.fetched > before);
  authorizer.close();
  authorizer.close();
  assert.throws(() => authorizer.decide("GET", "/healthz", undefined), /closed/);
  release();
  assert.equal((await waiting).allowed, true);
});

test("an edit of the policies is in force soon, and a bad one is told and changes nothing", async () => {
  const events = [];
  const file = join(issuer.policies, "orders.yaml");
  const authorizer = new Authorizer({ ...offline(), onLog: (...event) => events.push(event) });
  const asked = () => authorizer.decide("GET", "/orders/42", bearer()).status;
  assert.equal(asked(), 200);
  writeFileSync(file, POLICIES.replace("GET /orders/{order}", "GET /orders/{order}/lines"));
  await until("the edit is in force", () => asked() === 403);
  writeFileSync(file, "version: 1\nscopes: [");
  await until("the fault is told", () => events.some(([level, event]) => level === "error" && event === "policies.rejected"));
  assert.equal(asked(), 403);
  writeFileSync(file, POLICIES);
  await until("the edit is in force", () => asked() === 200);
  authorizer.close();
});

test("onLog hears refusals, and may throw", async () => {
  const events = [];
  const authorizer = new Authorizer({
    ...offline(),
    onLog: (level, event, fields) => {
      events.push({ level, event, fields });
      throw new Error("a fault in onLog");
    },
  });
  authorizer.decide("GET", "/orders/42", "Bearer x");
  await until("the refusal is told", () => events.length > 0);
  const [{ level, event, fields }] = events;
  assert.deepEqual([level, event, fields.reason], ["info", "decision.denied", "invalid-token"]);
  authorizer.close();
});

/** Runs Node in a process of its own: its exit code and what it said. */
async function run(...command) {
  const child = spawn(process.execPath, command, { cwd: fileURLToPath(new URL(".", import.meta.url)), timeout: 30_000 });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) child[name].on("data", (text) => (said[name] += text));
  const [code] = await once(child, "close");
  return { code, ...said };
}

test("it does not keep the process alive, and warns on stderr", async () => {
  const away = `http://127.0.0.1:${await freePort()}`;
  const { code, stdout, stderr } = await run("--input-type=module", "--eval", `
    import { Authorizer } from "jeton";
    const authorizer = new Authorizer(${JSON.stringify({ ...options, issuer: away })});
    const { status, headers } = await authorizer.decide("GET", "/orders/42", ${JSON.stringify(bearer({ iss: away }))});
    console.log(status);
    await new Promise((done) => setTimeout(done, 200));
  `);
  assert.equal(code, 0, stderr);
  assert.equal(stdout.trim(), "401");
  assert.match(stderr, /jeton: jwks\.not_fetched.* url=http:/);
});

test("threads and processes have authorizers of their own", async () => {
  const inThread = `
    const { parentPort } = require("node:worker_threads");
    const { Authorizer } = require("jeton");
    const authorizer = new Authorizer(${JSON.stringify(options)});
    const decision = authorizer.decide("GET", "/orders/42", ${JSON.stringify(bearer())});
    Promise.resolve(decision).then(({ status }) => parentPort.postMessage(status));
  `;
  const threads = Array.from({ length: 4 }, async () => {
    const worker = new Worker(inThread, { eval: true });
    const [[status], [code]] = await Promise.all([once(worker, "message"), once(worker, "exit")]);
    return [status, code];
  });
  for (const thread of await Promise.all(threads)) assert.deepEqual(thread, [200, 0]);
  // and one that ends while a decision waits
  issuer.hold();
  const before = issuer.fetched;
  const ended = new Worker(inThread, { eval: true });
  await until("it waits", () => issuer.fetched > before);
  await ended.terminate();
  issuer.held = undefined;

  const { code, stdout, stderr } = await run("cluster.mjs", JSON.stringify(options), bearer());
  assert.equal(code, 0, stderr);
  assert.deepEqual(stdout.trim().split("\n"), ["200", "200", "200"], stderr);
});
