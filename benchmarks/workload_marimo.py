"""The one workload that marimo can keep: cells that each make new names, and change nothing that is there."""

from __future__ import annotations

import textwrap

from workload_cells import Workload

REFUSALS = {
    "W1": "a name can be made by one cell only, so cells cannot change a number",
    "W2": "what a cell changes in place is not seen",
    "W3": "what a cell changes in place is not seen",
    "W4": "what a cell changes in place is not seen",
    "W7": "a name can be made by one cell only, so cells cannot change a number",
}


def notebook(workload: Workload, *, cached: bool) -> str:
    """Return the workload as a marimo notebook that prints when each cell began and ended.

    Args:
        cached: Each cell is in a `persistent_cache`.
    """
    cells = ["import json\nimport time\nimport marimo as mo"]
    setup = workload.setup[0]
    cells.append(f"{_say('begins')}\n{setup}")
    for index, code in enumerate(workload.cells):
        body = f"with mo.persistent_cache(name='cell{index}'):\n{textwrap.indent(code, '    ')}" if cached else code
        cells.append(f"_began = time.perf_counter()\n{body}\n{_say('cell', index)}")
    cells.append(f"_began = time.perf_counter()\n_ = {workload.touch}\n{_say('touched')}")
    made = ["@app.cell\ndef _():\n" + textwrap.indent(code, "    ") for code in cells]
    end = 'if __name__ == "__main__":\n    app.run()\n'
    return "\n\n\n".join(["import marimo\n\napp = marimo.App()", *made, end])


def _say(what: str, index: int = 0) -> str:
    took = "0" if what == "begins" else "time.perf_counter() - _began"
    values = f"{{'{what}': {index}, 'took': {took}, 'at': time.perf_counter()}}"
    return f"print(json.dumps({values}), flush=True)"
