// Denied decisions as they come, grouped by reason and client.

import { badge, code, count, h, link, name, time } from "../dom.js";
import { carried } from "../changes.js";
import { pause } from "../every.js";
import { coded } from "../explanation.js";
import { explained } from "../words.js";

export const title = "Live";

// As many as the page keeps.
const MOST = 500;
// How many of a group are shown, until somebody asks for all.
const FEW = 5;
// How often the page is drawn at most, in milliseconds, and how often a program that reads it out is told, in seconds.
const DRAWN = 250;
const TOLD = 5;
const LONGEST_WAIT = 30;

export async function show(main, params, { api, signal, navigate }) {
  const decisions = new Decisions();
  const page = pageOf(decisions, params.get("show") === "list" ? "list" : "groups", navigate);
  main.append(...page.elements);
  page.draw();
  page.tell();
  follow(api, signal, page);
  clock(signal, page);
}

// Reads the stream until the view is left, and connects again when it ends.
async function follow(api, signal, page) {
  let wait = 1;
  while (!signal.aborted) {
    let why = "The server ended the stream.";
    try {
      for await (const { event, data } of api.events("live", signal)) {
        wait = 1;
        if (event === "open") page.connected();
        if (event === "decision") page.take(data);
        if (event === "missed") page.miss(data.missed);
      }
    } catch (error) {
      why = error.message;
    }
    if (signal.aborted) return;
    page.lost(why, wait);
    await pause(wait, signal);
    wait = Math.min(wait * 2, LONGEST_WAIT);
    page.connecting();
  }
}

// What somebody is told at intervals: the counts, and how long ago each was.
async function clock(signal, page) {
  while (!signal.aborted) {
    await pause(TOLD, signal);
    page.tell();
    page.age();
  }
}

function pageOf(decisions, mode, navigate) {
  const state = { mode, waiting: null, late: null, missed: 0, whole: new Set() };
  const connection = h("p", { class: "connection", role: "status" }, badge("info", "connecting"));
  const counted = h("p", { class: "quiet" });
  const told = h("p", { class: "unseen", role: "status" });
  const list = h("div", { class: "decisions" });
  const groups = new Map();

  const hold = h("button", { type: "button", "aria-pressed": "false", onclick: pauseOrResume }, "Pause");
  const clear = h("button", { type: "button", onclick: () => { decisions.clear(); draw(); } }, "Clear");
  const modes = h("fieldset", { class: "row modes" }, h("legend", { class: "unseen" }, "Show"),
    radio("groups", "Groups"), radio("list", "List"));

  function radio(value, label) {
    return h("label", { class: "check" },
      h("input", { type: "radio", name: "show", value, checked: state.mode === value, onchange: () => turnTo(value) }), label);
  }

  function turnTo(value) {
    state.mode = value;
    navigate(value === "list" ? "#/live?show=list" : "#/live", { replace: true });
    list.replaceChildren();
    draw();
  }

  function pauseOrResume() {
    const waiting = state.waiting;
    state.waiting = waiting ? null : [];
    hold.setAttribute("aria-pressed", String(!waiting));
    waiting?.forEach((decision) => decisions.add(decision));
    draw();
  }

  function take(decision) {
    if (!state.waiting) {
      decisions.add(decision);
    } else {
      state.waiting.push(decision);
      // no more than the page would keep
      if (state.waiting.length > MOST) state.waiting.shift();
    }
    state.late ??= setTimeout(draw, DRAWN);
  }

  function miss(number) {
    state.missed += number;
    state.late ??= setTimeout(draw, DRAWN);
  }

  function draw() {
    clearTimeout(state.late);
    state.late = null;
    hold.textContent = state.waiting ? `Resume (${state.waiting.length === MOST ? `${MOST} or more` : state.waiting.length} new)` : "Pause";
    counted.textContent = words();
    if (decisions.kept.length === 0) arrange(list, [nothing]);
    else if (state.mode === "list") arrange(list, [each(decisions.kept)]);
    else arrange(list, decisions.groups().map(group));
  }

  const nothing = h("p", { class: "empty" }, "No request was denied since this page listens. Each one that is denied shows here at once.");
  const plain = h("ul", { class: "list" });

  function each(kept) {
    arrange(plain, kept.map(itemOf));
    return plain;
  }

  function group({ key, decisions: of }) {
    if (!groups.has(key)) groups.set(key, groupOf(of[0], () => { state.whole.add(key); draw(); }));
    const made = groups.get(key);
    const shown = state.whole.has(key) ? of : of.slice(0, FEW);
    made.number.textContent = of.length.toLocaleString("en");
    made.more.hidden = shown.length === of.length;
    made.more.textContent = `Show ${of.length - shown.length} more`;
    arrange(made.list, shown.map(itemOf));
    return made.element;
  }

  function words() {
    const kept = decisions.kept.length;
    const of = decisions.all > kept ? ` of ${decisions.all.toLocaleString("en")}; the newest ${MOST} are kept` : "";
    const missed = state.missed > 0 ? ` ${state.missed.toLocaleString("en")} came too fast and were not sent.` : "";
    return `${count(kept, "denied decision")}${of}, ${count(decisions.groups().length, "group")} by reason and client.${missed}`;
  }

  function tell() {
    if (told.textContent !== words()) told.textContent = words();
  }

  function age() {
    for (const one of list.querySelectorAll("time")) one.textContent = time(one.dateTime).textContent;
  }

  return {
    elements: [
      h("h1", {}, "Denied requests as they come"),
      h("div", { class: "row" }, connection, hold, clear, modes), counted, told, list,
      h("p", { class: "quiet" }, "A decision of this server, through a gateway or not. A click explains the request for the client with all that it is granted. ",
        "This page keeps them in memory alone."),
    ],
    take, miss, draw, tell, age,
    connected: () => connection.replaceChildren(badge("good", "connected"), " The newest stand first."),
    connecting: () => connection.replaceChildren(badge("info", "connecting")),
    lost: (why, wait) => connection.replaceChildren(badge("error", "not connected"), " ", name(why), ` It tries again in ${wait} s.`),
  };
}

// Puts elements in their order. Those that are there stay, with the focus that one of them has.
function arrange(parent, elements) {
  const focused = document.activeElement;
  let at = parent.firstChild;
  for (const element of elements) {
    if (element === at) at = at.nextSibling;
    else parent.insertBefore(element, at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

function groupOf({ reason, client, api }, onclick) {
  const number = h("b", { class: "counted", title: "Denied decisions of this reason and client that this page keeps" });
  const list = h("ul", { class: "list" });
  const more = h("button", { type: "button", class: "plain more", onclick });
  const element = h("section", { class: "card", "data-testid": "group" },
    h("h2", {}, number, " × ", badge("error", reason), " ", client ? name(client) : "no client", " at ", name(api ?? "no API")),
    list, more);
  return { element, number, list, more };
}

// Made once: a decision keeps its element.
function itemOf(decision) {
  return decision.element ??= made(decision);
}

function made(decision) {
  const { api, method, path, client, reason, rule, detail, gateway, time: at, id } = decision;
  const request = code(`${method} ${path}`);
  return h("li", { class: "decision", "data-testid": "decision", "data-reason": reason },
    h("p", {}, time(at), " ", badge("error", reason), " ", client ? name(client) : "no client", " ",
      api ? h("a", { href: explained({ api, client, method, path }), class: "whole", title: "Explain this request" }, request) : request,
      " at ", name(api ?? "no API"), rule && [", rule ", name(rule)], gateway && [", gateway ", name(gateway)]),
    detail && h("p", {}, coded(detail)),
    client && carriedBy(decision),
    h("p", { class: "quiet" }, "request ", name(id)));
}

// What the token of the request carried; a client may be granted more.
function carriedBy({ api, method, path, scopes = [], roles = [], claims = {} }) {
  const token = { scopes, roles, claims };
  return h("p", { class: "quiet" }, "The token carried ", carried(token), ". ",
    link(explained({ api, method, path, token }), "Explain for just this"));
}

// The newest decisions first. What the server sends again, after a lost connection, counts once.
class Decisions {
  constructor() {
    this.kept = [];
    this.seen = new Set();
    this.all = 0;
  }

  add(decision) {
    const key = keyOf(decision);
    if (this.seen.has(key)) return;
    this.seen.add(key);
    this.kept.unshift({ ...decision, key });
    this.all += 1;
    this.kept.length = Math.min(this.kept.length, MOST);
    if (this.seen.size > 2 * MOST) this.seen.delete(this.seen.values().next().value);
  }

  clear() {
    this.kept = [];
    this.all = 0;
  }

  // One group for each reason and client, that of the newest decision first.
  groups() {
    const groups = new Map();
    for (const decision of this.kept) {
      const key = JSON.stringify([decision.reason, decision.client ?? null, decision.api]);
      if (!groups.has(key)) groups.set(key, { key, decisions: [] });
      groups.get(key).decisions.push(decision);
    }
    return [...groups.values()];
  }
}

const keyOf = ({ id, time, api, method, path }) => JSON.stringify([id, time, api, method, path]);
