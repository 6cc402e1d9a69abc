// The frame around the views: which one an address shows, the list of all, and what stands there when one fails.

import * as api from "./api.js";
import { field, h, link, notice, put } from "./dom.js";

// The views in the order of the list: each is `views/NAME.js` with `title` and `show`, at `#/NAME`; the first is at `#/`.
const VIEWS = ["overview", "matrix", "explain", "routes", "diff", "keys", "clients", "token", "live", "try"];
const START = VIEWS[0];

let shown = { view: null, leave: new AbortController() };

const main = () => document.getElementById("main");

// `#/matrix?api=orders` is `["matrix", its parameters]`.
function where() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return [path || START, new URLSearchParams(query)];
}

async function show() {
  const [view, params] = where();
  shown.leave.abort();
  const leave = new AbortController();
  const again = shown.view === view;
  const first = shown.view === null;
  const focused = again && main().contains(document.activeElement) ? document.activeElement : {};
  const top = again ? scrollY : 0;
  shown = { view, leave };
  for (const one of document.querySelectorAll("#views a")) one.ariaCurrent = one.dataset.view === view ? "page" : null;
  menu(false);
  // a view that is late writes into the element that it was given, which nobody sees any more
  const place = h("main", { id: "main", tabindex: -1, "aria-busy": "true" });
  main().replaceWith(place);
  try {
    if (!VIEWS.includes(view)) throw new api.Problem(404, `There is no view "${view}".`);
    document.title = `${view} - jeton`;
    const { title, show: fill } = await load(view);
    document.title = `${title} - jeton`;
    await fill(place, params, context(leave.signal));
  } catch (error) {
    if (leave.signal.aborted) return;
    failed(place, error);
  }
  if (leave.signal.aborted) return;
  place.ariaBusy = false;
  if (first) return;
  refocus(place, focused);
  scrollTo(0, top);
}

async function load(file) {
  try {
    return await import(`./views/${file}.js`);
  } catch (error) {
    throw new api.Problem(0, `The view "${file}" could not be loaded: ${error.message}`);
  }
}

// What a view gets beside its place and its parameters. One that is left goes nowhere.
function context(signal) {
  let names = null;
  return { api, signal, navigate: (...to) => signal.aborted || navigate(...to), names: () => (names ??= api.get("names", signal)) };
}

// Goes to `#/...`, as a new entry of the history. With `replace`, the entry is the same and the view stays as it is: it knows already.
function navigate(to, { replace = false } = {}) {
  if (replace) history.replaceState(null, "", to);
  else {
    // each submit is an entry, also of the same question
    history.pushState(null, "", to);
    show();
  }
}

function failed(place, error) {
  console.error(error);
  const { status = 0, detail = error.message } = error;
  const heading = status === 403 ? "Not allowed" : status === 404 ? "Not found" : "This view cannot be shown";
  document.title = `${heading} - jeton`;
  put(place, h("h1", {}, heading), notice("error", h("p", {}, h("bdi", {}, detail))),
    h("p", {}, VIEWS.includes(shown.view) && h("button", { type: "button", onclick: show }, "Try again"), " ", link("#/", "Overview")));
}

// A view that is shown anew, with other parameters, keeps the focus where it was.
function refocus(place, { id, name }) {
  if (place.contains(document.activeElement)) return;
  const former = [...place.querySelectorAll("[id], [name]")].find((one) => (id ? one.id === id : name && one.name === name));
  (former ?? place).focus({ preventScroll: true });
}

const button = document.querySelector("button.menu");

function menu(open) {
  button.ariaExpanded = open;
}

// The form for a bearer stands in the place of the view that waits for it.
let waiting = null;

function bearer(detail) {
  waiting ??= Promise.withResolvers();
  const former = document.getElementById("bearer");
  if (former && main().contains(former)) return waiting.promise;
  const token = h("input", { name: "bearer", type: "password", autocomplete: "off", required: true, spellcheck: false });
  const form = h("form", { id: "bearer", class: "card narrow", onsubmit: given, "aria-labelledby": "bearer-title" },
    h(main().querySelector("h1") ? "h2" : "h1", { id: "bearer-title" }, "A token is needed"),
    h("p", {}, "This address can be reached from other machines. Paste an access token with the scope ", h("code", {}, "jeton:ops"),
      ". It stays in the memory of this page."),
    detail && notice("error", h("p", {}, h("bdi", {}, detail))),
    field("Access token", token, "POST /oauth2/token gives one, with the issuer as resource."),
    h("button", { type: "submit", class: "primary" }, "Show"));
  function given(event) {
    event.preventDefault();
    const { resolve } = waiting;
    waiting = null;
    form.remove();
    main().ariaBusy = true;
    resolve(api.pasted(token.value));
  }
  main().prepend(form);
  main().ariaBusy = false;
  token.focus();
  return waiting.promise;
}

document.getElementById("views").append(...VIEWS.map((view) =>
  h("li", {}, h("a", { href: view === START ? "#/" : `#/${view}`, "data-view": view }, view[0].toUpperCase() + view.slice(1)))));
button.addEventListener("click", () => menu(button.ariaExpanded !== "true"));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && button.ariaExpanded === "true") {
    menu(false);
    button.focus();
  }
});
document.querySelector("a.skip").addEventListener("click", (event) => {
  event.preventDefault();
  main().focus();
});
api.askForBearer(bearer);
addEventListener("hashchange", show);
show();
