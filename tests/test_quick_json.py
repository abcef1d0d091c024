"""JSON that is written for every run: whatever text it holds, the standard library reads it the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.quick_json import dumps, loads

texts = st.text(st.characters(codec=None), max_size=8) | st.sampled_from(["\ud800", "a\udfffb", "\0", "é😀", '"\\'])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_any_value_is_read_as_it_was_written_here_and_by_the_standard_library(value: Any) -> None:
    written = dumps(value)
    assert loads(written) == value
    assert json.loads(written) == value


@given(values)
def test_what_the_standard_library_writes_is_read_as_it_reads_it(value: Any) -> None:
    written = json.dumps(value).encode("ascii") + b"   "
    assert loads(written) == json.loads(written) == value


@pytest.mark.parametrize("noise", [b"", b"{", b"\xff", b'{"a": 1} x', b"[1,]"])
def test_what_is_not_json_is_refused(noise: bytes) -> None:
    with pytest.raises(ValueError):
        loads(noise)
