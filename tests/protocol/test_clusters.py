"""Ray across the death of a real kernel: with a cluster of its own, which ends with it, and with one that lives on."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Client

pytest.importorskip("ray")
pytestmark = pytest.mark.timeout(240)

DEFINITIONS = """\
import ray
more = 10
@ray.remote(num_cpus=0.1)
def add(x): return x + more
@ray.remote(num_cpus=0.1)
class Counter:
    def __init__(self, n): self.n = n
    def up(self): self.n += 1; return self.n
"""


@pytest.fixture(autouse=True)
def own_ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep Ray's notes of where clusters are, and of tokens, away from the user's own; paths of sockets are short."""
    folder = tempfile.mkdtemp(prefix="hf-ray-")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_TMPDIR", folder)
    yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def cluster(own_ray: None) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A cluster that nobody's kernel started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ("--head", "--block", "--num-cpus=2", f"--port={port}", "--include-dashboard=false")
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *options]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    for line in process.stdout:
        if b"--block" in line:
            break
    yield f"127.0.0.1:{port}", process
    end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a cluster and all that it started."""
    if process.returncode is None:
        process.terminate()
        process.communicate()


async def kill_kernel(daemon: Client) -> None:
    os.kill((await daemon.session("a.py"))["pid"], signal.SIGKILL)


async def test_ray_begins_again_with_its_options_and_what_ended_with_it_is_named(daemon: Client) -> None:
    result = await daemon.run(
        "a.py",
        f"{DEFINITIONS}context = ray.init(num_cpus=1, resources={{'special': 2}}, namespace='mine', "
        "include_dashboard=False, log_to_driver=False)\n"
        "counter = Counter.remote(1); up = counter.up; reference = ray.put(1); held = [reference]\n"
        "faster = add.options()",
    )
    lost = {lost["name"]: lost for lost in result["state"]["skipped"]}
    assert lost.keys() == {"counter", "up", "reference", "held"}
    assert "ends with it" in lost["counter"]["reason"]
    assert "ray.get" in lost["reference"]["remedy"]
    await kill_kernel(daemon)
    assert await daemon.value("a.py", "ray.is_initialized(), ray.get_runtime_context().namespace") == "(True, 'mine')"
    resources = "[ray.cluster_resources()[name] for name in ('CPU', 'special')]"
    assert await daemon.value("a.py", resources) == "[1.0, 2.0]"
    assert await daemon.value("a.py", "ray.get([add.remote(1), faster.remote(2)])") == "[11, 12]"
    assert await daemon.value("a.py", "ray.get(Counter.remote(3).up.remote())") == "4"
    address = "context.address_info['gcs_address'] == ray.get_runtime_context().gcs_address"
    assert await daemon.value("a.py", address) == "True"


async def test_detached_actors_of_a_cluster_that_lives_on_are_found_again(
    daemon: Client, cluster: tuple[str, subprocess.Popen[bytes]]
) -> None:
    address, process = cluster
    result = await daemon.run(
        "a.py",
        f"{DEFINITIONS}context = ray.init({address!r})\n"
        "counter = Counter.options(name='counter', lifetime='detached').remote(1); named = ray.get_actor('counter')\n"
        "up = counter.up; pair = [counter, counter]; own = Counter.remote(5)\n"
        "before = ray.get([counter.up.remote(), own.up.remote()])",
    )
    (lost,) = result["state"]["skipped"]
    assert (lost["name"], "not detached" in lost["reason"], "detached" in lost["remedy"]) == ("own", True, True)
    await kill_kernel(daemon)
    assert await daemon.value("a.py", "ray.get([add.remote(1), counter.up.remote(), up.remote()])") == "[11, 3, 4]"
    assert await daemon.value("a.py", "ray.get(named.up.remote()), pair[0] is pair[1] is counter") == "(5, True)"
    await daemon.run("a.py", "ray.kill(counter); ray.shutdown()", options={"persist": False})
    end(process)
    await kill_kernel(daemon)
    assert await daemon.value("a.py", "ray.is_initialized(), more") == "(False, 10)"
    restored = [params for method, params in daemon.notifications if method == "holdfast/state/restored"][-1]
    failed = {lost["name"]: lost["reason"] for lost in restored["failed"]}
    assert failed.keys() == {"context", "counter", "named", "up", "pair", "ray connection"}
    assert all(reason.endswith("does not answer") for reason in failed.values())


async def test_a_folder_that_ray_took_into_its_cluster_is_named(daemon: Client, folder: Path) -> None:
    (folder / "code").mkdir()
    result = await daemon.run(
        "a.py", "import ray\nray.init(num_cpus=1, include_dashboard=False, runtime_env={'working_dir': 'code'});"
    )
    (lost,) = result["state"]["skipped"]
    assert (lost["name"], lost["type"]) == ("ray connection", "ambient state")
    assert "runtime_env" in lost["reason"]
