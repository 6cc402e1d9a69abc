// `#/token`: what a token says, decoded here, and whether it is good, judged by the server.
// A token stands in its field and in one POST, and nowhere else. It goes when the view is left.

import { address, badge, card, code, count, duration, facts, field, h, link, name, notice, options, time } from "../dom.js";
import { coded, grounds, verdict } from "../explanation.js";
import { pasted, seen, takeApart, written } from "../jws.js";
import { METHODS } from "./explain.js";

export const title = "What a token says, and whether it is good";

export async function show(main, params, { api, signal, names }) {
  const known = await names();
  const token = h("textarea", { name: "token", rows: 5, required: true, autocomplete: "off", spellcheck: false, autocapitalize: "off",
    placeholder: "eyJhbGciOi\u2026", "aria-describedby": "token-about" });
  const said = h("div", { class: "stack" });
  const judged = h("div", { class: "stack", "aria-live": "polite" });
  const decode = () => {
    judged.replaceChildren();
    said.replaceChildren(...(token.value.trim() ? decoded(pasted(token.value), known) : []));
  };
  const forget = () => {
    token.value = "";
    decode();
  };
  signal.addEventListener("abort", forget);
  addEventListener("pagehide", forget, { signal });
  main.append(
    h("h1", {}, title),
    form(token, known, { decode, forget, judge: (event) => judge(event, judged, { api, signal }) }),
    judged,
    said);
}

function form(token, { apis }, { decode, forget, judge }) {
  const input = (key, more) => h("input", { name: key, autocomplete: "off", spellcheck: false, autocapitalize: "off", ...more });
  token.addEventListener("input", decode);
  return h("form", { class: "card", onsubmit: judge, autocomplete: "off" },
    field("Token", token),
    h("p", { class: "hint", id: "token-about" }, "It is decoded in this page while you type. Only \u201cIs it good?\u201d sends it, to this service. ",
      "It is not kept: it goes when you leave this view."),
    h("details", {},
      h("summary", {}, "Ask about a request with it"),
      h("div", { class: "fields" },
        field("API", input("api", { list: "token-apis", placeholder: "the API of its aud" })),
        field("Method", input("method", { list: "token-methods", placeholder: "GET", size: 8 })),
        field("Path", input("path", { placeholder: "/tenants/acme/orders/42" })))),
    h("div", { class: "row" },
      h("button", { type: "submit", class: "primary", id: "token-judge" }, "Is it good?"),
      h("button", { type: "button", onclick: forget }, "Clear")),
    options("token-apis", apis.map((one) => one.name)),
    options("token-methods", METHODS));
}

async function judge(event, judged, { api, signal }) {
  event.preventDefault();
  const { token, ...request } = Object.fromEntries(new FormData(event.target));
  const given = Object.entries(request).map(([key, value]) => [key, value.trim()]).filter(([, value]) => value);
  const question = { token: pasted(token), ...Object.fromEntries(given) };
  if (question.path) question.method ??= "GET";
  judged.replaceChildren();
  try {
    if (question.method && !question.path) throw new Error("Give the path of the request too.");
    const answer = await api.post("token", question, signal);
    if (pasted(event.target.elements.token.value) === question.token) judged.append(...judgement(answer));
  } catch (error) {
    if (signal.aborted) return;
    judged.append(notice("error", h("p", {}, coded(error.detail ?? error.message))));
  }
}

const SHOWS = { dpop: "a DPoP proof by the key that it is bound to", certificate: "the certificate that it is bound to" };

function judgement({ valid, detail, api, client, bound, expires_at: expires, explanation }) {
  const why = detail ? coded(detail) : [
    "Its signature, issuer and times are right, and nothing of it was revoked",
    api ? [". It is for API ", name(api)] : "",
    client ? [", of client ", link(address("#/clients", { client }), name(client))] : "",
    expires ? [", and expires ", time(expires)] : "", "."];
  return [
    h("div", { class: "verdict", "data-testid": "verdict", "data-kind": valid ? "good" : "error" },
      h("p", {}, h("strong", {}, valid ? "valid" : "not valid")), " ",
      h("p", { class: "why" }, why)),
    bound && notice("info", h("p", {}, "The token is bound: it is good only together with ", SHOWS[bound] ?? bound, ".")),
    explanation && verdict(explanation, ", with this token", { "data-testid": "request-verdict" }),
    explanation && grounds(explanation),
  ].flat().filter(Boolean);
}

// What stands in a token, or what is wrong with its form.
function decoded(token, known) {
  const { header, payload, signature, faults } = takeApart(token);
  return [
    faults.length > 0 && notice("error", h("ul", { class: "list" }, faults.map((fault) => h("li", {}, coded(fault))))),
    payload && card("Claims", h("p", { class: "quiet" }, "As the token has them. They prove nothing before the token is judged."), members(payload, CLAIMS, known)),
    header && card("Header", members(header, HEADER, known),
      signature !== null && h("p", { class: "quiet" }, `The signature has ${count(signature, "byte")}.`)),
  ].filter(Boolean);
}

function members(object, meanings, known) {
  const rows = Object.entries(object).map(([key, value]) => {
    const { means, shown } = meanings.get(key) ?? meanings.get("");
    return [code(seen(key)), [shown?.(value, { object, known }) ?? code(written(value)), h("p", { class: "quiet small" }, coded(means))]];
  });
  return rows.length ? facts(rows) : h("p", { class: "quiet" }, "Nothing.");
}

const HEADER = new Map(Object.entries({
  alg: { means: "the algorithm of the signature", shown: (value) => (value === "none" ? [code("none"), " ", badge("error", "not signed")] : null) },
  typ: { means: "the kind of token: `at+jwt` is an access token (RFC 9068), `JWT` one that names no client" },
  kid: { means: "the key that signed" },
  "": { means: "jeton writes no such parameter" },
}));

const CLAIMS = new Map(Object.entries({
  iss: { means: "who issued it" },
  aud: { means: "the API that it is for, by its audience", shown: (value, { known }) => audiences(value, known) },
  exp: { means: "when it expires", shown: (value, { object }) => until(value, object) },
  iat: { means: "when it was issued", shown: (value) => moment(value, "in the future") },
  nbf: { means: "not good before", shown: (value) => moment(value, "not yet good") },
  auth_time: { means: "when the first token of its exchanges was issued", shown: (value) => moment(value) },
  jti: { means: "the id of this token, which the log of jeton has too" },
  sub: { means: "the client to which the permissions were granted", shown: (value, { known }) => client(value, known) },
  client_id: { means: "the client that got the token", shown: (value, { known }) => client(value, known) },
  scope: { means: "what its bearer may do", shown: (value, { known }) => words(value, known.scopes) },
  roles: { means: "roles whose every scope it carries", shown: (value, { known }) => words(value, known.roles) },
  cnf: { means: "it is bound: who uses it must also show this key (jkt, by DPoP) or certificate (x5t#S256)" },
  status: { means: "its place in a status list, which says whether it is revoked" },
  exchanges: { means: "how many exchanges there were" },
  act: { means: "who exchanged it, the last one first" },
  "": { means: "from the policies, or taken over from a platform's token" },
}));

function moment(value, later) {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || Math.abs(value) > 8.64e12) {
    return [code(written(value)), " ", badge("error", "not a time", "A time is a whole number of seconds since 1970")];
  }
  const at = new Date(value * 1000);
  const utc = at.toISOString().replace("T", " ").replace(".000Z", " UTC");
  return [time(at.toISOString()), ` (${utc})`, later && at > Date.now() ? [" ", badge("error", later)] : ""];
}

function until(value, { iat }) {
  const shown = moment(value);
  const good = Number.isSafeInteger(value) && value * 1000 > Date.now();
  const lasts = Number.isSafeInteger(value) && Number.isSafeInteger(iat) && value > iat ? `, ${duration(value - iat)} after it was issued` : "";
  return [shown, lasts, Number.isSafeInteger(value) && !good ? [" ", badge("error", "expired")] : ""];
}

function audiences(value, { apis }) {
  const each = Array.isArray(value) ? value : [value];
  return each.map((one, at) => {
    const api = apis.find(({ audience }) => audience === one);
    return [at ? ", " : "", code(written(one)), api ? [" API ", link(address("#/routes", { api: api.name }), name(api.name))] : [" ", badge("warning", "no API here")]];
  });
}

function client(value, { clients }) {
  if (!clients.includes(value)) return [code(written(value)), " ", badge("warning", "not in the policies")];
  return link(address("#/clients", { client: value }), name(value));
}

function words(value, defined) {
  const list = typeof value === "string" ? value.split(" ").filter(Boolean) : value;
  if (!Array.isArray(list)) return null;
  return list.map((one, at) => [at ? " " : "", code(written(one)), defined.includes(one) ? "" : [" ", badge("warning", "not in the policies")]]);
}
