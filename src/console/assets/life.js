// The life of keys: which phase follows which, and where each stands on a time line.

import { h } from "./dom.js";
import { svg } from "./svg.js";
import { brief, moment } from "./words.js";

const ROW = 58;
const BAR = 26;
const TOP = 34;
const EDGE = 4;

const MEANS = {
  next: "published, does not sign yet",
  active: "signs",
  retired: "published, signs no more",
  expired: "not published",
};

// The rows of `keys` as `{ kid, state, phases }`, the oldest first; the key that a server is to make comes last.
export function rows({ keys, planned, retention }) {
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

// The picture, `width` pixels wide. `scaled` is whether equal times are equally long.
export function timeLine(list, now, { width, scaled }) {
  const moments = [now, ...list.flatMap(({ phases: each }) => each.map(({ from }) => from))];
  const x = scale([...new Set(moments)].sort((a, b) => a - b), width, scaled);
  const height = TOP + list.length * ROW + 30;
  const end = width - EDGE;
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words(list) },
    list.map((row, at) => keyRow(row, { x, end, now, y: TOP + at * ROW })),
    axis({ x, moments, now, width, y: TOP + list.length * ROW }),
    nowLine(x(now), TOP + list.length * ROW, width));
}

// What the picture shows, for those who do not see it; the table has the times.
const words = (list) => `Time line of ${list.length} keys: ${list.map(({ kid, state }) => `${kid ? brief(kid) : "the key to come"} is ${state}`).join(", ")}. The table below has all times.`;

// From a time to its place. Not to scale, each time between two events takes room by its order of
// magnitude, so that a minute and a month both show.
function scale(moments, width, scaled) {
  const steps = moments.slice(1).map((time, at) => time - moments[at]);
  const weights = scaled ? steps : steps.map((step) => 1 + Math.log10(1 + step / 60_000));
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
export const legend = () => h("ul", { class: "states" }, Object.entries(MEANS).map(([state, means]) =>
  h("li", {}, svg("svg", { width: 20, height: 16, "aria-hidden": "true", class: `phase ${state}` }, svg("rect", { x: 1, y: 1, width: 18, height: 14, rx: 3 })),
    " ", h("b", {}, state), `: ${means}`)));
