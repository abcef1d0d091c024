"""`holdfast export` and `holdfast import`, and the client's methods of these names."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from daemons import done

from holdfast_client import portable
from holdfast_client.sync import connect


def holdfast(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return done([str(argument) for argument in arguments], cwd)


def test_a_session_is_carried_by_commands_and_by_scripts(workspace: Path) -> None:
    folder = workspace / "deep"
    folder.mkdir()
    (workspace / "a.py").write_text("n = 1\nshared = [n]\nalias = shared\n")
    assert holdfast("run", "a.py", cwd=workspace).returncode == 0
    done = holdfast("export", "../a.py", "../out.holdfast", cwd=folder)
    assert done.returncode == 0 and "Exported 3 variables of version 1" in done.stdout
    assert dict(portable.read(workspace / "out.holdfast")) == {"n": 1}
    done = holdfast("export", "a.py", "out.json", "--names", "n", cwd=workspace)
    assert json.loads((workspace / "out.json").read_text())["format"] == "holdfast json"
    done = holdfast("import", "b.py", "out.holdfast", "--no-pickle", cwd=workspace)
    assert done.returncode == 0 and "Imported 1 variable" in done.stdout
    assert "left out: alias, shared: it is pickled" in done.stderr
    done = holdfast("import", "b.py", "out.holdfast", "--names", "shared", "--no-pickle", cwd=workspace)
    assert done.returncode == 5
    done = holdfast("import", "b.py", "nowhere.holdfast", cwd=workspace)
    assert done.returncode == 2 and "cannot be read" in done.stderr
    with connect(workspace) as client:
        session = client.open("c.py")
        assert session.import_state(workspace / "out.holdfast").variable_count == 3
        assert session.run("print(shared is alias, shared)").outputs[0]["text"] == "True [1]\n"
        exported = session.export_state("again.json", names=["n"])
        assert exported.path == str(workspace / "again.json")
        assert session.import_state("again.json", replace=True).version == 2
        assert [variable.name for variable in session.variables()] == ["n"]
