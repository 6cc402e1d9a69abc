// Drawings.

import { nodes } from "./dom.js";

const NAMESPACE = "http://www.w3.org/2000/svg";

// An element of SVG, as `h` makes those of HTML. Each attribute is one as SVG spells it.
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...nodes(children));
  return element;
}
