// Tabs, as ARIA knows them: arrows, Home and End go from one to the next.

import { h } from "./dom.js";

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
