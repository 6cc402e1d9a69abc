// The table of decisions that everything which decides agrees on (tests/fixtures/decisions).
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { Authorizer } from "jeton";

const folder = new URL("../../../tests/fixtures/decisions/", import.meta.url);
// with proofs that are good now: there is no clock but that of the machine
const make = fileURLToPath(new URL("make.py", folder));
const table = JSON.parse(execFileSync("python3", [make, "--now"], { maxBuffer: 2 ** 24 }));

const filledIn = (text) => text.replace(/\{([a-z-]+)\}/g, (whole, name) => table.tokens[name] ?? whole);

function told({ allowed, status, reason, rule, headers, principal }) {
  const { tokenId, expiresAt, ...rest } = principal ?? {};
  return {
    allowed,
    status,
    reason,
    rule,
    challenge: headers["WWW-Authenticate"] ?? null,
    principal: principal && { ...rest, token_id: tokenId, expires_at: expiresAt },
  };
}

test("Node decides as the table has it", async () => {
  const jwks = join(mkdtempSync(join(tmpdir(), "jeton-table-")), "jwks.json");
  writeFileSync(jwks, JSON.stringify(table.jwks));
  const { issuer, certificates } = table;
  const cases = [...table.cases, ...table.possession];
  assert.ok(cases.length > 400);
  const services = new Map();
  const service = (api, origin) => {
    const name = `${api} ${origin}`;
    if (!services.has(name))
      services.set(name, new Authorizer({ issuer, api, origin, jwks, policies: new URL(table.policies, folder) }));
    return services.get(name);
  };
  // the second time by what is remembered of tokens and proofs
  for (const time of ["first", "second"])
    for (const { name, method, target, authorization, dpop, certificate, api, origin, expected, again } of cases) {
      const authorizer = service(api ?? table.api, origin === undefined ? table.origin : origin);
      const der = certificate && Buffer.from(certificates[certificate], "base64");
      const decision = await authorizer.decide(method, filledIn(target), authorization.map(filledIn), dpop, der);
      const wanted = time === "first" ? expected : (again ?? expected);
      assert.deepEqual(told(decision), wanted, `${name}, the ${time} time`);
    }
  for (const authorizer of services.values()) authorizer.close();
});
