"""Objects that a module of the user's and the session both have, across the death of a real kernel."""

from __future__ import annotations

import os
import signal

import pytest
from harness import Client

HELPERS = """
CACHE = {}
class Config:
    def __init__(self):
        self.level = 1
class Holder:
    shared = Config()
config = Config()
unused = Config()
def raise_level():
    config.level += 1
    CACHE[config.level] = 'raised'
    return config.level
def live():
    return (n for n in range(3))
job = live()
next(job)
"""


@pytest.fixture
async def session(daemon: Client) -> Client:
    (daemon.folder / "helpers.py").write_text(HELPERS)
    await daemon.run("a.py", "import helpers\nfrom helpers import CACHE, Holder, config, raise_level")
    return daemon


async def kill(session: Client) -> None:
    os.kill((await session.session("a.py"))["pid"], signal.SIGKILL)


async def test_what_is_imported_from_a_module_of_the_users_stays_the_modules_own_object(session: Client) -> None:
    await session.run("a.py", "config.level = 5\nshared = [Holder.shared]\nraise_level()")
    for level in (6, 7):
        await kill(session)
        same = "(config is helpers.config, CACHE is helpers.CACHE, shared[0] is helpers.Holder.shared, config.level)"
        assert await session.value("a.py", same) == f"(True, True, True, {level})"
        await session.run("a.py", "raise_level()")
        assert await session.value("a.py", "config.level") == str(level + 1)


async def test_what_only_the_module_changes_of_a_shared_object_is_saved(session: Client) -> None:
    await session.run("a.py", "raise_level()")
    await kill(session)
    assert await session.value("a.py", "config.level, CACHE, helpers.CACHE is CACHE") == "(2, {2: 'raised'}, True)"


async def test_what_the_session_holds_no_more_is_as_the_module_makes_it(session: Client) -> None:
    await session.run("a.py", "config.level = 5")
    await session.run("a.py", "del config")
    await kill(session)
    assert await session.value("a.py", "helpers.config.level") == "1"


async def test_a_shared_object_that_cannot_be_saved_is_named_once(session: Client) -> None:
    run = await session.run("a.py", "from helpers import job")
    assert [lost["name"] for lost in run["state"]["skipped"]] == ["job"]
    run = await session.run("a.py", "del job")
    assert run["state"]["skipped"] == []
