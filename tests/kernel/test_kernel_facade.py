"""``import holdfast`` in a cell, in a script, and where the user has a module of that name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from driver import Kernel

import holdfast

REGISTER = "import holdfast\nholdfast.register(complex, str, complex)\nfrom holdfast import register, unregister"


def test_a_cell_can_import_holdfast_though_nothing_is_installed(kernel: Kernel) -> None:
    kernel.run("import sys, os; sys.path[:] = [p for p in sys.path if not os.path.isdir(os.path.join(p, 'holdfast'))]")
    assert kernel.run(REGISTER)["status"] == "ok"
    assert kernel.run("holdfast.__spec__.origin, [n for n in dir(holdfast) if n[0] != '_']").result == (
        "(None, ['ambient', 'register', 'unregister'])"
    )


def test_the_users_own_module_of_that_name_comes_first(kernel: Kernel, document: Path) -> None:
    (document.parent / "holdfast.py").write_text("own = 5\n")
    assert kernel.run("import holdfast; holdfast.own").result == "5"


def test_the_installed_package_offers_the_same_and_knows_the_session(kernel: Kernel) -> None:
    where = str(Path(holdfast.__file__).parents[1])
    kernel.run(f"import sys; sys.path.insert(0, {where!r})")
    assert kernel.run(REGISTER)["status"] == "ok"
    assert kernel.run("holdfast.__version__, complex in __holdfast__").result == f"('{holdfast.__version__}', True)"


def test_outside_of_a_kernel_it_does_nothing(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        REGISTER + "\nholdfast.unregister(complex)\nassert '__holdfast__' not in globals()\nprint('ran')\n"
    )
    where = str(Path(holdfast.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, script], env={"PYTHONPATH": where}, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("ran\n", "")
