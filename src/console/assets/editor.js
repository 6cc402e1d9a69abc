// Tabs, and a text field for a file with line numbers and marks at the lines of findings.

import { h } from "./dom.js";
import { isError } from "./parts.js";

// The most marks that a file shows.
const MOST = 500;

// `onedit(text)` is called at each edit. Answers `{ element, mark, go }`.
export function editor({ label, text, onedit }) {
  const area = h("textarea", { "aria-label": label, wrap: "off", spellcheck: false, autocapitalize: "off", autocomplete: "off", value: text });
  const numbers = h("pre", { class: "numbers" });
  const marks = h("div", { class: "marks" });
  const gutter = h("div", { class: "gutter", "aria-hidden": "true" }, numbers, marks);
  const element = h("div", { class: "editor" }, gutter, area);
  let height = 0;
  let total = linesOf(text);

  // Only the numbers that are seen are there: a file may have 100,000 lines.
  function draw() {
    height ||= parseFloat(getComputedStyle(area).lineHeight) || 0;
    if (height === 0 || area.clientHeight === 0) return;
    const first = Math.floor(area.scrollTop / height);
    const last = Math.min(total, first + Math.ceil(area.clientHeight / height) + 1);
    numbers.textContent = Array.from({ length: Math.max(0, last - first) }, (_, at) => first + at + 1).join("\n");
    numbers.style.transform = `translateY(${first * height - area.scrollTop}px)`;
    marks.style.transform = `translateY(${-area.scrollTop}px)`;
  }

  area.addEventListener("scroll", draw, { passive: true });
  area.addEventListener("input", () => {
    total = linesOf(area.value);
    draw();
    onedit(area.value);
  });
  new ResizeObserver(draw).observe(area);

  // One mark for a line; an error outweighs a warning.
  function mark(findings) {
    draw();
    const lines = new Map();
    for (const finding of findings) {
      if (finding.line < 1 || (lines.has(finding.line) && !isError(finding))) continue;
      lines.set(finding.line, finding);
    }
    marks.replaceChildren(...[...lines.values()].slice(0, MOST).map(placed));
  }

  function placed(finding) {
    const title = `${finding.severity}: ${finding.message}`;
    const one = h("span", { class: "mark", "data-kind": finding.severity, title, onclick: () => go(finding) }, isError(finding) ? "✕" : "!");
    one.style.top = `${(finding.line - 1) * height}px`;
    return one;
  }

  // Puts the cursor there, and the line into view.
  function go({ line, column }) {
    const from = startOf(area.value, Math.max(line, 1));
    const end = endOf(area.value, from);
    const start = Math.min(from + characters(area.value.slice(from, end), Math.max(column, 1) - 1), end);
    area.focus();
    area.setSelectionRange(start, end);
    area.scrollTop = Math.max(0, (line - 1) * height - area.clientHeight / 3);
    area.scrollLeft = 0;
    draw();
  }

  return { element, mark, go };
}

function linesOf(text) {
  let lines = 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines += 1;
  return lines;
}

function startOf(text, line) {
  let start = 0;
  for (let left = line - 1; left > 0; left -= 1) {
    const end = text.indexOf("\n", start);
    if (end < 0) break;
    start = end + 1;
  }
  return start;
}

function endOf(text, from) {
  const end = text.indexOf("\n", from);
  return end < 0 ? text.length : end;
}

// How many code units the first `count` characters take: columns count characters.
const characters = (line, count) => [...line].slice(0, count).join("").length;

// Tabs, as ARIA knows them: arrows, Home and End go from one to the next.
let made = 0;

// `items` are `{ id, label, panel }`; `onselect(id)` is called when somebody selects one. Answers
// `{ list, panels, select, tab }`: the row of tabs, an element with the panels, a function that selects one, and
// one that finds a tab.
export function tabs(label, items, onselect) {
  const group = `tabs-${(made += 1)}`;
  const entries = new Map(items.map((item, at) => [item.id, entry(item, `${group}-${at}`)]));
  const order = [...entries.keys()];

  function select(id) {
    for (const [other, { tab, panel }] of entries) {
      const selected = other === id;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
      panel.hidden = !selected;
    }
    entries.get(id).tab.scrollIntoView?.({ block: "nearest", inline: "nearest" });
  }

  function choose(id) {
    select(id);
    onselect(id);
  }

  function onkeydown(event) {
    const at = order.findIndex((id) => entries.get(id).tab === event.target);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: order.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const id = order[(to + order.length) % order.length];
    choose(id);
    entries.get(id).tab.focus();
  }

  for (const [id, { tab }] of entries) tab.addEventListener("click", () => choose(id));
  const list = h("div", { role: "tablist", "aria-label": label, class: "tablist", onkeydown },
    [...entries.values()].map(({ tab }) => tab));
  const panels = h("div", { class: "panels" }, [...entries.values()].map(({ panel }) => panel));
  return { list, panels, select, tab: (id) => entries.get(id)?.tab };
}

function entry({ label, panel }, id) {
  const tab = h("button", { type: "button", role: "tab", id, "aria-controls": `${id}-panel` }, label);
  panel.id = `${id}-panel`;
  panel.setAttribute("role", "tabpanel");
  panel.setAttribute("aria-labelledby", id);
  return { tab, panel };
}
