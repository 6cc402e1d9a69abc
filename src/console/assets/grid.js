// Who may do what: a matrix of clients and routes with its filters, and below it the grid that draws it. The console and the file of
// `policies matrix --format html` show it.

import { badge, check, count, facts, field, h, name, options, put, select, table } from "./dom.js";

// A group of so many routes is split at the next segment of their paths.
const GROUP = 24;
// More cells fill a stack of paper: they are filtered before they are printed. The width is in pixels.
const PAPER = { cells: 40_000, width: 900 };

const NEVER = 0;
// What a code of `access` says: from 2 on, it is the position of a condition.
const stateOf = (code) => ["never", "always"][code] ?? "when";
const wordsOf = (matrix, code) => ["\u2013", "always"][code] ?? matrix.conditions[code - 2];

const has = (text, wanted) => !wanted || text.toLowerCase().includes(wanted.trim().toLowerCase());
const where = ({ rule, file, line }) => (file ? `${rule}, ${file}:${line}` : rule);
const note = (text) => h("span", { class: "grid-note" }, text);

// The clients and routes that the filters leave. `asks` has the conditions of each route as one text, for the filter by scope.
function filtered(matrix, { client, route, scope, state, granted }, asks) {
  let clients = matrix.clients.map((each, at) => ({ ...each, at }))
    .filter(({ id, has_grant }) => has(id, client) && (has_grant || granted === "no"));
  let routes = matrix.routes.filter((each) => has(`${each.route} ${each.rule}`, route) && has(asks?.get(each.route) ?? "", scope));
  if (state) {
    const is = ({ access }, { at }) => stateOf(access[at]) === state;
    routes = routes.filter((each) => clients.some((one) => is(each, one)));
    clients = clients.filter((one) => routes.some((each) => is(each, one)));
  }
  return { clients, routes };
}

// Routes by the first segments of their paths, in the order of the first of each group: `[{ path, routes }]`.
function grouped(routes, depth = 1) {
  return [...Map.groupBy(routes, (route) => beginning(route, depth))].flatMap(([path, inside]) => {
    const parts = inside.length > GROUP && inside.some((route) => beginning(route, depth + 1) !== path) ? grouped(inside, depth + 1) : [];
    // many small groups say less than one
    return parts.length > 1 && parts.length <= inside.length / 4 ? parts : [{ path, routes: inside }];
  });
}

const beginning = ({ route }, depth) => `/${route.slice(route.indexOf(" ") + 2).split("/").slice(0, depth).join("/")}`;

// The rows of the grid: each group, and its routes unless it is closed. A route alone is no group.
function rowsOf(matrix, groups, closed, toggle) {
  return groups.flatMap((group) => {
    const isGroup = group.routes.length > 1;
    const isOpen = !closed.has(group.path);
    const head = { group: () => groupHead(group, isOpen), toggle: () => toggle(group.path), cell: (column) => groupCell(group, column) };
    return [isGroup ? head : [], isOpen || !isGroup ? group.routes.map((route) => routeRow(matrix, route, isGroup)) : []].flat();
  });
}

function groupHead({ path, routes }, isOpen) {
  const words = count(routes.length, "route");
  return {
    attributes: { "aria-expanded": isOpen, title: `${words} below ${path}` },
    children: [h("span", { class: "grid-mark", "aria-hidden": true }, isOpen ? "\u25be" : "\u25b8"),
      h("span", { class: "grid-path" }, path), h("span", { class: "grid-count quiet" }, ` ${words}`)],
  };
}

// How many routes of a group a client may use.
function groupCell({ path, routes }, { client }) {
  const used = routes.filter(({ access }) => access[client.at] !== NEVER).length;
  const text = `${used} of ${routes.length}`;
  return { attributes: { class: used ? "" : "quiet", title: `${client.id} may use ${text} routes below ${path}` }, children: [used ? text : "\u2013"] };
}

function routeRow(matrix, route, isInGroup) {
  const [method, path] = route.route.split(/ (.*)/s);
  return {
    route,
    head: () => ({
      attributes: { title: `${route.route}: rule ${where(route)}${route.public ? ", public" : ""}`, class: isInGroup ? "grid-in" : "" },
      children: [h("span", { class: "grid-path" }, h("span", { class: "grid-method" }, method), ` ${path}`), route.public && note(" public")],
    }),
    cell: ({ client }) => {
      const code = route.access[client.at];
      const text = wordsOf(matrix, code);
      return { attributes: { "data-access": stateOf(code), title: code === NEVER ? "never" : text }, children: [text] };
    },
  };
}

const remOf = () => parseFloat(getComputedStyle(document.documentElement).fontSize);

// A column for each client, as wide as its id and its longest condition, within bounds.
function columnsOf(matrix, { clients, routes }, rem) {
  const longest = (client) => routes.reduce((most, { access }) => {
    const text = wordsOf(matrix, access[client.at]);
    return text.length > most.length ? text : most;
  }, "always");
  const ids = widths(clients.map(({ id, bound_tokens }) => (bound_tokens ? `${id} bound` : id)), "grid-top");
  const texts = widths(clients.map(longest), "");
  const most = (innerWidth < 40 * rem ? 9 : 16) * rem;
  return clients.map((client, at) => ({
    client,
    width: Math.ceil(Math.min(Math.max(ids[at], texts[at], 3.25 * rem) + 1.75 * rem, most)),
    head: () => ({ attributes: { title: `${client.id}: ${credentials(client)}` }, children: [client.id, client.bound_tokens && note(" bound")] }),
  }));
}

// The widths of texts in pixels, all measured at once.
function widths(texts, style) {
  const spans = new Map(texts.map((text) => [text, h("span", {}, text)]));
  const probe = h("div", { class: `grid-probe ${style}`, "aria-hidden": true }, [...spans.values()]);
  document.body.append(probe);
  const found = texts.map((text) => spans.get(text).getBoundingClientRect().width);
  probe.remove();
  return found;
}

// The width of the longest route.
function widest(routes) {
  const longest = routes.map((each) => each.route + (each.public ? " public" : "")).sort((a, b) => b.length - a.length).slice(0, 8);
  return Math.max(0, ...widths(longest, "grid-path"));
}

function credentials({ credentials: list, bound_tokens, has_grant }) {
  const had = list.length ? `gets a token by ${list.join(", or ")}` : "cannot get a token: no credentials, or all have expired";
  return `${had}${bound_tokens ? "; bound tokens only" : ""}${has_grant ? "" : "; no grant for this API"}`;
}

// The matrix with its filters, as one element that the caller puts onto the page at once.
// - `state` has the filters (`client`, `route`, `scope`, `state`, `granted`), and `changed()` is called when one of them is another.
// - `apis` are names to choose from by `chosen(api)`; without, something else chooses.
// - `detail({ client, route })` answers with what stands beside the matrix, or a promise of it; `more` of a client or a route alone.
// - `asks()` is a promise of the conditions of each route as one text, for the filter by scope; `scopes` are to choose from.
export function accessMatrix({ matrix, apis, chosen, state = {}, changed = () => {}, detail, more = () => null, asks, scopes = [] }) {
  const closed = new Set();
  let conditions = null;
  let left = { clients: [], routes: [] };
  let groups = [];
  const shown = h("p", { class: "quiet", role: "status" });
  const all = h("button", { type: "button", class: "plain", onclick: toggleAll });
  const view = grid({ label: `Who may do what at ${matrix.api}`, attributes: { "data-testid": "matrix" }, open: opened });
  const nothing = h("p", { class: "empty", hidden: true }, "Nothing matches. Change or clear the filters.");
  const side = h("div", { class: "matrix-side" });
  const split = h("div", { class: "matrix-split" }, h("div", { class: "matrix-main" }, view.element, nothing), side);
  const paper = h("div", { class: "paper" });
  const form = filters({ matrix, apis, chosen, state, scopes: asks && scopes, changed: filter });
  const element = h("div", { class: "matrix", onkeydown: escaped }, form, h("div", { class: "row matrix-about" }, h("div", { class: "row" }, shown, all), legend()), split, paper);

  function filter() {
    const { api, ...given } = Object.fromEntries(new FormData(form));
    Object.assign(state, given, { granted: form.elements.granted.checked ? "" : "no" });
    changed();
    show();
  }

  async function show() {
    const failed = state.scope && asks && !conditions && await asks().then((found) => void (conditions = found), (error) => error);
    left = filtered(matrix, failed ? { ...state, scope: "" } : state, conditions);
    groups = grouped(left.routes);
    nothing.hidden = left.clients.length > 0 && left.routes.length > 0;
    view.element.hidden = !nothing.hidden;
    put(shown, words(matrix, left), state.scope && failed && [" ", badge("error", "not filtered by scope"), " ", name(failed.message)]);
    draw();
  }

  const heads = () => groups.filter(({ routes }) => routes.length > 1).map(({ path }) => path);

  function draw() {
    const rem = remOf();
    const columns = columnsOf(matrix, left, rem);
    const wide = columns.reduce((sum, { width }) => sum + width, 2);
    const head = Math.max(7 * rem, widest(left.routes)) + 3 * rem;
    all.hidden = !heads().length;
    all.textContent = heads().every((path) => closed.has(path)) ? "Open all groups" : "Close all groups";
    view.set({ corner: "Route", columns, rows: rowsOf(matrix, groups, closed, toggle), headWidth: (room) => Math.min(head, Math.max(room * 0.45, room - wide)) });
  }

  function toggle(path) {
    if (!closed.delete(path)) closed.add(path);
    draw();
  }

  function toggleAll() {
    const open = heads().filter((path) => !closed.has(path));
    closed.clear();
    for (const path of open.length ? heads() : []) closed.add(path);
    draw();
  }

  async function opened(row, column) {
    const what = { route: row?.route, client: column?.client };
    if (!what.route && !what.client) return;
    const closer = h("button", { type: "button", class: "detail-close", title: "Close (Escape)", "aria-label": "Close the detail", onclick: close }, "\u00d7");
    const panel = h("section", { class: "card detail", "data-testid": "detail", "aria-label": "Detail", "aria-live": "polite" }, closer);
    put(side, panel);
    split.classList.add("has-detail");
    // where the detail lies over the page, the cell is shown above it
    if (getComputedStyle(side).position === "fixed") view.element.scrollIntoView();
    view.focus();
    put(panel, closer, what.client && what.route ? await detail(what) : [sums(matrix, what, left), more(what)]);
  }

  function close() {
    put(side);
    split.classList.remove("has-detail");
    if (!form.contains(document.activeElement)) view.focus();
  }

  function escaped(event) {
    if (event.key !== "Escape" || !side.firstChild) return;
    event.preventDefault();
    close();
  }

  // in the place of the former matrix, which nothing else holds; one that is no longer on the page prints nothing
  window.onbeforeprint = () => element.isConnected && put(paper, printed(matrix, left));
  // widths are known once it is on the page
  queueMicrotask(show);
  return element;
}

function words(matrix, { clients, routes }) {
  const part = (some, all, one) => (some.length === all.length ? count(all.length, one) : `${some.length.toLocaleString("en")} of ${count(all.length, one)}`);
  return [
    h("span", { title: "Those that the filters leave" }, part(routes, matrix.routes, "route"), ", ", part(clients, matrix.clients, "client")),
    matrix.bound_tokens && [" ", badge("info", "takes bound tokens only", "a request must show the key or the certificate of its token")],
  ];
}

function legend() {
  const key = (state, text, title) => h("span", { class: "grid-key", "data-key": state, title }, text);
  return h("p", { class: "row legend" }, key("always", "always", "on every path"),
    key("when", "condition", "where the condition holds"), key("never", "\u2013 never", "on no path"));
}

// The filters. Each has the name of its part of the address.
function filters({ matrix, apis, chosen, state, scopes, changed }) {
  let timer = 0;
  const oninput = () => {
    clearTimeout(timer);
    timer = setTimeout(changed, 150);
  };
  const text = (key, placeholder, list) =>
    h("input", { name: key, type: "search", placeholder, value: state[key] ?? "", spellcheck: false, autocomplete: "off", list, oninput });
  const states = [["", "any"], ["always", "always"], ["when", "on a condition"], ["never", "never"]];
  return h("form", { class: "fields matrix-filters", role: "search", "aria-label": "Filters", onsubmit: (event) => event.preventDefault() },
    apis && field("API", select({ name: "api", onchange: ({ target }) => chosen(target.value) }, apis, matrix.api)),
    field("Clients", text("client", "part of an id")),
    field("Routes", text("route", "part of a route or rule")),
    scopes && [field("Scope", text("scope", "asked by the rule", "matrix-scopes")), options("matrix-scopes", scopes)],
    field("Access", select({ name: "state", onchange: changed }, states, state.state ?? "")),
    check("only clients with a grant", h("input", { name: "granted", type: "checkbox", checked: state.granted !== "no", onchange: changed })));
}

const ruleFacts = (route, token) => facts([["rule", name(where(route))], ["token", route.public ? "none is needed" : token]]);

// What the matrix itself says of a cell.
export function cellFacts(matrix, { client, route }) {
  const code = route.access[client.at];
  return [h("h2", {}, name(client.id)), h("p", { class: "mono" }, name(route.route)), h("p", {}, stateBadge(stateOf(code), wordsOf(matrix, code))),
    ruleFacts(route, credentials(client))];
}

export function stateBadge(state, condition) {
  if (state === "when") return h("span", { class: "badge long", "data-kind": "warning" }, "when ", name(condition));
  return badge(state === "always" ? "good" : "error", state);
}

// What it says of a client or of a route.
function sums(matrix, { client, route }, { clients, routes }) {
  const states = client ? routes.map(({ access }) => stateOf(access[client.at])) : clients.map(({ at }) => stateOf(route.access[at]));
  const sum = (state, term) => [term, count(states.filter((each) => each === state).length, client ? "route" : "client"), "of those that the filters leave"];
  return [
    h("h2", { class: client ? null : "mono" }, name(client?.id ?? route.route)), client && h("p", {}, credentials(client)),
    facts([sum("always", "always"), sum("when", "on a condition"), sum("never", "never")]), route && ruleFacts(route),
  ];
}

// On paper: as many clients side by side as fit, then the next, each with the routes again.
function printed(matrix, left) {
  const { clients, routes } = left;
  if (clients.length * routes.length > PAPER.cells) {
    return h("p", {}, `${count(routes.length, "route")} by ${count(clients.length, "client")} are too many for paper: filter the matrix, then print it.`);
  }
  const room = PAPER.width - Math.min(widest(routes), PAPER.width / 2);
  const bands = [];
  let used = Infinity;
  for (const { client, width } of columnsOf(matrix, left, 16)) {
    if (used + width > room) {
      bands.push([]);
      used = 0;
    }
    bands.at(-1).push(client);
    used += width;
  }
  const cell = (code) => name(wordsOf(matrix, code));
  return bands.map((band) => table(["Route", ...band.map(({ id }) => id)],
    routes.map(({ route, access }) => [name(route), ...band.map(({ at }) => cell(access[at]))]), { class: "paper-table" }));
}

// An ARIA grid of many rows and columns, of which only those in view are elements. The head and the first column stay in view.
// Rows have one height and each column has its own width, so that the place of every cell is known.

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
function grid({ label, open, attributes = {} }) {
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
    const rem = remOf();
    const room = element.parentElement?.clientWidth ?? 0;
    const isNarrow = room < 40 * rem;
    sizes = { row: Math.round((isNarrow ? 3.25 : 2.25) * rem), head: Math.round(given.headWidth(room)) };
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
      made.element.ariaRowIndex = row + FIRST;
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
    made.ariaColIndex = column + FIRST;
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
    move(row.ariaRowIndex - FIRST, found.ariaColIndex - FIRST);
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
