// An issuer within the process of the test: what it answers depends on the event loop going on.
import { generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { tmpdir } from "node:os";

export const POLICIES = `version: 1
scopes: { "orders:read": Read orders }
apis:
  orders:
    audience: https://orders.example.com
    rules:
      health: { routes: [GET /healthz], public: true }
      read: { routes: ["GET /orders/{order}"], require: { scope: "orders:read" } }
clients:
  acme-sync:
    secrets: [{ sha256: ${"1".repeat(64)} }]
    grants: { orders: { scopes: ["orders:read"] } }
`;

export class Issuer {
  /** How often its keys were fetched. */
  fetched = 0;
  #keys = generateKeyPairSync("ed25519");

  static async start() {
    const issuer = new Issuer();
    issuer.server = createServer(async (req, res) => {
      res.setHeader("Content-Type", "application/json");
      if (req.url === "/keys") {
        issuer.fetched += 1;
        await issuer.held;
        res.end(issuer.jwks());
      } else if (req.url === "/.well-known/oauth-authorization-server") {
        res.end(JSON.stringify({ issuer: issuer.address, jwks_uri: `${issuer.address}/keys` }));
      } else {
        res.writeHead(404).end("{}");
      }
    });
    issuer.server.listen(0, "127.0.0.1");
    await once(issuer.server, "listening");
    issuer.address = `http://127.0.0.1:${issuer.server.address().port}`;
    issuer.folder = mkdtempSync(join(tmpdir(), "jeton-issuer-"));
    issuer.policies = join(issuer.folder, "policies");
    writeFileSync(join(issuer.folder, "jwks.json"), issuer.jwks());
    return issuer;
  }

  /** Answers nothing until the function that it returns is called. */
  hold() {
    const { promise, resolve } = withResolvers();
    this.held = promise;
    return resolve;
  }

  jwks() {
    const key = this.#keys.publicKey.export({ format: "jwk" });
    return JSON.stringify({ keys: [{ ...key, kid: "one", use: "sig", alg: "EdDSA" }] });
  }

  token(claims = {}) {
    const now = Math.floor(Date.now() / 1000);
    const whole = {
      iss: this.address,
      sub: "acme-sync",
      client_id: "acme-sync",
      aud: "https://orders.example.com",
      iat: now,
      exp: now + 600,
      jti: "one",
      scope: "orders:read",
      ...claims,
    };
    const encoded = [{ typ: "at+jwt", alg: "EdDSA", kid: "one" }, whole].map((part) =>
      Buffer.from(JSON.stringify(part)).toString("base64url"),
    );
    const signed = encoded.join(".");
    return `${signed}.${sign(null, Buffer.from(signed), this.#keys.privateKey).toString("base64url")}`;
  }

  close() {
    this.server.close();
    this.server.closeAllConnections();
  }
}

// Node 20 has no `Promise.withResolvers`
function withResolvers() {
  let resolve;
  const promise = new Promise((settle) => (resolve = settle));
  return { promise, resolve };
}
