"""A bar for requests that take long: it follows the daemon's `$/progress`."""

from __future__ import annotations

import asyncio
import sys
import uuid
from typing import Any

from holdfast_client.connection import Connection


async def request_with_bar(connection: Connection, method: str, params: dict[str, Any]) -> Any:
    """Send a request and return its result; on a terminal, show how far it is if it takes longer than a moment."""
    if not sys.stderr.isatty():
        return await connection.request(method, params)
    token = uuid.uuid4().hex
    following = asyncio.create_task(_follow(connection, token))
    await asyncio.sleep(0)  # so that it listens before anything can be said
    try:
        return await connection.request(method, {**params, "workDoneToken": token})
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _follow(connection: Connection, token: str) -> None:
    subscription = connection.subscribe("$/progress")
    bar: Any = None
    task: Any = None
    try:
        async for _, params in subscription:
            if params["token"] != token:
                continue
            value = params["value"]
            if bar is None:
                bar, task = _make_bar(value.get("title", ""))
            percentage = value.get("percentage")
            bar.update(
                task,
                total=None if percentage is None else 100,
                completed=percentage or 0,
                description=value.get("message", ""),
            )
    finally:
        if bar is not None:
            bar.stop()


def _make_bar(title: str) -> tuple[Any, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn(title, markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    bar.start()
    return bar, bar.add_task("", total=None)
