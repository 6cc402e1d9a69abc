// Makes the pictures of the console for the README and the guides: docs/pictures/console-*.png.
//
//     npm run pictures                  all of them; NAME... makes these alone
//
// Needs pngquant (Debian: pngquant) beside what the tests need. Look at each picture before you commit it.

import { chromium } from '@playwright/test';
import { execFileSync } from 'node:child_process';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startSample, settled } from './support/test.mjs';
import { ENVIRONMENT, ROOT, ask } from './support/server.mjs';

const HOUR = 3600e3;
const DAY = 24 * HOUR;

/** Three keys with the times of a service that has run for some months. */
async function lifeOfKeys(server) {
  server.jeton(['keys', 'generate']);
  const file = join(server.folder, 'keys/keyring.yaml');
  const soon = { env: { ...ENVIRONMENT, JETON__KEYS__PUBLISH_AHEAD: '1h' } };
  const at = (offset) => new Date(Date.now() + offset).toISOString().replace(/\.\d+Z/, 'Z');
  // each order leaves times of now: they are moved to where they would be
  const moved = async (kid, times) => {
    let text = await readFile(file, 'utf8');
    for (const [name, offset] of Object.entries(times)) {
      text = text.replace(new RegExp(`(kid: ${kid}\\n(?: {4}.*\\n)*? {4}${name}: ).*`), `$1${at(offset)}`);
    }
    await writeFile(file, text);
  };
  const kids = async () => [...(await readFile(file, 'utf8')).matchAll(/kid: (.*)/g)].map(([, kid]) => kid);
  await moved((await kids())[0], { created: -40 * DAY, activates: -40 * DAY });
  server.jeton(['keys', 'rotate'], soon);
  const [first, second] = await kids();
  await moved(first, { retires: -10 * DAY });
  await moved(second, { created: -10 * DAY - HOUR, activates: -10 * DAY });
  server.jeton(['keys', 'rotate'], soon);
  const third = (await kids())[2];
  await moved(second, { retires: 0.6 * HOUR });
  await moved(third, { created: -0.4 * HOUR, activates: 0.6 * HOUR });
}

/** Requests that are denied, for the view that shows them. */
async function deny(server) {
  const orders = 'https://orders.example.com';
  const secret = (client) => `demo-secret-of-${client}`;
  const acme = await server.token('acme-sync', secret('acme-sync'), orders);
  const globex = await server.token('globex-sync', secret('globex-sync'), orders);
  const asked = [
    [acme, 'GET', '/tenants/globex/orders'], [acme, 'GET', '/tenants/globex/orders/42'], [acme, 'POST', '/tenants/acme/orders/7/refund'],
    [globex, 'GET', '/reports/2026/q3'], [globex, 'GET', '/reports/2026/q4'], [null, 'GET', '/tenants/acme/orders'],
  ];
  for (const [token, method, path] of asked) {
    await ask(`${server.issuer}/authz/nginx`, {
      headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), 'x-original-method': method, 'x-original-uri': path },
    });
  }
}

const PICTURES = {
  matrix: {
    address: '#/matrix?api=orders',
    size: [1180, 760],
    act: async (page) => {
      const row = page.locator('[data-testid="matrix"] [role="row"]').filter({ hasText: '/refund' });
      await row.locator('[data-access="never"]').first().click();
      await page.getByTestId('detail').waitFor();
    },
  },
  explain: { address: '#/explain?api=orders&as=acme-sync&method=GET&path=/tenants/globex/orders', size: [1180, 900] },
  diff: { address: '#/diff', size: [1180, 760] },
  keys: { address: '#/keys', size: [1180, 860] },
  live: { address: '#/live', size: [1180, 760], act: (page) => page.getByTestId('decision').nth(5).waitFor() },
  try: {
    address: '#/try',
    size: [1380, 900],
    act: async (page) => {
      await page.getByRole('tab', { name: 'orders.yaml' }).click();
      const editor = page.locator('main textarea').filter({ visible: true }).first();
      await editor.fill((await editor.inputValue()).replace('          scope: reports:read', '          scope: orders:read'));
      await page.getByRole('tab', { name: /diff/i }).click();
      await page.getByTestId('change').first().waitFor();
      await page.evaluate(() => scrollTo(0, 0));
    },
  },
};

const chosen = process.argv.slice(2);
const unknown = chosen.find((name) => !(name in PICTURES));
if (unknown) {
  process.stderr.write(`error: there is no picture \`${unknown}\`: there are ${Object.keys(PICTURES).join(', ')}\n`);
  process.exit(2);
}

const server = await startSample({ prepare: lifeOfKeys });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium' });
try {
  await deny(server);
  for (const name of chosen.length ? chosen : Object.keys(PICTURES)) {
    const { address, size: [width, height], act } = PICTURES[name];
    const page = await browser.newPage({ viewport: { width, height }, deviceScaleFactor: 1.5, colorScheme: 'light', locale: 'en-GB', timezoneId: 'UTC' });
    await page.goto(server.console + address);
    await settled(page);
    await act?.(page);
    await page.evaluate(() => document.fonts.ready);
    const file = join(ROOT, `docs/pictures/console-${name}.png`);
    await page.screenshot({ path: file, animations: 'disabled', caret: 'hide' });
    execFileSync('pngquant', ['--force', '--strip', '--speed', '1', '--quality', '70-100', '--output', file, '128', file]);
    process.stdout.write(`${file}: ${((await stat(file)).size / 1024).toFixed(1)} KiB\n`);
    await page.close();
  }
} finally {
  await browser.close();
  await server.stop();
  await rm(server.folder, { recursive: true, force: true });
}
