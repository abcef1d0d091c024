"""scikit-learn's objects come back with what their own pickles leave out."""

from __future__ import annotations

import pytest
from sessions import Session

pytest.importorskip("sklearn")

TREE = """\
from sklearn.tree import DecisionTreeClassifier
tree = DecisionTreeClassifier(random_state=0).fit([[n] for n in range(9)], [n % 3 for n in range(9)])
"""


def test_a_bunch_keeps_its_attributes_beside_its_items() -> None:
    session = Session()
    session.run(
        "from sklearn.utils import Bunch\n"
        "inner = [1]; bunch = Bunch(rows=inner)\n"
        "bunch._set_deprecated(2, new_key='new', deprecated_key='old', warning_message='gone soon')"
    )
    reborn = session.reborn()
    assert reborn.value("bunch") == session.value("bunch")
    assert reborn.value("vars(bunch)") == session.value("vars(bunch)") != {}
    assert reborn.value("bunch.rows is inner and type(bunch) is Bunch")
    assert not reborn.save().changed


@pytest.mark.parametrize("order", ["a, z", "z, a"])
def test_arrays_of_a_tree_still_show_the_trees_memory(order: str) -> None:
    session = Session()
    # Variables are pickled in the order of their names: once the tree comes first, once its arrays do.
    tree, thresholds = order.split(", ")
    session.run(TREE.replace("tree =", f"{tree} ="))
    session.run(f"{thresholds} = {tree}.tree_.threshold; part = {tree}.tree_.value[1:, 0, ::2]")
    for _ in range(2):
        session = session.reborn()
        assert session.value(f"{thresholds}.strides == {tree}.tree_.threshold.strides")
        session.run(f"{thresholds}[0] = 0.25; part[0, 1] = 0.75")
        assert session.value(f"{tree}.tree_.threshold[0]") == 0.25
        assert session.value(f"{tree}.tree_.value[1, 0, 2]") == 0.75
    session = session.reborn()
    assert session.value(f"({tree}.tree_.threshold == {thresholds}).all() and {thresholds}[0] == 0.25")
    assert session.value(f"{tree}.predict([[4]]).shape") == (1,)


def test_parts_of_an_array_that_compiled_code_made_share_its_memory() -> None:
    session = Session()
    session.run(f"{TREE}path = tree.decision_path([[1], [7]]); part = path.indices[1:4]; rest = part[1:]")
    assert session.value("type(path.indices.base) is not type(None)")
    for value in (70, 80):
        session = session.reborn()
        session.run(f"path.indices[2] = {value}")
        assert session.value("(part[1], rest[0])") == (value, value)


def test_constants_of_the_library_are_its_own_objects() -> None:
    session = Session()
    session.run(
        "from sklearn._loss.link import IdentityLink\n"
        "from sklearn._loss.loss import HalfSquaredError\n"
        "losses = [HalfSquaredError()]; other = HalfSquaredError()"
    )
    reborn = session.reborn()
    assert reborn.value("losses[0].interval_y_pred is other.interval_y_pred is IdentityLink.interval_y_pred")
    session.run("from sklearn._loss.link import IdentityLink; kept = [IdentityLink.interval_y_pred]")
    assert session.reborn().value("kept[0] is IdentityLink.interval_y_pred")
