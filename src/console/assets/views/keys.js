// The keys on a time line: which one signs, which one is next, and what is safe when.

import { badge, card, code, duration, h, name, notice, put, table, time } from "../dom.js";
import { coded, copyButton, follow, renew, svg } from "../parts.js";

export const title = "Keys";

// The sizes of the picture, in pixels.
const [ROW, BAR, TOP, EDGE] = [58, 26, 34, 4];

// The states, each with its kind and what it means.
const STATES = {
  next: ["warning", "published, does not sign yet"],
  active: ["good", "signs"],
  retired: ["info", "published, signs no more"],
  expired: ["none", "not published"],
};

export async function show(main, params, { api, signal }) {
  const said = h("div", { class: "stack" });
  const picture = line(signal);
  const rest = h("div", { class: "stack" });
  const late = await follow(api, "keys", signal, (state) => {
    renew(said, headline(state), troubles(state));
    picture.draw(state);
    renew(rest, advice(state), card("Each key, with times in UTC", asTable(state)), settings(state));
  });
  main.append(h("h1", {}, "Keys"), late, said, picture.element, rest);
}

// Which key signs, and when the next one does.
function headline({ keys, planned }) {
  const signing = keys.find((key) => key.state === "active");
  const next = keys.find((key) => key.state === "next");
  return h("p", { class: "lead" },
    signing ? [code(signing.kid), " has signed since ", both(signing.activates), ". "] : "No key signs yet. ",
    next ? [code(next.kid), " signs from ", both(next.activates), "."] : "No key follows it yet. ",
    !next && planned && ["The server makes one ", time(planned.made), "."]);
}

// `2026-12-01 14:03:00`
const clock = (text) => `${text.slice(0, 10)} ${text.slice(11, 19)}`;

// The same, and how far from now.
const both = (text) => [h("span", { class: "nowrap" }, `${clock(text)} UTC`), ", ", time(text)];

function troubles({ last_rejection: rejected, unlisted }) {
  return [
    rejected && notice("error", h("p", {}, "The keys were read ", time(rejected.at), " and rejected. Those read before go on."),
      h("ul", {}, rejected.errors.map((error) => h("li", {}, name(error))))),
    unlisted.length > 0 && notice("warning", h("p", {}, "These keys have no entry in keyring.yaml, so they never sign: ", unlisted.map((kid) => [code(kid), " "]))),
  ];
}

// The picture. It is drawn anew when its room changes, so that its text stays as large.
function line(signal) {
  const place = h("div", { class: "time-line scroll", role: "region", "aria-label": "Time line of the keys", tabindex: 0 });
  let state = null;
  const draw = (fresh = state) => {
    state = fresh;
    if (place.clientWidth > 0) put(place, timeLine(rows(state), Date.parse(state.now), Math.max(place.clientWidth, 300)));
  };
  let width = 0;
  const watch = new ResizeObserver(() => {
    if (width !== place.clientWidth) draw();
    width = place.clientWidth;
  });
  watch.observe(place);
  signal.addEventListener("abort", () => watch.disconnect());
  return { element: card("Time line", legend(), place, h("p", { class: "quiet" }, "Times in UTC, not to scale. Dashed: to come, if nobody gives an order.")), draw };
}

function advice({ advice: list }) {
  return card("What is safe when", list.length > 0 ? h("ol", { class: "list advice" }, list.map(order)) : h("p", {}, "There is nothing to do."));
}

// One with the same command stays as it is, with its button.
function order({ from, what, command: text, kid }) {
  return h("li", { "data-is": `${text} ${kid}` },
    h("p", {}, from ? [badge("info", "from"), " ", both(from)] : badge("good", "now"), " "),
    h("p", {}, kid && [code(kid), ": "], coded(what)),
    text && h("div", { class: "command" }, h("code", {}, name(text)), copyButton(() => text, `Copy the command: ${text}`)));
}

const HEADS = ["Kid", "State", "Algorithm", "Published from", "Signs from", { text: "Signs until", title: "When its successor signs" },
  { text: "Published until", title: "From then on no token that it signed is valid" }];

function asTable({ keys, retention }) {
  const cell = (text, none) => (text ? [h("span", { class: "nowrap" }, clock(text)), " ", h("span", { class: "quiet" }, time(text))] : none);
  return table(HEADS, keys.map((key) => ({
    cells: [code(key.kid), badge(STATES[key.state][0], key.state), [name(key.alg), key.bits && `, ${key.bits} bits`], cell(key.created), cell(key.activates),
      cell(key.retires, key.state === "expired" ? "over" : "no end is set"),
      cell(key.published_until ?? later(key.retires, retention), `${duration(retention)} after it retires`)],
    attributes: { "data-testid": "key", "data-state": key.state, "data-is": key.kid },
  })), { class: "keys", "aria-label": "Keys" });
}

const later = (from, seconds) => from && new Date(Date.parse(from) + seconds * 1000).toISOString();

// What the times follow from.
function settings({ dir, publish_ahead: ahead, rotate_every: often, retention, max_age: age }) {
  return h("p", { class: "quiet" }, "The keys in ", code(dir), " are published ", duration(ahead), " before they sign (keys.publish_ahead) and ",
    duration(retention), " after. Verifiers may hold the key set for ", duration(age), ". ",
    often ? `The server makes a key every ${duration(often)}.` : "The server makes no key by itself (keys.rotate_every).");
}

// The rows of `keys` as `{ kid, state, phases }`, the oldest first; the key that a server is to make comes last.
function rows({ keys, planned, retention }) {
  const made = planned ? [{ kid: "a key to come", state: "planned", created: planned.made, activates: planned.activates }] : [];
  const all = [...keys, ...made].sort((a, b) => Date.parse(a.activates) - Date.parse(b.activates));
  return all.map((key, at) => ({ kid: key.kid, state: key.state, phases: phases(key, all[at + 1], retention) }));
}

// Each phase as `{ state, from, until }` in milliseconds; `until` is null where no end is set.
function phases({ created, activates, retires, published_until: until, state }, successor, retention) {
  const retired = (state !== "expired" && retires) || successor?.activates;
  const begins = { next: created === activates ? null : created, active: activates, retired, expired: until ?? later(retired, retention) };
  const known = Object.entries(begins).filter(([, from]) => from).map(([phase, from]) => ({ state: phase, from: Date.parse(from) }));
  return known.map((phase, at) => ({ ...phase, until: known[at + 1]?.from ?? null }));
}

// The picture, `width` pixels wide.
function timeLine(list, now, width) {
  const moments = [...new Set([now, ...list.flatMap(({ phases: each }) => each.map(({ from }) => from))])].sort((a, b) => a - b);
  const x = scale(moments, width);
  const height = TOP + list.length * ROW + 30;
  const end = width - EDGE;
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "The phases of each key; the table below has their times" },
    list.map((row, at) => keyRow(row, { x, end, now, y: TOP + at * ROW })),
    axis({ x, moments, now, width, y: TOP + list.length * ROW }),
    nowLine(x(now), TOP + list.length * ROW, width));
}

// From a time to its place. The time between two events takes room by its order of magnitude, so that a minute and a month both show.
function scale(moments, width) {
  const weights = moments.slice(1).map((time, at) => 1 + Math.log10(1 + (time - moments[at]) / 60_000));
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  // the last tenth is for what has no end
  const room = (width - 2 * EDGE) * 0.88;
  const places = new Map([[moments[0], EDGE]]);
  let place = EDGE;
  weights.forEach((weight, at) => places.set(moments[at + 1], place += (weight / whole) * room));
  return (time) => places.get(time);
}

function keyRow({ kid, state, phases: each }, { x, end, now, y }) {
  return svg("g", {},
    svg("text", { class: "kid", x: EDGE, y: y + 14 }, svg("title", {}, kid), `${kid.length > 14 ? `${kid.slice(0, 10)}…` : kid} · ${state}`),
    each.map((phase) => bar(phase, x(phase.from), phase.until === null ? end : x(phase.until), now, y + 20)));
}

function bar({ state, from, until }, left, right, now, y) {
  const width = Math.max(right - left, 2);
  const [kind, means] = STATES[state];
  return svg("g", { class: `phase ${from > now ? "to-come" : ""}`, "data-kind": kind },
    svg("title", {}, `${state}: ${means}, from ${moment(from)} ${until === null ? "on" : `until ${moment(until)}`}`),
    svg("rect", { x: left, y, width, height: BAR, rx: 3 }),
    width > state.length * 8 + 8 && svg("text", { x: left + width / 2, y: y + 18, "text-anchor": "middle" }, state));
}

// Times below the rows, as many as fit; the one of now stands above.
function axis({ x, moments, now, width, y }) {
  const half = 50;
  let taken = -Infinity;
  const labels = [];
  for (const time of moments) {
    const at = Math.min(Math.max(x(time), half), width - half);
    if (time === now || at - half < taken) continue;
    taken = at + half + 6;
    labels.push(svg("g", {}, svg("line", { class: "tick", x1: x(time), x2: x(time), y1: y, y2: y + 6 }),
      svg("text", { class: "when", x: at, y: y + 22, "text-anchor": "middle" }, moment(time))));
  }
  return svg("g", {}, svg("line", { class: "ground", x1: 0, x2: width, y1: y, y2: y }), labels);
}

function nowLine(at, bottom, width) {
  return svg("g", { class: "now" },
    svg("line", { x1: at, x2: at, y1: 24, y2: bottom }),
    svg("text", { x: Math.min(Math.max(at, 16), width - 16), y: 16, "text-anchor": "middle" }, "now"));
}

// What the states mean, in words.
const legend = () => h("ul", { class: "states" }, Object.entries(STATES).map(([state, [kind, means]]) =>
  h("li", {}, svg("svg", { width: 20, height: 16, "aria-hidden": "true", class: "phase", "data-kind": kind }, svg("rect", { x: 1, y: 1, width: 18, height: 14, rx: 3 })),
    " ", h("b", {}, state), `: ${means}`)));

// `12-01 14:03`, from milliseconds.
const moment = (time) => clock(new Date(time).toISOString()).slice(5, 16);
