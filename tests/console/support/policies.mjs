// Policy folders for the tests: one as large as people have, and one with every name that could harm a page.

import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/** A text as YAML has it between double quotes, which is JSON's way too. */
const quoted = (text) => JSON.stringify(text).replace(/[\u007f-\u{10ffff}]/gu, (c) => `\\U${c.codePointAt(0).toString(16).padStart(8, '0')}`);

/** The secret of a client of these folders. */
export const secretOf = (id) => `console-secret-of-${id}`;

// --- 500 clients and 1,200 routes ---------------------------------------------

const RESOURCES = [
  'carts', 'orders', 'invoices', 'payments', 'refunds', 'shipments', 'returns', 'stocks', 'prices', 'discounts',
  'coupons', 'products', 'variants', 'brands', 'reviews', 'ratings', 'questions', 'wishes', 'gifts', 'vouchers',
  'customers', 'addresses', 'consents', 'segments', 'campaigns', 'mails', 'pushes', 'tickets', 'chats', 'calls',
  'agents', 'shifts', 'sites', 'shelves', 'pallets', 'routes', 'drivers', 'trucks', 'depots', 'labels',
  'suppliers', 'contracts', 'offers', 'tenders', 'audits', 'claims', 'taxes', 'ledgers', 'accounts', 'budgets',
  'forecasts', 'reports', 'exports', 'imports', 'feeds', 'hooks', 'devices', 'sensors', 'alarms', 'backups',
];
const TEAMS = 12;
const REGIONS = ['eu', 'us', 'asia'];

/** The rules of one resource, and so twenty routes. */
function rules(resource) {
  const all = `/tenants/{tenant}/${resource}`;
  const one = `${all}/{id}`;
  const region = `/regions/{region}/${resource}`;
  return `
      health-${resource}:
        routes: [GET /${resource}/health]
        public: true
      read-${resource}:
        routes: ["GET ${all}", "GET ${one}", "GET ${one}/history", "GET ${one}/files", "GET ${one}/files/{file}"]
        require:
          - scope: ${resource}:read
            claims: { tenant: { same_as_path: tenant } }
          - role: auditor
      write-${resource}:
        routes: ["POST ${all}", "PUT ${one}", "PATCH ${one}", "DELETE ${one}", "POST ${one}/files", "DELETE ${one}/files/{file}"]
        require:
          scope: ${resource}:write
          claims: { tenant: { same_as_path: tenant } }
      region-${resource}:
        routes: ["GET ${region}", "GET ${region}/{id}", "POST ${region}/{id}/move"]
        require:
          scope: ${resource}:read
          claims: { regions: { contains_path: region } }
      numbers-${resource}:
        routes: ["GET /${resource}/reports", "GET /${resource}/reports/{year}", "GET /${resource}/export/**"]
        require:
          - role: auditor
          - scope: ${resource}:read
            claims: { tier: { in: [gold, platinum] } }
      close-${resource}:
        routes: ["POST /${resource}/{id}:archive", "POST /${resource}/{id}:restore"]
        require: { role: keeper }`;
}

/** The id, team, tenant and so on of the client with this number. */
function shopClient(number) {
  const team = number % TEAMS;
  return {
    id: `team-${team + 1}-worker-${number + 1}`,
    roles: [`team-${team + 1}`, ...(number % 25 === 0 ? ['auditor'] : []), ...(number % 40 === 7 ? ['keeper'] : [])],
    scopes: number % 3 === 0 ? [`${RESOURCES[((number / 3) * 7) % RESOURCES.length]}:write`] : [],
    tenant: `tenant-${(number % 90) + 1}`,
    regions: REGIONS.filter((_, index) => (number + index) % 2 === 0),
    tier: ['free', 'gold', 'platinum'][number % 3],
  };
}

/**
 * Writes a folder with `clients` clients that have a grant at the API `shop` of 1,200 routes (and some that are
 * disabled, or have a grant at the API `billing` alone).
 */
export async function writeBig(folder, clients = 500) {
  await mkdir(folder, { recursive: true });
  const scopes = RESOURCES.flatMap((resource) => [`  ${resource}:read: See ${resource}`, `  ${resource}:write: Change ${resource}`]);
  const roles = [];
  for (let team = 0; team < TEAMS; team += 1) {
    const own = RESOURCES.filter((_, index) => index % TEAMS === team);
    roles.push(`  team-${team + 1}: [${own.flatMap((name) => [`${name}:read`, ...(team % 2 ? [`${name}:write`] : [])]).join(', ')}]`);
  }
  await writeFile(join(folder, 'shop.yaml'), `version: 1
scopes:
${scopes.join('\n')}
  billing:read: See bills
roles:
${roles.join('\n')}
  auditor: [reports:read, audits:read]
  keeper: [backups:read]
apis:
  shop:
    audience: https://shop.example.com
    rules:${RESOURCES.map(rules).join('')}
  billing:
    audience: https://billing.example.com
    rules:
      bills:
        routes: ["GET /bills", "GET /bills/{bill}"]
        require: { scope: billing:read }
      prices:
        routes: [GET /prices]
        public: true
`);
  const entries = [];
  for (let number = 0; number < clients; number += 1) {
    const { id, roles: granted, scopes: own, tenant, regions, tier } = shopClient(number);
    entries.push(`  ${id}:
    description: Worker ${number + 1} of ${tenant}
    secrets: [{ sha256: ${sha256(secretOf(id))} }]
    grants: { shop: { roles: [${granted.join(', ')}]${own.length ? `, scopes: ["${own.join('", "')}"]` : ''} } }
    claims: { tenant: ${tenant}, regions: [${regions.join(', ')}], tier: ${tier} }`);
  }
  for (let number = 0; number < 5; number += 1) {
    entries.push(`  former-${number + 1}:
    enabled: false
    secrets: [{ sha256: ${sha256(secretOf(`former-${number + 1}`))} }]
    grants: { shop: { roles: [auditor] } }`);
    entries.push(`  biller-${number + 1}:
    secrets: [{ sha256: ${sha256(secretOf(`biller-${number + 1}`))} }]
    grants: { billing: { scopes: ["billing:read"] } }`);
  }
  await writeFile(join(folder, 'clients.yaml'), `version: 1
clients:
${entries.join('\n')}
tests:
  - as: ${shopClient(0).id}
    api: shop
    allow: [GET /carts/health]
`);
}

// --- names that could harm a page -----------------------------------------------

const IMAGE = '<img src=x onerror=alert(1)>';
const SCRIPT = '<script>alert(1)<\u002fscript>';
const TURNED = '\u202egpj.exe\u2066 \u05d0\u05d1\u05d2 \u0627\u0628';
const FAMILY = '\u{1f468}\u200d\u{1f469}\u200d\u{1f467} \u{1f6d2} e\u0301\u0301\u0301\u0301';
const LONG = 'long-'.repeat(60);

/** What the policies let a client be called: printable ASCII. */
export const HOSTILE_CLIENTS = [
  SCRIPT, `">${IMAGE}`, `'-alert(1)-'`, '__proto__', 'constructor', '{{7*7}}${7*7}', 'javascript:alert(1)', '&lt;b&gt;&amp;',
  '%3Cscript%3E', '#/try?x=1&y=2', ' two  spaces ', '=HYPERLINK("x")', '<!-- -->', ']]>', `${LONG}end`, '\\u202e\\',
];

/** Texts that stand in descriptions, claims and routes of the hostile folder. */
export const HOSTILE_TEXTS = [IMAGE, SCRIPT, TURNED, FAMILY, LONG];

/**
 * Writes a folder in which every name and description holds markup, marks of direction, emoji or 300 characters, with
 * secrets that expire, a public key, an issuer and federated clients.
 */
export async function writeHostile(folder, publicKey, now = Date.now()) {
  await mkdir(folder, { recursive: true });
  const at = (days) => new Date(now + days * 86400e3).toISOString().replace(/\.\d+Z/, 'Z');
  await writeFile(join(folder, 'platform.pub.pem'), publicKey);
  const clients = HOSTILE_CLIENTS.map((id, index) => `  ${quoted(id)}:
    description: ${quoted(HOSTILE_TEXTS[index % HOSTILE_TEXTS.length])}
    secrets:
      - sha256: ${sha256(secretOf(id))}
      - { sha256: ${sha256(`${secretOf(id)}-old`)}, expires: ${at(index - 3)} }
    grants: { web: { roles: ["<x-b>role</x-b>"]${index % 2 ? ', scopes: ["<x-i>:write"]' : ''} } }
    claims: { tenant: ${quoted(HOSTILE_TEXTS[index % HOSTILE_TEXTS.length])}, "<x-u>": ${quoted(TURNED)} }`);
  await writeFile(join(folder, `<x-b>names ${FAMILY}.yaml`), `version: 1
scopes:
  "<x-i>:read": ${quoted(IMAGE)}
  "<x-i>:write": ${quoted(TURNED)}
roles:
  "<x-b>role</x-b>": ["<x-i>:read"]
issuers:
  platform:
    issuer: https://ci.example.com
    audience: https://jeton.example.com
    keys: { file: platform.pub.pem }
apis:
  web:
    audience: "https://web.example.com/<x-b>?a=1&b=2"
    rules:
      ${quoted(IMAGE)}:
        routes: [${quoted('GET /<img/src=x/onerror=alert(1)>/{tenant}')}, ${quoted(`GET /\u05d0\u05d1\u05d2/{tenant}`)}]
        require:
          - scope: "<x-i>:read"
            claims: { tenant: { same_as_path: tenant } }
      ${quoted(TURNED)}:
        routes: [${quoted(`POST /\u{1f6d2}/{item}`)}, ${quoted(`GET /${LONG}`)}]
        require: { scope: "<x-i>:write", claims: { "<x-u>": { is: ${quoted(TURNED)} } } }
      ${quoted(FAMILY)}:
        routes: ["GET /toString", "GET /__proto__"]
        public: true
clients:
${clients.join('\n')}
  deployer:
    description: ${quoted(IMAGE)}
    federated:
      - issuer: platform
        claims: { repository_id: { is: ${quoted(IMAGE)} } }
    grants: { web: { scopes: ["<x-i>:read"] } }
    claims: { tenant: acme }
  signer:
    public_keys: [{ file: platform.pub.pem }]
    grants: { web: { scopes: ["<x-i>:read"] } }
    claims: { tenant: acme }
`);
}
