"use strict";

const { checkAuthorizer, decide, plain, refusal, unreadable, warn } = require("./request.js");

const STRICT = ["case sensitive routing", "strict routing"];

exports.protect = function protect(authorizer) {
  checkAuthorizer(authorizer);
  let isChecked = false;
  return async (req, res, next) => {
    try {
      if (!isChecked && req.app) {
        isChecked = true;
        if (!STRICT.every((setting) => req.app.enabled(setting))) warn(authorizer, "protect.lax", LAX);
      }
      const sent = req.originalUrl ?? req.url;
      const told = decide(authorizer, req, sent);
      // a promise costs a turn of the event loop
      const decision = told instanceof Promise ? await told : told;
      if (!decision.allowed) return refuse(res, refusal(decision));
      if (!isRoutedBy(req, sent)) return refuse(res, unreadable(authorizer, REWRITTEN));
      // Express looks for a route by the path with its escapes: let it find the one that was judged
      req.url = plain(req.url);
      req.principal = decision.principal;
    } catch (error) {
      return next(error);
    }
    next();
  };
};

const REWRITTEN =
  "the application would route by another path than the one that was sent: let nothing before protect rewrite `req.url`";

const LAX =
  "Express serves `/Admin` and `/admin/` as `/admin`, but the policies tell them apart: enable `case sensitive routing` " +
  "and `strict routing`";

/** Whether Express looks for a route below the place at which it is by the target that was sent. */
function isRoutedBy({ baseUrl = "", url }, sent) {
  // below `/api`, Express makes `/?page=2` of `/api?page=2`
  const whole = plain(baseUrl + url);
  const bare = baseUrl !== "" && url.startsWith("/") ? plain(baseUrl + url.slice(1)) : whole;
  return whole === plain(sent) || bare === plain(sent);
}

function refuse(res, { status, headers, body }) {
  res.writeHead(status, headers).end(body);
}
