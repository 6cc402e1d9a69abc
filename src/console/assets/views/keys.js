// The keys on a time line: which one signs, which one is next, and what is safe when.

import { badge, card, code, count, duration, facts, h, name, notice, put, table, time } from "../dom.js";
import { coded } from "../explanation.js";
import { follow, renew } from "../follow.js";
import { copyButton } from "../parts.js";
import { svg } from "../svg.js";

export const title = "Keys";

// The sizes of the picture, in pixels.
const [ROW, BAR, TOP, EDGE] = [58, 26, 34, 4];

const MEANS = {
  next: "published, does not sign yet",
  active: "signs",
  retired: "published, signs no more",
  expired: "not published",
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
  return h("li", { "data-key": `${text} ${kid}` },
    h("p", {}, from ? [badge("info", "from"), " ", whole(from), " (", time(from), ")"] : badge("good", "now"), " "),
    h("p", {}, kid && [code(kid), ": "], coded(what)),
    text && h("div", { class: "command" }, h("code", {}, name(text)), copyButton(() => text, `Copy the command: ${text}`)));
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

function settings({ dir, publish_ahead: ahead, rotate_every: often, retention, max_age: age }) {
  return card("Settings", facts([
    ["Folder", code(dir)],
    ["Published ahead", duration(ahead), "keys.publish_ahead: a new key is in the key set for so long before it signs"],
    ["Rotated every", often ? duration(often) : "never by itself", "keys.rotate_every"],
    ["Retired for", duration(retention), "As long as a token that the key signed may live"],
    ["Held by verifiers", duration(age), "max-age of the key set"],
  ]));
}

// The rows of `keys` as `{ kid, state, phases }`, the oldest first; the key that a server is to make comes last.
function rows({ keys, planned, retention }) {
  const all = keys.map((key) => ({ ...key, from: Date.parse(key.created), signs: Date.parse(key.activates) }));
  if (planned) {
    all.push({ kid: null, state: "planned", from: Date.parse(planned.made), signs: Date.parse(planned.activates) });
  }
  all.sort((a, b) => a.signs - b.signs);
  return all.map((key, at) => ({ kid: key.kid, state: key.state, phases: phases(key, all[at + 1], retention) }));
}

// Each phase as `{ state, from, until }` in milliseconds; `until` is null where no end is set.
function phases(key, successor, retention) {
  const { from, signs } = key;
  const retires = key.state === "expired" ? (successor?.signs ?? null) : instant(key.retires) ?? successor?.signs ?? null;
  const published = from < signs ? [{ state: "next", from, until: signs }] : [];
  if (retires === null) return [...published, { state: "active", from: signs, until: null }];
  const gone = instant(key.published_until) ?? retires + retention * 1000;
  return [...published, { state: "active", from: signs, until: retires },
    { state: "retired", from: retires, until: gone }, { state: "expired", from: gone, until: null }];
}

const instant = (text) => (text ? Date.parse(text) : null);

// The picture, `width` pixels wide.
function timeLine(list, now, width) {
  const moments = [now, ...list.flatMap(({ phases: each }) => each.map(({ from }) => from))];
  const x = scale([...new Set(moments)].sort((a, b) => a - b), width);
  const height = TOP + list.length * ROW + 30;
  const end = width - EDGE;
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words(list) },
    list.map((row, at) => keyRow(row, { x, end, now, y: TOP + at * ROW })),
    axis({ x, moments, now, width, y: TOP + list.length * ROW }),
    nowLine(x(now), TOP + list.length * ROW, width));
}

// What the picture shows, for those who do not see it; the table has the times.
const words = (list) => `Time line of ${list.length} keys: ${list.map(({ kid, state }) => `${kid ? brief(kid) : "the key to come"} is ${state}`).join(", ")}. The table below has all times.`;

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
    svg("text", { class: "kid", x: EDGE, y: y + 14 }, svg("title", {}, kid ?? "keys.rotate_every makes it"), `${kid ? brief(kid) : "a key to come"} · ${state}`),
    each.map((phase) => bar(phase, x(phase.from), phase.until === null ? end : x(phase.until), now, y + 20)));
}

function bar({ state, from, until }, left, right, now, y) {
  const width = Math.max(right - left, 2);
  const fits = width > state.length * 8 + 8;
  const when = `${state}: ${MEANS[state]}, from ${moment(from)} ${until === null ? "on" : `until ${moment(until)}`} UTC`;
  return svg("g", { class: `phase ${state} ${from > now ? "to-come" : ""}` },
    svg("title", {}, when),
    svg("rect", { x: left, y, width, height: BAR, rx: 3 }),
    fits && svg("text", { x: left + width / 2, y: y + 18, "text-anchor": "middle" }, state));
}

// Times below the rows, as many as fit; the one of now stands above.
function axis({ x, moments, now, width, y }) {
  const half = 50;
  let taken = -Infinity;
  const labels = [];
  for (const time of [...new Set(moments)].sort((a, b) => a - b)) {
    const at = Math.min(Math.max(x(time), half), width - half);
    if (time === now || at - half < taken) continue;
    taken = at + half + 6;
    labels.push(svg("g", {}, svg("line", { class: "tick", x1: x(time), x2: x(time), y1: y, y2: y + 6 }),
      svg("text", { class: "when", x: at, y: y + 22, "text-anchor": "middle" }, moment(time))));
  }
  return svg("g", {}, svg("line", { class: "ground", x1: 0, x2: width, y1: y, y2: y }), labels);
}

function nowLine(at, bottom, width) {
  const anchor = at < 40 ? "start" : at > width - 40 ? "end" : "middle";
  return svg("g", { class: "now" },
    svg("line", { x1: at, x2: at, y1: 24, y2: bottom }),
    svg("text", { x: at, y: 16, "text-anchor": anchor }, "now"));
}

// What the states mean, in words.
const legend = () => h("ul", { class: "states" }, Object.entries(MEANS).map(([state, means]) =>
  h("li", {}, svg("svg", { width: 20, height: 16, "aria-hidden": "true", class: `phase ${state}` }, svg("rect", { x: 1, y: 1, width: 18, height: 14, rx: 3 })),
    " ", h("b", {}, state), `: ${means}`)));

const CLOCK = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC",
});

// `1 Dec, 14:03`, in UTC, from milliseconds.
const moment = (time) => CLOCK.format(time);

// The beginning of a long name, such as of a `kid`.
const brief = (text, length = 10) => (text.length > length + 1 ? `${text.slice(0, length)}…` : text);
