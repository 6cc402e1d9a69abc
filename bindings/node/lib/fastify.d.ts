import type { FastifyPluginCallback } from "fastify";

import type { Authorizer, Principal } from "./index.js";

declare module "fastify" {
  interface FastifyRequest {
    /** Who calls. `null` on a public route that was asked without a token, and where `protect` did not run. */
    principal: Principal | null;
  }
}

/**
 * Lets through what the policies allow, and answers the rest in the place of the handlers. Register it before other plugins:
 * `app.register(protect, { authorizer })`. The principal is `request.principal`.
 *
 * The path is judged as it was sent. A request that the option `rewriteUrl` rewrote is refused.
 */
export const protect: FastifyPluginCallback<{ authorizer: Authorizer }>;
