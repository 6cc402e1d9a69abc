"""The policies of a world, one generation after the other.

Each generation changes three files at once, in things that belong together: `clients.yaml` has the generation in a claim,
`shop.yaml` in a scope and in a path that this generation alone allows, and `revoked.yaml` ends one token more. A mixture of
two generations compiles, so an answer from one would be seen.
"""

import hashlib
from datetime import UTC, datetime

SHOP = "https://shop.example"
# the clients with a secret; what tells them apart is in `entries`
VICTIMS = ["victim-0", "victim-1", "victim-2"]


def secret_of(client):
    return f"chaos-secret-of-{client}"


def path_of(generation):
    return f"/only/g{generation}"


class Policies:
    """What the next generation says."""

    def __init__(self, bundle):
        self.bundle = bundle
        self.revoked = []
        # when the tokens of a victim ended (seconds since 1970), and whether it is enabled
        self.ended = {}
        self.disabled = None

    def files(self, generation):
        return {
            "shop.yaml": self._shop(generation),
            "clients.yaml": self._clients(generation),
            "revoked.yaml": self._revoked(),
        }

    def revoke(self, token):
        if token not in self.revoked:
            self.revoked.append(token)

    def end_victim(self, victim, at):
        self.ended[victim], self.disabled = at, victim

    def _shop(self, generation):
        bundle = "    bundle: public\n" if self.bundle else ""
        return f"""version: 1
scopes:
  shop:read: Read
  shop:g{generation}: The generation
roles:
  worker: [shop:read, shop:g{generation}]
apis:
  shop:
    audience: {SHOP}
{bundle}    rules:
      always:
        routes: [GET /always]
        require: {{ scope: shop:read }}
      only:
        routes: [GET {path_of(generation)}]
        require: {{ scope: shop:read }}
"""

    def _clients(self, generation):
        def entry(client, *more):
            digest = hashlib.sha256(secret_of(client).encode()).hexdigest()
            return "\n".join([
                f"  {client}:", f"    claims: {{ gen: g{generation} }}",
                "    grants: { shop: { roles: [worker] }, jeton: { scopes: [jeton:principal] } }",
                f"    secrets: [{{ sha256: {digest} }}]", *(f"    {line}" for line in more),
            ])

        entries = [
            entry("plain"), entry("family", "refresh: true"), entry("prover", "bound_tokens: true"),
            entry("service", "introspect: [shop]"), *(entry(victim, *self._of_victim(victim)) for victim in VICTIMS),
            f"  signer:\n    claims: {{ gen: g{generation} }}\n    grants: {{ shop: {{ roles: [worker] }} }}\n"
            "    public_keys: [{ file: signer.pub.pem }]",
        ]
        return "\n".join(["version: 1", "clients:", *entries, ""])

    def _of_victim(self, victim):
        lines = ["status_list: true"]
        if victim in self.ended:
            lines.append(f"revoked_before: {datetime.fromtimestamp(self.ended[victim], UTC):%Y-%m-%dT%H:%M:%SZ}")
        if victim == self.disabled:
            lines.append("enabled: false")
        return lines

    def _revoked(self):
        if not self.revoked:
            return "version: 1\n"
        return "\n".join(["version: 1", "revoked_tokens:", *(f"  - {token}" for token in self.revoked), ""])
