// The peer of the load test: oidc-provider, as little of it as answers one client with RS256 JWT access tokens.
//
//   node server.mjs PORT KEY.pem

import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';

import Provider from 'oidc-provider';

const [port, keyFile] = process.argv.slice(2);
const key = createPrivateKey(readFileSync(keyFile)).export({ format: 'jwk' });

const provider = new Provider(`http://127.0.0.1:${port}`, {
  ttl: { ClientCredentials: 900 },
  // no adapter is named, so this is the package's own, in memory
  jwks: { keys: [{ ...key, alg: 'RS256', use: 'sig', kid: 'bench' }] },
  cookies: { keys: ['not used by client credentials'] },
  clients: [
    {
      client_id: 'acme-sync',
      client_secret: 'demo-secret-of-acme-sync',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_basic',
    },
  ],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: 'orders:read orders:write',
        audience: resource,
        accessTokenTTL: 900,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});

provider.listen(Number(port), '127.0.0.1');
