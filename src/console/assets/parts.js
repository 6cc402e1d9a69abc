// Parts that several views share.

import { address, badge, card, code, count, h, name, nodes, notice, put } from "./dom.js";

// A number, with a title that says what it counts.
export const number = (value, title) => h("span", { class: "counted", title }, value.toLocaleString("en"));

// The address of the view that explains a request: of a client with all that it is granted, or of a bearer of what `token`
// carries, or of nobody.
export function explained({ api, client, method, path, token }) {
  const { scopes = [], roles = [], claims = {} } = token ?? {};
  const carried = client ? {} : {
    scopes: scopes.join(" "), roles: roles.join(" "), claims: Object.keys(claims).length > 0 && JSON.stringify(claims),
  };
  return address("#/explain", { api, as: client, method, path, ...carried });
}

// A button that copies. `text` is called when it is pressed. What became of it is said.
export function copyButton(text, label, words = "Copy") {
  const said = h("span", { role: "status", class: "quiet" });
  const onclick = async () => {
    said.textContent = await navigator.clipboard.writeText(text()).then(() => "copied", () => "the browser does not allow it");
    setTimeout(() => said.replaceChildren(), 4000);
  };
  return h("span", { class: "nowrap" }, h("button", { type: "button", title: label, onclick }, words), " ", said);
}

// The most findings that are shown at once.
const MOST = 500;

// Findings as a list, each with its severity in words, its place and what to do. `go(finding)`, if given, is called when somebody follows a place.
export function findingList(findings, go) {
  const more = findings.length - MOST;
  return h("div", { class: "findings" },
    h("ul", { class: "list" }, findings.slice(0, MOST).map((finding) => item(finding, go))),
    more > 0 && h("p", {}, `and ${count(more, "more finding")}: `, h("code", {}, "jeton policies check"), " shows all"));
}

// `2 errors, 1 warning`
export function summary(findings) {
  const errors = findings.filter(isError).length;
  const warnings = findings.length - errors;
  return [errors > 0 && count(errors, "error"), warnings > 0 && count(warnings, "warning")].filter(Boolean).join(", ") || "no findings";
}

export const isError = (finding) => finding.severity === "error";

function item(finding, go) {
  return h("li", { class: "finding", "data-kind": finding.severity },
    h("p", {}, badge(finding.severity, finding.severity), " ", placed(finding, go), " ",
      h("span", { class: "quiet", title: "The kind of the finding, as the reference lists it" }, finding.code)),
    h("p", {}, coded(finding.message)),
    finding.hint && h("p", { class: "quiet" }, "Fix: ", coded(finding.hint)));
}

function placed(finding, go) {
  const { file, line, column } = finding;
  const words = line > 0 ? `${file}:${line}:${column}` : file;
  if (!go) return code(words);
  return h("button", { type: "button", class: "plain", onclick: () => go(finding) }, name(words));
}

// Waits; ends early, and quietly, when `signal` aborts.
export function pause(seconds, signal) {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(end, seconds * 1000);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}

// Calls `work` every `seconds` until `signal` aborts. A page that nobody sees does not ask.
export async function every(seconds, signal, work) {
  for (;;) {
    await pause(seconds, signal);
    if (signal.aborted) return;
    if (!document.hidden) await work();
  }
}

// Asks for `path`, hands the answer to `draw`, and does so again every ten seconds. Answers an element that says when it is late.
export async function follow(api, path, signal, draw) {
  const late = h("div", { class: "late" });
  draw(await api.get(path, signal));
  every(10, signal, async () => {
    try {
      draw(await api.get(path, signal));
      put(late);
    } catch (error) {
      if (!signal.aborted) put(late, notice("warning", h("p", {}, "This page is not up to date: ", name(error.message))));
    }
  });
  return late;
}

// Brings what an element shows up to date. Elements that stay keep their identity, and so the focus, the selection and an
// open `<details>`. Children with a `data-is` are matched by it, others by their place. Listeners are not carried over.
export function renew(element, ...children) {
  const keyed = new Map();
  const plain = [];
  for (const child of element.childNodes) {
    if (child.dataset?.is) keyed.set(child.dataset.is, child);
    else plain.push(child);
  }
  arrange(element, nodes(children).map((given) => {
    const wanted = given instanceof Node ? given : new Text(given);
    const key = wanted.dataset?.is;
    const match = key ? keyed.get(key) : plain.shift();
    keyed.delete(key);
    return match?.nodeName === wanted.nodeName ? updated(match, wanted) : wanted;
  }));
}

function updated(old, fresh) {
  if (old instanceof Text) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return old;
  }
  for (const name of new Set([...old.getAttributeNames(), ...fresh.getAttributeNames()])) {
    const value = fresh.getAttribute(name);
    if (name === "open" || value === old.getAttribute(name)) continue;
    if (value === null) old.removeAttribute(name);
    else old.setAttribute(name, value);
  }
  renew(old, [...fresh.childNodes]);
  return old;
}

// Puts elements in their order, and no others. Those that are there stay, with the focus that one of them has.
export function arrange(parent, elements) {
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

const NAMESPACE = "http://www.w3.org/2000/svg";

// An element of SVG, as `h` makes those of HTML. Each attribute is one as SVG spells it.
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...nodes(children));
  return element;
}

// How an explanation looks: the answer, why, each condition, and the routes that were passed over.

// Words of the server: what stands in backticks is code.
export const coded = (text) => text.split("`").map((part, at) => (at % 2 ? code(part) : name(part)));

// The same, with the words as they came in the title.
const told = (text) => h("span", { title: text }, coded(text));

// A file and the line in it, from 1.
export const place = (file, line) => name(`${file}:${line}`, { class: "place" });

// `GET /tenants/{tenant}/**` with its parameters marked.
export function routeText(route) {
  const [method, path] = route.split(/ (.*)/s);
  return h("code", { class: "route" }, h("b", {}, method), " ", h("bdi", {}, segments(path)));
}

// A pattern. What it marks says in a title what it matches.
export const segments = (pattern) => pattern.split(/(\{[^}]*\}|\*\*)/).map((part, at) => (at % 2
  ? h("span", { class: "parameter", title: part === "**" ? "one or more segments" : "one segment, or its text before an ending" }, part)
  : part));

// Conditions that must hold together.
export const conditions = (list) => list.map((condition, at) => [at ? " and " : "", code(condition)]);

export const missing = ({ conditions: all }) => all.filter(({ holds }) => !holds).map(({ condition }) => condition);

// Why, in a sentence.
function reason({ reason: known, detail, decided_by: decided, alternatives }) {
  const rule = decided && ["rule ", name(decided.rule)];
  const [closest] = alternatives;
  if (known === "public") return ["Nobody needs a token: ", rule, " is public."];
  if (known === "met") return [`Alternative ${alternatives.find(({ holds }) => holds)?.position} of `, rule, " holds."];
  if (known === "no-route") return "No route takes this method and path. What no route takes is denied.";
  if (known === "bad-path") return ["The path is refused: ", coded(detail), "."];
  if (known !== "not-met" || !closest) return [coded(detail.charAt(0).toUpperCase() + detail.slice(1)), "."];
  return [`Alternative ${closest.position} of `, rule, alternatives.length > 1 ? " comes closest. It lacks " : " lacks ",
    conditions(missing(closest)), "."];
}

const KINDS = { allowed: "good", denied: "error", "denied or allowed": "warning" };

// `allowed` or `denied`, of which request, and why. `asker` are words behind the request.
export function verdict(explanation, asker, attributes = { "data-testid": "verdict" }) {
  const outcome = explanation.allowed ? "allowed" : explanation.reason === "depends" ? "denied or allowed" : "denied";
  return h("div", { class: "verdict", "data-kind": KINDS[outcome], ...attributes },
    h("p", {}, h("strong", {}, outcome), " ", code(`${explanation.method} ${explanation.path}`), " at ", name(explanation.api), asker), " ",
    h("p", { class: "why" }, reason(explanation)));
}

// Everything that led to the answer: a list of cards. `below` stands under the rule that decided.
export function grounds({ alternatives, decided_by: decided, also_matching: passed, other_methods: others, hint }, below) {
  return [
    hint && notice("info", h("p", {}, told(hint))),
    decided && card("Decided by",
      h("p", {}, ruled(decided)),
      alternatives.length > 1 && h("p", {}, "It asks for one of these:"),
      alternatives.map((one, at) => alternative(one, at === 0 && alternatives.length > 1)),
      below),
    passed.length > 0 && card("Passed over",
      h("p", { class: "quiet" }, "These routes match too. The most specific route decides, alone."),
      list(passed.map((one) => [ruled(one), ": ", told(one.because)]))),
    others.length > 0 && card("This path with other methods", list(others.map(ruled))),
  ].filter(Boolean);
}

const ruled = ({ route, rule, file, line }) => [routeText(route), " of rule ", name(rule), " ", place(file, line)];

const list = (items) => h("ul", {}, items.map((item) => h("li", {}, item)));

// Each condition is met or missing; where it is missing, with what was found instead.
function alternative({ position, holds, conditions: all }, closest) {
  return h("div", { class: "alternative" },
    h("h3", {}, `Alternative ${position} `, holds ? badge("good", "holds") : badge("error", closest ? "lacks the least" : "does not hold")),
    h("ul", { class: "conditions" }, all.map(({ condition, holds: met, found }) =>
      h("li", { "data-met": met ? "yes" : "no" }, h("strong", {}, met ? "met" : "missing"), " ",
        h("span", {}, code(condition), found && [": ", told(found)])))));
}
