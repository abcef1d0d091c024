"""Which members are pickled together: those that share an object, and definitions that point at each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .components import DEFINITION, Record, Unions, circles
from .definitions import Definitions
from .pickler import Pickled


@dataclass(eq=False)
class Group:
    """Members that are pickled together; what was merged is not split again in the same capture."""

    members: tuple[str, ...]
    merged: bool = False
    pickled: Pickled | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Merges:
    """What has to be pickled together.

    Attributes:
        sets: of more than one group each.
        reached: components that were not to be captured, but are part of a circle of pointers.
    """

    sets: list[list[Group]]
    reached: list[Record]


def parts(group: Group) -> list[tuple[str, ...]]:
    """Return the members of a group in parts that share nothing; definitions stay together."""
    pickled = group.pickled
    if (
        pickled is None
        or group.merged
        or len(group.members) == 1
        or all(member.startswith(DEFINITION) for member in group.members)
    ):
        return [group.members]
    unions = Unions()
    owner: dict[int, str] = {}
    first_definition = None
    for member, segment in zip(group.members, pickled.segments, strict=True):
        if member.startswith(DEFINITION):
            first_definition = first_definition or member
            unions.join(first_definition, member)
        for key in segment:
            other = owner.setdefault(key, member)
            if other != member:
                unions.join(other, member)
    found: dict[str, list[str]] = {}
    for member in group.members:
        found.setdefault(unions.find(member), []).append(member)
    return [tuple(part) for part in found.values()]


def merges(
    groups: Sequence[Group], group_of: Mapping[str, Group], clean_home: Callable[[str], Record | None]
) -> Merges:
    """Find the groups that share an object and those that point at each other in a circle.

    Args:
        groups: all that were pickled.
        group_of: the group of each member that was pickled.
        clean_home: the component of a definition that was not.
    """
    unions = Unions()
    owner: dict[int, int] = {}
    for index, group in enumerate(groups):
        ties = group.pickled.ties if group.pickled else {}
        for key in owner.keys() & ties.keys():
            unions.join(owner[key], index)
        owner.update(dict.fromkeys(ties, index))
    many = [(group.pickled.ids, index) for index, group in enumerate(groups) if group.pickled and group.pickled.ids]
    many.sort(key=lambda found: len(found[0]))
    for ids, index in many:
        for key in filter(owner.__contains__, ids):
            unions.join(owner[key], index)
        if ids is not many[-1][0]:
            owner.update(dict.fromkeys(ids, index))
    reached = _join_circles(groups, unions, group_of, clean_home)
    sets: dict[int, list[Group]] = {}
    for index, group in enumerate(groups):
        sets.setdefault(unions.find(index), []).append(group)
    return Merges([together for together in sets.values() if len(together) > 1], reached)


def _join_circles(
    groups: Sequence[Group],
    unions: Unions,
    group_of: Mapping[str, Group],
    clean_home: Callable[[str], Record | None],
) -> list[Record]:
    """Join the groups in each circle; return the components in circles that are no groups yet."""
    graph: dict[Any, list[Any]] = {}
    number = {id(group): index for index, group in enumerate(groups)}
    clean: dict[str, Record] = {}
    work: list[Record] = []

    def node_of(hidden: str) -> Any:
        group = group_of.get(hidden)
        if group is not None:
            return number.get(id(group))
        record = clean_home(hidden)
        if record is None:
            return None
        if record.id not in clean:
            clean[record.id] = record
            work.append(record)
        return record.id

    def nodes_of(refs: Iterable[str]) -> list[Any]:
        return [node for hidden in refs if (node := node_of(hidden)) is not None]

    for index, group in enumerate(groups):
        if group.pickled is not None and group.pickled.refs:
            graph[index] = nodes_of(group.pickled.refs)
    while work:
        record = work.pop()
        graph[record.id] = nodes_of(record.refs)
    reached: list[Record] = []
    for circle in circles(graph):
        numbered = [node for node in circle if isinstance(node, int)]
        reached += [clean[node] for node in circle if isinstance(node, str)]
        for node in numbered[1:]:
            unions.join(numbered[0], node)
    return reached


def in_order(members: Iterable[str], definitions: Definitions) -> tuple[str, ...]:
    """Return members sorted: classes before what is made with them, bases first; then functions, then variables."""

    def key(member: str) -> tuple[int, int, str]:
        if not member.startswith(DEFINITION):
            return 2, 0, member
        definition = definitions.object_of(member)
        if issubclass(type(definition), type):
            return 0, len(type.__getattribute__(definition, "__mro__")), member
        return 1, 0, member

    return tuple(sorted(set(members), key=key))
