// The keys on a time line: which one signs, which one is next, and what is safe when.

import { badge, card, check, code, count, duration, facts, h, name, notice, table, time } from "../dom.js";
import { command } from "../copy.js";
import { every } from "../every.js";
import { coded } from "../explanation.js";
import { legend, rows, timeLine } from "../life.js";
import { renew } from "../renew.js";

export const title = "Keys";

const REFRESH = 10;

export async function show(main, params, { api, signal }) {
  let state = await api.get("keys", signal);
  const said = h("div", { class: "stack" });
  const about = h("div", {});
  const orders = h("section", { class: "card" });
  const picture = line(() => state);
  const each = h("section", { class: "card" });
  const draw = () => {
    renew(said, headline(state), troubles(state));
    picture.draw();
    renew(orders, advice(state));
    renew(each, h("h2", {}, "Each key, with times in UTC"), asTable(state));
    renew(about, settings(state));
  };
  draw();
  main.append(h("h1", {}, "Keys"), said, picture.element, orders, each, about);
  picture.follow(signal);
  every(REFRESH, signal, async () => {
    try {
      state = await api.get("keys", signal);
      draw();
    } catch (error) {
      if (!signal.aborted) renew(said, notice("warning", h("p", {}, "This page is not up to date: ", name(error.message))), headline(state));
    }
  });
}

// Which key signs, and when the next one does.
function headline({ keys, next_change: change, planned }) {
  const signing = keys.find((key) => key.state === "active");
  const next = keys.find((key) => key.state === "next");
  return h("p", { class: "lead" },
    signing ? [code(signing.kid), " signs since ", time(signing.activates), ". "] : "No key signs yet. ",
    next ? [code(next.kid), " signs ", time(next.activates), ", at ", whole(next.activates), "."] : "No key follows it yet. ",
    !next && planned && ["The server makes one ", time(planned.made), "; it signs ", time(planned.activates), "."],
    change && !next && [" The next change is ", time(change), "."]);
}

// `2026-12-01 14:03:00`
const clock = (text) => `${text.slice(0, 10)} ${text.slice(11, 19)}`;

const whole = (text) => h("span", { class: "nowrap" }, `${clock(text)} UTC`);

function troubles({ last_rejection: rejected, unlisted }) {
  return [
    rejected && notice("error", h("p", {}, "The keys were read ", time(rejected.at), " and rejected. Those read before go on."),
      h("ul", {}, rejected.errors.map((error) => h("li", {}, name(error))))),
    unlisted?.length > 0 && notice("warning", h("p", {}, `${count(unlisted.length, "key")} without an entry in keyring.yaml never sign: `,
      unlisted.map((kid) => [code(kid), " "]), "Remove them with ", h("code", {}, "jeton keys prune"), ".")),
  ];
}

// The picture, and whether it is to scale. It is drawn anew when its room changes, so that its text stays as large.
function line(state) {
  const place = h("div", { class: "time-line scroll", role: "region", "aria-label": "Time line of the keys", tabindex: 0 });
  const scaled = h("input", { type: "checkbox", name: "scaled", onchange: () => draw() });
  const element = h("section", { class: "card" }, h("h2", {}, "Time line"), legend(), place,
    check("To scale: equal times are equally long", scaled),
    h("p", { class: "quiet" }, "Times in UTC. Dashed: to come, if nobody gives an order."));
  let width = 0;
  function draw() {
    if (width === 0) return;
    const now = Date.parse(state().now);
    place.replaceChildren(timeLine(rows(state()), now, { width: Math.max(width, 300), scaled: scaled.checked }));
  }
  function follow(signal) {
    const watch = new ResizeObserver(() => {
      if (width === place.clientWidth) return;
      width = place.clientWidth;
      draw();
    });
    watch.observe(place);
    signal.addEventListener("abort", () => watch.disconnect());
  }
  return { element, draw, follow };
}

function advice({ advice: list }) {
  return [h("h2", {}, "What is safe when"),
    list.length > 0 ? h("ol", { class: "list advice" }, list.map(order)) : h("p", {}, "There is nothing to do.")];
}

// One with the same command stays as it is, with its button.
function order({ from, what, command: text, kid }) {
  return h("li", { "data-key": `${text} ${kid}` },
    h("p", {}, from ? [badge("info", "from"), " ", whole(from), " (", time(from), ")"] : badge("good", "now"), " "),
    h("p", {}, kid && [code(kid), ": "], coded(what)),
    text && command(text));
}

const HEADS = [
  { text: "Kid", title: "The thumbprint of the key (RFC 7638)" },
  { text: "State", title: "next, active, retired or expired" },
  { text: "Algorithm", title: "And the size of an RSA key" },
  { text: "Published from", title: "When the key was made: it is in the key set since then" },
  { text: "Signs from" },
  { text: "Signs until", title: "When its successor signs" },
  { text: "Published until", title: "From then on no token that it signed is valid" },
];

const KINDS = { next: "info", active: "good", retired: "info", expired: "none" };

function asTable({ keys, retention }) {
  const cell = (text, none) => (text ? [h("span", { class: "nowrap" }, clock(text)), " ", h("span", { class: "quiet" }, time(text))] : none);
  return table(HEADS, keys.map((key) => ({
    cells: [code(key.kid), badge(KINDS[key.state], key.state), [name(key.alg), key.bits && `, ${key.bits} bits`], cell(key.created), cell(key.activates),
      cell(key.retires, key.state === "expired" ? "over" : "no end is set"),
      cell(key.published_until ?? later(key.retires, retention), `${duration(retention)} after it retires`)],
    attributes: { "data-testid": "key", "data-state": key.state, "data-key": key.kid },
  })), { class: "keys", "aria-label": "Keys" });
}

const later = (from, seconds) => from && new Date(Date.parse(from) + seconds * 1000).toISOString();

function settings(state) {
  return card("Settings", facts([
    ["Folder", code(state.dir), "keys.dir"],
    ["Published ahead", duration(state.publish_ahead), "keys.publish_ahead: a new key is in the key set for so long before it signs"],
    ["Rotated every", state.rotate_every ? duration(state.rotate_every) : "never by itself: keys.rotate_every is not set", "keys.rotate_every"],
    ["Retired for", duration(state.retention), "As long as a token that the key signed may live"],
    ["Held by verifiers", `${state.max_age} s`, "max-age of the key set: verifiers may keep it for so long"],
  ]));
}
