// A copy of the policies in force, edited in the memory of this page and checked by the server. Nothing is kept.

import { badge, code, count, h, name, notice, put } from "../dom.js";
import { checking } from "../checks.js";
import { copyButton } from "../copy.js";
import { editor } from "../editor.js";
import { isError, summary } from "../findings.js";
import { tabs } from "../tabs.js";
import { results } from "../results.js";

export const title = "Try";

// The copy: `{ sources, edited }`, the texts in force and by name those that somebody changed. It stays while the page
// is open, whatever view is shown.
let copy = null;

export async function show(main, params, { api, signal }) {
  const sources = await api.get("sources", signal);
  const isOld = copy && copy.edited.size > 0 && copy.sources.hash !== sources.hash;
  if (!copy || copy.edited.size === 0) copy = { sources, edited: new Map() };
  const page = pageOf({ api, signal, params, renewed: () => show(emptied(main), new URLSearchParams(), { api, signal }) });
  main.classList.add("wide");
  main.append(h("h1", {}, "Try an edit"), intro(), isOld ? behind(page.reset) : "", ...page.elements);
  page.start();
}

function emptied(main) {
  copy = null;
  warn();
  main.replaceChildren();
  return main;
}

const intro = () => h("p", {}, "Edit a copy of the policies in force, and see what your edit breaks, allows and changes. The copy stays in the memory of this page. ",
  "The server checks it and keeps nothing. Hashes of secrets are cut to 8 digits: take your edits over, not the whole files.");

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
  const status = h("p", { role: "status", class: "outcome" });
  const progress = h("span", { class: "quiet" });
  const reset = h("button", { type: "button", onclick: restart }, "Reset");
  const files = filesOf(sources.files, edited);
  const shown = results({ params, signal, names: null, go: files.go, again: () => checks.now() });
  const checks = checking({
    api, signal, onanswer, onstate,
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

  function onstate(state, detail) {
    progress.textContent = {
      waiting: "Edited. It is checked when you pause.", checking: "Checking…", busy: "Another text is being checked. This one waits.",
    }[state] ?? "";
    shown.element.setAttribute("aria-busy", String(["waiting", "checking", "busy"].includes(state)));
    if (state === "failed" || state === "too-large") put(status, badge("error", "not checked"), " ", name(detail));
  }

  function onanswer(answer) {
    onstate("done");
    put(status, badge(answer.usable ? "good" : "error", answer.usable ? "loads" : "does not load"), " ", summary(answer.findings), ".", answer.hash && [" Hash ", code(answer.hash)]);
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
function filesOf(files, edited) {
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
    label.replaceChildren(name(file.name), copy.edited.has(file.name) ? " (edited)" : "", " ",
      errors > 0 ? badge("error", count(errors, "error")) : "", warnings > 0 ? badge("warning", count(warnings, "warning")) : "");
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
