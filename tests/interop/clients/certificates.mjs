// openid-client with a certificate: a token bound to it, its use, and what it is without the certificate.
//
//     node certificates.mjs BASE_URL CLIENT AUTHORITY CERTIFICATE KEY
import { readFileSync } from "node:fs";

import * as client from "openid-client";
import { Agent, fetch } from "undici";

import { count, holds } from "./checks.mjs";

const [base, id, authority, certificate, key] = process.argv.slice(2);
const ca = readFileSync(authority);
const shown = new Agent({ connect: { ca, cert: readFileSync(certificate), key: readFileSync(key) } });
const nothing = new Agent({ connect: { ca } });
const by = (dispatcher) => (url, options) => fetch(url, { ...options, dispatcher });

const config = await client.discovery(new URL(base), id, undefined, client.TlsClientAuth(), {
  algorithm: "oauth2", [client.customFetch]: by(shown),
});
const token = await client.clientCredentialsGrant(config, { resource: base });
holds("openid-client gets a token by tls_client_auth", token.token_type === "bearer", token);
const principal = new URL(`${base}/principal`);
const answer = await client.fetchProtectedResource(config, token.access_token, principal, "GET");
holds("it uses it", (await answer.json()).client === id);

config[client.customFetch] = by(nothing);
let seen;
await client.fetchProtectedResource(config, token.access_token, principal, "GET").catch((error) => (seen = error.cause?.[0] ?? error));
holds("without the certificate: invalid_token", seen?.parameters?.error === "invalid_token", seen);
await client.clientCredentialsGrant(config, { resource: base }).then(
  () => holds("without the certificate it gets none", false),
  (error) => holds("without the certificate it gets none", error.status === 401, error),
);

await Promise.all([shown.close(), nothing.close()]);
console.log(`${count()} checks by openid-client with a certificate hold`);
