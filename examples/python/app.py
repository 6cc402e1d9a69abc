"""The orders API in Python: takes tokens of jeton, and knows nothing of it but its name and the address of its keys.

    pip install -r requirements.txt
    ISSUER=http://127.0.0.1:8080 AUDIENCE=https://orders.example.com uvicorn app:app --port 9101 --no-access-log
"""

import asyncio
import logging
import os
import time
import uuid
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

import jwt
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

ISSUER = os.environ["ISSUER"]  # byte by byte as its tokens have it
AUDIENCE = os.environ["AUDIENCE"]
ALGORITHMS = os.environ.get("ALGORITHMS", "RS256").split(",")
KEYS_URL = os.environ.get("KEYS_URL", f"{ISSUER}/.well-known/jwks.json")
KEYS_COOLDOWN = float(os.environ.get("KEYS_COOLDOWN", "30"))  # seconds at least from one fetch of the keys to the next
KEYS_MAX_AGE = 300  # seconds, as jeton's `Cache-Control` says
LEEWAY = 30  # seconds by which our clock and jeton's may differ

# With HS256 a public key would be the secret, and everybody has that; `none` needs no key at all.
if not set(ALGORITHMS) <= {"RS256", "PS256", "ES256", "EdDSA"}:
    raise SystemExit(f"ALGORITHMS={','.join(ALGORITHMS)}: use RS256, PS256, ES256 or EdDSA")
# Who can change the keys on their way can sign tokens.
if urlsplit(KEYS_URL).scheme != "https" and urlsplit(KEYS_URL).hostname not in ("127.0.0.1", "::1", "localhost"):
    raise SystemExit(f"{KEYS_URL}: use https")

log = logging.getLogger("uvicorn.error")


class Refusal(HTTPException):
    """What the caller is told, with the challenge of RFC 6750 section 3. The reason is for the log alone."""

    def __init__(self, status, detail, reason, **challenge):
        pairs = ", ".join(f'{name}="{value}"' for name, value in challenge.items())
        super().__init__(status, detail, {"WWW-Authenticate": f"Bearer {pairs}".rstrip()})
        self.reason = reason


class Keys:
    """The keys of the issuer. PyJWKClient fetches them; what it would keep of them is kept here instead: its cache
    ends after `lifespan` also where the issuer is away, and only fetches that succeeded count for its cooldown."""

    def __init__(self):
        self.client = jwt.PyJWKClient(KEYS_URL, cache_jwk_set=False, timeout=5)
        self.by_kid, self.tried, self.lock = {}, -KEYS_COOLDOWN, asyncio.Lock()

    async def find(self, kid):
        if kid not in self.by_kid:
            await self.fetch()
        if kid not in self.by_kid:
            raise jwt.InvalidKeyError("no key of the issuer has this kid")
        return self.by_kid[kid]

    async def fetch(self):
        # Only tokens with a kid that is not there wait here: an issuer that hangs stops no other.
        async with self.lock:
            # Anybody can invent kids. However many come, and whatever the issuer answers, it is asked once.
            if time.monotonic() - self.tried < KEYS_COOLDOWN:
                return
            self.tried = time.monotonic()
            try:
                keys = await asyncio.to_thread(self.client.get_signing_keys)
                self.by_kid = {key.key_id: key for key in keys}
            except (jwt.PyJWTError, OSError, ValueError) as error:
                log.warning("keys not fetched, those from before count: %r", error)

    async def follow(self):
        while True:
            await asyncio.sleep(KEYS_MAX_AGE)
            await self.fetch()


keys = Keys()


async def verified(request: Request) -> dict:
    """The claims of the token, if it is good."""
    if "access_token" in request.query_params:  # URLs end up in logs and histories
        detail = "an access token must not be in the URL"
        raise Refusal(400, detail, detail, error="invalid_request", error_description=detail)
    sent = request.headers.getlist("authorization")
    if len(sent) > 1:  # something in front of us may have looked at the other one
        detail = "there are two authorization headers"
        raise Refusal(400, detail, detail, error="invalid_request", error_description=detail)
    scheme, _, token = (sent[0] if sent else "").partition(" ")
    if scheme.lower() != "bearer":
        raise Refusal(401, "this needs an access token", "no token")
    try:
        # By its kid, and only from KEYS_URL: a token that brings a key or an address (jwk, jku, x5u) gains nothing.
        key = await keys.find(jwt.get_unverified_header(token).get("kid"))
        token = jwt.decode_complete(
            token, key, algorithms=ALGORITHMS, issuer=ISSUER, audience=AUDIENCE, leeway=LEEWAY,
            options={"require": ["iss", "aud", "exp", "iat", "jti"]},  # PyJWT checks `exp` only if it is there
        )
        # A refresh token or a status list has the same signature. `JWT` is the token of an anonymous client.
        if token["header"].get("typ") not in ("at+jwt", "JWT"):
            raise jwt.InvalidTokenError("not an access token")
        # Only its holder may use such a token, and nothing here asks for the holder's key.
        if "cnf" in token["payload"]:
            raise jwt.InvalidTokenError("a token that is bound to a key or a certificate")
    except jwt.PyJWTError as error:
        detail = "the access token is not valid here"
        raise Refusal(401, detail, repr(error), error="invalid_token", error_description=detail) from None
    return token["payload"]


Claims = Annotated[dict, Depends(verified)]


def needs(scope, or_role=None):
    """Lets through who has the scope, within its own tenant; or the role, in every tenant."""

    def check(tenant: str, claims: Claims) -> dict:
        # The tenant as the handler gets it, so there is one reading of the path. A claim that is missing is no match.
        own, scopes = claims.get("tenant") == tenant, claims.get("scope", "").split()
        if own and scope in scopes or or_role in claims.get("roles", []):
            return claims
        detail = "the access token does not allow this"
        # The scope is named only where it would help.
        more = {"scope": scope} if own else {"error_description": detail}
        lacks = [] if scope in scopes else [f"it lacks {scope}"]
        lacks += [] if own else [f"its tenant is {claims.get('tenant')!r}, and the path has {tenant!r}"]
        reason = f"token {claims['jti']}: {', '.join(lacks)}"
        raise Refusal(403, detail, reason, error="insufficient_scope", **more)

    return Depends(check)


@asynccontextmanager
async def lifespan(_):
    await keys.fetch()
    if not keys.by_kid:
        raise RuntimeError(f"{KEYS_URL} has no keys: without any this service would refuse everybody")
    following = asyncio.create_task(keys.follow())
    yield
    following.cancel()


app = FastAPI(lifespan=lifespan, openapi_url=None, redirect_slashes=False)
# Every route of this router wants a good token, also one whose author forgets `needs`.
orders = APIRouter(dependencies=[Depends(verified)])


@orders.get("/tenants/{tenant}/orders")
async def list_orders(tenant: str, by: Annotated[dict, needs("orders:read", or_role="support-lead")]):
    return {"orders": [{"order": 42, "total": "99.00"}], "read_by": by.get("client_id"), "tenant": tenant}


@orders.post("/tenants/{tenant}/orders", status_code=201)
async def create_order(tenant: str, by: Annotated[dict, needs("orders:write")]):
    return {"created_by": by.get("client_id"), "order": 43, "tenant": tenant}


@orders.post("/tenants/{tenant}/orders/{order}/refund")
async def refund_order(
    tenant: str, order: str, by: Annotated[dict, needs("orders:refund", or_role="support-lead")]
):
    return {"by": by.get("client_id"), "refunded": order, "tenant": tenant}


@app.get("/healthz")
async def health():
    return {"status": "live"}


app.include_router(orders)


@app.exception_handler(HTTPException)
async def problem(_, error):
    """Every refusal, as RFC 9457 has it."""
    reference = str(uuid.uuid4())
    log.info("%s %s: %s", error.status_code, reference, getattr(error, "reason", error.detail))
    title = HTTPStatus(error.status_code).phrase
    body = {"detail": error.detail, "reference": reference, "status": error.status_code, "title": title}
    headers = {"Cache-Control": "no-store"} | dict(error.headers or {})
    return JSONResponse(body, error.status_code, headers, media_type="application/problem+json")
