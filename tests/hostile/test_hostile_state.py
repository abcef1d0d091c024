"""Whatever lies in `.state`: no code runs, nothing outside is touched, memory stays bounded, the daemon answers."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hostile_daemon import Daemon, Refused
from hostile_folders import ABOUT_CODE, HOSTILE, MIB, Place

from holdfast.store.records import Change
from holdfast.store.store import Store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

CHANGE = Change(code="x = 1")
BOUND = 400 * MIB
"""What a daemon or a kernel may take; beside an ordinary folder it is an eighth of that."""
CLEAR = {-32010, -32012, -32013, -32014}


class House:
    """What all hostile folders are made from, and the daemon that meets them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.canary = root / "canary"
        self.work = root / "work"
        self.work.mkdir()
        self.mine = self._saved("mine", {"a.py": ["x = 1", "big = bytes(range(256)) * 9", "x = 2"], "b.py": ["y = 1"]})
        reduce = f"import os\nclass B:\n    def __reduce__(self): return os.system, ('touch {self.canary}',)\nx = B()"
        self.theirs = self._saved("theirs", {"a.py": ["x = 0", reduce]})
        self.canary.unlink(missing_ok=True)
        self._daemon: Daemon | None = None

    @property
    def daemon(self) -> Daemon:
        """The daemon; another one only if a test has failed."""
        if self._daemon is None or self._daemon.process.poll() is not None:
            self._daemon = Daemon(self.work, self.root / "mine", {"rebuild": "always"})
        return self._daemon

    def _saved(self, who: str, runs: dict[str, list[str]]) -> Path:
        folder = self.root / f"{who}-work"
        folder.mkdir()
        daemon = Daemon(folder, self.root / who)
        for name, codes in runs.items():
            for code in codes:
                run = daemon.about("execute", name, code=code)
                assert run["state"]["status"] == "saved", run
        daemon.ask("holdfast/state/flush")
        daemon.ask("shutdown")
        daemon.end()
        return folder / ".state"


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    root = Path(os.path.realpath(tempfile.mkdtemp(prefix="hf-")))
    house = House(root)
    yield house
    house.daemon.end()
    shutil.rmtree(root, ignore_errors=True)


def tree(folder: Path) -> dict[str, tuple[int, str]]:
    """Return what lies in a folder: modes and contents."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


QUESTIONS = ("state/get", "state/history", "variables", "state/restore", "state/diff", "state/usage", "state/verify")


def answers(house: House, questions: Sequence[str] = QUESTIONS) -> list[str]:
    """Ask about the documents of a folder; return the complaints."""
    daemon, complaints = house.daemon, []
    for name in ("a.py", "b.py"):
        for method in questions if name == "a.py" else questions[:4]:
            try:
                daemon.about(method, name, **({"from": 1, "to": 3} if method == "state/diff" else {}))
            except Refused as error:
                assert error.code in CLEAR, (method, error.code, error.message)
                assert error.message.endswith("."), error.message
                complaints.append(error.message)
    return complaints


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_folder_runs_no_code_and_does_no_harm(house: House, name: str, tmp_path: Path) -> None:
    state, outside = tmp_path / "state", tmp_path / "outside"
    shutil.copytree(house.mine, state)
    outside.mkdir()
    (outside / "precious").write_text("a file of the user's\n")
    HOSTILE[name](Place(state, house.theirs, outside, house.canary))
    before = tree(outside)
    daemon = house.daemon
    daemon.forget_peaks()
    daemon.use(state)
    complaints = answers(house)
    if name in ABOUT_CODE:
        daemon.about("restart", "a.py")
    run = daemon.about("execute", "a.py", code="z = 7")
    assert run["status"] == "ok", run
    assert run["state"]["status"] in {"saved", "failed"}, run["state"]
    complaints += answers(house, ("state/get", "state/restore"))
    print(f"{name}: {daemon.peak / MIB:.0f} MiB; {complaints[0] if complaints else 'nothing to complain about'}")
    assert not house.canary.exists(), "code was run"
    assert tree(outside) == before, "something outside was touched"
    assert daemon.peak < BOUND, f"{daemon.peak / MIB:.0f} MiB"
    assert daemon.process.poll() is None


def test_a_state_folder_that_becomes_a_link_while_it_is_in_use_is_not_followed(house: House, tmp_path: Path) -> None:
    state, outside = tmp_path / "state", tmp_path / "outside"
    shutil.copytree(house.mine, state)
    shutil.copytree(house.mine, outside)
    daemon = house.daemon
    daemon.use(state)
    assert daemon.about("execute", "a.py", code="z = 7")["state"]["status"] == "saved"
    before = tree(outside)
    state.rename(tmp_path / "away")
    state.symlink_to(outside)
    run = daemon.about("execute", "a.py", code="z = 8")
    assert run["state"]["status"] == "failed"
    assert "symbolic link" in run["state"]["reason"]
    with pytest.raises(Refused, match="symbolic link"):
        daemon.about("state/get", "a.py")
    assert tree(outside) == before
    state.unlink()
    assert daemon.about("execute", "a.py", code="z = 9")["state"]["status"] == "saved"


@pytest.mark.parametrize("key", ["../../x.py", "/etc/x.py", "sub/../../x.py", "@elsewhere/../../x.py", "sub/", ".", ""])
def test_no_name_of_a_session_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    state = tmp_path / "deep" / "state"
    with Store.open(state, b"k" * 32) as store:
        store.commit(key, CHANGE)
        store.commit(f"sub/{key}", CHANGE)
        store.write_metadata(key)
        store.move(key, f"{key}/../moved")
        store.move_folder("sub", "../sub")
        store.trash(f"{key}/../moved", "gone")
        store.recover(f"{key}/../moved")
        for name in store.sessions():
            store.write_metadata(name)
            store.forget(name)
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["state"]
    assert not list((state / "sessions").rglob("metadata.json"))
