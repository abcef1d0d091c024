"""What is known of a session while it lives, for captures, for the copies that take them, and for restores."""

from __future__ import annotations

import types
from collections.abc import Collection

from .aliases import Aliases
from .ambient import Ambient
from .choice import Choice
from .components import AMBIENT, LostMember, Partition
from .definitions import Definitions
from .environment import Environment
from .estimates import Estimates
from .later import Later
from .ledger import Ledger
from .owed import Owed
from .patches import Patches
from .pickler import Session
from .verification import Verification


class State:
    """One session: what it is made of, what the store has of it, and what is owed.

    Args:
        module: the session's ``__main__``; its namespace holds the variables.

    Attributes:
        session: the objects.
        partition: the components that they are in.
        lost: members that can't be kept.
        ambient: what lies in no variable.
        environment: what it is saved in.
        ledger: what was sent to the store.
        owed: what the next capture has to look at.
        unfaithful: members that were found not to come back as they were.
        ahead: variables that are not as the store has them, after a run that was not saved.
        later: what was not loaded yet.
    """

    def __init__(self, module: types.ModuleType) -> None:
        self.session = Session(module, Definitions())
        self.partition = Partition()
        self.lost: dict[str, LostMember] = {}
        self.ambient = Ambient(self.session.namespace, self.session.kept)
        self.environment = Environment()
        self.ledger = Ledger()
        self.patches = Patches(self.session)
        self.aliases = Aliases(self.session)
        self.owed = Owed(self.session, self.patches)
        self.session.is_busy = self.owed.background.is_busy
        self.choice = Choice(module.__dict__)
        self.estimates = Estimates(self.session, self.choice)
        self.verification = Verification(self.session)
        self.unfaithful: set[str] = set()
        self.ahead: set[str] = set()
        self.later = Later(self.session, self.owed)

    def due(self, *, full: bool) -> set[str]:
        """Return the members that may have changed; all of them for a full capture."""
        return self.owed.due(self.partition, self.lost, full=full)

    def left_out(self, members: Collection[str]) -> set[str]:
        """Return which of them the user does not want to be saved."""
        namespace = self.session.namespace
        return {name for name in members if name in namespace and self.choice.left_out(name, namespace[name])}

    def exists(self, member: str) -> bool:
        """Whether there is still something behind a member."""
        return member.startswith(AMBIENT) or self.session.has(member)
