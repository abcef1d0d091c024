"""Running a cell: compile it with the document's line numbers, run it in the namespace, show its last expression."""

from __future__ import annotations
import __future__

import ast
import sys
from collections.abc import Iterable
from types import CodeType
from typing import Any, NamedTuple

_FUTURE_FLAGS = 0
for _name in __future__.all_feature_names:
    _FUTURE_FLAGS |= getattr(__future__, _name).compiler_flag
_CO_COROUTINE = 0x80  # inspect.CO_COROUTINE; inspect takes 10 ms to import
_MAX_LINE = 10_000_000
_DYNAMIC = compile("globals()", "<all names>", "eval")


class Compiled(NamedTuple):
    """A cell ready to run."""

    body: CodeType | None
    result: CodeType | None
    """The last expression, whose value is to be shown."""
    docstring: str | None
    reads_last: bool
    """Whether the cell names ``_``, the last result, which lives among the builtins."""
    flags: int
    """Of the compiler, for the features of ``__future__`` that are in force."""

    @property
    def awaits(self) -> bool:
        """Whether the cell has an await outside of its functions."""
        return any(code is not None and code.co_flags & _CO_COROUTINE for code in (self.body, self.result))

    @property
    def codes(self) -> list[CodeType]:
        """What was made of the cell."""
        return [code for code in (self.body, self.result) if code is not None]

    def touches(self) -> list[CodeType]:
        """Return code objects which, taken together, name all that the cell can touch."""
        codes = self.codes
        # The last result may be any object of the session, and the code doesn't say which.
        return [*codes, _DYNAMIC] if self.reads_last else codes


class Runner:
    """Compiles and runs the cells of one session, in one namespace and on one event loop."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._future = 0
        self._loop: Any = None
        self._run_until_done: Any = None
        self._last_result_escaped = False

    def compile(self, code: str, filename: str, line: int) -> Compiled:
        """Compile `code`, whose first line is line `line` (from 0) of `filename`.

        Raises:
            SyntaxError: with line and text as in the document.
            ValueError, MemoryError, RecursionError, UnicodeEncodeError: for code that Python refuses otherwise.
        """
        # Empty lines before it give every later stage, its warnings and its errors the right line numbers.
        line = min(line, _MAX_LINE)
        flags = self._future | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        source = "\n" * line + code
        tree = _parse(source, filename, flags)
        statements = tree.body
        docstring = None
        if statements and isinstance(statements[0], ast.Expr) and isinstance(statements[0].value, ast.Constant):
            first = statements[0].value.value
            if isinstance(first, str):
                # Only the document's first string is its docstring, not that of any later cell.
                if line == 0 or self._namespace.get("__doc__") is None:
                    docstring = first
                if len(statements) > 1:
                    del statements[0]
        last = None
        if statements and isinstance(statements[-1], ast.Expr) and not _ends_with_semicolon(code, statements[-1], line):
            last = statements.pop()
        body = result = None
        try:
            if statements:
                tree.body = statements
                body = compile(tree, filename, "exec", flags, dont_inherit=True)
                # `from __future__ import ...` holds for the rest of the session, as it would in a file.
                flags |= body.co_flags & _FUTURE_FLAGS
            if isinstance(last, ast.Expr):
                result = compile(ast.Expression(last.value), filename, "eval", flags, dont_inherit=True)
        except SyntaxError as error:
            _quote(error, source)
            raise
        self._future = flags & _FUTURE_FLAGS
        reads_last = self._reads_last([*statements, *([last] if last else [])], body, result)
        return Compiled(body, result, docstring, reads_last, self._future)

    def execute(self, cell: Compiled) -> None:
        """Run a compiled cell; raises what it raises."""
        namespace = self._namespace
        # So that a cell run again warns again.
        namespace.pop("__warningregistry__", None)
        if cell.docstring is not None:
            namespace["__doc__"] = cell.docstring
        if cell.body is not None:
            self._evaluate(cell.body)
        if cell.result is not None:
            sys.displayhook(self._evaluate(cell.result))

    def make_event_loop(self) -> None:
        """Make the session's event loop if there is none; not while an interrupt could leave half of one."""
        if self._loop is None or self._loop.is_closed():
            from .awaiting import new_event_loop, run_until_done

            self._loop, self._run_until_done = new_event_loop(), run_until_done

    def compile_expression(self, expression: str) -> CodeType:
        """Compile an expression that is not part of the document."""
        code: CodeType = compile(expression.strip(), "<expression>", "eval", self._future, dont_inherit=True)
        return code

    def adopt_future_imports(self) -> None:
        """After a restore: features imported from __future__ before are in force again."""
        for value in list(self._namespace.values()):
            if isinstance(value, __future__._Feature):
                self._future |= value.compiler_flag

    def _evaluate(self, code: CodeType) -> Any:
        value = eval(code, self._namespace)
        if code.co_flags & _CO_COROUTINE:
            return self._run_until_done(self._loop, value)
        return value

    def _reads_last(self, statements: list[ast.stmt], *codes: CodeType | None) -> bool:
        """Find out whether ``_`` is the last result here; once a function names it, it may be in any later cell."""
        if "_" in self._namespace:
            return False
        if not self._last_result_escaped and any(code is not None and _names_last(code) for code in codes):
            self._last_result_escaped = any(map(_names_last, _nested(codes)))
            # `for _ in ...` and `_, x = ...` name it as well, but only to write.
            nodes = (node for statement in statements for node in ast.walk(statement))
            return any(isinstance(n, ast.Name) and n.id == "_" and isinstance(n.ctx, ast.Load) for n in nodes)
        return self._last_result_escaped


def _parse(source: str, filename: str, flags: int) -> ast.Module:
    try:
        tree: ast.Module = compile(source, filename, "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True)
    except SyntaxError:
        import warnings

        # To show the line and count its characters, the parser opens the file, which may differ from what is run;
        # where there is no file of that name it takes the source.
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile(source, "<cell>", "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True)
        except SyntaxError as error:
            if error.filename == "<cell>":
                error.filename = filename
            raise error from None
        raise
    return tree


def _quote(error: SyntaxError, source: str) -> None:
    """Mend an error of the compiler's later stages: they quote the file on disk, and count in UTF-8 bytes."""
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if error.lineno is None or not 0 < error.lineno <= len(lines):
        return
    error.text = lines[error.lineno - 1]
    error.offset = _characters(error.text, error.offset)
    if error.end_lineno == error.lineno:
        error.end_offset = _characters(error.text, error.end_offset)


def _characters(text: str, offset: int | None) -> int | None:
    if offset is None or offset < 1:
        return offset
    return len(text.encode()[: offset - 1].decode("utf-8", "replace")) + 1


def _nested(codes: Iterable[object]) -> list[CodeType]:
    constants = [constant for code in codes if isinstance(code, CodeType) for constant in code.co_consts]
    return [constant for constant in constants if isinstance(constant, CodeType)]


def _names_last(code: CodeType) -> bool:
    return "_" in code.co_names or any(map(_names_last, _nested([code])))


def _ends_with_semicolon(code: str, statement: ast.stmt, line: int) -> bool:
    if ";" not in code or statement.end_lineno is None or statement.end_col_offset is None:
        return False
    lines = code.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    # After the last statement come only blanks, semicolons and comments.
    rest = lines[statement.end_lineno - 1 - line].encode()[statement.end_col_offset :]
    return rest.lstrip().startswith(b";")
