// `test` of Playwright with real servers and a page that is watched: no test passes whose page asked somebody else,
// put a token into an address, broke its own content security policy, or threw.

import { test as base, expect } from '@playwright/test';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { plant } from './planted.mjs';
import { HOSTILE_CLIENTS, secretOf, writeBig, writeHostile } from './policies.mjs';
import { ENVIRONMENT, ROOT, Server, jeton, samplePolicies, until } from './server.mjs';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';

export { expect };

/** Each view: its address, and what its link in the navigation ends with. */
export const VIEWS = [
  { name: 'overview', address: '#/' },
  { name: 'matrix', address: '#/matrix' },
  { name: 'explain', address: '#/explain' },
  { name: 'routes', address: '#/routes' },
  { name: 'diff', address: '#/diff' },
  { name: 'keys', address: '#/keys' },
  { name: 'clients', address: '#/clients' },
  { name: 'token', address: '#/token' },
  { name: 'live', address: '#/live' },
  { name: 'try', address: '#/try' },
];

/** Replaces a text in a file that has it once. */
export async function edit(file, before, after) {
  const text = await readFile(file, 'utf8');
  if (text.split(before).length !== 2) throw new Error(`\`${before}\` does not stand once in ${file}`);
  await writeFile(file, text.replace(before, () => after));
}

/** An edit that opens something and closes something. */
export async function editOrders(folder) {
  await edit(join(folder, 'orders.yaml'), '          scope: reports:read', '          scope: orders:read');
  await edit(join(folder, 'clients.yaml'), '        roles: [order-agent]\n        scopes: [orders:refund]', '        roles: [order-agent]');
  await edit(join(folder, 'clients.yaml'), '    allow:\n      - POST /tenants/globex/orders/7/refund\n    deny:', '    deny:');
  await edit(join(folder, 'clients.yaml'), '      - POST /tenants/acme/orders/42/refund\n      - GET /reports/2026/q3\n  - as: globex-sync', '      - POST /tenants/acme/orders/42/refund\n  - as: globex-sync');
}

/** Three keys, one of each state. */
async function threeKeys(server) {
  const soon = { env: { ...ENVIRONMENT, JETON__KEYS__PUBLISH_AHEAD: '1s' } };
  server.jeton(['keys', 'generate']);
  server.jeton(['keys', 'rotate'], soon);
  await until('the second key signs', () => /^retired/m.test(server.jeton(['keys', 'list'])));
  server.jeton(['keys', 'rotate']);
}

export const startSample = (more = {}) => Server.start({
  fill: async (folder) => {
    await samplePolicies(folder);
    await samplePolicies(folder, 'candidate');
    await editOrders(join(folder, 'candidate'));
  },
  prepare: threeKeys,
  ...more,
  settings: {
    policies: { candidate: 'candidate' },
    'gateways.nginx': { api: 'orders', trusted_peers: ['127.0.0.1/32'] },
    ...more.settings,
  },
});

const STARTS = {
  /** The sample, with a candidate, a gateway and a key of each state. */
  sample: () => startSample(),
  /** 500 clients and 1,200 routes. */
  big: () => Server.start({ fill: (folder) => writeBig(join(folder, 'policies')) }),
  /** Names and descriptions that could harm a page. */
  hostile: () => Server.start({
    fill: async (folder) => {
      const made = execFileSync('sh', ['-c', 'openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 | openssl pkey -pubout'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
      await writeHostile(join(folder, 'policies'), made);
    },
    prepare: threeKeys,
  }),
};

export const test = base.extend({
  /** Starts a server of `STARTS` when a test first asks for it; it stays for the tests after that one. */
  servers: [async ({}, use) => {
    const started = new Map();
    await use((name) => {
      if (!started.has(name)) started.set(name, STARTS[name]());
      return started.get(name);
    });
    for (const server of started.values()) await server.then((one) => one.stop(), () => {});
  }, { scope: 'worker', timeout: 120_000 }],
  sample: async ({ servers }, use) => use(await servers('sample')),
  big: async ({ servers }, use) => use(await servers('big')),
  hostile: async ({ servers }, use) => use(await servers('hostile')),

  /** What the page did, and must not have done. */
  watched: [async ({ page }, use) => {
    const seen = { requests: [], faults: [], secrets: [], origins: new Set() };
    page.on('request', (request) => seen.requests.push(request));
    page.on('pageerror', (error) => seen.faults.push(`the page threw: ${error.stack ?? error}`));
    page.on('dialog', (dialog) => {
      seen.faults.push(`a dialog: ${dialog.message()}`);
      dialog.dismiss().catch(() => {});
    });
    page.on('console', (message) => {
      if (/content security policy|refused to|violates the following/i.test(message.text())) seen.faults.push(message.text());
    });
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`Content Security Policy: ${event.violatedDirective} refused ${event.blockedURI} ${event.sample}`);
      });
    });
    await plant(page);
    await use(seen);
    for (const request of seen.requests) {
      const url = request.url();
      const { protocol, origin } = new URL(url);
      if (!seen.origins.has(protocol === 'file:' ? url.split('#')[0] : origin)) seen.faults.push(`a request to somebody else: ${request.method()} ${url.slice(0, 200)}`);
      for (const secret of seen.secrets) {
        if (url.includes(secret) || url.includes(encodeURIComponent(secret))) seen.faults.push(`a token in an address: ${url.slice(0, 60)}`);
      }
    }
    expect(seen.faults).toEqual([]);
  }, { auto: true }],

  /** Goes to a view of a server and waits until it is there. */
  visit: async ({ page, watched }, use) => {
    await use(async (server, address = '#/') => {
      watched.origins.add(new URL(server.console).origin);
      await page.goto(server.console + address);
      await settled(page);
    });
  },
});

/** Waits until the view is there: not busy, with its heading. */
export async function settled(page) {
  await expect(page.locator('main')).toHaveCount(1);
  await expect(page.locator('main:not([aria-busy="true"]) h1')).toBeVisible();
}

// --- accessibility ----------------------------------------------------------------

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** The serious and critical findings of axe, in a line each. */
export async function axe(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
    resultTypes: ['violations'],
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }));
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 200)} (${failureSummary.replace(/\s+/g, ' ').slice(0, 200)})`).join(' | ')}`);
}

/** Texts below 14 px that can be seen. */
export const smallTexts = (page) => page.evaluate(() => {
  const found = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { parentElement: element, data } = texts.currentNode;
    if (!data.trim() || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const size = parseFloat(getComputedStyle(element).fontSize);
    if (size < 14) found.add(`${size}px <${element.localName} class="${element.getAttribute('class') ?? ''}"> ${data.trim().slice(0, 40)}`);
  }
  // what is written into fields, and before and behind elements
  for (const element of document.querySelectorAll('input, textarea, select, button')) {
    if (element.checkVisibility() && parseFloat(getComputedStyle(element).fontSize) < 14) found.add(`<${element.localName} name="${element.getAttribute('name') ?? ''}">`);
  }
  for (const element of document.body.querySelectorAll('*')) {
    for (const part of ['::before', '::after']) {
      const style = getComputedStyle(element, part);
      if (!['none', 'normal', '""'].includes(style.content) && parseFloat(style.fontSize) < 14) found.add(`${part} of <${element.localName}>`);
    }
  }
  return [...found];
});

export { HOSTILE_CLIENTS, ROOT, Server, jeton, rm, mkdtemp, samplePolicies, secretOf, tmpdir, until };
