"""Promises about looking at variables while cells run, and about looking deeper while none does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from driver import Kernel


def variables(kernel: Kernel, match: str | None = None) -> dict[str, dict[str, Any]]:
    """Return the listing by name."""
    return {v["name"]: v for v in kernel.ask("variables", match=match)["variables"]}


def inspect(kernel: Kernel, expression: str, **page: Any) -> dict[str, Any]:
    """Return the result of an inspection."""
    result: dict[str, Any] = kernel.ask("inspect", expression=expression, **page)["result"]
    json.dumps(result, allow_nan=False)
    return result


def test_variables_are_listed_in_the_order_they_were_made(kernel: Kernel) -> None:
    kernel.run("b = 1; a = 'x'; _private = 2; __dunder__ = 3; _ = 4; import os", cell=2)
    assert list(variables(kernel)) == ["b", "a", "_private", "os"]
    assert list(variables(kernel, "?")) == ["b", "a"]


def test_variables_and_plain_names_are_answered_while_a_cell_runs(kernel: Kernel) -> None:
    kernel.run("x = [1, 2]")
    kernel.start("print('now')\nwhile True: pass")
    kernel.wait_for_output("now")
    assert variables(kernel)["x"]["preview"] == "[1, 2]"
    assert inspect(kernel, "x")["rows"] == [[0, 1], [1, 2]]
    assert kernel.ask("inspect", expression="x[0]")["error"]["kind"] == "busy"
    kernel.send("interrupt")
    kernel.finish()
    assert inspect(kernel, "x[0]")["data"]["text/plain"] == "1"


def test_no_code_of_the_users_runs_on_the_control_thread(kernel: Kernel) -> None:
    kernel.run(
        """
        class Trap:
            def __repr__(self): bad()
            __len__ = __iter__ = __str__ = __hash__ = __eq__ = __bool__ = __sizeof__ = __getattr__ = __repr__
            __class__ = property(lambda self: bad())
            __slots__ = ("a", "__dict__")
            @property
            def shape(self): bad()
            def __init__(self): self.a = 1
        class Meta(type):
            __name__ = __bases__ = __module__ = __mro__ = property(lambda cls: bad())
            def __eq__(cls, other): bad()
            __hash__ = __instancecheck__ = __subclasscheck__ = __getattr__ = __repr__ = __call__ = __eq__
        def bad():
            import os
            os._exit(1)
        class Made(metaclass=Meta): pass
        class Hidden:
            __dict__ = property(lambda self: bad())
        hidden = Hidden()
        trap, traps, made = Trap(), [Trap(), {"k": Trap()}], object.__new__(Made)
        """
    )
    kernel.start("print('now')\nwhile True: pass")
    kernel.wait_for_output("now")
    listed = variables(kernel)
    assert listed["trap"]["type"] == "Trap"
    assert listed["trap"]["preview"] == "<Trap>"
    assert listed["hidden"]["preview"] == "<Hidden>"
    assert listed["Made"]["preview"] == "class Made"
    for name in ("trap", "traps", "made", "Made", "Trap", "hidden"):
        inspect(kernel, name)
    kernel.send("interrupt")
    assert kernel.finish()["status"] == "interrupted"


def test_errors_of_an_inspection_have_a_kind(kernel: Kernel) -> None:
    kernel.run("x = 1")
    for expression, kind in (
        ("y", "name"),
        ("x +", "syntax"),
        ("x / 0", "error"),
        ("exit()", "error"),
        ("x = 2", "syntax"),
    ):
        assert kernel.ask("inspect", expression=expression)["error"]["kind"] == kind
    assert kernel.value("x") == "1"


def test_an_inspection_that_does_not_end_can_be_interrupted(kernel: Kernel) -> None:
    kernel.run("def f():\n  print('now')\n  while True: pass")
    kernel.send("inspect", id=5, expression="f()")
    kernel.wait_for_output("now")
    kernel.send("interrupt")
    assert kernel.wait_for("inspected").header["error"]["message"] == "KeyboardInterrupt"
    assert kernel.value("1") == "1"


def test_lists_and_dicts_are_paged_sorted_and_filtered(kernel: Kernel) -> None:
    kernel.run("x = list(range(1000, 0, -1)); d = {f'k{n}': n for n in range(5)}; m = [3, 'b', None, 1.5, 'a']")
    assert len(inspect(kernel, "x")["rows"]) == 50
    page = inspect(kernel, "x", offset=998, limit=10)
    assert (page["rows"], page["total"]) == ([[998, 2], [999, 1]], 1000)
    assert inspect(kernel, "x", sort="value", limit=2)["rows"] == [[999, 1], [998, 2]]
    assert inspect(kernel, "x", filter="99", limit=1)["total"] == 19
    assert inspect(kernel, "d", sort={"column": "value", "descending": True}, limit=1)["rows"] == [["k4", 4]]
    assert inspect(kernel, "d", filter="K3")["rows"] == [["k3", 3]]
    assert [row[1] for row in inspect(kernel, "m", sort="value")["rows"]] == [1.5, 3, None, "a", "b"]
    assert [column["name"] for column in inspect(kernel, "d")["columns"]] == ["key", "value"]
    assert inspect(kernel, "{3}")["rows"] == [[0, 3]]


def test_values_are_plain_json(kernel: Kernel) -> None:
    kernel.run(
        "import datetime, decimal\nx = [float('nan'), float('inf'), 2**80, True, None, datetime.date(2020, 1, 2)]"
    )
    kernel.run("x += [decimal.Decimal('1.50'), b'ab', '\\ud800', datetime.datetime(2020, 1, 2, 3)]")
    assert [row[1] for row in inspect(kernel, "x")["rows"]] == [
        None,
        "inf",
        str(2**80),
        True,
        None,
        "2020-01-02",
        "Decimal('1.50')",
        "b'ab'",
        "\\ud800",
        "2020-01-02T03:00:00",
    ]


def test_frames_are_paged_sorted_and_filtered(kernel: Kernel) -> None:
    kernel.run(
        """
        import pandas as pd
        times = pd.to_datetime(["2020-01-01", None, "2020-01-03"])
        df = pd.DataFrame({"a": [3, 1, 2], "t": times, "s": ["x", "y", None]})
        multi = df.set_index(["a", "s"])
        """
    )
    listed = variables(kernel)["df"]
    assert (listed["type"], listed["preview"], listed["shape"]) == ("DataFrame", "DataFrame 3 × 3", [3, 3])
    assert listed["bytes"] > 0
    page = inspect(kernel, "df")
    assert page["rows"][0] == [0, 3, "2020-01-01T00:00:00", "x"]
    assert page["rows"][1] == [1, 1, None, "y"]
    assert page["columns"][:2] == [{"name": "index", "dtype": "int64", "index": True}, {"name": "a", "dtype": "int64"}]
    assert "<table" in page["data"]["text/html"]
    assert [row[1] for row in inspect(kernel, "df", sort="a")["rows"]] == [1, 2, 3]
    assert [row[1] for row in inspect(kernel, "df", sort=[{"column": "a", "descending": True}], limit=2)["rows"]] == [
        3,
        2,
    ]
    assert inspect(kernel, "df", filter="a > 1")["total"] == 2
    assert inspect(kernel, "multi", limit=1)["rows"] == [[3, "x", "2020-01-01T00:00:00"]]
    assert inspect(kernel, "df.a", sort="index", offset=2)["rows"] == [[2, 2]]
    assert inspect(kernel, "df.index")["rows"] == [[0, 0], [1, 1], [2, 2]]
    assert "column" in kernel.ask("inspect", expression="df", sort="nope")["error"]["message"]
    assert kernel.ask("inspect", expression="df", filter="nope > 1")["error"]["kind"] == "error"


def test_arrays_are_paged_and_sorted(kernel: Kernel) -> None:
    kernel.run(
        "import numpy as np\na = np.array([[3., np.nan], [1., 2.]]); v = np.arange(10**6)[::-1]; z = np.float32(1.5)"
    )
    assert variables(kernel)["a"]["preview"] == "float64 (2, 2)"
    assert variables(kernel)["v"]["shape"] == [10**6]
    assert variables(kernel)["z"]["preview"] == "1.5"
    assert inspect(kernel, "a")["rows"] == [[0, 3.0, None], [1, 1.0, 2.0]]
    assert inspect(kernel, "a", sort="0")["rows"] == [[1, 1.0, 2.0], [0, 3.0, None]]
    page = inspect(kernel, "v", sort="value", limit=1)
    assert (page["rows"], page["total"]) == ([[999_999, 0]], 10**6)
    assert len(inspect(kernel, "np.zeros((2, 500))")["columns"]) == 201


@pytest.mark.parametrize(
    ("code", "kind", "preview"),
    [
        ("x = 10**5000", "int", "<int of 16610 bits>"),
        ("x = 'a' * 10**6", "str", "'" + "a" * 80 + "'…"),
        ("x = list(range(100))", "list", "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …]"),
        ("x = {'a': [1, (2,)]}", "dict", "{'a': [1, (2,)]}"),
        ("x = []; x.append(x)", "list", "[[[[…]]]]"),
        ("def x(a, /, b=1, *c, d, e='q', **f): ...", "function", "def x(a, /, b=1, *c, d, e='q', **f)"),
        ("async def x(*, k): ...", "function", "async def x(*, k)"),
        ("class B: ...\nclass x(B): ...", "type", "class x(B)"),
        ("import json as x", "module", "module json 2.0.9"),
        ("import enum\nclass E(enum.Enum): A = 1\nx = E.A", "E", "E.A"),
        (
            "import dataclasses\n@dataclasses.dataclass\nclass P:\n  a: int\n  b: str\nx = P(1, 'z')",
            "P",
            "P(a=1, b='z')",
        ),
        ("import pathlib; x = pathlib.Path('/a')", "PosixPath", "PosixPath('/a')"),
        ("import datetime; x = datetime.date(2020, 1, 2)", "date", "datetime.date(2020, 1, 2)"),
        ("x = object()", "object", "<object>"),
        ("x = len", "builtin_function_or_method", "builtin len"),
        ("x = [].append", "builtin_function_or_method", "builtin append"),
        ("x = (i for i in [])", "generator", "<generator>"),
        ("x = 'two\\nlines'", "str", "'two\\nlines'"),
        ("x = '\\ud800'", "str", "'\\ud800'"),
        ("import collections; x = collections.deque([1])", "deque", "deque([1])"),
        ("import collections; x = collections.deque([1, 2, 3], 2)", "deque", "deque([2, 3], maxlen=2)"),
        ("import collections; x = collections.Counter('hell')", "Counter", "Counter({'h': 1, 'e': 1, 'l': 2})"),
        (
            "import collections; x = collections.defaultdict(list, a=[1])",
            "defaultdict",
            "defaultdict(class list, {'a': [1]})",
        ),
        ("import collections; x = collections.OrderedDict(b=1)", "OrderedDict", "OrderedDict({'b': 1})"),
        ("import collections; x = collections.Counter()", "Counter", "Counter({})"),
        ("x = True", "bool", "True"),
        ("x = range(5)", "range", "range(0, 5)"),
    ],
)
def test_previews_say_what_a_value_is(lasting_kernel: Kernel, code: str, kind: str, preview: str) -> None:
    lasting_kernel.run(code)
    listed = variables(lasting_kernel)["x"]
    assert (listed["type"], listed["preview"]) == (kind, preview)


def test_a_size_is_only_told_where_it_is_known(kernel: Kernel) -> None:
    kernel.run("g = (i for i in [])\nclass C: ...\nc = C()\nn = 1\nl = [1]\ndef f(): ...")
    listed = variables(kernel)
    assert {name for name in listed if "bytes" in listed[name]} == {"n", "l"}


def test_a_frame_of_a_users_class_is_shown_without_asking_it(kernel: Kernel) -> None:
    kernel.run(
        "import pandas as pd\n"
        "def asked(self, *rest): raise SystemExit('user code ran')\n"
        "class Frame(pd.DataFrame):\n"
        "    shape = dtypes = index = columns = property(asked)\n"
        "    __len__ = __repr__ = __getattr__ = __getattribute__ = asked\n"
        "class Column(pd.Series):\n"
        "    shape = dtype = index = property(asked)\n"
        "    __len__ = __repr__ = asked\n"
        "f = pd.DataFrame({'a': [1, 2, 3]}); f.__class__ = Frame\n"
        "s = pd.Series([1, 2]); s.__class__ = Column"
    )
    listed = variables(kernel)
    assert (listed["f"]["type"], listed["f"]["preview"], listed["f"]["shape"]) == ("Frame", "Frame 3 × 1", [3, 1])
    assert (listed["s"]["type"], listed["s"]["preview"], listed["s"]["shape"]) == ("Column", "Column int64 2", [2])
