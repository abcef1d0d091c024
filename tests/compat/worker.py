"""Lives one life of some entries: ``python worker.py <source root> <cloudpickle folder> <job file>``; ends by SIGKILL.

The job is a pickle of ``(life, [(entry, store or None, recorded)])`` where life is "made", "changed" or "seen". The
answer, written beside it, has a dict for each entry.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ALIAS = "_alias = {'obj': obj}"
"""What the object is, apart from what is immutable, has to be one object in two places."""


class Unstable(Exception):
    """A value has nothing that could be compared across processes."""


def plain(value: Any) -> Any:
    """Return what a value shows, in builtin types that compare and pickle anywhere; floats by their repr."""
    kind = type(value)
    if value is None or kind in (bool, int, float, complex, str, bytes):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return (kind.__name__, [plain(item) for item in value])
    if isinstance(value, dict):
        return (kind.__name__, [(plain(key), plain(item)) for key, item in value.items()])
    if isinstance(value, (set, frozenset)):
        return (kind.__name__, sorted(map(repr, map(plain, value))))
    top = kind.__module__.partition(".")[0]
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        shown = value.tolist() if value.dtype.hasobject else numpy.asarray(value).tobytes()
        return (kind.__name__, value.dtype.str, value.shape, plain(shown))
    if top == "pandas" and hasattr(value, "to_dict") and hasattr(value, "index"):
        return (kind.__name__, plain(value.to_dict()), plain(list(value.index)), str(getattr(value, "dtypes", "")))
    if kind is memoryview:
        return ("memoryview", value.format, value.shape, value.tobytes())
    if isinstance(value, type) or callable(value):
        return (getattr(value, "__module__", ""), getattr(value, "__qualname__", repr(value)))
    text = repr(value)
    if " at 0x" in text:
        raise Unstable(f"{text}: its repr shows an address")
    return (kind.__name__, text)


def types_of(names: dict[str, Any]) -> dict[str, str]:
    """Return the types of a session's variables."""
    return {
        name: f"{type(value).__module__}.{type(value).__qualname__}"
        for name, value in names.items()
        if not name.startswith("_")
    }


def look(session: Any, entry: Any, failed: list[str]) -> list[Any]:
    """Return the values of an entry's expressions; its checks that do not hold go into `failed`."""
    kinds: Any = importlib.import_module("_holdfast_kernel.capture.kinds")
    tied = kinds.Kinds()[type(session.names["obj"])] != kinds.FREE if "obj" in session.names else True
    for check in (*entry.checks, *(("_alias['obj'] is obj",) if tied else ())):
        try:
            if not session.value(check):
                failed.append(f"not true: {check}")
        except Exception:  # noqa: BLE001 - whatever a check raises is its result
            failed.append(f"{check}: {last_line()}")
    seen = []
    for expression in entry.values:
        try:
            seen.append(plain(session.value(expression)))
        except Exception:  # noqa: BLE001 - as above
            failed.append(f"{expression}: {last_line()}")
            seen.append(None)
    return seen


def last_line() -> str:
    """Return the exception that is being handled in one line."""
    kind, error, _ = sys.exc_info()
    if os.environ.get("COMPAT_VERBOSE"):
        traceback.print_exc()
    return f"{getattr(kind, '__name__', '')}: {str(error)[:300]}"


def compare(entry: Any, recorded: list[Any], seen: list[Any], when: str) -> list[str]:
    """Return the expressions that have other values than recorded."""
    return [
        f"{when}: {expression} was {short(before)}, is {short(now)}"
        for expression, before, now in zip(entry.values, recorded, seen, strict=True)
        if before != now
    ]


def short(value: Any) -> str:
    """Return a value's beginning."""
    text = repr(value)
    return text if len(text) < 160 else f"{text[:157]}..."


def live(life: str, entry: Any, packed: Any, recorded: dict[str, Any], sessions: Any, process: Any) -> dict[str, Any]:
    """Return what became of one entry in one life."""
    failed: list[str] = []
    store = None if packed is None else {item[0]: process.unpack(item, sessions) for item in packed}
    session = sessions.Session(store)
    lost: list[Any] = []
    answer: dict[str, Any] = {"failed": failed, "lost": lost, "resent": []}
    if session.outcome is not None:
        failed += [f"not restored: {one.name}: {one.reason}" for one in session.outcome.failed]
    snapshot = None
    if life == "made":
        for cell in (*entry.make, ALIAS):
            snapshot = session.run(cell)
        answer["resent"] = sorted(session.run("globals(); dict()").names_changed)
    else:
        if any(name not in session.names for name in recorded["types"]):
            missing = sorted(name for name in recorded["types"] if name not in session.names)
            failed.append(f"missing after the restore: {missing}")
        seen = look(session, entry, failed)
        failed += compare(entry, recorded["values"], seen, "restored" if life == "changed" else "restored again")
        for name, before in recorded["types"].items():
            now = types_of(session.names).get(name, before)
            if now != before:
                failed.append(f"{name} was a {before}, is a {now}")
        if life == "changed":
            answer["resent"] = sorted(session.run("globals(); dict()").names_changed)
            session.run(entry.change)
            snapshot = session.run(ALIAS)
    if snapshot is not None:
        lost += [(one.name, one.type, one.reason, one.remedy) for one in snapshot.skipped]
    # Only then: what an expression changes is not saved.
    answer["store"] = [process.pack(component) for component in session.store.values()]
    if life != "seen":
        gone = {name for name, *_ in lost}
        answer["types"] = {name: kind for name, kind in types_of(session.names).items() if name not in gone}
        answer["values"] = look(session, entry, failed) if "obj" not in gone else []
        if life == "changed" and answer["values"] == recorded["values"]:
            failed.append("the change shows in none of the values")
    return answer


def versions(modules: tuple[str, ...]) -> None:
    """Import what an entry needs; raises what the import raises."""
    for module in modules:
        __import__(module)


def main() -> None:
    """Do the job."""
    root, cloudpickle, job = map(Path, sys.argv[1:4])
    sys.path[:0] = [str(HERE), str(root / "tests" / "capture")]
    import process

    process.load_package("_holdfast_kernel", root / "daemon" / "holdfast" / "kernel")
    process.load_package("_holdfast_cloudpickle", cloudpickle)
    import sessions

    life, work = pickle.loads(job.read_bytes())
    answers = []
    for entry, packed, recorded in work:
        try:
            versions(entry.modules) if life == "made" else None
        except Exception:  # noqa: BLE001 - a library may raise anything when it is imported
            answers.append({"not run": last_line()})
            continue
        try:
            answers.append(live(life, entry, packed, recorded, sessions, process))
        except Exception:  # noqa: BLE001 - a cell that fails is the entry's outcome
            answers.append(
                {
                    "failed": [f"{life}: {last_line()}"],
                    "lost": [],
                    "store": None,
                    "types": {},
                    "values": [],
                    "resent": [],
                    "broken": life,
                }
            )
    temporary = job.with_suffix(".part")
    temporary.write_bytes(pickle.dumps(answers))
    temporary.rename(job.with_suffix(".answer"))
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
