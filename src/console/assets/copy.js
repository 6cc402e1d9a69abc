// A button that copies a text.

import { h, name } from "./dom.js";

// A command in a box, to be copied.
export const command = (text) =>
  h("div", { class: "command" }, h("code", {}, name(text)), copyButton(() => text, `Copy the command: ${text}`));

// `text` is called when the button is pressed. What became of it is said.
export function copyButton(text, label, words = "Copy") {
  const said = h("span", { role: "status", class: "quiet" });
  const onclick = async () => {
    said.textContent = await navigator.clipboard.writeText(text()).then(() => "copied", () => "the browser does not allow it");
    setTimeout(() => said.replaceChildren(), 4000);
  };
  return h("span", { class: "nowrap" }, h("button", { type: "button", title: label, onclick }, words), " ", said);
}
