"""Take the tokens of jeton, and decide requests by its policies.

An `Authorizer` decides; `jeton.asgi.Protect` and `jeton.wsgi.Protect` have it decide each request of an application:

    from fastapi import FastAPI
    from jeton import Authorizer
    from jeton.asgi import Protect
    from jeton.fastapi import Caller

    app = FastAPI()
    app.add_middleware(Protect, authorizer=Authorizer(issuer="https://tokens.example.com", api="orders"))

    @app.get("/tenants/{tenant}/orders")
    async def orders(tenant: str, caller: Caller) -> dict[str, object]:
        return {"tenant": tenant, "read_by": caller.client}
"""

from ._jeton import Authorizer, Decision, Principal

__all__ = ["Authorizer", "Decision", "Principal"]
