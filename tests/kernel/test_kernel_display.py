"""Promises about rich display: MIME bundles, updates, matplotlib figures."""

from __future__ import annotations

import base64
import importlib.util
from typing import Any

import pytest
from driver import Answer, Kernel

needs_ipython = pytest.mark.skipif(importlib.util.find_spec("IPython") is None, reason="IPython is not installed")


def shown(answer: Answer) -> list[dict[str, Any]]:
    """Return the MIME bundles of everything shown."""
    return [output["data"] for output in answer.outputs if "data" in output]


def pictures(answer: Answer) -> int:
    """Return how many PNG pictures were shown."""
    return sum(base64.b64decode(data.get("image/png", "")).startswith(b"\x89PNG") for data in shown(answer))


@pytest.mark.parametrize(
    ("method", "content", "mime", "expected"),
    [
        ("_repr_html_", "'<b>'", "text/html", "<b>"),
        ("_repr_markdown_", "'*b*'", "text/markdown", "*b*"),
        ("_repr_latex_", "'$x$'", "text/latex", "$x$"),
        ("_repr_svg_", "'<svg/>'", "image/svg+xml", "<svg/>"),
        ("_repr_javascript_", "'1'", "application/javascript", "1"),
        ("_repr_png_", "b'png'", "image/png", "cG5n"),
        ("_repr_jpeg_", "b'jpg'", "image/jpeg", "anBn"),
        ("_repr_pdf_", "b'pdf'", "application/pdf", "cGRm"),
        ("_repr_png_", "'cG5n'", "image/png", "cG5n"),
        ("_repr_json_", "{'a': [1, float('nan'), {1}]}", "application/json", {"a": [1, None, "{1}"]}),
        ("_repr_html_", "('<b>', {'isolated': True})", "text/html", "<b>"),
    ],
)
def test_each_representation_is_shown_beside_the_text(
    lasting_kernel: Kernel, method: str, content: str, mime: str, expected: object
) -> None:
    answer = lasting_kernel.run(
        f"class C:\n  def {method}(self): return {content}\n  def __repr__(self): return 'C!'\nC()"
    )
    (output,) = answer.outputs
    assert output["data"] == {"text/plain": "C!", mime: expected}
    assert output["metadata"] == ({mime: {"isolated": True}} if "isolated" in content else {})


def test_a_mime_bundle_comes_first_and_is_completed(kernel: Kernel) -> None:
    answer = kernel.run(
        """
        class C:
            def _repr_mimebundle_(self, include=None, exclude=None):
                return {"text/html": "bundle", "application/x": {"k": 1}}, {"text/html": {"m": 1}}
            def _repr_html_(self): return "own"
            def _repr_latex_(self): return "latex"
        C()
        """
    )
    data, metadata = answer.outputs[0]["data"], answer.outputs[0]["metadata"]
    assert (data["text/html"], data["text/latex"]) == ("bundle", "latex")
    assert metadata == {"text/html": {"m": 1}}


def test_a_class_is_shown_as_itself_not_through_its_methods(kernel: Kernel) -> None:
    assert shown(kernel.run("class C:\n  def _repr_html_(self): return 'x'\nC")) == [
        {"text/plain": "<class '__main__.C'>"}
    ]


def test_an_object_that_answers_to_everything_is_shown_as_text(kernel: Kernel) -> None:
    answer = kernel.run("class C:\n  def __getattr__(self, name): return lambda *a, **k: name\nC()")
    assert list(shown(answer)[0]) == ["text/plain"]


def test_a_representation_that_raises_says_so(kernel: Kernel) -> None:
    answer = kernel.run("class C:\n  def __repr__(self): raise ValueError('no')\n[C(), 1]")
    assert answer["status"] == "ok"
    assert "its repr() raised ValueError: no>" in (answer.result or "")
    answer = kernel.run("class D:\n  def _repr_html_(self): raise ValueError('no')\nD()")
    assert "D._repr_html_() raised ValueError: no" in answer.stderr
    assert list(shown(answer)[0]) == ["text/plain"]


def test_long_containers_are_broken_into_lines_and_bounded(kernel: Kernel) -> None:
    assert kernel.value("{'a' * 40: ['b' * 30] * 2, 'c': (1,)}") == (
        "{'" + "a" * 40 + "': ['" + "b" * 30 + "',\n" + " " * 46 + "'" + "b" * 30 + "'],\n 'c': (1,)}"
    )
    text = kernel.value("list(range(10**6))")
    assert text.endswith("999,\n ...]")
    assert kernel.value("x = [1]; x.append(x); x") == "[1, [...]]"
    assert "..." in kernel.value("x = []\nfor _ in range(10**5): x = [x]\nx")
    assert kernel.value("{3, 1, 2}, set(), frozenset({1})") == "({1, 2, 3}, set(), frozenset({1}))"


def test_display_shows_now_and_may_be_updated(kernel: Kernel) -> None:
    answer = kernel.run("h = display('a', display_id='place')\nh.update('b')\nh.display('c')\ndisplay(1, 2)")
    kinds = [(o["output_type"], o["data"]["text/plain"], o.get("transient")) for o in answer.outputs]
    place = {"display_id": "place"}
    assert kinds == [
        ("display_data", "'a'", place),
        ("update_display_data", "'b'", place),
        ("display_data", "'c'", place),
        ("display_data", "1", None),
        ("display_data", "2", None),
    ]
    assert len(kernel.value("h2 = display(1, display_id=True); h2.display_id")) == 34


def test_raw_bundles_inclusion_and_clearing(kernel: Kernel) -> None:
    answer = kernel.run(
        """
        display({"text/html": "<i>", "image/png": b"png"}, raw=True)
        class C:
            def _repr_html_(self): return "h"
            def _repr_latex_(self): return "l"
        display(C(), include=["text/latex"])
        display(C(), exclude=["text/latex"], metadata={"k": 1})
        clear_output(wait=True)
        """
    )
    assert answer.outputs[0]["data"] == {"text/html": "<i>", "image/png": "cG5n"}
    assert set(answer.outputs[1]["data"]) == {"text/plain", "text/latex"}
    assert set(answer.outputs[2]["data"]) == {"text/plain", "text/html"}
    assert answer.outputs[2]["metadata"] == {"k": 1}
    assert answer.outputs[3] == {"output_type": "clear_output", "wait": True}


def test_a_result_can_be_shown_by_a_hook_of_the_users(kernel: Kernel) -> None:
    assert kernel.run("import sys\nsys.displayhook = lambda v: print('hooked', v)\n1 + 1").stdout == "hooked 2\n"


@needs_ipython
def test_ipythons_display_functions_work_without_its_shell(kernel: Kernel) -> None:
    answer = kernel.run(
        """
        from IPython.display import HTML, Image, Markdown, clear_output, display as show, update_display
        show(HTML("<b>x</b>"), display_id="a")
        update_display(Markdown("*y*"), display_id="a")
        clear_output()
        class Own:
            def _ipython_display_(self): show({"text/plain": "own"}, raw=True)
        Own()
        """
    )
    assert [data.get("text/html") or data.get("text/markdown") for data in shown(answer)[:2]] == ["<b>x</b>", "*y*"]
    assert answer.outputs[2]["output_type"] == "clear_output"
    assert shown(answer)[2:] == [{"text/plain": "own"}]


def test_open_figures_are_shown_at_the_end_of_the_cell_without_any_configuration(kernel: Kernel) -> None:
    answer = kernel.run("import matplotlib.pyplot as plt\nplt.plot([1, 2]);\nprint('text')")
    assert pictures(answer) == 1
    assert answer.events[-1][0] == "output"
    assert pictures(kernel.run("1")) == 0
    assert kernel.value("plt.get_fignums()") == "[]"


def test_show_shows_figures_in_order_among_the_text(kernel: Kernel) -> None:
    answer = kernel.run(
        """
        import matplotlib.pyplot as plt
        for n in range(2):
            print(n)
            plt.figure(); plt.plot([n, 1])
            plt.show()
        print("end")
        """
    )
    assert [kind for kind, _ in answer.merged] == ["stdout", "output", "stdout", "output", "stdout"]
    assert pictures(answer) == 2


def test_a_figure_as_the_result_is_shown_once_and_again_when_asked_for(kernel: Kernel) -> None:
    assert pictures(kernel.run("import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot([1])\nfig")) == 1
    assert pictures(kernel.run("fig")) == 1
    assert pictures(kernel.run("ax.set_title('t')\ndisplay(fig)")) == 1


def test_a_failing_cell_still_shows_what_it_drew(kernel: Kernel) -> None:
    answer = kernel.run("import matplotlib.pyplot as plt\nplt.plot([1])\n1/0")
    assert (pictures(answer), answer["error"]["ename"]) == (1, "ZeroDivisionError")


def test_a_figure_that_cannot_be_drawn_is_the_cells_error_and_is_not_kept(kernel: Kernel) -> None:
    answer = kernel.run("import matplotlib.pyplot as plt\nplt.title(r'$\\broken{$');")
    assert (answer["status"], answer["error"]["ename"]) == ("error", "ValueError")
    assert kernel.run("1")["status"] == "ok"


@pytest.mark.parametrize("way", ["import matplotlib; matplotlib.use('svg')", "environment"])
def test_a_backend_the_user_chose_is_respected(kernel: Kernel, way: str) -> None:
    kernel.run("import os; os.environ['MPLBACKEND'] = 'svg'" if way == "environment" else way)
    answer = kernel.run("import matplotlib.pyplot as plt\nplt.plot([1])\nplt.get_backend().lower()")
    assert (answer.result, pictures(answer)) == ("'svg'", 0)


def test_subprocesses_have_a_matplotlib_of_their_own(kernel: Kernel) -> None:
    answer = kernel.run(
        """
        import matplotlib.pyplot as plt, os, subprocess, sys
        code = "import matplotlib.pyplot as p; p.plot([1]); p.savefig('x.png'); print(p.get_backend().lower())"
        os.environ.pop("DISPLAY", None)
        subprocess.run([sys.executable, "-c", code], check=True)
        """
    )
    assert answer.stdout == "agg\n"


def test_importing_nothing_means_nothing_of_ours_is_imported(kernel: Kernel) -> None:
    assert (
        kernel.value("import sys; [m for m in sys.modules if m.partition('.')[0] in ('matplotlib', 'numpy')]") == "[]"
    )
