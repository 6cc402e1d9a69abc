// What a check of edited policies says: findings, matrix, difference and explanation, each in a tab.

import { accessMatrix, cellFacts } from "./access.js";
import { field, h, notice, put } from "./dom.js";
import { changesOf } from "./changes.js";
import { coded, grounds, verdict } from "./explanation.js";
import { findingList, isError } from "./findings.js";
import { tabs } from "./tabs.js";
import { asker, askedBy, firstApi, form, question } from "./views/explain.js";
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
      else put(panels[chosen].place, broken(answer));
    },
  };
}

const broken = ({ findings: all }) => notice("error", h("p", {}, all.filter(isError).length === 1 ? "The text has an error. Mend it first: see Findings."
  : "The text has errors. Mend them first: see Findings."));

function findings(go) {
  const place = h("div", {});
  return {
    label: "Findings", element: place, place, ask: () => null,
    take: ({ findings: all }) => put(place, all.length > 0 ? findingList(all, go) : notice("good", h("p", {}, "Nothing is wrong."))),
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
      if (answered) put(place, accessMatrix({ matrix: answered, state, detail: (cell) => cellFacts(answered, cell) }));
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
    take: ({ difference: answered }) => put(place, answered
      ? changesOf(answered, { filter, signal, explain })
      : notice("warning", h("p", {}, "Comparing these policies with those in force is too much work for one check. `jeton policies diff` compares any."))),
  };
}

function explanation(params, again) {
  const place = h("div", { class: "stack" });
  const element = h("div", { class: "stack" }, place);
  let asked = askedBy(params);
  let isOffered = false;

  function offer(names) {
    isOffered = true;
    element.prepend(form(asked, names, (values) => {
      asked = values;
      again();
    }));
  }

  return {
    label: "Explain", place, element,
    ask() {
      if (!asked.api || !asked.path) return null;
      try {
        return { explain: question(asked) };
      } catch (error) {
        put(place, notice("error", h("p", {}, coded(error.message))));
        return null;
      }
    },
    take({ names, explanation: answered }) {
      if (!isOffered) offer(names);
      if (answered) put(place, verdict(answered, asker(asked)), grounds(answered));
    },
  };
}

// A choice of the APIs that the edited text defines.
function apiSelect(onchange) {
  const element = h("select", { name: "api", onchange: () => onchange() });
  return {
    element,
    value: () => element.value,
    offer({ apis }) {
      const all = apis.map((api) => api.name);
      const chosen = all.includes(element.value) ? element.value : firstApi(apis);
      element.replaceChildren(...all.map((api) => h("option", { value: api, selected: api === chosen }, api)));
    },
  };
}
