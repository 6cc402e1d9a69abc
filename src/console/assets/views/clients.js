// `#/clients`: each client with its grants and with what it authenticates by. Those with problems come first.

import { address, badge, check, code, count, duration, field, h, link, name, time } from "../dom.js";

export const title = "Who gets tokens, and by what";

// What ends within this time is a problem.
const SOON = 14 * 86_400_000;
// So many clients are drawn at once; then the page may answer to its reader.
const AT_ONCE = 40;

const isTroubled = (entry) => entry.problems.length > 0;

export async function show(main, params, { api, signal }) {
  const { clients, now } = await api.get("clients", signal);
  const wanted = params.get("client") ?? "";
  const at = Date.parse(now);
  const rank = ({ client, problems: all }) => (client.id === wanted ? 0 : all.some(([kind]) => kind === "error") ? 1 : all.length > 0 ? 2 : 3);
  const entries = clients.map((client) => ({ client, problems: problems(client, at), text: "" }));
  entries.sort((one, other) => rank(one) - rank(other));
  const input = h("input", { type: "search", name: "filter", autocomplete: "off", spellcheck: false, value: wanted, placeholder: "client, API, role, scope, issuer, expired" });
  const troubled = h("input", { type: "checkbox", name: "troubled" });
  const left = h("p", { role: "status", class: "check quiet" });
  const list = h("ul", { class: "list clients", "data-many": entries.length > AT_ONCE });
  const apply = () => {
    const typed = input.value.trim().toLowerCase();
    const fits = (entry) => entry.text.includes(typed) && (!troubled.checked || isTroubled(entry));
    for (const entry of entries) if (entry.element) entry.element.hidden = !fits(entry);
    const fitting = entries.filter(fits).length;
    left.textContent = fitting ? `${fitting} of ${count(entries.length, "client")}, ${entries.filter(isTroubled).length} with problems` : "No client matches the filter.";
  };
  main.append(
    h("h1", {}, title),
    h("div", { class: "fields", role: "search", "aria-label": "Clients", oninput: apply }, field("Filter", input), check("only with problems", troubled), left),
    entries.length > 0 ? list : h("p", { class: "empty" }, "The policies define no client. ", code("jeton clients add"), " adds one."));
  for (let from = 0; from < entries.length && !signal.aborted; from += AT_ONCE) {
    const some = entries.slice(from, from + AT_ONCE);
    for (const entry of some) {
      entry.element = drawn(entry, at);
      entry.text = entry.element.textContent.toLowerCase();
    }
    list.append(...some.map((entry) => entry.element));
    apply();
    await new Promise((resolve) => setTimeout(resolve));
  }
}

// What needs somebody's attention: `[kind, words]`.
function problems({ enabled, secrets, certificates, public_keys: keys, federated }, at) {
  if (!enabled) return [];
  const ending = [...secrets.map((one) => [["secret ", code(one.sha256)], one]), ...certificates.map((one) => [certificate(one), one])];
  const ways = keys + federated.length + ending.filter(([, { live }]) => live).length;
  const found = ending.map(([what, { live, expires }]) => {
    if (!live) return ["warning", [what, " expired ", time(expires, at)]];
    const isSoon = expires && Date.parse(expires) - at < SOON;
    return isSoon && [ways === 1 ? "error" : "warning", [what, " expires ", time(expires, at), ways === 1 && ", and it has nothing else"]];
  });
  return [ways === 0 && ["error", "It cannot authenticate: nothing of it is good."], ...found].filter(Boolean);
}

function drawn({ client, problems: found }, at) {
  const { id, enabled, anonymous, bound_tokens: bound } = client;
  return h("li", { class: "card", "data-testid": "client" },
    h("div", { class: "row" }, h("h2", {}, name(id)),
      !enabled && badge("warning", "disabled", "It gets no tokens, and jeton refuses those that name it"),
      anonymous && badge("info", "anonymous", "Its tokens do not name it"),
      bound && badge("info", "bound tokens only", "Its tokens are bound to its key or certificate")),
    found.length > 0 && items(found.map(([kind, words]) => [badge(kind, kind), " ", words])),
    h("div", { class: "columns" },
      part("Grants", grants(client)), part("Authenticates by", credentials(client, at)), part("Tokens", tokens(client, at))));
}

const items = (all) => h("ul", { class: "list" }, all.map((one) => h("li", {}, one)));
const part = (heading, all) => h("div", {}, h("h3", {}, heading), items(all.filter(Boolean)));
const spaced = (list) => list.map((one) => [" ", code(one)]);

function grants({ id, grants: all }) {
  if (all.length === 0) return ["none"];
  return all.map(({ api, roles, scopes }) => [
    h("b", {}, name(api)), roles.length > 0 && [" role", spaced(roles)], scopes.length > 0 && [" scope", spaced(scopes)],
    h("p", { class: "row small" }, link(address("#/matrix", { api, client: id }), "What it may do"), link(address("#/explain", { api, as: id }), "Explain as it"))]);
}

function credentials({ secrets, public_keys: keys, certificates, federated }, at) {
  const all = [
    ...secrets.map((one) => ["secret ", code(one.sha256, { title: "The first 8 digits of its SHA-256" }), ", ", ends(one, at), ", ",
      h("span", { title: "By this replica, since its start" }, one.last_used ? ["last used ", time(one.last_used, at)] : "not used here")]),
    ...certificates.map((one) => [certificate(one), ", ", ends(one, at)]),
    ...federated.map(({ issuer, conditions, claims_from: taken }) => ["tokens of ", name(issuer), conditions.map((one, position) => [position ? " and " : " where ", code(one)]),
      Object.entries(taken).map(([ours, theirs]) => h("p", { class: "quiet small" }, "its ", code(theirs), " becomes ", code(ours)))]),
    keys > 0 && count(keys, "public key"),
  ].filter(Boolean);
  return all.length > 0 ? all : ["nothing"];
}

const ends = ({ expires, live }, at) =>
  (expires ? [live ? "expires " : "expired ", time(expires, at), " (", h("span", { class: "nowrap" }, expires.slice(0, 10)), ")"] : "does not expire");

function certificate({ expires, live, ...named }) {
  return Object.entries(named).map(([kind, value]) => [`certificate ${kind} `, code(value)]);
}

const tokens = ({ ttl, limit, revoked_before: revoked, refresh, token_exchange: exchange, introspect }, at) => [
  ttl ? `last ${duration(ttl)}` : "last as long as the settings say",
  limit && ["limit ", code(limit)],
  revoked && ["refused if issued before ", time(revoked, at), ` (${revoked})`],
  refresh && "may be refreshed",
  exchange && "may be exchanged by it",
  introspect && ["it may introspect", introspect === true ? " all" : [" those of", spaced(introspect)]],
];
