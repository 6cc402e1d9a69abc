// Who may do what, by client and route. A cell opens the rule, and for a denied client the least that is missing.

import { address, code, count, h, lines, link, name, notice, time } from "../dom.js";
import { accessMatrix, stateBadge } from "../grid.js";
import { coded, explained, place } from "../parts.js";
import { firstApi } from "./explain.js";

export const title = "Who may do what";

const FILTERS = ["client", "route", "scope", "state", "granted"];

export async function show(main, params, { api, signal, navigate, names }) {
  main.classList.add("wide");
  const { apis, scopes } = await names();
  const wanted = params.get("api") ?? firstApi(apis);
  if (!wanted) {
    main.append(h("h1", {}, title), notice("info", h("p", {}, "No policy file has an API yet.")));
    return;
  }
  const state = Object.fromEntries(FILTERS.map((key) => [key, params.get(key) ?? ""]));
  const here = () => address("#/matrix", { api: wanted, ...state });
  if (!params.get("api")) navigate(here(), { replace: true });
  const matrix = await api.get(address("matrix", { api: wanted }), signal);
  const element = accessMatrix({
    matrix,
    apis: areFew(apis) ? null : apis.map((each) => each.name),
    chosen: (other) => navigate(address("#/matrix", { ...state, api: other })),
    state,
    changed: () => navigate(here(), { replace: true }),
    detail: (cell) => detail(cell, matrix, api, signal),
    more: (one) => more(one, wanted),
    asks: () => asks(wanted, api, signal),
    scopes,
  });
  main.append(header(matrix), ...(areFew(apis) ? [tabs(apis, wanted)] : []), element);
}

function header({ hash, dir, loaded_at }) {
  return h("header", {}, h("h1", {}, title),
    h("p", { class: "quiet" }, "policies ", code(short(hash), { title: `The hash of the policies in force: ${hash}` }), " in ", name(dir), ", loaded ", time(loaded_at)));
}

const short = (hash) => hash.replace(/^sha256:/, "").slice(0, 12);

// Few APIs are links, many are a select.
const areFew = (apis) => apis.length <= 8;

function tabs(apis, wanted) {
  return h("ul", { class: "tabs", "aria-label": "APIs" }, apis.map(({ name: each, routes, clients }) =>
    h("li", {}, h("a", { href: address("#/matrix", { api: each }), "aria-current": each === wanted ? "page" : null,
      title: `${count(routes, "route")}, ${count(clients, "client")} with a grant` }, name(each)))));
}

function more({ client, route }, api) {
  if (client) return h("p", {}, link(address("#/clients", { client: client.id }), "Its grants, secrets and limits"));
  const [method, path] = route.route.split(/ (.*)/s);
  return h("p", {}, link(address("#/routes", { api, method: method === "ANY" ? null : method, path: example(path) }), "Try a path of it"));
}

// What each route asks, as one text to search in.
async function asks(wanted, api, signal) {
  const { routes } = await api.get(address("routes", { api: wanted }), signal);
  return new Map(routes.map(({ route, alternatives }) => [route, alternatives.flat().join("\n")]));
}

async function detail({ client, route }, matrix, api, signal) {
  try {
    return cellDetail(await api.get(address("cell", { api: matrix.api, client: client.id, route: route.route }), signal));
  } catch (error) {
    if (signal.aborted) return [];
    return [h("h2", {}, name(client.id)), notice("error", h("p", {}, name(error.message)))];
  }
}

function cellDetail(cell) {
  return [
    h("h2", {}, name(cell.client)),
    h("p", { class: "mono" }, name(cell.route)),
    h("p", { class: "row" }, stateBadge(cell.access, cell.condition), cell.public && "public: no token is needed", h("a", { class: "button", href: question(cell) }, "Explain a request")),
    cell.hint && notice("info", h("p", {}, name(cell.hint))),
    cell.least && least(cell),
    alternatives(cell),
    rule(cell.rule),
  ];
}

// What would do, and who has it.
function least({ api, least: { missing, how, held_by, held_by_count } }) {
  return h("section", { class: "stack tight" }, h("h3", {}, "The least that is missing"),
    h("ul", {}, missing.map((each) => h("li", {}, code(each)))),
    how.length > 0 && [h("h3", {}, "How to give it"), h("ul", {}, how.map((each) => h("li", {}, coded(each))))],
    h("h3", { title: "Clients that may use this route by what is missing here" }, `Who has it: ${count(held_by_count, "client")}`),
    h("p", {}, held_by.map((id, at) => [at > 0 && ", ", link(address("#/matrix", { api, client: id }), name(id))]),
      held_by_count > held_by.length && ` and ${held_by_count - held_by.length} more`));
}

const MET = { yes: "met", no: "missing", depends: "depends" };

function alternatives({ alternatives: list }) {
  return list.length > 0 && h("section", { class: "stack tight" }, h("h3", {}, "What the rule asks", list.length > 1 && ": one of these"),
    list.map(({ conditions }) => h("div", { class: "alternative" }, h("ul", { class: "conditions" },
      conditions.map(({ condition, met }) => h("li", { "data-met": met }, h("strong", {}, MET[met]), " ", code(condition)))))));
}

const rule = ({ rule: called, file, line, text }) => h("section", { class: "stack tight" },
  h("h3", {}, "Rule ", name(called)), place(file, line), lines(text, new Set([line])));

// The same question for `#/explain`, with a path that the condition allows.
function question({ api, client, route, condition }) {
  const [method, pattern] = route.split(/ (.*)/s);
  const known = new Map([...(condition ?? "").matchAll(/([\w.-]+) = ([^\s,]+)/g)].map(([, key, value]) => [key, value]));
  return explained({ api, client, method: method === "ANY" ? "GET" : method, path: example(pattern, known) });
}

// A path of a pattern, with the values of parameters that are known.
function example(pattern, known = new Map()) {
  return pattern.split("/").map((segment) => {
    if (segment === "**") return "some/path";
    const found = segment.match(/^\{([^}:]+)/);
    return found ? (known.get(found[1]) ?? `some-${found[1]}`) : segment;
  }).join("/");
}
