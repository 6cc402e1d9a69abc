// Reads a matrix as a program does that knows the contract alone: `data-testid="matrix"`, heads that begin with the
// client or the route, `data-access`, and `aria-colindex` where the grid holds only what is in view.

import { expect } from '@playwright/test';

/** The cells that the page holds now: client, route, access and all words of each. */
export function readCells(page, { clients, routes }) {
  return page.evaluate(({ clients: ids, routes: patterns }) => {
    const matrix = document.querySelector('[data-testid="matrix"]');
    const words = (element) => [element.title, ...[...element.querySelectorAll('[title]')].map((one) => one.title), element.textContent]
      .map((text) => (text ?? '').trim());
    // the longest name with which one of its words begins
    const named = (element, names) => {
      let best;
      for (const name of names) {
        if ((best === undefined || name.length > best.length) && words(element).some((text) => text.startsWith(name.trim()))) best = name;
      }
      return best;
    };
    const heads = [...matrix.querySelectorAll('[role="columnheader"], thead th')];
    const byColumn = new Map();
    for (const head of heads) {
      const column = head.getAttribute('aria-colindex') ?? head.cellIndex;
      if (column !== undefined && column !== null) byColumn.set(String(column), named(head, ids));
    }
    const rows = new Map();
    const unread = [];
    const cells = [];
    for (const cell of matrix.querySelectorAll('[data-access]')) {
      const row = cell.closest('[role="row"], tr');
      if (!rows.has(row)) {
        const head = row?.querySelector('[role="rowheader"], th');
        rows.set(row, head ? named(head, patterns) : undefined);
      }
      const column = cell.getAttribute('aria-colindex') ?? cell.cellIndex;
      const [client, route] = [byColumn.get(String(column)), rows.get(row)];
      if (client === undefined || route === undefined) {
        unread.push(`column ${column}, ${row?.textContent.slice(0, 60)}`);
        continue;
      }
      cells.push({ client, route, access: cell.dataset.access, words: words(cell).join('\n') });
    }
    return { cells, unread };
  }, { clients, routes });
}

/** What a cell must be, from the JSON of `policies matrix`. */
export function expectedCells(matrix) {
  const expected = new Map();
  for (const { route, access } of matrix.routes) {
    matrix.clients.forEach(({ id }, index) => expected.set(`${id}\n${route}`, access[index]));
  }
  return expected;
}

/** Compares cells with what the command says; returns how many were compared, and throws at a difference. */
export function compareCells(cells, expected, seen = new Set()) {
  for (const { client, route, access, words } of cells) {
    const wanted = expected.get(`${client}\n${route}`);
    const isWanted = typeof wanted === 'string' ? access === wanted : access === 'when' && words.split('\n').some((text) => text === wanted?.when || text === `when ${wanted?.when}`);
    if (!isWanted) throw new Error(`the cell of ${client} and ${route} is ${access} (${words}), and the command says ${JSON.stringify(wanted)}`);
    seen.add(`${client}\n${route}`);
  }
  return seen;
}

/** Marks the element that scrolls the matrix, and says how far. */
export async function scroller(page) {
  await expect(page.locator('[data-testid="matrix"] [data-access]').first()).toBeVisible();
  const size = await page.evaluate(() => {
    const matrix = document.querySelector('[data-testid="matrix"]');
    const scrolls = (element) => {
      const { overflowX, overflowY } = getComputedStyle(element);
      return (/auto|scroll/.test(overflowY) && element.scrollHeight > element.clientHeight + 1)
        || (/auto|scroll/.test(overflowX) && element.scrollWidth > element.clientWidth + 1);
    };
    const around = [];
    for (let element = matrix; element && element !== document.body; element = element.parentElement) around.push(element);
    const found = [...around, ...matrix.querySelectorAll('*')].find(scrolls);
    if (!found) return null;
    found.dataset.scroller = '';
    return { width: found.scrollWidth - found.clientWidth, height: found.scrollHeight - found.clientHeight };
  });
  if (!size) throw new Error('nothing scrolls the matrix');
  return { ...size, element: page.locator('[data-scroller]') };
}

export async function scrollTo(page, x, y) {
  await page.evaluate(async ([left, top]) => {
    document.querySelector('[data-scroller]').scrollTo({ left, top, behavior: 'instant' });
    for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
  }, [x, y]);
}

/** A generator of numbers from 0 to 1 that gives the same ones for a seed (mulberry32). */
export function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The element that has the focus, and the cell that it stands for (itself, or by `aria-activedescendant`). */
export const focused = (page) => page.evaluate(() => {
  const active = document.activeElement;
  const cell = document.getElementById(active?.getAttribute('aria-activedescendant') ?? '') ?? active;
  const row = cell.closest('[role="row"], tr');
  return {
    inMatrix: Boolean(active.closest('[data-testid="matrix"]')),
    isCell: 'access' in cell.dataset,
    access: cell.dataset.access,
    column: cell.getAttribute('aria-colindex') ?? String(cell.cellIndex),
    row: row?.getAttribute('aria-rowindex') ?? String(row?.rowIndex),
  };
});
