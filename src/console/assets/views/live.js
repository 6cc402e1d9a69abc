// Denied decisions as they come, grouped by reason and client.

import { badge, check, code, count, h, link, name, put, time } from "../dom.js";
import { arrange, coded, every, explained, pause } from "../parts.js";
import { carried } from "./diff.js";

export const title = "Live";

// As many as the page keeps.
const MOST = 500;
// How many of a list are drawn at once.
const PIECE = 100;
// How many of a group are shown, until somebody asks for all.
const FEW = 5;
// How often the page is drawn at most, in milliseconds, and how often a program that reads it out is told, in seconds.
const DRAWN = 250;
const TOLD = 5;
const LONGEST_WAIT = 30;

export async function show(main, params, { api, signal, navigate }) {
  const page = pageOf(params.get("show") === "list", navigate);
  main.append(...page.elements);
  page.draw();
  follow(api, signal, page);
  every(TOLD, signal, page.tell);
}

// Reads the stream until the view is left, and connects again when it ends.
async function follow(api, signal, page) {
  for (let wait = 1; ; wait = Math.min(wait * 2, LONGEST_WAIT)) {
    let why = "The server ended the stream.";
    page.says("info", "connecting");
    try {
      for await (const { event, data } of api.events("live", signal)) {
        wait = 1;
        if (event === "open") page.says("good", "connected", " The newest stand first.");
        else page.take(event, data);
      }
    } catch (error) {
      why = error.message;
    }
    if (signal.aborted) return;
    page.says("error", "not connected", " ", name(why), ` It tries again in ${wait} s.`);
    await pause(wait, signal);
  }
}

function pageOf(asList, navigate) {
  const decisions = new Decisions();
  let groups = new Map();
  let waiting = null;
  let late = null;
  let drawn = PIECE;
  const connection = h("p", { class: "connection", role: "status" });
  const counted = h("p", { class: "quiet" });
  const told = h("p", { class: "unseen", role: "status" });
  const list = h("div", { class: "stack" });
  const hold = h("button", { type: "button", onclick: pauseOrResume });
  const clear = h("button", { type: "button", onclick: () => draw(decisions.clear(), groups.clear()) }, "Clear");
  const flat = h("input", { type: "checkbox", name: "list", checked: asList, onchange: turn });
  const nothing = h("p", { class: "empty" }, "No request was denied since the server started.");
  const plain = h("ul", { class: "list" });

  function turn() {
    navigate(flat.checked ? "#/live?show=list" : "#/live", { replace: true });
    list.replaceChildren();
    draw();
  }

  function pauseOrResume() {
    waiting?.forEach((decision) => decisions.add(decision));
    waiting = waiting ? null : [];
    draw();
  }

  function take(event, data) {
    if (event === "missed") decisions.missed += data.missed;
    else if (event !== "decision") return;
    else if (waiting) waiting = [...waiting.slice(1 - MOST), data];
    else decisions.add(data);
    late ??= setTimeout(draw, DRAWN);
  }

  function draw() {
    clearTimeout(late);
    late = null;
    hold.textContent = waiting ? `Resume (${waiting.length} new)` : "Pause";
    counted.textContent = decisions.words();
    if (decisions.kept.length === 0) arrange(list, [nothing]);
    else if (flat.checked) drawList();
    else drawGroups();
  }

  // In pieces, between which the browser may do something else.
  function drawList() {
    arrange(list, [plain]);
    arrange(plain, decisions.kept.slice(0, drawn).map(itemOf));
    if (drawn >= decisions.kept.length) return;
    drawn += PIECE;
    requestAnimationFrame(draw);
  }

  // A group that stays keeps its element; one that is no longer there is forgotten.
  function drawGroups() {
    const now = decisions.groups();
    groups = new Map(now.map(({ key, decisions: of }) => [key, groups.get(key) ?? groupOf(of[0], draw)]));
    arrange(list, now.map(({ key, decisions: of }) => groups.get(key)(of)));
  }

  // The counts for those who do not see them, and how long ago each was.
  function tell() {
    if (told.textContent !== counted.textContent) told.textContent = counted.textContent;
    for (const one of list.querySelectorAll("time")) one.textContent = time(one.dateTime).textContent;
  }

  return {
    elements: [
      h("h1", {}, "Denied requests as they come"),
      h("div", { class: "row" }, connection, hold, clear, check("One list, without groups", flat)), counted, told, list,
      h("p", { class: "quiet" }, "Decisions of this server, kept in the memory of this page. ",
        "A click explains the request for the client with all that it is granted."),
    ],
    take, draw, tell,
    says: (kind, state, ...more) => put(connection, badge(kind, state), more),
  };
}

// A function that fills the element of a group, and returns it.
function groupOf({ reason, client, api }, redraw) {
  let most = FEW;
  const number = h("b", { title: "Denied decisions in this group" });
  const list = h("ul", { class: "list" });
  const more = h("button", { type: "button", class: "plain", onclick: () => redraw(most = MOST) });
  const element = h("section", { class: "card", "data-testid": "group" }, h("h2", {}, number, " × ", badge("error", reason), " ", whom(client, api)), list, more);
  return (decisions) => {
    number.textContent = decisions.length;
    more.hidden = decisions.length <= most;
    more.textContent = `Show ${decisions.length - most} more`;
    arrange(list, decisions.slice(0, most).map(itemOf));
    return element;
  };
}

const whom = (client, api) => [client ? name(client) : "no client", " at ", name(api ?? "no API")];

// Made once: a decision keeps its element.
const itemOf = (decision) => (decision.element ??= item(decision));

function item(decision) {
  const { api, method, path, client, reason, rule, detail, gateway, time: at, id, scopes = [], roles = [], claims = {} } = decision;
  const request = code(`${method} ${path}`);
  const token = { scopes, roles, claims };
  return h("li", { class: "decision", "data-testid": "decision", "data-reason": reason },
    h("p", {}, time(at), " ", badge("error", reason), " ",
      api ? h("a", { href: explained({ api, client, method, path }), class: "whole", title: "Explain this request" }, request) : request, " ",
      whom(client, api), rule && [", rule ", name(rule)], gateway && [", gateway ", name(gateway)]),
    detail && h("p", {}, coded(detail)),
    /id-token|bound|held|proof/.test(reason) && h("p", { class: "quiet" }, "The token itself is refused: ", link("#/token", "judge it"), "."),
    client && h("p", { class: "quiet" }, "The token carried ", carried(token), ". ", link(explained({ api, method, path, token }), "Explain for just this")),
    h("p", { class: "quiet" }, "request ", name(id)));
}

// The newest decisions first. What the server sends again, after a lost connection, counts once.
class Decisions {
  kept = [];
  seen = new Set();
  all = 0;
  missed = 0;

  add(decision) {
    const { id, time: at, api, method, path } = decision;
    const key = JSON.stringify([id, at, api, method, path]);
    if (this.seen.has(key)) return;
    this.seen.add(key);
    this.kept.unshift(decision);
    this.all += 1;
    this.kept.length = Math.min(this.kept.length, MOST);
    if (this.seen.size > 2 * MOST) this.seen.delete(this.seen.values().next().value);
  }

  clear() {
    this.kept = [];
    this.all = 0;
    this.missed = 0;
  }

  // One group for each reason and client, that of the newest decision first.
  groups() {
    const groups = new Map();
    for (const decision of this.kept) {
      const key = JSON.stringify([decision.reason, decision.client, decision.api]);
      if (!groups.has(key)) groups.set(key, { key, decisions: [] });
      groups.get(key).decisions.push(decision);
    }
    return [...groups.values()];
  }

  words() {
    const all = this.all > MOST ? ` The newest ${MOST} of ${this.all.toLocaleString("en")} are kept.` : "";
    const missed = this.missed > 0 ? ` ${this.missed.toLocaleString("en")} came too fast and were not sent.` : "";
    return `${count(this.kept.length, "denied decision")} in ${count(this.groups().length, "group")} by reason and client.${all}${missed}`;
  }
}
