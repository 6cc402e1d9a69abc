"""The folders that the replicas share, and what can happen to them: edits, half writes, a full disk."""

import asyncio
import contextlib
import fcntl
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def put(path, data):
    """Writes a hidden file and renames it, as an editor of a served folder must."""
    hidden = path.with_name(f".{path.name}.new")
    hidden.write_bytes(data)
    hidden.chmod(0o600)
    hidden.rename(path)


class Disk:
    """A folder on a disk of its own, which can be full."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.ballast = self.folder / ".ballast"

    def fill(self):
        with self.ballast.open("wb", buffering=0) as file:
            for size in (65536, 4096, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"x" * size) == size:
                        pass

    def clear(self):
        self.ballast.unlink(missing_ok=True)


class PolicyFolder(Disk):
    """Writes generations of policies, one after the other."""

    def __init__(self, folder, policies, recorder):
        super().__init__(folder)
        self.policies, self.recorder = policies, recorder
        self.generation = 0
        self.writing = asyncio.Lock()

    async def edit(self, style="renamed"):
        """Writes the next generation. On a full disk nothing changes, and what was to change comes with the next."""
        async with self.writing:
            generation = self.generation + 1
            files = {self.folder / name: text.encode() for name, text in self.policies.files(generation).items()}
            spoilt = self.recorder.now()
            try:
                if style == "half":
                    await self._half(files)
                begin = await self._written(style, files)
            except OSError:
                return
            self.generation = generation
            self.recorder.line(
                "edit", gen=generation, style=style, spoilt=spoilt, begin=begin, end=self.recorder.now(),
                revoked=list(self.policies.revoked), ended=dict(self.policies.ended), disabled=self.policies.disabled,
            )

    async def _written(self, style, files):
        """Writes them in a way. When that began."""
        if style == "in-place":
            return self._in_place(files)
        return await self._renamed(files, 0.12 if style == "slow" else 0)

    async def _renamed(self, files, pause):
        hidden = {path.with_name(f".{path.name}.new"): path for path in files}
        try:
            for draft, path in hidden.items():
                draft.write_bytes(files[path])
        except OSError:
            for draft in hidden:
                draft.unlink(missing_ok=True)
            raise
        begin = self.recorder.now()
        for draft, path in hidden.items():
            if pause and draft is not next(iter(hidden)):
                await asyncio.sleep(pause)
            draft.rename(path)
        return begin

    def _in_place(self, files):
        """Over what stands there, as a careless tool does, but fast: a poll waits until nothing changes."""
        room = self.folder / ".room"
        try:
            room.write_bytes(b"".join(files.values()))
        finally:
            room.unlink(missing_ok=True)
        begin = self.recorder.now()
        for path, data in files.items():
            with path.open("r+b" if path.exists() else "wb", buffering=0) as file:
                file.write(data)
                file.truncate()
        return begin

    async def _half(self, files):
        """One file of the new generation stands there by half, for as long as a slow writer takes."""
        path = self.folder / "clients.yaml"
        put(path, files[path][:cut_of(files[path])])
        await asyncio.sleep(0.9)

    async def tear(self, name, seconds):
        """A file is cut for a while, and then whole again."""
        async with self.writing:
            path = self.folder / name
            await cut_for(path, cut_of(path.read_bytes()), seconds)


def cut_of(data):
    """A place to cut a file of policies, so that what remains is never taken for policies."""
    for mark in (b"sha256: ", b"[GET /on", b"vers"):
        at = data.rfind(mark)
        if at >= 0:
            return at + len(mark)
    raise ValueError("no file of policies")


async def cut_for(path, at, seconds):
    whole = path.read_bytes()
    os.truncate(path, at)
    try:
        await asyncio.sleep(seconds)
    finally:
        with path.open("r+b", buffering=0) as file:
            file.write(whole)


class KeyFolder(Disk):
    async def tear(self, draw, seconds):
        """The key ring or a key is cut by half for a while. Under the lock of the folder: nobody writes meanwhile."""
        with (self.folder / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path = draw.choice(sorted([*self.folder.glob("*.pem"), self.folder / "keyring.yaml"]))
            await cut_for(path, path.stat().st_size // 2, seconds)


class Certificates:
    """Pairs for a listener, made beforehand: whole ones one after the other, and spoiled ones between."""

    def __init__(self, folder, count):
        self.folder = Path(folder)
        self.pairs = [pair(number) for number in range(1, count + 1)]
        self.number = 0

    def put_next(self):
        """The next whole pair, the key first. Its number."""
        certificate, key = self.pairs[self.number]
        put(self.folder / "key.pem", key)
        put(self.folder / "cert.pem", certificate)
        self.number += 1
        return self.number

    def is_last(self):
        return self.number == len(self.pairs)

    def put_torn(self):
        """Half of the certificate."""
        certificate, _ = self.pairs[self.number]
        put(self.folder / "cert.pem", certificate[:len(certificate) // 2])

    def put_unmatched(self):
        """A certificate that is not of the key."""
        certificate, _ = self.pairs[self.number]
        put(self.folder / "cert.pem", certificate)


def pair(number):
    """A certificate with this serial number, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chaos")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(number).not_valid_before(today - timedelta(days=2)).not_valid_after(today + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private
