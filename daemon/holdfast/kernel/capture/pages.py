"""Which buffers changed, and the fingerprints made of them. Here by hashing; the interface allows better ways."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

DIGEST_BYTES = 16


def fingerprint(members: Sequence[str], stream: bytes, buffers: Sequence[memoryview]) -> str:
    """Return the hex digest of a component's content: equal content means that nothing has to be sent."""
    digest = blake2b("\n".join(members).encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES)
    digest.update(len(stream).to_bytes(8, "little"))
    digest.update(stream)
    for buffer in buffers:
        digest.update(buffer.nbytes.to_bytes(8, "little"))
        digest.update(buffer)
    return digest.hexdigest()
