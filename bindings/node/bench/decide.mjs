// How long a decision takes whose token was seen before, above a call that does nothing.
//
//     node build.mjs release && node bench/decide.mjs
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";

import { Authorizer } from "jeton";

const folder = new URL("../../../tests/fixtures/decisions/", import.meta.url);
const { issuer, api, jwks: keys, policies, tokens } = JSON.parse(readFileSync(new URL("cases.json", folder), "utf8"));
const jwks = join(mkdtempSync(join(tmpdir(), "jeton-bench-")), "jwks.json");
writeFileSync(jwks, JSON.stringify(keys));
const authorizer = new Authorizer({ issuer, api, jwks, policies: new URL(policies, folder) });
const authorization = `Bearer ${tokens.reader}`;

const CALLS = 5_000;
const ROUNDS = 30;

/** The best of the rounds, in microseconds for each call: others that use the machine only make it slower. */
function time(call) {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const start = process.hrtime.bigint();
    for (let i = 0; i < CALLS; i++) call("GET", "/tenants/acme/orders/42", authorization);
    return Number(process.hrtime.bigint() - start) / 1000 / CALLS;
  });
  return Math.min(...rounds);
}

const nothing = time((method, target, header) => method.length + target.length + header.length);
for (const [name, token] of [["allowed", authorization], ["without a token", undefined]]) {
  const warm = time((method, target) => {
    const decision = authorizer.decide(method, target, token);
    if (decision.allowed !== (token !== undefined)) throw new Error("the policies of the table changed");
  });
  console.log(`${name}: ${(warm - nothing).toFixed(2)} us above a call that does nothing (${nothing.toFixed(3)} us)`);
}
authorizer.close();
