"""Services: they hold key sets, status lists and bundles as long as they may, and judge tokens by them alone."""

import asyncio
import base64
import re
import zlib

import jwt
import net
from cryptography import x509
from servers import ADMIN, ISSUER, MAIN
from wire import Answer, opened

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]


class Service:
    """One that trusts what a single replica publishes, since that is the worst choice among several."""

    def __init__(self, at, wire, recorder):
        self.at, self.wire, self.recorder = at, wire, recorder
        self.who = f"service-{at}"
        self.keys, self.fetched, self.max_age = {}, None, 0
        self.lists = {}
        self.waiting = []

    def tasks(self, bundle):
        """Each thing that it does, and how often a second."""
        tasks = [(self.jwks, 1), (self.ready, 1), (self.status, 0.6), (self.certificate, 0.5), (self.verify, 2)]
        return [*tasks, (self.bundle, 0.6)] if bundle else tasks

    async def get(self, path, **more):
        return await self.wire.ask((net.address(self.at), MAIN), "GET", path, **more)

    async def jwks(self):
        """Looks at the key set. It is held only when the one that is held has become old."""
        answer = await self.get("/.well-known/jwks.json")
        told = {}
        if answer.status == 200:
            found = answer.json()["keys"]
            told = {"kids": [key["kid"] for key in found], "max_age": seconds(answer)}
            if self.fetched is None or answer.end > self.fetched + self.max_age:
                self.keys = {key["kid"]: jwt.PyJWK(key) for key in found}
                self.fetched, self.max_age = answer.end, told["max_age"]
        self.recorder.op(self.who, "jwks", self.at, answer, **told)

    async def ready(self):
        answer = await self.get("/readyz")
        got, told = answer.json(), {}
        if answer.status in (200, 503):
            told = {"ready": got.get("status"), "store": got.get("store")}
            told["hash"] = got.get("policies", {}).get("hash")
        self.recorder.op(self.who, "ready", self.at, answer, **told)

    async def verify(self):
        """A token that was just issued, by the keys that are held, if those may be held still."""
        if not self.waiting:
            return
        token, by = self.waiting.pop()
        now = self.wire.now()
        if self.fetched is None or now > self.fetched + self.max_age:
            return
        kid = opened(token)[0]["kid"]
        key = self.keys.get(kid)
        outcome = "unknown-key" if key is None else "good"
        if key:
            try:
                jwt.decode(token, key, algorithms=ALGORITHMS, options={
                    "verify_aud": False, "verify_exp": False, "verify_iat": False, "verify_nbf": False,
                })
            except jwt.PyJWTError:
                outcome = "bad-signature"
        self.recorder.op(
            self.who, "offline", self.at, Answer(now, now, 200), kid=kid,
            outcome=outcome, held=self.fetched, by=by,
        )

    def offer(self, token, by):
        """A token that a replica issued a moment ago."""
        self.waiting = [*self.waiting, (token, by)][-5:]
        claims = opened(token)[1]
        if "status" in claims:
            self.lists[claims["client_id"]] = [*self.lists.get(claims["client_id"], []), claims][-8:]

    async def status(self):
        """The status list of a client, and what it says of this client's last tokens."""
        for client, tokens in list(self.lists.items()):
            uri = tokens[-1]["status"]["status_list"]["uri"]
            answer = await self.get(uri.removeprefix(ISSUER))
            told = {}
            if answer.status == 200:
                header, claims = opened(answer.body.decode())
                bits = zlib.decompress(unpacked(claims["status_list"]["lst"]))
                told = {
                    "kid": header["kid"], "ttl": claims["ttl"], "client": client,
                    "says": [[one["jti"], one["iat"], bit(bits, one["status"]["status_list"]["idx"])] for one in tokens],
                }
            self.recorder.op(self.who, "status", self.at, answer, **told)

    async def bundle(self):
        answer = await self.get("/policies/shop")
        told = {}
        if answer.status == 200:
            header, claims = opened(answer.body.decode())
            said = claims["policies"]
            text = said if isinstance(said, str) else str(said)
            told = {
                "kid": header["kid"], "hash": claims["hash"],
                "gens": {"shop": int(re.search(r"/only/g(\d+)", text)[1])},
                "revoked": sorted(name_of(entry) for entry in claims["policies"].get("revoked_tokens", [])),
            }
        self.recorder.op(self.who, "bundle", self.at, answer, **told)

    async def certificate(self):
        answer = await self.wire.certificate((net.address(self.at), ADMIN))
        told = {"serial": x509.load_der_x509_certificate(answer.body).serial_number} if answer.status else {}
        self.recorder.op(self.who, "certificate", self.at, answer, **told)


def name_of(entry):
    return entry if isinstance(entry, str) else entry["jti"]


def seconds(answer):
    found = re.search(r"max-age=(\d+)", answer.headers.get("cache-control", ""))
    return int(found[1]) if found else 0


def unpacked(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def bit(bits, place):
    """1 if it is set, or beyond the end."""
    byte, within = divmod(place, 8)
    return 1 if byte >= len(bits) else bits[byte] >> within & 1


async def often(what, rate, draw):
    """Does this so many times a second, one after the other, at random times."""
    while True:
        await asyncio.sleep(draw.expovariate(rate))
        await what()
