"""The engine: `jeton-verify`, written in Rust."""

from asyncio import Future
from collections.abc import Callable
from os import PathLike
from types import TracebackType
from typing import Any, Optional, Union, final

_Path = Union[str, PathLike[str]]
_Text = Union[str, bytes]
_Headers = Union[_Text, list[_Text], list[str], list[bytes], tuple[_Text, ...], None]

@final
class Authorizer:
    """Decides the requests to one API, by its policies and the keys of its issuer.

    Decisions read memory only. What changes is fetched beside the requests, in a thread of the library that never holds
    the lock of the interpreter. Any number of threads may ask at once. In the child of a fork the first decision starts
    that thread anew, from the same arguments.

    Use it in a `with` statement or call `close` to end what it follows.
    """

    def __init__(
        self,
        *,
        issuer: str,
        api: str,
        policies: Optional[_Path] = None,
        jwks: Optional[_Path] = None,
        leeway: int = 30,
        keep: Optional[_Path] = None,
        origin: Optional[str] = None,
        credentials: Union[tuple[str, _Path], Callable[[], str], None] = None,
        ca_file: Optional[_Path] = None,
    ) -> None:
        """Starts to follow what decides.

        Args:
            issuer: The issuer of the tokens, byte by byte as they name it.
            api: The name of the API in the policies.
            policies: A policies folder. `None`: the issuer's bundle of the API.
            jwks: A file with the issuer's public keys, as `jeton keys jwks` prints them. `None`: they are fetched.
            leeway: Seconds by which the clocks of the issuer and of this machine may differ.
            keep: A folder of mode 0700 for the last bundle, keys and status lists. A start goes on from there while the
                issuer is away.
            origin: The scheme and host by which clients reach this service, such as `https://orders.example.com`. A
                DPoP proof must name it. `None`: a token that is bound to a key is refused.
            credentials: For an API with `bundle: clients`: a client id and the file with its secret, or a function
                that returns an access token.
            ca_file: The certificate authorities of the issuer, in PEM. `None`: those of the Web.

        Raises:
            ValueError: An argument, a policy file or a key is wrong; the message says each fault with its place.
            OSError: A file cannot be read.
        """

    def decide(
        self,
        method: _Text,
        target: _Text,
        authorization: _Headers,
        dpop: _Headers = None,
        certificate: Optional[bytes] = None,
        *,
        mounted_at: str = "",
    ) -> Decision:
        """Decides one request.

        Returns at once, unless the token names a key or a status list that is not known yet: that is fetched first, for
        some seconds at most, and other threads run meanwhile. In a coroutine use `decide_async`.

        Args:
            method: The method as it was sent; case counts.
            target: The target as it was sent, with its escapes and its query: `/orders/a%20b?page=2`. What somebody
                decoded before may be judged as another path.
            authorization: The value of the `Authorization` header, a list of the values of all of them, or `None`. Two
                are refused.
            dpop: The `DPoP` header, likewise. A token that is bound to a key needs one proof, which is taken once.
            certificate: The certificate that the client showed in TLS, in DER. Never one of a header that a client can
                send.
            mounted_at: What was cut from the path before `target`, such as `/api`: a proof names the whole address.

        Raises:
            RuntimeError: The authorizer is closed.
            ValueError: The certificate is not DER.
        """

    def decide_async(
        self,
        method: _Text,
        target: _Text,
        authorization: _Headers,
        dpop: _Headers = None,
        certificate: Optional[bytes] = None,
        *,
        mounted_at: str = "",
    ) -> Future[Decision]:
        """As `decide`, for coroutines of asyncio. What must be fetched first does not stop the loop."""

    def close(self) -> None:
        """Ends what it follows. Later decisions raise `RuntimeError`."""

    def __enter__(self) -> Authorizer: ...
    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None: ...

@final
class Decision:
    """What a request is answered. True where the request may pass."""

    @property
    def allowed(self) -> bool:
        """Whether the request may pass."""

    @property
    def status(self) -> int:
        """200 where the request may pass; else the status for the caller: 400, 401, 403, 503."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers for the caller: `WWW-Authenticate`, `Retry-After`."""

    @property
    def reason(self) -> str:
        """The stable name of the reason, such as `met` or `not-met`: for logs, not for the caller."""

    @property
    def rule(self) -> Optional[str]:
        """The rule that decided, if one did."""

    @property
    def principal(self) -> Optional[Principal]:
        """Who calls, where the request may pass. `None` on a public route that was asked without a token."""

    @property
    def detail(self) -> str:
        """What the caller is told, in words. Empty where the request may pass."""

    def problem(self, reference: Optional[str] = None) -> str:
        """The body for a caller who is refused: `application/problem+json` (RFC 9457).

        Args:
            reference: The name of the request in your logs, for the caller.
        """

    def __bool__(self) -> bool: ...

@final
class Principal:
    """Who bears the token of a request: not a person, but a package of permissions.

    Only a token that verified and was not revoked makes one.
    """

    @property
    def client(self) -> Optional[str]:
        """The client that asked for the token. `None` for an anonymous client."""

    @property
    def subject(self) -> Optional[str]:
        """The client to which the permissions were granted; another than `client` after a token exchange."""

    @property
    def scopes(self) -> list[str]:
        """What it may do."""

    @property
    def roles(self) -> list[str]:
        """The named sets of scopes that it holds whole."""

    @property
    def claims(self) -> dict[str, Any]:
        """The claims that the policies give to the client."""

    @property
    def token_id(self) -> str:
        """The name of its token, as the log of the issuer has it."""

    @property
    def expires_at(self) -> int:
        """When its token ends, in seconds since 1970."""

# how many events were dropped; events; decisions, and what waits for them; functions that are to give a token
_Taken = tuple[
    int,
    list[tuple[int, str, str, dict[str, str]]],
    list[tuple[Future[Decision], Decision]],
    list[tuple[Callable[[], str], TokenReply]],
]

@final
class TokenReply:
    """Where a token goes that a function was asked for."""

    def give(self, token: str) -> None:
        """The token."""

    def fail(self, error: str) -> None:
        """Why there is none."""

@final
class Mailbox:
    """What threads of the library tell Python."""

    def take(self) -> Optional[_Taken]:
        """Waits for messages. `None` at the end."""

    def end(self) -> None:
        """Ends `take`."""
