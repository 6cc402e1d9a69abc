// Who may do what: a matrix of clients and routes with its filters. The console and the file of `policies matrix --format html` show it.

import { badge, check, count, facts, field, h, name, options, put, select, table } from "./dom.js";
import { grid } from "./grid.js";

const NEVER = 0;
const ALWAYS = 1;
// A group of so many routes is split at the next segment of their paths.
const GROUP = 24;
// More cells fill a stack of paper: they are filtered before they are printed.
const PAPER = { cells: 40_000, width: 900 };

// What `access` codes say, as attributes and text of a cell.
function said(matrix, code) {
  if (code === NEVER) return { state: "never", text: "\u2013", title: "never" };
  if (code === ALWAYS) return { state: "always", text: "always", title: "always" };
  const condition = matrix.conditions[code - 2];
  return { state: "when", text: condition, title: condition };
}

const has = (text, wanted) => text.toLowerCase().includes(wanted);

// The clients and routes that the filters leave. `asks` has the conditions of each route as one text, for the filter by scope.
function filtered(matrix, state, asks) {
  const wanted = (key) => (state[key] ?? "").trim().toLowerCase();
  const [client, route, scope] = [wanted("client"), wanted("route"), wanted("scope")];
  let clients = matrix.clients.map((each, at) => ({ ...each, at }))
    .filter((each) => has(each.id, client) && (each.has_grant || state.granted === "no"));
  let routes = matrix.routes.filter((each) => has(`${each.route} ${each.rule}`, route) && (!scope || has(asks?.get(each.route) ?? "", scope)));
  if (state.state) {
    const is = { never: (code) => code === NEVER, always: (code) => code === ALWAYS, when: (code) => code > ALWAYS }[state.state] ?? (() => true);
    routes = routes.filter((each) => clients.some(({ at }) => is(each.access[at])));
    clients = clients.filter(({ at }) => routes.some((each) => is(each.access[at])));
  }
  return { clients, routes };
}

// Routes by the first segments of their paths, in the order of the first of each group: `[{ path, routes }]`.
function grouped(routes, depth = 1) {
  const groups = new Map();
  for (const route of routes) {
    const path = beginning(route, depth);
    if (!groups.has(path)) groups.set(path, []);
    groups.get(path).push(route);
  }
  return [...groups].flatMap(([path, inside]) => {
    const isDeeper = inside.length > GROUP && inside.some((route) => beginning(route, depth + 1) !== path);
    const parts = isDeeper ? grouped(inside, depth + 1) : [];
    // many small groups say less than one
    return parts.length > 1 && parts.length <= inside.length / 4 ? parts : [{ path, routes: inside }];
  });
}

const beginning = ({ route }, depth) => `/${route.slice(route.indexOf(" ") + 2).split("/").slice(0, depth).join("/")}`;

// The rows of the grid: each group, and its routes unless it is closed. A route alone is no group.
function rowsOf(matrix, routes, closed, toggle) {
  return grouped(routes).flatMap((group) => {
    const rows = group.routes.map((route) => routeRow(matrix, route, group.routes.length > 1));
    if (rows.length === 1) return rows;
    const isOpen = !closed.has(group.path);
    const head = { group: () => groupHead(group, isOpen), toggle: () => toggle(group.path), cell: (column) => groupCell(group, column) };
    return [head, ...(isOpen ? rows : [])];
  });
}

// The paths of the groups that have a head.
const groupsOf = (routes) => grouped(routes).filter((group) => group.routes.length > 1).map(({ path }) => path);

function groupHead({ path, routes }, isOpen) {
  const words = count(routes.length, "route");
  return {
    attributes: { "aria-expanded": isOpen, title: `${words} below ${path}: press Enter to ${isOpen ? "close" : "open"} the group` },
    children: [h("span", { class: "grid-mark", "aria-hidden": true }, isOpen ? "\u25be" : "\u25b8"), h("span", { class: "grid-path" }, path), " ", h("span", { class: "grid-count quiet" }, words)],
  };
}

// How many routes of a group a client may use.
function groupCell({ path, routes }, { client }) {
  const used = routes.filter((route) => route.access[client.at] !== NEVER).length;
  const title = `${client.id} may use ${used} of ${count(routes.length, "route")} below ${path}, always or on a condition`;
  return { attributes: { class: used ? "grid-sum" : "grid-sum quiet", title }, children: [used ? `${used} of ${routes.length}` : "\u2013"] };
}

function routeRow(matrix, route, isInGroup) {
  const title = `${route.route}: rule ${route.rule}${route.file ? `, ${route.file}:${route.line}` : ""}${route.public ? ", public" : ""}`;
  return {
    route,
    head: () => ({ attributes: { title, class: isInGroup ? "grid-in" : "" }, children: [routeName(route), route.public && h("span", { class: "grid-note" }, " public")] }),
    cell: ({ client }) => {
      const { state, text, title } = said(matrix, route.access[client.at]);
      return { attributes: { "data-access": state, title }, children: [text] };
    },
  };
}

function routeName({ route }) {
  const [method, path] = route.split(/ (.*)/s);
  return h("span", { class: "grid-path" }, h("span", { class: "grid-method" }, method), ` ${path}`);
}

// A column for each client, as wide as its id and its longest condition, within bounds.
function columnsOf(matrix, clients, routes, rem) {
  const longest = clients.map(({ at }) => longestCondition(matrix, routes, at));
  const ids = widths(clients.map(({ id }) => id), "grid-top");
  const conditions = widths(longest, "grid-cell");
  return clients.map((client, at) => {
    const widest = Math.max(ids[at] + (client.bound_tokens ? 3.75 * rem : 0), conditions[at]);
    return { client, width: Math.ceil(Math.min(Math.max(widest + 1.75 * rem, 5 * rem), (innerWidth < 40 * rem ? 9 : 16) * rem)), head: () => clientHead(client) };
  });
}

function longestCondition({ conditions }, routes, client) {
  let longest = "always";
  for (const { access } of routes) {
    const condition = conditions[access[client] - 2];
    if (condition && condition.length > longest.length) longest = condition;
  }
  return longest;
}

// The widths of texts in pixels, all measured at once.
function widths(texts, style) {
  const known = [...new Set(texts)];
  const spans = known.map((text) => h("span", {}, text));
  const probe = h("div", { class: `grid-probe ${style}`, "aria-hidden": true }, spans);
  document.body.append(probe);
  const found = new Map(known.map((text, at) => [text, spans[at].getBoundingClientRect().width]));
  probe.remove();
  return texts.map((text) => found.get(text));
}

function clientHead(client) {
  return {
    attributes: { title: `${client.id}: ${credentials(client)}` },
    children: [client.id, client.bound_tokens && h("span", { class: "grid-note" }, " bound")],
  };
}

function credentials({ credentials: list, bound_tokens, has_grant }) {
  const had = list.length ? `gets a token by ${list.join(", or ")}` : "cannot get a token: no credentials, or all have expired";
  return `${had}${bound_tokens ? "; bound tokens only" : ""}${has_grant ? "" : "; no grant for this API"}`;
}

// The matrix with its filters, as one element. `state` has the filters (`client`, `route`, `scope`, `state`, `granted`) and `changed(state)` is
// called when one changes. `detail({ client, route })` answers with what stands beside the matrix, or a promise of it. `apis` are names to
// choose from by `chosen(api)`; null where something else chooses. `more({ client, route })` is what stands below the sums of one of them. `asks()` is a promise of the conditions by route, where a filter by scope is wanted; `scopes` are to choose from.
export function accessMatrix({ matrix, apis, chosen, state = {}, changed = () => {}, detail, more = () => null, asks, scopes = [] }) {
  const closed = new Set();
  let conditions = null;
  let left = { clients: [], routes: [] };
  const shown = h("p", { class: "quiet", role: "status" });
  const side = h("div", { class: "matrix-side" });
  const view = grid({ label: `Who may do what at ${matrix.api}`, attributes: { "data-testid": "matrix" }, open: opened });
  const nothing = h("p", { class: "empty", hidden: true }, "Nothing matches. Change or clear the filters.");
  const paper = h("div", { class: "paper" });
  const all = h("button", { type: "button", class: "plain", onclick: toggleAll });
  const form = filters({ matrix, apis, chosen, state, scopes: asks && scopes, changed: filter });
  const split = h("div", { class: "matrix-split", onkeydown: escaped }, h("div", { class: "matrix-main" }, view.element, nothing), side);
  const element = h("div", { class: "matrix" }, form, h("div", { class: "row matrix-about" }, h("div", { class: "row" }, shown, all), legend()), split, paper);

  async function filter() {
    Object.assign(state, Object.fromEntries(new FormData(form)), { granted: form.elements.granted.checked ? "" : "no" });
    delete state.api;
    changed(state);
    await show();
  }

  async function show() {
    if (state.scope && asks) conditions ??= await asks();
    left = filtered(matrix, state, conditions);
    const isEmpty = !left.clients.length || !left.routes.length;
    put(shown, words(matrix, left));
    nothing.hidden = !isEmpty;
    view.element.hidden = isEmpty;
    draw();
  }

  function draw() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const groups = groupsOf(left.routes);
    all.hidden = groups.length === 0;
    all.textContent = groups.every((path) => closed.has(path)) ? "Open all groups" : "Close all groups";
    const widest = Math.max(10 * rem, ...widths(longestRoutes(left.routes), "grid-path")) + 3 * rem;
    const columns = columnsOf(matrix, left.clients, left.routes, rem);
    const wide = columns.reduce((sum, { width }) => sum + width, 2);
    view.set({
      corner: "Route",
      columns,
      rows: rowsOf(matrix, left.routes, closed, toggle),
      headWidth: (room) => Math.min(widest, Math.max(room * 0.45, room - wide)),
    });
  }

  function toggle(path) {
    if (!closed.delete(path)) closed.add(path);
    draw();
  }

  function toggleAll() {
    const groups = groupsOf(left.routes);
    const isClosing = groups.some((path) => !closed.has(path));
    for (const path of groups) isClosing ? closed.add(path) : closed.delete(path);
    draw();
  }

  async function opened(row, column) {
    const what = { route: row?.route ?? null, client: column?.client ?? null };
    if (!what.route && !what.client) return;
    const panel = h("section", { class: "card detail", "data-testid": "detail", "aria-label": "Detail", "aria-live": "polite" }, closer());
    put(side, panel);
    split.classList.add("has-detail");
    // where the detail lies over the page, the cell is shown above it
    if (getComputedStyle(side).position === "fixed") view.element.scrollIntoView();
    view.focus();
    put(panel, closer(), what.client && what.route ? await detail(what) : [headDetail(matrix, what, left), more(what)]);
  }

  const closer = () => h("button", { type: "button", class: "detail-close", title: "Close (Escape)", "aria-label": "Close the detail", onclick: close }, "\u00d7");

  function close() {
    side.replaceChildren();
    split.classList.remove("has-detail");
    view.focus();
  }

  function escaped(event) {
    if (event.key !== "Escape" || !side.firstChild) return;
    event.preventDefault();
    close();
  }

  // a matrix that is no longer on the page prints nothing
  addEventListener("beforeprint", function print() {
    if (element.isConnected) put(paper, printed(matrix, left));
    else removeEventListener("beforeprint", print);
  });
  // widths are known once it is on the page, which the caller sees to now
  queueMicrotask(show);
  return element;
}

const longestRoutes = (routes) => routes.map((each) => each.route + (each.public ? " public" : "")).sort((a, b) => b.length - a.length).slice(0, 8);

function words(matrix, { clients, routes }) {
  const granted = matrix.clients.filter((client) => client.has_grant).length;
  const part = (number, all, one) => (number === all ? count(number, one) : `${number.toLocaleString("en")} of ${count(all, one)}`);
  const all = h("span", { title: `The API has ${count(matrix.routes.length, "route")}. ${count(matrix.clients.length, "client")} exist, ${granted} with a grant for it.` },
    `${part(routes.length, matrix.routes.length, "route")}, ${part(clients.length, matrix.clients.length, "client")}`);
  return [all, matrix.bound_tokens && [" ", badge("info", "takes bound tokens only", "a request must show the key or the certificate of its token")]];
}

function legend() {
  const sample = (state, text, title) => h("span", { class: "grid-key", "data-key": state, title }, text);
  return h("p", { class: "row legend", "aria-label": "Legend" },
    sample("always", "always", "on every path of the route"), sample("when", "condition", "on the paths, or with the tokens, of which the condition holds"), sample("never", "\u2013 never", "on no path"));
}

// The filters. Each has the name of its part of the address.
function filters({ matrix, apis, chosen, state, scopes, changed }) {
  let timer = 0;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(changed, 150);
  };
  const text = (key, placeholder, list) => h("input", { name: key, type: "search", placeholder, value: state[key] ?? "", spellcheck: false, autocomplete: "off", list, oninput: soon });
  const states = [["", "any"], ["always", "always"], ["when", "on a condition"], ["never", "never"]];
  return h("form", { class: "fields matrix-filters", role: "search", "aria-label": "Filters", onsubmit: (event) => event.preventDefault() },
    apis && field("API", select({ name: "api", onchange: ({ target }) => chosen(target.value) }, apis, matrix.api)),
    field("Clients", text("client", "part of an id")),
    field("Routes", text("route", "part of a route or rule")),
    scopes && field("Scope", text("scope", "asked by the rule", "matrix-scopes")),
    scopes && options("matrix-scopes", scopes),
    field("Access", select({ name: "state", onchange: changed }, states, state.state ?? "")),
    check("only clients with a grant", h("input", { name: "granted", type: "checkbox", checked: state.granted !== "no", onchange: changed })));
}

// What the matrix itself says of a cell.
export function cellFacts(matrix, { client, route }) {
  const { state, text } = said(matrix, route.access[client.at]);
  return [
    h("h2", {}, name(client.id)),
    h("p", { class: "mono" }, name(route.route)),
    h("p", {}, stateBadge(state, text)),
    facts([["rule", name(route.rule)], ["where", route.file && name(`${route.file}:${route.line}`)], ["token", route.public ? "none is needed" : credentials(client)]]),
  ];
}

export function stateBadge(state, condition) {
  if (state === "always") return badge("good", "always");
  if (state === "never") return badge("error", "never");
  return h("span", { class: "badge long", "data-kind": "warning" }, "when ", name(condition));
}

// What it says of a client or of a route.
function headDetail(matrix, { client, route }, { clients, routes }) {
  const codes = client ? routes.map((each) => each.access[client.at]) : clients.map((each) => route.access[each.at]);
  const [always, never] = [ALWAYS, NEVER].map((wanted) => codes.filter((code) => code === wanted).length);
  const counted = client ? "route" : "client";
  const sums = facts([
    ["always", count(always, counted), client ? "routes that it may use on every path" : "clients that may use it on every path"],
    ["on a condition", count(codes.length - always - never, counted), client ? "routes that it may use where a condition holds" : "clients that may use it where a condition holds"],
    ["never", count(never, counted), client ? "routes that it may not use" : "clients that may not use it"],
  ]);
  if (client) return [h("h2", {}, name(client.id)), h("p", {}, credentials(client)), sums];
  return [h("h2", { class: "mono" }, name(route.route)), sums,
    facts([["rule", name(route.rule)], ["where", route.file && name(`${route.file}:${route.line}`)], ["token", route.public ? "none is needed" : null]])];
}

// On paper: as many clients side by side as fit, then the next, each with the routes again.
function printed(matrix, { clients, routes }) {
  if (clients.length * routes.length > PAPER.cells) {
    return [h("p", {}, `${count(routes.length, "route")} by ${count(clients.length, "client")} are too many for paper: filter the matrix, then print it.`)];
  }
  const head = Math.max(0, ...widths(longestRoutes(routes), "grid-path"));
  return bands(columnsOf(matrix, clients, routes, 16), PAPER.width - Math.min(head, PAPER.width / 2)).map((columns) =>
    table(["Route", ...columns.map(({ client }) => client.id)],
      routes.map((route) => [name(route.route), ...columns.map(({ client }) => paperCell(said(matrix, route.access[client.at])))]), { class: "paper-table" }));
}

const paperCell = ({ state, text }) => h("span", { "data-paper": state }, name(text));

function bands(columns, width) {
  const all = [];
  let used = Infinity;
  for (const column of columns) {
    if (used + column.width > width) {
      all.push([]);
      used = 0;
    }
    all.at(-1).push(column);
    used += column.width;
  }
  return all;
}
