// A copy of the policies in force, edited in the memory of this page and checked by the server. Nothing is kept.

import { badge, code, count, field, h, name, notice, put } from "../dom.js";
import { accessMatrix, cellFacts } from "../grid.js";
import { coded, copyButton, explained, findingList, grounds, isError, pause, summary, verdict } from "../parts.js";
import { changesOf } from "./diff.js";
import { asker, askedBy, firstApi, form, question } from "./explain.js";

export const title = "Try";

// The copy: `{ sources, edited }`, the texts in force and by name those that somebody changed. It stays while the page
// is open, whatever view is shown.
let copy = null;

export async function show(main, params, { api, signal, navigate }) {
  const sources = await api.get("sources", signal);
  const isOld = copy && copy.edited.size > 0 && copy.sources.hash !== sources.hash;
  if (!copy || copy.edited.size === 0) copy = { sources, edited: new Map() };
  const renewed = () => {
    copy = null;
    warn();
    navigate(location.hash);
  };
  const page = pageOf({ api, signal, params, renewed });
  main.classList.add("wide");
  main.append(h("h1", {}, "Try an edit"), intro(), isOld ? behind(page.reset) : "", ...page.elements);
  page.start();
}

const intro = () => h("p", {}, "Edit a copy of the policies in force. Your text stays in the memory of this page; the server checks it and keeps nothing. ",
  "Hashes of secrets are cut to 8 digits: take your edits over, not the whole files.");

const behind = (reset) => notice("warning", h("p", {}, "Other policies are in force since you began. The diff compares with those. "),
  h("p", {}, h("button", { type: "button", onclick: reset }, "Drop my edits and take these")));

// Closing the page asks first while there are edits.
function warn() {
  removeEventListener("beforeunload", ask);
  if (copy?.edited.size > 0) addEventListener("beforeunload", ask);
}

const ask = (event) => event.preventDefault();

const textOf = (file) => copy.edited.get(file.name) ?? file.text;

function pageOf({ api, signal, params, renewed }) {
  const { sources } = copy;
  const status = h("p", { role: "status" });
  const progress = h("span", { class: "quiet" });
  const reset = h("button", { type: "button", onclick: restart }, "Reset");
  const files = filesOf(sources, edited);
  const shown = results({ params, signal, go: files.go, again: () => checks.now() });
  const checks = checking({
    api, signal, onanswer, onfailed, onstate,
    body: () => ({ files: sources.files.map((file) => ({ name: file.name, text: textOf(file) })), ask: shown.ask() }),
  });

  function edited(file, text) {
    if (text === file.text) copy.edited.delete(file.name);
    else copy.edited.set(file.name, text);
    warn();
    reset.disabled = copy.edited.size === 0;
    checks.later();
  }

  function restart() {
    if (confirm("Drop all edits, and take the policies in force again?")) renewed();
  }

  function onstate(words) {
    progress.textContent = words;
    shown.element.ariaBusy = words !== "";
  }

  function onfailed(error) {
    onstate("");
    put(status, badge("error", "not checked"), " ", name(error.message));
  }

  function onanswer(answer) {
    onstate("");
    put(status, badge(answer.usable ? "good" : "error", answer.usable ? "loads" : "does not load"), " ", summary(answer.findings), ". ", answer.why && [coded(answer.why), ". "], answer.hash && ["Hash ", code(answer.hash)]);
    files.mark(answer.findings);
    shown.take(answer);
  }

  reset.disabled = copy.edited.size === 0;
  return {
    elements: [
      h("div", { class: "row" }, h("button", { type: "button", class: "primary", onclick: () => checks.now() }, "Check"), reset, progress),
      status,
      h("div", { class: "trying" }, h("section", { class: "stack", "aria-label": "Files" }, files.elements, withheld(sources.withheld)), shown.element),
    ],
    reset: renewed,
    start: () => {
      files.mark([]);
      checks.now();
    },
  };
}

function withheld(list) {
  return list.length > 0 && h("details", {}, h("summary", {}, `${count(list.length, "file")} withheld`),
    h("ul", {}, list.map((file) => h("li", {}, code(file.name), ": ", name(file.why)))));
}

// A tab and an editor for each file. An editor is made when its tab is first shown.
function filesOf({ files, dir }, edited) {
  const entries = new Map(files.map((file) => [file.name, { file, editor: null, panel: h("div", {}), label: h("span", {}), findings: [] }]));
  const bar = tabs("Files", [...entries].map(([id, { label, panel }]) => ({ id, label, panel })), open);

  function open(id) {
    const entry = entries.get(id);
    if (entry.editor) return;
    const { file } = entry;
    entry.editor = editor({ label: file.name, text: textOf(file), onedit: (text) => { edited(file, text); relabel(entry); } });
    entry.panel.append(entry.editor.element, h("div", { class: "row" }, copyButton(() => textOf(file), `Copy the text of ${file.name}`, "Copy the text")));
    entry.editor.mark(entry.findings);
  }

  function relabel({ file, label, findings }) {
    const errors = findings.filter(isError).length;
    const warnings = findings.length - errors;
    put(label, name(file.name.startsWith(`${dir}/`) ? file.name.slice(dir.length + 1) : file.name), copy.edited.has(file.name) && " (edited)", " ",
      errors > 0 && badge("error", count(errors, "error")), warnings > 0 && badge("warning", count(warnings, "warning")));
  }

  const of = ({ file: path }) => entries.get(path) ?? [...entries.values()].find(({ file }) => path.endsWith(`/${file.name}`));

  function mark(findings) {
    for (const entry of entries.values()) entry.findings = [];
    for (const finding of findings) of(finding)?.findings.push(finding);
    for (const entry of entries.values()) {
      relabel(entry);
      entry.editor?.mark(entry.findings);
    }
  }

  function go(finding) {
    const entry = of(finding);
    if (!entry) return;
    bar.select(entry.file.name);
    open(entry.file.name);
    if (finding.line > 0) entry.editor.go(finding);
    else bar.tab(entry.file.name).focus();
  }

  if (files.length > 0) {
    bar.select(files[0].name);
    open(files[0].name);
  }
  return { elements: [bar.list, bar.panels], mark, go };
}

// What the server takes, in bytes.
const MOST_BYTES = 4 * 2 ** 20;
// A pause in typing, in seconds; after it the text is checked.
const IDLE = 0.6;

// `body()` is what is to be checked; `onstate(words)` is told what goes on; `onanswer(answer)` gets the answer of the text
// as it is, and `onfailed(error)` why there is none.
function checking({ api, signal, body, onstate, onanswer, onfailed }) {
  let running = new AbortController();
  let timer = null;

  function later() {
    stop();
    onstate("Edited. It is checked when you pause.");
    timer = setTimeout(now, IDLE * 1000);
  }

  // An answer about an older text is never seen: its request is aborted.
  function stop() {
    clearTimeout(timer);
    running.abort();
    running = new AbortController();
    return AbortSignal.any([signal, running.signal]);
  }

  async function now() {
    const mine = stop();
    try {
      const answer = await whenFree(body(), mine);
      if (!mine.aborted) onanswer(answer);
    } catch (error) {
      if (!mine.aborted) onfailed(error);
    }
  }

  // The server checks one text at a time.
  async function whenFree(asked, mine) {
    const bytes = new Blob([JSON.stringify(asked)]).size;
    if (bytes > MOST_BYTES) throw new Error(`The texts have ${mebibytes(bytes)} MiB. The server checks at most ${mebibytes(MOST_BYTES)} MiB.`);
    for (let wait = 0.5; ; wait = Math.min(wait * 2, 4)) {
      onstate("Checking\u2026");
      try {
        return await api.post("check", asked, mine);
      } catch (error) {
        if (mine.aborted || error.status !== 503) throw error;
        onstate("Another text is being checked. This one waits.");
        await pause(wait, mine);
      }
    }
  }

  signal.addEventListener("abort", stop);
  return { now, later };
}

const mebibytes = (bytes) => (bytes / 2 ** 20).toFixed(1);

// `again()` asks for a check, `go(finding)` goes to a place in the texts. Answers `{ element, ask, take }`: what is asked
// beside the findings, and where an answer goes. The `take` of a panel says whether it had one.
function results({ params, signal, go, again }) {
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
      // a guarantee or a test that fails keeps a text from being used, but not from being looked at
      if (!answer.names) put(panels[chosen].place, notice("error", h("p", {}, "The text does not load: see Findings.")));
      else if (!panels[chosen].take(answer) && answer.why) put(panels[chosen].place, notice("warning", h("p", {}, coded(answer.why))));
    },
  };
}

function findings(go) {
  const place = h("div", {});
  return {
    label: "Findings", element: place, place, ask: () => null,
    take: ({ findings: all }) => put(place, all.length > 0 ? findingList(all, go) : notice("good", h("p", {}, "Nothing is wrong."))),
  };
}

function matrix(again) {
  const place = h("div", {});
  const api = h("select", { name: "api", onchange: () => again() });
  // the filters, which outlive an answer
  const state = {};
  let asked = "";

  // The APIs that the edited text defines.
  function offer(apis) {
    const chosen = apis.some((one) => one.name === api.value) ? api.value : firstApi(apis);
    put(api, apis.map((one) => h("option", { selected: one.name === chosen }, one.name)));
  }

  return {
    label: "Matrix", place, element: h("div", { class: "stack" }, field("API", api), place),
    ask() {
      asked = api.value;
      return asked ? { matrix: asked } : null;
    },
    take({ names, matrix: answered }) {
      offer(names.apis);
      // the APIs are known now
      if (!answered && api.value !== asked) again();
      return answered && put(place, accessMatrix({ matrix: answered, state, detail: (cell) => cellFacts(answered, cell) }));
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
    take: ({ difference: answered }) => answered && put(place, changesOf(answered, { filter, signal, explain })),
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
      return answered && put(place, verdict(answered, asker(asked)), grounds(answered));
    },
  };
}

// The most marks that a file shows.
const MOST_MARKS = 500;

// `onedit(text)` is called at each edit. Answers `{ element, mark, go }`.
function editor({ label, text, onedit }) {
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
    marks.replaceChildren(...[...lines.values()].slice(0, MOST_MARKS).map(placed));
  }

  function placed(finding) {
    const title = `${finding.severity}: ${finding.message}`;
    const one = h("span", { class: "mark", "data-kind": finding.severity, title, onclick: () => go(finding) }, isError(finding) ? "✕" : "!");
    one.style.top = `${(finding.line - 1) * height}px`;
    return one;
  }

  // Puts the cursor there, and the line into view.
  function go({ line, column }) {
    const lines = area.value.split("\n");
    const before = lines.slice(0, line - 1).reduce((length, each) => length + each.length + 1, 0);
    const text = lines[line - 1] ?? "";
    // columns count characters
    const within = [...text].slice(0, column - 1).join("").length;
    area.focus();
    area.setSelectionRange(before + within, before + text.length);
    area.scrollTop = (line - 1) * height - area.clientHeight / 3;
    area.scrollLeft = 0;
    draw();
  }

  return { element, mark, go };
}

const linesOf = (text) => text.split("\n").length;

// Tabs, as ARIA knows them: arrows, Home and End go from one to the next.
let made = 0;

// `items` are `{ id, label, panel }`; `onselect(id)` is called when somebody selects one. Answers
// `{ list, panels, select, tab }`: the row of tabs, an element with the panels, a function that selects one, and
// one that finds a tab.
function tabs(label, items, onselect) {
  const group = `tabs-${(made += 1)}`;
  const entries = new Map(items.map((item, at) => [item.id, entry(item, `${group}-${at}`)]));
  const order = [...entries.keys()];

  function select(id) {
    for (const [other, { tab, panel }] of entries) {
      const selected = other === id;
      tab.ariaSelected = selected;
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
  panel.role = "tabpanel";
  panel.setAttribute("aria-labelledby", id);
  return { tab, panel };
}
