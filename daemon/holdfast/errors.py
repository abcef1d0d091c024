"""Errors that reach a person: what happened, what it means for the state, what to do."""

from __future__ import annotations

NO_SESSION = -32010
KERNEL_FAILED = -32011
NOT_TRUSTED = -32012
DAMAGED = -32013
NO_VERSION = -32014
BUSY = -32015


class HoldfastError(Exception):
    """A request that cannot be answered.

    Args:
        message: One sentence a person can act on.
        code: The JSON-RPC error code.
        kind: A short stable name for programs.
        detail: Anything more, for logs and reports.
    """

    code: int = -32603
    kind: str = "internal"

    def __init__(
        self, message: str, *, code: int | None = None, kind: str | None = None, detail: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = self.code if code is None else code
        self.kind = self.kind if kind is None else kind
        self.detail = detail


class InvalidParams(HoldfastError):
    """The request names something that makes no sense."""

    code = -32602
    kind = "invalidParams"


class NoSession(HoldfastError):
    """The document has neither a session nor a saved state."""

    code = NO_SESSION
    kind = "noSession"


class KernelFailed(HoldfastError):
    """A kernel could not be started."""

    code = KERNEL_FAILED
    kind = "kernelFailed"


class NotTrusted(HoldfastError):
    """The saved state was not written by this user."""

    code = NOT_TRUSTED
    kind = "notTrusted"


class StateDamaged(HoldfastError):
    """The saved state cannot be read."""

    code = DAMAGED
    kind = "damaged"


class NoVersion(HoldfastError):
    """There is no such version."""

    code = NO_VERSION
    kind = "noVersion"


class Busy(HoldfastError):
    """Refused while a cell runs."""

    code = BUSY
    kind = "busy"
