/** What {@link Authorizer} is made of. */
export interface AuthorizerOptions {
  /** The issuer of the tokens, byte by byte as they name it. */
  issuer: string;
  /** The name of the API in the policies. */
  api: string;
  /** A policies folder. Default: the issuer's bundle of the API. */
  policies?: string | URL | null;
  /** A file with the issuer's public keys, as `jeton keys jwks` prints them. Default: they are fetched. */
  jwks?: string | URL | null;
  /** Seconds by which the clocks of the issuer and of this machine may differ. Default: 30. */
  leeway?: number;
  /**
   * A folder of mode 0700 for the last bundle, keys and status lists. A start goes on from there while the issuer is
   * away.
   */
  keep?: string | URL | null;
  /**
   * The scheme and host by which clients reach this service, such as `https://orders.example.com`. A DPoP proof must name
   * it. Default: none, and a token that is bound to a key is refused.
   */
  origin?: string | null;
  /** For an API with `bundle: clients`: a client id and the file with its secret, or what gives an access token. */
  credentials?: readonly [clientId: string, secretFile: string | URL] | (() => string | Promise<string>) | null;
  /** The certificate authorities of the issuer, in PEM. Default: those of the system. */
  caFile?: string | URL | null;
  /** Hears every event. Default: warnings and errors go to stderr. */
  onLog?: (level: LogLevel, event: string, fields: LogFields) => void;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

/** What an event says; `message` is its name and its words. */
export interface LogFields {
  message: string;
  [field: string]: string;
}

/** The value of a header, or the values of all headers of its name. */
export type HeaderValues = string | readonly string[] | null | undefined;

/**
 * Decides the requests to one API, by its policies and the keys of its issuer.
 *
 * Decisions read memory only. What changes is fetched beside the requests, in threads of the library: they neither block
 * the event loop nor keep the process alive.
 */
export class Authorizer {
  /**
   * Starts to follow what decides.
   *
   * @throws an option, a policy file or a key is wrong; the message says each fault with its place.
   */
  constructor(options: AuthorizerOptions);

  /**
   * Decides one request.
   *
   * The decision is there at once, unless the token names a key or a status list that is not known yet: then it is a
   * promise, and that is fetched first, for some seconds at most. `await` takes both.
   *
   * @param method the method as it was sent; case counts.
   * @param target the target as it was sent, with its escapes and its query: `/orders/a%20b?page=2`. What somebody decoded
   * before may be judged as another path.
   * @param authorization the value of the `Authorization` header, or the values of all of them. Two are refused.
   * @param dpop the value of the `DPoP` header, or the values of all of them. A token that is bound to a key needs one
   * proof, which is taken once.
   * @param certificate the certificate that the client showed in TLS, in DER, such as `getPeerCertificate().raw` of the
   * socket. Never one of a header that a client can send.
   * @throws the authorizer is closed.
   */
  decide(
    method: string,
    target: string,
    authorization: HeaderValues,
    dpop?: HeaderValues,
    certificate?: Uint8Array | null,
  ): Decision | Promise<Decision>;

  /** Ends what it follows. Decisions that wait are still made; later ones throw. */
  close(): void;
}

/** What a request is answered. */
export class Decision {
  private constructor();
  /** Whether the request may pass. */
  readonly allowed: boolean;
  /** 200 where the request may pass; else the status for the caller: 400, 401, 403, 503. */
  readonly status: number;
  /** The headers for the caller: `WWW-Authenticate`, `Retry-After`. */
  readonly headers: Readonly<Record<string, string>>;
  /** The stable name of the reason, such as `met` or `not-met`: for logs, not for the caller. */
  readonly reason: string;
  /** The rule that decided, if one did. */
  readonly rule: string | null;
  /** Who calls, where the request may pass. `null` on a public route that was asked without a token. */
  readonly principal: Principal | null;
  /** What the caller is told, in words. Empty where the request may pass. */
  readonly detail: string;
  /**
   * The body for a caller who is refused: `application/problem+json` (RFC 9457).
   *
   * @param reference the name of the request in your logs, for the caller.
   */
  problem(reference?: string): string;
}

/**
 * Who bears the token of a request: not a person, but a package of permissions. Only a token that verified and was not
 * revoked makes one. It is frozen.
 */
export interface Principal {
  /** The client that asked for the token. `null` for an anonymous client. */
  readonly client: string | null;
  /** The client to which the permissions were granted; another than `client` after a token exchange. */
  readonly subject: string | null;
  /** What it may do. */
  readonly scopes: readonly string[];
  /** The named sets of scopes that it holds whole. */
  readonly roles: readonly string[];
  /** The claims that the policies give to the client. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** The name of its token, as the log of the issuer has it. */
  readonly tokenId: string;
  /** When its token ends, in seconds since 1970. */
  readonly expiresAt: number;
}
