// `#/explain`: why a request is allowed or denied, and what would do.

import { address, card, code, field, h, lines, link, name, notice, options, put } from "../dom.js";
import { coded, conditions, grounds, missing, place, verdict } from "../parts.js";

export const title = "Why a request is allowed or denied";

// An API that people made, rather than the built-in one.
export const firstApi = (apis) => (apis.find(({ name: each, mentioned }) => mentioned && each !== "jeton") ?? apis[0])?.name ?? "";

export async function show(main, params, { api, signal, navigate, names }) {
  const asked = askedBy(params);
  const known = await names();
  const answer = h("div", { class: "stack", "aria-live": "polite" });
  main.append(
    h("h1", {}, title),
    h("p", { class: "quiet" }, "The answer says which rule decides the request, what is met, what is missing, and who has that."),
    form(asked, known, (values) => navigate(address("#/explain", values))),
    answer);
  if (asked.api && asked.path) await answered(answer, signal, () => ask(asked, answer, known, { api, signal }));
}

const MEMBERS = ["api", "as", "method", "path", "scopes", "roles", "claims"];

// What an address asks.
export function askedBy(params) {
  const asked = Object.fromEntries(MEMBERS.map((member) => [member, params.get(member) ?? ""]));
  return { ...asked, method: asked.method || "GET" };
}

// A field for a text that no browser should mend.
const plain = (label, key, value, more) =>
  field(label, h("input", { name: key, value: value ?? "", autocomplete: "off", spellcheck: false, autocapitalize: "off", ...more }));

// Fields of a request, with what the policies know to choose from.
export function requestFields(keys, asked, { apis, clients }, more = { required: true }) {
  const all = {
    api: () => [plain("API", "api", asked.api, { list: "known-apis", ...more }), options("known-apis", apis.map((one) => one.name))],
    as: () => [plain("As client", "as", asked.as, { list: "known-clients", placeholder: "nobody" }), options("known-clients", clients)],
    method: () => [plain("Method", "method", asked.method, { list: "known-methods", ...more }),
      options("known-methods", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])],
    path: () => plain("Path", "path", asked.path, { placeholder: "/tenants/acme/orders/42", ...more }),
  };
  return keys.map((key) => all[key]());
}

// The values of a form that is sent, to `take`.
export const sent = (take) => (event) => {
  event.preventDefault();
  take(Object.fromEntries([...new FormData(event.target)].map(([key, value]) => [key, value.trim()])));
};

// The form; `onask` gets what is asked, as an address has it.
export function form(asked, names, onask) {
  const { scopes, roles, claims } = asked;
  const shown = { ...asked, api: asked.api || firstApi(names.apis) };
  return h("form", { class: "card", onsubmit: sent(onask) },
    h("div", { class: "fields" }, requestFields(["api", "as", "method", "path"], shown, names),
      h("button", { type: "submit", class: "primary", id: "explain" }, "Explain")),
    h("details", { open: Boolean(scopes || roles || claims) },
      h("summary", {}, "A bearer of scopes and roles; claims"),
      h("p", { class: "quiet" }, "Without a client, the answer is for a bearer of just these. With a client, give only claims that it takes over from its platform's token."),
      h("div", { class: "fields" },
        plain("Scopes", "scopes", scopes, { placeholder: names.scopes.slice(0, 2).join(" ") }),
        plain("Roles", "roles", roles, { placeholder: names.roles[0] ?? "" }),
        field("Claims", h("textarea", { name: "claims", rows: 2, spellcheck: false, value: claims, placeholder: "tenant=acme" }),
          "One a line: NAME=TEXT or NAME:=JSON"))));
}

// The question as the server takes it. Throws an `Error` in words.
export function question({ api, as, method, path, scopes, roles, claims }) {
  const request = { api, method, path };
  const words = (text) => text.split(/[\s,]+/).filter(Boolean);
  if (!as) return scopes || roles || claims ? { ...request, as: { scopes: words(scopes), roles: words(roles), claims: parseClaims(claims) } } : request;
  if (scopes || roles) throw new Error("A client has the scopes and roles that it is granted. Empty the field of the client, or those of scopes and roles.");
  return claims ? { ...request, as, claims: parseClaims(claims) } : { ...request, as };
}

// Claims as people write them: `tenant=acme` is text, `level:=3` is JSON, one a line; or all of them as one JSON object.
// Throws an `Error` in words.
function parseClaims(text) {
  const written = text.trim();
  if (written.startsWith("{")) return exactJson(written);
  const claims = written.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const [, key, colon, value] = /^([^=]+?)(:?)=(.*)$/s.exec(line) ?? [];
    if (!key) throw new Error(`Write \`${line}\` as NAME=TEXT or NAME:=JSON.`);
    return [key, colon ? exactJson(value) : value];
  });
  const twice = claims.find(([key], at) => claims.findIndex(([other]) => other === key) < at);
  if (twice) throw new Error(`Claim \`${twice[0]}\` is given twice.`);
  // not by assignment: `__proto__` is a name too
  return Object.fromEntries(claims);
}

function exactJson(text) {
  try {
    return JSON.parse(text, (key, value, context) => {
      if (typeof value === "number" && context && JSON.stringify(value) !== context.source) {
        throw new Error(`a browser does not keep the number ${context.source} as it is; \`jeton policies explain --claim\` does`);
      }
      return value;
    });
  } catch (error) {
    throw new Error(`The claims \`${text}\` are not understood: ${error.message}.`);
  }
}

export function asker({ as, scopes, roles, claims }) {
  if (as) return [", as ", name(as), claims ? " with these claims" : ""];
  const given = [scopes && "scopes", roles && "roles", claims && "claims"].filter(Boolean).join(" and ");
  return given ? `, as a bearer of these ${given}` : ", without a token";
}

// Does `work`; where it fails, `place` says why.
export async function answered(place, signal, work) {
  try {
    await work();
  } catch (error) {
    if (!signal.aborted) place.append(notice("error", h("p", {}, coded(error.message))));
  }
}

async function ask(asked, answer, { clients }, { api, signal }) {
  const explanation = await api.post("explain", question(asked), signal);
  const { decided_by: decided, reason, method, path } = explanation;
  // the cell of the matrix has the lines of the rule, and what a client lacks there
  const client = asked.as || clients[0];
  const cell = decided && client && await api.get(address("cell", { api: asked.api, client, route: decided.route }), signal).catch(() => null);
  const capitals = method.toUpperCase();
  put(answer,
    verdict(explanation, asker(asked)),
    reason === "bad-method" && method !== capitals && notice("info", h("p", {}, "Case counts: ", code(method), " is not ", code(capitals), ".")),
    cell && asked.as && reason === "not-met" && remedy(cell, explanation.alternatives),
    h("p", { class: "row" },
      decided && link(address("#/matrix", { api: asked.api, route: decided.route }), "Who may use this route"),
      link(address("#/routes", { api: asked.api, method, path }), "This path among all routes"),
      asked.as && link(address("#/clients", { client: asked.as }), "Grants and secrets of ", name(asked.as))),
    grounds(explanation, cell && yaml(cell.rule)));
  answer.firstChild.scrollIntoView({ block: "nearest" });
}

// What would open the route to the client, and who has that.
function remedy({ client, access, condition, least }, alternatives) {
  const ways = alternatives.map(missing);
  const nearest = ways.filter(({ length }) => length === ways[0].length);
  if (access === "when") {
    return notice("info", h("p", {}, name(client), " may use this route where ", code(condition), ". For this path it lacks ",
      nearest.map((way, at) => [at > 0 && ", or ", conditions(way)]), "."));
  }
  if (!least) return null;
  const more = least.held_by_count - least.held_by.length;
  return card("What would open it",
    h("ul", {}, least.how.map((step) => h("li", {}, coded(step)))),
    h("p", {}, "Who has it: ", least.held_by.map((id, at) => [at ? ", " : "", link(address("#/clients", { client: id }), name(id))]),
      more > 0 ? ` and ${more} more.` : least.held_by.length ? "." : "no client."));
}

const yaml = ({ rule, file, line, text }) => h("details", {}, h("summary", {}, "YAML of rule ", name(rule), " in ", place(file, line)), lines(text));
