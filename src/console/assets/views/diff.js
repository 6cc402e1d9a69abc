// What an edit changes: the policies in force against the candidate, a folder, or a Git revision. Who gains and who loses
// what, by API, gains first. `#/try` shows the same of an edited text.

import { address, badge, card, code, count, field, h, link, name, notice, options, put, select } from "../dom.js";
import { coded, explained, findingList, summary } from "../parts.js";

export const title = "Diff";

export async function show(main, params, { api, signal, navigate }) {
  const answer = await api.get(address("diff", { with: params.get("with") }), signal);
  const filter = { client: params.get("client") ?? "", effect: params.get("effect") ?? "" };
  const onfilter = () => navigate(address("#/diff", { with: answer.with, ...filter }), { replace: true });
  const choose = (chosen) => navigate(address("#/diff", { with: chosen, ...filter }));
  put(main, h("h1", {}, "Diff"), content(answer, { filter, signal, onfilter }, choose));
}

function content(answer, how, choose) {
  const { choices, why, findings, difference } = answer;
  if (choices.length === 0) return unset();
  return [
    sides(answer, choose),
    why && notice("error", h("p", {}, coded(why))),
    findings.length > 0 && card(`A server would not take this: ${summary(findings)}`, findingList(findings)),
    difference && changesOf(difference, how),
  ];
}

// Which two are compared, and a choice where there is one.
function sides({ choices, with: chosen, old, new: edited }, choose) {
  return h("div", { class: "stack" },
    h("div", { class: "fields narrow" }, field("Compare with", select({ name: "with", onchange: (event) => choose(event.target.value) },
      choices.map(({ id, label }) => [id, label]), chosen))),
    h("p", {}, "Old: ", side(old), ". New: ", side(edited), "."));
}

const side = (one) => (one ? [name(one.name), one.hash && [" (", code(one.hash, { title: "The hash of its files" }), ")"]] : "not loaded");

// Which setting makes a side.
const unset = () => card("There is nothing to compare with",
  h("p", {}, "Set ", code("policies.candidate"), " to a second folder, or ", code("console.compare"), " to a folder (the new side) or a Git revision (the old one), and start the server again."),
  h("p", {}, "Or edit a copy of the policies at ", link("#/try", "Try"), "."));

// How many are drawn before the browser may do something else.
const PIECE = 50;
// How many are drawn at all, until somebody asks for more.
const MOST = 2000;

// The sign and the kind of each effect, in the order in which they are told.
const EFFECTS = { gains: ["+", "warning"], loses: ["−", "info"], changes: ["~", "none"] };
const RANKS = Object.keys(EFFECTS);

// An element with all of a `difference`. `filter` is `{ client, effect }`; what somebody sets is written into it and
// told by `onfilter(filter)`.
export function changesOf(difference, { filter, signal, onfilter = () => {}, explain = explained }) {
  if (difference.changes.length === 0) return h("p", { class: "lead" }, "No difference: nobody gains or loses anything.");
  const sorted = inOrder(difference.changes);
  const shown = h("p", { role: "status", class: "quiet" });
  const list = h("div", { class: "stack" });
  const draw = drawing(list, shown, sorted, filter, explain, signal);
  let timer = null;
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      onfilter(filter);
      draw();
    }, 150);
  };
  draw();
  return h("div", { class: "stack" }, headline(difference), filters(sorted, filter, changed), shown, list);
}

const SUMMARIES = { both: "both narrows and widens", neither: "neither narrows nor widens" };

// `widens: 2 gains, 0 losses`
function headline({ summary: id, gains, losses, changes }) {
  const others = changes.length - gains - losses;
  return h("p", { class: "lead", title: "By a gain somebody may do more, by a loss less; of other changes no request shows anything" },
    h("b", {}, SUMMARIES[id] ?? id), `: ${count(gains, "gain")}, ${count(losses, "loss", "losses")}`, others > 0 && `, ${count(others, "other change")}`);
}

// APIs with gains first; at each of them gains first. What is about no API comes last.
function inOrder(changes) {
  const gaining = new Set(changes.filter(({ effect }) => effect === "gains").map(({ api }) => api));
  const rank = ({ api }) => (api === null ? 2 : gaining.has(api) ? 0 : 1);
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  return changes.toSorted((a, b) => rank(a) - rank(b) || compare(a.api, b.api) || RANKS.indexOf(a.effect) - RANKS.indexOf(b.effect));
}

function filters(changes, filter, changed) {
  const clients = [...new Set(changes.map(({ who }) => who.client).filter(Boolean))];
  return h("div", { class: "fields" },
    field("Client", h("input", {
      name: "client", type: "search", value: filter.client, list: "changed-clients", autocomplete: "off", spellcheck: false,
      oninput: (event) => changed(filter.client = event.target.value.trim()),
    })),
    options("changed-clients", clients.slice(0, 1000)),
    field("Effect", select({ name: "effect", onchange: (event) => changed(filter.effect = event.target.value) },
      [["", "all"], ...RANKS], filter.effect)));
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
      else if (until < wanted.length) list.append(h("button", { type: "button", onclick: () => draw(most * 4) }, `Show more: ${count(wanted.length - until, "change")} left`));
    })(0);
  };
}

function passes({ effect, who }, filter) {
  if (filter.effect && effect !== filter.effect) return false;
  return !filter.client || (who.client ?? whose(who)).includes(filter.client);
}

function sectionOf({ api }, list, sections) {
  if (!sections.has(api)) {
    const items = h("ul", { class: "list" });
    sections.set(api, items);
    list.append(card(api === null ? "Clients" : ["API ", name(api)], items));
  }
  return sections.get(api);
}

function item(change, explain) {
  const [sign, kind] = EFFECTS[change.effect];
  return h("li", { class: "change", "data-testid": "change", "data-effect": change.effect },
    h("p", {}, badge(kind, `${sign} ${change.effect}`), " ", sentence(change)),
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
  return h("p", {}, api && explain === explained ? "ask the policies in force: " : "try ", api === null ? request : link(explain({ api, client, method, path, token }), request),
    client === null && token !== null && [" with ", carried(token)]);
}

// What a token carries: `scope orders:read, claims {"tenant":"acme"}`.
export function carried({ client, scopes, roles, claims }) {
  const lists = { client: client ? [client] : [], scope: scopes, role: roles, claims: Object.keys(claims).length > 0 ? [JSON.stringify(claims)] : [] };
  const said = Object.entries(lists).filter(([, list]) => list.length > 0);
  return said.length > 0 ? said.map(([what, list], at) => [at > 0 && ", ", what, " ", inRow(list)]) : "nothing";
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
