// How an explanation looks: the answer, why, each condition, and the routes that were passed over.
// `#/explain`, `#/routes`, `#/token` and `#/try` share it.
import { badge, card, code, h, name, notice } from "./dom.js";

// Words of the server: what stands in backticks is code.
export const coded = (text) => text.split("`").map((part, at) => (at % 2 ? code(part) : name(part)));

// The same, with the words as the server wrote them for whoever points at it or reads it by program.
const told = (text, attributes = {}) => h("span", { title: text, ...attributes }, coded(text));

// A file and the line in it, from 1.
export const place = (file, line) => name(`${file}:${line}`, { class: "place" });

// `GET /tenants/{tenant}/**` with its parameters marked.
export function routeText(route) {
  const [method, path] = route.split(/ (.*)/s);
  return h("code", { class: "route" }, h("b", {}, method), " ", h("bdi", {}, segments(path ?? "")));
}

// A pattern. Its parameters and `**` are marked, and say in their title what they match.
export function segments(pattern) {
  return pattern.split(/(\/)/).map((part) => {
    if (part === "**") return h("span", { class: "parameter", title: "one or more segments" }, part);
    const [, parameter, ending] = /^(\{[^}]*\})(.*)$/s.exec(part) ?? [];
    if (!parameter) return part === "/" ? ["/", h("wbr")] : part;
    const title = ending ? "a text before this ending" : "any one segment";
    return [h("span", { class: "parameter", title }, parameter), ending];
  });
}

// Conditions that must hold together: `a`, `b` and `c`.
export function conditions(list) {
  return list.map((condition, at) => [at === 0 ? "" : at === list.length - 1 ? " and " : ", ", code(condition)]);
}

const lacking = (alternative) => alternative.conditions.filter(({ holds }) => !holds).map(({ condition }) => condition);

// Why, in a sentence.
export function reason(explanation) {
  const { alternatives, decided_by: decided, detail } = explanation;
  const rule = decided ? ["rule ", name(decided.rule)] : "the rule";
  const [closest] = alternatives;
  switch (explanation.reason) {
    case "public":
      return [sentence("rule "), name(decided?.rule ?? ""), " is public: nobody needs a token."];
    case "met":
      return [`Alternative ${alternatives.find(({ holds }) => holds)?.position ?? ""} of `, rule, " holds."];
    case "no-token":
      return ["The request has no token, and ", rule, " asks for one."];
    case "no-route":
      return "No route takes this method and path. What no route takes is denied.";
    case "not-met":
      if (!closest) return sentence(detail);
      if (alternatives.length === 1) return [sentence("the request lacks "), conditions(lacking(closest)), "."];
      return [`Alternative ${closest.position} of `, rule, " comes closest. It lacks ", conditions(lacking(closest)), "."];
    default:
      return sentence(detail);
  }
}

function sentence(text) {
  return coded(text.charAt(0).toUpperCase() + text.slice(1) + (/[\s.!?]$/.test(text) ? "" : "."));
}

const OUTCOMES = { allowed: "good", denied: "error", "denied or allowed": "warning" };

// `allowed` or `denied`, of which request, and why. `asker` are words behind the request.
export function verdict(explanation, asker, attributes = { "data-testid": "verdict" }) {
  const outcome = explanation.allowed ? "allowed" : explanation.reason === "depends" ? "denied or allowed" : "denied";
  return h("div", { class: "verdict", "data-kind": OUTCOMES[outcome], ...attributes },
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

// A route, its rule, and where that stands.
export const ruled = ({ route, rule, file, line }) => [routeText(route), " of rule ", name(rule), " ", place(file, line)];

const list = (items) => h("ul", {}, items.map((item) => h("li", {}, item)));

function alternative({ position, holds, conditions: all }, closest) {
  const state = holds ? badge("good", "holds") : badge("error", closest ? "lacks the least" : "does not hold");
  return h("div", { class: "alternative" },
    h("h3", {}, `Alternative ${position} `, state),
    h("ul", { class: "conditions" }, all.map(condition)));
}

// One condition: met or not, and what was found instead.
function condition({ condition: text, holds, found }) {
  return h("li", { "data-met": holds ? "yes" : "no" }, h("strong", {}, holds ? "met" : "missing"), " ",
    h("span", {}, code(text), found && [": ", told(found)]));
}
