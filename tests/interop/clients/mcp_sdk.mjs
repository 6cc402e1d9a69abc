// The SDK of the Model Context Protocol for TypeScript: a server that takes tokens, and clients that find out by
// themselves where to get one.
//
//     node mcp_sdk.mjs BASE_URL FOLDER ADDRESS      the server has the policies beside this file, in which ADDRESS is
//                                                   the audience of the tools; FOLDER has the keys
import { readFileSync } from "node:fs";

import { discoverAuthorizationServerMetadata } from "@modelcontextprotocol/sdk/client/auth.js";
import { ClientCredentialsProvider, PrivateKeyJwtProvider } from "@modelcontextprotocol/sdk/client/auth-extensions.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { InvalidTokenError } from "@modelcontextprotocol/sdk/server/auth/errors.js";
import { requireBearerAuth } from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js";
import { getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter } from "@modelcontextprotocol/sdk/server/auth/router.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import express from "express";
import * as jose from "jose";

import { count, holds, orders, secretOf, tokenOf } from "./checks.mjs";

const [base, folder, address] = process.argv.slice(2);
const tools = new URL(address);

// --- the server

const oauthMetadata = await discoverAuthorizationServerMetadata(base);
holds("the SDK takes the metadata", oauthMetadata.token_endpoint === `${base}/oauth2/token`);

const keys = jose.createRemoteJWKSet(new URL(oauthMetadata.jwks_uri));

async function verifyAccessToken(token) {
  try {
    const options = { issuer: base, audience: address, typ: "at+jwt", algorithms: ["RS256"] };
    const { payload } = await jose.jwtVerify(token, keys, options);
    return { token, clientId: payload.client_id, scopes: payload.scope.split(" "), expiresAt: payload.exp };
  } catch (error) {
    throw new InvalidTokenError(error.message);
  }
}

const app = express();
app.use(mcpAuthMetadataRouter({ oauthMetadata, resourceServerUrl: tools, scopesSupported: ["tools:list", "tools:call"] }));
const protect = requireBearerAuth({
  verifier: { verifyAccessToken },
  requiredScopes: ["tools:call"],
  resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(tools),
});
app.post(tools.pathname, protect, express.json(), async (req, res) => {
  const mcp = new McpServer({ name: "tools", version: "1.0.0" });
  mcp.registerTool("whoami", { description: "Who calls" }, ({ authInfo }) => ({
    content: [{ type: "text", text: `${authInfo.clientId}: ${authInfo.scopes.join(" ")}` }],
  }));
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  res.on("close", () => mcp.close());
  await mcp.connect(transport);
  await transport.handleRequest(req, res, req.body);
});
app.all(tools.pathname, (_req, res) => res.status(405).end());
const server = app.listen(tools.port, tools.hostname);
await new Promise((resolve) => server.once("listening", resolve));

// --- its clients

async function whoami(authProvider, requestInit) {
  const mcp = new Client({ name: "caller", version: "1.0.0" });
  await mcp.connect(new StreamableHTTPClientTransport(tools, { authProvider, requestInit }));
  try {
    return (await mcp.callTool({ name: "whoami" })).content[0].text;
  } finally {
    await mcp.close();
  }
}

async function refused(name, words, attempt) {
  const seen = await attempt().then((answer) => `it was not refused: ${answer}`, (error) => `${error.name}: ${error.message}`);
  holds(`${name}: ${words}`, seen.includes(words), seen);
}

const withSecret = (clientId, clientSecret = secretOf(clientId), expectedIssuer = base) =>
  new ClientCredentialsProvider({ clientId, clientSecret, expectedIssuer });
// its assertions are good for five minutes, as long as `tokens.max_assertion_ttl` can allow
const privateKey = readFileSync(`${folder}/rs256.pem`, "utf8");
const withKey = new PrivateKeyJwtProvider({ clientId: "keyed-agent", privateKey, algorithm: "RS256", expectedIssuer: base });

for (const [client, provider] of [["agent", withSecret("agent")], ["keyed-agent", withKey]]) {
  const seen = await whoami(provider);
  holds(`the SDK calls a tool as ${client}`, seen === `${client}: tools:call tools:list`, seen);
}
await refused("a wrong secret", "client authentication failed", () => whoami(withSecret("agent", "wrong")));
await refused("a client without the scope", "after trying upscoping", () => whoami(withSecret("onlooker")));
await refused("another issuer", "is bound to authorization server", () =>
  whoami(withSecret("agent", secretOf("agent"), "https://other.example.com")));
const elsewhere = await tokenOf(base, "reader", { resource: orders });
await refused("a token for another audience", 'unexpected \\"aud\\" claim value', () =>
  whoami(undefined, { headers: { Authorization: `Bearer ${elsewhere}` } }));

server.close();
server.closeAllConnections();
console.log(`${count()} checks by the MCP SDK for TypeScript hold`);
