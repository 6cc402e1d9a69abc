// The admin listener on an address that others reach.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { ask, foreignAddress } from './support/server.mjs';
import { Server, VIEWS, expect, samplePolicies, test } from './support/test.mjs';

test.use({ ignoreHTTPSErrors: true });

async function exposed(tls) {
  const address = foreignAddress();
  return Server.start({
    fill: async (folder) => {
      await samplePolicies(folder);
      // EC: no browser takes a certificate of Ed25519
      execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-days', '2', '-subj', '/CN=console',
        '-addext', `subjectAltName=IP:${address}`, '-keyout', join(folder, 'admin-key.pem'), '-out', join(folder, 'admin.pem')], { stdio: 'pipe' });
    },
    adminAddress: address,
    admin: tls ? { tls: { cert_file: 'admin.pem', key_file: 'admin-key.pem' } } : {},
  });
}

test('over TLS the page asks for a bearer, and keeps it in memory alone', async ({ page, context, watched }) => {
  const server = await exposed(true);
  try {
    watched.origins.add(new URL(server.console).origin);
    const operator = await server.token('operator', 'demo-secret-of-operator', server.issuer);
    const other = await server.token('acme-sync', 'demo-secret-of-acme-sync', server.issuer);
    watched.secrets.push(operator, other);
    for (const [headers, status] of [[{}, 401], [{ authorization: 'Bearer x' }, 401], [{ authorization: `Bearer ${other}` }, 403], [{ authorization: `Bearer ${operator}` }, 200]]) {
      for (const path of ['overview', 'names', 'keys', 'clients', 'matrix?api=orders', 'sources']) {
        expect((await ask(`${server.console}api/${path}`, { headers })).status, path).toBe(status);
      }
    }
    // the page itself holds nothing
    const { status, text } = await ask(server.console);
    expect(status).toBe(200);
    expect(text).not.toContain('acme');

    await page.goto(`${server.console}#/clients`);
    const field = page.locator('input[type="password"]');
    await expect(field).toBeVisible();
    await expect(page.getByTestId('client')).toHaveCount(0);
    await field.fill('wrong');
    await page.keyboard.press('Enter');
    await expect(page.locator('[role="alert"]')).toBeVisible();
    await expect(page.getByTestId('client')).toHaveCount(0);
    // nor one with characters that no header may have
    await field.fill(`\u201c${operator}\u201d`);
    await page.keyboard.press('Enter');
    await expect(field).toHaveValue('');
    await expect(page.locator('[role="alert"]')).toBeVisible();
    await field.fill(operator);
    await page.keyboard.press('Enter');
    await expect(page.getByTestId('client')).toHaveCount(4);
    await expect(field).toHaveCount(0);
    // it is good for every view, and for the stream
    for (const { address } of VIEWS) {
      await page.locator(`nav a[href^="${address}"]`).first().click();
      await expect(page.locator('main:not([aria-busy="true"]) h1')).toBeVisible();
      await expect(field).toHaveCount(0);
    }
    await page.locator('nav a[href^="#/live"]').first().click();
    await ask(`${server.issuer}/ops/keys`, { headers: { authorization: `Bearer ${other}` } });
    await expect(page.getByTestId('decision').filter({ hasText: '/ops/keys' }).first()).toBeVisible();
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, history.state, location.href, window.name]));
    expect(kept).not.toContain(operator.slice(0, 40));
    expect(await context.cookies()).toEqual([]);
    for (const part of operator.split('.').slice(1)) expect(server.logged()).not.toContain(part);
    // and gone with the page
    await page.reload();
    await expect(field).toBeVisible();
    await expect(page.getByTestId('decision')).toHaveCount(0);
  } finally {
    await server.stop();
  }
});

test('a bearer without jeton:ops is refused in words', async ({ page, watched }) => {
  const server = await exposed(true);
  try {
    watched.origins.add(new URL(server.console).origin);
    const other = await server.token('acme-sync', 'demo-secret-of-acme-sync', server.issuer);
    watched.secrets.push(other);
    await page.goto(`${server.console}#/clients`);
    await page.locator('input[type="password"]').fill(other);
    await page.keyboard.press('Enter');
    await expect(page.locator('main [role="alert"]')).toContainText(/does not allow|jeton:ops/);
    await expect(page.getByTestId('client')).toHaveCount(0);
    // another one can be given without a reload
    const operator = await server.token('operator', 'demo-secret-of-operator', server.issuer);
    watched.secrets.push(operator);
    const field = page.locator('input[type="password"]');
    if (!await field.isVisible()) await page.locator('main').getByRole('button', { name: /again|token/i }).click();
    await field.fill(operator);
    await page.keyboard.press('Enter');
    await expect(page.getByTestId('client')).toHaveCount(4);
  } finally {
    await server.stop();
  }
});

test('without TLS nobody gets data there', async ({ page, watched }) => {
  const server = await exposed(false);
  try {
    watched.origins.add(new URL(server.console).origin);
    const operator = await server.token('operator', 'demo-secret-of-operator', server.issuer);
    watched.secrets.push(operator);
    for (const headers of [{}, { authorization: `Bearer ${operator}` }]) {
      expect((await ask(`${server.console}api/clients`, { headers })).status).toBe(403);
    }
    await page.goto(`${server.console}#/clients`);
    await expect(page.locator('main [role="alert"]')).toContainText('admin.tls');
    await expect(page.locator('input[type="password"]')).toHaveCount(0);
  } finally {
    await server.stop();
  }
});

test('the console can be turned off', async ({ page, watched }) => {
  const server = await Server.start({ fill: (folder) => samplePolicies(folder), admin: { console: 'off' } });
  try {
    watched.origins.add(new URL(server.console).origin);
    for (const path of ['', 'main.js', 'api/overview']) expect((await ask(server.console + path)).status).toBe(404);
    expect((await ask(new URL('/readyz', server.console).href)).status).toBe(200);
    expect((await page.goto(server.console)).status()).toBe(404);
  } finally {
    await server.stop();
  }
});
