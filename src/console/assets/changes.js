// What differs between two readings of the policies: who gains and who loses what, by API, gains first.

import { badge, code, count, field, h, link, name, options, select } from "./dom.js";
import { explained, number } from "./parts.js";

// How many are drawn before the browser may do something else.
const PIECE = 100;
// How many are drawn at all, until somebody asks for more.
const MOST = 2000;

const EFFECTS = [
  { id: "gains", sign: "+", kind: "warning", means: "somebody may do more" },
  { id: "loses", sign: "−", kind: "info", means: "somebody may do less" },
  { id: "changes", sign: "~", kind: "none", means: "something else, which no request shows by itself" },
];
const RANK = new Map(EFFECTS.map(({ id }, at) => [id, at]));

// An element with all of a `difference`. `filter` is `{ client, effect }`; what somebody sets is written into it and
// told by `onfilter(filter)`.
export function changesOf(difference, { filter, signal, onfilter = () => {}, explain = explained }) {
  if (difference.changes.length === 0) return h("p", { class: "lead" }, "No difference: nobody gains or loses anything.");
  const sorted = inOrder(difference.changes);
  const shown = h("p", { role: "status", class: "quiet" });
  const list = h("div", { class: "changes" });
  const draw = drawing(list, shown, sorted, filter, explain, signal);
  const changed = debounced(() => {
    onfilter(filter);
    draw();
  });
  draw();
  return h("div", { class: "stack" }, headline(difference), filters(sorted, filter, changed), shown, list);
}

// `widens: 2 gains, no losses`, in words and by numbers.
function headline({ summary, gains, losses, changes }) {
  const words = { widens: "Widens", narrows: "Narrows", both: "Both narrows and widens", neither: "Neither narrows nor widens" };
  const others = changes.length - gains - losses;
  return h("p", { class: "lead", "data-summary": summary }, h("b", {}, words[summary] ?? summary), ": ",
    number(gains, "Changes by which somebody may do more"), ` ${gains === 1 ? "gain" : "gains"}, `,
    number(losses, "Changes by which somebody may do less"), ` ${losses === 1 ? "loss" : "losses"}`,
    others > 0 && [", ", number(others, "Changes that no request shows by itself"), others === 1 ? " other change" : " other changes"], ".");
}

// APIs with gains first; at each of them gains first. What is about no API comes last.
function inOrder(changes) {
  const gaining = new Set(changes.filter(({ effect }) => effect === "gains").map(({ api }) => api));
  const rank = ({ api }) => (api === null ? 2 : gaining.has(api) ? 0 : 1);
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  return changes.toSorted((a, b) => rank(a) - rank(b) || compare(a.api, b.api) || RANK.get(a.effect) - RANK.get(b.effect));
}

function filters(changes, filter, changed) {
  const clients = [...new Set(changes.map(({ who }) => who.client).filter(Boolean))];
  const effects = EFFECTS.filter(({ id }) => changes.some(({ effect }) => effect === id));
  return h("div", { class: "fields" },
    field("Client", h("input", {
      name: "client", type: "search", value: filter.client, list: "changed-clients", autocomplete: "off", spellcheck: false,
      oninput: (event) => changed(filter.client = event.target.value.trim()),
    })),
    options("changed-clients", clients.slice(0, 1000)),
    field("Effect", select({ name: "effect", onchange: (event) => changed(filter.effect = event.target.value) },
      [["", "all"], ...effects.map(({ id, sign, means }) => [id, `${sign} ${id}: ${means}`])], filter.effect)));
}

// Draws those that the filter leaves, in pieces, and stops when it is called again.
function drawing(list, shown, changes, filter, explain, signal) {
  let turn = 0;
  return function draw(most = MOST) {
    const mine = (turn += 1);
    const wanted = changes.filter((change) => passes(change, filter));
    const sections = new Map();
    list.replaceChildren();
    shown.textContent = wanted.length < changes.length ? `${wanted.length} of ${count(changes.length, "change")}` : "";
    (function piece(from) {
      if (mine !== turn || signal.aborted) return;
      const until = Math.min(from + PIECE, most, wanted.length);
      for (const change of wanted.slice(from, until)) sectionOf(change, list, sections).append(item(change, explain));
      if (until < Math.min(most, wanted.length)) requestAnimationFrame(() => piece(until));
      else if (until < wanted.length) list.append(more(wanted.length - until, () => draw(most * 4)));
    })(0);
  };
}

const more = (left, onclick) => h("p", {}, h("button", { type: "button", onclick }, `Show more: ${count(left, "change")} left`));

function passes({ effect, who }, filter) {
  if (filter.effect && effect !== filter.effect) return false;
  return !filter.client || (who.client ?? whose(who)).includes(filter.client);
}

function sectionOf({ api }, list, sections) {
  if (!sections.has(api)) {
    const items = h("ul", { class: "list" });
    sections.set(api, items);
    list.append(h("section", { class: "card" }, h("h2", {}, api === null ? "Clients" : ["API ", name(api)]), items));
  }
  return sections.get(api);
}

function item(change, explain) {
  const { sign, kind, id } = EFFECTS[RANK.get(change.effect)];
  return h("li", { class: "change", "data-testid": "change", "data-effect": change.effect },
    h("p", {}, badge(kind, `${sign} ${id}`), " ", sentence(change)),
    change.except.length > 0 && h("p", { class: "quiet" }, "except ", inRow(change.except), ", which other rules decide"),
    witness(change, explain),
    change.foreign && foreign(change.foreign),
    rules(change));
}

function sentence({ who, effect, what, where }) {
  const subject = who === "operators" ? null : [name(whose(who)), ` ${effect} `];
  return [subject, code(what), where && [" where ", name(where)]];
}

// For whom something changes.
function whose(who) {
  if (who === "everybody") return "everybody, even without a token,";
  if (who === "any_unbound_token") return "any token that is not bound";
  if (who === "operators") return "operators";
  if (who.client !== undefined) return who.client;
  if (who.token !== undefined) return `token ${who.token}`;
  return `any token that carries ${who.any_token_with}`;
}

// A request to try. The policies in force explain it.
function witness({ api, who, witness: shown }, explain) {
  if (!shown) return null;
  const { method, path, token } = shown;
  const client = who.client ?? null;
  const request = code(`${method} ${path}`);
  return h("p", {}, "try ", api === null ? request : link(explain({ api, client, method, path, token }), request),
    client === null && token !== null && [" with ", carried(token)]);
}

// What a token carries: `scope orders:read, claims {"tenant":"acme"}`.
export function carried({ client, scopes, roles, claims }) {
  const said = [];
  if (client) said.push(["client ", code(client)]);
  if (scopes.length > 0) said.push([scopes.length > 1 ? "scopes " : "scope ", inRow(scopes)]);
  if (roles.length > 0) said.push([roles.length > 1 ? "roles " : "role ", inRow(roles)]);
  if (Object.keys(claims).length > 0) said.push(["claims ", code(JSON.stringify(claims))]);
  return said.length > 0 ? said.flatMap((part, at) => (at > 0 ? [", ", part] : [part])) : "a token that carries nothing";
}

const foreign = ({ issuer, audience, claims }) => h("p", {}, "such as a token of ", code(issuer), " for ", code(audience), " with ", code(JSON.stringify(claims)));

// The rules that decide before and after, each with its place.
function rules({ before, after }) {
  const place = (one) => (one ? ["rule ", name(one.rule), " (", code(`${one.file}:${one.line}`), ")"] : "no rule");
  if (!before && !after) return null;
  return h("p", { class: "quiet" }, place(after), before?.rule !== after?.rule && [", was ", place(before)]);
}

// The most names that one line has.
const MOST_NAMED = 20;

function inRow(texts) {
  const left = texts.length - MOST_NAMED;
  return [texts.slice(0, MOST_NAMED).flatMap((text, at) => [at > 0 && ", ", code(text)]), left > 0 && ` and ${left} more`];
}

function debounced(work) {
  let timer = null;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, 150);
  };
}
