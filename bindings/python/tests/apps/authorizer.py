"""The authorizer of each application: the issuer's address is all that is configured."""

import os

from jeton import Authorizer

authorizer = Authorizer(issuer=os.environ["ISSUER"], api="orders")
