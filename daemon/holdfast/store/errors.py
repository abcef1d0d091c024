"""What can go wrong when state is kept: each says what happened, what it means for the state, and what to do."""

from __future__ import annotations

UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)
"""What taking apart bytes that are not what they should be raises."""


class StoreError(Exception):
    """Base of all errors of the store.

    Attributes:
        kind: a short word for programs, stable across releases.
        message: one to three sentences for people.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class StoreUnavailable(StoreError):
    """The state folder cannot be used as it is; nothing in it was changed.

    Kinds: ``absent``, ``not_a_folder``, ``symlink``, ``unwritable``, ``foreign``, ``newer``, ``damaged``, ``in_use``,
    ``gone``, ``closed``, ``key``, ``locked``, ``io``.
    """


class SaveFailed(StoreError):
    """A save did not happen; everything saved before is as it was, and the next save may be tried at any time.

    Kinds: ``disk_full``, ``read_only``, ``io``, ``untrusted``, ``damaged``, ``no_parent``, ``busy``, ``too_large``.
    """


class Damaged(StoreError):
    """Bytes on disk are not what was written; `what` names the part.

    Kinds: ``catalog``, ``version``, ``listing``, ``content``, ``pack``.
    """

    def __init__(self, kind: str, what: str, message: str) -> None:
        super().__init__(kind, message)
        self.what = what


class Untrusted(StoreError):
    """State that this user did not sign on this machine; it is not read further, let alone unpickled.

    Kinds: ``unknown_signer``, ``wrong_seal``, ``rolled_back``.
    """


class NoSuchVersion(StoreError):
    """The session has no such version."""

    def __init__(self, key: str, number: int | None) -> None:
        which = "no saved version" if number is None else f"no version {number}"
        super().__init__("no_version", f"{key} has {which}. Its history lists the versions there are.")
