"""The command line as scripts use it: real processes, a real daemon in the background."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from background import kill_daemon
from daemons import done

CELLS = """\
# %% [markdown]
# Some words.

# %% make
numbers = [3, 1, 2]
print("made")

# %% sort
import sys
numbers.sort()
print("sorting", file=sys.stderr)
numbers
"""


@pytest.fixture
def script(workspace: Path) -> Path:
    """A script with a cell of text and two of code."""
    path = workspace / "a.py"
    path.write_text(CELLS)
    return path


def holdfast(*arguments: str | Path, cwd: Path, input: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return done([str(argument) for argument in arguments], cwd, input)


def test_undo_offers_the_files_that_a_run_wrote_and_brings_them_back(script: Path, workspace: Path) -> None:
    table = workspace / "table.csv"
    table.write_text("before")
    code = "from pathlib import Path; Path('table.csv').write_text('after')"
    assert holdfast("exec", script, "-c", "x = 1", "--track-files", cwd=workspace).returncode == 0
    assert holdfast("exec", script, "-c", code, cwd=workspace).returncode == 0
    assert "files: table.csv" in holdfast("log", script, cwd=workspace).stdout
    undone = holdfast("undo", script, cwd=workspace)
    assert "table.csv" in undone.stdout
    assert "holdfast files" in undone.stderr
    assert table.read_text() == "after"
    assert "is what it was" in holdfast("files", script, "--apply", cwd=workspace).stdout
    assert table.read_text() == "before"


def start(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    """Start a command."""
    return subprocess.Popen(
        [sys.executable, "-m", "holdfast", *map(str, arguments)],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def document(done: subprocess.CompletedProcess[str]) -> Any:
    """Return what a command printed as one JSON document."""
    return json.loads(done.stdout)


def test_run_runs_the_cells_in_order_and_keeps_the_streams_apart(script: Path) -> None:
    done = holdfast("run", "a.py", cwd=script.parent)
    assert done.returncode == 0
    assert done.stdout == "made\n[1, 2, 3]\n"
    assert "sorting\n" in done.stderr and "saved numbers (version 1)" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_one_cell_is_run_and_cells_count_from_one(script: Path) -> None:
    assert holdfast("run", "a.py:2", cwd=script.parent).stdout == "made\n"
    assert holdfast("run", "a.py", "--from", "3", cwd=script.parent).stdout == "[1, 2, 3]\n"


def test_a_cell_that_is_not_there_is_wrong_use(script: Path) -> None:
    done = holdfast("run", "a.py:9", cwd=script.parent)
    assert done.returncode == 2 and "has 3 cells" in done.stderr


def test_run_stops_at_the_first_cell_that_fails(cold_workspace: Path) -> None:
    (cold_workspace / "a.py").write_text("# %%\nprint('one')\n# %%\n1 / 0\n# %%\nprint('three')\n")
    done = holdfast("run", "a.py", cwd=cold_workspace)
    assert done.returncode == 1
    assert done.stdout == "one\n"
    assert "ZeroDivisionError" in done.stderr and "line 4" in done.stderr
    assert done.stderr.count("ZeroDivisionError: ") == 1


def test_run_as_json_lines_tells_the_whole_story(script: Path) -> None:
    done = holdfast("run", "a.py", "--json", cwd=script.parent)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [event["event"] for event in events if event["event"] != "saved"]
    assert kinds == ["begin", "cell", "output", "result", "cell", "output", "output", "result", "end"]
    assert [event["cell"] for event in events if event["event"] == "result"] == [2, 3]
    assert events[-1]["exitCode"] == 0


def test_exec_prints_what_the_code_prints_and_nothing_else(script: Path) -> None:
    done = holdfast("exec", "a.py", "-c", "print('hi'); 6 * 7", cwd=script.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hi\n42\n", "")


def test_exec_as_json_is_the_run_with_its_outputs(script: Path) -> None:
    run = document(holdfast("exec", "a.py", "-c", "x = 1\nprint('hi')", "--json", cwd=script.parent))
    assert run["status"] == "ok" and run["state"]["status"] == "saved"
    assert run["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "hi\n"}]


def test_sys_exit_without_complaint_is_no_failure(script: Path) -> None:
    assert holdfast("exec", "a.py", "-c", "import sys; sys.exit()", cwd=script.parent).returncode == 0
    assert holdfast("exec", "a.py", "-c", "import sys; sys.exit(3)", cwd=script.parent).returncode == 1


def test_a_dead_kernel_has_its_own_exit_code_and_cause(script: Path) -> None:
    done = holdfast("exec", "a.py", "-c", "import os; os._exit(7)", cwd=script.parent)
    assert done.returncode == 3
    assert "the kernel died" in done.stderr


def test_a_timeout_has_its_own_exit_code(script: Path) -> None:
    done = holdfast("exec", "a.py", "--timeout", "0.2", "-c", "import time; time.sleep(600)", cwd=script.parent)
    assert done.returncode == 4 and "timeout" in done.stderr


def test_ctrl_c_interrupts_the_cell(script: Path) -> None:
    process = start("exec", "a.py", "-c", "import time; print('on it', flush=True); time.sleep(600)", cwd=script.parent)
    assert process.stdout is not None and process.stdout.readline() == "on it\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 4 and "interrupting the cell" in errors
    assert holdfast("exec", "a.py", "-c", "print('still there')", cwd=script.parent).stdout == "still there\n"


def test_a_second_ctrl_c_kills_the_kernel_of_a_cell_that_does_not_listen(script: Path) -> None:
    stubborn = (
        "import time\nprint('on it', flush=True)\n"
        "while True:\n    try:\n        time.sleep(600)\n    except KeyboardInterrupt:\n        print('no', flush=True)"
    )
    holdfast("exec", "a.py", "-c", "kept = 'yes'", cwd=script.parent)
    process = start("exec", "a.py", "-c", stubborn, cwd=script.parent)
    assert process.stdout is not None and process.stdout.readline() == "on it\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "no\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 4
    assert holdfast("exec", "a.py", "-c", "print(kept)", cwd=script.parent).stdout == "yes\n"


def test_ctrl_c_takes_back_a_run_that_waits_and_leaves_the_running_one_alone(script: Path) -> None:
    code = "import os, time\nprint('on it', flush=True)\nwhile not os.path.exists('gate'): time.sleep(0.01)"
    first = start("exec", "a.py", "-c", code, cwd=script.parent)
    assert first.stdout is not None and first.stdout.readline() == "on it\n"
    second = start("exec", "a.py", "-c", "second = 1", cwd=script.parent)
    while document(holdfast("status", "--json", cwd=script.parent))["sessions"][0]["queue"] == 0:
        continue
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=60)
    assert second.returncode == 4 and first.poll() is None
    (script.parent / "gate").touch()
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert document(holdfast("vars", "a.py", "--match", "second", "--json", cwd=script.parent)) == []


def test_input_is_read_from_a_pipe(script: Path) -> None:
    done = holdfast("exec", "a.py", "-c", "print(input('name?') + input('age?'))", cwd=script.parent, input="kelp\n9\n")
    assert done.stdout == "kelp9\n" and "name?age?" in done.stderr


def test_input_without_anybody_to_type_fails_in_the_cell(script: Path) -> None:
    done = holdfast("exec", "a.py", "-c", "input('name?')", cwd=script.parent)
    assert done.returncode == 1 and "EOFError" in done.stderr


def test_a_reader_that_leaves_does_not_spoil_the_run(script: Path) -> None:
    process = start("exec", "a.py", "-c", "for n in range(100_000): print(n)\ndone = True", cwd=script.parent)
    assert process.stdout is not None and process.stdout.readline() == "0\n"
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    names = [entry["name"] for entry in document(holdfast("vars", "a.py", "--json", cwd=script.parent))]
    assert "done" in names


def test_a_script_changed_while_it_runs_stops_before_the_next_cell(workspace: Path) -> None:
    (workspace / "a.py").write_text("# %%\nopen('a.py', 'a').write('# more')\n# %%\nprint('not reached')\n")
    done = holdfast("run", "a.py", cwd=workspace)
    assert done.returncode == 2 and "not reached" not in done.stdout
    assert "--from 2" in done.stderr


def test_variables_are_listed_matched_and_shown(script: Path) -> None:
    holdfast("run", "a.py", cwd=script.parent)
    listed = holdfast("vars", "a.py", cwd=script.parent).stdout
    assert listed.split() == ["name", "type", "size", "saved", "value", *listed.split()[5:]]
    assert "numbers" in listed and "[1, 2, 3]" in listed
    found = document(holdfast("vars", "a.py", "--match", "num*", "--json", cwd=script.parent))
    assert [entry["name"] for entry in found] == ["numbers"]
    assert holdfast("show", "a.py", "numbers", "--json", cwd=script.parent).returncode == 0
    assert "2" in holdfast("show", "a.py", "numbers", cwd=script.parent).stdout


def test_what_is_missing_is_listed_with_the_cell_that_made_it(workspace: Path) -> None:
    (workspace / "a.py").write_text("# %%\nx = [1]\n# %%\nlazy = (lambda g: (next(g), g)[1])(i for i in [0, *x])\n")
    holdfast("run", "a.py", cwd=workspace)
    assert "not there" not in holdfast("vars", "a.py", cwd=workspace).stderr
    holdfast("stop", cwd=workspace)
    missing = holdfast("vars", "a.py", "--match", "la*", cwd=workspace).stderr
    assert "not there: lazy (generator): " in missing
    assert missing.rstrip().endswith(". It was made by the cell at line 4, which needs x.")
    told = holdfast("restore", "a.py", cwd=workspace)
    assert "lazy" in told.stdout and "made by the cell at line 4" in told.stdout


def test_variables_are_there_after_the_daemon_was_killed(script: Path) -> None:
    holdfast("run", "a.py", cwd=script.parent)
    [session] = document(holdfast("status", "--json", cwd=script.parent))["sessions"]
    daemon = document(holdfast("status", "--json", cwd=script.parent))["daemon"]["pid"]
    for pid in (daemon, session["pid"]):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    assert "[1, 2, 3]" in holdfast("vars", "a.py", cwd=script.parent).stdout
    assert holdfast("exec", "a.py", "-c", "numbers", cwd=script.parent).stdout == "[1, 2, 3]\n"


def test_log_restore_and_clear_work_on_the_saved_versions(script: Path) -> None:
    for value in ("old", "new"):
        holdfast("exec", "a.py", "-c", f"x = '{value}'", cwd=script.parent)
    versions = document(holdfast("log", "a.py", "--json", cwd=script.parent))
    assert [version["code"] for version in versions] == ["x = 'new'", "x = 'old'"]
    assert "x = 'old'" in holdfast("log", "a.py", cwd=script.parent).stdout
    assert len(document(holdfast("log", "a.py", "-n", "1", "--json", cwd=script.parent))) == 1
    restored = holdfast("restore", "a.py", "--version", str(versions[1]["version"]), cwd=script.parent)
    assert restored.returncode == 0
    assert holdfast("exec", "a.py", "-c", "print(x)", cwd=script.parent).stdout == "old\n"
    assert holdfast("restore", "a.py", "--version", "99", cwd=script.parent).returncode == 5
    unsure = holdfast("clear", "a.py", cwd=script.parent)
    assert unsure.returncode == 2 and "--yes" in unsure.stderr
    assert holdfast("clear", "a.py", "--yes", cwd=script.parent).returncode == 0
    assert document(holdfast("vars", "a.py", "--json", cwd=script.parent)) == []


def test_du_and_compact_say_what_the_state_takes_and_make_it_less(script: Path) -> None:
    nothing = holdfast("du", cwd=script.parent)
    assert nothing.returncode == 0 and "Nothing is saved" in nothing.stderr
    for number in range(4):
        holdfast(
            "exec", "a.py", "-c", f"import random; big = random.Random({number}).randbytes(400_000)", cwd=script.parent
        )
    [line] = [line for line in holdfast("du", "a.py", cwd=script.parent).stdout.splitlines() if line.startswith("big ")]
    assert line.split()[1:4] == ["bytes", "400", "kB"]
    usage = document(holdfast("du", "--json", cwd=script.parent))
    assert usage["files"][0]["history"] > 1_150_000
    assert "a.py" in holdfast("du", cwd=script.parent).stdout
    done = document(holdfast("compact", "--keep", "1", "--json", cwd=script.parent))
    assert done["removed"] == 3 and done["after"] < done["before"] / 2
    assert "3 versions thinned" in holdfast("log", "a.py", cwd=script.parent).stdout
    assert holdfast("compact", "a.py", cwd=script.parent).returncode == 2


def test_verify_says_what_is_damaged_and_repairs_it_when_asked(script: Path) -> None:
    assert holdfast("exec", "a.py", "-c", "x = 1", cwd=script.parent).returncode == 0
    fine = holdfast("verify", cwd=script.parent)
    assert fine.returncode == 0 and "All is as it was written" in fine.stdout
    stray = script.parent / ".state" / "packs" / "stray"
    stray.write_bytes(b"?")
    damaged = holdfast("verify", "a.py", cwd=script.parent)
    assert damaged.returncode == 1 and "orphan: packs/stray" in damaged.stdout and "--repair" in damaged.stderr
    assert stray.exists()
    repaired = holdfast("verify", "--repair", cwd=script.parent)
    assert repaired.returncode == 0 and "1 problem repaired" in repaired.stdout and not stray.exists()
    assert document(holdfast("verify", "--json", cwd=script.parent))["ok"]


def test_no_persist_saves_nothing(script: Path) -> None:
    done = holdfast("run", "a.py", "--no-persist", cwd=script.parent)
    assert done.returncode == 0 and "not saved, as asked" in done.stderr
    assert document(holdfast("log", "a.py", "--json", cwd=script.parent)) == []


def test_what_could_not_be_saved_is_named_with_the_reason(script: Path) -> None:
    done = holdfast(
        "exec", "a.py", "-c", "lost = (lambda g: (next(g), g)[1])(n for n in range(-1, 3)); kept = 1", cwd=script.parent
    )
    assert done.returncode == 0
    assert "not saved: lost (generator)" in done.stderr


def test_status_and_stop_start_nothing(cold_workspace: Path) -> None:
    assert "No daemon serves" in holdfast("status", cwd=cold_workspace).stdout
    assert "No daemon serves" in holdfast("stop", cwd=cold_workspace).stdout
    assert document(holdfast("status", "--json", cwd=cold_workspace))["daemon"] is None


def test_stop_saves_and_ends_the_daemon(script: Path) -> None:
    holdfast("run", "a.py", cwd=script.parent)
    assert "Daemon" in holdfast("status", cwd=script.parent).stdout
    assert document(holdfast("stop", "--json", cwd=script.parent))["stopped"] is True
    assert document(holdfast("status", "--json", cwd=script.parent))["daemon"] is None
    assert "[1, 2, 3]" in holdfast("vars", "a.py", cwd=script.parent).stdout


async def test_every_command_explains_itself_and_its_exit_codes(workspace: Path) -> None:
    commands = holdfast("--help", cwd=workspace).stdout
    names = "run exec vars show log restore clear du compact verify status stop doctor demo serve"
    for name in names.split():
        assert f"  {name}" in commands
    assert "3  the kernel died" in holdfast("run", "--help", cwd=workspace).stdout
    assert holdfast("--version", cwd=workspace).stdout.startswith("holdfast ")
    assert holdfast("nonsense", cwd=workspace).returncode == 2


async def test_errors_of_the_daemon_are_sentences_and_as_json_objects(script: Path) -> None:
    done = holdfast("show", "a.py", "nothing_here", cwd=script.parent)
    assert done.returncode in (2, 5) and done.stderr.startswith("holdfast: ") and "Traceback" not in done.stderr
    error = document(holdfast("show", "a.py", "nothing_here", "--json", cwd=script.parent))["error"]
    assert error["message"] and error["code"]
    await kill_daemon(script.parent)


def test_doctor_finds_nothing_wrong_here_and_names_a_state_that_is_a_file(cold_workspace: Path) -> None:
    assert holdfast("doctor", cwd=cold_workspace).returncode == 0
    (cold_workspace / ".state").write_text("not a folder")
    done = holdfast("doctor", "--json", cwd=cold_workspace)
    assert done.returncode == 5
    [problem] = [check for check in document(done)["checks"] if check["level"] == "problem"]
    assert problem["name"] == "state" and problem["remedy"]


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_doctor_says_who_else_could_write_to_state_and_key(script: Path) -> None:
    holdfast("run", "a.py", cwd=script.parent)
    holdfast("stop", cwd=script.parent)
    config = Path(os.environ["HOLDFAST_CONFIG_DIR"])
    (script.parent / ".state").chmod(0o777)
    config.chmod(0o770)
    checks = {check["name"]: check for check in document(holdfast("doctor", "--json", cwd=script.parent))["checks"]}
    assert checks["state"]["level"] == "note" and "everybody may write" in checks["state"]["message"]
    assert checks["key"]["level"] == "problem" and "exchange" in checks["key"]["message"]


def test_doctor_sees_a_running_daemon(script: Path) -> None:
    holdfast("run", "a.py", cwd=script.parent)
    checks = document(holdfast("doctor", "--json", cwd=script.parent))["checks"]
    [daemon] = [check for check in checks if check["name"].startswith("daemon")]
    assert daemon["level"] == "ok" and "1 of 1 sessions" in daemon["message"]
    assert {check["level"] for check in checks if check["name"] in ("catalog", "key", "runtime")} == {"ok"}


def test_characters_that_the_output_lacks_are_escaped(script: Path) -> None:
    code = "print('grüße')"
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "exec", "a.py", "-c", code],
        cwd=script.parent,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=100,
    )
    assert done.stdout == b"gr\\xfc\\xdfe\n"
