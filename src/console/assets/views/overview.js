// What this server serves, and what needs attention: problems first.

import { badge, card, code, count, duration, facts, h, link, name, notice, table, time } from "../dom.js";
import { every } from "../every.js";
import { coded } from "../explanation.js";
import { findingList, summary } from "../findings.js";
import { renew } from "../renew.js";
import { svg } from "../svg.js";
import { number } from "../words.js";

export const title = "Overview";

const REFRESH = 10;
// The height of a chart.
const HEIGHT = 48;

// The series of `rates`, in the order in which they are shown.
const SERIES = {
  tokens_issued: ["Tokens issued", "Access tokens that were signed"],
  tokens_reused: ["Tokens reused", "Answers with a token that was signed before (tokens.reuse)"],
  token_requests_refused: ["Token requests refused", "Requests for a token that were answered with an error"],
  decisions_allowed: ["Requests allowed", "Requests to protected endpoints that a rule let through"],
  decisions_denied: ["Requests denied", "Requests with a good token that no rule let through"],
  decisions_unauthenticated: ["Requests without a good token", "Requests that sent no token, or a bad one"],
  gateway_questions: ["Questions of gateways", "Requests that a gateway asked about"],
  introspections: ["Introspections", "Questions whether a token is live"],
  rate_limited: ["Over a limit", "Requests that were answered with 429"],
};

export async function show(main, params, { api, signal }) {
  const place = h("div", { class: "overview" });
  const stale = h("div", { class: "stale" });
  const draw = async () => renew(place, view(await api.get("overview", signal)));
  await draw();
  main.append(h("h1", {}, "Overview"), stale, place);
  every(REFRESH, signal, async () => {
    try {
      await draw();
      stale.replaceChildren();
    } catch (error) {
      if (!signal.aborted) renew(stale, old(error));
    }
  });
}

const old = (error) =>
  notice("warning", h("p", {}, "This page is not up to date: ", name(error.message), ` It asks again every ${REFRESH} seconds.`));

function view(state) {
  return [problems(state.problems), h("div", { class: "cards" }, cards(state)), rates(state.rates)];
}

function problems(list) {
  return h("section", { class: "problems", "aria-label": "Problems", "data-key": "problems" },
    list.length === 0
      ? notice("good", h("p", {}, "No problems."))
      : [h("h2", {}, count(list.length, "problem")), h("ul", { class: "list" }, list.map(problem))]);
}

function problem({ severity, what, fix, view: address }) {
  return h("li", { class: "notice", "data-kind": severity, "data-key": `${severity} ${what}` },
    h("strong", {}, severity === "error" ? "Error" : "Warning"),
    h("div", {},
      h("p", {}, coded(what)),
      fix && h("p", {}, "Fix: ", coded(fix)),
      isView(address) && h("p", {}, link(address, `Look at ${address.slice(2).split("?")[0] || "overview"}`))));
}

// An address leads to a view of this page and nowhere else.
const isView = (address) => typeof address === "string" && address.startsWith("#/");

function cards(state) {
  return [
    card("Server", facts([
      ["Issuer", code(state.issuer), "The `iss` of every token, and the base of every published address"],
      ["Version", name(state.version), "The version of jeton"],
      ["Started", time(state.started_at)],
      ["Tokens per client", name(state.limits.tokens), "limits.tokens: how many tokens a client may ask for"],
      ["Introspections per client", name(state.limits.introspections), "limits.introspections: how many questions a client may ask"],
      ["Failures per address", name(state.limits.failures), "limits.failures: how many failed authentications an address may make"],
    ])),
    card("Key that signs", facts([
      ["Kid", code(state.signing.kid), "The thumbprint that stands in the header of each token"],
      ["Algorithm", name(state.signing.alg)],
      ["Next change", state.next_key_change ? time(state.next_key_change) : "none planned", "When a key next changes its state"],
    ]), h("p", {}, link("#/keys", "Keys on a time line"))),
    policies(state.policies),
    candidate(state.candidate),
    card("Store", store(state.store.status)),
    certificates(state.tls),
    issuers(state.issuers),
    gateways(state.gateways),
  ];
}

function policies(state) {
  return card("Policies in force",
    facts([
      ["Folder", code(state.dir)],
      ["Hash", code(state.hash), "The hash of all policy files; replicas with the same hash decide alike"],
      ["Loaded", time(state.loaded_at)],
      ["APIs", number(state.apis, "APIs that the policies define, jeton's own included")],
      ["Clients", number(state.clients, "Clients that the policies define")],
      ["Rules", number(state.rules, "Rules over all APIs")],
      ["Routes", number(state.routes, "Pairs of a method and a pattern over all rules")],
    ]),
    found("Warnings", state.warnings, state.warnings_left_off),
    rejection(state.last_rejection));
}

const found = (label, findings, more = 0) => findings.length > 0
  && h("details", {}, h("summary", {}, `${label}: ${summary(findings)}`), findingList(findings), more > 0 && h("p", {}, `and ${count(more, "more warning")}`));

const rejection = (rejected) => rejected
  && h("div", {}, h("p", {}, badge("error", "rejected"), " A later reading was rejected ", time(rejected.at), "."),
    found("Why", rejected.findings));

function candidate(state) {
  if (!state) {
    return card("Candidate", h("p", {}, "No candidate. Set ", h("code", {}, "policies.candidate"),
      " to a second folder, and each decision is compared with it."));
  }
  return card("Candidate",
    facts([
      ["Folder", code(state.dir)],
      ["Hash", state.hash ? code(state.hash) : "not loaded", "The hash of the candidate's files"],
      ["Loaded", state.loaded_at && time(state.loaded_at)],
      ["Compared", number(state.compared, "Decisions that were compared with the candidate")],
      ["Would allow", number(state.would_allow, "Requests that were refused and the candidate lets through")],
      ["Would deny", number(state.would_deny, "Requests that were let through and the candidate refuses")],
    ]),
    rejection(state.last_rejection),
    h("p", {}, link("#/diff?with=candidate", "What the candidate changes")));
}

const STORES = {
  memory: ["info", "In memory", "No shared store is set. What must be seen once is kept in this process."],
  ready: ["good", "Ready", "The shared store answers."],
  unreachable: ["error", "Unreachable", "What needs the store is answered with 503. Decisions go on."],
  "not yet read": ["warning", "Not yet read", "The revocations of the store were not read yet."],
};

function store(status) {
  const [kind, words, about] = STORES[status] ?? ["info", status, ""];
  return [h("p", {}, badge(kind, words)), h("p", { class: "quiet" }, about)];
}

function certificates(list) {
  if (list.length === 0) return card("TLS", h("p", {}, "No TLS: all listeners speak plain HTTP."));
  return card("TLS", facts(list.map(({ listener, expires_at: until, last_reload_error: failed }) => [
    listener, ["expires ", time(until), failed && h("p", {}, badge("error", "rejected"), " New files were rejected ", time(failed.at), ": ", name(failed.errors.join("; ")))],
    "The listener, and until when its certificate is valid",
  ])));
}

function issuers(list) {
  if (list.length === 0) return card("Trusted issuers", h("p", {}, "No other issuer's tokens stand for a client."));
  return card("Trusted issuers", h("ul", { class: "list" }, list.map((issuer) => h("li", {},
    name(issuer.name), " ", badge(STANDINGS[issuer.status] ?? "info", issuer.status.replace("_", " ")), " ",
    code(issuer.issuer), " ",
    h("span", { class: "quiet" }, count(issuer.keys, "key"), issuer.fetched_at && [", fetched ", time(issuer.fetched_at)]),
    issuer.last_fetch_error && h("p", {}, "Fetching failed ", time(issuer.last_fetch_error.at), ": ", name(issuer.last_fetch_error.error))))));
}

// As `GET /ops/issuers` words them.
const STANDINGS = { ready: "good", failing: "warning", expired: "error", no_keys: "error", disabled: "info" };

function gateways(list) {
  if (list.length === 0) return card("Gateways", h("p", {}, "No gateway asks this server."));
  return card("Gateways", h("ul", { class: "list" }, list.map((gateway) => h("li", {}, code(`/authz/${gateway}`)))));
}

function rates({ step_seconds: step, until, series }) {
  const known = Object.keys(SERIES).map((name) => series.find((one) => one.name === name)).filter(Boolean);
  const slots = 600 / step;
  const charts = known.map(({ name: id, per_step: counts }) => {
    const [words, about] = SERIES[id];
    return chart({ title: words, about, counts: counts.slice(-slots), slots, step });
  });
  return h("section", { class: "rates", "aria-label": "Rates", "data-key": "rates" },
    h("h2", {}, "The last ten minutes"),
    h("p", { class: "quiet" }, `Each bar counts ${step} seconds of this server alone. The last one ended `, time(until), "."),
    h("div", { class: "charts" }, charts),
    h("details", {}, h("summary", {}, "The same as a table"), asTable(known, step, until)));
}

// A row for each minute, the newest first.
function asTable(series, step, until) {
  const each = Math.round(60 / step);
  const rows = Array.from({ length: 10 }, (_, back) => {
    const from = new Date(Date.parse(until) - (back + 1) * 60_000);
    return [h("span", { title: from.toISOString() }, back === 0 ? "last minute" : `${back + 1} minutes ago`),
      ...series.map(({ per_step: counts }) => minute(counts, back * each, each).toLocaleString("en"))];
  });
  const heads = series.map(({ name: id }) => ({ text: SERIES[id][0], title: SERIES[id][1], number: true }));
  return table(["Minute", ...heads], rows, { "aria-label": "Counts by minute" });
}

function minute(counts, back, each) {
  const end = counts.length - back;
  return counts.slice(Math.max(0, end - each), Math.max(0, end)).reduce((sum, count) => sum + count, 0);
}

// A small chart of counts: bars without text, so that it can be stretched; what it says stands around it.
// `counts` are the newest last, `slots` is how many fit. A program that reads the page out gets the words of
// `summary`.
function chart({ title, about, counts, slots, step }) {
  const total = counts.reduce((sum, each) => sum + each, 0);
  const most = Math.max(0, ...counts);
  const last = counts.at(-1) ?? 0;
  const span = duration(slots * step);
  return h("figure", { class: "chart", "data-key": title },
    h("figcaption", {}, h("span", { title: about }, title),
      h("b", {}, number(total, `${about}: ${total} in the last ${span}`))),
    bars(counts, slots, most, `${title}: ${total} in ${span}, at most ${most} and lately ${last} in ${step} seconds`),
    h("p", { class: "axis" }, h("span", {}, `${span} ago`),
      h("span", { title: `The highest bar: ${most} in ${step} seconds` }, most > 0 ? `most ${most.toLocaleString("en")} in ${step} s` : "nothing yet"),
      h("span", {}, "now")));
}

function bars(counts, slots, most, summary) {
  const first = slots - counts.length;
  // a single event among thousands still shows
  const height = (count) => (count > 0 ? Math.max((count / most) * (HEIGHT - 2), 1.5).toFixed(1) : 0);
  const path = counts.map((count, at) => `M${4 * (first + at)} ${HEIGHT}v-${height(count)}h3v${height(count)}z`).join("");
  return svg("svg", { viewBox: `0 0 ${slots * 4} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": summary },
    svg("path", { class: "ground", d: `M0 ${HEIGHT}h${slots * 4}` }), svg("path", { class: "bar", d: path }));
}
