"""State that lies in no variable is there after a `kill -9`, in a new kernel of a new daemon."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import opened, until_gone

STANDARD = '''"""What this file is."""
import decimal, locale, logging, os, random, sys, warnings
import holdfast
count: int = 0
os.environ["HOLDFAST_TEST"] = "set"; sys.path.insert(0, "/holdfast/lib"); sys.setrecursionlimit(2500)
decimal.getcontext().prec = 5
locale.setlocale(locale.LC_NUMERIC, "POSIX")
class Odd(UserWarning): pass
warnings.simplefilter("error", Odd)
logging.basicConfig(level=logging.INFO, format="%(levelname)s|%(message)s")
log = logging.getLogger("app")
log.addHandler(logging.FileHandler("app.log", mode="w")); log.info("before")
random.seed(5)
where = {"level": 1}
def read(): return where["level"], marks
def write(state): where["restored"] = state
holdfast.ambient("level", read, write)
marks = []
'''
STANDARD_CHECKS = """
import io
answers = [
    __doc__, __annotations__ == {"count": int}, os.environ["HOLDFAST_TEST"], sys.path[0], sys.getrecursionlimit(),
    str(decimal.Decimal(1) / 3), random.getstate() == random.Random(5).getstate(), warnings.filters[0][2] is Odd,
    where["restored"][0], where["restored"][1] is marks,
]
log.info("after")
answers.append(open("app.log").read())
"""
LIBRARIES = """
import matplotlib, pandas as pd, numpy as np
import matplotlib.pyplot as plt
plt.style.use("ggplot"); plt.rcParams["font.sans-serif"].insert(0, "Own")
pd.set_option("display.precision", 2); np.set_printoptions(precision=3)
del pd
"""


async def test_ambient_state_survives_kill_nine_of_the_daemon(folder: Path) -> None:
    async with opened(folder) as first:
        assert (await first.run("a.py", STANDARD))["state"]["status"] == "saved"
        await first.kill()
    await until_gone(folder)
    async with opened(folder) as second:
        run = await second.run("a.py", STANDARD_CHECKS, options={"collectOutputs": True})
        assert run["status"] == "ok", run
        assert "INFO|after\n" in "".join(output.get("text", "") for output in run["outputs"])
        assert await second.value("a.py", "answers") == repr(
            [
                "What this file is.",
                True,
                "set",
                "/holdfast/lib",
                2500,
                "0.33333",
                True,
                True,
                1,
                True,
                "before\nafter\n",
            ]
        )
        state = await second.state("a.py")
        assert not state.get("skipped")


async def test_options_of_libraries_survive_and_wait_for_the_import_of_what_no_variable_needs(folder: Path) -> None:
    for name in ("matplotlib", "pandas"):
        pytest.importorskip(name)
    async with opened(folder) as first:
        assert (await first.run("a.py", LIBRARIES))["state"]["status"] == "saved"
        await first.kill()
    await until_gone(folder)
    async with opened(folder) as second:
        await second.run("a.py", "import sys\nwaits = 'pandas' not in sys.modules\nimport pandas as pd")
        options = (
            "[waits, plt.rcParams['axes.facecolor'], plt.rcParams['font.sans-serif'][0], str(np.array([1.23456]))]"
        )
        assert await second.value("a.py", options) == "[True, '#E5E5E5', 'Own', '[1.235]']"
        assert await second.value("a.py", "pd.get_option('display.precision')") == "2"
