"""Packs: one follows the other, and what a failed commit appended is taken back in each of them."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from holdfast.store.appending import PackAppender
from holdfast.store.packs import BULK, PACK_HEADER, PackFolder


def make(folder: Path) -> tuple[PackFolder, PackAppender]:
    """Return an appender whose packs are full at a thousand bytes."""
    folder.mkdir()
    packs = PackFolder(folder, bytes(16))
    numbers = itertools.count(1)
    return packs, PackAppender(packs, BULK, 1000, lambda: next(numbers))


def test_a_full_pack_is_followed_by_a_new_one(tmp_path: Path) -> None:
    packs, appender = make(tmp_path / "packs")
    places = []
    for number in range(7):
        places.append(appender.position(400))
        appender.append([b"%d" % number * 400])
        appender.settle()
    assert [pack for pack, _ in places] == [1, 1, 2, 2, 3, 3, 4]
    for number, (pack, offset) in enumerate(places):
        assert packs.read(pack, offset, 400) == b"%d" % number * 400
    packs.close()


def test_a_failed_commit_over_two_packs_leaves_neither_longer(tmp_path: Path) -> None:
    packs, appender = make(tmp_path / "packs")
    appender.position(500)
    appender.append([b"kept" * 125])
    appender.settle()
    for _ in range(3):
        appender.position(400)
        appender.append([os.urandom(400)])
    appender.abort()
    assert packs.length(1) == PACK_HEADER.size + 500
    assert packs.length(2) == PACK_HEADER.size
    assert appender.position(400) == (2, PACK_HEADER.size)
    appender.append([b"next" * 100])
    assert appender.settle() == [2]
    assert packs.read(1, PACK_HEADER.size, 500) == b"kept" * 125
    assert packs.read(2, PACK_HEADER.size, 400) == b"next" * 100
    packs.close()


def test_more_than_a_pack_holds_still_goes_into_one(tmp_path: Path) -> None:
    packs, appender = make(tmp_path / "packs")
    place = appender.position(5000)
    appender.append([b"x" * 2500, b"y" * 2500])
    assert packs.read(*place, 5000) == b"x" * 2500 + b"y" * 2500
    packs.close()
