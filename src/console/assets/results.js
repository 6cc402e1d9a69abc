// What a check of edited policies says: findings, matrix, difference and explanation, each in a tab.

import { accessMatrix, cellFacts } from "./access.js";
import { field, h, name, notice, select } from "./dom.js";
import { changesOf } from "./changes.js";
import { parseClaims, writtenClaims } from "./claims.js";
import { coded, grounds, verdict } from "./explanation.js";
import { findingList, isError } from "./findings.js";
import { tabs } from "./tabs.js";
import { explained } from "./words.js";

// `again()` asks for a check, `go(finding)` goes to a place in the texts. Answers `{ element, ask, take }`: what is asked
// beside the findings, and where an answer goes.
export function results({ params, signal, go, again }) {
  const panels = {
    findings: findings(go),
    matrix: matrix(again),
    diff: difference(signal),
    explain: explanation(params, again),
  };
  let chosen = params.get("path") ? "explain" : "findings";
  const bar = tabs("Results", Object.entries(panels).map(([id, { label, element }]) => ({ id, label, panel: element })), (id) => {
    chosen = id;
    again();
  });
  bar.select(chosen);
  return {
    element: h("section", { class: "stack", "aria-label": "Results" }, bar.list, bar.panels),
    ask: () => panels[chosen].ask(),
    take(answer) {
      panels.findings.take(answer);
      if (chosen === "findings") return;
      if (answer.usable) panels[chosen].take(answer);
      else panels[chosen].place.replaceChildren(broken(answer));
    },
  };
}

const broken = ({ findings: all }) => notice("error", h("p", {}, all.filter(isError).length === 1 ? "The text has an error. Mend it first: see Findings."
  : "The text has errors. Mend them first: see Findings."));

function findings(go) {
  const place = h("div", {});
  return {
    label: "Findings", element: place, place, ask: () => null,
    take: ({ findings: all }) => place.replaceChildren(all.length > 0 ? findingList(all, go) : notice("good", h("p", {}, "Nothing is wrong."))),
  };
}

function matrix(again) {
  const place = h("div", {});
  const api = apiSelect(again);
  // the filters, which outlive an answer
  const state = {};
  let asked = "";
  return {
    label: "Matrix", place, element: h("div", { class: "stack" }, h("div", { class: "fields" }, field("API", api.element)), place),
    ask() {
      asked = api.value();
      return asked ? { matrix: asked } : null;
    },
    take({ names, matrix: answered }) {
      api.offer(names);
      if (answered) place.replaceChildren(accessMatrix({ matrix: answered, state, detail: (cell) => cellFacts(answered, cell) }));
      // the APIs are known now
      else if (api.value() !== asked) again();
    },
  };
}

function difference(signal) {
  const place = h("div", {});
  const filter = { client: "", effect: "" };
  // the explanation is one of the edited text
  const explain = (request) => explained(request).replace("#/explain", "#/try");
  return {
    label: "Diff", element: place, place, ask: () => ({ difference: true }),
    take: ({ difference: answered }) => place.replaceChildren(answered
      ? changesOf(answered, { filter, signal, explain })
      : notice("warning", h("p", {}, "Comparing these policies with those in force is too much work for one check. `jeton policies diff` compares any."))),
  };
}

const FIELDS = ["as", "method", "path", "scopes", "roles"];

function explanation(params, again) {
  const place = h("div", { class: "stack" });
  const api = apiSelect(() => {}, params.get("api"));
  const input = (key, more = {}) => h("input", { name: key, value: params.get(key) ?? "", autocomplete: "off", spellcheck: false, autocapitalize: "off", ...more });
  const inputs = Object.fromEntries(FIELDS.map((key) => [key, input(key)]));
  inputs.method.value ||= "GET";
  inputs.path.required = true;
  const claims = h("textarea", { name: "claims", rows: 2, spellcheck: false, value: claimLines(params.get("claims") ?? "") });
  const clients = h("datalist", { id: "try-clients" });
  inputs.as.setAttribute("list", clients.id);
  const form = h("form", { class: "card", onsubmit: (event) => { event.preventDefault(); again(); } },
    h("div", { class: "fields" }, field("API", api.element), field("As client", inputs.as, "Empty: nobody, or a bearer of what stands below"),
      field("Method", inputs.method), field("Path", inputs.path), h("button", { type: "submit" }, "Explain")),
    h("details", { open: Boolean(params.get("scopes") || params.get("roles") || params.get("claims")) }, h("summary", {}, "A bearer of scopes and roles; claims"),
      h("div", { class: "fields" }, field("Scopes", inputs.scopes), field("Roles", inputs.roles), field("Claims", claims, "One a line: NAME=TEXT or NAME:=JSON"))),
    clients);
  const values = () => ({ api: api.value(), claims: claims.value, ...Object.fromEntries(FIELDS.map((key) => [key, inputs[key].value.trim()])) });

  function ask() {
    const asked = values();
    if (!asked.api || !asked.path) return null;
    try {
      return { explain: question(asked) };
    } catch (error) {
      place.replaceChildren(notice("error", h("p", {}, coded(error.message))));
      return null;
    }
  }

  return {
    label: "Explain", place, ask, element: h("div", { class: "stack" }, form, place),
    take({ names, explanation: answered }) {
      const first = api.value() === "";
      api.offer(names);
      clients.replaceChildren(...names.clients.slice(0, 1000).map((id) => h("option", { value: id })));
      if (answered) place.replaceChildren(verdict(answered, values().as ? [", as ", name(values().as)] : ""), ...grounds(answered));
      else if (first && values().path) again();
    },
  };
}

// The question as the server takes it. Throws an `Error` in words.
function question({ api, as, method, path, scopes, roles, claims }) {
  const request = { api, method, path };
  const given = parseClaims(claims);
  if (as) return { ...request, as, ...(Object.keys(given).length > 0 && { claims: given }) };
  if (!scopes && !roles && Object.keys(given).length === 0) return request;
  const words = (text) => text.split(/[\s,]+/).filter(Boolean);
  return { ...request, as: { scopes: words(scopes), roles: words(roles), claims: given } };
}

// Claims stand in an address as JSON.
function claimLines(json) {
  try {
    return writtenClaims(parseClaims(json));
  } catch {
    return json;
  }
}

// A choice of the APIs that the edited text defines.
function apiSelect(onchange, first = "") {
  const element = select({ name: "api", onchange: () => onchange() }, first ? [first] : [], first);
  return {
    element,
    value: () => element.value,
    offer({ apis }) {
      const all = apis.map((api) => api.name);
      const chosen = all.includes(element.value) ? element.value : (all[0] ?? "");
      element.replaceChildren(...all.map((api) => h("option", { value: api, selected: api === chosen }, api)));
    },
  };
}
