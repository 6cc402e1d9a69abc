// The page of `policies matrix --format html`, opened from the disk.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compareCells, expectedCells, focused, readCells } from './support/grid.mjs';
import { axe, expect, smallTexts, test } from './support/test.mjs';

const names = (matrix) => ({ clients: matrix.clients.map(({ id }) => id), routes: matrix.routes.map(({ route }) => route) });

/** Writes the file of a server's policies and opens it. */
async function opened(page, watched, server, parameters, use) {
  const folder = await mkdtemp(join(tmpdir(), 'jeton-file-'));
  try {
    const file = join(folder, 'matrix.html');
    await writeFile(file, server.jeton(['policies', 'matrix', server.policies, ...parameters, '--format', 'html']));
    const url = pathToFileURL(file).href;
    watched.origins.add(url);
    await page.goto(url);
    await use(url);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('it names hash, folder and date, and asks for nothing', async ({ page, sample, watched }) => {
  const { hash } = await sample.api('names');
  await opened(page, watched, sample, ['--api', 'orders'], async (url) => {
    await expect(page.getByTestId('matrix')).toBeVisible();
    const words = await page.locator('body').innerText();
    expect(words).toContain(hash.slice(0, 12));
    expect(words).toContain(sample.policies);
    expect(words).toContain(new Date().toISOString().slice(0, 10));
    expect(watched.requests.map((request) => request.url())).toEqual([url]);
    const policy = await page.locator('meta[http-equiv="Content-Security-Policy" i]').getAttribute('content');
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe-eval|unsafe-inline|https?:|\*/);
    expect(await page.title()).not.toBe('');
  });
});

test('its cells are as the command says', async ({ page, sample, watched }) => {
  const [matrix] = sample.json(['policies', 'matrix', '--api', 'orders']);
  await opened(page, watched, sample, ['--api', 'orders'], async () => {
    await expect(page.locator('[data-access]').first()).toBeVisible();
    const { cells, unread } = await readCells(page, names(matrix));
    expect(unread).toEqual([]);
    const seen = compareCells(cells, expectedCells(matrix));
    const granted = matrix.clients.filter(({ has_grant: hasGrant }) => hasGrant);
    expect(seen.size).toBeGreaterThanOrEqual(granted.length * matrix.routes.length);
  });
});

test('it can be filtered and used by keyboard', async ({ page, sample, watched }) => {
  await opened(page, watched, sample, ['--api', 'orders'], async () => {
    await page.locator('[name="client"]').fill('support');
    const heads = page.locator('[data-testid="matrix"] :is([role="columnheader"], thead th)');
    await expect(heads.filter({ hasText: 'support-desk' })).toHaveCount(1);
    await expect(heads.filter({ hasText: 'acme-sync' })).toHaveCount(0);
    await page.locator('[name="route"]').fill('reports');
    await expect(page.locator('[data-access]')).toHaveCount(1);
    await page.locator('[data-access]').click();
    await page.keyboard.press('Escape');
    expect((await focused(page)).inMatrix).toBe(true);
    expect(await smallTexts(page)).toEqual([]);
  });
});

test('it prints all, with the heads on each page', async ({ page, big, watched }) => {
  const ids = ['team-1-worker-1', 'team-2-worker-2'];
  await opened(page, watched, big, ['--api', 'shop', ...ids.flatMap((id) => ['--client', id])], async () => {
    await page.emulateMedia({ media: 'print' });
    await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
    await expect.poll(() => page.locator('tr, [role="row"]').filter({ visible: true }).count()).toBeGreaterThan(1200);
    await expect(page.locator('input').filter({ visible: true })).toHaveCount(0);
    const repeats = await page.evaluate(() => [...document.querySelectorAll('thead')].filter((one) => one.checkVisibility()).map((one) => getComputedStyle(one).display));
    expect(repeats).toEqual(['table-header-group']);
    const pdf = await page.pdf({ format: 'A4', landscape: true });
    const pages = pdf.toString('latin1').match(/\/Type\s*\/Page\b/g).length;
    expect(pages).toBeGreaterThan(15);
  });
});

test('hostile names are texts there too', async ({ page, hostile, watched }) => {
  await opened(page, watched, hostile, ['--api', 'web'], async () => {
    await expect(page.locator('[data-access]').first()).toBeVisible();
    const made = await page.evaluate(() => [...document.querySelectorAll('*')]
      .filter((one) => one.localName.startsWith('x-') || one.matches('img, iframe, script[src], object, embed, base'))
      .map((one) => one.outerHTML.slice(0, 120)));
    expect(made).toEqual([]);
    await expect(page.locator('[data-testid="matrix"]')).toContainText('"><img src=x onerror=alert(1)>');
  });
});

test('axe finds nothing serious in it', async ({ page, sample, watched }) => {
  await opened(page, watched, sample, ['--api', 'orders'], async () => {
    expect(await axe(page)).toEqual([]);
  });
});
