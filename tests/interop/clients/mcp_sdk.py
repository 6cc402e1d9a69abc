"""The SDK of the Model Context Protocol for Python: a server that takes tokens, and clients that find out by themselves
where to get one."""

import asyncio
import threading
import time
from urllib.parse import urlsplit

import httpx2
import jwt
import requests
import uvicorn
from mcp.client import Client
from mcp.client.auth import OAuthFlowError, OAuthTokenError
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.streamable_http import streamable_http_client
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer

from live import ORDERS, checks, connects, secret_of


class Verifier:
    def __init__(self, base, audience):
        self.base, self.audience = base, audience
        self.keys = jwt.PyJWKClient(f"{base}/.well-known/jwks.json")

    async def verify_token(self, token):
        try:
            key = self.keys.get_signing_key_from_jwt(token)
            claims = jwt.decode(token, key, algorithms=["RS256"], issuer=self.base, audience=self.audience)
        except jwt.PyJWTError:
            return None
        scopes = claims["scope"].split()
        return AccessToken(
            token=token, client_id=claims["client_id"], scopes=scopes, expires_at=claims["exp"], resource=claims["aud"]
        )


class Storage:
    """Keeps the tokens of one client."""

    def __init__(self):
        self.tokens = self.information = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.information

    async def set_client_info(self, information):
        self.information = information


def serve(base, address):
    port = urlsplit(address).port
    auth = AuthSettings(
        issuer_url=base, resource_server_url=address, required_scopes=["tools:call"], validate_token_resource=True
    )
    # by itself it logs each request, and each refusal with where it was raised
    mcp = MCPServer("tools", auth=auth, token_verifier=Verifier(base, address), log_level="CRITICAL")

    @mcp.tool()
    def whoami() -> str:
        caller = get_access_token()
        return f"{caller.client_id}: {' '.join(caller.scopes)}"

    app = mcp.streamable_http_app(stateless_http=True)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not connects(port):
        if not thread.is_alive() or time.monotonic() > deadline:
            raise SystemExit("error: the MCP server does not start")
        time.sleep(0.05)
    return server, thread


async def whoami(address, auth):
    """What the tool says to a client with this way to get tokens."""
    http = httpx2.AsyncClient(auth=auth, timeout=10)
    async with Client(streamable_http_client(address, http_client=http)) as client:
        return (await client.call_tool("whoami", {})).content[0].text


def refused(name, error, words, address, auth):
    try:
        asyncio.run(whoami(address, auth))
    except BaseException as refusal:
        # it comes in the groups of the tasks that end with it
        while isinstance(refusal, BaseExceptionGroup):
            refusal = refusal.exceptions[0]
        right = isinstance(refusal, error) and words in str(refusal)
        checks.holds(f"{name}: {error.__name__}: {words}", right, repr(refusal))
    else:
        raise SystemExit(f"error: {name}: it was not refused")


def run(place, base, address):
    server, thread = serve(base, address)

    def with_secret(client, secret=None, issuer=base):
        return ClientCredentialsOAuthProvider(address, Storage(), client, secret or secret_of(client), issuer=issuer)

    key = SignedJWTParameters(
        issuer="keyed-agent", subject="keyed-agent", signing_key=place.private_key("RS256").read_text()
    )
    assertions = key.create_assertion_provider()
    with_key = PrivateKeyJWTOAuthProvider(address, Storage(), "keyed-agent", assertions, issuer=base)
    try:
        for client, way in {"agent": with_secret("agent"), "keyed-agent": with_key}.items():
            seen = asyncio.run(whoami(address, way))
            checks.holds(f"the SDK calls a tool as {client}", seen.startswith(f"{client}: "), seen)
        refused("a wrong secret", OAuthTokenError, "invalid_client", address, with_secret("agent", "wrong"))
        refused("a client without the scope", OAuthTokenError, "invalid_scope", address, with_secret("onlooker"))
        other = with_secret("agent", issuer="https://other.example.com")
        refused("another issuer", OAuthFlowError, "https://other.example.com", address, other)
        for name, client, resource, status, error in [
            ("for another audience", "reader", ORDERS, 401, "invalid_token"),
            ("without the scope", "onlooker", address, 403, "insufficient_scope"),
        ]:
            form = {"grant_type": "client_credentials", "resource": resource}
            token = requests.post(f"{base}/oauth2/token", form, auth=(client, secret_of(client)), timeout=10).json()
            headers = {"Authorization": f"Bearer {token['access_token']}"}
            answer = requests.post(address, json={}, headers=headers, timeout=10)
            challenge = answer.headers["WWW-Authenticate"]
            seen = answer.status_code == status and f'error="{error}"' in challenge
            checks.holds(f"the SDK's server refuses a token {name}: {error}", seen, (answer.status_code, challenge))
    finally:
        server.should_exit = True
        thread.join(30)
