"""A kernel of its own that holds one saved version: what is done with it concerns no session."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.background import Background
from holdfast.documents import Place
from holdfast.errors import HoldfastError, KernelFailed
from holdfast.kernel.wire import Message
from holdfast.loading import Loaded
from holdfast.protocol import Lost
from holdfast.runtimes.base import Kernel, KernelDied
from holdfast.runtimes.pool import KernelPool
from holdfast.saving import lost_list
from holdfast.settings import Settings

logger = logging.getLogger(__name__)


@dataclass
class Scratch:
    """The kernel, and what of the version did not come."""

    kernel: Kernel
    loaded: Loaded
    failed: list[Lost] = field(default_factory=list)

    async def ask(self, header: dict[str, Any]) -> dict[str, Any]:
        """Have something done there.

        Raises:
            KernelFailed: the kernel died of it. HoldfastError: it could not be done.
        """
        try:
            answer = (await self.kernel.request(header)).header
        except KernelDied as error:
            raise KernelFailed(f"The kernel died while it worked on a copy ({error.death.cause}).") from error
        if answer.get("error"):
            raise HoldfastError(f"The values could not be written ({answer['error']}).", kind="kernelFailed")
        return answer

    def heard(self, message: Message) -> None:
        """Take note of what the kernel says unasked."""
        if message.header.get("type") == "unloadable":
            self.failed += lost_list(message.header["failed"])
        elif message.header.get("type") == "log":
            logger.info("a kernel that exports: %s", message.header.get("message"))


@asynccontextmanager
async def scratch_kernel(
    pool: KernelPool, settings: Settings, folder: Path, place: Place, loaded: Loaded
) -> AsyncIterator[Scratch]:
    """Start a kernel with a version in it, for the length of a block.

    Raises:
        KernelFailed: there can be none.
    """
    kernel = await pool.take(settings.interpreter, folder)
    background = Background()
    scratch = Scratch(kernel, loaded, list(loaded.unreadable))

    def said(message: Message) -> None:
        if message.header.get("type") == "need":
            background.spawn(loaded.serve(kernel, message.header))
        else:
            scratch.heard(message)

    kernel.on_message = said
    try:
        await _fill(scratch, settings, folder, place)
        yield scratch
    finally:
        await asyncio.shield(kernel.stop(1.0))


async def _fill(scratch: Scratch, settings: Settings, folder: Path, place: Place) -> None:
    path, loaded = place.path, scratch.loaded
    cwd = str(path.parent if path is not None and path.parent.is_dir() else folder)
    attach: dict[str, Any] = {"type": "attach", "file": None if path is None else str(path), "uri": place.uri}
    attach.update(cwd=cwd, path0=cwd, name=place.name, executionCount=0, limits=settings.limits)
    scratch.kernel.send(attach)
    restore: dict[str, Any] = {"type": "restore", "mode": "replace", "names": None, "loading": loaded.number}
    restore.update(packs=loaded.files(), components=loaded.components, environment=dict(loaded.record.environment))
    restore.update(executionCount=loaded.record.execution_count)
    try:
        answer = (await scratch.kernel.request(restore, loaded.buffers)).header
    except KernelDied as error:
        raise KernelFailed(
            f"The kernel died while it loaded version {loaded.record.version} ({error.death.cause}); nothing was "
            "exported, and the saved state is untouched."
        ) from error
    loaded.buffers.clear()
    scratch.failed += lost_list(answer["failed"])


def names_in(failed: Collection[Lost]) -> set[str]:
    """Return the variables that did not come."""
    return {lost.name for lost in failed}
