"""Signed checkpoints: who serves a ledger vouches for all of it so far, with a key that no agent can read.

A chain of hashes shows that nothing was changed *since the hashes were made*; whoever can write the file can make all
of them anew. A signature cannot be made anew without the key. It lies beside the ledger, in `keys/`, readable by its
owner only and out of every sandbox's sight; for evidence against its own operator, keep the public key and the latest
checkpoint elsewhere.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from contracts.envelope import NewEvent, event_id
from contracts.events import CheckpointSigned
from contracts.ledger import ANY
from eventstore.chains import checkpoint
from eventstore.errors import BadKey, StoreReadOnly
from eventstore.sqlite import SqliteStore

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

STREAM = "ledger/checkpoints"
OWN = "ledger/"
"""Streams below it are written by the service alone."""
FOLDER, PRIVATE, PUBLIC = "keys", "checkpoint.key", "checkpoint.pub"
AFTER = frozenset({"RoundClosed"})
"""Events that call for a checkpoint."""


def message(position: int, digest: str) -> bytes:
    """The text that is signed: three lines."""
    return f"ratchet checkpoint\n{position}\n{digest}\n".encode()


class SigningKey:
    """A store's own key."""

    def __init__(self, key: "Ed25519PrivateKey") -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw().hex()

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The key of a store's folder, made on first use.

        Raises:
            BadKey: the file holds something else.
            StoreReadOnly: there is none, and none can be made.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        path = folder / FOLDER / PRIVATE
        try:
            if not path.exists():
                _make(path)
            found = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise StoreReadOnly(path) from error
        except (ValueError, TypeError) as error:
            raise BadKey(str(path), "it is no private key in PEM without a password") from error
        if not isinstance(found, Ed25519PrivateKey):
            raise BadKey(str(path), "it is no Ed25519 key")
        return cls(found)

    def sign(self, position: int, digest: str) -> CheckpointSigned:
        """The event that vouches for a ledger up to a position."""
        signature = self._key.sign(message(position, digest)).hex()
        return CheckpointSigned(position=position, checkpoint=digest, key=self.public, signature=signature)


def genuine(event: CheckpointSigned) -> bool:
    """Whether the signature was made with the key that the event names."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(event.key))
        key.verify(bytes.fromhex(event.signature), message(event.position, event.checkpoint))
    except (InvalidSignature, ValueError):
        return False
    return True


def read_key(text: str) -> str:
    """A public key, as 64 hexadecimal digits, from such digits or from a file in PEM.

    Raises:
        BadKey: it is neither.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if len(text) == 64 and not set(text.lower()) - set("0123456789abcdef"):
        return text.lower()
    try:
        found = load_pem_public_key(Path(text).read_bytes())
    except (OSError, ValueError) as error:
        raise BadKey(text, "want 64 hexadecimal digits, or a file that holds a public key in PEM") from error
    if not isinstance(found, Ed25519PublicKey):
        raise BadKey(text, "it is no Ed25519 key")
    return found.public_bytes_raw().hex()


class Signer:
    """Signs checkpoints into an open store."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._key = SigningKey.of(store.folder)

    async def sign(self) -> CheckpointSigned:
        """Vouch for all that is stored at this moment; durable when it returns."""
        position, heads = await self._store.heads()
        signed = self._key.sign(position, checkpoint(heads))
        new = NewEvent(
            event_id=event_id(f"checkpoint/{position}/{self._key.public}", "CheckpointSigned", 0),
            type="CheckpointSigned",
            payload=msgspec.json.encode(signed),
            actor="ledger",
        )
        await self._store.append(STREAM, ANY, [new])
        return signed

    async def run(self) -> None:
        """Sign after every event that calls for it, until cancelled; what was missed while away, too."""
        after = await self._last()
        async for event in self._store.follow(after=after):
            if event.type in AFTER and event.position > after:
                after = (await self.sign()).position

    async def _last(self) -> int:
        """The position up to which the ledger is signed."""
        head = dict(await self._store.streams(STREAM)).get(STREAM, 0)
        page = await self._store.read(STREAM, after=max(0, head - 1))
        signed = [msgspec.json.decode(event.payload, type=CheckpointSigned) for event in page.events]
        return max((event.position for event in signed), default=0)


def _make(path: Path) -> None:
    """Make a key: readable by its owner from the first byte on, and there whole or not at all."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    key = Ed25519PrivateKey.generate()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (path.parent / PUBLIC).write_bytes(public)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
