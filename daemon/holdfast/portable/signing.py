"""Who says that an export is what it is: its manifest, which holds the digests of all else, is signed by the user."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from holdfast.store.seal import Seal, load_key

ALGORITHM = "HMAC-SHA256"
PURPOSE = b"export"
Signer = Literal["user", "stranger", "nobody", "forged"]


def signature_of(manifest: bytes) -> bytes:
    """Return the signature of a manifest as it stands in an export.

    Raises:
        StoreUnavailable: kind ``key``; the user's key cannot be used.
    """
    seal = Seal(load_key())
    told = {"algorithm": ALGORITHM, "signer": seal.key_id.hex(), "seal": seal.sign(PURPOSE, manifest).hex()}
    return json.dumps(told, indent=2).encode() + b"\n"


def signer_of(manifest: bytes, signature: Mapping[str, Any] | None) -> Signer:
    """Return who signed a manifest; ``forged``: somebody who claims to be the user.

    Raises:
        StoreUnavailable: kind ``key``; the user's key cannot be used.
    """
    if signature is None:
        return "nobody"
    seal = Seal(load_key())
    if signature.get("signer") != seal.key_id.hex():
        return "stranger"
    try:
        given = bytes.fromhex(str(signature.get("seal")))
    except ValueError:
        return "forged"
    return "user" if seal.verify(given, PURPOSE, manifest) else "forged"


def is_trusted_signer(signer: Signer) -> bool:
    """Whether pickles of an export are loaded without being asked to: they can run any code."""
    return signer == "user"
