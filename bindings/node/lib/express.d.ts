import type { IncomingMessage, ServerResponse } from "node:http";

import type { Authorizer, Principal } from "./index.js";

declare global {
  namespace Express {
    interface Request {
      /** Who calls. `null` on a public route that was asked without a token; absent where `protect` did not run. */
      principal?: Principal | null;
    }
  }
}

/**
 * Lets through what the policies allow, and answers the rest in the place of the handlers behind it. For Express 4 and 5:
 * `app.use(protect(authorizer))` before every route. The principal is `req.principal`.
 *
 * The path is judged as it was sent (`req.originalUrl`). A request of which something before `protect` rewrote `req.url` is
 * refused.
 */
export function protect(
  authorizer: Authorizer,
): (
  req: IncomingMessage & { originalUrl?: string; principal?: Principal | null },
  res: ServerResponse,
  next: (error?: any) => void,
) => Promise<void>;
