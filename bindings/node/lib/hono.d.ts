import type { MiddlewareHandler } from "hono";

import type { Authorizer, Principal } from "./index.js";

declare module "hono" {
  interface ContextVariableMap {
    /** Who calls. `null` on a public route that was asked without a token. */
    principal: Principal | null;
  }
}

/**
 * Lets through what the policies allow, and answers the rest in the place of the handlers behind it:
 * `app.use(protect(authorizer))` before every route. The principal is `c.get("principal")`.
 *
 * The path is judged as it was sent, and only `@hono/node-server` tells that. A request of another server is refused.
 */
export function protect(authorizer: Authorizer): MiddlewareHandler;
