"use strict";

const { ambiguous, checkAuthorizer, decide, isAmbiguous, refusal, unreadable } = require("./request.js");

const REWRITTEN =
  "the application routes by another path than the one that was sent: leave the option `rewriteUrl` of Fastify out";

function protect(fastify, { authorizer }, done) {
  try {
    checkAuthorizer(authorizer);
  } catch (error) {
    return done(error);
  }
  if (!fastify.hasRequestDecorator("principal")) fastify.decorateRequest("principal", null);
  fastify.addHook("onRequest", async (request, reply) => {
    const { raw } = request;
    const sent = raw.originalUrl ?? raw.url;
    const decision = await decide(authorizer, raw, sent);
    if (!decision.allowed) return refuse(reply, refusal(decision));
    if (sent !== raw.url) return refuse(reply, unreadable(authorizer, REWRITTEN));
    if (isAmbiguous(authorizer, raw, sent, decision)) return refuse(reply, ambiguous());
    request.principal = decision.principal;
  });
  done();
}

function refuse(reply, { status, headers, body }) {
  // as text it would get a charset, which this media type does not have
  return reply.code(status).headers(headers).send(Buffer.from(body));
}

// not for the routes of a plugin alone, but for those of whoever registers it
protect[Symbol.for("skip-override")] = true;
protect[Symbol.for("fastify.display-name")] = "jeton";

exports.protect = protect;
