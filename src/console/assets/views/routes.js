// `#/routes`: every path of an API as a tree, what decides it, and which route takes a path.

import { address, badge, code, count, field, h, link, name, put, select } from "../dom.js";
import { coded, conditions, grounds, place, routeText, segments } from "../parts.js";
import { answered, firstApi, requestFields, sent } from "./explain.js";

export const title = "What decides each path";

// So many routes are shown open; the others are a keypress away.
const OPEN = 150;
// So many lines are drawn at once; then the page may answer to its reader.
const AT_ONCE = 40;

export async function show(main, params, { api, signal, navigate, names }) {
  const known = await names();
  const wanted = params.get("api") || firstApi(known.apis);
  main.append(h("h1", {}, title));
  if (!wanted) {
    main.append(h("p", { class: "empty" }, "The policies define no API."));
    return;
  }
  const found = await api.get(address("routes", { api: wanted }), signal);
  const asked = { api: wanted, method: params.get("method") || "GET", path: params.get("path") };
  const tried = h("div", { class: "stack", role: "status" });
  const state = { found, filter: "", marks: new Map(), slices: [], forest: h("div", { class: "routes" }) };
  main.append(
    about(found, known.apis, (other) => navigate(address("#/routes", { api: other }))),
    h("form", { class: "card", onsubmit: sent((values) => navigate(address("#/routes", { api: wanted, ...values }))) },
      h("div", { class: "fields" }, requestFields(["method", "path"], asked, known),
        h("button", { type: "submit", class: "primary", id: "try" }, "Try this path"))),
    tried,
    filter(state),
    state.forest);
  draw(state);
  if (asked.path) await answered(tried, signal, async () => showTried(await api.post("explain", asked, signal), tried, state));
}

function about({ api, audience, bound_tokens: bound, routes }, apis, chosen) {
  const open = routes.filter((route) => route.public).length;
  return h("div", { class: "row" },
    h("label", { class: "check" }, h("span", { class: "label" }, "API"),
      select({ name: "api", onchange: (event) => chosen(event.target.value) }, apis.map((one) => one.name), api)),
    h("span", {}, count(routes.length, "route"), open > 0 && `, ${open} public`),
    h("span", {}, "audience ", code(audience)),
    bound && badge("info", "bound tokens only", "The API takes only tokens that are bound to a key or a certificate"),
    link(address("#/matrix", { api }), "Who may do what"));
}

function filter(state) {
  const input = h("input", { type: "search", name: "filter", autocomplete: "off", placeholder: "refund, public, scope: orders:read" });
  const left = h("span", { class: "check quiet", role: "status" });
  const oninput = () => {
    state.filter = input.value.trim().toLowerCase();
    left.textContent = state.filter && `${draw(state)} of ${count(state.found.routes.length, "route")}`;
    if (!state.filter) draw(state);
  };
  return h("div", { class: "fields", role: "search", "aria-label": "Routes", oninput }, field("Filter by path, rule or condition", input), left);
}

const text = (route) => [route.route, route.rule, route.public && "public", route.alternatives].flat(3).join(" ").toLowerCase();

// Draws what passes the filter, with what a tried path meets. Returns how many routes that are.
function draw(state) {
  const routes = state.found.routes.filter((route) => (route.text ??= text(route)).includes(state.filter));
  const nodes = tree(routes);
  state.slices = [];
  state.forest.toggleAttribute("data-many", routes.length > OPEN);
  put(state.forest, routes.length ? branch(nodes, state, shortDepth(nodes)) : h("p", { class: "empty" }, "No route matches the filter."));
  return routes.length;
}

// A list of `{ label, routes, below, size }`. Segments without a fork are one label.
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

function joined({ label, routes, below }) {
  const nodes = [...below.values()].map(joined);
  if (routes.length === 0 && nodes.length === 1) return { ...nodes[0], label: label + nodes[0].label };
  return { label, routes, below: nodes, size: nodes.reduce((sum, one) => sum + one.size, routes.length) };
}

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
  const slices = async () => {
    for (let from = 0; from < nodes.length; from += AT_ONCE) {
      if (from > 0) await new Promise((resolve) => setTimeout(resolve));
      list.append(...nodes.slice(from, from + AT_ONCE).map((node) => h("li", {}, nodeOf(node, state, depth))));
    }
  };
  state.slices.push(slices());
  return list;
}

// A path with others below can be closed; what is in it is made when it first opens.
function nodeOf(node, state, depth) {
  const label = h("code", { class: "path" }, h("bdi", {}, segments(node.label)));
  const own = () => node.routes.map((route) => routeOf(route, state));
  if (node.below.length === 0) return h("div", { class: "leaf" }, label, own());
  const made = h("details", { ontoggle: fill },
    h("summary", {}, label, " ", node.routes.map(({ method }) => [h("b", { class: "method" }, method), " "]),
      h("span", { class: "quiet" }, `${count(node.size - node.routes.length, "route")} below`)));
  function fill() {
    if (made.childElementCount === 1) made.append(...own(), branch(node.below, state, depth - 1));
  }
  const holdsMark = ({ routes, below }) => routes.some(({ route }) => state.marks.has(route)) || below.some(holdsMark);
  if (depth > 0 || holdsMark(node)) {
    fill();
    made.open = true;
  }
  return made;
}

// What decides one method of a path.
function routeOf({ route, method, rule, file, line, public: isPublic, alternatives, clients }, { found, marks }) {
  const mark = marks.get(route);
  const asks = isPublic ? badge("warning", "public", "Nobody needs a token") : alternatives.map((all, at) => [at ? h("span", { class: "quiet" }, " or ") : "", conditions(all)]);
  return h("div", { class: "decides", "data-mark": mark && (mark.kind ?? "other"), "aria-current": mark?.kind === "good" ? "true" : null },
    h("b", { class: "method" }, method),
    h("div", {},
      mark && h("p", {}, badge(mark.kind, mark.word), " ", mark.because && coded(mark.because)),
      h("p", {}, asks),
      h("p", { class: "quiet small" }, "rule ", name(rule), " ", place(file, line), " ",
        link(address("#/matrix", { api: found.api, route }), isPublic ? "everybody" : count(clients, "client")))));
}

// Marks the routes that a path meets, and goes to the one that takes it.
async function showTried(answer, tried, state) {
  const { api, method, path, decided_by: decided, also_matching: passed, other_methods: others, detail } = answer;
  for (const { route } of others) state.marks.set(route, { word: "another method" });
  for (const { route, because } of passed) state.marks.set(route, { kind: "warning", word: "passed over", because });
  if (decided) state.marks.set(decided.route, { kind: "good", word: "takes it" });
  put(tried,
    h("h2", {}, code(`${method} ${path}`), decided ? [" is taken by ", routeText(decided.route)] : " is taken by no route"),
    decided ? null : h("p", {}, "It is denied to everybody: ", coded(detail), "."),
    grounds({ ...answer, alternatives: [] }),
    h("p", {}, link(address("#/explain", { api, method, path }), "Explain it for a client")));
  draw(state);
  while (state.slices.length > 0) await Promise.all(state.slices.splice(0));
  state.forest.querySelector("[aria-current]")?.scrollIntoView({ block: "center" });
}
