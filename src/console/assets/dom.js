// The elements that all views are made of. Text becomes text nodes alone: no name is ever markup.

const PLAIN = /^(?:class|for|role|list|form|href|tabindex|colspan|rowspan|data-.*|aria-.*)$/;

// An element. An attribute is a property where the element has one; `on...` is a listener; null, undefined and false are left out.
// A child is a node, a text, a number, null, or a list of these.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || (value === false && !key.startsWith("aria-"))) continue;
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else if (PLAIN.test(key) || !(key in element)) element.setAttribute(key, value === true && !key.startsWith("aria-") ? "" : value);
    else element[key] = value;
  }
  element.append(...nodes(children));
  return element;
}

// All children in one list: without those that are left out.
export function nodes(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

// Puts children into an element, in the place of those that it has. A child may be whatever `h` takes: a null is left out.
export function put(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

// A name from a policy file or a request. Its direction stays its own.
export const name = (text, attributes = {}) =>
  h("bdi", TURNS.test(text) ? { ...attributes, class: `turns ${attributes.class ?? ""}` } : attributes, text);

// Marks of direction. One that is not closed would reach beyond the element, unless that is a block of its own.
const TURNS = /[\u202a-\u202e\u2066-\u2069]/;

// A name as code: a scope, a route, a `kid`.
export const code = (text, attributes = {}) => h("code", attributes, name(text));

// A time as `in 3 days` with the whole time in its title.
export function time(rfc3339, now = Date.now()) {
  const at = Date.parse(rfc3339);
  if (Number.isNaN(at)) return name(rfc3339 ?? "never");
  return h("time", { dateTime: rfc3339, title: rfc3339 }, relative(at - now));
}

const UNITS = [["year", 31_557_600], ["month", 2_629_800], ["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

function relative(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  if (Math.abs(seconds) < 1) return "now";
  // an hour and a half is 90 minutes: a unit starts at its double
  const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= 2 * each) ?? UNITS.at(-1);
  return RELATIVE.format(Math.trunc(seconds / size), unit);
}

// Seconds as `2 h 30 min`: at most two units.
export function duration(seconds) {
  const parts = [];
  let rest = Math.round(seconds);
  for (const [unit, size] of [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]]) {
    if (rest >= size && parts.length < 2) parts.push(`${Math.trunc(rest / size)} ${unit}`);
    rest %= size;
  }
  return parts.join(" ") || "0 s";
}

// `1 route`, `2 routes`, `1,200 routes`.
export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

// A label above its input; `hint` stands below.
export function field(label, input, hint) {
  return h("label", { class: "field" }, h("span", { class: "label" }, label), input, hint && h("span", { class: "hint" }, hint));
}

// A checkbox before its label.
export const check = (label, input) => h("label", { class: "check" }, input, h("span", {}, label));

// `heads` are texts or `{ text, title, number }`; a row is a list of cells, or `{ cells, attributes }`. The first cell of a row is its head.
export function table(heads, rows, attributes = {}) {
  const columns = heads.map((head) => (typeof head === "string" ? { text: head } : head));
  const kind = (at) => (columns[at]?.number ? "number" : null);
  const row = (given) => {
    const { cells, attributes: more = {} } = Array.isArray(given) ? { cells: given } : given;
    return h("tr", more, cells.map((cell, at) => h(at ? "td" : "th", { scope: at ? null : "row", class: kind(at) }, cell)));
  };
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": attributes["aria-label"] ?? "Table" }, h("table", attributes,
    h("thead", {}, h("tr", {}, columns.map((head, at) => h("th", { scope: "col", class: kind(at), title: head.title }, head.text)))),
    h("tbody", {}, rows.map(row))));
}

const WORDS = { error: "Error", warning: "Warning", good: "Good", info: "Note" };

// kinds: error, warning, good, info. An error is read out at once.
export function notice(kind, ...children) {
  return h("div", { class: "notice", "data-kind": kind, role: kind === "error" ? "alert" : null },
    h("strong", {}, WORDS[kind] ?? kind), h("div", {}, children));
}

// A word in a frame; its colour only repeats what it says. Kinds: good, warning, error, info, or none.
export const badge = (kind, text, title) => h("span", { class: "badge", "data-kind": kind, title }, text);

// A section with a heading.
export const card = (heading, ...children) => h("section", { class: "card" }, heading && h("h2", {}, heading), children);

// Terms and what they are: `[term, value, title]`. A null value is left out.
export function facts(list) {
  return h("dl", { class: "facts" }, list.filter(([, value]) => value !== null && value !== undefined)
    .map(([term, value, title]) => h("div", { title }, h("dt", {}, term), h("dd", {}, value))));
}

// Lines of a file with their numbers: `[{ line, text }]`. `marks` are lines to set off: a set, or a map from a line to a kind.
export function lines(list, marks = new Set()) {
  const kind = (line) => (marks.has(line) ? (marks.get?.(line) ?? "here") : null);
  return h("div", { class: "lines", tabindex: 0, role: "region", "aria-label": "Lines of the file" }, list.map(({ line, text }) =>
    h("div", { class: "line", "data-mark": kind(line) }, h("span", { class: "line-number" }, line), h("code", {}, name(text || " ")))));
}

export const link = (address, ...children) => h("a", { href: address }, children);

// An address or hash with its query; what is null, false or empty is left out.
export function address(path, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  return kept.length ? `${path}?${new URLSearchParams(kept)}` : path;
}

// A list of choices for an input, by name.
export const options = (id, texts) => h("datalist", { id }, texts.map((text) => h("option", { value: text })));

// A select: `choices` are texts or `[value, text]`.
export function select(attributes, choices, chosen) {
  return h("select", attributes, choices.map((choice) => {
    const [value, text] = Array.isArray(choice) ? choice : [choice, choice];
    return h("option", { value, selected: value === chosen }, text);
  }));
}
