// The playground: a copy of the policies, edited in the page and checked by the server.

import { ask } from './support/server.mjs';
import { edit as editFile, expect, jeton, mkdtemp, rm, samplePolicies, settled, test, tmpdir } from './support/test.mjs';
import { join } from 'node:path';

const editor = (page) => page.locator('main textarea').filter({ visible: true }).first();

/** Opens the tab of a file, and changes its text in the editor. */
async function edit(page, file, before, after) {
  await page.getByRole('tab', { name: file }).click();
  const field = editor(page);
  const text = await field.inputValue();
  expect(text.split(before).length, `\`${before}\` stands once in ${file}`).toBe(2);
  await field.fill(text.replace(before, () => after));
}

const result = (page, name) => page.getByRole('tab', { name }).click();

test('the copy is that of the policies in force, and loads', async ({ page, sample, visit }) => {
  const { hash } = await sample.api('names');
  await visit(sample, '#/try');
  await expect(page.locator('main')).toContainText(hash.slice(0, 8));
  await page.getByRole('tab', { name: 'orders.yaml' }).click();
  await expect(editor(page)).toHaveValue(/orders:refund {2}|orders:refund:/);
});

test('a mistake shows its finding in place', async ({ page, sample, visit }) => {
  await visit(sample, '#/try');
  await edit(page, 'orders.yaml', '          scope: reports:read', '          scope: reports:raed');
  const main = page.locator('main');
  await expect(main).toContainText('reports:raed');
  await expect(main).toContainText(/does not load|error/);
  const folder = await mkdtemp(join(tmpdir(), 'jeton-try-'));
  await samplePolicies(folder);
  await editFile(join(folder, 'policies/orders.yaml'), '          scope: reports:read', '          scope: reports:raed');
  const checked = jeton(['policies', 'check', 'policies', '--format', 'json'], { cwd: folder, allow: [1] });
  await rm(folder, { recursive: true });
  const answer = JSON.parse(checked);
  const [finding] = (answer.findings ?? answer).filter(({ severity }) => severity === 'error');
  expect(finding.file).toContain('orders.yaml');
  await expect(main.locator('.finding').first()).toContainText(`${finding.line}:${finding.column}`);
  await expect(main.locator('.finding').first()).toContainText(finding.message.replaceAll('`', ''));
  // the place leads to the line
  await main.locator('.finding button').first().click();
  const line = await editor(page).evaluate(({ value, selectionStart }) => value.slice(0, selectionStart).split('\n').length);
  expect(line).toBe(finding.line);
});

test('a good edit shows its difference, its matrix and its explanation', async ({ page, sample, visit }) => {
  await visit(sample, '#/try');
  await edit(page, 'orders.yaml', '          scope: reports:read', '          scope: orders:read');
  await result(page, /diff/i);
  const gains = page.locator('[data-testid="change"][data-effect="gains"]');
  await expect(gains.first()).toBeVisible();
  await expect(gains.filter({ hasText: 'acme-sync' }).first()).toContainText('/reports/**');
  await result(page, /matrix/i);
  const cells = page.locator('[data-testid="matrix"] [data-access]');
  await expect(cells.first()).toBeVisible();
  const reports = page.locator('[data-testid="matrix"] :is([role="row"], tr)').filter({ hasText: '/reports/**' });
  await expect(reports.locator('[data-access="always"]').first()).toBeVisible();
  await expect(reports.locator('[data-access="always"]')).toHaveCount(3);
  await result(page, /explain/i);
  const panel = page.getByRole('tabpanel').filter({ has: page.locator('[name="path"]'), visible: true });
  await panel.locator('[name="api"]').evaluate((one) => one.localName).then((tag) => (tag === 'select' ? panel.locator('[name="api"]').selectOption('orders') : panel.locator('[name="api"]').fill('orders')));
  await panel.locator('[name="as"]').fill('acme-sync');
  await panel.locator('[name="path"]').fill('/reports/2026/q3');
  await panel.locator('[name="path"]').press('Enter');
  await expect(panel.getByTestId('verdict')).toHaveText(/^allowed/);
  // nothing of it is in force
  expect((await sample.api('explain', { api: 'orders', as: 'acme-sync', method: 'GET', path: '/reports/2026/q3' })).allowed).toBe(false);
});

test('the copy stays while the page is open, and goes with it', async ({ page, sample, visit }) => {
  await visit(sample, '#/try');
  await edit(page, 'orders.yaml', '          scope: reports:read', '          scope: orders:read');
  await page.locator('nav a[href^="#/keys"]').first().click();
  await expect(page.getByTestId('key').first()).toBeVisible();
  await page.goBack();
  await settled(page);
  await page.getByRole('tab', { name: 'orders.yaml' }).click();
  expect(await editor(page).inputValue()).toContain('        require:\n          scope: orders:read\n');
  const kept = await page.evaluate(async () => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, await indexedDB.databases()]));
  expect(kept).toBe('[{},{},"",[]]');
});

test('a check is bounded', async ({ sample }) => {
  const check = (body, headers = {}) => ask(`${sample.console}api/check`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
  const large = await check(JSON.stringify({ files: [{ name: 'a.yaml', text: '#'.repeat(5 * 2 ** 20) }], ask: null }));
  expect(large.status).toBe(413);
  expect((await check('{"files":')).status).toBe(400);
  expect((await check(JSON.stringify({ files: [{ name: 'a.yaml', text: 'version: 1\n' }], ask: null }), { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
  const good = await check(JSON.stringify({ files: [{ name: 'a.yaml', text: 'version: 1\n' }], ask: null }));
  expect(good.status).toBe(200);
});

test('a reset that fails says why', async ({ page, sample, visit }) => {
  await visit(sample, '#/try');
  // the first answer writes the tabs anew
  await expect(page.locator('main [role="status"]').filter({ hasText: 'loads' })).toBeVisible();
  await edit(page, 'orders.yaml', '          scope: reports:read', '          scope: orders:read');
  await page.route('**/api/sources', (route) => route.fulfill({ status: 500, json: { detail: 'no sources today' } }));
  await page.evaluate(() => {
    globalThis.confirm = () => true;
  });
  await page.getByRole('button', { name: 'Reset' }).click();
  await expect(page.locator('main [role="alert"]')).toContainText('no sources today');
  await page.unroute('**/api/sources');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('tab', { name: 'orders.yaml' }).click();
  await expect(editor(page)).toHaveValue(/scope: reports:read/);
});
