// A command or a text, with a button that copies it.

import { h, name } from "./dom.js";

// A command in a box.
export const command = (text) =>
  h("div", { class: "command" }, h("code", {}, name(text)), copyButton(() => text, `Copy the command: ${text}`));

// `text` is called when the button is pressed. What became of it is said.
export function copyButton(text, label, words = "Copy") {
  const said = h("span", { role: "status", class: "quiet" });
  const onclick = async () => {
    said.textContent = (await copied(text())) ? "copied" : "not copied: the browser does not allow it";
    setTimeout(() => said.replaceChildren(), 4000);
  };
  return h("span", { class: "copying" }, h("button", { type: "button", title: label, onclick }, words), " ", said);
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedBySelection(text);
  }
}

// Where the page has no clipboard: on an address without TLS that is not loopback.
function copiedBySelection(text) {
  const before = document.activeElement;
  const area = h("textarea", { class: "unseen" });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus();
  return done;
}
