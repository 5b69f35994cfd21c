"""Two nodes of Ray on this machine, of which one is killed; and a machine without Ray."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

from bridge_tf.config import Config
from bridge_tf.runs.context import Run
from bridge_tf.runs.executors.ray.executor import execute_on_ray
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.files import sha256
from tests.cli.test_stops import wait_until
from tests.commands import done, printed, refused
from tests.conftest import REPOSITORY
from tests.extras import needs

DIGITS = REPOSITORY / "configs" / "digits.flags"


@pytest.fixture
def cluster(monkeypatch):
    """The address of two nodes of one CPU each."""
    # A user's own token would be asked for on some ways and not on others.
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    # Sockets lie in it, whose paths must be short.
    folder = tempfile.mkdtemp(prefix="bt-", dir="/tmp")
    address = f"127.0.0.1:{free_port()}"
    options = ["--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats"]
    head = ["--head", f"--port={address.partition(':')[2]}", "--include-dashboard=false"]
    try:
        ray("start", *head, "--node-ip-address=127.0.0.1", f"--temp-dir={folder}", *options)
        ray("start", f"--address={address}", *options)
        yield address
    finally:
        for process in processes(folder):
            os.kill(process, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def ray(*arguments) -> None:
    program = [sys.executable, "-m", "ray.scripts.scripts", *arguments]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def processes(*words: str) -> list[int]:
    """The processes with all these words in their command lines."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except (OSError, UnicodeDecodeError):
            continue
        if all(word in line for word in words):
            found.append(int(path.parent.name))
    return found


def children(process: int) -> list[int]:
    text = pathlib.Path(f"/proc/{process}/task/{process}/children").read_text()
    return list(map(int, text.split()))


def report(work: pathlib.Path) -> dict:
    """The report of a run, but for times."""
    content = json.loads((work / "report.json").read_text())
    for row in content["artifacts"]:
        assert (row.pop("latency_ratio") is None) == row["file"].endswith(".keras")
        row.pop("early_exit_latency_ratios", None)
    return content


@needs("ray", "fsspec")
@pytest.mark.integration
def test_modes_that_a_node_trains_are_the_local_ones(smoke_run, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    local, work = smoke_run(DIGITS), tmp_path / "work"
    flags = [f"--flagfile={DIGITS}", "--smoke", "--executor=ray", "--ray_address=local"]
    told = done("train", *flags, f"--workdir={work}", "--stages=modes", process=True).stderr
    # On a node of two processors they begin side by side.
    assert sorted(re.findall("(mode-.): begins on node", told)) == ["mode-0", "mode-1"]
    for name in ("modes/0.keras", "modes/1.keras"):
        assert sha256(work / name) == sha256(local.work / name), name


@needs("ray", "fsspec")
@pytest.mark.slow
def test_a_run_on_two_nodes_of_which_one_dies_is_the_local_one(smoke_run, cluster, tmp_path):
    local, work = smoke_run(DIGITS), tmp_path / "work"
    program = [sys.executable, str(REPOSITORY / "bin" / "train")]
    flags = [f"--flagfile={DIGITS}", "--smoke", "--executor=ray", f"--ray_address={cluster}"]
    places = [f"--workdir={work}", f"--export_dir={tmp_path / 'exports'}"]
    told = tmp_path / "told"
    with open(told, "w") as file:
        process = subprocess.Popen(
            [*program, *flags, *places], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=file
        )
    try:
        # Both nodes train a mode.
        wait_until(lambda: told.read_text().count("begins on node") == 2, process)
        mine = re.search("ray: node (.*?), .*this one", told.read_text())[1]
        (other,) = {*re.findall("on node (.*)", told.read_text())} - {mine}
        time.sleep(1)
        (node,) = processes("raylet/raylet ", f"--node_id={other}")
        for victim in (*children(node), node):
            os.kill(victim, signal.SIGKILL)
        printed_table = process.communicate(timeout=400)[0].decode()
    finally:
        process.kill()
    text = told.read_text()
    assert process.returncode == 0, text
    assert text.count("begins on node") == 6  # two modes, curve, bridge, evaluation; one again
    lost = re.search(f"(.*): begins on node {other}", text)[1]
    assert f"{lost}: begins on node {mine}" in text
    assert printed_table == local.first.stdout
    assert report(work) == report(local.work)
    for name in ("figures/data.json", "ensemble.keras", "modes/1.keras", "bridges/0-1.keras"):
        assert sha256(work / name) == sha256(local.work / name), name
    assert not (work / "checkpoints").exists()


@needs("ray", "fsspec")
@pytest.mark.integration
def test_a_cluster_that_is_not_there_is_one_line(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    flags = [f"--workdir={tmp_path / 'work'}", "--executor=ray", f"--ray_address={address}"]
    assert f"--ray_address={address}: no Ray cluster" in refused("train", *flags)
    assert not (tmp_path / "work").exists()


@needs("fsspec")
def test_without_ray_it_is_told_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    run = Run(Config(executor="ray"), tmp_path / "work")
    with pytest.raises(InputError, match=r"`executor=ray`: .*pip install 'bridge_tf\[ray\]'"):
        execute_on_ray(run)
    assert not (tmp_path / "work").exists()


ALL = """
import json, pkgutil, sys, bridge_tf
for module in pkgutil.walk_packages(bridge_tf.__path__, "bridge_tf."):
    if "compression" not in module.name:  # which has Keras 2
        __import__(module.name)
print(json.dumps([name for name in ("ray", "gcsfs", "s3fs") if name in sys.modules]))
"""


@pytest.mark.integration
def test_nothing_imports_ray_before_it_is_needed(tmp_path):
    assert json.loads(printed(ALL, cwd=tmp_path).splitlines()[-1]) == []
