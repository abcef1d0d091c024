"""Run the cells of a script in a plain Python, and keep the session with dill or cloudpickle in between.

Usage: ``python -c "__import__('resurrection_peer').main()" TASK``, where TASK is a file that holds a JSON object:

    script, cells   the file's name, and the code of its cells with their first lines
    keep            "dill", "cloudpickle" or null
    state           where the session is kept
    first, last     which cells to run in this process
    report          gets one JSON line for each cell
    digest          gets the digest of the variables, if it is given

With ``keep`` the process loads what is kept, runs its cells, keeps the session, and ends with kill -9.
Figures that are open at the end of a cell, or at ``plt.show()``, are shown and closed, as notebooks do.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import pickle
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import session_digest

outputs: list[dict[str, Any]] = []


class _Stream(io.TextIOBase):
    def __init__(self, name: str) -> None:
        self._name = name

    def write(self, text: str) -> int:
        outputs.append({"output_type": "stream", "name": self._name, "text": text})
        return len(text)


def _run(code: str, filename: str, line: int, namespace: dict[str, Any]) -> None:
    tree = ast.parse("\n" * line + code, filename)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, filename, "exec"), namespace)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), filename, "eval"), namespace)
        if value is not None:
            data = {"text/plain": repr(value)}
            html = getattr(value, "_repr_html_", None)
            if html is not None and not isinstance(value, type):
                data["text/html"] = html()
            outputs.append({"output_type": "execute_result", "data": data})
    figures = sys.modules.get("resurrection_figures")
    if figures is not None:
        figures.show()


def _load(keep: str, state: str) -> None:
    if keep == "dill":
        import dill

        dill.load_session(state)
    else:
        with Path(state).open("rb") as file:
            sys.modules["__main__"].__dict__.update(pickle.load(file))


def _keep(keep: str, state: str, namespace: dict[str, Any]) -> None:
    if keep == "dill":
        import dill

        dill.dump_session(state)
    else:
        import cloudpickle

        values = {name: value for name, value in namespace.items() if not name.startswith("__") or name == "__doc__"}
        content = cloudpickle.dumps(values)
        Path(state).write_bytes(content)


def main() -> None:
    """Do what the task says."""
    task = json.loads(Path(sys.argv[1]).read_text())
    namespace = sys.modules["__main__"].__dict__
    namespace["__file__"] = task["script"]
    sys.argv[:] = [task["script"]]
    sys.path.insert(0, str(Path(task["script"]).parent))
    report = os.open(task["report"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    trouble = None
    if task["keep"] and Path(task["state"]).exists():
        try:
            _load(task["keep"], task["state"])
        except BaseException as error:  # noqa: BLE001 - it goes into the report
            trouble = f"loading the session raised {type(error).__name__}: {error}"[:300]
    for index in range(task["first"], task["last"]):
        line, code = task["cells"][index]
        outputs.clear()
        fault = None
        with contextlib.redirect_stdout(_Stream("stdout")), contextlib.redirect_stderr(_Stream("stderr")):
            try:
                _run(code, task["script"], line, namespace)
            except BaseException as error:  # noqa: BLE001 - it goes into the report
                fault = {"ename": type(error).__name__, "evalue": str(error), "traceback": traceback.format_exc()}
        if task["keep"] and fault is None:
            try:
                _keep(task["keep"], task["state"], namespace)
            except BaseException as error:  # noqa: BLE001 - it goes into the report
                trouble = f"keeping the session raised {type(error).__name__}: {error}"[:300]
        line_out = json.dumps({"cell": index, "outputs": list(outputs), "error": fault, "trouble": trouble})
        os.write(report, line_out.encode() + b"\n")
        trouble = None
        if fault is not None:
            break
    else:
        if task.get("digest"):
            session_digest.write(namespace, task["digest"])
    os.kill(os.getpid(), signal.SIGKILL)
