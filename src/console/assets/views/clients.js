// `#/clients`: each client with its grants and with what it authenticates by. Those with problems come first.

import { address, badge, check, code, count, duration, field, h, link, name, time } from "../dom.js";

export const title = "Who gets tokens, and by what";

// What ends within this time is told as a problem.
const SOON = 14 * 86_400_000;
// So many clients are drawn at once; then the page may answer to its reader.
const AT_ONCE = 40;

export async function show(main, params, { api, signal }) {
  const { clients, now } = await api.get("clients", signal);
  const at = Date.parse(now);
  const wanted = params.get("client") ?? "";
  const entries = clients.map((client) => ({ client, problems: problems(client, at), text: text(client) }));
  const rank = ({ client, problems: found }) => (client.id === wanted ? -1 : found.some(({ kind }) => kind === "error") ? 0 : found.length ? 1 : 2);
  entries.sort((one, other) => rank(one) - rank(other));
  const wish = { text: wanted, troubled: false };
  const list = h("ul", { class: "list clients", "data-many": entries.length > AT_ONCE });
  main.append(
    h("h1", {}, title),
    filter(entries, wish),
    list);
  if (entries.length === 0) list.replaceWith(h("p", { class: "empty" }, "The policies define no client. ", code("jeton clients add"), " adds one."));
  for (let from = 0; from < entries.length && !signal.aborted; from += AT_ONCE) {
    list.append(...entries.slice(from, from + AT_ONCE).map((entry) => drawn(entry, at)));
    apply(entries, wish);
    await new Promise((resolve) => setTimeout(resolve));
  }
}

function filter(entries, wish) {
  const input = h("input", { type: "search", name: "filter", autocomplete: "off", spellcheck: false, value: wish.text, placeholder: "a client, API, role, scope, issuer, or expired" });
  const troubled = h("input", { type: "checkbox", name: "troubled" });
  const shown = h("p", { role: "status", class: "check quiet" });
  const oninput = () => {
    Object.assign(wish, { text: input.value.trim().toLowerCase(), troubled: troubled.checked });
    const left = apply(entries, wish);
    shown.textContent = left === entries.length ? summary(entries) : `${left} of ${summary(entries)}`;
  };
  const form = h("div", { class: "fields", role: "search", "aria-label": "Clients", oninput },
    field("Filter", input), check("only with problems", troubled), shown);
  oninput();
  return form;
}

function summary(entries) {
  const troubled = entries.filter(({ problems: found }) => found.length > 0).length;
  return `${count(entries.length, "client")}, ${troubled} with problems`;
}

// Hides what the filter leaves out; returns how many are left.
function apply(entries, wish) {
  let left = 0;
  for (const entry of entries) {
    const fits = entry.text.includes(wish.text) && (!wish.troubled || entry.problems.length > 0);
    if (entry.element) entry.element.hidden = !fits;
    if (fits) left += 1;
  }
  return left;
}

// What a reader may look for.
function text({ id, enabled, bound_tokens: bound, anonymous, grants, secrets, certificates, federated }) {
  const ended = [...secrets, ...certificates].some(({ live }) => !live);
  const states = [!enabled && "disabled", bound && "bound tokens", anonymous && "anonymous", ended && "expired"];
  return [id, states, grants.map((grant) => [grant.api, grant.roles, grant.scopes]), secrets.map((secret) => secret.sha256), federated.map((one) => one.issuer)]
    .flat(3).filter(Boolean).join("\n").toLowerCase();
}

// What needs somebody's attention: `{ kind, words }`, worst first.
function problems(client, at) {
  const { enabled, secrets, certificates, public_keys: keys, federated } = client;
  const all = [...secrets.map((one) => ({ ...one, what: ["secret ", code(one.sha256)] })), ...certificates.map((one) => ({ ...one, what: ["certificate"] }))];
  const live = all.filter((one) => one.live);
  const others = keys + federated.length;
  if (!enabled) return [];
  const found = [];
  if (live.length + others === 0) found.push({ kind: "error", words: "It cannot authenticate: nothing of it is live." });
  for (const { live: good, expires, what } of all) {
    if (!good) found.push({ kind: "warning", words: [what, " expired ", time(expires, at)] });
    else if (expires && Date.parse(expires) - at < SOON) {
      const only = live.length + others === 1;
      found.push({ kind: only ? "error" : "warning", words: [what, " expires ", time(expires, at), only ? ", and it has nothing else" : ""] });
    }
  }
  return found;
}

function drawn(entry, at) {
  const { client, problems: found } = entry;
  entry.element = h("li", { class: "card client", "data-testid": "client", "data-client": client.id },
    h("div", { class: "row" }, h("h2", {}, name(client.id)), states(client, at)),
    found.length > 0 && h("ul", { class: "list" }, found.map(({ kind, words }) => h("li", {}, badge(kind, kind), " ", words))),
    h("div", { class: "columns" },
      part("Grants", grants(client)),
      part("Authenticates by", credentials(client, at)),
      part("Tokens", tokens(client, at))));
  return entry.element;
}

const part = (heading, items) => h("div", {}, h("h3", {}, heading), h("ul", { class: "list" }, items.filter(Boolean).map((item) => h("li", {}, item))));

function states({ enabled, anonymous, bound_tokens: bound }) {
  return [
    !enabled && badge("warning", "disabled", "It gets no tokens, and jeton refuses those that name it"),
    anonymous && badge("info", "anonymous", "Its tokens do not name it"),
    bound && badge("info", "bound tokens only", "Its tokens are bound to its key or certificate"),
  ];
}

function grants({ id, grants: all }) {
  if (all.length === 0) return [h("span", { class: "quiet" }, "None: it gets no token.")];
  return all.map(({ api, roles, scopes }) => [
    h("b", {}, name(api)), roles.length > 0 && [roles.length > 1 ? ", roles " : ", role ", spaced(roles)], scopes.length > 0 && [": ", spaced(scopes)],
    h("p", { class: "row small" }, link(address("#/matrix", { api, client: id }), "What it may do"), link(address("#/explain", { api, as: id }), "Explain as it"))]);
}

const spaced = (list) => list.map((one, at) => [at ? " " : "", code(one)]);

function credentials({ secrets, public_keys: keys, certificates, federated }, at) {
  const all = [
    ...secrets.map((secret) => ["secret ", code(secret.sha256, { title: "The first 8 digits of its SHA-256" }), ", ", ends(secret, at), ", ", used(secret, at)]),
    keys > 0 && count(keys, "public key"),
    ...certificates.map((certificate) => [certificateText(certificate), ", ", ends(certificate, at)]),
    ...federated.map(({ issuer, conditions, claims_from: taken }) => [
      "tokens of ", name(issuer), conditions.length > 0 && [" where ", conditions.map((one, position) => [position ? " and " : "", code(one)])],
      Object.keys(taken).length > 0 && h("p", { class: "quiet small" }, "takes over ",
        Object.entries(taken).map(([ours, theirs], position) => [position ? ", " : "", code(ours), " from ", code(theirs)]))]),
  ].filter(Boolean);
  return all.length ? all : [h("span", { class: "quiet" }, "Nothing.")];
}

const date = (rfc3339) => h("span", { class: "date" }, rfc3339.slice(0, 10));

function ends({ expires, live }, at) {
  if (!expires) return "does not expire";
  return [live ? "expires " : "expired ", time(expires, at), " (", date(expires), ")"];
}

function used({ last_used: last }, at) {
  const title = "By this replica, since its start";
  return h("span", { title }, last ? ["last used ", time(last, at)] : "not used here");
}

function certificateText({ expires, live, ...named }) {
  const [[kind, value]] = Object.entries(named);
  return ["certificate ", kind, " ", code(value)];
}

function tokens({ ttl, limit, revoked_before: revoked, refresh, token_exchange: exchange, introspect }, at) {
  return [
    ttl ? `last ${duration(ttl)}` : h("span", { class: "quiet" }, "last as long as the settings say"),
    limit && ["limit ", code(limit)],
    revoked && ["refused if issued before ", time(revoked, at), ` (${revoked})`],
    refresh && "may be refreshed",
    exchange && "may be exchanged by it",
    introspect === true ? "it may ask about all" : Array.isArray(introspect) && introspect.length > 0 && ["it may ask about those of ", spaced(introspect)],
  ];
}
