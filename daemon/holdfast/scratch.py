"""A kernel of its own that saved versions are brought into, to be asked about them: no session hears of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from holdfast.background import Background
from holdfast.documents import Place
from holdfast.errors import HoldfastError, KernelFailed
from holdfast.kernel.wire import Message
from holdfast.kernel_client import attachment
from holdfast.loading import Loaded, names_of
from holdfast.protocol import Lost
from holdfast.runtimes.base import Kernel, KernelDied
from holdfast.runtimes.pool import KernelPool
from holdfast.saving import lost_list
from holdfast.settings import Settings

logger = logging.getLogger(__name__)


class Scratch:
    """The kernel.

    Attributes:
        failed: variables that did not come, of all versions that were brought into it.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.failed: list[Lost] = []
        self._kernel = kernel
        self._loadings: dict[str, Loaded] = {}
        self._background = Background()
        kernel.on_message = self._said

    async def bring(self, loaded: Loaded, names: Collection[str] | None = None) -> None:
        """Load a version into it; with `names`, only these, beside what is there.

        Everything is compared with its digests first: nobody takes it from here for what was saved unless it is.
        The caller releases what was loaded, after the kernel has ended.

        Raises:
            KernelFailed: the kernel died of it.
        """

        def is_unwanted(component: str) -> bool:
            return names is not None and names_of(loaded.entries[component]).isdisjoint(names)

        self._loadings[loaded.number] = loaded
        wrong = await loaded.verify(lambda: False, is_unwanted, after=0)
        remedy = "Restore an older version of it, or run the cell that made it again."
        self.failed += [Lost(name, "", reason, remedy) for name, reason in wrong.items()]
        restore: dict[str, Any] = {"type": "restore", "loading": loaded.number, "packs": loaded.files()}
        restore.update(mode="replace" if names is None else "merge", names=None if names is None else sorted(names))
        restore.update(components=loaded.components, environment=dict(loaded.record.environment))
        restore.update(executionCount=loaded.record.execution_count)
        try:
            answer = (await self._kernel.request(restore, loaded.buffers)).header
        except KernelDied as error:
            raise KernelFailed(
                f"The kernel died while it loaded a copy of version {loaded.record.version} ({error.death.cause}); "
                "the session and its saved state are untouched."
            ) from error
        finally:
            loaded.buffers.clear()
        self.failed += [*loaded.unreadable, *lost_list(answer["failed"])]

    async def ask(self, header: dict[str, Any]) -> dict[str, Any]:
        """Have something done there; return the answer.

        Raises:
            KernelFailed: the kernel died of it. HoldfastError: it could not be done.
        """
        try:
            answer = (await self._kernel.request(header)).header
        except KernelDied as error:
            raise KernelFailed(f"The kernel died while it worked on a copy ({error.death.cause}).") from error
        if answer.get("error"):
            raise HoldfastError(f"Nothing could be done with a copy ({answer['error']}).", kind="kernelFailed")
        return answer

    def _said(self, message: Message) -> None:
        header = message.header
        if header.get("type") == "need":
            self._background.spawn(self._loadings[str(header["loading"])].serve(self._kernel, header))
        elif header.get("type") == "unloadable":
            self.failed += lost_list(header["failed"])
        elif header.get("type") == "log":
            logger.info("a kernel with a copy: %s", header.get("message"))


@asynccontextmanager
async def scratch_kernel(pool: KernelPool, settings: Settings, folder: Path, place: Place) -> AsyncIterator[Scratch]:
    """Start a kernel for copies of a document's versions, for the length of a block.

    Raises:
        KernelFailed: there can be none.
    """
    kernel = await pool.take(settings.interpreter, folder)
    try:
        scratch = Scratch(kernel)
        kernel.send(attachment(place, folder, settings.limits, 0))
        yield scratch
    finally:
        await asyncio.shield(kernel.stop(1.0))
