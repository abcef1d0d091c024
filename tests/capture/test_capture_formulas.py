"""Models of formulas come back with the formula's terms and the place where it was evaluated."""

from __future__ import annotations

import pytest
from sessions import Session

pytest.importorskip("patsy")


def test_matrices_keep_what_patsy_knows_of_them_and_see_the_session() -> None:
    session = Session()
    session.run("import patsy; data = {'x': [1.0, 2.0, 4.0], 'g': list('aba'), 'y': [1, 2, 3]}; k = 3")
    session.run("def plus(v): return [one + k for one in v]")
    snapshot = session.run("y, X = patsy.dmatrices('y ~ plus(x) + C(g, Sum) + center(x)', data); same = X.design_info")
    assert not snapshot.skipped
    for one in (session, session.reborn(), session.reborn().reborn()):
        assert one.value("X.design_info is same and same.column_names[0] == 'Intercept' and X.shape == (3, 4)")
        one.run("k = 10; new = patsy.build_design_matrices([X.design_info], {'x': [1.0], 'g': ['b']})[0]")
        assert one.value("new.tolist()") == [[1, -1, 11, pytest.approx(-4 / 3)]]


def test_saving_results_of_statsmodels_changes_nothing_in_them() -> None:
    pytest.importorskip("statsmodels")
    session = Session()
    session.run(
        "import pandas as pd, statsmodels.formula.api as smf\n"
        "data = pd.DataFrame({'n': [1, 0, 2, 3, 1, 4, 2, 5], 'x': range(8)})\n"
        "poisson = smf.poisson('n ~ x', data).fit(disp=0); line = smf.ols('n ~ x', data).fit()"
    )
    assert session.value("poisson.mle_settings['callback'] is not None")
    reborn = session.reborn()
    assert reborn.value("poisson.mle_settings['callback'] is not None and line.model.data.frame is data")
    assert reborn.value("line.model.data.model_spec.factor_infos is not None")
    assert reborn.value("poisson.predict(data).tolist()") == session.value("poisson.predict(data).tolist()")
