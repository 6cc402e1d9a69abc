"""The authorizer of each application: the issuer's address is all that is configured, or the folder of a table."""

import os
from pathlib import Path

from jeton import Authorizer

if "ISSUER" in os.environ:
    authorizer = Authorizer(issuer=os.environ["ISSUER"], api="orders")
else:
    authorizer = Authorizer(
        issuer="https://tokens.example.com",
        api="orders",
        origin="https://orders.example.com",
        policies=Path(os.environ["POLICIES"]),
        jwks=Path(os.environ["JWKS"]),
    )
