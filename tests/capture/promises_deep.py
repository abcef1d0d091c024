"""Promises of `promises.py` about what is nested deeply: more deeply than any Python lets pickle go."""

from __future__ import annotations

PLAIN: dict[str, tuple[list[str], list[str]]] = {
    "linked lists of any length": (
        [
            "class Node:\n    def __init__(self, value, next): self.value, self.next = value, next",
            "nodes = pairs = records = None\nfor i in range(2000):\n    nodes = Node(i, nodes)\n"
            "    pairs = [i, pairs]\n    records = {'value': i, 'next': records}",
            "def length(thing, step):\n    count = 0\n    while thing is not None:\n"
            "        count += 1; thing = step(thing)\n    return count",
            "middle = pairs\nfor _ in range(1000): middle = middle[1]",
        ],
        [
            "length(nodes, lambda x: x.next) == 2000",
            "length(records, lambda x: x['next']) == 2000",
            "length(pairs, lambda x: x[1]) == 2000",
            "length(middle, lambda x: x[1]) == 1000",
            "type(nodes.next.next) is Node",
            "length(pairs, lambda x: None if x is middle else x[1]) == 1001",
        ],
    ),
    "doubly linked lists and rings": (
        [
            "class Node:\n    __slots__ = ('value', 'next', 'before')\n"
            "    def __init__(self, value): self.value = value",
            "first = last = Node(0)\nfor i in range(1, 1500):\n"
            "    last.next = Node(i); last.next.before = last; last = last.next\nlast.next, first.before = first, last",
            "cells = end = [0, None]\nfor i in range(1500): cells = [i, cells]\nend[1] = cells",
            "def around(thing, step):\n    count, now = 1, step(thing)\n    while now is not thing:\n"
            "        count += 1; now = step(now)\n    return count",
        ],
        [
            "around(first, lambda x: x.next) == 1500",
            "around(last, lambda x: x.before) == 1500",
            "around(cells, lambda x: x[1]) == 1501",
            "first.before is last and last.value == 1499",
        ],
    ),
    "a dict nested 50,000 deep": (
        ["deep = bottom = {}\nfor i in range(50_000): deep = {'in': deep}"],
        [
            "(lambda path: [path := path['in'] for _ in range(50_000)][-1] is bottom)(deep)",
            "bottom == {}",
        ],
    ),
    "tuples, frozensets and lists nested in turn": (
        [
            "bottom = []\ndeep = bottom\nfor i in range(2000): deep = ([deep], frozenset([i]), {i})",
            "tuples = ()\nfor i in range(20_000): tuples = (tuples,)",
        ],
        [
            "(lambda path: [path := path[0][0] for _ in range(2000)][-1] is bottom)(deep)",
            "(lambda path: [path := path[0] for _ in range(20_000)][-1] == ())(tuples)",
            "deep[1:] == (frozenset([1999]), {1999})",
        ],
    ),
    "a graph in which every path is long": (
        [
            "import random\nclass Place:\n    def __init__(self): self.ways = set(); self.names = {}",
            "order = random.Random(5)\nplaces = [Place() for _ in range(400)]\nfor place in places:\n"
            "    for other in order.sample(places, 3): place.ways.add(other); place.names[other] = (place, [other])",
            "start = places[0]\ncounts = [len(place.ways) for place in places]",
        ],
        [
            "[len(place.ways) for place in places] == counts",
            "start is places[0]",
            "all(place.names.keys() == place.ways for place in places)",
            "all(way[0] is place and way[1][0] is other for place in places for other, way in place.names.items())",
        ],
    ),
    "deep objects with reductions of their own": (
        [
            "import collections\nclass Tree:\n    def __init__(self, *kids): self.kids = kids; self.above = None\n"
            "    def __getstate__(self): return {'kids': list(self.kids), 'above': self.above}\n"
            "    def __setstate__(self, state):\n"
            "        self.kids, self.above, self.seen = tuple(state['kids']), state['above'], len(state['kids'])",
            "class Bag(list): pass\nclass Named(dict): pass",
            "tree = Tree()\nfor i in range(600):\n    above = Tree(tree, Bag([tree]), Named(kid=tree))\n"
            "    tree.above = above; tree = above",
            "queue = collections.deque()\nfor i in range(2000): queue = collections.deque([queue, i])",
        ],
        [
            "(lambda path: [path := path.kids[0] for _ in range(600)][-1].kids == ())(tree)",
            "tree.kids[0].above is tree and type(tree.kids[1]) is Bag and tree.kids[1][0] is tree.kids[0]",
            "tree.kids[0].kids[0].above is tree.kids[0] and tree.kids[2]['kid'] is tree.kids[0]",
            "(lambda path: [path := path[0] for _ in range(2000)][-1] == collections.deque())(queue)",
        ],
    ),
    "chains of exceptions and of closures": (
        [
            "error = None\nfor i in range(1000):\n    made = ValueError(i); made.__cause__ = error; error = made",
            "def more(f):\n    def g(): return f\n    return g\ncalls = None\nfor i in range(300): calls = more(calls)",
        ],
        [
            "(lambda path: [path := path.__cause__ for _ in range(999)][-1].args == (0,))(error)",
            "(lambda path: [path := path() for _ in range(300)][-1] is None)(calls)",
        ],
    ),
    "a recursion limit that is too high for the stack": (
        [
            "import sys; sys.setrecursionlimit(1_000_000)",
            "deep = []\nfor _ in range(60_000): deep = [deep]",
            "limit = sys.getrecursionlimit(); sys.setrecursionlimit(1000)",
        ],
        ["(lambda path: [path := path[0] for _ in range(60_000)][-1] == [])(deep)", "limit == 1_000_000"],
    ),
}
