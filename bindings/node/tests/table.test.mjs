// The table of decisions that everything which decides agrees on (tests/fixtures/decisions).
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { test } from "node:test";

import { Authorizer } from "jeton";

const folder = new URL("../../../tests/fixtures/decisions/", import.meta.url);
const table = JSON.parse(readFileSync(new URL("cases.json", folder), "utf8"));

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
  const { issuer, api } = table;
  const authorizer = new Authorizer({ issuer, api, jwks, policies: new URL(table.policies, folder) });
  assert.ok(table.cases.length > 150);
  // twice: the second time by what is remembered of the token
  for (const time of ["first", "second"])
    for (const { name, method, target, authorization, expected } of table.cases) {
      const decision = await authorizer.decide(method, filledIn(target), authorization.map(filledIn));
      assert.deepEqual(told(decision), expected, `${name}, the ${time} time`);
    }
  authorizer.close();
});
