"""`holdfast encrypt`, `unlock` and `decrypt`, and the client's methods."""

from __future__ import annotations

from pathlib import Path

import pytest
from daemons import done

from holdfast_client.errors import HoldfastError
from holdfast_client.sync import connect


def test_state_is_encrypted_unlocked_and_decrypted_by_commands(workspace: Path) -> None:
    (workspace / "a.py").write_text("x = 5\n")
    assert done(["run", "a.py"], workspace).returncode == 0
    encrypted = done(["encrypt"], workspace, input="correct horse\n")
    assert encrypted.returncode == 0 and "is encrypted, and its passphrase opens it" in encrypted.stdout
    assert "encrypted" in done(["doctor"], workspace).stdout
    assert done(["stop"], workspace).returncode == 0
    locked = done(["vars", "a.py"], workspace)
    assert locked.returncode != 0 and "holdfast unlock" in locked.stderr
    assert done(["decrypt"], workspace).returncode != 0
    assert "not the right one" in done(["unlock"], workspace, input="wrong\n").stderr
    unlocked = done(["unlock", "--json"], workspace, input="correct horse\n")
    assert unlocked.returncode == 0 and '"encrypted": true' in unlocked.stdout
    assert "x" in done(["vars", "a.py"], workspace).stdout
    decrypted = done(["decrypt"], workspace)
    assert decrypted.returncode == 0 and "is not encrypted" in decrypted.stdout
    assert "All is as it was written" in done(["verify"], workspace).stdout


def test_scripts_encrypt_and_unlock(workspace: Path) -> None:
    with connect(workspace) as client:
        client.open("a.py").run("x = 1")
        assert client.encrypt(passphrase="correct horse").encrypted
        client.stop()
    with connect(workspace) as client:
        session = client.open("a.py")
        with pytest.raises(HoldfastError) as caught:
            session.variables()
        assert caught.value.kind == "locked"
        assert client.unlock("correct horse").encrypted
        assert [variable.name for variable in session.variables()] == ["x"]
        assert not client.encrypt("none").encrypted
