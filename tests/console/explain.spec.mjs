import { expect, settled, test } from './support/test.mjs';

const REQUESTS = [
  ['orders', 'acme-sync', 'GET', '/tenants/acme/orders/42'],
  ['orders', 'acme-sync', 'GET', '/tenants/globex/orders'],
  ['orders', 'acme-sync', 'POST', '/tenants/acme/orders/7/refund'],
  ['orders', 'acme-sync', 'GET', '/reports/2026/q3'],
  ['orders', 'support-desk', 'GET', '/reports/2026/q3'],
  ['orders', 'support-desk', 'PUT', '/tenants/acme/orders/1'],
  ['orders', 'globex-sync', 'GET', '/nothing/here'],
  ['orders', 'globex-sync', 'GET', '/tenants/globex/orders/'],
  ['orders', 'support-desk', 'GET', '/healthz'],
  ['jeton', 'operator', 'POST', '/ops/reload'],
];

const command = (server, [api, as, method, path]) => server.json(['policies', 'explain', '--api', api, '--as', as, method, path]);
const address = ([api, as, method, path]) => `#/explain?${new URLSearchParams({ api, as, method, path })}`;
/** All words of the page, titles too. */
const words = async (page) => [await page.locator('main').innerText(), ...await page.locator('main [title]').evaluateAll((all) => all.map(({ title }) => title))].join('\n');
const field = (page, name) => page.locator(`main [name="${name}"]`);

async function fill(page, [api, as, method, path]) {
  for (const [name, value] of Object.entries({ api, as, method, path })) {
    const input = field(page, name);
    if (await input.evaluate(({ localName }) => localName === 'select')) await input.selectOption(value);
    else await input.fill(value);
  }
  await field(page, 'path').press('Enter');
}

test('the answers of the console are those of the command', async ({ sample }) => {
  for (const request of REQUESTS) {
    const [api, as, method, path] = request;
    expect(await sample.api('explain', { api, as, method, path }), request.join(' ')).toEqual(command(sample, request));
  }
});

for (const request of REQUESTS) {
  test(`${request.join(' ')} is explained as by the command`, async ({ page, sample, visit }) => {
    const expected = command(sample, request);
    await visit(sample, address(request));
    await expect(page.getByTestId('verdict')).toHaveText(expected.allowed ? /^allowed/ : /^denied/);
    const seen = await words(page);
    const { decided_by: decided, alternatives, also_matching: others, other_methods: methods, hint } = expected;
    for (const route of [decided, ...others, ...methods].filter(Boolean)) expect(seen).toContain(route.route);
    if (decided) {
      expect(seen).toContain(decided.rule);
      expect(seen).toContain(decided.file);
    }
    for (const { conditions } of expected.reason === 'public' ? [] : alternatives) {
      for (const { condition, found } of conditions) {
        expect(seen).toContain(condition);
        if (found) expect(seen).toContain(found);
      }
    }
    if (hint) expect(seen).toContain(hint);
  });
}

test('conditions that hold are told from those that do not, without colour', async ({ page, sample, visit }) => {
  const request = REQUESTS[1];
  const { alternatives } = command(sample, request);
  await visit(sample, address(request));
  const marks = new Map();
  for (const { condition, holds } of alternatives.flatMap(({ conditions }) => conditions)) {
    const line = page.locator('main li, main tr, main dd, main .condition').filter({ hasText: condition }).last();
    marks.set((await line.innerText()).split(condition)[0].trim().split('\n').pop(), holds);
  }
  expect(new Set(marks.values()).size).toBe(2);
});

test('each submit is an entry of the history', async ({ page, sample, visit }) => {
  await visit(sample, '#/explain');
  await fill(page, REQUESTS[0]);
  await expect(page.getByTestId('verdict')).toHaveText(/^allowed/);
  const first = page.url();
  await fill(page, REQUESTS[1]);
  await expect(page.getByTestId('verdict')).toHaveText(/^denied/);
  const second = page.url();
  expect(second).not.toBe(first);
  expect(new URLSearchParams(new URL(second).hash.split('?')[1]).get('path')).toBe(REQUESTS[1][3]);
  await page.goBack();
  await expect(page.getByTestId('verdict')).toHaveText(/^allowed/);
  expect(page.url()).toBe(first);
  await expect(field(page, 'path')).toHaveValue(REQUESTS[0][3]);
  await expect(field(page, 'as')).toHaveValue('acme-sync');
  await page.goForward();
  await expect(page.getByTestId('verdict')).toHaveText(/^denied/);
  await expect(field(page, 'path')).toHaveValue(REQUESTS[1][3]);
  await page.goBack();
  await page.goBack();
  await expect(page.getByTestId('verdict')).toHaveCount(0);
});

test('a request can be asked about with the keyboard alone', async ({ page, sample, visit }) => {
  await visit(sample, '#/explain');
  for (let tabs = 0; tabs < 60; tabs += 1) {
    await page.keyboard.press('Tab');
    const name = await page.evaluate(() => document.activeElement?.getAttribute('name'));
    if (name === 'api' || name === 'as' || name === 'method' || name === 'path') {
      const value = { api: 'orders', as: 'acme-sync', method: 'GET', path: '/healthz' }[name];
      await page.keyboard.press('Control+A');
      await page.keyboard.type(value);
      if (name === 'path') break;
    }
  }
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('verdict')).toHaveText(/^allowed/);
  await settled(page);
});

test('what cannot be asked is said, with the field', async ({ page, sample, visit }) => {
  await visit(sample, `#/explain?${new URLSearchParams({ api: 'orders', as: 'nobody-knows', method: 'GET', path: '/healthz' })}`);
  await expect(page.locator('main [role="alert"]')).toContainText('nobody-knows');
  await expect(page.getByTestId('verdict')).toHaveCount(0);
});

test('routes show what decides each path, and what a path is passed over by', async ({ page, sample, visit }) => {
  const [{ routes }] = sample.json(['policies', 'matrix', '--api', 'orders']);
  await visit(sample, '#/routes?api=orders');
  const seen = await words(page);
  for (const { rule, route } of routes) {
    expect(seen).toContain(rule);
    expect(seen).toContain(route.split(' ')[0]);
  }
  for (const segment of ['healthz', '{tenant}', 'refund', 'reports']) expect(seen).toContain(segment);
  await field(page, 'method').evaluate(({ localName }) => localName);
  const path = field(page, 'path');
  await path.fill('/tenants/acme/orders/42');
  await path.press('Enter');
  await expect(page.locator('main')).toContainText('read-orders');
  await expect(page.locator('main [role="status"], main [role="alert"], main [data-testid="verdict"], main output').filter({ hasText: 'GET /tenants/{tenant}/orders/{order}' }).first()).toBeVisible();
});
