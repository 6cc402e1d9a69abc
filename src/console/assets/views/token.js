// `#/token`: what a token says, decoded here, and whether it is good, judged by the server.
// A token stands in its field and in one POST, and nowhere else. It goes when the view is left.

import { pasted } from "../api.js";
import { address, badge, card, code, count, duration, facts, field, h, link, name, notice, put, time } from "../dom.js";
import { coded, grounds, verdict } from "../parts.js";
import { answered, requestFields, sent } from "./explain.js";

export const title = "What a token says, and whether it is good";

export async function show(main, params, { api, signal, names }) {
  const known = await names();
  const token = h("textarea", { name: "token", rows: 5, required: true, autocomplete: "off", spellcheck: false, autocapitalize: "off",
    placeholder: "eyJ\u2026", "aria-describedby": "token-about", oninput: () => decode() });
  const said = h("div", { class: "stack" });
  const judged = h("div", { class: "stack", role: "status" });
  const decode = () => {
    put(judged);
    put(said, token.value.trim() && decoded(pasted(token.value), known));
  };
  const forget = () => {
    token.value = "";
    decode();
  };
  signal.addEventListener("abort", forget);
  addEventListener("pagehide", forget, { signal });
  const judge = sent((values) => {
    put(judged);
    const given = Object.fromEntries(Object.entries(values).filter(([, value]) => value));
    const asked = { ...given, ...(given.path && { method: given.method ?? "GET" }), token: pasted(given.token) };
    void answered(judged, signal, async () => {
      const answer = await api.post("token", asked, signal);
      // by now there may be another token
      if (pasted(token.value) === asked.token) put(judged, judgement(answer));
    });
  });
  main.append(
    h("h1", {}, title),
    h("form", { class: "card", onsubmit: judge, autocomplete: "off" },
      field("Token", token),
      h("p", { class: "hint", id: "token-about" }, "It is decoded in this page. Only the button sends it, to this service. It is forgotten when you leave this view."),
      h("details", {},
        h("summary", {}, "Ask about a request with it"),
        h("div", { class: "fields" }, requestFields(["api", "method", "path"], {}, known, {}))),
      h("div", { class: "row" },
        h("button", { type: "submit", class: "primary", id: "judge" }, "Is it good?"),
        h("button", { type: "button", onclick: forget }, "Clear"))),
    judged,
    said);
}

const SHOWS = { dpop: "a DPoP proof by its key", certificate: "its certificate" };

function judgement({ valid, detail, api, client, bound, expires_at: expires, explanation }) {
  return [
    h("div", { class: "verdict", "data-testid": "verdict", "data-kind": valid ? "good" : "error" },
      h("p", {}, h("strong", {}, valid ? "valid" : "not valid")), " ",
      h("p", { class: "why" }, detail ? coded(detail) : [
        "Its signature, issuer and times are right, and it was not revoked. It is for API ", name(api ?? ""),
        client && [", of client ", link(address("#/clients", { client }), name(client))],
        expires && [", and expires ", time(expires)], "."])),
    bound && notice("info", h("p", {}, "The token is bound: each request with it must also show ", SHOWS[bound], ".")),
    explanation && [verdict(explanation, ", with this token", { "data-testid": "request-verdict" }), grounds(explanation)],
  ];
}

// What stands in a token, and what is wrong with its form.
function decoded(token, known) {
  const { header, payload, signature, faults } = takeApart(token);
  return [
    faults.length > 0 && notice("error", faults.map((fault) => h("p", {}, coded(fault)))),
    payload && card("Claims", h("p", { class: "quiet" }, "They prove nothing before the token is judged."), members(payload, CLAIMS, known)),
    header && card("Header", members(header, HEADER, known)),
    signature && h("p", { class: "quiet" }, `The signature has ${count(signature.length, "byte")}.`),
  ];
}

const members = (object, meanings, known) => facts(Object.entries(object).map(([key, value]) => {
  const [means, shown = plain] = meanings.get(key) ?? meanings.get("");
  return [code(seen(key)), [shown(value, known, object), h("p", { class: "quiet small" }, means)]];
}));

const plain = (value) => code(written(value));
const flag = (words, kind = "error") => [" ", badge(kind, words)];

const HEADER = new Map([
  ["alg", ["the algorithm of the signature", (value) => [plain(value), value === "none" && flag("not signed")]]],
  ["typ", ["the kind of token: at+jwt (RFC 9068), or JWT where it names no client"]],
  ["kid", ["the key that signed"]],
  ["", ["jeton writes no such parameter"]],
]);

const CLAIMS = new Map([
  ["iss", ["who issued it"]],
  ["aud", ["the API that it is for, by its audience", audiences]],
  ["exp", ["when it expires", (value, known, { iat }) => [moment(value), lasts(value, iat), value * 1000 <= Date.now() && flag("expired")]]],
  ["iat", ["when it was issued", (value) => [moment(value), value * 1000 > Date.now() && flag("in the future")]]],
  ["nbf", ["when it becomes good", (value) => [moment(value), value * 1000 > Date.now() && flag("not yet")]]],
  ["auth_time", ["when the first token of its exchanges was issued", moment]],
  ["jti", ["the id of this token, which the log has too"]],
  ["sub", ["the client to which the permissions were granted", client]],
  ["client_id", ["the client that got the token", client]],
  ["scope", ["what its bearer may do", (value, { scopes }) => words(value, scopes)]],
  ["roles", ["roles whose every scope it carries", (value, { roles }) => words(value, roles)]],
  ["cnf", ["it is bound to this key (jkt, by DPoP) or certificate (x5t#S256), which each request must show"]],
  ["status", ["its place in a status list, which says whether it is revoked"]],
  ["exchanges", ["how many exchanges there were"]],
  ["act", ["who exchanged it, the last one first"]],
  ["", ["from the policies, or taken over from a platform's token"]],
]);

function moment(value) {
  const isTime = Number.isSafeInteger(value) && Math.abs(value) < 8.64e12;
  if (!isTime) return [plain(value), flag("not a time")];
  const at = new Date(value * 1000).toISOString();
  return [time(at), ` (${at.slice(0, 19).replace("T", " ")} UTC)`];
}

const lasts = (exp, iat) => Number.isSafeInteger(exp - iat) && exp > iat && `, ${duration(exp - iat)} after it was issued`;

function audiences(value, { apis }) {
  return [value].flat().map((one) => {
    const api = apis.find(({ audience }) => audience === one);
    return h("div", {}, plain(one), api ? [" API ", link(address("#/routes", { api: api.name }), name(api.name))] : flag("of no API here", "warning"));
  });
}

function client(value, { clients }) {
  return clients.includes(value) ? link(address("#/clients", { client: value }), name(value)) : [plain(value), flag("not in the policies", "warning")];
}

function words(value, defined) {
  const list = typeof value === "string" ? value.split(" ") : value;
  return Array.isArray(list) ? list.map((one) => [plain(one), defined.includes(one) ? " " : [flag("not in the policies", "warning"), " "]]) : plain(value);
}

// The parts of a compact JWS (RFC 7515 section 7.1). Nothing is verified here.
const LONGEST = 8192;

// `{ header, payload, signature, faults }`: two objects and bytes, each `null` where it cannot be read; faults are words.
function takeApart(token) {
  const parts = token.split(".");
  const faults = [];
  if (token.length > LONGEST) faults.push(`It has ${token.length} characters. jeton takes no token longer than ${LONGEST}.`);
  if (parts.length === 5) faults.push("It has five parts: it is encrypted (JWE). jeton takes signed tokens only.");
  else if (parts.length !== 3) {
    faults.push(`It has ${parts.length === 1 ? "no dot" : `${parts.length} parts`}. A token has three parts with dots between: header, payload, signature.`);
  }
  const attempt = (at, what, read) => {
    const part = parts[at];
    // of an encrypted token, only the header can be read
    if (part === undefined || (parts.length === 5 && at > 0)) return null;
    try {
      return read(bytes(part));
    } catch (error) {
      faults.push(`The ${what} ${error.message}.`);
      return null;
    }
  };
  return { header: attempt(0, "header", object), payload: attempt(1, "payload", object), signature: attempt(2, "signature", (read) => read), faults };
}

// The bytes of base64url without padding, in its canonical form.
function bytes(part) {
  if (!part) throw new Error("is empty");
  const [wrong] = /[^A-Za-z0-9_-]/u.exec(part) ?? [];
  if (wrong) throw new Error(`has \`${seen(wrong)}\` at character ${part.indexOf(wrong) + 1}, which is not of base64url without padding`);
  const binary = part.length % 4 === 1 ? "" : atob(part.replaceAll("-", "+").replaceAll("_", "/"));
  const again = btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  if (again !== part) throw new Error("does not end where a byte ends: it is cut off or was changed");
  return Uint8Array.from(binary, (one) => one.charCodeAt(0));
}

// A JSON object. A number that a browser would round stays the text that it was.
function object(read) {
  let value;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(read);
    value = JSON.parse(text, (key, one, context) => (typeof one === "number" && context && String(one) !== context.source ? context.source : one));
  } catch (error) {
    throw new Error(error instanceof SyntaxError ? `is not JSON: ${error.message}` : "is not text in UTF-8");
  }
  if (!/^\{/.test(JSON.stringify(value))) throw new Error("is JSON, and not an object");
  return value;
}

// A value as JSON has it; a text alone is bare.
const written = (value) => seen(typeof value === "string" ? value : JSON.stringify(value));

// What cannot be seen, such as a mark that turns the direction, as its code.
const seen = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
