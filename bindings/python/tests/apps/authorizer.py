"""The authorizer of each application, as the environment has it."""

import os

from jeton import Authorizer

authorizer = Authorizer(
    issuer=os.environ["ISSUER"],
    api="orders",
    policies=os.environ.get("POLICIES"),
    jwks=os.environ.get("JWKS"),
)
