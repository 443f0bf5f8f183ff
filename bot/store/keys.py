"""The key ring: personal words are encrypted before they reach the database."""

import base64
import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
_KEY = 32


class KeysUnusable(Exception):  # noqa: N818 - a fact, not a failure
    """The key ring is missing, open to others, or does not fit these words."""


@dataclass(frozen=True)
class KeyRing:
    """AES-256-GCM keys by name; the current one encrypts, every one decrypts.

    Sealed bytes are: key name, a zero byte, 12 bytes of nonce, ciphertext with its tag. The
    context (table and column) is authenticated, so that words cannot be moved to another place.
    """

    current: str
    keys: dict[str, bytes]

    @classmethod
    def fresh(cls) -> "KeyRing":
        """A ring with one new key."""
        return cls("1", {"1": AESGCM.generate_key(256)})

    @classmethod
    def load(cls, path: Path) -> "KeyRing":
        """The ring in a file that only its owner can read; raises KeysUnusable."""
        try:
            if path.stat().st_mode & 0o077:
                raise KeysUnusable(f"{path} can be read by others: chmod 600 {path}")
            content = json.loads(path.read_text())
            keys = {name: base64.b64decode(key) for name, key in content["keys"].items()}
            ring = cls(content["current"], keys)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise KeysUnusable(f"{path} is not a readable key ring: {error}") from error
        if ring.current not in keys or any(len(key) != _KEY for key in keys.values()):
            raise KeysUnusable(f"{path}: the current key is missing, or a key has not 32 bytes")
        return ring

    @classmethod
    def load_or_make(cls, path: Path) -> tuple["KeyRing", bool]:
        """The ring in a file, made at first start; tells whether it was made now."""
        if path.exists():
            return cls.load(path), False
        ring = cls.fresh()
        try:
            write_private(path, ring._as_text())
        except FileExistsError:
            return cls.load(path), False
        return ring, True

    def seal(self, words: str, context: str) -> bytes:
        """Encrypts some words for one place."""
        return self.seal_bytes(words.encode(), context)

    def unseal(self, sealed: bytes, context: str) -> str:
        """Decrypts words from one place; raises KeysUnusable where no key fits."""
        return self.unseal_bytes(sealed, context).decode()

    def seal_bytes(self, content: bytes, context: str) -> bytes:
        """Encrypts some content for one place."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = AESGCM(self.keys[self.current]).encrypt(nonce, content, context.encode())
        return self.current.encode() + b"\0" + nonce + sealed

    def unseal_bytes(self, sealed: bytes, context: str) -> bytes:
        """Decrypts content from one place; raises KeysUnusable where no key fits."""
        name, _, rest = sealed.partition(b"\0")
        try:
            key = AESGCM(self.keys[name.decode()])
            return key.decrypt(rest[:_NONCE], rest[_NONCE:], context.encode())
        except (KeyError, ValueError, InvalidTag) as error:
            raise KeysUnusable(f"no key of the ring opens {context}") from error

    def _as_text(self) -> str:
        keys = {name: base64.b64encode(key).decode() for name, key in self.keys.items()}
        return json.dumps({"current": self.current, "keys": keys})


def write_private(path: Path, text: str) -> None:
    """Writes a new file that only its owner can read, whole or not at all; refuses to replace one.

    It is on the disk before this returns; raises FileExistsError where another was quicker.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.") as draft:
        draft.write(text)
        draft.flush()
        os.fsync(draft.fileno())
        os.link(draft.name, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
