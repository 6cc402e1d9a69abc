// What this server serves, and what needs attention: problems first.

import { badge, card, code, count, duration, facts, h, link, name, notice, time } from "../dom.js";
import { coded, findingList, follow, number, renew, summary, svg } from "../parts.js";

export const title = "Overview";

// The height of a chart.
const HEIGHT = 48;

// The series of `rates`, in the order in which they are shown.
const SERIES = {
  tokens_issued: ["Tokens issued", "Tokens that were signed"],
  tokens_reused: ["Tokens reused", "Tokens that were answered again (tokens.reuse)"],
  token_requests_refused: ["Token requests refused", "Token requests that were answered with an error"],
  decisions_allowed: ["Requests allowed", "Requests that a rule let through"],
  decisions_denied: ["Requests denied", "Requests with a good token that no rule let through"],
  decisions_unauthenticated: ["Requests without a good token", "Requests with no token, or a bad one"],
  gateway_questions: ["Questions of gateways", "Requests that a gateway asked about"],
  introspections: ["Introspections", "Questions whether a token is live"],
  rate_limited: ["Over a limit", "Requests that were answered with 429"],
};

export async function show(main, params, { api, signal }) {
  const place = h("div", { class: "stack" });
  const late = await follow(api, "overview", signal, (state) =>
    renew(place, problems(state.problems), h("div", { class: "cards" }, cards(state)), rates(state.rates)));
  main.append(h("h1", {}, "Overview"), late, place);
}

function problems(list) {
  if (list.length === 0) return notice("good", h("p", {}, "No problems."));
  return h("section", { class: "stack", "aria-label": "Problems" },
    h("h2", {}, count(list.length, "problem")), h("ul", { class: "list" }, list.map(problem)));
}

function problem({ severity, what, fix, view }) {
  return h("li", { class: "notice", "data-kind": severity, "data-is": what },
    h("strong", {}, severity === "error" ? "Error" : "Warning"),
    h("div", {}, h("p", {}, coded(what)), fix && h("p", {}, "Fix: ", coded(fix)),
      // an address leads to a view of this page and nowhere else
      view?.startsWith("#/") && h("p", {}, link(view, `Look at ${view.slice(2).split("?")[0] || "overview"}`))));
}

function cards(state) {
  const { policies, candidate, signing, limits } = state;
  return [
    card("Server", facts([
      ["Issuer", code(state.issuer), "The `iss` of every token"],
      ["Version", name(state.version)],
      ["Started", time(state.started_at)],
      ["Store", store(state.store.status)],
      ["Gateways", state.gateways.length > 0 ? state.gateways.map((gateway) => [code(gateway), " "]) : "none"],
      ["Limit of tokens", name(limits.tokens), "limits.tokens: of a client"],
      ["Limit of introspections", name(limits.introspections), "limits.introspections: of a client"],
      ["Limit of failures", name(limits.failures), "limits.failures: of failed authentications of an address"],
    ])),
    card("Key that signs", facts([
      ["Kid", code(signing.kid), "The thumbprint in the header of each token"],
      ["Algorithm", name(signing.alg)],
      ["Next change", state.next_key_change ? time(state.next_key_change) : "none planned", "When a key next changes its state"],
    ]), h("p", {}, link("#/keys", "Keys on a time line"))),
    card("Policies in force", facts([
      ...folder(policies),
      ["APIs", number(policies.apis, "APIs, jeton's own included")],
      ["Clients", number(policies.clients, "Clients of all APIs")],
      ["Rules", number(policies.rules, "Rules of all APIs, those built in included")],
      ["Routes", number(policies.routes, "Methods with a pattern, of all rules")],
    ]), found("Warnings", policies.warnings, policies.warnings_left_off), rejection(policies.last_rejection)),
    candidate ? card("Candidate", facts([
      ...folder(candidate),
      ["Compared", number(candidate.compared, "Decisions of both")],
      ["Would allow", number(candidate.would_allow, "Denied requests that the candidate allows")],
      ["Would deny", number(candidate.would_deny, "Allowed requests that the candidate denies")],
    ]), rejection(candidate.last_rejection), h("p", {}, link("#/diff?with=candidate", "What the candidate changes")))
      : card("Candidate", h("p", {}, "None. Set ", h("code", {}, "policies.candidate"), " to a second folder to compare each decision with it.")),
    card("TLS", state.tls.length > 0 ? facts(state.tls.map(certificate)) : h("p", {}, "None: all listeners speak plain HTTP.")),
    card("Trusted issuers", state.issuers.length > 0 ? h("ul", { class: "list" }, state.issuers.map(issuer))
      : h("p", {}, "None: no other issuer's tokens stand for a client.")),
  ];
}

const folder = ({ dir, hash, loaded_at: at }) => [
  ["Folder", code(dir)],
  ["Hash", hash ? code(hash) : "not loaded", "The hash of all policy files: replicas with the same hash decide alike"],
  ["Loaded", at && time(at)],
];

const found = (label, findings, more) => findings.length > 0 && h("details", {},
  h("summary", {}, `${label}: ${summary(findings)}`), findingList(findings), more > 0 && h("p", {}, `and ${count(more, "more warning")}`));

const rejection = (rejected) => rejected && h("div", {},
  h("p", {}, badge("error", "rejected"), " The last reading was rejected ", time(rejected.at), "."), found("Why", rejected.findings));

const STORES = {
  memory: ["info", "No shared store is set: what must be seen once is kept in this process"],
  ready: ["good", "The shared store answers"],
  unreachable: ["error", "What needs the store is answered with 503; decisions go on"],
};

function store(status) {
  const [kind, title] = STORES[status] ?? ["warning", "The revocations of the store were not read yet"];
  return badge(kind, status, title);
}

function certificate({ listener, expires_at: until, last_reload_error: failed }) {
  return [listener, ["expires ", time(until), failed && h("p", {}, badge("error", "rejected"), " New files were rejected ", time(failed.at), ": ",
    name(failed.errors.join("; ")))], "The listener, and until when its certificate is valid"];
}

// As `GET /ops/issuers` words them.
const STANDINGS = { ready: "good", failing: "warning", expired: "error", no_keys: "error" };

function issuer({ name: id, status, issuer: iss, keys, fetched_at: at, last_fetch_error: failed }) {
  return h("li", {}, name(id), " ", badge(STANDINGS[status] ?? "info", status.replace("_", " ")), " ", code(iss), " ",
    h("span", { class: "quiet" }, count(keys, "key"), at && [", fetched ", time(at)]),
    failed && h("p", {}, "Fetching failed ", time(failed.at), ": ", name(failed.error)));
}

function rates({ step_seconds: step, series }) {
  const slots = 600 / step;
  const known = Object.entries(SERIES).map(([id, words]) => [words, series.find((one) => one.name === id)?.per_step ?? []]);
  return h("section", { class: "stack", "aria-label": "Rates" },
    h("h2", {}, "The last ten minutes"),
    h("p", { class: "quiet" }, `Each bar counts ${step} seconds of this server alone.`),
    h("div", { class: "charts" }, known.map(([[words, about], counts]) => chart({ words, about, counts: counts.slice(-slots), slots, step }))));
}

// A small chart of counts, the newest last: bars without text, so that it can be stretched; what it says stands around it.
function chart({ words, about, counts, slots, step }) {
  const total = counts.reduce((sum, each) => sum + each, 0);
  const most = Math.max(0, ...counts);
  const whole = duration(slots * step);
  const summary = `${words}: ${total} in ${whole}, at most ${most} and lately ${counts.at(-1) ?? 0} in ${step} seconds`;
  return h("figure", { class: "chart" },
    h("figcaption", {}, h("span", { title: about }, words), h("b", {}, number(total, `${about}, in ${whole}`))),
    bars(counts, slots, most, summary),
    h("p", { class: "axis" }, h("span", {}, `${whole} ago`),
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
