"""Whether a version could be restored, found out without reading its bytes."""

from __future__ import annotations

from .core import Core
from .encoding import field_refs
from .errors import Damaged, NoSuchVersion, Untrusted
from .records import Problem
from .rows import SessionRow, from_blob


def problems(core: Core, session: SessionRow, version: int | None) -> list[Problem]:
    """Return what stands in the way of restoring a version (none: the head). The store's lock is held."""
    key = from_blob(session.key)
    number = session.head if version is None else version
    if number is None:
        return []
    found: list[Problem] = []
    try:
        if version is None:
            core.timeline.verify_position(session)
        listing = core.timeline.listing(session, number)
    except Untrusted as error:
        return [Problem("untrusted", f"version {number} of {key}", error.message)]
    except (Damaged, NoSuchVersion) as error:
        what = error.what if isinstance(error, Damaged) else f"version {number} of {key}"
        return [Problem("damaged", what, error.message)]
    for pack, (_, used) in core.catalog.packs().items():
        length = core.packs.length(pack)
        if length < used:
            core.short[pack] = length
            found.append(
                Problem(
                    "missing",
                    core.packs.path(pack).name,
                    "This file of the state folder is missing or shorter than it was. Put it back from a backup if "
                    "there is one; variables kept in it cannot be restored, all others can.",
                )
            )
    for entry in listing.values():
        names = ", ".join(name for name in entry.members if not name.startswith("\0")) or "a definition"
        try:
            digests = core.reader.top_digests(entry.content)
        except ValueError:
            found.append(
                Problem("damaged", names, "Its list of contents cannot be read; run the cell that made it again.")
            )
            continue
        if len(core.known(digests)) < len(set(digests)):
            found.append(
                Problem("missing", names, "Its bytes are missing; restore an older version of it, or run its cell.")
            )
    meta = core.timeline.version(session, number).meta
    digests = [ref.value for ref in field_refs(meta) if ref.level != 255]
    if len(core.known(digests)) < len(set(digests)):
        found.append(
            Problem("missing", f"the description of version {number}", "Its variables can be restored all the same.")
        )
    return found
