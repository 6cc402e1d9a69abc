// What a view shows again and again while it is open.

import { h, name, nodes, notice, put } from "./dom.js";

// Waits; ends early, and quietly, when `signal` aborts.
export function pause(seconds, signal) {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(end, seconds * 1000);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}

// Calls `work` every `seconds` until `signal` aborts. A page that nobody sees does not ask.
export async function every(seconds, signal, work) {
  for (;;) {
    await pause(seconds, signal);
    if (signal.aborted) return;
    if (!document.hidden) await work();
  }
}

// Asks for `path`, hands the answer to `draw`, and does so again every ten seconds. Answers an element that says when it is late.
export async function follow(api, path, signal, draw) {
  const late = h("div", { class: "late" });
  draw(await api.get(path, signal));
  every(10, signal, async () => {
    try {
      draw(await api.get(path, signal));
      put(late);
    } catch (error) {
      if (!signal.aborted) put(late, notice("warning", h("p", {}, "This page is not up to date: ", name(error.message))));
    }
  });
  return late;
}

// Brings what an element shows up to date. Elements that stay keep their identity, and so the focus, the selection and an
// open `<details>`. Children with a `data-key` are matched by it, others by their place. Listeners are not carried over.
export function renew(element, ...children) {
  const wanted = document.createDocumentFragment();
  wanted.append(...nodes(children));
  const focused = document.activeElement;
  patch(element, wanted);
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

function patch(old, fresh) {
  const keyed = new Map();
  for (const child of old.childNodes) {
    if (keyOf(child)) keyed.set(keyOf(child), child);
  }
  let at = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const key = keyOf(wanted);
    const match = key ? keyed.get(key) : at;
    if (!match || !areAlike(match, wanted)) {
      old.insertBefore(wanted, at);
      continue;
    }
    keyed.delete(key);
    if (match === at) at = at.nextSibling;
    else old.insertBefore(match, at);
    update(match, wanted);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function update(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && name !== "open") old.setAttribute(name, value);
  }
  patch(old, fresh);
}

const keyOf = (node) => node.dataset?.key;

const areAlike = (a, b) => a.nodeName === b.nodeName && keyOf(a) === keyOf(b);
