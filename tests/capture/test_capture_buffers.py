"""What is large stays out of the stream: what is next to it may change without it being looked at or sent again."""

from __future__ import annotations

import threading

import pytest
from sessions import Session

SMALL = 5_000
"""Bytes that a change may cost which has nothing to do with what is large."""


def sent(session: Session, code: str) -> int:
    """Run a cell, and return how many bytes of streams and large buffers are sent to save what it changed."""
    before = session.sent
    snapshot = session.run(code)
    return session.sent - before + sum(len(component.stream) for component in snapshot.changed)


@pytest.mark.parametrize(
    "value",
    [
        "bytes(3 << 20)",
        "bytearray(3 << 20)",
        "'x' * (3 << 20)",
        "'€' * (1 << 20)",
        "memoryview(bytes(3 << 20))[1 << 10:]",
    ],
)
def test_what_stands_beside_large_bytes_and_texts_costs_what_it_is(value: str) -> None:
    session = Session()
    assert sent(session, f"box = {{'large': {value}, 'n': 1}}") > 2 << 20
    assert 0 < sent(session, "box['n'] = 2") < SMALL
    assert 0 < sent(session, "box['more'] = [1, 2]") < SMALL
    assert session.reborn().value(f"box == {{'large': {value}, 'n': 2, 'more': [1, 2]}}")


def test_a_changed_byte_of_a_large_bytearray_costs_a_chunk() -> None:
    session = Session()
    session.run("data = bytearray(8 << 20)")
    assert 0 < sent(session, "data[5 << 20] = 1") < (1 << 18) + SMALL
    assert session.reborn().value("len(data) == 8 << 20 and data[5 << 20] == 1 and sum(data) == 1")


def test_a_bytearray_can_be_resized_after_a_save_and_is_not_held() -> None:
    session = Session()
    session.run("data = bytearray(2 << 20); held = [data]")
    assert not sent(session, "other = 1; other = 1") > SMALL
    session.run("data.extend(b'end')")
    assert session.run("pass").changed == []
    assert session.reborn().value("data.endswith(b'end') and held[0] is data")


def test_while_a_thread_runs_a_bytearray_is_copied_so_that_the_thread_can_resize_it() -> None:
    session = Session()
    session.names["go"] = threading.Event()
    session.execute(
        "import threading\ndata = bytearray(2 << 20)\n"
        "thread = threading.Thread(target=go.wait, daemon=True); thread.start()"
    )
    try:
        snapshot = session.save(commit=False)
        session.value("data.extend(b'end')")
        assert sum(len(buffer) for component in snapshot.changed for buffer in component.buffers) == 2 << 20
    finally:
        session.value("go.set()")
        session.value("thread.join()")


TEXTS = "import numpy as np\ntexts = np.array([f'text {i}' for i in range(300_000)], dtype=object)\n"


def test_what_stands_beside_an_array_of_texts_costs_what_it_is() -> None:
    session = Session()
    assert sent(session, TEXTS + "box = [texts]") > 2 << 20
    assert 0 < sent(session, "box.append(1)") < SMALL
    assert sent(session, "texts[-1] = 'another'") < 2 << 20
    reborn = session.reborn()
    assert 0 < sent(reborn, "box.append(2)") < SMALL
    assert reborn.value("texts[-2] == 'text 299998' and texts[-1] == 'another' and box[0] is texts")


def test_texts_that_are_there_many_times_are_stored_once() -> None:
    session = Session()
    code = "import numpy as np\nlong = [str(i) * 5000 for i in range(9)]\ntexts = np.array(long * 1000, dtype=object)"
    session.run(code)
    (texts,) = [component for component in session.store.values() if component.members == ("texts",)]
    assert len(texts.stream) + sum(map(len, texts.buffers)) < 9 * 5000 + 9000 + SMALL
    assert session.reborn().value("texts.tolist() == long * 1000")


def test_what_moved_and_is_as_it_was_is_not_sent_again() -> None:
    session = Session()
    session.run("import numpy as np\narray = np.arange(500_000); box = [array]; n = 1")
    assert 0 < sent(session, "array = array.copy(); box = [array, 1]") < SMALL
    assert session.reborn().value("array.sum() == sum(range(500_000)) and box[0] is array")


@pytest.mark.parametrize(
    "frame",
    [
        "pd.DataFrame({'n': range(300_000), 's': [f'text {i}' for i in range(300_000)]})",
        "pd.DataFrame({'n': range(300_000), 's': pd.Series([f'text {i}' for i in range(300_000)], dtype=object)})",
        "pd.DataFrame({'n': range(300_000), 's': pd.array([f'text {i}' for i in range(300_000)], dtype='string')})",
        "pd.DataFrame({'s': pd.Categorical([*'abc'] * 500_000), 'n': pd.array([1, None, 3] * 500_000, dtype='Int64')})",
        "pd.DataFrame({'t': pd.date_range('2024', periods=300_000, freq='s', tz='Europe/Berlin')})",
    ],
)
def test_a_column_that_comes_to_a_frame_costs_itself(frame: str) -> None:
    pytest.importorskip("pandas")
    session = Session()
    assert sent(session, f"import pandas as pd\nframe = {frame}") > 1 << 20
    assert 0 < sent(session, "frame['small'] = True") < (2 << 20)
    assert 0 < sent(session, "frame.attrs['note'] = 1") < SMALL
    reborn = session.reborn()
    session.execute("made = frame")
    assert reborn.value("frame").equals(session.value("frame"))
    assert (reborn.value("frame.dtypes") == session.value("frame.dtypes")).all()


TABLE = "import pyarrow as pa\ntable = pa.table({'n': range(300_000), 's': [f'text {i}' for i in range(300_000)]})\n"


def test_arrow_tables_slices_and_columns_share_memory_and_are_stored_once() -> None:
    pytest.importorskip("pyarrow")
    session = Session()
    assert sent(session, TABLE) > 2 << 20
    assert 0 < sent(session, "part = table.slice(100, 1000); column = table['s']; box = [table]") < SMALL
    assert 0 < sent(session, "box.append(1)") < SMALL
    reborn = session.reborn()
    assert reborn.value(
        "part.num_rows == 1000 and part['s'][0].as_py() == 'text 100' and column[5].as_py() == 'text 5'"
    )
    places = reborn.value("{t.chunk(0).buffers()[2].address for t in (table['s'], part['s'], column)}")
    assert len(places) == 1
    assert reborn.value("table.equals(box[0]) and table is box[0]")


def test_what_comes_to_a_polars_frame_costs_what_it_is() -> None:
    pytest.importorskip("polars")
    session = Session()
    code = "import polars as pl, numpy as np\nn = 300_000; numbers = np.arange(n); texts = [str(i) for i in numbers]\n"
    code += "frame = pl.DataFrame({'n': numbers, 's': texts})"
    assert sent(session, code + "\nfirst = frame") > 3 << 20
    assert 0 < sent(session, "frame.insert_column(2, pl.Series('new', [1] * 10 + [None] * (n - 10)))") < 3 << 20
    session.run(
        "numbers = frame['n'].set_sorted(); parts = numbers.head(5000).append(numbers[:5]); nothing = pl.DataFrame()"
    )
    reborn = session.reborn()
    assert reborn.value("frame.schema") == session.value("frame.schema")
    assert reborn.value("frame").equals(session.value("frame"))
    assert reborn.value(
        "numbers.flags['SORTED_ASC'] and numbers.name == 'n' and numbers[-1] == n - 1 and first is frame"
    )
    assert reborn.value("len(parts) == 5005 and parts[-1] == 4 and nothing.shape == (0, 0)")


@pytest.mark.parametrize(
    ("library", "value", "change", "check"),
    [
        ("torch", "torch.zeros(1 << 20)", "value[1 << 19] = 5", "value[1 << 19].item() == 5"),
        ("torch", "torch.zeros(1 << 20)[100:]", "value[1 << 19] = 5", "value[1 << 19].item() == 5"),
        (
            "torch",
            "torch.nn.Linear(1000, 1000)",
            "with torch.no_grad(): value.weight[5, 7] = 9",
            "value.weight[5, 7].item() == 9",
        ),
        *(
            (
                "scipy.sparse",
                f"scipy.sparse.random(2000, 2000, 0.1, '{form}', random_state=0)",
                "value.data[1000] = 5",
                "value.data[1000] == 5",
            )
            for form in ("csr", "csc", "coo")
        ),
    ],
)
def test_a_changed_element_of_a_tensor_or_sparse_matrix_costs_a_chunk(
    library: str, value: str, change: str, check: str
) -> None:
    pytest.importorskip(library)
    session = Session()
    assert sent(session, f"import {library}\nvalue = {value}; box = {{'value': value}}") > 3 << 20
    assert 0 < sent(session, "box['n'] = 1") < SMALL
    assert 0 < sent(session, change) < (1 << 18) + SMALL
    assert session.reborn().value(f"box['value'] is value and {check}")
