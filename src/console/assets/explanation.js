// How an explanation looks: the answer, why, each condition, and the routes that were passed over.

import { badge, card, code, h, name, notice } from "./dom.js";

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
    conditions(closest.conditions.filter(({ holds }) => !holds).map(({ condition }) => condition)), "."];
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
