// Findings of `policies check`: each with its severity in words, its place and what to do.

import { badge, code, count, h, name } from "./dom.js";
import { coded } from "./explanation.js";

// The most that are shown at once.
const MOST = 500;

// As a list. `go(finding)`, if given, is called when somebody follows a place.
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
    h("p", {}, badge(finding.severity, finding.severity), " ", place(finding, go), " ",
      h("span", { class: "quiet", title: "The kind of the finding, as the reference lists it" }, finding.code)),
    h("p", {}, coded(finding.message)),
    finding.hint && h("p", { class: "quiet" }, "Fix: ", coded(finding.hint)));
}

function place(finding, go) {
  const { file, line, column } = finding;
  const words = line > 0 ? `${file}:${line}:${column}` : file;
  if (!go) return code(words);
  return h("button", { type: "button", class: "plain", onclick: () => go(finding) }, name(words));
}
