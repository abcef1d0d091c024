"""Objects of one library that have nothing to do with each other are saved apart."""

from __future__ import annotations

import dataclasses

import pytest
from sessions import Session, changed_names


def saved_by(setup: list[str], change: str) -> set[str]:
    """Return what a change saves."""
    session = Session()
    for cell in setup:
        session.run(cell)
    return changed_names(session.run(change))


def test_two_figures_are_saved_apart() -> None:
    drawn = "ax.plot([1], label='x'); ax.legend(); ax.scatter([1], [2]); ax.imshow([[1]]); ax.text(0, 0, 'x')"
    setup = [
        "from matplotlib.figure import Figure",
        f"one = Figure(); ax = one.subplots(); {drawn}",
        f"other = Figure(); ax = other.subplots(); {drawn}; del ax",
    ]
    assert saved_by(setup, "one.suptitle('changed')") == {"one"}


def test_arrays_with_the_same_type_of_structures_are_saved_apart() -> None:
    setup = [
        "import numpy as np; kind = np.dtype([('a', int), ('b', float)])",
        "one = np.zeros(2, kind)",
        "other = np.zeros(2, kind)",
    ]
    assert saved_by(setup, "one['a'] = 1; other['a']") == {"one"}


@pytest.mark.parametrize(
    ("library", "setup"),
    [
        ("sympy", "import sympy; x = sympy.Symbol('x'); one = [x + 1]; other = [x * 2]"),
        ("astropy", "from astropy import units as u; one = [[1, 2] * u.m]; other = [[3, 4] * u.m]"),
        ("plotly", "import plotly.graph_objects as go; one = [go.Figure()]; other = [go.Figure()]"),
        ("torch", "import torch; one = [torch.ones(1)]; other = [torch.ones(1)]"),
    ],
)
def test_objects_with_parts_of_a_library_in_common_are_saved_apart(library: str, setup: str) -> None:
    pytest.importorskip(library)
    assert saved_by([setup], "one.append(1); other[0]") == {"one"}


@pytest.mark.parametrize(("device", "written"), [("mps", b"\x8c\x03mps"), ("xpu", b"\x8c\x03xpu")])
def test_tensors_of_a_device_that_is_not_there_are_on_the_cpu_and_that_is_said(device: str, written: bytes) -> None:
    torch = pytest.importorskip("torch")
    if getattr(torch, device).is_available():
        pytest.skip("the device that the tensors are said to come from is there")
    session = Session()
    session.run("import torch; weights = torch.arange(3.0); row = weights[1:]")
    for key, component in session.store.items():
        if "weights" in component.members:
            # As a machine with that device would have written it.
            stream = bytes(component.stream).replace(b"\x8c\x03cpu", written)
            session.store[key] = dataclasses.replace(component, stream=stream)
    with pytest.warns(UserWarning, match=f"that were on {device} are on the CPU now"):
        reborn = session.reborn()
    assert reborn.value("(weights.tolist(), weights.device.type)") == ([0.0, 1.0, 2.0], "cpu")
    assert reborn.value("row.untyped_storage().data_ptr() == weights.untyped_storage().data_ptr()")
