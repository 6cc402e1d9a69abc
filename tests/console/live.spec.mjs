import { ask, until } from './support/server.mjs';
import { expect, startSample, test } from './support/test.mjs';

const bearer = (token) => ({ authorization: `Bearer ${token}` });

test('a denied request shows up as it comes, and a click explains it', async ({ page, sample, visit, watched }) => {
  const token = await sample.token('acme-sync', 'demo-secret-of-acme-sync', sample.issuer);
  watched.secrets.push(token);
  await visit(sample, '#/live');
  const decisions = page.getByTestId('decision');
  const before = await decisions.count();
  expect((await ask(`${sample.issuer}/ops/keys`, { headers: bearer(token) })).status).toBe(403);
  await expect(decisions.filter({ hasText: '/ops/keys' }).first()).toBeVisible();
  expect(await decisions.count()).toBeGreaterThan(before);
  await expect(page.locator('main')).toContainText('acme-sync');
  await expect(page.locator('main')).toContainText('not-met');
  // what is allowed does not
  expect((await ask(`${sample.issuer}/principal`, { headers: bearer(token) })).status).toBe(200);
  expect((await ask(`${sample.issuer}/ops/policies`, { headers: bearer(token) })).status).toBe(403);
  await expect(decisions.filter({ hasText: '/ops/policies' }).first()).toBeVisible();
  await expect(decisions.filter({ hasText: '/principal' })).toHaveCount(0);
  await decisions.filter({ hasText: '/ops/keys' }).first().getByRole('link').first().click();
  await expect(page.getByTestId('verdict')).toHaveText(/^denied/);
  expect(page.url()).toContain('#/explain?');
  await expect(page.locator('[name="path"]')).toHaveValue('/ops/keys');
  await expect(page.locator('[name="as"]')).toHaveValue('acme-sync');
});

test('a question of a gateway shows up with its name', async ({ page, sample, visit, watched }) => {
  const token = await sample.token('globex-sync', 'demo-secret-of-globex-sync', 'https://orders.example.com');
  watched.secrets.push(token);
  await visit(sample, '#/live');
  const answer = await ask(`${sample.issuer}/authz/nginx`, {
    headers: { ...bearer(token), 'x-original-method': 'GET', 'x-original-uri': '/tenants/acme/orders?a=1' },
  });
  expect(answer.status).toBe(403);
  const decision = page.getByTestId('decision').filter({ hasText: '/tenants/acme/orders' });
  await expect(decision.first()).toBeVisible();
  await expect(decision.first()).toContainText('nginx');
});

test('decisions are grouped by reason and client', async ({ page, visit, watched }) => {
  const server = await startSample();
  try {
    const tokens = {};
    for (const client of ['acme-sync', 'operator']) tokens[client] = await server.token(client, `demo-secret-of-${client}`, server.issuer);
    watched.secrets.push(...Object.values(tokens));
    for (let times = 0; times < 3; times += 1) await ask(`${server.issuer}/ops/keys`, { headers: bearer(tokens['acme-sync']) });
    await ask(`${server.issuer}/authz/nginx`, { headers: { ...bearer(tokens.operator), 'x-original-method': 'GET', 'x-original-uri': '/tenants/x/orders' } });
    await ask(`${server.issuer}/authz/nginx`, { headers: { 'x-original-method': 'GET', 'x-original-uri': '/tenants/y/orders' } });
    // those that came before the page are kept
    await visit(server, '#/live');
    const groups = page.getByTestId('group');
    await expect(groups).not.toHaveCount(0);
    const three = groups.filter({ hasText: 'acme-sync' });
    await expect(three).toHaveCount(1);
    await expect(three.getByRole('heading')).toContainText('3');
    await expect(three.getByTestId('decision')).toHaveCount(3);
    expect(await groups.count()).toBeGreaterThanOrEqual(2);
  } finally {
    await server.stop();
  }
});

test('what a request says is text', async ({ page, sample, visit, watched }) => {
  const token = await sample.token('acme-sync', 'demo-secret-of-acme-sync', 'https://orders.example.com');
  watched.secrets.push(token);
  await visit(sample, '#/live');
  const uri = '/%3Cimg%20src=x%20onerror=alert(1)%3E/%E2%80%AEgpj';
  await ask(`${sample.issuer}/authz/nginx`, { headers: { ...bearer(token), 'x-original-method': 'GET', 'x-original-uri': uri } });
  await expect(page.getByTestId('decision').filter({ hasText: 'onerror' }).first()).toBeVisible();
  await expect(page.locator('main img')).toHaveCount(0);
});

test('the page says when the server is gone, and goes on when it is back', async ({ page, visit, watched }) => {
  const server = await startSample();
  try {
    await visit(server, '#/live');
    await expect(page.locator('main')).toContainText(/connected/i);
    await server.halt();
    await expect(page.locator('main')).toContainText(/not connected|lost|no connection/i);
    await server.run();
    const token = await server.token('acme-sync', 'demo-secret-of-acme-sync', server.issuer);
    watched.secrets.push(token);
    await ask(`${server.issuer}/ops/issuers`, { headers: bearer(token) });
    await expect(page.getByTestId('decision').filter({ hasText: '/ops/issuers' }).first()).toBeVisible({ timeout: 40_000 });
  } finally {
    await server.stop();
  }
});

test('each view says when the server does not answer, and is there again when it does', async ({ page, visit }) => {
  const server = await startSample();
  try {
    await visit(server);
    const links = ['#/matrix', '#/routes', '#/clients', '#/keys', '#/diff'];
    await server.halt('SIGKILL');
    for (const address of links) {
      await page.locator(`nav a[href^="${address}"]`).first().click();
      await expect(page.locator('main [role="alert"]').first(), address).toContainText(/answer|reach|load|connect/i);
      await expect(page.locator('main')).not.toHaveAttribute('aria-busy', 'true');
      await expect(page.locator('h1')).toHaveCount(1);
    }
    await server.run();
    await until('the view is there', async () => {
      await page.locator('nav a[href^="#/clients"]').first().click();
      await page.locator('nav a[href^="#/keys"]').first().click();
      return page.getByTestId('key').first().waitFor({ timeout: 3000 }).then(() => true, () => false);
    });
  } finally {
    await server.stop();
  }
});
