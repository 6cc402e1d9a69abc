// A small chart of counts over time: bars without text, so that it can be stretched; what it says stands around it.

import { h } from "./dom.js";
import { svg } from "./svg.js";
import { number } from "./words.js";

const HEIGHT = 48;

// `counts` are the newest last, `slots` is how many fit. A program that reads the page out gets the words of
// `summary`.
export function chart({ title, about, counts, slots, step }) {
  const total = counts.reduce((sum, each) => sum + each, 0);
  const most = Math.max(0, ...counts);
  const last = counts.at(-1) ?? 0;
  const span = words(slots * step);
  return h("figure", { class: "chart", "data-key": title },
    h("figcaption", {}, h("span", { title: about }, title),
      h("b", {}, number(total, `${about}: ${total} in the last ${span}`))),
    bars(counts, slots, most, `${title}: ${total} in ${span}, at most ${most} and lately ${last} in ${step} seconds`),
    h("p", { class: "axis" }, h("span", {}, `${span} ago`),
      h("span", { title: `The highest bar: ${most} in ${step} seconds` }, most > 0 ? `most ${most.toLocaleString("en")} in ${step} s` : "nothing yet"),
      h("span", {}, "now")));
}

const words = (seconds) => (seconds % 60 ? `${seconds} s` : `${seconds / 60} min`);

function bars(counts, slots, most, summary) {
  const first = slots - counts.length;
  return svg("svg", { viewBox: `0 0 ${slots * 4} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": summary },
    svg("line", { class: "ground", x1: 0, x2: slots * 4, y1: HEIGHT, y2: HEIGHT }),
    counts.map((count, at) => bar(count, (first + at) * 4, most)));
}

function bar(count, x, most) {
  const height = most > 0 ? (count / most) * (HEIGHT - 2) : 0;
  // a single event among thousands still shows
  const shown = count > 0 ? Math.max(height, 1.5) : 0;
  return svg("rect", { class: "bar", x: x + 0.5, y: (HEIGHT - shown).toFixed(2), width: 3, height: shown.toFixed(2) });
}
