"""One session: its document and namespace, its runs, what is brought back into it and what is seen of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from . import look, plots, report
from .ask import Desk
from .document import Document
from .interrupts import HERE, TookTooLong
from .loading import Loader
from .outbox import Outbox
from .run import Compiled, Runner
from .saving import Saving
from .sources import Sources
from .text import clean, describe, trace
from .verifying import Verifier
from .watchdog import Watchdog
from .wire import Message


class Session:
    """Answers everything the daemon asks of a session.

    Methods run on the main thread, except those which say that the control thread calls them. Each answers for itself:
    the frames it sends are its results.
    """

    def __init__(
        self,
        outbox: Outbox,
        desk: Desk,
        has_work: Callable[[], bool],
        lane: int | None = None,
        patience: float | None = None,
    ) -> None:
        self._outbox = outbox
        self._desk = desk
        self._interrupts = outbox.interrupts
        self._document = Document()
        self._namespace: dict[str, Any] = self._document.module.__dict__
        self._runner = Runner(self._namespace)
        self._watchdog = Watchdog(outbox.interrupts, self._namespace)
        self._sources = Sources()
        self.saving = Saving(outbox, self._namespace, self._watchdog, lane, patience)
        self._capture: Any = None
        self._makers: Any = None
        self._porter: Any = None
        self._runs = 0
        self._verifier = Verifier(outbox, self.saving.lock)
        interrupted = partial(getattr, self._watchdog, "interrupted")
        self.loader = Loader(outbox, self.saving.lock, self.saving.watched, interrupted, has_work)

    # -- the control thread

    def expect_run(self) -> None:
        """A run was received: until it is over, the session is busy."""
        self._runs += 1

    def can_answer_now(self, inspect: dict[str, Any]) -> bool:
        """Whether an inspection must not or need not wait for the main thread."""
        return self._runs > 0 or (self.saving.is_capturing and inspect["expression"] in self._namespace)

    @property
    def is_busy(self) -> bool:
        """Whether a run was received that is not over."""
        return self._runs > 0

    def inspect_while_busy(self, header: dict[str, Any]) -> None:
        """Answer an inspection of a plain variable, without running any code of the user's."""
        expression = str(header["expression"]).strip()
        if expression.isidentifier() and expression in self._namespace:
            answer = _inspected(self._namespace[expression], header, safe=True)
        elif summary := self.loader.summaries().get(expression):
            answer = {"result": {"type": summary["type"], "data": {"text/plain": summary["preview"]}}}
        else:
            answer = _failure("busy", "a cell is running; until it is done only plain variables can be inspected")
        self._outbox.send({"type": "inspected", "id": header["id"], **answer})

    def list_variables(self, header: dict[str, Any]) -> None:
        """Answer with the summaries of all variables, or of those that `match`."""
        match = header.get("match")
        listed = []
        for name, value in list(self._namespace.items()):
            if look.is_listed(name) and (not match or fnmatchcase(name, match)):
                summary = look.summarize(name, value, self.saving.cells.get(name))
                if self._capture is not None:
                    summary["saved"] = self.saving.saved_state(name)
                listed.append(summary)
        for name, summary in self.loader.summaries().items():
            if name not in self._namespace and look.is_listed(name) and (not match or fnmatchcase(name, match)):
                listed.append({**summary, "saved": self.saving.saved_state(name), "loaded": False})
        self._outbox.send({"type": "variables", "id": header["id"], "variables": listed})

    # -- the main thread: document and runs

    def attach(self, header: dict[str, Any]) -> None:
        """Become the session of a document."""
        from .capture.session import SessionCapture
        from .makers import Makers

        self._document.attach(header.get("file"), header.get("cwd"), header.get("path0"))
        capture, self._makers = SessionCapture(self._document.module), Makers(self._namespace)
        self._stashed: dict[str, Any] = {}
        self.saving.attach(capture, self.loader, self._makers)
        self.loader.attach(capture, self._note_sources)
        self._capture = capture  # from here on the control thread asks it
        self.choose(header.get("limits") or {})
        self._outbox.send({"type": "attached"})

    def choose(self, limits: dict[str, Any]) -> None:
        """Take over what the settings say is not to be saved."""
        from .capture.choice import Limits

        if self._capture is not None:
            self._capture.choose(Limits.from_json(limits))

    def abandon(self) -> None:
        """In a forked child of the user's: what belongs to the session is its parent's."""
        self.saving.abandon()

    @property
    def is_attached(self) -> bool:
        """Whether there is a document."""
        return self._capture is not None

    def rename(self, header: dict[str, Any]) -> None:
        """Follow the document to its new place."""
        with nullcontext() if self._capture is None else self._capture.moving():
            self._document.rename(header.get("file"), header.get("cwd"))

    def run(self, header: dict[str, Any]) -> BaseException | None:
        """Run a cell and answer ``done``; return what it raised.

        In a child that the cell has forked this returns without an answer.
        """
        try:
            return self._run(header)
        except Exception as error:
            message = f"Holdfast itself failed after the cell had run, and nothing of it was saved: {describe(error)}"
            fault = {"ename": "HoldfastError", "evalue": clean(message), "traceback": [clean(message)]}
            done = {"type": "done", "run": header["run"], "status": "error", "seconds": 0.0, "snapshot": None}
            self._outbox.send_in_order({**done, "error": fault})
            raise

    def _run(self, header: dict[str, Any]) -> BaseException | None:
        self._outbox.run, self._outbox.count = header["run"], header.get("count")
        # A run whose kernel dies before this is run again in the next kernel: nothing of it has happened.
        self._outbox.send({"type": "started", "run": header["run"]})
        started = time.perf_counter()
        made: list[str] | None = None
        try:
            self._outbox.pipes.repair()
            self._desk.repair()
            if "only" in header:
                error, made = self._execute_again(header)
            else:
                error = self._execute(header)
        finally:
            self._runs -= 1
        seconds = time.perf_counter() - started
        if not self._outbox.is_open:
            return error
        status = "ok" if error is None else "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
        done: dict[str, Any] = {"type": "done", "run": header["run"], "status": status, "seconds": seconds}
        done["error"] = error and self.describe_error(error, header["filename"])
        done["snapshot"] = None
        if made is not None:
            done["made"] = made
        if status != "ok" or not header.get("persist", True):
            self.saving.compare()
            self._outbox.send_in_order(done)
        else:
            self.saving.answer(header, done)
        return error

    def _execute_again(self, header: dict[str, Any]) -> tuple[BaseException | None, list[str]]:
        """Run a cell to make variables that are missing; all else is what it was afterwards, if it fails these, too."""
        from .makers import keep_only

        # What waits to be loaded is not to be taken for something that the cell has made.
        self.loader.load_all()
        before = dict(self._namespace)
        with self._capture.aside():
            error = self._execute(header)
        return error, keep_only(self._namespace, before, header["only"] if error is None else [])

    def _execute(self, header: dict[str, Any]) -> BaseException | None:
        """Compile and run a cell; return what it raised."""
        begun = False
        failure: BaseException | None = None
        self._interrupts.arm()
        try:
            self._sources.ran(header["filename"], header.get("line", 0), header["code"])
            cell = self._runner.compile(header["code"], header["filename"], header.get("line", 0))
            codes = cell.touches()
            self.loader.prepare(codes)
            self.saving.begin(codes)
            begun = True
            self._makers.ran(header, codes)
            self._capture.compiled(cell.codes, header["code"], header["filename"], header.get("line", 0), cell.flags)
            if cell.awaits:
                self._runner.make_event_loop()
            with self._interrupts.user_code():
                self._execute_and_show(cell)
        except BaseException as error:  # noqa: BLE001 - whatever a cell raises is its result
            failure = error
        # A signal handler of the user's may raise at any call until the last of them is out of the way, also at the
        # very call that takes it out; where nothing is called, nothing raises.
        try:
            self._interrupts.disarm()
        except BaseException as error:  # noqa: BLE001 - as above
            failure = failure or error
            try:
                self._interrupts.disarm()
            except BaseException:  # noqa: BLE001 - as above; three in a row have not been seen
                self._interrupts.disarm()
        if failure is not None:
            failure = self._as_interrupt(failure)
            _remember(failure)
        if begun and self._outbox.is_open:
            self.saving.end(ok=failure is None)
        return failure

    def _as_interrupt(self, error: BaseException) -> BaseException:
        """An event loop may answer an interrupt by cancelling what it runs: to the user that is the interrupt."""
        if not self._interrupts.raised or type(error).__name__ != "CancelledError":
            return error
        return KeyboardInterrupt().with_traceback(error.__traceback__)

    def _execute_and_show(self, cell: Compiled) -> None:
        try:
            self._runner.execute(cell)
        except Exception:
            try:
                plots.show_open_figures()
            except Exception as error:  # noqa: BLE001 - a half-made figure; the cell's own error matters more
                print(f"a figure could not be drawn: {clean(describe(error))}", file=sys.stderr)
            raise
        plots.show_open_figures()

    def describe_error(self, error: BaseException, filename: str) -> dict[str, Any]:
        """Return an exception as the wire has it, with its place in `filename`."""
        from .tracebacks import describe_error

        return describe_error(error, filename, self._sources, self._capture and self._capture.source_of)

    # -- the main thread: captures and restores

    def stash(self, header: dict[str, Any]) -> None:
        """Lay values aside, to be compared with those that take their names."""
        self.loader.load_all()
        for name in header["names"]:
            if name in self._namespace:
                self._stashed[name] = self._namespace.pop(name)
        self._outbox.send({"type": "stashed", "id": header["id"]})

    def compare(self, header: dict[str, Any]) -> None:
        """Say what differs between values and those laid aside under their names."""
        first, sys.path[:1] = sys.path[:1], []  # the document's folder, where a file may be called difflib.py
        try:
            from .comparing import compare
        finally:
            sys.path[:0] = first
        self.loader.load_all()
        found = {
            name: compare(name, self._stashed[name], self._namespace[name])
            for name in header["names"]
            if name in self._stashed and name in self._namespace
        }
        self._stashed.clear()
        self._outbox.send({"type": "compared", "id": header["id"], "differences": found})

    def restore(self, message: Message) -> None:
        """Bring saved components back into the namespace, and say what came and what did not."""
        header = message.header
        answer: dict[str, Any] = {"type": "restored", "id": header["id"]}
        skipped = header.get("skipped") or {}
        leave = [name for name, count in skipped.items() if self._makers.has_made(name, count)]
        try:
            if header["mode"] != "replace":
                self.loader.load_all()
            if header.get("staged"):
                message = Message(header, self._porter.buffers(header["staged"]))
            components = self.loader.components(message)
            with self.saving.lock, self.saving.watched():
                self.saving.apply_verdicts()
                outcome = self._capture.restore(
                    components,
                    mode=header["mode"],
                    names=header.get("names"),
                    environment=header.get("environment"),
                    keep=header.get("keep") or (),
                    leave=leave,
                )
            self._runner.adopt_future_imports()
            self._makers.forget(None if header["mode"] == "replace" else outcome.restored, but=outcome.left)
            answer["left"] = outcome.left
            self._note_sources()
            answer["waiting"] = sorted(self._capture.waiting.names)
            answer.update(restored=list(outcome.restored), failed=report.lost(outcome.failed))
            answer["differences"] = list(map(clean, outcome.differences))
        except (Exception, TookTooLong) as error:  # noqa: BLE001 - a fault of ours; the daemon must know
            self._outbox.log("error", f"restore: {trace(error)}")
            answer.update(restored=[], failed=report.all_lost(header["components"], describe(error)))
        self._outbox.send(answer)

    def port(self, message: Message) -> None:
        """Answer what an export or an import asks for."""
        from .portable.porter import Porter, assignment_to

        self._porter = self._porter or Porter(self._namespace)
        answer: dict[str, Any] = {"type": "ported", "id": message.header["id"]}
        try:
            if message.header["type"] == "export":
                self.loader.prepare(assignment_to(message.header["names"]))
                answer.update(self._porter.export(message.header, self._capture.pointers))
            elif message.header["type"] == "stage":
                answer.update(self._porter.stage(message))
            else:
                self._adopt(message.header)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a fault of ours; the daemon must know
            self._outbox.log("error", f"{message.header['type']}: {trace(error)}")
            answer["error"] = clean(describe(error))
        self._outbox.send(answer)

    def _adopt(self, header: dict[str, Any]) -> None:
        """What was taken in becomes variables, as if a cell had assigned them."""
        from .capture.components import is_variable
        from .portable.porter import assignment_to

        staged = {name: value for name, value in self._porter.take().items() if is_variable(name)}
        if header.get("drop"):
            return
        gone: list[str] = []
        if header.get("replace"):
            self.loader.load_all()
            stays = {*staged, *header["keep"]}
            gone = [name for name in self._namespace if is_variable(name) and name not in stays]
        code = assignment_to([*staged, *gone])
        self.loader.prepare(code)
        self.saving.begin([code])
        for name in gone:
            del self._namespace[name]
        self._namespace.update(staged)
        self.saving.end(ok=True)
        self._makers.forget([*staged, *gone])

    def _note_sources(self) -> None:
        for source in self._capture.sources():
            self._sources.ran(source.filename, source.first, source.text)

    # -- the main thread: trying what was saved, while idle

    def idle_seconds(self) -> float | None:
        """Return after how many seconds without a message `use_idle_time` is to be called; None: not at all."""
        waits = (self.loader.idle_seconds(), self._verifier.idle_seconds(self._capture), self.saving.lands_in())
        return min((seconds for seconds in waits if seconds is not None), default=None)

    def use_idle_time(self) -> None:
        """Load what waits, try whether what was saved comes back; in a copy of this process this does not return."""
        self.loader.work()
        self.saving.land()
        if self._verifier.idle_seconds(self._capture) is not None:
            self._verifier.work(self._capture)

    def verify(self, header: dict[str, Any]) -> None:
        """Answer when all that was saved, and is worth it, was tried."""
        self._verifier.ask(header["id"])

    # -- the main thread: inspection

    def inspect(self, header: dict[str, Any]) -> None:
        """Answer an inspection of any expression."""
        answer = self._inspect(header)
        self._outbox.send({"type": "inspected", "id": header["id"], **answer})

    def _inspect(self, header: dict[str, Any]) -> dict[str, Any]:
        expression = str(header["expression"]).strip()
        if expression not in self._namespace and self.loader.is_waiting:
            try:
                self.loader.prepare(self._runner.compile_expression(expression))
            except (SyntaxError, ValueError, MemoryError, RecursionError):
                pass  # Said below.
            except KeyboardInterrupt:
                return _failure("error", "it was interrupted while it was loaded")
        if expression in self._namespace:
            return self._guarded(lambda: _inspected(self._namespace[expression], header))
        try:
            code = self._runner.compile_expression(expression)
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            return _failure("syntax", describe(error))
        self.saving.begin([code])
        try:
            return self._guarded(lambda: _inspected(eval(code, self._namespace), header))
        finally:
            # An expression may change what it names (a method call, a defaultdict's item).
            if self._outbox.is_open:
                self.saving.end(ok=True)

    def _guarded(self, answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Run an inspection as user code: interruptible, and whatever it raises is its result."""
        self._interrupts.arm()
        try:
            with self._interrupts.user_code():
                return answer()
        except BaseException as error:  # noqa: BLE001 - runs user code
            failure = error
        try:
            self._interrupts.disarm()
        except BaseException:  # noqa: BLE001 - a late signal; see `_execute`
            self._interrupts.disarm()
        return _failure("name" if isinstance(failure, NameError) else "error", describe(failure))


def _inspected(value: object, header: dict[str, Any], *, safe: bool = False) -> dict[str, Any]:
    from .tables import Page, inspect

    page = Page(header.get("offset") or 0, header.get("limit"), header.get("sort"), header.get("filter"))
    try:
        return {"result": inspect(value, page, safe=safe)}
    except Exception as error:  # noqa: BLE001 - the user's objects, and the user's filter expression
        return _failure("error", describe(error))


def _failure(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "message": clean(message)}}


def _remember(error: BaseException) -> None:
    """As the interpreter does at its prompt, so that pdb.pm() works."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(HERE):
        frames = frames.tb_next
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, frames
    if sys.version_info >= (3, 12):
        sys.last_exc = error
