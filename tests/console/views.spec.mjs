// What holds for every view: of the sample, of the big folder, and of hostile names.

import { HOSTILE_CLIENTS, VIEWS, axe, expect, settled, smallTexts, test } from './support/test.mjs';

const APIS = { sample: 'orders', big: 'shop', hostile: 'web' };
/** The address of a view that shows something of an API, where it is about one. */
const shown = ({ name, address }, server) => (['matrix', 'routes'].includes(name) ? `${address}?api=${APIS[server]}` : address);

/** Goes to a view that can show what it is about. */
async function look({ page, visit }, server, address) {
  await visit(server, address);
  await expect(page.locator('nav').first().getByRole('link', { includeHidden: true })).toHaveCount(VIEWS.length);
  await expect(page.locator('main [role="alert"]')).toHaveCount(0);
}

for (const server of ['sample', 'big', 'hostile']) {
  test.describe(server, () => {
    for (const view of VIEWS) {
      test(`${view.name} is there`, async ({ page, visit, servers }) => {
        await look({ page, visit }, await servers(server), shown(view, server));
        await expect(page.locator('main')).toHaveCount(1);
        await expect(page.locator('main')).not.toHaveAttribute('aria-busy', 'true');
        await expect(page.locator('h1')).toHaveCount(1);
        await expect(page.locator('h1')).not.toBeEmpty();
        expect((await page.title()).length).toBeGreaterThan(4);
        const nav = page.locator('nav').first();
        for (const { address } of VIEWS) {
          await expect(nav.locator(`a[href="${address}"], a[href^="${address}?"], a[href$="/console/${address}"]`), address).not.toHaveCount(0);
        }
        await expect(nav.locator('[aria-current]')).toHaveCount(1);
        expect(await smallTexts(page)).toEqual([]);
      });
    }
  });
}

test('each view has a title of its own, and the links lead there', async ({ page, sample, visit }) => {
  await visit(sample);
  const titles = new Set();
  for (const { name, address } of VIEWS) {
    await page.locator(`nav a[href^="${address}"]`).first().click();
    await expect.poll(() => new URL(page.url()).hash.split('?')[0] || '#/').toBe(address);
    await settled(page);
    await expect.poll(async () => titles.has(await page.title()), { message: `the title of ${name} is that of another view` }).toBe(false);
    titles.add(await page.title());
  }
  expect(titles.size).toBe(VIEWS.length);
});

for (const scheme of ['light', 'dark']) {
  test.describe(scheme, () => {
    test.use({ colorScheme: scheme });

    for (const view of VIEWS) {
      test(`axe finds nothing serious in ${view.name}`, async ({ page, visit, sample }) => {
        await look({ page, visit }, sample, shown(view, 'sample'));
        expect(await axe(page)).toEqual([]);
      });
    }

    test('axe finds nothing serious in what opens', async ({ page, visit, sample }) => {
      await visit(sample, '#/matrix?api=orders');
      await page.locator('[data-access="never"]').first().click();
      await expect(page.getByTestId('detail')).toBeVisible();
      expect(await axe(page)).toEqual([]);
      expect(await smallTexts(page)).toEqual([]);
      await visit(sample, '#/explain?api=orders&as=acme-sync&method=GET&path=/tenants/globex/orders');
      await expect(page.getByTestId('verdict')).toContainText(/^denied/);
      expect(await axe(page)).toEqual([]);
      expect(await smallTexts(page)).toEqual([]);
    });

    test('the page has the colours of the system', async ({ page, visit, sample }) => {
      await visit(sample);
      const [background, text] = await page.evaluate(() => {
        const { backgroundColor, color } = getComputedStyle(document.body);
        const context = document.createElement('canvas').getContext('2d');
        return [getComputedStyle(document.documentElement).backgroundColor, backgroundColor, color].map((one) => {
          context.clearRect(0, 0, 1, 1);
          context.fillStyle = one;
          context.fillRect(0, 0, 1, 1);
          const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
          return { light: (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255, a };
        }).filter(({ a }) => a > 0).map(({ light }) => light).slice(-2);
      });
      if (scheme === 'dark') expect(background).toBeLessThan(0.25);
      else expect(background).toBeGreaterThan(0.85);
      expect(Math.abs(background - text)).toBeGreaterThan(0.5);
    });
  });
}

test.describe('on a phone', () => {
  test.use({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });

  for (const view of VIEWS) {
    for (const server of ['sample', 'hostile']) {
      test(`${view.name} of ${server} fits`, async ({ page, visit, servers }) => {
        await look({ page, visit }, await servers(server), shown(view, server));
        const { wide, who } = await page.evaluate(() => ({
          wide: document.documentElement.scrollWidth,
          who: [...document.body.querySelectorAll('*')]
            .filter((one) => one.getBoundingClientRect().right > 361)
            .filter((one) => {
              for (let around = one.parentElement; around && around !== document.body; around = around.parentElement) {
                if (/auto|scroll|hidden|clip/.test(getComputedStyle(around).overflowX)) return false;
              }
              return true;
            })
            .slice(0, 5).map((one) => `<${one.localName} class="${one.className}"> ${one.textContent.slice(0, 40)}`),
        }));
        expect(wide, who.join('\n')).toBeLessThanOrEqual(360);
        await expect(page.locator('h1')).toBeInViewport();
      });
    }
  }

  test('a cell opens its detail within the screen', async ({ page, visit, sample }) => {
    await visit(sample, '#/matrix?api=orders');
    await page.locator('[data-access="never"]').first().tap();
    const detail = page.getByTestId('detail');
    await expect(detail).toBeVisible();
    const { x, width } = await detail.boundingBox();
    expect(x).toBeGreaterThanOrEqual(0);
    expect(x + width).toBeLessThanOrEqual(360);
    await expect(detail).toBeInViewport();
  });

  test('the other views can be reached', async ({ page, visit, sample }) => {
    await visit(sample);
    const link = page.locator('nav a[href^="#/keys"]').first();
    if (!await link.isVisible()) {
      await page.locator('header button, header summary, nav summary, nav button, body > button').first().tap();
    }
    await link.tap();
    await expect(page.getByTestId('key').first()).toBeVisible();
  });
});

test('the tab key reaches everything in each view, and shows where it is', async ({ page, visit, sample }) => {
  for (const view of VIEWS) {
    await look({ page, visit }, sample, shown(view, 'sample'));
    const wanted = await page.evaluate(() => {
      const usable = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
        .filter((one) => !one.disabled && one.tabIndex >= 0 && one.type !== 'hidden' && one.checkVisibility({ visibilityProperty: true }));
      // of radio buttons of one name, one is a stop
      const groups = new Set();
      let stops = 0;
      for (const one of usable) {
        if (one.type === 'radio') {
          if (groups.has(one.name)) continue;
          groups.add(one.name);
        }
        one.dataset.stop = '';
        stops += 1;
      }
      document.activeElement?.blur();
      return stops;
    });
    const reached = new Set();
    const unseen = new Set();
    for (let tabs = 0; tabs < wanted + 40 && reached.size < wanted; tabs += 1) {
      await page.keyboard.press('Tab');
      const found = await page.evaluate(() => {
        const active = document.activeElement;
        if (!active || active === document.body) return null;
        const marked = document.getElementById(active.getAttribute('aria-activedescendant') ?? '') ?? active;
        const visible = [active, marked, marked.closest('label')].filter(Boolean).some((one) => {
          const style = getComputedStyle(one);
          return (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none';
        });
        // or the frame around it
        const frames = [];
        for (let around = active.parentElement; around.localName !== 'main' && around !== document.body; around = around.parentElement) frames.push(around);
        const framed = frames.some((one) => getComputedStyle(one).outlineStyle !== 'none');
        return { stop: 'stop' in active.dataset, html: active.outerHTML.slice(0, 120), visible: visible || framed };
      });
      if (!found) continue;
      if (!found.visible) unseen.add(found.html);
      if (found.stop) {
        await page.evaluate(() => delete document.activeElement.dataset.stop);
        reached.add(tabs);
      }
    }
    const missed = await page.locator('[data-stop]').evaluateAll((all) => all.map((one) => one.outerHTML.slice(0, 120)));
    expect(missed, view.name).toEqual([]);
    expect([...unseen], `${view.name}: where the focus is cannot be seen`).toEqual([]);
  }
});

test('hostile names are texts in each view', async ({ page, visit, hostile }) => {
  for (const view of VIEWS) {
    await look({ page, visit }, hostile, shown(view, 'hostile'));
    const made = await page.evaluate(() => [...document.querySelectorAll('*')]
      .filter((one) => one.localName.startsWith('x-') || one.matches('img:not([src="icon.svg"]), script:not([src]), iframe, object, embed, base, form[action]')
        || [...one.attributes].some(({ name, value }) => name.startsWith('on') || (['href', 'src', 'action', 'formaction'].includes(name) && /^\s*javascript:/i.test(value))))
      .map((one) => one.outerHTML.slice(0, 120)));
    expect(made, view.name).toEqual([]);
  }
});

test('each hostile name is shown whole and isolated', async ({ page, visit, hostile }) => {
  await visit(hostile, '#/clients');
  const texts = await page.getByTestId('client').evaluateAll((all) => all.map((one) => [one.textContent, ...[...one.querySelectorAll('[title]')].map(({ title }) => title)].join('\n')));
  const all = texts.join('\n');
  for (const id of HOSTILE_CLIENTS) expect(all).toContain(id);
  const open = await page.evaluate(() => {
    const turned = /[\u202a-\u202e\u2066-\u2069\u0590-\u06ff]/;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
      const { data, parentElement } = walker.currentNode;
      if (!turned.test(data)) continue;
      let element = parentElement;
      while (element && element !== document.body && !(element.localName === 'bdi' || /isolate|plaintext/.test(getComputedStyle(element).unicodeBidi))) element = element.parentElement;
      // block elements isolate too
      if (!element || element === document.body) found.push(`<${parentElement.localName} class="${parentElement.className}"> ${JSON.stringify(data).slice(0, 60)}`);
    }
    return found;
  });
  expect(open).toEqual([]);
});

test('the answers forbid what they must', async ({ sample, page, visit }) => {
  const { ask } = await import('./support/server.mjs');
  for (const path of ['', 'main.js', 'style.css', 'api/overview']) {
    const { status, headers } = await ask(sample.console + path);
    expect(status, path).toBe(200);
    expect(headers['content-security-policy']).toContain("default-src 'self'");
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(headers['content-security-policy']).not.toContain('unsafe');
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['referrer-policy']).toBe('no-referrer');
    expect(headers['cross-origin-opener-policy']).toBe('same-origin');
    expect(headers['cross-origin-resource-policy']).toBe('same-origin');
    expect(headers['access-control-allow-origin']).toBeUndefined();
    if (path.startsWith('api/')) expect(headers['cache-control']).toContain('no-store');
  }
  // nobody else's page may ask, and no other form of a POST
  const body = JSON.stringify({ api: 'orders', method: 'GET', path: '/healthz' });
  const post = (headers) => ask(`${sample.console}api/explain`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
  expect((await post({})).status).toBe(200);
  expect((await post({ 'sec-fetch-site': 'same-origin' })).status).toBe(200);
  for (const site of ['cross-site', 'same-site']) expect((await post({ 'sec-fetch-site': site })).status).toBe(403);
  expect((await post({ 'content-type': 'text/plain' })).status).toBe(415);
  expect((await ask(`${sample.console}api/overview`, { headers: { host: 'evil.example' } })).status).toBe(421);
  await visit(sample);
});

test('all files together are small', async ({ sample, page, visit, watched }) => {
  const { ask } = await import('./support/server.mjs');
  for (const { address } of VIEWS) await visit(sample, address);
  const paths = new Set(watched.requests.map((request) => request.url().split('#')[0]).filter((url) => !url.includes('/api/')));
  let [plain, packed] = [0, 0];
  for (const url of paths) {
    plain += (await ask(url)).bytes.length;
    const { bytes, headers } = await ask(url, { headers: { 'accept-encoding': 'gzip' } });
    expect(headers['content-encoding'], url).toBe('gzip');
    packed += bytes.length;
  }
  process.stdout.write(`the console: ${paths.size} files, ${(plain / 1024).toFixed(1)} KiB, gzip ${(packed / 1024).toFixed(1)} KiB\n`);
  expect(paths.size).toBeGreaterThan(8);
  expect(plain).toBeLessThanOrEqual(150 * 1024);
  expect(packed).toBeLessThanOrEqual(50 * 1024);
  expect(await page.title()).not.toBe('');
});
