// An authorizer by the issuer's address alone: the bundle, its end, what is kept, and who may have it.
import assert from "node:assert/strict";
import { chmodSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Authorizer } from "jeton";

import { Jeton, TLS, until } from "./support.mjs";

const ORDERS = "/tenants/acme/orders";
const ALL_ORDERS = "/tenants/acme/all-orders";
const PUBLIC = ["orders.yaml", "    rules:\n", "    bundle: public\n    rules:\n"];
const FOR_CLIENTS = ["orders.yaml", "    rules:\n", "    bundle: clients\n    rules:\n"];
const GRANTED = ["clients.yaml", "scopes: [jeton:principal]", "scopes: [jeton:principal, jeton:policies]"];
const ADDED = ["orders.yaml", "- GET /tenants/{tenant}/orders\n", "$&          - GET /tenants/{tenant}/all-orders\n"];

let shared;

before(async () => {
  shared = await Jeton.start({ edits: [PUBLIC] });
});

after(() => shared.end());

/** An issuer that a test may stop, with policies that it may edit. */
async function withOwn(options, test) {
  const own = await Jeton.start({ JETON__POLICIES__BUNDLE_TTL: "1s", ...options });
  try {
    await test(own, `Bearer ${await own.token("acme-sync")}`);
  } finally {
    await own.end();
  }
}

async function withAuthorizer(options, test) {
  const events = [];
  const onLog = (level, event, { message, ...fields }) => events.push({ level, event, said: JSON.stringify(fields) });
  const authorizer = new Authorizer({ api: "orders", onLog, ...options });
  try {
    await test(async (target, header, method = "GET") => authorizer.decide(method, target, header), events);
  } finally {
    authorizer.close();
  }
}

test("an issuer is enough", async () => {
  const header = `Bearer ${await shared.token("acme-sync")}`;
  await withAuthorizer({ issuer: shared.issuer }, async (decide) => {
    const { allowed, rule } = await decide(ORDERS, header);
    assert.deepEqual([allowed, rule], [true, "read-orders"]);
    assert.equal((await decide(ORDERS)).status, 401);
    assert.equal((await decide("/healthz")).status, 200);
    assert.equal((await decide(`${ORDERS}/42/refund`, header, "POST")).status, 403);
  });
});

test("an edit is in force soon and outlives the issuer", () =>
  withOwn({ edits: [PUBLIC] }, (own, header) =>
    withAuthorizer({ issuer: own.issuer }, async (decide) => {
      assert.equal((await decide(ALL_ORDERS, header)).reason, "no-route");
      own.edit(...ADDED);
      await until("the edit is in force", async () => (await decide(ALL_ORDERS, header)).allowed);
      await own.stop();
      assert.equal((await decide(ALL_ORDERS, header)).allowed, true);
    }),
  ));

test("an issuer that is away is said and waited for", () =>
  withOwn({ edits: [PUBLIC] }, async (own, header) => {
    await own.stop();
    await withAuthorizer({ issuer: own.issuer }, async (decide, events) => {
      const { status, reason, principal, headers } = await decide(ORDERS, header);
      assert.deepEqual([status, reason, principal], [503, "no-policies", null]);
      assert.ok(Number(headers["Retry-After"]) > 0);
      assert.equal((await decide("/healthz")).status, 503);
      await until("it is said", () => events.some(({ level, event }) => level === "warn" && event.endsWith("not_fetched")));
      await own.serve();
      await until("it is allowed", async () => (await decide(ORDERS, header)).allowed, 40);
    });
  }));

test("a start goes on from what was kept", () =>
  withOwn({ edits: [PUBLIC] }, async (own, header) => {
    const keep = join(own.folder, "kept");
    await withAuthorizer({ issuer: own.issuer, keep }, async (decide) => {
      assert.equal((await decide(ORDERS, header)).allowed, true);
      assert.equal(statSync(keep).mode & 0o777, 0o700);
      await until("keys and bundle are kept", () => readdirSync(keep).length >= 2);
    });
    await own.stop();
    await withAuthorizer({ issuer: own.issuer, keep }, async (decide) => {
      assert.equal((await decide(ORDERS, header)).allowed, true);
      assert.equal((await decide(`${ORDERS}/42/refund`, header, "POST")).status, 403);
    });
    chmodSync(keep, 0o777);
    assert.throws(() => new Authorizer({ issuer: own.issuer, api: "orders", keep }), /chmod 700/);
  }));

test("a bundle for clients needs credentials", () =>
  withOwn({ edits: [FOR_CLIENTS, GRANTED] }, async (own, header) => {
    const { issuer } = own;
    const secretFile = join(own.folder, "secret");
    writeFileSync(secretFile, "demo-secret-of-acme-sync\n");
    const give = async () => own.token("acme-sync", undefined, issuer);
    for (const credentials of [["acme-sync", secretFile], ["acme-sync", new URL(`file://${secretFile}`)], give])
      await withAuthorizer({ issuer, credentials }, async (decide, events) => {
        assert.equal((await decide(ORDERS, header)).allowed, true, JSON.stringify([String(credentials), events]));
      });
    const fail = () => {
      throw new Error("no vault");
    };
    for (const [credentials, words] of [
      [null, /bundle/],
      [["acme-sync", join(own.folder, "absent")], /acme-sync/],
      [fail, /no vault/],
      [async () => fail(), /no vault/],
      [() => 7, /no string/],
    ])
      await withAuthorizer({ issuer, credentials }, async (decide, events) => {
        assert.equal((await decide(ORDERS, header)).status, 503);
        const isSaid = ({ event, said }) => event === "bundle.not_fetched" && words.test(said);
        await until(`${words} is said`, () => events.some(isSaid)).catch((error) => assert.fail(`${error.message}: ${JSON.stringify(events)}`));
      });
  }));

test("an issuer by https is trusted by its authority", () =>
  withOwn(
    {
      scheme: "https",
      edits: [PUBLIC],
      JETON__SERVER__TLS__CERT_FILE: join(TLS, "server.pem"),
      JETON__SERVER__TLS__KEY_FILE: join(TLS, "test-only-key.pem"),
    },
    async ({ issuer, folder }, header) => {
      await withAuthorizer({ issuer, caFile: join(TLS, "ca.pem") }, async (decide) => {
        assert.equal((await decide(ORDERS, header)).allowed, true);
      });
      await withAuthorizer({ issuer }, async (decide) => {
        assert.equal((await decide(ORDERS, header)).status, 503);
      });
      const absent = { issuer, api: "orders", caFile: join(folder, "absent.pem") };
      assert.throws(() => new Authorizer(absent), /absent/);
    },
  ));

test("many authorizers come and go, each with what it follows", async () => {
  const files = () => readdirSync("/proc/self/fd").length;
  const threads = () => readdirSync("/proc/self/task").length;
  const before = [files(), threads()];
  for (let i = 0; i < 50; i++) new Authorizer({ issuer: shared.issuer, api: "orders" }).close();
  await until("their files are closed", () => files() <= before[0] + 5);
  await until("their threads ended", () => threads() <= before[1] + 2);
});
