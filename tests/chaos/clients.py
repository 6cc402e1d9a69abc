"""Clients: they fetch tokens in every way, use each single-use thing more than once, and revoke."""

import asyncio
import json
import secrets
import time

import net
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from policies import SHOP, VICTIMS, path_of, secret_of
from servers import GATEWAY, ISSUER, MAIN
from wire import basic, opened, unpadded

TOKEN = "/oauth2/token"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Key:
    """An ES256 key of a client."""

    def __init__(self):
        self.private = ec.generate_private_key(ec.SECP256R1())
        numbers = self.private.public_key().public_numbers()
        self.jwk = {
            "kty": "EC", "crv": "P-256", "x": unpadded(numbers.x.to_bytes(32)), "y": unpadded(numbers.y.to_bytes(32)),
        }

    def sign(self, header, claims):
        said = ".".join(unpadded(json.dumps(part).encode()) for part in ({"alg": "ES256"} | header, claims))
        first, second = utils.decode_dss_signature(self.private.sign(said.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{said}.{unpadded(first.to_bytes(32) + second.to_bytes(32))}"

    def assertion(self, client):
        """An assertion and its `jti`."""
        now, jti = int(time.time()), secrets.token_urlsafe(12)
        claims = {"iss": client, "sub": client, "aud": ISSUER, "jti": jti, "iat": now, "exp": now + 50}
        return self.sign({"typ": "client-authentication+jwt"}, claims), jti

    def proof(self):
        """A DPoP proof for the token endpoint and its `jti`."""
        jti = secrets.token_urlsafe(12)
        claims = {"htm": "POST", "htu": ISSUER + TOKEN, "iat": int(time.time()), "jti": jti}
        return self.sign({"typ": "dpop+jwt", "jwk": self.jwk}, claims), jti


def told_by(token):
    """What the history keeps of an access token: never the token."""
    header, claims = opened(token)
    gens = {"clients": int(claims["gen"][1:])}
    for scope in claims["scope"].split():
        if scope.startswith("shop:g"):
            gens["shop"] = int(scope.removeprefix("shop:g"))
    return {"jti": claims["jti"], "kid": header["kid"], "iat": claims["iat"], "exp": claims["exp"], "gens": gens}


class Clients:
    """What clients do. `fresh` holds the last tokens of the plain client, for whoever needs one."""

    def __init__(self, wire, recorder, draw, signer, terms):
        self.wire, self.recorder, self.draw, self.signer, self.terms = wire, recorder, draw, signer, terms
        self.prover = Key()
        self.fresh = []
        # tokens for jeton's own API, some of them revoked
        self.own = []
        self.of_victims = {}
        self.revoked = []
        self.later = []
        self.told = lambda token, at: None

    def somewhere(self):
        return self.draw.choice(net.REPLICAS)

    def tasks(self):
        """Each thing that clients do, and how often a second."""
        return [
            (self.plain, 5), (self.assertion, 5), (self.proof, 4), (self.again, 4), (self.use, 6), (self.use_revoked, 5),
            (self.through_gateway, 4), (self.revoke, 1.0), (self.victim, 1.5), (self.ask_about, 2),
            (self.own_token, 0.7), (self.principal, 2),
        ]

    async def token(self, who, kind, at, form, headers=(), **told):
        """Asks for a token, and notes what came. The answer's members, if it was one."""
        answer = await self.wire.ask((net.address(at), MAIN), "POST", TOKEN, headers, {"resource": SHOP} | form)
        got, fields = answer.json(), {}
        if answer.status == 200:
            fields = told_by(got["access_token"])
            if "refresh_token" in got:
                fields["brought"] = opened(got["refresh_token"])[1]["jti"]
            self.told(got["access_token"], at)
        elif answer.status:
            fields = {"error": got.get("error"), "retry_after": "retry-after" in answer.headers}
        self.recorder.op(who, kind, at, answer, **fields, **told)
        return got if answer.status == 200 else None

    async def by_secret(self, client, kind="token.plain", at=None, **more):
        form = {"grant_type": "client_credentials"} | more
        return await self.token(client, kind, at or self.somewhere(), form, [basic(client, secret_of(client))])

    async def plain(self, at=None):
        got = await self.by_secret("plain", at=at)
        if got:
            self.fresh = [*self.fresh, got["access_token"]][-60:]

    async def own_token(self):
        got = await self.by_secret("plain", resource=ISSUER)
        if got:
            self.own = [*self.own, got["access_token"]][-30:]

    async def victim(self):
        client = self.draw.choice(VICTIMS)
        got = await self.by_secret(client, "token.victim")
        if got:
            self.of_victims[client] = [*self.of_victims.get(client, []), got["access_token"]][-20:]

    async def assertion(self, at=None):
        """One assertion, at one replica or at several at once; some are tried again later."""
        signed, jti = self.signer.assertion("signer")
        form = {
            "grant_type": "client_credentials", "client_assertion_type": ASSERTION, "client_assertion": signed,
        }
        await self._use(at, lambda at: self.token("signer", "token.assertion", at, form, once=[f"assertion {jti}"]))

    async def proof(self, at=None):
        """The same with a DPoP proof."""
        signed, jti = self.prover.proof()
        headers = [basic("prover", secret_of("prover")), ("DPoP", signed)]
        form = {"grant_type": "client_credentials"}
        await self._use(at, lambda at: self.token("prover", "token.proof", at, form, headers, once=[f"proof {jti}"]))

    async def _use(self, at, use):
        if at:
            await use(at)
            return
        places = self.draw.sample(net.REPLICAS, self.draw.choice([1, 1, 1, 2, 3]))
        await asyncio.gather(*map(use, places))
        if self.draw.random() < 0.5:
            self.later = [*self.later, use][-80:]

    async def again(self):
        """Something that was used is tried again, where it may have been or not."""
        if self.later:
            await self.draw.choice(self.later)(self.somewhere())

    async def everything(self, at):
        """Each thing once, at this replica."""
        await self.plain(at)
        got = await self.by_secret("plain", at=at, resource=ISSUER)
        if got:
            await self.show(got["access_token"], at)
        await self.assertion(at)
        await self.proof(at)
        got = await self.first(at)
        if got:
            await self.refresh(got["refresh_token"], at)
        if self.fresh:
            await self.judge(self.fresh[-1], "/always", at)
            await self.introspect(self.fresh[-1], at)
            await self.end(self.fresh[-1], opened(self.fresh[-1])[1]["client_id"], at)

    async def first(self, at):
        headers = [basic("family", secret_of("family"))]
        return await self.token("family", "token.first", at, {"grant_type": "client_credentials"}, headers)

    async def refresh(self, token, at):
        form = {"grant_type": "refresh_token", "refresh_token": token}
        headers = [basic("family", secret_of("family"))]
        return await self.token("family", "token.refresh", at, form, headers, refreshed=opened(token)[1]["jti"])

    async def family(self):
        """A refresh family, step after step, until it ends; now and then a token is used where or when it should not be."""
        got = await self.first(self.somewhere())
        old = []
        while got and len(old) < 25:
            await asyncio.sleep(self.draw.uniform(0.1, 0.7))
            token = got["refresh_token"]
            kind = self.draw.random()
            if kind < 0.06 and old:
                # somebody else has an old one
                await self.refresh(self.draw.choice(old), self.somewhere())
            elif kind < 0.1 and old:
                # the last one, which only its grace keeps good, and that is over
                await asyncio.sleep(self.terms.grace + 0.6)
                await self.refresh(old[-1], self.somewhere())
            elif kind < 0.13:
                await self.end(self.draw.choice([token, got["access_token"]]), "family")
            places = self.draw.sample(net.REPLICAS, 2 if kind > 0.85 else 1)
            came = [one for one in await asyncio.gather(*(self.refresh(token, at) for at in places)) if one]
            for _ in range(3):
                if not came:
                    # no answer may have been one: what a client does is try again soon
                    await asyncio.sleep(0.2)
                    came = [one for one in [await self.refresh(token, self.somewhere())] if one]
            old.append(token)
            got = self.draw.choice(came) if came else None
            if got:
                self.fresh = [*self.fresh, got["access_token"]][-60:]

    async def end(self, token, client, at=None):
        """Revokes a token of this client, and uses it from then on."""
        at = at or self.somewhere()
        headers = [basic(client, secret_of(client))]
        answer = await self.wire.ask((net.address(at), MAIN), "POST", "/oauth2/revoke", headers, {"token": token})
        header, claims = opened(token)
        ends = claims["jti"].rsplit(".", 1)[0] if header["typ"] == "rt+jwt" else claims["jti"]
        self.recorder.op(
            client, "revoke", at, answer, ends=ends, iat=claims["iat"], exp=claims["exp"], kid=header["kid"],
            **self._refusal(answer) if answer.status != 200 else {},
        )
        if header["typ"] != "rt+jwt" and token not in self.own:
            self.revoked = [*self.revoked, token][-40:]
        return answer.status == 200

    def _refusal(self, answer):
        return {"error": answer.json().get("error"), "retry_after": "retry-after" in answer.headers}

    async def revoke(self):
        mine = [token for token in self.fresh if opened(token)[1]["client_id"] == "plain"][-20:] + self.own[-4:]
        if mine:
            await self.end(self.draw.choice(mine), "plain")

    async def judge(self, token, path, at):
        """Asks a replica as the gateway does. Whether it lets the request pass."""
        headers = [("Authorization", f"Bearer {token}"), ("X-Original-Method", "GET"), ("X-Original-URI", path)]
        answer = await self.wire.ask((net.address(at), MAIN), "GET", "/authz/nginx", headers)
        claims = opened(token)[1]
        shown = {"shop": int(path.removeprefix("/only/g"))} if answer.status == 200 and path.startswith("/only/") else {}
        self.recorder.op(
            claims["client_id"], "judge", at, answer, path=path, jti=claims["jti"], iat=claims["iat"], exp=claims["exp"],
            gens=shown,
        )
        return answer.status == 200

    async def use(self):
        """A token that should be good, at some replica."""
        pool = self.fresh + [token for tokens in self.of_victims.values() for token in tokens]
        if pool:
            await self.judge(self.draw.choice(pool), "/always", self.somewhere())

    async def use_revoked(self):
        if self.revoked:
            await self.judge(self.draw.choice(self.revoked), "/always", self.somewhere())

    async def principal(self):
        if self.own:
            await self.show(self.draw.choice(self.own), self.somewhere())

    async def show(self, token, at):
        """Uses a token at an API of jeton itself."""
        answer = await self.wire.ask(
            (net.address(at), MAIN), "GET", "/principal", [("Authorization", f"Bearer {token}")]
        )
        claims = opened(token)[1]
        told = {} if answer.status == 200 else {"retry_after": "retry-after" in answer.headers}
        self.recorder.op(
            claims["client_id"], "principal", at, answer, jti=claims["jti"], iat=claims["iat"], exp=claims["exp"], **told
        )

    async def canary(self, token, generation):
        """A token that ends with a generation, on the path that opens with it: no replica ever lets it pass."""
        for _ in range(8):
            await asyncio.gather(*(self.judge(token, path_of(generation), at) for at in net.REPLICAS))
            await asyncio.sleep(0.25)

    async def through_gateway(self):
        pool = self.fresh[-20:] + self.revoked[-5:]
        if not pool:
            return
        token = self.draw.choice(pool)
        answer = await self.wire.ask(
            (net.address("gw"), GATEWAY), "GET", "/always", [("Authorization", f"Bearer {token}")], patience=8
        )
        claims = opened(token)[1]
        told = answer.body.decode("latin-1").split() if answer.status == 200 else None
        self.recorder.op(
            claims["client_id"], "gateway", "gw", answer, jti=claims["jti"], iat=claims["iat"], exp=claims["exp"], told=told
        )

    async def ask_about(self):
        pool = self.fresh + self.revoked
        if pool:
            await self.introspect(self.draw.choice(pool), self.somewhere())

    async def introspect(self, token, at):
        headers = [basic("service", secret_of("service"))]
        answer = await self.wire.ask((net.address(at), MAIN), "POST", "/oauth2/introspect", headers, {"token": token})
        claims = opened(token)[1]
        told = {"active": answer.json().get("active")} if answer.status == 200 else self._refusal(answer)
        self.recorder.op(
            "service", "introspect", at, answer, client=claims["client_id"], jti=claims["jti"], iat=claims["iat"],
            exp=claims["exp"], **told
        )
