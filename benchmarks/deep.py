"""How long deep structures take to save and restore, and the memory it takes: linked lists of a million nodes.

``python benchmarks/deep.py [--nodes N] [PYTHON ...]``: under the given interpreters, else under the running one.
Without a daemon: only the kernel's capture engine is measured. Seconds are of the processor, so that a busy machine
matters less.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
NODE = "class Node:\n    def __init__(self, value, next): self.value, self.next, self.before = value, next, None\n"
LISTS = {
    "instances": NODE + "x = None\nfor i in range({n}): x = Node(i, x)",
    "both ways": NODE + "x = Node(0, None)\nfor i in range({n} - 1): x = Node(i, x); x.next.before = x",
    "lists": "x = None\nfor i in range({n}): x = [i, x]",
    "dicts": "x = None\nfor i in range({n}): x = {{'value': i, 'next': x}}",
    "tuples": "x = None\nfor i in range({n}): x = (i, x)",
}
STEPS = {"instances": "x.next", "both ways": "x.next", "dicts": "x['next']"}


def measure(kind: str, nodes: int) -> None:
    """Save, save again and restore one list in this process, and print what that took."""
    sys.path.insert(0, str(ROOT / "tests" / "capture"))
    from process import load_package  # type: ignore[import-not-found]

    load_package("_holdfast_kernel", ROOT / "daemon" / "holdfast" / "kernel")
    load_package("_holdfast_cloudpickle", Path(sys.argv[3]))
    import sessions  # type: ignore[import-not-found]

    session = sessions.Session()
    session.execute(LISTS[kind].format(n=nodes))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = [time.process_time()]
    lost = [one.reason for one in session.save().skipped]
    times.append(time.process_time())
    again = session.run("x").changed
    times.append(time.process_time())
    reborn = session.reborn()
    times.append(time.process_time())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step = STEPS.get(kind, "x[1]")
    reborn.execute(f"count = 0\nwhile x is not None: count += 1; x = {step}")
    right = reborn.value("count") == nodes and not lost and not again
    size = sum(len(component.stream) for component in session.store.values())
    save, same, load = (later - earlier for earlier, later in pairwise(times))
    version = "{}.{}".format(*sys.version_info[:2])
    print(
        f"{version}  {kind:10} save {save:5.1f} s  unchanged {same:5.1f} s  restore {load:5.1f} s"
        f"  stored {size >> 20:4} MB  memory {before >> 10} → {peak >> 10} MB  {'right' if right else f'WRONG {lost}'}",
        flush=True,
    )


def main() -> None:
    """Run each list under each interpreter, in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pythons", nargs="*", default=[sys.executable])
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--kinds", nargs="*", default=list(LISTS))
    arguments = parser.parse_args()
    import cloudpickle

    package = str(Path(cloudpickle.__file__).parent)
    for python in arguments.pythons:
        for kind in arguments.kinds:
            subprocess.run([python, __file__, "--one", kind, package, str(arguments.nodes)], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(sys.argv[2], int(sys.argv[4]))
    else:
        main()
