import { compareCells, expectedCells, focused, random, readCells, scroller, scrollTo } from './support/grid.mjs';
import { expect, settled, test } from './support/test.mjs';

const matrixOf = (server, api) => server.json(['policies', 'matrix', '--api', api])[0];
const names = (matrix) => ({ clients: matrix.clients.map(({ id }) => id), routes: matrix.routes.map(({ route }) => route) });
/** `AccessMatrix` of the command from the answer of the console. */
const decoded = ({ conditions, routes }) => routes.map(({ route, rule, access }) => ({
  route,
  rule,
  access: access.map((code) => (code === 0 ? 'never' : code === 1 ? 'always' : { when: conditions[code - 2] })),
}));

for (const api of ['orders', 'jeton']) {
  test(`each cell of the sample's ${api} is as the command says`, async ({ page, sample, visit }) => {
    const matrix = matrixOf(sample, api);
    await visit(sample, `#/matrix?api=${api}`);
    await expect(page.locator('[data-access]').first()).toBeVisible();
    const { cells, unread } = await readCells(page, names(matrix));
    expect(unread).toEqual([]);
    const seen = compareCells(cells, expectedCells(matrix));
    // clients without a grant may be left out
    for (const { id, has_grant: hasGrant } of matrix.clients) {
      for (const { route } of matrix.routes) {
        if (hasGrant) expect(seen, `${id} ${route}`).toContain(`${id}\n${route}`);
      }
    }
  });
}

test('the answer of the console holds every cell that the command has', async ({ big, sample }) => {
  for (const [server, api] of [[sample, 'orders'], [sample, 'jeton'], [big, 'billing'], [big, 'shop']]) {
    const matrix = matrixOf(server, api);
    const answer = await server.api(`matrix?api=${api}`);
    expect(answer.clients.map(({ id, has_grant: hasGrant, credentials }) => ({ id, hasGrant, credentials })))
      .toEqual(matrix.clients.map(({ id, has_grant: hasGrant, credentials }) => ({ id, hasGrant, credentials })));
    const found = decoded(answer);
    expect(found.length).toBe(matrix.routes.length);
    let cells = 0;
    found.forEach((row, index) => {
      const { route, rule, access } = matrix.routes[index];
      expect([row.route, row.rule]).toEqual([route, rule]);
      // by text: 600,000 comparisons of objects by `expect` take minutes
      if (JSON.stringify(row.access) !== JSON.stringify(access)) throw new Error(`${api} ${route} differs`);
      cells += access.length;
    });
    expect(cells).toBe(matrix.clients.length * matrix.routes.length);
    if (api === 'shop') expect(cells).toBeGreaterThan(600_000);
  }
});

test('2,000 cells at random places of the big matrix are as the command says', async ({ page, big, visit }) => {
  const matrix = matrixOf(big, 'shop');
  const known = names(matrix);
  const expected = expectedCells(matrix);
  await visit(big, '#/matrix?api=shop');
  const { width, height } = await scroller(page);
  expect(Math.min(width, height)).toBeGreaterThan(1000);
  const seed = Date.now() % 2 ** 31;
  test.info().annotations.push({ type: 'seed', description: String(seed) });
  const next = random(seed);
  const seen = new Set();
  const states = new Set();
  for (let place = 0; place < 200 && seen.size < 2000; place += 1) {
    await scrollTo(page, next() * width, next() * height);
    const { cells, unread } = await readCells(page, known);
    expect(unread, `seed ${seed}`).toEqual([]);
    expect(cells.length, `seed ${seed}: cells in view`).toBeGreaterThan(0);
    compareCells(cells, expected, seen);
    cells.forEach(({ access }) => states.add(access));
  }
  expect(seen.size).toBeGreaterThanOrEqual(2000);
  expect([...states].sort()).toEqual(['always', 'never', 'when']);
});

test('every corner of the big matrix can be reached', async ({ page, big, visit }) => {
  const matrix = matrixOf(big, 'shop');
  const known = names(matrix);
  await visit(big, '#/matrix?api=shop');
  const { width, height } = await scroller(page);
  const granted = matrix.clients.filter(({ has_grant: hasGrant }) => hasGrant);
  const clients = new Set();
  const routes = new Set();
  for (const [x, y] of [[0, 0], [width, 0], [0, height], [width, height]]) {
    await scrollTo(page, x, y);
    const { cells } = await readCells(page, known);
    cells.forEach(({ client, route }) => {
      clients.add(client);
      routes.add(route);
    });
  }
  expect(clients).toContain(granted[0].id);
  expect([...clients].some((id) => granted.slice(-5).some((client) => client.id === id))).toBe(true);
  expect(routes).toContain(matrix.routes[0].route);
  expect(routes.size).toBeGreaterThan(10);
});

test('the head row and the route column stay in view', async ({ page, big, visit }) => {
  await visit(big, '#/matrix?api=shop');
  const { width, height, element } = await scroller(page);
  await scrollTo(page, width / 2, height / 2);
  const frame = await element.boundingBox();
  const inView = async (role) => {
    const boxes = await page.locator(`[data-testid="matrix"] ${role}`).evaluateAll((all) => all
      .filter((one) => one.textContent.trim())
      .map((one) => {
        const { x, y, width: w, height: h } = one.getBoundingClientRect();
        const middle = document.elementFromPoint(x + w / 2, y + h / 2);
        return { x, y, w, h, shown: Boolean(middle && (one.contains(middle) || middle.contains(one))) };
      }));
    return boxes.filter(({ x, y, w, h, shown }) => shown && x + w > frame.x && x < frame.x + frame.width
      && y + h > frame.y && y < frame.y + frame.height);
  };
  const heads = await inView(':is([role="columnheader"], thead th)');
  expect(heads.length).toBeGreaterThan(2);
  for (const head of heads) expect(head.y).toBeLessThan(frame.y + 200);
  const routes = await inView(':is([role="rowheader"], tbody th)');
  expect(routes.length).toBeGreaterThan(5);
  for (const route of routes) expect(Math.abs(route.x - frame.x)).toBeLessThan(40);
});

test('a cell tells its state without colour', async ({ page, sample, visit }) => {
  await visit(sample, '#/matrix?api=orders');
  const shown = await page.locator('[data-access]').evaluateAll((cells) => cells.map((cell) => {
    const parts = [cell, ...cell.querySelectorAll('*')].flatMap((element) => ['::before', '::after']
      .map((part) => getComputedStyle(element, part).content)
      .filter((content) => !['none', 'normal'].includes(content)));
    return { access: cell.dataset.access, text: `${cell.innerText.trim()} ${parts.join(' ')}`.trim(), name: cell.getAttribute('aria-label') ?? cell.textContent };
  }));
  const texts = Object.groupBy ? Object.groupBy(shown, ({ access }) => access) : shown.reduce((all, one) => ({ ...all, [one.access]: [...(all[one.access] ?? []), one] }), {});
  const first = (access, of) => new Set(texts[access].map(of));
  for (const of of [({ text }) => text, ({ name }) => name]) {
    const [always, never, when] = ['always', 'never', 'when'].map((access) => first(access, of));
    for (const text of always) expect(never.has(text) || when.has(text), `\`${text}\` stands for two states`).toBe(false);
    for (const text of never) expect(when.has(text), `\`${text}\` stands for two states`).toBe(false);
  }
});

test('a cell opens its rule with file, line and YAML', async ({ page, sample, visit }) => {
  await visit(sample, '#/matrix?api=orders');
  await page.locator('[data-access="when"]').first().click();
  const detail = page.getByTestId('detail');
  await expect(detail).toBeVisible();
  await expect(detail).toContainText('orders.yaml');
  await expect(detail).toContainText('same_as_path: tenant');
  await expect(detail).toContainText('tenant = ');
  const { clients, routes } = matrixOf(sample, 'orders');
  const client = clients.find(({ id }) => id === 'acme-sync');
  const route = routes.find((one) => one.route.startsWith('POST') && one.route.endsWith('refund'));
  const cell = await sample.api(`cell?api=orders&client=${client.id}&route=${encodeURIComponent(route.route)}`);
  expect(cell.access).toBe('never');
  expect(cell.rule.rule).toBe('refund');
  expect(cell.rule.text.map(({ text }) => text).join('\n')).toContain('role: support-lead');
});

test('a denied cell says the least that is missing, and who has it', async ({ page, sample, visit }) => {
  const matrix = matrixOf(sample, 'orders');
  await visit(sample, '#/matrix?api=orders');
  const index = await page.locator('[data-access="never"]').evaluateAll((cells) => cells.findIndex((cell) => {
    const row = cell.closest('[role="row"], tr');
    return row.querySelector('[role="rowheader"], th').textContent.includes('/reports/**');
  }));
  expect(index).toBeGreaterThanOrEqual(0);
  await page.locator('[data-access="never"]').nth(index).click();
  const detail = page.getByTestId('detail');
  await expect(detail).toContainText('reports:read');
  await expect(detail).toContainText('support-desk');
  // it is true: a client that is said to have it may use the route
  const support = matrix.clients.findIndex(({ id }) => id === 'support-desk');
  expect(matrix.routes.find(({ route }) => route === 'GET /reports/**').access[support]).toBe('always');
});

test('the keys of the arrows, Enter and Escape are enough', async ({ page, big, visit }) => {
  await visit(big, '#/matrix?api=shop');
  await scroller(page);
  for (let tabs = 0; tabs < 80; tabs += 1) {
    await page.keyboard.press('Tab');
    if ((await focused(page)).inMatrix) break;
  }
  expect((await focused(page)).inMatrix).toBe(true);
  for (const key of ['ArrowDown', 'ArrowRight', 'ArrowDown', 'ArrowRight', 'ArrowDown']) await page.keyboard.press(key);
  const before = await focused(page);
  expect(before.isCell).toBe(true);
  await page.keyboard.press('ArrowRight');
  const right = await focused(page);
  expect(Number(right.column)).toBe(Number(before.column) + 1);
  await page.keyboard.press('PageDown');
  const below = await focused(page);
  expect(Number(below.row)).toBeGreaterThan(Number(right.row) + 2);
  await page.keyboard.press('Control+End');
  const last = await focused(page);
  expect(last.isCell).toBe(true);
  expect(Number(last.column)).toBeGreaterThan(490);
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('detail')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByTestId('detail')).toBeHidden();
  expect(await focused(page)).toEqual(last);
  await page.keyboard.press('Control+Home');
  const home = await focused(page);
  expect(Number(home.column)).toBeLessThan(4);
  expect(home.isCell || home.inMatrix).toBe(true);
});

test('an address without an API shows the first one, and its links the others', async ({ page, sample, visit }) => {
  await visit(sample, '#/matrix');
  await expect(page.getByTestId('matrix').first()).toBeVisible();
  await expect(page.locator('[data-access]').first()).toBeVisible();
});

test('an API that is not there is said', async ({ page, sample, visit }) => {
  await visit(sample, '#/matrix?api=nowhere');
  await expect(page.locator('main')).toContainText('nowhere');
  await expect(page.locator('[data-access]')).toHaveCount(0);
});

test('filters leave what they name', async ({ page, big, visit }) => {
  await visit(big, '#/matrix?api=shop');
  const fields = page.locator('main').getByRole('searchbox').or(page.locator('main input[type="text"], main input:not([type])'));
  const client = fields.and(page.locator('[name="client"]'));
  await client.fill('team-3-worker-3');
  await expect.poll(async () => page.locator('[data-testid="matrix"] [role="columnheader"], [data-testid="matrix"] thead th').allInnerTexts()
    .then((texts) => texts.filter((text) => /team-/.test(text)).every((text) => text.includes('team-3-worker-3')) && texts.some((text) => /team-3-worker-3/.test(text)))).toBe(true);
  await fields.and(page.locator('[name="route"]')).fill('/carts/health');
  await expect.poll(async () => page.locator('[data-access]').count()).toBeLessThan(40);
  await expect(page.locator('[data-access="always"]').first()).toBeVisible();
  await settled(page);
});

test('a filter that is late leaves the address of another view alone', async ({ page, sample, visit }) => {
  await visit(sample, '#/matrix?api=orders');
  await expect(page.locator('[data-access]').first()).toBeVisible();
  await page.locator('[name="client"]').evaluate((one) => {
    one.value = 'acme';
    one.dispatchEvent(new Event('input', { bubbles: true }));
    location.hash = '#/keys';
  });
  await expect(page.getByTestId('key').first()).toBeVisible();
  await page.waitForTimeout(400);
  expect(new URL(page.url()).hash).toBe('#/keys');
});

test('a filter by scope that cannot be is said', async ({ page, sample, visit }) => {
  await visit(sample, '#/matrix?api=orders');
  await page.route('**/api/routes?**', (route) => route.fulfill({ status: 500, json: { detail: 'no routes today' } }));
  const said = page.locator('main [role="status"]').first();
  await page.locator('[name="scope"]').fill('reports');
  await expect(said).toContainText('not filtered by scope');
  await expect(said).toContainText('no routes today');
  await expect(page.locator('[data-access]').first()).toBeVisible();
  await page.unroute('**/api/routes?**');
  await page.locator('[name="scope"]').fill('reports:');
  await expect(said).toContainText(/^1 of/);
  await expect(said).not.toContainText('not filtered');
});
