"""Runs sessions in a process of its own: ``python process.py <source root> <cloudpickle folder> <job file>``.

The job is a pickle of ``[(cells, checks, store or None, touch)]``, where a touch may be followed by the environment
that the store was made in; the answer, written beside it, has for each session ``(failed checks, store, lost)``.
Loads the kernel's package as a kernel does.
"""

from __future__ import annotations

import importlib.util
import pickle
import sys
import traceback
from pathlib import Path
from typing import Any


def load_package(name: str, folder: Path) -> None:
    """Make the package in `folder` importable under `name`."""
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def main() -> None:
    """Do the job."""
    root, cloudpickle, job = map(Path, sys.argv[1:4])
    load_package("_holdfast_kernel", root / "daemon" / "holdfast" / "kernel")
    load_package("_holdfast_cloudpickle", cloudpickle)
    sys.path.insert(0, str(Path(__file__).parent))
    import sessions
    from _holdfast_kernel.imports import FacadeFinder  # type: ignore[import-not-found]

    sys.meta_path.append(FacadeFinder())

    answers = []
    for cells, checks, packed, touch, *environment in pickle.loads(job.read_bytes()):
        store = None if packed is None else {item[0]: unpack(item, sessions) for item in packed}
        failed: list[str] = []
        stored: list[Any] = []
        lost: list[Any] = []
        session = sessions.Session(store, *environment)
        try:
            if session.outcome is not None:
                lost += [(one.name, one.reason) for one in session.outcome.failed]
            for cell in cells:
                snapshot = session.run(cell)
                lost = [(one.name, one.reason) for one in snapshot.skipped]
            if touch:
                # Everything is pickled anew from what was restored.
                snapshot = session.run("globals()")
                lost += [(one.name, one.reason) for one in snapshot.skipped]
            # Only now: what a check changes is not saved.
            stored = [pack(component) for component in session.store.values()]
            for check in checks:
                try:
                    if not session.value(check):
                        failed.append(check)
                except Exception:  # noqa: BLE001 - whatever a check raises is its result
                    failed.append(f"{check}\n{traceback.format_exc()}")
        except Exception:  # noqa: BLE001 - as above
            failed.append(traceback.format_exc())
        answers.append((failed, stored, lost))
    job.with_suffix(".answer").write_bytes(pickle.dumps(answers))


def pack(component: Any) -> tuple[Any, ...]:
    """Return a component without classes of ours."""
    return (
        component.id,
        component.members,
        component.fingerprint,
        bytes(component.stream),
        [bytes(buffer) for buffer in component.buffers],
    )


def unpack(item: tuple[Any, ...], sessions: Any) -> Any:
    """Return the component that was packed."""
    identity, members, fingerprint, stream, buffers = item
    return sessions.SavedComponent(
        identity, members, fingerprint, stream, [memoryview(bytearray(buffer)) for buffer in buffers]
    )


if __name__ == "__main__":
    main()
