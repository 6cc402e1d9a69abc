"use strict";
// What all middlewares do: read the request as it was sent, and answer in the place of the application.

const { STATUS_CODES } = require("node:http");

const { isAuthorizer, log, ruleFor } = require("./authorizer.js");

const PROBLEM = "application/problem+json";

/** Whether this is an authorizer: an application must not start without one. */
exports.checkAuthorizer = (authorizer) => {
  if (!isAuthorizer(authorizer)) throw new TypeError("protect needs an Authorizer of the package jeton");
};

/** Decides a request of Node's HTTP server. `target` is the target as it was sent. */
exports.decide = (authorizer, { method, rawHeaders, socket }, target) =>
  // `headers` has the first of two alone
  authorizer.decide(
    method,
    target,
    valuesOf(rawHeaders, "authorization"),
    valuesOf(rawHeaders, "dpop"),
    certificateOf(socket),
  );

function valuesOf(rawHeaders, name) {
  const values = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2)
    if (rawHeaders[at].length === name.length && rawHeaders[at].toLowerCase() === name) values.push(rawHeaders[at + 1]);
  return values;
}

/** The certificate of the client where the server itself has TLS, whoever signed it: its key was used in the handshake. */
function certificateOf(socket) {
  return socket?.encrypted ? socket.getPeerCertificate()?.raw : undefined;
}

/** What a caller is answered who is refused: status, headers and body. */
exports.refusal = (decision) => answer(decision.status, decision.headers, decision.problem());

/** The same for a caller whose request was read in two ways. */
exports.ambiguous = () => problem(400, "the path hides characters behind escapes that need none: send them as they are");

/** The same where the application does not tell what was sent, so that nobody can judge it. The log has what helps. */
exports.unreadable = (authorizer, message) => {
  log(authorizer, "error", "request.unreadable", { message: `request.unreadable: ${message}` });
  return problem(500, message);
};

function problem(status, detail) {
  return answer(status, {}, JSON.stringify({ detail, status, title: STATUS_CODES[status], type: "about:blank" }));
}

function answer(status, headers, body) {
  const length = String(Buffer.byteLength(body));
  return {
    status,
    headers: { ...headers, "Content-Type": PROBLEM, "Content-Length": length, "Cache-Control": "no-store" },
    body,
  };
}

/** Tells the log of an application that serves other paths than it is asked for. */
exports.warn = (authorizer, event, message) => log(authorizer, "warn", event, { message: `${event}: ${message}` });

/** The path and the query of a target, the query with its `?`. */
const split = (target) => {
  const mark = target.indexOf("?");
  return mark < 0 ? [target, ""] : [target.slice(0, mark), target.slice(mark)];
};
exports.split = split;

/** A target that was judged, with no escape in its path that needs none. */
exports.plain = (target) => {
  if (!target.includes("%")) return target;
  const [path, query] = split(target);
  return path.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => encodeURI(decodeURIComponent(escapes))) + query;
};

// Escapes that `decodeURI` keeps, and with it the routers of Fastify and Hono; a path that is judged holds no others of them.
const KEPT = /%(?:24|26|2b|2c|3a|3d|40)/gi;
// a character that is in no route
const NOWHERE = "%EF%BF%BC";

/**
 * Whether the router reads another path than the policies: `/a%3Ab` is `/a:b` for them, and must not be judged by the rule
 * of that and reach the handler of `/:page`. Where an escape stands for a part of a parameter, both read the same.
 */
exports.isAmbiguous = (authorizer, { method }, target, { rule }) => {
  const [path] = split(target);
  const hidden = path.replace(KEPT, NOWHERE);
  // not a decision: that would need a second proof
  return hidden !== path && ruleFor(authorizer, method, hidden) !== rule;
};
