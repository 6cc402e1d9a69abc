// openid-client: discovery, a token by each way, its use, introspection.
//
//     node openid_client.mjs BASE_URL FOLDER      the server has the policies beside this file; FOLDER has the keys
import { createPrivateKey, webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";

import * as client from "openid-client";

import { count, holds, orders, secretOf } from "./checks.mjs";

const [base, folder] = process.argv.slice(2);
const insecure = { execute: [client.allowInsecureRequests] };

const discovered = (id, authentication, algorithm = "oidc") =>
  client.discovery(new URL(base), id, undefined, authentication, { algorithm, ...insecure });
const withSecret = (id, secret = secretOf(id)) => discovered(id, client.ClientSecretBasic(secret));

async function refused(name, error, attempt) {
  let seen = "it was not refused";
  try {
    await attempt();
  } catch (refusal) {
    // with the challenge of a 401 the library gives that alone
    if (refusal instanceof client.WWWAuthenticateChallengeError) {
      const body = await refusal.response.json();
      seen = `${refusal.cause[0].scheme} ${body.error ?? refusal.cause[0].parameters.error}`;
    } else {
      seen = refusal.error ?? refusal;
    }
  }
  holds(`${name}: ${error}`, seen === error, seen);
}

const reader = await withSecret("reader");
holds("openid-client takes the OpenID configuration", reader.serverMetadata().token_endpoint === `${base}/oauth2/token`);
const other = await discovered("reader", client.ClientSecretPost(secretOf("reader")), "oauth2");
holds("openid-client takes the metadata of RFC 8414", other.serverMetadata().jwks_uri === reader.serverMetadata().jwks_uri);

const principal = new URL(`${base}/principal`);
for (const [name, config] of [["client_secret_basic", reader], ["client_secret_post", other]]) {
  const { access_token: token } = await client.clientCredentialsGrant(config, { resource: base });
  const answer = await client.fetchProtectedResource(config, token, principal, "GET");
  holds(`it gets a token by ${name} and uses it`, (await answer.json()).client === "reader");
}

const der = createPrivateKey(readFileSync(`${folder}/rs256.pem`)).export({ format: "der", type: "pkcs8" });
const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const key = await webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
const keyed = await client.clientCredentialsGrant(await discovered("keyed-agent", client.PrivateKeyJwt(key)));
holds("it gets one by private_key_jwt", keyed.scope === "tools:call tools:list", keyed.scope);

const introspected = await client.tokenIntrospection(await withSecret("introspector"), keyed.access_token);
holds("it asks about one", introspected.active && introspected.client_id === "keyed-agent", introspected);

await refused("a wrong secret", "basic invalid_client", async () =>
  client.clientCredentialsGrant(await withSecret("reader", "wrong"), { resource: base }));
await refused("a scope beyond the grant", "invalid_scope", () =>
  client.clientCredentialsGrant(reader, { resource: base, scope: "jeton:ops" }));
await refused("a token for another audience", "bearer invalid_token", async () => {
  const { access_token: token } = await client.clientCredentialsGrant(reader, { resource: orders });
  await client.fetchProtectedResource(reader, token, principal, "GET");
});
await refused("a wrong secret in the form", "basic invalid_client", async () => {
  const wrong = await discovered("reader", client.ClientSecretPost("wrong"));
  await client.clientCredentialsGrant(wrong, { resource: base });
});

console.log(`${count()} checks by openid-client hold`);
