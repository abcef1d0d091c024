"""What a client may have to catch."""

from __future__ import annotations

from typing import Any

REQUEST_FAILED = -32803
"""LSP's code for a request that was right but could not be answered; for errors that came without one."""


class HoldfastError(Exception):
    """The daemon answered a request with an error.

    A Python exception in a cell is not one of these: it is a `Run` whose status is ``"error"``.

    Args:
        code: The JSON-RPC error code.
        message: One sentence a person can act on.
        kind: A short stable name for programs, if the daemon gave one.
        detail: Anything more, for logs and reports.
    """

    def __init__(self, code: int, message: str, kind: str | None = None, detail: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.kind = kind
        self.detail = detail

    @classmethod
    def from_json(cls, error: Any) -> HoldfastError:
        """Return the exception for the ``error`` member of a JSON-RPC response."""
        if not isinstance(error, dict):
            return cls(REQUEST_FAILED, f"The daemon answered with an error that cannot be read: {error!r}")
        data = error.get("data")
        extra = data if isinstance(data, dict) else {"detail": data}
        code = error.get("code")
        return cls(
            code if isinstance(code, int) else REQUEST_FAILED,
            str(error.get("message") or "The daemon gave no reason."),
            extra.get("kind"),
            extra.get("detail"),
        )


class ConnectionLost(HoldfastError, ConnectionError):
    """The daemon or the way to it is gone; what was in flight has an unknown outcome."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(
            REQUEST_FAILED,
            "The connection to the daemon was lost, so the outcome of this request is unknown; what was saved"
            " before is safe. Connect again: a new daemon starts if need be and restores the variables.",
            "connectionLost",
            detail,
        )


class NotConnected(HoldfastError, ConnectionError):
    """There is no daemon to talk to, or it could not be started."""

    def __init__(self, message: str) -> None:
        super().__init__(REQUEST_FAILED, message, "notConnected")
