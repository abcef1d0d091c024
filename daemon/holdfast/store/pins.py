"""What must stay although no version names it: bytes that an upload under way has written, or counts on.

A collection of garbage finds out what versions need. A version that is still being made is none of them; so whoever
makes one holds a `Pin`, and tells it of every digest *before* asking whether the store has it:

    with core.pins.hold() as pin:
        present = pin.known(digests)    # these count as live until the pin is released
        ...                             # write the others, for as long as it takes
        ...                             # commit the version that needs them all

Chunks that a version reaches only by way of what its parent version holds (a buffer's unchanged lists, say) need no
pin: a commit fails if its parent is gone, and what a version needs stays as long as it is there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

from blake3 import blake3


class Pin:
    """Digests that one upload counts on. Made by `Pins.hold`; may be used from any thread."""

    def __init__(self, pins: Pins) -> None:
        self._pins = pins
        self.released = False

    def add(self, digests: Iterable[bytes]) -> None:
        """Have chunks stay until this pin is released, if they are there at all."""
        self._pins.note(self, digests)

    def add_lists(self, lists: Iterable[bytes]) -> None:
        """Have chunks stay whose digests stand one after the other in lists; looked into only if it matters."""
        self._pins.note_lists(self, lists)

    def known(self, digests: Sequence[bytes]) -> Collection[bytes]:
        """Return which of these chunks are in the store; they, and the others once they are written, stay."""
        self._pins.note(self, digests)
        return self._pins.ask(digests)

    def keep_packs(self, numbers: Iterable[int]) -> None:
        """Have packs stay as they are: they hold chunks that the catalog does not know yet. Say so before others can
        write to the pack, and before it is followed by another."""
        self._pins.note_packs(self, numbers)

    def release(self) -> None:
        """The version that needed them exists, or never will."""
        self._pins.drop(self)

    def __enter__(self) -> Pin:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Pins:
    """All pins of an open store.

    Args:
        known: Which of these digests are in the store.
    """

    def __init__(self, known: Callable[[Sequence[bytes]], Collection[bytes]]) -> None:
        self.ask = known
        self._lock = threading.Lock()
        self._held: dict[Pin, set[bytes]] = {}
        self._lists: dict[Pin, list[bytes]] = {}
        self._packs: dict[Pin, set[int]] = {}
        self._watched: set[bytes] | None = None
        self._readers = 0

    def hold(self) -> Pin:
        """Return a new pin, to be released by its maker."""
        return Pin(self)

    def note(self, pin: Pin, digests: Iterable[bytes]) -> None:
        """See `Pin.add`."""
        with self._lock:
            if pin.released:
                raise ValueError("this pin was released")
            fresh = set(digests)
            self._held.setdefault(pin, set()).update(fresh)
            if self._watched is not None:
                self._watched |= fresh

    def note_packs(self, pin: Pin, numbers: Iterable[int]) -> None:
        """See `Pin.keep_packs`."""
        with self._lock:
            self._packs.setdefault(pin, set()).update(numbers)

    def packs(self) -> set[int]:
        """Return the packs that have to stay as they are."""
        with self._lock:
            return set().union(*self._packs.values())

    def note_lists(self, pin: Pin, lists: Iterable[bytes]) -> None:
        """See `Pin.add_lists`."""
        with self._lock:
            fresh = list(lists)
            self._lists.setdefault(pin, []).extend(fresh)
            if self._watched is not None:
                self._watched.update(digests_in(fresh))

    def drop(self, pin: Pin) -> None:
        """See `Pin.release`; may be called twice."""
        with self._lock:
            pin.released = True
            self._held.pop(pin, None)
            self._lists.pop(pin, None)
            self._packs.pop(pin, None)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Remember every digest that is pinned, for a collection that looks at one version after the other.

        What was pinned and committed meanwhile belongs to a version that the collection may have passed by.
        """
        with self._lock:
            self._watched = set().union(*self._held.values(), *map(digests_in, self._lists.values()))
        try:
            yield
        finally:
            with self._lock:
                self._watched = None

    def live(self, digest: bytes) -> bool:
        """Whether a chunk was pinned since `watching` began, or is."""
        watched = self._watched
        return watched is not None and digest in watched

    @contextmanager
    def files(self) -> Iterator[None]:
        """Keep pack files from being removed, for a reader that was given places in them and has yet to open them.

        A file that is open or mapped may be removed on POSIX; its bytes stay. So this is for the time before.
        """
        with self._lock:
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1

    @property
    def files_held(self) -> bool:
        """Whether somebody is about to open pack files by their places."""
        return self._readers > 0


def digests_in(lists: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the digests that stand in lists, and those of the lists."""
    for text in lists:
        yield blake3(text).digest()
        for at in range(0, len(text), 32):
            yield text[at : at + 32]
