"""The client's JSON-RPC, against pygls's server as the other side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pygls.exceptions import JsonRpcException
from pygls.io_ import run_async
from pygls.protocol import JsonRPCProtocol, default_converter
from pygls.server import JsonRPCServer

from holdfast_client.errors import ConnectionLost, HoldfastError
from holdfast_client.jsonrpc import JsonRpc


class Peer:
    """A pygls server in this process, and a client connected to it through a real TCP connection."""

    def __init__(self) -> None:
        self.server = JsonRPCServer(JsonRPCProtocol, default_converter)
        self.notified: list[tuple[str, Any]] = []
        self.cancelled = asyncio.Event()
        self.asked: list[tuple[str, Any]] = []

        @self.server.feature("echo")
        def echo(params: Any) -> Any:
            return {"text": params.text}

        @self.server.feature("refuse")
        def refuse(params: Any) -> Any:
            raise JsonRpcException("There is no such thing.", code=-32010, data={"kind": "noThing", "detail": "at all"})

        @self.server.feature("wait")
        async def wait(params: Any) -> Any:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise

        @self.server.feature("count")
        async def count(params: Any) -> Any:
            for number in range(params.upTo):
                self.server.protocol.notify("counted", {"number": number})
            return "done"

        @self.server.feature("askBack")
        async def ask_back(params: Any) -> Any:
            answer = await self.server.protocol.send_request_async("question", {"text": params.text})
            return {"answer": answer.text}

    def notify(self, method: str, params: Any) -> None:
        self.notified.append((method, params))

    async def answer(self, method: str, params: Any) -> Any:
        self.asked.append((method, params))
        if params["text"] == "?":
            raise HoldfastError(-32601, "nobody is here to answer")
        return {"text": params["text"].upper()}


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[JsonRpc, Peer, asyncio.StreamWriter]]:
    peer = Peer()
    there: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer.server.protocol.set_writer(writer)
        there.set_result(writer)
        await run_async(asyncio.Event(), reader, peer.server.protocol)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    rpc = JsonRpc(reader, writer, on_notification=peer.notify, on_request=peer.answer)
    try:
        yield rpc, peer, await there
    finally:
        await rpc.close()
        (await there).close()
        server.close()


async def test_a_request_gets_its_answer() -> None:
    async with connected() as (rpc, _, _):
        assert (await rpc.request("echo", {"text": "grüße \U0001f419"}))["text"] == "grüße \U0001f419"


async def test_a_lone_surrogate_does_not_break_the_connection() -> None:
    async with connected() as (rpc, _, _):
        await asyncio.gather(rpc.request("echo", {"text": "\udc80"}), return_exceptions=True)
        assert (await rpc.request("echo", {"text": "still here"}))["text"] == "still here"


async def test_answers_find_their_requests_in_any_order() -> None:
    async with connected() as (rpc, _, _):
        slow = rpc.request("wait", {})
        quick = [rpc.request("echo", {"text": str(number)}) for number in range(50)]
        assert [answer["text"] for answer in await asyncio.gather(*quick)] == [str(number) for number in range(50)]
        assert not slow.done()


async def test_an_error_answer_is_an_exception_with_its_kind() -> None:
    async with connected() as (rpc, _, _):
        with pytest.raises(HoldfastError, match="There is no such thing") as caught:
            await rpc.request("refuse", {})
        assert (caught.value.code, caught.value.kind, caught.value.detail) == (-32010, "noThing", "at all")


async def test_notifications_come_in_order_and_before_the_answer() -> None:
    async with connected() as (rpc, peer, _):
        assert await rpc.request("count", {"upTo": 200}) == "done"
        assert [params["number"] for _, params in peer.notified] == list(range(200))


async def test_cancelling_the_awaiting_task_cancels_the_request_there() -> None:
    async with connected() as (rpc, peer, _):

        async def work() -> None:
            await rpc.request("wait", {})

        task = asyncio.create_task(work())
        await rpc.request("echo", {"text": "so that the other request is under way"})
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(peer.cancelled.wait(), 10)


async def test_a_request_of_the_server_is_answered() -> None:
    async with connected() as (rpc, peer, _):
        assert await rpc.request("askBack", {"text": "name"}) == {"answer": "NAME"}
        assert peer.asked == [("question", {"text": "name"})]


async def test_a_refused_question_reaches_the_server_as_an_error() -> None:
    async with connected() as (rpc, _, _):
        with pytest.raises(HoldfastError, match="nobody is here to answer"):
            await rpc.request("askBack", {"text": "?"})


async def test_what_is_in_flight_when_the_daemon_goes_has_an_unknown_outcome() -> None:
    async with connected() as (rpc, _, there):
        answer = rpc.request("wait", {})
        await rpc.request("echo", {"text": "sent"})
        there.transport.abort()
        with pytest.raises(ConnectionLost, match=r"outcome .* unknown.*safe"):
            await answer
        with pytest.raises(ConnectionLost):
            await rpc.request("echo", {"text": "too late"})
        assert rpc.closed.done() and not rpc.left


async def test_noise_from_the_other_side_ends_the_connection_clearly() -> None:
    async with connected() as (rpc, _, there):
        answer = rpc.request("wait", {})
        there.write(b"Content-Length: 3\r\n\r\n[1]")
        with pytest.raises(ConnectionLost) as caught:
            await answer
        assert "no JSON object" in caught.value.detail
