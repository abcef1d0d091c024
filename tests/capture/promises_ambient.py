"""Promises about state that lies in no variable, in the form of `promises.py`."""

# ruff: noqa: E501 - cells are strings of one line

from __future__ import annotations

PLAIN: dict[str, tuple[list[str], list[str]]] = {
    "environment variables that were set, changed and deleted": (
        [
            "import os\nos.environ['HOLDFAST_DELETED'] = 'x'",
            "os.environ['HOLDFAST_A'] = 'ä'; os.environ['PATH'] += ':/holdfast'; del os.environ['HOLDFAST_DELETED']",
        ],
        [
            "os.environ['HOLDFAST_A'] == 'ä' == os.getenv('HOLDFAST_A')",
            "os.environ['PATH'].endswith(':/holdfast')",
            "'HOLDFAST_DELETED' not in os.environ",
        ],
    ),
    "changes of the search path": (
        [
            "import sys\nsys.path.insert(0, '/holdfast/first'); sys.path.append('/holdfast/last')",
            "sys.path.insert(sys.path.index('/holdfast/first') + 1, '/holdfast/second')",
        ],
        ["sys.path[:2] == ['/holdfast/first', '/holdfast/second']", "sys.path[-1] == '/holdfast/last'"],
    ),
    "settings of the interpreter": (
        [
            "import sys, gc, socket",
            "sys.setrecursionlimit(3210); gc.set_threshold(801, 9, 8); socket.setdefaulttimeout(7.5)",
            "sys.setswitchinterval(0.25); sys.argv = ['prog', '--flag']; sys.tracebacklimit = 50",
            "hasattr(sys, 'set_int_max_str_digits') and sys.set_int_max_str_digits(5000)",
        ],
        [
            "sys.getrecursionlimit() == 3210",
            "gc.get_threshold() == (801, 9, 8)",
            "socket.getdefaulttimeout() == 7.5",
            "sys.getswitchinterval() == 0.25",
            "sys.argv == ['prog', '--flag'] and sys.tracebacklimit == 50",
            "not hasattr(sys, 'set_int_max_str_digits') or sys.get_int_max_str_digits() == 5000",
        ],
    ),
    "the time zone": (
        ["import os, time", "os.environ['TZ'] = 'UTC-3'; time.tzset()"],
        ["time.timezone == -10800", "time.strftime('%H', time.localtime(0)) == '03'"],
    ),
    "the locale": (
        ["import locale", "locale.setlocale(locale.LC_NUMERIC, 'POSIX'); locale.setlocale(locale.LC_TIME, 'C.UTF-8')"],
        ["locale.setlocale(locale.LC_TIME).lower().replace('-', '') == 'c.utf8'"],
    ),
    "warnings filters, also for warnings of the session": (
        [
            "import warnings",
            "class Odd(UserWarning): pass",
            "warnings.simplefilter('error', Odd); warnings.filterwarnings('ignore', message='noise.*')",
            "def warned(text, kind):\n    try:\n        warnings.warn(text, kind)\n    except Warning as w:\n        return type(w)",
        ],
        ["warned('x', Odd) is Odd", "warned('noise!', UserWarning) is None", "warnings.filters[1][2] is Odd"],
    ),
    "the decimal context": (
        [
            "import decimal",
            "decimal.getcontext().prec = 6; decimal.getcontext().rounding = decimal.ROUND_UP; decimal.getcontext().traps[decimal.Inexact] = False",
            "mine = decimal.getcontext(); decimal.DefaultContext.prec = 11",
        ],
        [
            "str(decimal.Decimal(1) / 3) == '0.333334'",
            "decimal.getcontext() is mine",
            "decimal.DefaultContext.prec == 11",
            "mine.flags[decimal.Inexact]",
        ],
    ),
    "levels, handlers, filters and formats of loggers": (
        [
            "import io, logging",
            "stream = io.StringIO(); handler = logging.StreamHandler(stream); handler.setFormatter(logging.Formatter('%(levelname)s %(name)s: %(message)s'))",
            "log = logging.getLogger('holdfast.promises'); log.setLevel(15); log.addHandler(handler); log.propagate = False",
            "class Loud(logging.Filter):\n    def filter(self, record):\n        record.msg = str(record.msg).upper()\n        return True",
            "log.addFilter(Loud()); quiet = logging.getLogger('holdfast.quiet'); quiet.disabled = True",
            "logging.addLevelName(17, 'SEVENTEEN')",
        ],
        [
            "log.level == 15 and not log.propagate and quiet.disabled",
            "log.handlers[0] is handler and handler.stream is stream",
            "(log.log(17, 'hi'), stream.getvalue().endswith('SEVENTEEN holdfast.promises: HI\\n'))[1]",
            "isinstance(log.filters[0], Loud)",
        ],
    ),
    "logging as a whole": (
        [
            "import logging, warnings",
            "logging.captureWarnings(True); logging.disable(5)",
            "class Named(logging.Logger): pass",
            "logging.setLoggerClass(Named)",
        ],
        [
            "warnings.showwarning is logging._showwarning",
            "logging.root.manager.disable == 5",
            "logging.getLoggerClass() is Named",
            "(logging.captureWarnings(False), warnings.showwarning is not logging._showwarning, logging.captureWarnings(True))[1]",
            "logging.setLoggerClass(logging.Logger) is None and logging.setLoggerClass(Named) is None",
        ],
    ),
    "hooks that are functions of the session": (
        [
            "import sys",
            "calls = []\ndef hook(*about): calls.append(about)",
            "sys.excepthook = hook; sys.unraisablehook = hook",
        ],
        ["sys.excepthook is hook is sys.unraisablehook", "(sys.excepthook(1), calls[-1] == (1,))[1]"],
    ),
    "names among the builtins": (
        [
            "import builtins",
            "factor = 3\ndef times(n): return n * factor",
            "builtins.times = times; builtins.box = box = []\ndel times",
            "box.append(1); factor = 4",
        ],
        ["times(2) == 8", "builtins.box is box and box[0] == 1", "times.__globals__ is globals()"],
    ),
    "the docstring and the annotations of the module": (
        ["__doc__ = 'What this is.'", "class T: pass", "x: int = 1", "y: T = T()"],
        [
            "__doc__ == 'What this is.'",
            "__import__('sys').version_info >= (3, 14) or __annotations__ == {'x': int, 'y': T}",
        ],
    ),
    "state that the session declared": (
        [
            "import colorsys\nfrom _holdfast_kernel.capture.ambient import ambient",
            "shared = [1]\ndef read(): return getattr(colorsys, 'level', None)\ndef write(value): setattr(colorsys, 'level', value)",
            "ambient('level of colorsys', read, write)",
            "setattr(colorsys, 'level', shared)",
            "colorsys.level.append(2)",
        ],
        ["colorsys.level is shared", "shared[:2] == [1, 2]"],
    ),
}

WITH_NUMPY: dict[str, tuple[list[str], list[str]]] = {
    "how numpy prints and what it does about errors": (
        [
            "import numpy as np",
            "unit = 'm'\nnp.set_printoptions(precision=2, formatter={'int': lambda n: f'{n}{unit}'}); np.seterr(divide='call')",
            "seen = []\ndef err(kind, flag): seen.append(kind)\nold = np.seterrcall(err)",
        ],
        [
            "str(np.array([1.2345])) == '[1.23]' and str(np.array([3])) == '[3m]'",
            "(np.array([1.0]) / 0, len(seen) > 0)[1] and np.geterrcall() is err",
        ],
    ),
}

WITH_SKLEARN: dict[str, tuple[list[str], list[str]]] = {
    "how scikit-learn answers": (
        ["import sklearn", "sklearn.set_config(transform_output='pandas', enable_cython_pairwise_dist=False)"],
        [
            "sklearn.get_config()['transform_output'] == 'pandas'",
            "not sklearn.get_config()['enable_cython_pairwise_dist']",
        ],
    ),
}

WITH_POLARS: dict[str, tuple[list[str], list[str]]] = {
    "how polars prints": (
        ["import polars as pl", "pl.Config.set_tbl_rows(3); pl.Config.set_fmt_float('full')"],
        ["pl.Config.state()['set_fmt_float'] == 'full'", "str(pl.DataFrame({'a': range(10)})).count('…') >= 1"],
    ),
}

WITH_PANDAS: dict[str, tuple[list[str], list[str]]] = {
    "options of pandas": (
        [
            "import pandas as pd",
            "pd.set_option('display.max_rows', 7); pd.options.display.precision = 3; sign = '$'",
            "pd.set_option('display.float_format', lambda x: f'{sign}{x:.1f}')",
        ],
        [
            "pd.get_option('display.max_rows') == 7 and pd.options.display.precision == 3",
            "'$1.5' in str(pd.Series([1.5]))",
        ],
    ),
    "accessors that the session registered": (
        [
            "import pandas as pd",
            "@pd.api.extensions.register_dataframe_accessor('promise')\nclass Promise:\n    def __init__(self, frame): self.frame = frame\n    def width(self): return len(self.frame.columns) + more",
            "more = 1",
        ],
        ["pd.DataFrame({'a': [1], 'b': [2]}).promise.width() == 3", "pd.DataFrame.promise is Promise"],
    ),
}
