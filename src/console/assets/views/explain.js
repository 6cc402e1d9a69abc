// `#/explain`: why a request is allowed or denied, and what would do.

import { address, card, code, field, h, lines, link, name, notice, options } from "../dom.js";
import { coded, grounds, place, verdict } from "../explanation.js";
import { parseClaims, writtenClaims } from "../claims.js";

export const title = "Why a request is allowed or denied";

export const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

// An API that people made, rather than the built-in one.
export const firstApi = (apis) => (apis.find(({ name: each, mentioned }) => mentioned && each !== "jeton") ?? apis[0])?.name ?? "";

const MEMBERS = ["api", "as", "method", "path", "scopes", "roles", "claims"];

export async function show(main, params, context) {
  const asked = askedBy(params);
  const names = await context.names();
  const answer = h("div", { class: "answer", "aria-live": "polite" });
  main.append(
    h("h1", {}, title),
    asked.path ? "" : h("p", { class: "quiet" }, "Name a request. The answer says which rule decides it, what is met and what is missing, and who has that."),
    form(asked, names, (values) => context.navigate(address("#/explain", values))),
    answer);
  if (asked.api && asked.path) await ask(asked, answer, names, context);
}

// What an address asks.
export function askedBy(params) {
  const asked = Object.fromEntries(MEMBERS.map((member) => [member, params.get(member) ?? ""]));
  return { ...asked, method: asked.method || "GET" };
}

// The form; `onask` gets what is asked, as an address has it.
export function form(asked, names, onask) {
  const input = (key, more) => h("input", { name: key, value: asked[key], autocomplete: "off", spellcheck: false, autocapitalize: "off", ...more });
  const claims = h("textarea", { name: "claims", rows: 2, spellcheck: false, value: claimLines(asked.claims), placeholder: "tenant=acme" });
  const onsubmit = (event) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(event.target));
    onask({ ...values, path: values.path.trim(), claims: claimJson(values.claims) });
  };
  return h("form", { class: "card ask", onsubmit },
    h("div", { class: "fields" },
      field("API", input("api", { list: "explain-apis", required: true, value: asked.api || firstApi(names.apis) })),
      field("As client", input("as", { list: "explain-clients", placeholder: "nobody" })),
      field("Method", input("method", { list: "explain-methods", required: true, size: 8 })),
      field("Path", input("path", { required: true, class: "wide", placeholder: "/tenants/acme/orders/42" })),
      h("button", { type: "submit", class: "primary", id: "explain" }, "Explain")),
    h("details", { open: Boolean(asked.scopes || asked.roles || asked.claims) },
      h("summary", {}, "A bearer of scopes and roles; claims"),
      h("p", { class: "about" }, "Without a client, the answer is for a bearer of just these. With a client, give only the claims that it takes over ",
        "from its platform's token."),
      h("div", { class: "fields" },
        field("Scopes", input("scopes", { placeholder: names.scopes.slice(0, 2).join(" ") })),
        field("Roles", input("roles", { placeholder: names.roles[0] ?? "" })),
        field("Claims", claims, "One a line: NAME=TEXT or NAME:=JSON"))),
    options("explain-apis", names.apis.map((api) => api.name)),
    options("explain-clients", names.clients),
    options("explain-methods", METHODS));
}

// Claims stand in an address as JSON; a text that is none stays as it was typed.
function claimJson(text) {
  try {
    return text.trim() && JSON.stringify(parseClaims(text));
  } catch {
    return text;
  }
}

function claimLines(text) {
  try {
    return writtenClaims(parseClaims(text));
  } catch {
    return text;
  }
}

const words = (text) => text.split(/[\s,]+/).filter(Boolean);

// The question as the server takes it. Throws an `Error` in words.
export function question({ api, as, method, path, scopes, roles, claims }) {
  const request = { api, method, path };
  const has = { scopes: words(scopes), roles: words(roles), claims: parseClaims(claims) };
  if (!as) return scopes || roles || claims ? { ...request, as: has } : request;
  if (scopes || roles) {
    throw new Error("A client has the scopes and roles that it is granted. Empty the field of the client, or those of scopes and roles.");
  }
  return claims ? { ...request, as, claims: has.claims } : { ...request, as };
}

async function ask(asked, answer, names, { api, signal }) {
  let explanation;
  try {
    explanation = await api.post("explain", question(asked), signal);
  } catch (error) {
    if (signal.aborted) throw error;
    answer.append(notice("error", h("p", {}, coded(error.detail ?? error.message))));
    return;
  }
  const cell = await cellOf(asked, explanation, names, { api, signal });
  const opened = asked.as && explanation.reason === "not-met" && cell ? remedy(asked.as, cell) : null;
  answer.append(
    verdict(explanation, asker(asked)),
    wrongCase(asked, explanation),
    opened ?? "",
    ...grounds(explanation, cell && yaml(cell.rule)),
    links(asked, explanation));
  answer.firstElementChild.scrollIntoView({ block: "nearest" });
}

// The route in the matrix: with the lines of its rule, and what a client lacks there.
function cellOf({ as }, { api: of, decided_by: decided }, names, { api, signal }) {
  const client = as || names.clients[0];
  if (!decided || !client) return null;
  return api.get(address("cell", { api: of, client, route: decided.route }), signal).catch((error) => {
    if (signal.aborted) throw error;
    return null;
  });
}

export function asker({ as, scopes, roles, claims }) {
  if (as) return [", as ", name(as), claims ? " with these claims" : ""];
  return scopes || roles || claims ? ", as a bearer of these scopes, roles and claims" : ", without a token";
}

function wrongCase({ method }, { allowed }) {
  const capitals = method.toUpperCase();
  if (allowed || method === capitals) return "";
  return notice("warning", h("p", {}, "Methods are told apart by case: ", code(method), " is not ", code(capitals), "."));
}

// What would open the route to the client, and who has that.
function remedy(client, { access, condition, least }) {
  if (access === "when") return h("p", { class: "hint" }, name(client), " may use this route where ", code(condition), ".");
  if (!least) return null;
  const more = least.held_by_count - least.held_by.length;
  return card("What would open it",
    h("ul", {}, least.how.map((step) => h("li", {}, coded(step)))),
    h("p", {}, least.held_by_count === 0 ? "No client has it." : [
      "Who has it: ",
      least.held_by.map((id, at) => [at ? ", " : "", link(address("#/clients", { client: id }), name(id))]),
      more > 0 ? ` and ${more} more.` : ".",
    ]));
}

function yaml({ rule, description, file, line, text }) {
  return h("details", { class: "yaml" },
    h("summary", {}, "YAML of rule ", name(rule), " in ", place(file, line)),
    description && h("p", {}, name(description)),
    lines(text));
}

function links({ as }, { api, method, path, decided_by: decided }) {
  return h("p", { class: "links" },
    decided && link(address("#/matrix", { api, route: decided.route }), "Who may use this route"), " ",
    link(address("#/routes", { api, method, path }), "This path among all routes"), " ",
    as && link(address("#/clients", { client: as }), "Grants and secrets of ", name(as)));
}
