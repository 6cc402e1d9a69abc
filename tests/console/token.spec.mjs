import { expect, startSample, test } from './support/test.mjs';

const ORDERS = 'https://orders.example.com';
const fresh = (server, client = 'acme-sync', resource = ORDERS) => server.token(client, `demo-secret-of-${client}`, resource);
const verdict = (page) => page.getByTestId('verdict').first();
const judge = (page) => page.locator('main form').filter({ has: page.locator('[name="token"]') }).locator('button[type="submit"]').click();

/** The token with one member of its payload changed, or with another signature. */
function forged(token, change) {
  const [header, payload, signature] = token.split('.');
  if (!change) return [header, payload, signature.startsWith('A') ? `B${signature.slice(1)}` : `A${signature.slice(1)}`].join('.');
  const claims = { ...JSON.parse(Buffer.from(payload, 'base64url')), ...change };
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
}

test('a token of this server is valid, and its claims are decoded in the browser', async ({ page, sample, visit, watched }) => {
  const token = await fresh(sample);
  watched.secrets.push(token);
  await visit(sample, '#/token');
  const before = watched.requests.length;
  await page.locator('[name="token"]').fill(token);
  await expect(page.locator('main')).toContainText('acme-sync');
  await expect(page.locator('main')).toContainText('orders:read');
  expect(watched.requests.slice(before).map((request) => request.url()), 'decoding asks nobody').toEqual([]);
  await judge(page);
  await expect(verdict(page)).toHaveText(/^valid/);
  const posts = watched.requests.filter((request) => request.method() === 'POST');
  expect(posts.map((request) => new URL(request.url()).pathname)).toEqual(['/console/api/token']);
  expect(posts[0].postDataJSON().token).toBe(token);
});

test('a token that is not good is not valid', async ({ page, sample, visit, watched }) => {
  const token = await fresh(sample);
  const now = Math.floor(Date.now() / 1000);
  const bad = {
    'another signature': forged(token),
    'another claim': forged(token, { scope: 'orders:refund' }),
    expired: forged(token, { exp: now - 3600 }),
    'another issuer': forged(token, { iss: 'https://elsewhere.example.com' }),
    'no signature': `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${token.split('.')[1]}.`,
    'no token': 'nonsense',
  };
  await visit(sample, '#/token');
  for (const [what, one] of Object.entries(bad)) {
    watched.secrets.push(one);
    await page.locator('[name="token"]').fill(one);
    await judge(page);
    await expect(verdict(page), what).toHaveText(/^not valid/);
    await page.locator('[name="token"]').fill('');
    await expect(page.getByTestId('verdict'), what).toHaveCount(0);
  }
});

test('a token is explained against a request', async ({ page, sample, visit, watched }) => {
  const token = await fresh(sample);
  watched.secrets.push(token);
  await visit(sample, '#/token');
  await page.locator('[name="token"]').fill(token);
  const more = page.locator('main form details:not([open]) > summary');
  if (await more.count()) await more.first().click();
  for (const [path, allowed] of [['/tenants/acme/orders', true], ['/tenants/globex/orders', false]]) {
    await page.locator('[name="method"]').fill('GET');
    await page.locator('[name="path"]').fill(path);
    await judge(page);
    const expected = sample.json(['policies', 'explain', '--api', 'orders', '--token', token, 'GET', path]);
    expect(expected.allowed).toBe(allowed);
    await expect(verdict(page)).toHaveText(/^valid/);
    await expect(page.locator('main')).toContainText(allowed ? /\ballowed\b/ : /\bdenied\b/);
    for (const { condition } of expected.alternatives.flatMap(({ conditions }) => conditions)) await expect(page.locator('main')).toContainText(condition);
  }
});

test('a token is in no address, no storage and no log', async ({ page, context, visit, watched }) => {
  const server = await startSample({ settings: { log: { level: 'trace' } } });
  try {
    const token = await fresh(server, 'operator', server.issuer);
    watched.secrets.push(token, token.split('.')[2], token.split('.')[1]);
    await visit(server, '#/token');
    await page.locator('[name="token"]').fill(token);
    await judge(page);
    await expect(verdict(page)).toHaveText(/^valid/);
    const kept = () => page.evaluate(async () => JSON.stringify({
      address: location.href,
      state: history.state,
      local: { ...localStorage },
      session: { ...sessionStorage },
      cookie: document.cookie,
      databases: await indexedDB.databases(),
      caches: await globalThis.caches?.keys() ?? [],
      name: window.name,
    }));
    const empty = { state: null, local: {}, session: {}, cookie: '', databases: [], caches: [], name: '' };
    expect(JSON.parse(await kept())).toEqual({ ...empty, address: `${server.console}#/token` });
    expect(await context.cookies()).toEqual([]);
    // it is gone with the view, also by the buttons of the browser
    await page.locator('nav a[href^="#/keys"]').first().click();
    await expect(page.getByTestId('key').first()).toBeVisible();
    await page.goBack();
    await expect(page.locator('[name="token"]')).toHaveValue('');
    await expect(page.getByTestId('verdict')).toHaveCount(0);
    // the log has the request, and nothing of the token
    const logged = server.logged();
    expect(logged).toContain('"event"');
    for (const part of token.split('.').slice(1)) expect(logged).not.toContain(part);
    expect(logged).not.toContain(token.slice(0, 60));
  } finally {
    await server.stop();
  }
});
