// `#/routes`: every path of an API as a tree, what decides it, and which route takes a path.

import { address, badge, code, count, field, h, link, name, notice, options, select } from "../dom.js";
import { coded, conditions, grounds, place, routeText, segments } from "../explanation.js";
import { METHODS, firstApi } from "./explain.js";

export const title = "What decides each path";

// So many routes are shown open at first; the others are a keypress away.
const OPEN = 150;
// So many lines are drawn at once; then the page may answer to its reader.
const AT_ONCE = 40;

export async function show(main, params, { api, signal, navigate, names }) {
  const { apis } = await names();
  const wanted = params.get("api") || firstApi(apis);
  main.append(h("h1", {}, title));
  if (!wanted) {
    main.append(h("p", { class: "empty" }, "The policies define no API."));
    return;
  }
  const found = await api.get(address("routes", { api: wanted }), signal);
  const asked = { api: wanted, method: params.get("method") || "GET", path: params.get("path") ?? "" };
  const forest = h("div", { class: "routes" });
  const tried = h("div", { class: "stack", role: "status" });
  const state = { found, marks: new Map(), slices: [], forest, filter: "" };
  main.append(
    about(found, apis, navigate),
    tryForm(asked, navigate),
    tried,
    filterForm(state),
    forest);
  draw(state);
  if (asked.path) await tryPath(asked, tried, state, { api, signal });
}

function about({ api, audience, bound_tokens: bound, routes }, apis, navigate) {
  const open = routes.filter((route) => route.public).length;
  const choose = (event) => navigate(address("#/routes", { api: event.target.value }));
  return h("div", { class: "row" },
    h("label", { class: "check" }, h("span", { class: "label" }, "API"), select({ name: "api", onchange: choose }, apis.map((one) => one.name), api)),
    h("span", {}, count(routes.length, "route"), open ? `, ${open} public` : ""),
    h("span", {}, "audience ", code(audience)),
    bound && badge("info", "bound tokens only", "The API takes only tokens that are bound to a key or a certificate"),
    link(address("#/matrix", { api }), "Who may do what"));
}

function tryForm({ api, method, path }, navigate) {
  const onsubmit = (event) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(event.target));
    navigate(address("#/routes", { api, method: values.method, path: values.path.trim() }));
  };
  const plain = { autocomplete: "off", spellcheck: false, autocapitalize: "off" };
  return h("form", { class: "card", onsubmit },
    h("div", { class: "fields" },
      field("Method", h("input", { name: "method", value: method, list: "routes-methods", required: true, size: 8, ...plain })),
      field("Path", h("input", { name: "path", value: path, required: true, placeholder: "/tenants/acme/orders/42", ...plain })),
      h("button", { type: "submit", class: "primary", id: "routes-try" }, "Try this path")),
    options("routes-methods", METHODS));
}

function filterForm(state) {
  const input = h("input", { type: "search", name: "filter", autocomplete: "off", placeholder: "orders, refund, public, scope: orders:read" });
  const left = h("span", { class: "check quiet", role: "status" });
  const oninput = () => {
    state.filter = input.value.trim().toLowerCase();
    const shown = draw(state);
    left.textContent = state.filter ? `${count(shown, "route")} of ${count(state.found.routes.length, "route")}` : "";
  };
  return h("div", { class: "fields", role: "search", "aria-label": "Routes", oninput },
    field("Filter by path, rule or condition", input), left);
}

// The tree of a list of routes: `{ label, routes, below }`. Segments without a fork are one label.
function tree(routes) {
  const root = { label: "", routes: [], below: new Map() };
  for (const route of routes) {
    let at = root;
    for (const segment of route.path.split("/").slice(1)) {
      if (!at.below.has(segment)) at.below.set(segment, { label: `/${segment}`, routes: [], below: new Map() });
      at = at.below.get(segment);
    }
    at.routes.push(route);
  }
  return [...root.below.values()].map(joined);
}

function joined(node) {
  let { label, routes, below } = node;
  while (routes.length === 0 && below.size === 1) {
    const [only] = below.values();
    ({ routes, below } = only);
    label += only.label;
  }
  return { label, routes, below: [...below.values()].map(joined) };
}

const size = (node) => node.routes.length + node.below.reduce((sum, one) => sum + size(one), 0);
const text = (route) => [route.route, `rule ${route.rule}`, route.description ?? "", route.public ? "public" : "", ...route.alternatives.flat()]
  .join("\n").toLowerCase();

// Draws what passes the filter, and marks what a tried path meets. Returns how many routes are left.
function draw(state) {
  const { found, filter, forest } = state;
  const routes = filter ? found.routes.filter((route) => (route.text ??= text(route)).includes(filter)) : found.routes;
  const nodes = tree(routes);
  state.slices = [];
  forest.toggleAttribute("data-many", routes.length > OPEN);
  forest.replaceChildren(routes.length ? branch(nodes, state, shortDepth(nodes)) : h("p", { class: "empty" }, "No route matches the filter."));
  return routes.length;
}

const pause = () => new Promise((resolve) => setTimeout(resolve));

// How deep the tree can be open and still be short.
function shortDepth(nodes) {
  let shown = 0;
  for (let depth = 0, level = nodes; level.length > 0; depth += 1) {
    shown += level.reduce((sum, node) => sum + 1 + node.routes.length, 0);
    if (shown > OPEN) return depth - 1;
    level = level.flatMap((node) => node.below);
  }
  return Infinity;
}

// A long list is drawn in slices; `state.slices` says when they are done.
function branch(nodes, state, depth) {
  const list = h("ul");
  const slice = (from) => list.append(...nodes.slice(from, from + AT_ONCE).map((node) => h("li", {}, nodeOf(node, state, depth))));
  slice(0);
  const others = async () => {
    for (let from = AT_ONCE; from < nodes.length; from += AT_ONCE) {
      await pause();
      if (!list.isConnected) return;
      slice(from);
    }
  };
  if (nodes.length > AT_ONCE) state.slices.push(others());
  return list;
}

// A path with others below can be closed; what is in it is made when it first opens.
function nodeOf(node, state, depth) {
  const label = h("code", { class: "path" }, h("bdi", {}, segments(node.label)));
  const own = () => node.routes.map((route) => routeOf(route, state));
  if (node.below.length === 0) return h("div", { class: "leaf" }, label, own());
  const made = h("details", { ontoggle: () => made.fill() },
    h("summary", {}, label, " ", node.routes.map(({ method }) => [h("b", { class: "method" }, method), " "]),
      h("span", { class: "quiet" }, `${count(size(node) - node.routes.length, "route")} below`)));
  made.fill = () => {
    made.fill = () => {};
    made.append(...own(), branch(node.below, state, depth - 1));
  };
  if (depth > 0 || holdsMark(node, state.marks)) {
    made.fill();
    made.open = true;
  }
  return made;
}

const holdsMark = (node, marks) => node.routes.some(({ route }) => marks.has(route)) || node.below.some((one) => holdsMark(one, marks));

// What decides one method of a path.
function routeOf(route, state) {
  const mark = state.marks.get(route.route);
  return h("div", { class: "decides", id: mark?.id, "data-mark": mark?.kind, tabindex: mark ? -1 : null, "aria-current": mark?.kind === "takes" ? "true" : null },
    h("b", { class: "method" }, route.method),
    h("div", {},
      mark && h("p", { class: "mark" }, badge({ takes: "good", passed: "warning" }[mark.kind], mark.word), " ", mark.words && coded(mark.words)),
      h("p", {}, route.public ? badge("warning", "public", "Nobody needs a token") : asks(route.alternatives)),
      h("p", { class: "quiet small" }, "rule ", name(route.rule, { title: route.description }), " ", place(route.file, route.line), " ",
        link(address("#/matrix", { api: state.found.api, route: route.route }), route.public ? "everybody" : count(route.clients, "client")))));
}

function asks(alternatives) {
  return alternatives.map((all, at) => [at ? h("span", { class: "quiet" }, " or ") : "", conditions(all)]);
}

async function tryPath(asked, tried, state, { api, signal }) {
  let answer;
  try {
    answer = await api.post("explain", asked, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    tried.append(notice("error", h("p", {}, coded(error.detail ?? error.message))));
    return;
  }
  const { decided_by: decided, also_matching: passed, other_methods: others } = answer;
  state.marks = new Map([
    ...others.map((one) => [one.route, { kind: "other", word: "another method" }]),
    ...passed.map((one) => [one.route, { kind: "passed", word: "passed over", words: one.because }]),
    ...(decided ? [[decided.route, { kind: "takes", word: "takes it", id: "takes" }]] : []),
  ]);
  draw(state);
  tried.append(told(asked, answer));
  while (state.slices.length > 0) await Promise.all(state.slices.splice(0));
  document.getElementById("takes")?.scrollIntoView({ block: "center" });
}

function told({ api, method, path }, answer) {
  const { decided_by: decided, detail } = answer;
  return h("section", { class: "stack tried", "data-taken": decided ? "yes" : "no" },
    h("h2", {}, code(`${method} ${path}`), decided ? [" is taken by ", routeText(decided.route)] : " is taken by no route"),
    !decided && h("p", {}, "It is denied to everybody: ", coded(detail), "."),
    grounds({ ...answer, alternatives: [] }),
    h("p", {}, link(address("#/explain", { api, method, path }), "Explain it for a client")));
}
