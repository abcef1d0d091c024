"""Which large buffers are looked at, what of them is sent, and every fact that watching memory for writes rests on."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import Session, changed_names

from holdfast.kernel.capture.pages import CHUNK, LARGE, Disagreement, Pages, address_of
from holdfast.kernel.capture.userfault import WriteTracker

numpy = pytest.importorskip("numpy")
PAGE = mmap.PAGESIZE
SIZE = 2 * LARGE


@pytest.fixture
def tracker() -> Iterator[WriteTracker]:
    made = WriteTracker.make()
    if made is None:
        pytest.skip("this system does not tell which pages were written to")
    yield made
    made.close()


class Memory:
    """Private memory of its own, with its address."""

    def __init__(self, size: int = 64 * PAGE) -> None:
        self.memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.memory[:] = b"\1" * size
        self.start = address_of(memoryview(self.memory))
        self.size = size

    def pages(self, written: list[tuple[int, int]] | None) -> list[int]:
        assert written is not None, "the range is not watched any more"
        return [
            page for start, end in written for page in range((start - self.start) // PAGE, (end - self.start) // PAGE)
        ]


def watched(tracker: WriteTracker, memory: Memory) -> Memory:
    assert tracker.watch(memory.start, memory.size)
    assert tracker.written(memory.start, memory.size) == []
    return memory


def test_a_written_page_is_found_once(tracker: WriteTracker) -> None:
    memory = watched(tracker, Memory())
    memory.memory[5 * PAGE + 17] = 2
    assert memory.pages(tracker.written(memory.start, memory.size)) == [5]
    assert memory.pages(tracker.written(memory.start, memory.size)) == []


def test_a_write_by_the_kernel_is_found(tracker: WriteTracker) -> None:
    memory = watched(tracker, Memory())
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * PAGE)
        file.seek(0)
        file.readinto(memoryview(memory.memory)[3 * PAGE : 4 * PAGE])  # type: ignore[attr-defined]
    assert memory.pages(tracker.written(memory.start, memory.size)) == [3]


def test_memory_given_back_with_dontneed_is_found(tracker: WriteTracker) -> None:
    memory = watched(tracker, Memory(64 << 20))
    memory.memory.madvise(mmap.MADV_DONTNEED, 8 * PAGE, 4 * PAGE)
    assert memory.pages(tracker.written(memory.start, memory.size)) == [8, 9, 10, 11]
    memory.memory.madvise(mmap.MADV_DONTNEED, 4 << 20, 32 << 20)
    assert len(memory.pages(tracker.written(memory.start, memory.size))) == (32 << 20) // PAGE
    memory.memory[40 * PAGE + (4 << 20)] = 3
    assert len(memory.pages(tracker.written(memory.start, memory.size))) == 1


def test_a_range_that_was_never_watched_is_told_from_one_that_was_not_written(tracker: WriteTracker) -> None:
    memory = Memory()
    assert tracker.written(memory.start, memory.size) is None


def test_what_a_forked_child_writes_does_not_count_and_what_its_parent_writes_does(tracker: WriteTracker) -> None:
    memory = watched(tracker, Memory())
    pid = os.fork()
    if not pid:
        memory.memory[PAGE] = 9
        os._exit(0)
    os.waitpid(pid, 0)
    assert memory.pages(tracker.written(memory.start, memory.size)) == []
    memory.memory[2 * PAGE] = 9
    assert memory.pages(tracker.written(memory.start, memory.size)) == [2]


def test_shared_memory_is_not_watched(tracker: WriteTracker) -> None:
    shared = mmap.mmap(-1, 16 * PAGE)
    assert not tracker.watch(address_of(memoryview(shared)), 16 * PAGE)
    with tempfile.TemporaryFile() as file:
        file.truncate(16 * PAGE)
        of_file = mmap.mmap(file.fileno(), 16 * PAGE)
        assert not tracker.watch(address_of(memoryview(of_file)), 16 * PAGE)


def test_writes_to_a_private_mapping_of_a_file_are_found(tracker: WriteTracker) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"y" * 16 * PAGE)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 16 * PAGE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
        start = address_of(memoryview(mapped))
        assert tracker.watch(start, 16 * PAGE)
        assert mapped[3 * PAGE] == ord("y") and tracker.written(start, 16 * PAGE) == []
        mapped[7 * PAGE] = 1
        assert tracker.written(start, 16 * PAGE) == [(start + 7 * PAGE, start + 8 * PAGE)]


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc


_PRIVATE, _READ_WRITE, _FIXED, _MAY_MOVE = 0x22, 3, 0x10, 1


def test_memory_that_was_freed_and_taken_anew_is_not_watched_any_more(tracker: WriteTracker) -> None:
    libc, size = _libc(), 16 * PAGE
    start = libc.mmap(None, size, _READ_WRITE, _PRIVATE, -1, 0)
    assert tracker.watch(start, size)
    libc.munmap(start, size)
    assert libc.mmap(start, size, _READ_WRITE, _PRIVATE | _FIXED, -1, 0) == start
    assert tracker.written(start, size) is None
    libc.munmap(start, size)


def test_memory_that_was_moved_is_not_watched_any_more(tracker: WriteTracker) -> None:
    libc, size = _libc(), 16 * PAGE
    start = libc.mmap(None, 2 * size, _READ_WRITE, _PRIVATE, -1, 0)
    assert tracker.watch(start, size)
    moved = libc.mremap(start, size, 64 * size, _MAY_MOVE)
    assert moved != start
    assert tracker.written(moved, size) is None
    libc.munmap(moved, 64 * size)


def test_memory_that_grew_where_it_was_counts_as_written(tracker: WriteTracker) -> None:
    libc, size = _libc(), 16 * PAGE
    start = libc.mmap(None, 4 * size, _READ_WRITE, _PRIVATE, -1, 0)
    libc.munmap(start + size, 3 * size)
    ctypes.memset(start, 1, size)
    assert tracker.watch(start, size)
    if libc.mremap(start, size, 4 * size, 0) != start:
        pytest.skip("something else was mapped behind it meanwhile")
    assert tracker.written(start, 4 * size) == [(start + size, start + 4 * size)]
    libc.munmap(start, 4 * size)


# -- what is sent


def test_one_written_row_of_a_large_array_is_all_that_is_sent() -> None:
    session = Session()
    session.run(f"import numpy\na = numpy.arange({SIZE}, dtype=numpy.uint8)")
    session.sent = 0
    assert changed_names(session.run("a[3 * 262144 + 3] = 77")) == {"a"}
    assert session.sent == CHUNK
    assert session.reborn().value("a[3 * 262144 + 3], a[0], a[-1]") == (77, 0, 255)


def test_an_array_that_was_named_and_not_changed_is_not_sent() -> None:
    session = Session()
    session.run(f"import numpy\na = numpy.ones({SIZE}, dtype=numpy.uint8)")
    session.sent = 0
    assert changed_names(session.run("total = int(a.sum())")) == {"total"}
    assert changed_names(session.run("a[7] = a[7]")) == set()
    assert session.sent == 0


def test_after_a_restore_only_what_changed_since_is_sent() -> None:
    session = Session()
    session.run(f"import numpy\na = numpy.arange({SIZE}, dtype=numpy.uint8); b = a[::2]")
    again = session.reborn()
    again.execute("b.sum()")
    assert changed_names(again.save()) == set()
    again.run("b[3] = 9")
    if Pages().tracks:
        assert again.sent == CHUNK
    assert again.reborn().value("a[6]") == 9


def test_memory_used_again_by_another_array_is_sent_anew() -> None:
    session = Session()
    session.run(f"import numpy\na = numpy.zeros({SIZE}, dtype=numpy.uint8); a[:] = 1")
    for value in range(2, 6):
        session.run(f"del a\na = numpy.full({SIZE}, {value}, dtype=numpy.uint8)")
        assert session.reborn().value("set(a.tolist())") == {value}


def test_a_bytearray_that_grows_in_place_is_saved_as_it_is() -> None:
    session = Session()
    session.run(f"b = bytearray(b'x') * {SIZE}")
    for _ in range(3):
        session.run(f"b.extend(b'y' * {LARGE}); b[10] += 1")
        assert session.reborn().value("bytes(b)") == session.value("bytes(b)")


_writes = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, SIZE - 1), st.integers(1, 2 * CHUNK), st.integers(0, 255)), max_size=6
)


@settings(max_examples=15, deadline=None)
@given(st.lists(_writes, min_size=1, max_size=5))
def test_whatever_is_written_what_is_sent_makes_the_value(runs: list[list[tuple[int, int, int, int]]]) -> None:
    session = Session()
    session.run(
        f"import numpy\na = numpy.zeros({2 * SIZE}, dtype=numpy.uint8); views = [a, a[::3], a[{SIZE}:], a.copy()]"
    )
    for writes in runs:
        code = "\n".join(f"views[{which}][{at}:{at + size}] = {value}" for which, at, size, value in writes)
        # What is put together of the parts is compared with the value in `Session.save`.
        session.run(code or "views")
    again = session.reborn()
    assert again.value("[bytes(v) for v in views]") == session.value("[bytes(v) for v in views]")


def test_doubt_mode_fails_when_a_change_was_not_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_DOUBT", "1")
    pages = Pages()
    if not pages.tracks:
        pytest.skip("without tracking everything is hashed anyway")
    own = Memory(SIZE)
    view = memoryview(own.memory)
    _, _, memory = pages.measure([view], None)
    pages.measure([view], memory._replace(fingerprint=f"x:{'0' * 32}"))
    pages._regions[memory.places[0]].digests[3] = bytes(16)
    with pytest.raises(Disagreement, match="no write to them was noticed"):
        pages.measure([view], memory._replace(fingerprint=f"x:{'0' * 32}"))


@pytest.mark.skipif(sys.platform != "linux", reason="on other systems everything is hashed")
def test_without_help_of_the_system_changed_chunks_are_found_by_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WriteTracker, "make", classmethod(lambda cls: None))
    session = Session()
    assert not session.capture._state.session.pages.tracks
    session.run(f"import numpy\na = numpy.arange({SIZE}, dtype=numpy.uint8)")
    session.sent = 0
    session.run("a[3] = 200")
    assert session.sent == CHUNK
