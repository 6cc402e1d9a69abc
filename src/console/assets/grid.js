// An ARIA grid of many rows and columns, of which only those in view are elements. The head and the first column stay in view.
// Rows have one height and each column has its own width, so that the place of every cell is known.

import { h, put } from "./dom.js";

// How many rows and columns beside those in view are there too.
const BESIDE = { rows: 4, columns: 1 };
// So many cells are all there, for the search of the browser.
const WHOLE = 2000;
// The index of the first row below the head, and of the first column beside the heads of the rows.
const FIRST = 2;
// Where the focus is: `HEAD` is the row of heads or the column of heads.
const HEAD = -1;
// The attributes that a cell may have and another has not.
const VARYING = ["title", "data-access", "aria-expanded"];

// Returns `{ element, set(given), focus() }`. `given` is `{ corner, columns, rows, headWidth(room) }`, in pixels. A column is
// `{ width, head() }`. A row is `{ head(), cell(column) }`; the head of a group is `{ group(), cell(column), toggle() }`. These functions
// answer with `{ attributes, children }`: a class, a title, `data-access` and `aria-expanded`. Enter and a click call `open(row, column)`;
// one of them is null on a head.
export function grid({ label, open, attributes = {} }) {
  let given = { corner: "", columns: [], rows: [], headWidth: () => 0 };
  let edges = [0];
  let sizes = { row: 0, head: 0 };
  let at = { row: 0, column: 0 };
  let frame = 0;
  const drawn = new Map();
  const top = { element: h("div", { role: "row", class: "grid-row grid-top", "aria-rowindex": 1 }), cells: new Map() };
  const sheet = h("div", { class: "grid-sheet" }, top.element);
  const element = h("div", { ...attributes, class: "grid", role: "grid", "aria-label": label, onscroll: later, onkeydown: pressed, onclick: clicked }, sheet);
  const observer = new ResizeObserver(resized);
  observer.observe(element);

  function set(next) {
    given = next;
    edges = [0];
    for (const column of given.columns) edges.push(edges.at(-1) + column.width);
    at = { row: Math.min(at.row, given.rows.length - 1), column: Math.min(at.column, given.columns.length - 1) };
    element.ariaRowCount = given.rows.length + 1;
    element.ariaColCount = given.columns.length + 1;
    if (element.parentElement) observer.observe(element.parentElement);
    measure();
    redraw();
  }

  function redraw() {
    const hadFocus = element.contains(document.activeElement);
    sheet.replaceChildren(top.element);
    top.element.replaceChildren();
    top.cells.clear();
    drawn.clear();
    draw();
    if (hadFocus) move(at.row, at.column);
  }

  function resized() {
    const { row, head } = sizes;
    measure();
    if (sizes.row === row && sizes.head === head) draw();
    else redraw();
  }

  function measure() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const isNarrow = element.clientWidth < 40 * rem;
    sizes = { row: Math.round((isNarrow ? 3.25 : 2.25) * rem), head: Math.round(given.headWidth(element.parentElement?.clientWidth ?? 0)) };
    element.dataset.rowHeight = sizes.row;
    element.classList.toggle("is-narrow", isNarrow);
    element.style.setProperty("--row", `${sizes.row}px`);
    element.style.setProperty("--head", `${sizes.head}px`);
    sheet.style.width = `${sizes.head + edges.at(-1)}px`;
    sheet.style.height = `${sizes.row * (given.rows.length + 1)}px`;
  }

  function later() {
    frame ||= requestAnimationFrame(draw);
  }

  // The columns and rows in view, and the ones with the focus, wherever they are.
  function inView() {
    const first = Math.floor(element.scrollTop / sizes.row) - BESIDE.rows;
    const last = Math.ceil((element.scrollTop + element.clientHeight) / sizes.row) + BESIDE.rows;
    const left = columnAt(element.scrollLeft) - BESIDE.columns;
    const right = columnAt(element.scrollLeft + element.clientWidth - sizes.head) + 1 + BESIDE.columns;
    const [rows, columns] = [given.rows.length, given.columns.length];
    if (rows * columns <= WHOLE) return { rows: range(0, rows, rows), columns: range(0, columns, columns) };
    return { rows: range(first, last, rows, at.row), columns: range(left, right, columns, at.column) };
  }

  // The column that is so far from the first, by halves.
  function columnAt(x) {
    let [low, high] = [0, given.columns.length];
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if (edges[middle] <= x) low = middle;
      else high = middle;
    }
    return low;
  }

  // An element that went out of view becomes one that comes in: a quick scroll makes none, and moves none.
  function draw() {
    cancelAnimationFrame(frame);
    frame = 0;
    const { rows, columns } = inView();
    drawCells(top, HEAD, columns);
    fill(sheet, drawn, rows, top.element.nextSibling, (row, former) => {
      const made = former ?? { element: h("div", { role: "row" }), cells: new Map() };
      made.element.className = given.rows[row].group ? "grid-row grid-group" : "grid-row";
      made.element.setAttribute("aria-rowindex", row + FIRST);
      made.element.style.top = `${sizes.row * (row + 1)}px`;
      for (const [column, cell] of made.cells) dress(cell, row, column);
      return made;
    });
    for (const row of rows) drawCells(drawn.get(row), row, columns);
  }

  function drawCells({ element: row, cells }, index, columns) {
    fill(row, cells, [HEAD, ...columns], row.firstChild, (column, former) => {
      const made = former ?? { element: h("div"), column: null };
      dress(made, index, column);
      return made;
    });
  }

  // Makes an element that cell, whatever it was.
  function dress(cell, row, column) {
    const { element: made } = cell;
    const { attributes = {}, children = [] } = content(row, column);
    made.className = `grid-cell ${column === HEAD ? "grid-head " : ""}${attributes.class ?? ""}`;
    for (const [key, value] of [["role", role(row, column)], ...VARYING.map((key) => [key, attributes[key]])]) change(made, key, value);
    change(made, "tabindex", row === at.row && column === at.column ? 0 : -1);
    if (children.length === 1 && made.firstChild?.nodeType === Node.TEXT_NODE && made.childNodes.length === 1) made.firstChild.data = children[0];
    else put(made, children);
    if (cell.column === column) return;
    cell.column = column;
    change(made, "aria-colindex", column + FIRST);
    if (column === HEAD) return;
    made.style.left = `${sizes.head + edges[column]}px`;
    made.style.width = `${given.columns[column].width}px`;
  }

  function content(row, column) {
    if (row === HEAD) return column === HEAD ? { children: [given.corner] } : given.columns[column].head();
    const of = given.rows[row];
    if (column !== HEAD) return of.cell(given.columns[column]);
    return of.group ? of.group() : of.head();
  }

  function role(row, column) {
    if (row === HEAD) return "columnheader";
    return column === HEAD && !given.rows[row].group ? "rowheader" : "gridcell";
  }

  function cell(row, column) {
    return (row === HEAD ? top : drawn.get(row))?.cells.get(column)?.element;
  }

  function move(row, column) {
    const within = (number, length) => Math.max(HEAD, Math.min(number, length - 1));
    const former = cell(at.row, at.column);
    at = { row: within(row, given.rows.length), column: within(column, given.columns.length) };
    uncover();
    draw();
    if (former) former.tabIndex = -1;
    const now = cell(at.row, at.column);
    if (!now) return;
    now.tabIndex = 0;
    now.focus({ preventScroll: true });
  }

  // Scrolls by as little as shows the cell whole.
  function uncover() {
    const [y, x] = [sizes.row * at.row, edges[Math.max(at.column, 0)]];
    const tall = element.clientHeight - 2 * sizes.row;
    if (at.row !== HEAD) element.scrollTop = Math.max(Math.min(element.scrollTop, y), y - tall);
    if (at.column !== HEAD) {
      const wide = element.clientWidth - sizes.head - given.columns[at.column].width;
      element.scrollLeft = Math.max(Math.min(element.scrollLeft, x), x - wide);
    }
  }

  function pressed(event) {
    const { key, ctrlKey, metaKey, altKey } = event;
    if (altKey || event.target === element) return;
    const whole = ctrlKey || metaKey;
    const page = Math.max(1, Math.floor(element.clientHeight / sizes.row) - 2);
    const [lastRow, lastColumn] = [given.rows.length - 1, given.columns.length - 1];
    const to = {
      ArrowUp: [whole ? 0 : at.row - 1, at.column],
      ArrowDown: [whole ? lastRow : at.row + 1, at.column],
      ArrowLeft: [at.row, whole ? HEAD : at.column - 1],
      ArrowRight: [at.row, whole ? lastColumn : at.column + 1],
      Home: [whole ? HEAD : at.row, HEAD],
      End: [whole ? lastRow : at.row, lastColumn],
      PageUp: [Math.max(at.row - page, 0), at.column],
      PageDown: [at.row + page, at.column],
    }[key];
    if (to) move(...to);
    else if (key === "Enter" || key === " ") opened();
    else return;
    event.preventDefault();
  }

  function clicked(event) {
    const row = event.target.closest("[role=row]");
    const found = event.target.closest(".grid-cell");
    if (!row || !found) return;
    move(Number(row.getAttribute("aria-rowindex")) - FIRST, Number(found.getAttribute("aria-colindex")) - FIRST);
    opened();
  }

  function opened() {
    const row = given.rows[at.row] ?? null;
    if (row?.group) row.toggle();
    else open(row, given.columns[at.column] ?? null);
  }

  return { element, set, focus: () => move(at.row, at.column) };
}

// The whole numbers from `first` to before `last`, within 0 and `length`, and `also`.
function range(first, last, length, also = HEAD) {
  const [low, high] = [Math.max(first, 0), Math.min(last, length)];
  const all = Array.from({ length: Math.max(high - low, 0) }, (_, at) => low + at);
  if (also >= 0 && also < low) all.unshift(also);
  if (also >= high && also < length) all.push(also);
  return all;
}

// Has in `drawn`, and in `parent` from `before` on, what is wanted, in order: what is there stays where it is, and what is there no
// longer is made into what is new.
function fill(parent, drawn, wanted, before, make) {
  const isWanted = new Set(wanted);
  const free = [...drawn].filter(([key]) => !isWanted.has(key));
  for (const key of wanted) {
    let one = drawn.get(key);
    if (!one) {
      const [formerKey, former] = free.shift() ?? [];
      drawn.delete(formerKey);
      one = make(key, former);
      drawn.set(key, one);
      if (one.element !== before) parent.insertBefore(one.element, before);
    }
    before = one.element.nextSibling;
  }
  for (const [key, { element }] of free) {
    element.remove();
    drawn.delete(key);
  }
}

function change(element, key, value) {
  if (value === undefined || value === null) element.removeAttribute(key);
  else if (element.getAttribute(key) !== String(value)) element.setAttribute(key, value);
}
