"use strict";

const { ambiguous, checkAuthorizer, decide, isAmbiguous, refusal, split, unreadable } = require("./request.js");

const NO_TARGET =
  "the server does not tell the path as it was sent: serve the application with `@hono/node-server`, which passes the " +
  "request of Node as `c.env.incoming`";
const REWRITTEN =
  "the application routes by another path than the one that was sent: put protect before `app.mount`, and leave the " +
  "option `getPath` of Hono out";

exports.protect = function protect(authorizer) {
  checkAuthorizer(authorizer);
  return async (c, next) => {
    const incoming = c.env?.incoming;
    if (typeof incoming?.url !== "string" || !Array.isArray(incoming.rawHeaders))
      return refuse(c, unreadable(authorizer, NO_TARGET));
    const sent = incoming.url;
    const decision = await decide(authorizer, incoming, sent);
    if (!decision.allowed) return refuse(c, refusal(decision));
    if (decodeURIComponent(c.req.path) !== decodeURIComponent(split(sent)[0]))
      return refuse(c, unreadable(authorizer, REWRITTEN));
    if (isAmbiguous(authorizer, incoming, sent, decision)) return refuse(c, ambiguous());
    c.set("principal", decision.principal);
    await next();
  };
};

function refuse(c, { status, headers, body }) {
  return c.body(body, status, headers);
}
