"""The standard library, and what comes beside it in the numpy notebooks of Kishu's table."""

# ruff: noqa: E501 - cells are strings of one line

from __future__ import annotations

from entry import Entry, Package

_NUMPY = Package("numpy", ("numpy",))
_STANDARD = Package("numpy", ())
_TYPING = Package("typing", ())
_PATHLIB = Package("pathlib", ())
_DILL = Package("dill", ("dill",))

ENTRIES: list[Entry] = [
    _NUMPY.entry(
        "numpy.ndarray",
        ("import numpy as np", "obj = np.arange(12.0).reshape(3, 4)", "view = obj[1:, ::2]; flat = obj.ravel()"),
        ("obj", "view", "obj.flags.c_contiguous, view.flags.owndata"),
        "view[0, 0] = -1; obj[2] *= 2",
        "np.shares_memory(obj, view)",
        "np.shares_memory(obj, flat)",
    ),
    _STANDARD.entry(
        "pickle",
        (
            "import io, pickle",
            "obj = pickle.loads(pickle.dumps({'a': [1, 2], 'b': {'c': (3,)}}))",
            "dumped = pickle.dumps(obj)",
        ),
        ("obj", "pickle.loads(dumped)"),
        "obj['a'].append(9); dumped = pickle.dumps(obj)",
        "pickle.loads(pickle.dumps(obj)) == obj",
    ),
    _STANDARD.entry(
        "json",
        (
            "import json",
            "obj = json.JSONEncoder(sort_keys=True, indent=2)",
            "decoder = json.JSONDecoder(parse_float=str)",
        ),
        ("obj.encode({'b': 1, 'a': [1.5]})", "decoder.decode('{\"x\": 1.50}')"),
        "obj.indent = None; obj.item_separator = ';'",
    ),
    _STANDARD.entry(
        "itertools",
        (
            "import itertools, copy",
            "obj = itertools.count(5, 3); next(obj)",
            "pairs = list(itertools.product('ab', [1, 2]))",
        ),
        ("repr(obj)", "pairs"),
        "next(obj); pairs.pop()",
    ),
    _STANDARD.entry(
        "hashlib",
        ("import hashlib", "obj = hashlib.sha256(b'one'); digest = obj.hexdigest()"),
        ("obj.hexdigest()",),
        "obj.update(b'two')",
        lost="HASH",
    ),
    _STANDARD.entry(
        "copy",
        ("import copy", "source = {'a': [1, [2]]}", "obj = copy.deepcopy(source); shallow = copy.copy(source)"),
        ("obj", "source", "shallow"),
        "obj['a'][1].append(3); shallow['a'].append(4)",
        "shallow['a'] is source['a']",
        "obj['a'] is not source['a']",
    ),
    _STANDARD.entry(
        "ast",
        ("import ast", "obj = ast.parse('x = 1 + y\\nf(x)')", "first = obj.body[0]"),
        ("ast.dump(obj, include_attributes=True)", "ast.unparse(obj)"),
        "first.targets[0].id = 'z'; ast.fix_missing_locations(obj)",
        "first is obj.body[0]",
    ),
    _STANDARD.entry(
        "dataclasses",
        (
            "import dataclasses",
            "@dataclasses.dataclass\nclass Point:\n    x: int\n    tags: list = dataclasses.field(default_factory=list)",
            "obj = Point(1, ['a']); again = dataclasses.replace(obj, x=2)",
        ),
        ("repr(obj)", "repr(again)", "[f.name for f in dataclasses.fields(Point)]"),
        "obj.tags.append('b')",
        "again.tags is obj.tags",
        "type(obj) is Point",
        "Point(3).tags == []",
    ),
    _STANDARD.entry(
        "uuid.UUID",
        ("import uuid", "obj = uuid.UUID(int=7)", "seen = {obj: 1}"),
        ("str(obj)", "list(seen)"),
        "obj = uuid.uuid5(uuid.NAMESPACE_DNS, 'a'); seen[obj] = 2",
        "seen[obj] in (1, 2)",
    ),
    _STANDARD.entry(
        "urllib.request.Request",
        (
            "import urllib.request",
            "obj = urllib.request.Request('http://localhost/a?b=1', data=b'x', headers={'A': 'b'}, method='PUT')",
        ),
        ("obj.full_url", "obj.data", "sorted(obj.header_items())", "obj.get_method()"),
        "obj.add_header('C', 'd'); obj.data = b'yy'",
    ),
    _STANDARD.entry(
        "datetime.timedelta",
        ("import datetime", "obj = datetime.timedelta(days=1, microseconds=7)"),
        ("obj", "obj.total_seconds()"),
        "obj += datetime.timedelta(hours=5)",
    ),
    _STANDARD.entry(
        "datetime.time",
        (
            "import datetime",
            "zone = datetime.timezone(datetime.timedelta(hours=2), 'X')",
            "obj = datetime.time(1, 2, 3, tzinfo=zone, fold=1)",
        ),
        ("obj", "obj.tzname()", "obj.fold"),
        "obj = obj.replace(hour=4)",
    ),
    _STANDARD.entry(
        "random.Random",
        ("import random", "obj = random.Random(3); first = obj.random()", "draw = obj.choice"),
        ("first", "obj.getstate()"),
        "first = draw([0.5, 0.25])",
        "draw.__self__ is obj",
    ),
    _STANDARD.entry(
        "re.Pattern",
        ("import re", "obj = re.compile(r'(?P<n>\\d+)', re.I)", "found = obj.match('12a').groupdict()"),
        ("obj.pattern, obj.flags, obj.groupindex['n']", "obj.findall('a1b22')", "found"),
        "obj = re.compile('(?P<n>b+)', re.M); found['n'] = obj.findall('abb')",
    ),
    _TYPING.entry(
        "typing",
        (
            "import typing",
            "T = typing.TypeVar('T')",
            "class Box(typing.Generic[T]):\n    def __init__(self, item: T): self.item = item",
            "obj = typing.Dict[str, typing.List[int]]; boxes = [Box[int](1)]; Pair = typing.NamedTuple('Pair', [('a', int)]); pair = Pair(1)",
        ),
        (
            "repr(obj)",
            "boxes[0].item",
            "repr(pair)",
            "typing.get_args(obj)",
            "typing.get_type_hints(Box.__init__)['item'].__name__",
        ),
        "obj = typing.Optional[int]; boxes[0].item = 5; pair = Pair(2)",
        "Box.__parameters__[0] is T",
        "isinstance(pair, Pair)",
        "boxes[0].__orig_class__ == Box[int]",
    ),
    _PATHLIB.entry(
        "pathlib.PosixPath",
        ("import pathlib", "obj = pathlib.Path('/tmp') / 'a' / 'b.txt'", "kept = {obj: obj.parent}"),
        ("obj", "obj.suffix", "list(kept.items())"),
        "obj = obj.with_suffix('.csv'); kept[obj] = obj.name",
    ),
    _DILL.entry(
        "dill",
        (
            "import dill",
            "import io",
            "obj = dill.loads(dill.dumps(lambda x: x + 1))",
            "buffer = dill.dumps({'a': obj})",
        ),
        ("obj(3)", "dill.loads(buffer)['a'](4)"),
        "obj = dill.loads(dill.dumps(lambda x: x * 2)); buffer = dill.dumps({'a': obj})",
    ),
]
