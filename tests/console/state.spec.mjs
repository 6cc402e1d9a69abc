// Overview, keys and clients: what the server is and holds.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HOSTILE_CLIENTS, Server, edit, expect, samplePolicies, settled, startSample, test, until } from './support/test.mjs';

test('the overview says what is served', async ({ page, sample, visit }) => {
  const overview = await sample.api('overview');
  await visit(sample);
  const main = page.locator('main');
  await expect(main).toContainText(overview.issuer);
  await expect(main).toContainText(overview.signing.kid.slice(0, 8));
  await expect(main).toContainText(overview.policies.hash.slice(0, 8));
  const state = await sample.api('keys');
  expect(state.keys.find((key) => key.state === 'active').kid).toBe(overview.signing.kid);
});

test('problems come first, and go when they are mended', async ({ page, visit }) => {
  const server = await Server.start({ fill: (folder) => samplePolicies(folder) });
  try {
    const file = join(server.policies, 'orders.yaml');
    await edit(file, '          scope: reports:read', '          scope: reports:raed');
    await until('the rejection is known', async () => (await server.api('overview')).policies.last_rejection);
    await visit(server);
    const main = page.locator('main');
    await expect(main).toContainText('reports:raed');
    const place = await page.evaluate(() => {
      const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
      const order = [];
      while (walker.nextNode()) order.push(walker.currentNode.data);
      return { problem: order.findIndex((text) => /reports:raed|reject|not loaded|do not load|refus/i.test(text)), all: order.length };
    });
    expect(place.problem).toBeLessThan(place.all / 3);
    await edit(file, '          scope: reports:raed', '          scope: reports:read');
    await until('the mended policies are in force', async () => !(await server.api('overview')).policies.last_rejection);
    await page.reload();
    await settled(page);
    await expect(main).not.toContainText('reports:raed');
  } finally {
    await server.stop();
  }
});

test('each key is there with its state', async ({ page, sample, visit }) => {
  const { keys } = await sample.api('keys');
  expect(keys.map(({ state }) => state).sort()).toEqual(['active', 'next', 'retired']);
  const listed = sample.jeton(['keys', 'list']);
  await visit(sample, '#/keys');
  for (const { kid, state } of keys) {
    expect(listed).toMatch(new RegExp(`^${state} +${kid.slice(0, 8)}`, 'm'));
    const shown = page.locator(`[data-testid="key"][data-state="${state}"]`);
    await expect(shown).toHaveCount(1);
    const words = await shown.evaluate((one) => [one.innerText, one.title, ...[...one.querySelectorAll('[title]')].map(({ title }) => title)].join('\n'));
    expect(words).toContain(kid);
    expect(words).toContain(state);
  }
  await expect(page.getByTestId('key')).toHaveCount(keys.length);
  await expect(page.locator('main')).toContainText('jeton keys');
});

test('the view of the keys follows an order', async ({ page, visit }) => {
  const server = await Server.start({ fill: (folder) => samplePolicies(folder) });
  try {
    await visit(server, '#/keys');
    await expect(page.getByTestId('key')).toHaveCount(1);
    await expect(page.locator('main')).toContainText('jeton keys rotate');
    server.jeton(['keys', 'rotate']);
    await until('the server has read it', async () => (await server.api('keys')).keys.length === 2);
    await page.reload();
    await settled(page);
    await expect(page.locator('[data-testid="key"][data-state="next"]')).toHaveCount(1);
  } finally {
    await server.stop();
  }
});

test('each client is there with its grants and its secrets', async ({ page, sample, hostile, visit }) => {
  for (const server of [sample, hostile]) {
    const listed = server.json(['clients', 'list']);
    const clients = Array.isArray(listed) ? listed : listed.clients;
    const answer = await server.api('clients');
    expect(answer.clients.map(({ id }) => id)).toEqual(clients.map(({ id }) => id));
    await visit(server, '#/clients');
    await expect(page.getByTestId('client')).toHaveCount(clients.length);
  }
  const texts = await page.getByTestId('client').evaluateAll((all) => all.map((one) => one.textContent));
  for (const id of [...HOSTILE_CLIENTS, 'deployer', 'signer']) expect(texts.some((text) => text.includes(id)), id).toBe(true);
});

test('a secret that expires says when, and federation whose tokens', async ({ page, hostile, visit }) => {
  const { clients } = await hostile.api('clients');
  await visit(hostile, '#/clients');
  const client = page.getByTestId('client').filter({ hasText: 'deployer' });
  if (await client.locator('details:not([open]) > summary').count()) await client.locator('summary').first().click();
  await expect(client).toContainText('platform');
  await expect(client).toContainText('repository_id');
  const expiring = clients.find(({ id }) => id === HOSTILE_CLIENTS[4]).secrets.find(({ expires }) => expires);
  expect(expiring).toBeTruthy();
  await expect(page.locator(`time[datetime^="${expiring.expires.slice(0, 16)}"]`).first()).toBeAttached();
});

test('no more than eight digits of a hash leave the server', async ({ page, sample, visit }) => {
  const hashes = (await readFile(join(sample.policies, 'clients.yaml'), 'utf8')).match(/[0-9a-f]{64}/g);
  expect(hashes.length).toBe(4);
  const bodies = [];
  page.on('response', (answer) => {
    if (answer.url().includes('/api/') && !answer.url().includes('/live')) bodies.push(answer.text().catch(() => ''));
  });
  for (const address of ['#/', '#/clients', '#/keys', '#/diff', '#/try', '#/matrix?api=orders']) await visit(sample, address);
  const all = (await Promise.all(bodies)).join('\n');
  expect(all).toContain(hashes[0].slice(0, 8));
  for (const hash of hashes) expect(all).not.toContain(hash.slice(0, 9));
});

test('the last use of a secret is known', async ({ page, visit }) => {
  const server = await startSample();
  try {
    const used = async () => (await server.api('clients')).clients.find(({ id }) => id === 'acme-sync').secrets[0].last_used;
    expect(await used()).toBeNull();
    await server.token('acme-sync', 'demo-secret-of-acme-sync', 'https://orders.example.com');
    const at = await used();
    expect(Date.now() - Date.parse(at)).toBeLessThan(60_000);
    await visit(server, '#/clients');
    await expect(page.getByTestId('client').filter({ hasText: 'acme-sync' }).locator(`time[datetime^="${at.slice(0, 16)}"]`)).toBeAttached();
  } finally {
    await server.stop();
  }
});
