"""When components are loaded that a restore left for later: before a run that may need them, or while nothing runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from types import CodeType
from typing import TYPE_CHECKING, Any

from . import report
from .outbox import Outbox

if TYPE_CHECKING:
    from .capture.lazy import StoredComponent
    from .capture.session import SavedComponent
    from .fetching import Fetcher
    from .wire import Message

IDLE_AFTER = 0.1
"""Seconds without a message after which the kernel goes on loading what was left for later."""


class Loader:
    """Loads what waits; everything but `deliver` happens on the main thread.

    Args:
        lock: held while the capture engine works.
        watched: returns a context in which code that does not come back is ended.
        interrupted: whether the user wants it to end.
        has_work: whether messages wait to be answered.
    """

    def __init__(
        self,
        outbox: Outbox,
        lock: threading.Lock,
        watched: Callable[[], AbstractContextManager[None]],
        interrupted: Callable[[], bool],
        has_work: Callable[[], bool],
    ) -> None:
        self._outbox = outbox
        self._lock = lock
        self._watched = watched
        self._interrupted = interrupted
        self._has_work = has_work
        self._capture: Any = None
        self._fetcher: Fetcher | None = None
        self._before: list[Fetcher] = []
        """Those of earlier restores for which something is still under way."""
        self._on_loaded: Callable[[], None] = lambda: None
        self._stop_if: Callable[[], bool] = _never

    def attach(self, capture: Any, on_loaded: Callable[[], None]) -> None:
        """Begin to serve a session; `on_loaded` is called when something was loaded."""
        self._capture, self._on_loaded = capture, on_loaded

    @property
    def is_waiting(self) -> bool:
        """Whether something waits to be loaded; callable from any thread."""
        return self._capture is not None and bool(self._capture.waiting)

    def summaries(self) -> dict[str, dict[str, Any]]:
        """Return what was said of the variables that wait when they were saved; callable from any thread."""
        if not self.is_waiting:
            return {}
        waiting = dict(self._capture.waiting.names)
        return {
            name: {"type": "", "preview": "", **component.summaries.get(name, {}), "name": name}
            for name, component in waiting.items()
        }

    # -- restores

    def components(self, message: Message) -> list[SavedComponent]:
        """Return the components of a restore message."""
        header, buffers = message
        if "loading" not in header:
            return report.saved_components(header["components"], buffers)
        from .capture.lazy import StoredComponent
        from .fetching import Fetcher

        self._before = [fetcher for fetcher in self._before if fetcher.is_busy]
        if self._fetcher is not None and self._fetcher.is_busy:
            self._before.append(self._fetcher)
        fetcher = self._fetcher = Fetcher(self._outbox, header["loading"], header["packs"], self._stop)
        taken = iter(buffers)
        return [
            StoredComponent(fetcher, item) if item.get("later") else fetcher.received(item, taken)
            for item in header["components"]
        ]

    def deliver(self, message: Message) -> None:
        """Take in what the daemon sends of a component; called by the control thread."""
        for fetcher in (self._fetcher, *self._before):
            if fetcher is not None:
                fetcher.deliver(message)

    def refuse(self, components: Collection[str], reason: str) -> None:
        """Load none of these any more; those that wait are told of as what can't be loaded."""
        refused = [component for component in self._capture.waiting.all() if component.id in components]
        for component in refused:
            component.refuse(reason)
        if refused:
            with self._lock, self._watched():
                self._stop_if = _never
                self._load(refused)

    # -- when it is needed

    def prepare(self, code: CodeType | list[CodeType]) -> None:
        """Load what code may touch.

        Raises:
            KeyboardInterrupt: the user does not want to wait for it.
        """
        if not self.is_waiting:
            return
        from .capture.lazy import Stopped

        fetcher = self._fetcher
        asked = False
        try:
            with self._lock, self._watched(), self._outbox.interrupts.aside():
                self._stop_if = self._interrupted
                while needed := self._capture.needed(code):
                    asked = True
                    self._load(needed, waited=True)
        except Stopped:
            self._outbox.interrupts.raised = True
            raise KeyboardInterrupt from None
        finally:
            if asked and fetcher is not None:
                self._outbox.send({"type": "prepared", "loading": fetcher.loading})

    def load_all(self) -> None:
        """Load everything that waits."""
        while self.is_waiting:
            with self._lock, self._watched():
                self._stop_if = _never
                self._load(self._capture.waiting.all())

    def idle_seconds(self) -> float | None:
        """Return after how many seconds without a message `work` is to be called; None if there is nothing to do."""
        return IDLE_AFTER if self.is_waiting else None

    def work(self) -> None:
        """Load one component, unless a message comes meanwhile."""
        if not self.is_waiting:
            return
        from .capture.lazy import Stopped

        try:
            with self._lock, self._watched():
                self._stop_if = self._has_work
                self._load(self._capture.waiting.all()[:1])
        except Stopped:
            return

    def _stop(self) -> bool:
        return self._stop_if()

    def _load(self, components: Iterable[StoredComponent], *, waited: bool = False) -> None:
        fetcher, work = self._fetcher, list(components)
        assert fetcher is not None
        fetcher.waited = waited
        failed: list[Any] = []
        try:
            for component, following in zip(work, [*work[1:], None], strict=True):
                component.ahead()
                if following is not None:
                    following.ahead()
                failed += self._capture.load_waiting(component, self._stop)[1]
        finally:
            self._on_loaded()
            if failed:
                self._outbox.send({"type": "unloadable", "loading": fetcher.loading, "failed": report.lost(failed)})
            if not self.is_waiting:
                self._outbox.send({"type": "loaded", "loading": fetcher.loading})


def _never() -> bool:
    return False
