"""What must be true of a session after its process has died: cells, and expressions that hold before and after.

Each entry is ``name: (cells, checks)``. Cells are saved one by one; the checks are made in the process that ran them,
in one that restored them, and in a third that restored what the second saved again.
"""

# ruff: noqa: E501 - cells are strings of one line

from __future__ import annotations

PLAIN: dict[str, tuple[list[str], list[str]]] = {
    "an alias is the same object": (
        ["a = [1, 2]", "b = a", "c = {'inner': b}", "b.append(3)"],
        ["a is b", "c['inner'] is a", "a == [1, 2, 3]"],
    ),
    "a cycle is a cycle": (
        ["a = []", "a.append(a)", "d = {}; d['me'] = [d]"],
        ["a[0] is a", "d['me'][0] is d"],
    ),
    "large bytes and texts, also within others, and those with lone surrogates": (
        [
            "raw = bytes(range(256)) * 8000; held = [raw, {'again': raw}]; array = bytearray(raw); part = memoryview(array)[5:]",
            "text = 'abc' * 500_000; texts = {'wide': 'ä€😀' * 400_000, 'lone': '\\ud800x' * 600_000}; texts['again'] = texts['wide']",
            "medium = [b'x' * 70_000, 'y' * 70_000, bytearray(70_000), 1]; medium.append(medium[0])",
            "held.append(1); array[3] = 99; texts['n'] = 1",
        ],
        [
            "raw == bytes(range(256)) * 8000 and held[0] == raw and held[0] is held[1]['again'] and held[2:] == [1]",
            "type(array) is bytearray and array[3] == 99 and array[:3] + array[4:] == raw[:3] + raw[4:]",
            "part[0] == array[5] and part.obj is array",
            "text == 'abc' * 500_000 and texts['wide'] == 'ä€😀' * 400_000 and texts['wide'] is texts['again']",
            "texts['lone'] == '\\ud800x' * 600_000 and texts['n'] == 1",
            "medium[:4] == [b'x' * 70_000, 'y' * 70_000, bytearray(70_000), 1] and medium[4] is medium[0]",
        ],
    ),
    "variables that share a part still share it": (
        ["part = {'n': 0}", "x = [part]", "y = (part, 1)", "x[0]['n'] = 7"],
        ["x[0] is y[0] is part", "y[0]['n'] == 7"],
    ),
    "a function sees the session's globals, also those bound later": (
        ["def f(): return later + 1", "later = 4", "later = 9"],
        ["f() == 10", "f.__globals__ is globals()", "globals().update(later=1) or f() == 2"],
    ),
    "global statements work": (
        ["n = 0\ndef count():\n    global n\n    n += 1\n    return n", "count()", "count()"],
        ["n >= 2", "count() == n"],
    ),
    "closures share their cell": (
        [
            "def make():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n    def get(): return n\n    return up, get",
            "up, get = make()",
            "up(); up()",
        ],
        [
            "get() >= 2",
            "(lambda before: (up(), get() == before + 1)[1])(get())",
            "up.__closure__[0] is get.__closure__[0]",
        ],
    ),
    "default arguments are shared": (
        ["box = []", "def put(x, into=box): into.append(x); return into", "put(1)"],
        ["put.__defaults__[0] is box", "put(2) is box"],
    ),
    "attributes, keyword defaults, annotations and names of functions": (
        [
            "def f(a: int, *, k=[1]) -> 'str':\n    'Doc.'\nf.note = {'n': 1}",
            "f.__kwdefaults__['k'].append(2)",
        ],
        [
            "f.note == {'n': 1}",
            "f.__kwdefaults__ == {'k': [1, 2]}",
            "f.__doc__ == 'Doc.'",
            "f.__annotations__ == {'a': int, 'return': 'str'}",
            "f.__qualname__ == 'f'",
            "f.__module__ == '__main__'",
        ],
    ),
    "recursion and mutual recursion": (
        [
            "def fact(n): return 1 if n < 2 else n * fact(n - 1)",
            "def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and even(n - 1)",
            "def outer():\n    def rec(n): return 0 if n == 0 else 1 + rec(n - 1)\n    return rec\nr = outer()",
        ],
        ["fact(5) == 120", "even(10) and odd(7)", "r(5) == 5"],
    ),
    "a function rebound while the old one is held": (
        ["def f(): return 1", "kept = [f]", "def f(): return 2"],
        ["f() == 2", "kept[0]() == 1", "kept[0] is not f"],
    ),
    "decorators and wraps": (
        [
            "import functools",
            "def twice(f):\n    @functools.wraps(f)\n    def w(*a): return 2 * f(*a)\n    return w",
            "@twice\ndef g(x): return x + base",
            "base = 3",
        ],
        ["g(1) == 8", "g.__wrapped__(1) == 4", "g.__name__ == 'g'"],
    ),
    "bound methods and partials": (
        [
            "import functools",
            "class C:\n    def __init__(self): self.n = 0\n    def up(self): self.n += 1",
            "c = C(); m = c.up; p = functools.partial(c.up)",
            "l = []; push = l.append",
        ],
        ["m.__self__ is c", "p.func.__self__ is c", "push.__self__ is l", "(lambda n: (m(), c.n == n + 1)[1])(c.n)"],
    ),
    "instances know their class": (
        ["class C:\n    def hi(self): return 'hi'", "o = C()", "os = [C(), o]"],
        ["type(o) is C", "isinstance(os[0], C)", "os[1] is o", "o.hi() == 'hi'", "C.__module__ == '__main__'"],
    ),
    "a class changed after instances were saved": (
        ["class C: pass", "o = C()", "C.extra = 5\nC.say = lambda self: self.extra"],
        ["o.extra == 5", "o.say() == 5", "type(o) is C"],
    ),
    "a class redefined while instances of the old one live": (
        ["class C: v = 1", "old = C()", "class C: v = 2", "new = C()"],
        ["old.v == 1 and new.v == 2", "not isinstance(old, C)", "type(old).__name__ == 'C'", "type(old) is not C"],
    ),
    "super, class cells and inheritance": (
        [
            "class A:\n    def who(self): return ['A']",
            "class B(A):\n    def who(self): return ['B'] + super().who()\n    def me(self): return __class__",
            "b = B()",
        ],
        ["b.who() == ['B', 'A']", "b.me() is B", "B.__mro__[1] is A"],
    ),
    "slots stay slots": (
        [
            "class S:\n    __slots__ = ('x', '__y')\n    def __init__(self): self.x = 1; self.__y = 2\n    def y(self): return self.__y",
            "class T(S):\n    __slots__ = ['z', '__weakref__']",
            "s = S(); t = T(); t.z = s",
        ],
        [
            "s.x == 1 and s.y() == 2",
            "not hasattr(s, '__dict__')",
            "not hasattr(t, '__dict__')",
            "t.z is s",
            "T.__slots__ == ['z', '__weakref__']",
            "__import__('weakref').ref(t)() is t",
        ],
    ),
    "properties, class methods, static methods and descriptors": (
        [
            "class Named:\n    def __set_name__(self, owner, name): calls.append(name); self.name = name\n"
            "    def __get__(self, o, t=None): return (self.name, limit)",
            "calls = []; limit = 3",
            "class C:\n    d = Named()\n    @property\n    def p(self): return self.v\n    @p.setter\n    def p(self, x): self.v = x\n"
            "    @classmethod\n    def k(cls): return cls\n    @staticmethod\n    def s(x): return x + limit",
            "c = C(); c.p = 4",
        ],
        ["c.p == 4", "C.k() is C", "C.s(1) == 4", "c.d == ('d', 3)", "calls == ['d']"],
    ),
    "metaclasses run once": (
        [
            "made = []",
            "class M(type):\n    def __new__(m, name, bases, ns, tag=None):\n        c = super().__new__(m, name, bases, ns)\n"
            "        made.append(name); c.tag = tag\n        return c\n    def __init__(c, name, bases, ns, **kw): pass\n"
            "    def __len__(c): return 42",
            "class C(metaclass=M, tag='t'): pass",
            "c = C()",
        ],
        ["made == ['C']", "C.tag == 't'", "len(C) == 42", "type(C) is M", "type(c) is C"],
    ),
    "init_subclass runs once and the registry is the class's own": (
        [
            "class Base:\n    registry = []\n    def __init_subclass__(cls, /, **kw):\n        super().__init_subclass__(**kw); Base.registry.append(cls)",
            "class One(Base): pass",
            "class Two(Base): pass",
            "o = One()",
        ],
        [
            "Base.registry == [One, Two]",
            "Base.registry[0] is One",
            "type('Three', (Base,), {}) is Base.registry[-1]",
            "type(o) is One",
        ],
    ),
    "dataclasses": (
        [
            "from dataclasses import dataclass, field, fields, replace, MISSING, asdict",
            "@dataclass(order=True)\nclass P:\n    x: int\n    tags: list = field(default_factory=list)\n    y: int = 2",
            "@dataclass(frozen=True, slots=True)\nclass F:\n    a: int = 1",
            "p = P(1); q = P(2, ['t']); f = F()",
        ],
        [
            "p == P(1)",
            "p < q",
            "replace(p, x=5).x == 5",
            "P(3).tags == []",
            "P(3).tags is not P(3).tags",
            "[n.name for n in fields(P)] == ['x', 'tags', 'y']",
            "fields(P)[0].default is MISSING",
            "asdict(q)['tags'] == ['t']",
            "f == F(1) and hash(f) == hash(F(1))",
            "not hasattr(f, '__dict__')",
            "repr(p) == 'P(x=1, tags=[], y=2)'",
        ],
    ),
    "enums": (
        [
            "import enum; made = []",
            "class Color(enum.Enum):\n    RED = 1\n    CRIMSON = 1\n    BLUE = 'b'\n    def hot(self): return self is Color.RED",
            "class Perm(enum.Flag):\n    R = enum.auto(); W = enum.auto(); RW = R | W",
            "class Num(enum.IntEnum):\n    ONE = 1",
            "class Planet(enum.Enum):\n    EARTH = (1, 2)\n    def __init__(self, m, r): made.append(m); self.mass = m",
            "r = Color.RED; both = Perm.R | Perm.W; d = {Color.BLUE: 1}; one = Num.ONE; e = Planet.EARTH",
        ],
        [
            "r is Color.RED",
            "Color.CRIMSON is Color.RED",
            "Color(1) is r",
            "Color['BLUE'] in d",
            "list(Color) == [r, Color.BLUE]",
            "r.hot()",
            "both is Perm.RW",
            "(Perm.R | Perm.W) is both",
            "one is Num.ONE and one == 1",
            "isinstance(one, int)",
            "e is Planet.EARTH and e.mass == 1",
            "made == [1]",
            "len(Color) == 2",
        ],
    ),
    "named tuples": (
        [
            "import collections, typing",
            "A = collections.namedtuple('A', 'x y', defaults=[5])",
            "class B(typing.NamedTuple):\n    x: int\n    y: str = 'y'\n    def both(self): return (self.x, self.y)",
            "a = A(1); b = B(2)",
        ],
        [
            "a == A(1, 5)",
            "a._replace(x=2) == (2, 5)",
            "b.both() == (2, 'y')",
            "type(b) is B",
            "b._asdict() == {'x': 2, 'y': 'y'}",
            "B._fields == ('x', 'y')",
        ],
    ),
    "generics, type variables, protocols and typed dicts": (
        [
            "import typing\nfrom typing import Generic, TypeVar, Protocol, TypedDict, runtime_checkable",
            "T = TypeVar('T', bound=int)",
            "class Box(Generic[T]):\n    def __init__(self, v: T): self.v = v",
            "class IntBox(Box[int]): pass",
            "@runtime_checkable\nclass HasV(Protocol):\n    def close(self): ...",
            "class TD(TypedDict, total=False):\n    a: int",
            "b = Box[int](1); i = IntBox(2); td = TD(a=1)",
        ],
        [
            "Box.__parameters__ == (T,)",
            "Box.__parameters__[0] is T",
            "Box.__orig_bases__[0].__args__[0] is T",
            "T.__bound__ is int",
            "isinstance(i, Box)",
            "IntBox.__orig_bases__ == (Box[int],)",
            "isinstance(open, object)",
            "not isinstance(b, HasV)",
            "TD.__annotations__ == {'a': int}",
            "TD.__total__ is False",
            "td == {'a': 1}",
        ],
    ),
    "abstract classes and their registry": (
        [
            "import abc",
            "class Shape(abc.ABC):\n    @abc.abstractmethod\n    def area(self): ...",
            "class Square(Shape):\n    def area(self): return 4",
            "class Other: pass",
            "Shape.register(Other)",
            "s = Square(); o = Other()",
            "def fails():\n    try: Shape()\n    except TypeError: return True",
        ],
        [
            "isinstance(s, Shape)",
            "isinstance(o, Shape)",
            "fails()",
            "s.area() == 4",
            "Shape.__abstractmethods__ == {'area'}",
        ],
    ),
    "single dispatch, cached functions and cached properties": (
        [
            "import functools",
            "@functools.singledispatch\ndef show(x): return 'any'",
            "@show.register\ndef _int(x: int): return 'int'",
            "class K: pass",
            "@show.register(K)\ndef _k(x): return 'K'",
            "@functools.lru_cache(maxsize=7)\ndef slow(n): return n + base",
            "base = 1; slow(2)",
            "class P:\n    @functools.cached_property\n    def v(self): return [base]\n    @functools.lru_cache\n    def m(self): return base",
            "p = P(); first = p.v",
        ],
        [
            "show(1) == 'int' and show('') == 'any' and show(K()) == 'K'",
            "slow(4) == 4 + base",
            "slow.cache_parameters()['maxsize'] == 7",
            "slow.__wrapped__.__name__ == 'slow'",
            "p.v is first",
            "P().v == [base]",
            "p.m() == base",
        ],
    ),
    "weak references": (
        [
            "import weakref",
            "class N: pass",
            "n = N(); r = weakref.ref(n); s = weakref.WeakSet([n]); d = weakref.WeakValueDictionary({'n': n}); k = weakref.WeakKeyDictionary({n: 1})",
            "dead = weakref.ref(N()); x = weakref.proxy(n); n.v = 3",
        ],
        ["r() is n", "n in s and len(s) == 1", "d['n'] is n", "k[n] == 1", "dead() is None", "x.v == 3"],
    ),
    "coroutine functions and generator functions": (
        [
            "import asyncio",
            "async def go(): return v",
            "def gen():\n    yield v",
            "async def agen():\n    yield v",
            "v = 5",
        ],
        [
            "asyncio.run(go()) == 5",
            "list(gen()) == [5]",
            "asyncio.iscoroutinefunction(go)",
            "agen().__anext__ is not None",
        ],
    ),
    "monkeypatching a session object": (
        ["class C: pass", "c = C(); c.run = lambda: c", "C.other = c"],
        ["c.run() is c", "C.other is c"],
    ),
    "attributes that the session set on imported modules and classes": (
        [
            "import functools, string, json.decoder, colorsys, fractions",
            "string.LEVEL = 3",
            "string.LEVEL += 1\nstring.box = box = [1]",
            "box.append(2)",
            "fractions.Fraction.doubled = lambda self: 2 * self + len(box)",
            "def count():\n    string.COUNT = getattr(string, 'COUNT', 0) + 1",
            "count()",
            "count()",
            "original = colorsys.hsv_to_rgb\n@functools.wraps(original)\ndef patched(*a): return ('patched', original(*a))\ncolorsys.hsv_to_rgb = patched",
            "string.gone = 1",
            "del string.gone",
            "json.decoder.JSONDecoder.mine = classmethod(lambda cls: cls.__name__)",
        ],
        [
            "string.LEVEL == 4",
            "string.box is box and box == [1, 2]",
            "fractions.Fraction(1, 2).doubled() == 3",
            "string.COUNT == 2",
            "(lambda n: (count(), string.COUNT == n + 1)[1])(string.COUNT) and not setattr(string, 'COUNT', 2)",
            "colorsys.hsv_to_rgb is patched",
            "colorsys.hsv_to_rgb(0, 0, 1) == ('patched', (1, 1, 1))",
            "not hasattr(string, 'gone')",
            "json.decoder.JSONDecoder.mine() == 'JSONDecoder'",
        ],
    ),
    "sets and keys that refer to each other": (
        [
            "import dataclasses",
            "class N:\n    def __init__(self, n): self.n = n; self.peers = set()\n    def __hash__(self): return hash(self.n)\n    def __eq__(self, other): return self.n == other.n",
            "a = N(1); b = N(2); a.peers.add(b); b.peers.add(a)",
            "@dataclasses.dataclass(frozen=True)\nclass Key:\n    path: tuple\n    seen: dict = dataclasses.field(default_factory=dict, compare=False)",
            "key = Key(('x', 1)); key.seen[key] = key",
            "class Slots:\n    __slots__ = ('name', 'index')\n    def __hash__(self): return hash(self.name)\n    def __eq__(self, other): return self is other",
            "s = Slots(); s.name = 'q'; s.index = {s: 1}",
        ],
        [
            "b in a.peers and a in b.peers",
            "next(iter(a.peers)) is b",
            "key.seen[Key(('x', 1))] is key",
            "s.index[s] == 1",
        ],
    ),
    "pickle and copy work on session objects": (
        [
            "import pickle, copy",
            "class C:\n    def __eq__(self, o): return self.__dict__ == o.__dict__",
            "c = C(); c.v = [1]",
            "def f(): pass",
        ],
        [
            "pickle.loads(pickle.dumps(c)) == c",
            "copy.deepcopy(c) == c",
            "type(copy.copy(c)) is C",
            "pickle.loads(pickle.dumps(f)) is f",
        ],
    ),
    "sentinels keep their identity": (
        [
            "import dataclasses, inspect",
            "S = object()",
            "def f(x=S, y=dataclasses.MISSING, z=inspect.Parameter.empty): return (x is S, y is dataclasses.MISSING, z is inspect.Parameter.empty)",
            "holder = [S, NotImplemented, ..., None]",
        ],
        ["f() == (True, True, True)", "holder[0] is S", "holder[1] is NotImplemented and holder[2] is ..."],
    ),
    "bytearrays and memoryviews share memory": (
        ["b = bytearray(b'0123456789')", "m = memoryview(b)[2:6]", "r = memoryview(b'abc')", "m[0] = 65"],
        [
            "m.obj is b",
            "bytes(m) == bytes(b[2:6])",
            "(b.__setitem__(3, 90), m[1] == 90)[1]",
            "r.readonly and bytes(r) == b'abc'",
        ],
    ),
    "context managers as decorators, and before they are entered": (
        [
            "import contextlib; steps = []",
            "@contextlib.contextmanager\ndef step(name):\n    steps.append(name)\n    try:\n        yield name\n    finally:\n        steps.append(None)",
            "@step('deco')\ndef inside():\n    return len(steps)",
            "waiting = step('later'); inside()",
        ],
        [
            "steps == ['deco', None]",
            "(steps.clear(), inside() == 1, steps == ['deco', None])[1:] == (True, True)",
            "inside.__wrapped__() == 2",
            "type(waiting).__name__ == '_GeneratorContextManager' and waiting.args == ('later',) and waiting.func is step.__wrapped__",
        ],
    ),
    "containers of the standard library": (
        [
            "import collections, array, types, queue, threading",
            "def none(): return None",
            "od = collections.OrderedDict(b=1, a=2); dd = collections.defaultdict(list, x=[1]); dq = collections.deque([1, 2], maxlen=3)",
            "cn = collections.Counter('aab'); ar = array.array('d', [1.5]); ns = types.SimpleNamespace(od=od); mp = types.MappingProxyType(od)",
            "keys = dd.keys(); lock = threading.Lock(); ch = collections.ChainMap(od, dd); sl = slice(1, [2], 3); dd2 = collections.defaultdict(none)",
        ],
        [
            "list(od) == ['b', 'a']",
            "dd['new'] == []",
            "dq.maxlen == 3 and list(dq) == [1, 2]",
            "cn['a'] == 2",
            "ar[0] == 1.5",
            "ns.od is od",
            "(od.__setitem__('c', 3), mp['c'] == 3)[1]",
            "'new' in keys",
            "lock.acquire(False) and lock.release() is None",
            "ch.maps[0] is od",
            "dd2['k'] is None",
        ],
    ),
    "imports under any name": (
        ["import os.path as p, xml.dom.minidom as x", "import json as j; from math import sqrt as root, pi"],
        ["p.join('a', 'b') == 'a/b'", "x.Document is not None", "j is __import__('json')", "root(4) == 2.0 and pi > 3"],
    ),
    "exceptions": (
        [
            "class E(Exception):\n    def __init__(self, a, b): super().__init__('both'); self.a = a",
            "try:\n    try: 1 / 0\n    except ZeroDivisionError as z: raise E(1, 2) from z\nexcept E as e: kept = e",
            "o = OSError(2, 'no', 'file')",
        ],
        [
            "kept.a == 1 and str(kept) == 'both'",
            "type(kept) is E",
            "type(kept.__cause__) is ZeroDivisionError",
            "o.errno == 2 and o.filename == 'file'",
        ],
    ),
    "the namespace itself in a variable": (
        ["g = globals()", "import sys; me = sys.modules['__main__']", "h = [g]"],
        ["g is globals()", "h[0] is g", "me.__dict__ is g"],
    ),
    "functions with namespaces of their own": (
        ["ns = {}\nexec('def f(): return k\\nk = 1', ns)", "f = ns['f']", "ns['k'] = 2"],
        ["f() == ns['k'] == 2", "f.__globals__ is ns", "ns['__builtins__'] is __import__('builtins').__dict__ or True"],
    ),
    "modules made by hand": (
        [
            "import types",
            "m = types.ModuleType('m')\nexec('k = [1]\\ndef f(): return k', m.__dict__)",
            "n = m; ks = m.k",
        ],
        ["n is m", "m.k is ks", "m.f() == [1]"],
    ),
    "modules made by hand and put where imports find them": (
        [
            "import sys, types",
            "m = types.ModuleType('by_hand'); m.x = [1]; sys.modules['by_hand'] = m",
            "import by_hand\nbox = m.x",
        ],
        ["by_hand is m and m.x is box", "__import__('by_hand') is m"],
    ),
    "class in a function, nested classes": (
        [
            "def make(n):\n    class Local:\n        size = n\n        def f(self): return n\n    return Local",
            "A = make(1); B = make(2); a = A()",
            "class Out:\n    class In:\n        def v(self): return Out\no = Out.In()",
        ],
        [
            "a.f() == 1 and B().f() == 2",
            "type(a) is A and A is not B",
            "o.v() is Out",
            "type(o) is Out.In",
            "type(o).__qualname__ == 'Out.In'",
        ],
    ),
    "subclasses of builtins": (
        [
            "class L(list):\n    pass\nclass D(dict):\n    def __missing__(self, k): return default\nclass I(int): pass\nclass St(str): pass\nclass Tu(tuple): pass",
            "default = 3; l = L([1]); l.n = l; d = D(a=l); i = I(5); i.x = 1; s = St('s'); t = Tu([1, l])",
        ],
        [
            "l.n is l",
            "d['zz'] == 3",
            "d['a'] is l",
            "i + 1 == 6 and i.x == 1",
            "s == 's' and type(s) is St",
            "t[1] is l and type(t) is Tu",
        ],
    ),
    "iterators go on where they were": (
        [
            "import itertools as I, collections, sys",
            "data = [1, 2, 3, 4, 5, 6]; known = {}; later = sys.version_info >= (3, 14)",
            "def odd(n): return n % 2",
            "its = dict(l=iter(data), r=reversed(data), s=iter('abcdef'), d=iter(dict(zip('abcdef', data))), v=reversed(dict(zip('abcdef', data)).items()), e=enumerate(data), z=zip(data, 'abcdef'), m=map(str, data), f=filter(odd, [1, 1, 1, 1, 1, 3]), g=iter(range(9)))",
            "its.update(count=I.count(3), count2=I.count(0.5, 2), repeat=I.repeat(4, 9), cycle=I.cycle('ab'), cycle2=I.cycle(data), chain=I.chain('abc', data), star=I.starmap(pow, [(2, 3)] * 9), ff=I.filterfalse(odd, [0, 2, 4, 6, 8]), compress=I.compress('abcdef', [1] * 6), zl=I.zip_longest(data, iter('abcdef')), acc=I.accumulate(data), acc2=I.accumulate(data, max, initial=2), pw=I.pairwise(data))",
            "if not later: its.update(islice=I.islice(data, 1, None), tw=I.takewhile(odd, [1] * 9), dw=I.dropwhile(odd, data), p=I.product('aab', data), pm=I.permutations(data), cb=I.combinations('aabb', 2), cr=I.combinations_with_replacement('abc', 2), gb=I.groupby(data), tee=I.tee(data)[1])",
            "behind = {name: [next(it), next(it), next(it)] for name, it in its.items()}",
        ],
        [
            "next(its['l']) == 4 and next(its['r']) == 3 and next(its['s']) == 'd' and next(its['d']) == 'd' and next(its['v']) == ('c', 3)",
            "next(its['e']) == (3, 4) and next(its['z']) == (4, 'd') and next(its['m']) == '4' and next(its['f']) == 1 and next(its['g']) == 3",
            "next(its['count']) == 6 and next(its['count2']) == 6.5 and list(its['repeat']) == [4] * 6 and next(its['cycle']) == 'b' and next(its['cycle2']) == 4",
            "list(its['chain']) == data and len(list(its['star'])) == 6 and list(its['ff']) == [6, 8] and list(its['compress']) == list('def')",
            "list(its['zl']) == [(4, 'd'), (5, 'e'), (6, 'f')] and list(its['acc']) == [10, 15, 21] and list(its['acc2']) == [3, 4, 5, 6] and list(its['pw']) == [(4, 5), (5, 6)]",
            "later or (next(its['islice']) == 5 and len(list(its['tw'])) == 6 and list(its['dw']) == [5, 6] and next(its['p']) == ('a', 4))",
            "later or next(its['pm']) == (1, 2, 3, 5, 6, 4) and next(its['cb']) == ('a', 'b') and next(its['cr']) == ('b', 'b') and next(its['gb'])[0] == 4 and next(its['tee']) == 4",
        ],
    ),
    "open files go on where they were": (
        [
            "import tempfile, os, io, gzip; d = tempfile.mkdtemp(); p = os.path.join(d, 'f.txt'); q = os.path.join(d, 'g.gz')",
            "w = open(p, 'w', encoding='utf-8'); w.write('äöü\\n' * 2000)",
            "r = open(p, encoding='utf-8'); first = next(r)\nwith gzip.open(q, 'wt') as z: z.write('one\\ntwo\\n')",
            "import sys; out = sys.stdout.buffer; z = gzip.open(q, 'rt'); z.readline(); raw = open(p, 'rb'); raw.seek(7); same = [w, raw.raw]; c = open(p); c.close()",
            "s = io.StringIO('abc'); s.read(1); b = io.BytesIO(b'abc'); b.read(1)",
        ],
        [
            "os.path.getsize(p) == 14000",
            "same[0] is w and w.mode == 'w' and w.name == p and w.tell() == 14000 and same[1] is raw.raw",
            "r.readline() == first == 'äöü\\n' and r.tell() == 14 and len(r.read()) == 4 * 1998",
            "raw.read(7) == first.encode() and z.readline() == 'two\\n'",
            "s.read() == 'bc' and b.read() == b'bc' and c.closed and c.name == p and out is sys.stdout.buffer",
        ],
    ),
    "locks, queues and what threads share": (
        [
            "import threading, queue, contextvars, asyncio",
            "e = threading.Event(); e.set(); s = threading.Semaphore(3); s.acquire(); b = threading.Barrier(2); r = threading.RLock(); c = threading.Condition(r)",
            "part = [1]; q = queue.Queue(5); q.put(part); p = queue.PriorityQueue(); p.put(2); p.put(1); l = queue.LifoQueue(); l.put(1); l.put(2)",
            "sq = queue.SimpleQueue(); sq.put(1); sq.put(part); sq.put(3); sq.get(); same = [sq, e]",
            "loc = threading.local(); loc.v = part; a = asyncio.Event(); a.set()",
            "cv = contextvars.ContextVar('cv', default=part); cw = contextvars.ContextVar('cw'); cw.set(part); ctx = contextvars.Context(); ctx.run(cv.set, 7); cvs = {cv: 1}",
            "def ask(): return cv.get()",
        ],
        [
            "e.is_set() and s._value == 2 and b.parties == 2 and c._lock is r and r.acquire(False) and a.is_set()",
            "same == [sq, e] and sq.qsize() == 2 and sq.get() is part and sq.get() == 3",
            "q.get() is part and q.maxsize == 5 and p.get() == 1 and l.get() == 2",
            "loc.v is part and cv.get() is part and cw.get() is part and ctx[cv] == 7 and cv.name == 'cv' and cv in cvs and ask() is part",
        ],
    ),
    "databases": (
        [
            "import sqlite3; c = sqlite3.connect(':memory:'); c.row_factory = sqlite3.Row; held = [c]",
            "c.execute('create table t (a, b)'); c.execute('insert into t values (1, 2)'); c.commit(); row = c.execute('select * from t').fetchone()",
        ],
        [
            "held[0] is c and dict(c.execute('select * from t').fetchone()) == {'a': 1, 'b': 2}",
            "row['b'] == 2 and tuple(row) == (1, 2)",
        ],
    ),
    "small things of the standard library": (
        [
            "import re, struct, random, functools, json, argparse, weakref, ctypes, logging",
            "m = re.search('(b)(x)?', 'abab', re.I); ms = list(re.finditer('a', 'aaa')); st = struct.Struct('<IH'); sr = random.SystemRandom(); key = functools.cmp_to_key(lambda a, b: b - a)",
            "dec = json.JSONDecoder(parse_int=float); log = logging.getLogger('a.b')",
            "ap = argparse.ArgumentParser(); ap.add_argument('--q', default=argparse.SUPPRESS, help=argparse.SUPPRESS); sub = ap.add_subparsers(dest='cmd'); go = sub.add_parser('go'); go.add_argument('n', type=int)",
            "class A:\n    def m(self): return self\na = A(); wm = weakref.WeakMethod(a.m); said = []; fin = weakref.finalize(a, said.append, 1); fin.atexit = False",
            "ca = (ctypes.c_int * 3)(1, 2, 3); ci = ctypes.c_double(2.5)",
            "import sys, threading; mt = threading.main_thread(); about = [sys.version_info, sys.flags, sys.implementation]; li = type(iter([]))",
        ],
        [
            "m.span() == (1, 2) and m.groups() == ('b', None) and m.re.flags & re.I and [x.start() for x in ms] == [0, 1, 2]",
            "st.pack(1, 2) == b'\\x01\\0\\0\\0\\x02\\0' and 0 <= sr.random() < 1 and sorted([1, 3, 2], key=key) == [3, 2, 1]",
            "dec.decode('[1]') == [1.0] and type(dec.decode('1')) is float and log is logging.getLogger('a.b')",
            "vars(ap.parse_args(['go', '3'])) == {'cmd': 'go', 'n': 3} and '--q' not in ap.format_help()",
            "wm()() is a and fin.alive and fin.peek()[0] is a and fin.peek()[1].__self__ is said and not fin.atexit",
            "list(ca) == [1, 2, 3] and ci.value == 2.5",
            "mt is threading.main_thread() and about[0] is sys.version_info and about[2].name == sys.implementation.name and li is type(iter([]))",
        ],
    ),
    "csv readers and writers go on in their files": (
        [
            "import csv, tempfile, os; d = tempfile.mkdtemp(); p = os.path.join(d, 'a.csv')",
            "f = open(p, 'w', newline=''); w = csv.DictWriter(f, ['a', 'b'], delimiter=';'); w.writeheader(); w.writerow({'a': 1, 'b': 2}); w.writerow({'a': 3, 'b': 4})",
            "f.flush(); g = open(p, newline=''); r = csv.DictReader(g, delimiter=';'); first = next(r); plain = csv.reader(['x', '\"y\"'], quoting=csv.QUOTE_ALL); next(plain)",
        ],
        [
            "r.line_num == 2 and next(r) == {'a': '3', 'b': '4'} and r.line_num == 3 and next(plain) == ['y'] and plain.line_num == 2",
            "g.readline() == '' and w.writerow({'a': 5, 'b': 6}) == 5 and f.flush() is None and open(p).read().endswith('3;4\\n5;6\\n')",
            "f.seek(0, 2) and f.truncate(os.path.getsize(p) - 5) and f.seek(0, 2) and f.flush() is None",
        ],
    ),
    "types that the user registered": (
        [
            "import holdfast",
            "class H:\n    def __init__(self, items): self.items = items; self.it = (i for i in items)",
            "def save(h): return {'items': h.items}\ndef load(state): return H(state['items'])",
            "holdfast.register(H, save, load)",
            "items = [1, 2]; h = H(items); hs = [h]",
            "items.append(3)",
        ],
        ["type(h) is H", "h.items is items == [1, 2, 3]", "hs[0] is h", "next(h.it) == 1", "H in __holdfast__"],
    ),
    "sets of numbers are iterated over in the order in which they were": (
        [
            "a = set(range(1000, 0, -37)); b = frozenset(set(range(0, 9000, 171))); c = set(range(500)); c.difference_update(range(3, 490))",
            "d = {(i * 7919 % 1009, i) for i in range(30)}; e = {1.5 * i for i in range(40)} | {8, 16, 24}; f = frozenset(range(4096, 0, -511)); words = {'b', 'c'}",
            "held = {'a': [a, a], 'b': b}; orders = [list(one) for one in (a, b, c, d, e, f)]",
            "a.add(2048); a.discard(1000); orders[0] = list(a)",
        ],
        [
            "orders == [list(one) for one in (a, b, c, d, e, f)]",
            "held['a'][0] is held['a'][1] is a and held['b'] == b and type(b) is type(f) is frozenset and words == {'b', 'c'}",
        ],
    ),
    "generators and coroutines that have not begun": (
        [
            "import asyncio; data = [1, 2]; seen = []",
            "def scaled(k):\n    def each(n, *more, start=0, **named):\n        seen.append(n)\n        for i in range(n): yield i * k + start, more, named\n    return each",
            "g = scaled(2)(2, data, start=1, box=data); held = [g]; pairs = (x * y for x in data for y in data)",
            "async def add(x): return x + data[0]\nasync def count(n):\n    for i in range(n): yield i\nasync def listed(a): return [x async for x in a]",
            "waiting = add(5); later = count(2); both = zip(data, (c for c in 'ab'))",
            "data.append(3)",
        ],
        [
            "held[0] is g and g.__qualname__ == 'scaled.<locals>.each' and seen == []",
            "g.gi_frame.f_locals['more'][0] is data and list(pairs.gi_frame.f_locals['.0']) is not None",
            "later.ag_frame is not None and both is not None and waiting.cr_frame.f_locals == {'x': 5}",
        ],
    ),
    "generators and coroutines at their end": (
        [
            "import asyncio, contextlib; g = (c for c in 'ab'); rest = list(g)",
            "async def add(x): return x + 1\nasync def count():\n    yield 1\nasync def run(): return await c, [x async for x in a]",
            "c = add(1); a = count(); asyncio.run(run())",
            "@contextlib.contextmanager\ndef opened():\n    yield 1\nm = opened()\nwith m: pass",
        ],
        [
            "list(g) == [] and g.gi_frame is None and g.__name__ == '<genexpr>'",
            "c.cr_frame is None and a.ag_frame is None and c.__qualname__ == 'add'",
            "type(m.gen).__name__ == 'generator' and m.gen.gi_frame is None",
        ],
    ),
    "objects of classes whose __new__ wants arguments": (
        [
            "made = []",
            "class Unit:\n    def __new__(cls, value, unit):\n        made.append(value); return object.__new__(cls)\n    def __init__(self, value, unit): self.value, self.unit = value, unit",
            "class Length(float):\n    def __new__(cls, value, unit): return super().__new__(cls, value)\n    def __init__(self, value, unit): self.unit = unit",
            "class Key(str):\n    __slots__ = ('of',)\n    def __new__(cls, text, *, of):\n        key = str.__new__(cls, text); key.of = of; return key\n    def __hash__(self): return str.__hash__(self)",
            "u = Unit(1, 'm'); n = Length(2.5, u); k = Key('k', of=u); d = {k: n}",
        ],
        [
            "made == [1] and (u.value, u.unit, type(u)) == (1, 'm', Unit)",
            "n == 2.5 and n.unit is u and type(n) is Length",
            "k.of is u and type(k) is Key and d['k'] is n",
        ],
    ),
    "objects whose __getattr__ looks at their attributes": (
        [
            "class Proxy:\n    def __init__(self, inner): self.inner = inner\n    def __getattr__(self, name): return getattr(self.inner, name)",
            "class Table(dict):\n    __slots__ = ('known', '__dict__')\n    def __getattr__(self, name): return self.known[name]",
            "items = [1]; p = Proxy(items); t = Table(a=1); t.known = {'x': items}; t.more = p; both = [p, t]",
            "p.append(2)",
        ],
        [
            "p.inner is items and p.count(2) == 1 and both[0] is p",
            "t.x is items and t.more is p and t == {'a': 1} and both[1] is t",
        ],
    ),
    "archives that were closed, and such over a file of the user's": (
        [
            "import io, os, tarfile, tempfile, zipfile; memory = io.BytesIO(); out = zipfile.ZipFile(memory, 'w'); out.writestr('a', 'text'); out.close()",
            "z = zipfile.ZipFile(memory); closed = zipfile.ZipFile(memory); closed.close(); memory.seek(3)",
            "path = os.path.join(tempfile.mkdtemp(), 'a.tar'); t = tarfile.open(path, 'w'); t.add(os.__file__, 'os.py'); t.close()",
        ],
        [
            "out.fp is None and out.namelist() == ['a'] and closed.fp is None and closed.namelist() == ['a']",
            "z.fp is memory and memory.tell() == 3 and (z.read('a'), memory.seek(3))[0] == b'text'",
            "t.closed and t.name == path and len(t.members) == 1",
        ],
    ),
    "one generator state in two variables": (
        ["import random", "rng = random.Random(3)", "same = [rng]", "random.seed(5)", "random.random()"],
        ["same[0] is rng", "rng.getstate() == random.Random(3).getstate()"],
    ),
    "the module random goes on where it was": (
        ["import random", "random.seed(7)", "first = random.random()"],
        ["random.getstate() == (random.seed(7), random.random(), random.getstate())[2]"],
    ),
}

WITH_NUMPY: dict[str, tuple[list[str], list[str]]] = {
    "numpy's iterators stay where they are": (
        [
            "import numpy as np; x = np.arange(6.).reshape(2, 3); axes = x.T.flat; next(axes); flat = x.flat; next(flat); same = [flat]",
            "pairs = np.ndenumerate(x); next(pairs); both = np.broadcast(np.arange(3)[:, None], np.arange(4)); next(both)",
            "ended = zip(x[0], x[1]); list(ended)",
            "x[0, 1] = 9",
        ],
        [
            "flat.base is x and flat.index == 1 and same[0] is flat and flat[1] == 9",
            "axes.index == 1 and axes[2] == 9 and np.shares_memory(axes.base, x) and both.index == 1",
            "pairs.iter.base is x and pairs.iter.coords == (0, 1)",
            "type(ended.__reduce__()[1][0]).__name__ == 'iterator'",
        ],
    ),
    "functions that numpy made universal": (
        [
            "import numpy as np; k = [2]",
            "def times(a, b): return a * b * k[0]",
            "f = np.frompyfunc(times, 2, 1); s = np.frompyfunc(max, 2, 1, identity=0); v = np.vectorize(lambda a: a + k[0], otypes=[float]); v(k)",
        ],
        ["list(f([1, 2], 3)) == [6 * n for n in [1, 2]]", "s.identity == 0 and s.reduce([]) == 0", "v([1])[0] == 3"],
    ),
    "archives of arrays": (
        [
            "import numpy as np, os, tempfile; path = os.path.join(tempfile.mkdtemp(), 'a.npz'); np.savez(path, a=[1], b=[2])",
            "n = np.load(path); n['a']; closed = np.load(path); closed.close()",
        ],
        ["n['b'][0] == 2 and n.f.a[0] == 1 and n.zip.fp is n.fid", "closed.zip is None and closed.files == ['a', 'b']"],
    ),
    "views share memory": (
        [
            "import numpy as np",
            "a = np.arange(20000.).reshape(100, 200)",
            "row = a[3]; t = a.T; back = a[::-1, ::2]; part = row[10:20]; flat = a.reshape(-1); as_bytes = a.view('u1')",
            "row[10] = -1",
        ],
        [
            "np.shares_memory(a, row)",
            "t[10, 3] == a[3, 10] == row[10] == part[0] == -1",
            "np.shares_memory(back, a)",
            "(a.__setitem__((99, 0), 5.5), back[0, 0] == 5.5)[1]",
            "flat[199 * 0] == a[0, 0]",
            "as_bytes.shape == (100, 1600)",
            "np.shares_memory(as_bytes, part) is True",
            "t.flags.f_contiguous and a.flags.c_contiguous",
        ],
    ),
    "masked arrays share memory, and have the masks they had": (
        [
            "import numpy as np",
            "a = np.arange(6.); m = np.ma.array(a); own = np.ma.array(a, mask=a > 5).copy(); part = own[2:4]",
            "m2 = np.ma.masked_greater(a, 3); fill = np.ma.array([1, 2], mask=[0, 1], fill_value=9); one = np.ma.masked",
            "own.mask[[3, 5]] = True, False; m2.harden_mask(); part.note = 'kept'",
        ],
        [
            "m.mask is np.ma.nomask and m._fill_value is None and fill.fill_value == 9 and one is np.ma.masked",
            "np.shares_memory(m, a) and np.shares_memory(own, part) and not np.shares_memory(m, own)",
            "own.mask.tolist() == [False, False, False, True, False, False] and part.tolist() == [2.0, None]",
            "m2.hardmask and m2.count() == 4 and np.shares_memory(own.mask, part.mask) and part.note == 'kept'",
            "(a.__setitem__(1, 8.5), m[1] == 8.5)[1] and (own.__setitem__(2, -1.0), part[0] == -1)[1]",
        ],
    ),
    "memory order, flags, dtypes and small arrays": (
        [
            "import numpy as np",
            "f = np.asfortranarray(np.arange(12.).reshape(3, 4)); ro = np.arange(5); ro.flags.writeable = False",
            "k = np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1).copy(order='K'); zero = np.array(7.5); empty = np.zeros((0, 3))",
            "dt = np.array(['2020-01-01'], 'M8[D]'); st = np.array([(1, 2.)], [('a', 'i4'), ('b', 'f8')]); s = np.array(['xy', 'z']); be = np.arange(3, dtype='>i4')",
            "col = st['b']; big_ro = np.arange(50000); big_ro.flags.writeable = False; bc = np.broadcast_to(ro, (3, 5))",
        ],
        [
            "f.flags.f_contiguous and f[1, 2] == 6",
            "not ro.flags.writeable",
            "k.strides == (8, 96, 32) and k[1, 0, 1] == 5",
            "zero.shape == () and zero == 7.5",
            "empty.shape == (0, 3)",
            "str(dt[0]) == '2020-01-01'",
            "st['b'][0] == 2.0",
            "s[0] == 'xy'",
            "be.dtype.byteorder == '>' and be[2] == 2",
            "np.shares_memory(col, st)",
            "not big_ro.flags.writeable and big_ro[7] == 7",
            "bc.strides[0] == 0 and not bc.flags.writeable",
        ],
    ),
    "object arrays": (
        [
            "import numpy as np",
            "o = np.empty(3, object); o[0] = [1]; o[1] = o; o[2] = {'k': o[0]}",
            "inner = o[0]; v = o[1:]",
        ],
        [
            "o[0] is inner",
            "o[1] is o",
            "o[2]['k'] is inner",
            "v[1] is o[2]",
            "(o.__setitem__(1, 5), v[0] == 5)[1]",
            "o.__setitem__(1, o) is None",
        ],
    ),
    "arrays over other memory": (
        [
            "import numpy as np",
            "b = bytearray(800); a = np.frombuffer(b, 'f8'); a[3] = 2.5",
            "m = memoryview(a); c = np.frombuffer(bytes(8))",
        ],
        [
            "np.frombuffer(b, 'f8')[3] == a[3] == 2.5",
            "(b.__setitem__(slice(0, 8), bytes(8)), a[0] == 0)[1]",
            "m.obj is a",
            "not c.flags.writeable",
        ],
    ),
    "subclasses of arrays": (
        [
            "import numpy as np",
            "class A(np.ndarray):\n    pass",
            "base = np.arange(10.); v = base.view(A); v.tag = 'x'; mx = np.matrix([[1, 2]]); ma = np.ma.array([1, 2], mask=[0, 1]); rec = np.rec.array([(1, 'a')], names='n,s')",
        ],
        [
            "type(v) is A and v.tag == 'x'",
            "np.shares_memory(v, base)",
            "type(mx) is np.matrix",
            "ma.mask.tolist() == [False, True]",
            "rec.n[0] == 1",
        ],
    ),
    "generators of numpy": (
        [
            "import numpy as np",
            "g = np.random.default_rng(3); g.random()",
            "np.random.seed(4); np.random.rand(3)",
            "h = g",
        ],
        [
            "h is g",
            "np.random.get_state()[1].tolist() == (np.random.seed(4), np.random.rand(3), np.random.get_state())[2][1].tolist()",
            "np.random.get_state()[2] == 6",
        ],
    ),
    "arrays have numpy's own dtypes, so that nobody copies or views them for nothing": (
        [
            "import numpy as np",
            "own = {t: np.zeros(3, t) for t in ('f8', 'f4', 'i8', 'i2', 'u1', '?', 'c16', 'O', 'q', 'Q', 'g')}",
            "big = np.arange(3000.0); odd = np.zeros(2, '>f8'); st = np.zeros(2, [('a', 'f8')]); text = np.array(['ab'])",
        ],
        [
            "all(array.dtype is np.dtype(t) for t, array in own.items())",
            "np.asarray(big, dtype=float) is big",
            "st.dtype['a'] is np.dtype('f8') and odd.dtype == '>f8' and text.dtype == '<U2'",
        ],
    ),
    "numpy's own generator is itself wherever it is held": (
        [
            "import numpy as np",
            "class Draws:\n    def __init__(self): self.state = np.random.mtrand._rand",
            "one, other = Draws(), [np.random.mtrand._rand]",
        ],
        ["one.state is np.random.mtrand._rand is other[0]"],
    ),
    "scalars and dtypes tie nothing": (
        ["import numpy as np", "d = np.dtype('f4'); x = np.float64(1.5); y = [x, d]"],
        ["y[0] == x", "y[1] is d or y[1] == d"],
    ),
}

WITH_PANDAS: dict[str, tuple[list[str], list[str]]] = {
    "frames over the rows of an array share it, in its layout": (
        [
            "import numpy as np, pandas as pd",
            "rows = np.arange(40.).reshape(10, 4)",
            "whole = pd.DataFrame(rows, columns=list('abcd'), copy=False)",
            "part = whole[['a', 'b']]",
        ],
        [
            "np.shares_memory(whole['a'].to_numpy(), part['a'].to_numpy())",
            "part['a'].to_numpy().strides == (32,)",
            "part['b'].tolist() == rows[:, 1].tolist()",
            "whole.equals(pd.DataFrame(rows, columns=list('abcd')))",
            "part.__setitem__('a', 0.0) or whole['a'].tolist() == rows[:, 0].tolist()",
        ],
    ),
    "accessors and methods that were put on frames": (
        [
            "import pandas as pd",
            "@pd.api.extensions.register_dataframe_accessor('geo')\nclass Geo:\n    def __init__(self, frame): self.frame = frame\n    def rows(self): return len(self.frame)",
            "def total(self): return self.a.sum()\npd.DataFrame.total = total",
            "df = pd.DataFrame({'a': [1, 2]})",
        ],
        ["df.geo.rows() == 2", "df.total() == 3", "pd.DataFrame.total is total", "type(df.geo) is Geo"],
    ),
    "options that are attributes of what a library keeps": (
        ["import pandas as pd", "pd.options.display.max_rows = 7"],
        ["pd.get_option('display.max_rows') == 7"],
    ),
    "accessors that were registered again, and methods that were taken away": (
        [
            "import pandas as pd, warnings; warnings.simplefilter('ignore')",
            "def gone(self): return 1\nsetattr(pd.DataFrame, 'gone', gone)",
            "def remove(): delattr(pd.DataFrame, 'gone')",
            "remove()",
            "register = pd.api.extensions.register_dataframe_accessor",
            "@register('again')\nclass Again:\n    def __init__(self, frame): self.frame = frame\n    def which(self): return 'first'",
            "@register('again')\nclass Again:\n    def __init__(self, frame): self.frame = frame\n    def which(self): return 'second'",
            "df = pd.DataFrame({'a': [1, 2]})",
        ],
        ["df.again.which() == 'second'", "pd.DataFrame.again is Again", "not hasattr(pd.DataFrame, 'gone')"],
    ),
    "universal functions of libraries, and those made by vectorize": (
        [
            "import numpy as np",
            "u = np.add; v = np.vectorize(lambda x: x + k); k = 2; names = {np.sin: 'sin'}",
        ],
        ["u is np.add", "v(np.array([1]))[0] == 3", "names[np.sin] == 'sin'"],
    ),
    "frames share what they shared": (
        [
            "import numpy as np, pandas as pd",
            "df = pd.DataFrame({'a': np.arange(5000.), 'b': np.arange(5000), 's': ['x'] * 5000})",
            "alias = df; held = {'df': df}; col = df['a']; view = df[['a', 'b']]",
            "df.loc[0, 'a'] = 9.0",
        ],
        [
            "alias is df and held['df'] is df",
            "df.loc[0, 'a'] == 9.0",
            "len(view) == 5000",
            "df['s'].iloc[3] == 'x'",
            "df.b.dtype == 'int64'",
        ],
    ),
    "columns of texts, with what is missing and what is no text": (
        [
            "import numpy as np, pandas as pd",
            "n = 9000; names = np.array([f'näme {i}' for i in range(n)], dtype=object); few = np.array(['x', 'yy', ''] * 3000, dtype=object)",
            "mixed = names.copy(); mixed[5] = None; mixed[6] = np.nan; mixed[7] = '\\ud800'; mixed[8] = 'a\\0b'; mixed[9] = 4; mixed[10] = box = [1]; mixed[11] = mixed",
            "grid = np.asfortranarray(np.array([names, few], dtype=object).T); grid.flags.writeable = False; narrow = np.array([few, few], dtype=object).T.copy()",
            "holes = names.copy(); holes[::3] = pd.NA; kind = type('S', (str,), {}); sub = names.copy(); sub[3] = kind('sub'); half = names[::2]",
            "df = pd.DataFrame({'a': names, 'b': few, 'n': np.arange(n)}, dtype=object); df['s'] = pd.array(list(names), dtype='string'); df['n'] = df['n'].astype(int)",
            "wide = np.empty((3, n), dtype=object); wide[0] = names; wide[1] = range(n); wide[1, 3] = box; wide[2] = few; wide[2, 1] = None",
            "mixed[12] = 'new'; df.loc[3, 'a'] = 'new'; holes[1] = 'new'",
        ],
        [
            "names.tolist() == [f'näme {i}' for i in range(n)] and few.tolist() == ['x', 'yy', ''] * 3000",
            "mixed[5] is None and mixed[6] != mixed[6] and mixed[7] == '\\ud800' and mixed[8] == 'a\\0b' and mixed[9] == 4",
            "mixed[10] is box and mixed[11] is mixed and mixed[12] == 'new' and mixed[13] == 'näme 13' and mixed[4] == 'näme 4'",
            "grid.flags.f_contiguous and not grid.flags.writeable and grid[:, 0].tolist() == names.tolist() and grid[:, 1].tolist() == few.tolist()",
            "wide[0].tolist() == names.tolist() and wide[1, 3] is box and wide[1, 4] == 4 and wide[2, :3].tolist() == ['x', None, '']",
            "narrow.flags.c_contiguous and narrow.shape == (n, 2) and narrow[:, 1].tolist() == few.tolist()",
            "holes[1] == 'new' and holes[0] is pd.NA and holes[3] is pd.NA and holes[4] == 'näme 4' and holes[-1] is not pd.NA",
            "type(sub[3]) is kind and sub[3] == 'sub' and sub[4] == 'näme 4'",
            "np.shares_memory(half, names) and half[1] == 'näme 2'",
            "df.loc[3, 'a'] == 'new' and df['b'].tolist() == few.tolist() and df['s'].tolist() == names.tolist() and df['n'].sum() == n * (n - 1) // 2",
            "df.a.dtype == object and str(df.s.dtype) == 'string'",
        ],
    ),
    "series, indexes, categories, time zones": (
        [
            "import pandas as pd",
            "ix = pd.date_range('2024-01-01', periods=3, tz='Europe/Berlin'); s = pd.Series([1, 2, None], index=ix, name='n')",
            "c = pd.Series(['a', 'b', 'a'], dtype='category'); mi = pd.DataFrame({'v': [1, 2]}, index=pd.MultiIndex.from_tuples([(1, 'x'), (2, 'y')]))",
            "na = pd.NA; nat = pd.NaT; nul = pd.array([1, None], dtype='Int64'); g = mi.groupby(level=0)",
        ],
        [
            "s.index.tz is not None",
            "s.name == 'n' and s.iloc[0] == 1",
            "list(c.cat.categories) == ['a', 'b']",
            "mi.loc[(1, 'x'), 'v'] == 1",
            "na is pd.NA and nat is pd.NaT",
            "nul[1] is pd.NA",
            "g.sum().v.tolist() == [1, 2]",
        ],
    ),
}
