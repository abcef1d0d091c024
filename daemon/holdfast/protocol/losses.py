"""What could not be saved or restored, and what made it again."""

from __future__ import annotations

import attrs


@attrs.define
class LostCell:
    """The cell that made a variable, as it was run; without a line it was no part of the document."""

    code: str
    execution_count: int
    line: int | None = None
    index: int | None = None
    rebuild: bool = False


@attrs.define
class Lost:
    """A variable that could not be saved or restored: why, what the user can do, and which cell would make it again."""

    name: str
    type: str
    reason: str
    remedy: str
    cell: LostCell | None = None
    needs: list[str] | None = None


@attrs.define
class Rebuilt:
    """Variables that a restore could not bring back, and that their cell has made again."""

    names: list[str]
    run_id: str
    cell: LostCell
