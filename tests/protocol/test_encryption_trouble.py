"""Encrypting through a real daemon where something stands in the way: nothing is written in clear or locked out."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from harness import RpcError, opened
from test_encryption import SECRET, encrypt, found_in, started, unlock


async def test_state_that_waits_for_a_passphrase_gets_one(folder: Path) -> None:
    async with started(folder, {}, encryption="passphrase") as client:
        run = await client.run("a.py", "x = 'HIDDENVALUE'")
        assert run["state"]["status"] == "failed"
        assert "holdfast encrypt" in run["state"]["reason"]
        assert (await encrypt(client))["encrypted"]
        run = await client.run("a.py", "y = 1")
        assert run["state"]["status"] != "failed"
        await client.flush("a.py")
        assert found_in(folder, b"HIDDENVALUE") == []
    async with opened(folder) as client:
        await unlock(client)
        assert await client.value("a.py", "x, y") == "('HIDDENVALUE', 1)"


async def test_of_two_who_encrypt_at_once_the_second_chooses_the_passphrase(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", "x = 1")
        for answer in await asyncio.gather(encrypt(client, "one"), encrypt(client, "two")):
            assert answer["encrypted"]
    async with opened(folder) as client:
        with pytest.raises(RpcError, match="not the right one"):
            await unlock(client, "one")
        assert (await unlock(client, "two"))["encrypted"]


async def test_what_could_not_be_encrypted_is_encrypted_with_the_passphrase_given_last(folder: Path) -> None:
    state = folder / ".state"
    async with opened(folder, options={"trackFiles": True}) as client:
        await client.run("a.py", "open('f.txt', 'w').write('1')")
        await client.flush("a.py")
        pack = state / "packs" / "000001.pack"
        whole = pack.read_bytes()
        pack.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
        with pytest.raises(RpcError, match="not whole") as caught:
            await encrypt(client, "one")
        assert caught.value.data["kind"] == "notEncrypted"
        pack.write_bytes(whole)
        assert (await encrypt(client, "two"))["encrypted"]
    async with opened(folder) as client:
        assert (await unlock(client, "two"))["encrypted"]


async def test_files_that_cannot_be_encrypted_are_not_said_to_be(folder: Path) -> None:
    files = folder / ".state" / "files"
    async with opened(folder, options={"trackFiles": True}) as client:
        await client.run("a.py", "open('f.txt', 'w').write('HIDDENVALUE')")
        await client.flush("a.py")
        for pack in (files / "packs").glob("*.pack"):
            content = bytearray(pack.read_bytes())
            content[300] ^= 1
            pack.write_bytes(content)
        with pytest.raises(RpcError) as caught:
            await encrypt(client)
        assert f"{files} is not encrypted" in str(caught.value)
        assert caught.value.data["kind"] == "notEncrypted"


async def test_a_folder_that_is_removed_under_a_daemon_is_not_made_anew_in_clear(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", "x = 1")
        await encrypt(client)
    async with opened(folder) as client:
        await unlock(client)
        await client.run("a.py", "x = 'HIDDENVALUE'")
        shutil.rmtree(folder / ".state")
        await client.run("a.py", "y = 2")
        await client.flush("a.py")
        assert found_in(folder, b"HIDDENVALUE") == []
    async with opened(folder) as client:
        await unlock(client, SECRET)
        assert await client.value("a.py", "x, y") == "('HIDDENVALUE', 2)"


async def test_where_there_is_no_keyring_nothing_is_said_to_be_encrypted(folder: Path) -> None:
    pytest.importorskip("keyring")
    async with started(folder, {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}) as client:
        await client.run("a.py", "x = 1")
        with pytest.raises(RpcError, match="is to be encrypted with a key in the keyring"):
            await encrypt(client, None, "keyring")
        assert not (folder / ".state" / "encryption.json").exists()


async def test_unlocking_names_the_files_whose_cells_ran_while_it_was_locked(folder: Path) -> None:
    async with opened(folder) as client:
        await client.run("a.py", "x = 1")
        await client.run("b.py", "x = 1")
        await encrypt(client)
    async with opened(folder) as client:
        await client.run("a.py", "y = 2")
        assert "but for a.py, where cells ran meanwhile" in (await unlock(client))["message"]
        assert await client.value("b.py", "x") == "1"
        await client.run("a.py", "z = 3")
        versions = await client.request("holdfast/state/history", client.document("a.py"))
        assert [version["version"] for version in versions] == [2, 1]
