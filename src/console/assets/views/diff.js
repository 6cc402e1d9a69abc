// What an edit changes: the policies in force against the candidate, a folder, or a Git revision.

import { address, code, field, h, name, notice, select } from "../dom.js";
import { changesOf } from "../changes.js";
import { findingList, summary } from "../parts.js";

export const title = "Diff";

export async function show(main, params, { api, signal, navigate }) {
  const answer = await api.get(address("diff", { with: params.get("with") }), signal);
  const filter = { client: params.get("client") ?? "", effect: params.get("effect") ?? "" };
  const onfilter = () => navigate(address("#/diff", { with: answer.with, ...filter }), { replace: true });
  const choose = (chosen) => navigate(address("#/diff", { with: chosen, ...filter }));
  main.append(h("h1", {}, "Diff"), ...content(answer, { filter, signal, onfilter }, choose));
}

function content(answer, how, choose) {
  if (answer.choices.length === 0) return [unset()];
  return [sides(answer, choose), ...result(answer, how)];
}

function result({ why, findings, difference }, how) {
  const said = [];
  if (why) said.push(notice("error", h("p", {}, name(why))));
  if (findings.length > 0) {
    said.push(h("section", { class: "card" }, h("h2", {}, `This side does not load: ${summary(findings)}`), findingList(findings)));
  }
  if (difference) said.push(changesOf(difference, how));
  return said;
}

// Which two are compared, and a choice where there is one.
function sides({ choices, with: chosen, old, new: edited }, choose) {
  return h("div", { class: "stack" },
    h("div", { class: "fields narrow" }, field("Compare with", select({ name: "with", onchange: (event) => choose(event.target.value) },
      choices.map(({ id, label }) => [id, label]), chosen))),
    h("p", {}, "Old: ", side(old), ". New: ", side(edited), "."));
}

const side = (one) => (one ? [name(one.name), one.hash && [" (", code(one.hash, { title: "The hash of its files" }), ")"]] : "not loaded");

// Which setting makes a side.
const unset = () => h("section", { class: "card" },
  h("h2", {}, "There is nothing to compare with"),
  h("p", {}, "Write one of these settings into ", h("code", {}, "jeton.toml"), ", and start the server again:"),
  h("pre", { tabindex: 0 }, h("code", {}, ["[policies]", "candidate = \"../candidate/policies\"   # compared with each decision, and here", "", "[console]", "compare = \"main\"                      # a Git revision is the old side, a folder is the new one", ""].join("\n"))),
  h("p", {}, "Or edit a copy of the policies at ", h("a", { href: "#/try" }, "Try"), ": it shows what your edit changes."));
