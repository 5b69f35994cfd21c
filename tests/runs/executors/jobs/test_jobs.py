"""Trainings in several processes make the files of one, and nothing is lost when one ends."""

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from bridge_tf.config import Config
from bridge_tf.runs.executors.board import Board
from bridge_tf.runs.executors.jobs.threads import check_threads
from bridge_tf.utils.errors import InputError, TrainingError
from tests.runs.small import SMALL, TRAININGS, digests, executed

STAGES = (*TRAININGS, "baselines")
CONFIG = Config(
    num_modes=3, baselines=("fge", "distillation"), bridge_pool=1, latency=False, **SMALL
)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run of one process."""
    return executed(CONFIG, tmp_path_factory.mktemp("alone"), STAGES).files


def entries(files):
    found = files.manifest.read()["files"]
    return {name: entry for name, entry in found.items() if name.endswith(".keras")}


@pytest.mark.slow
def test_the_files_are_those_of_one_process(alone, tmp_path, capsys):
    shutil.copytree(alone.path, tmp_path / "1" / "run")
    found = []
    for jobs, stages in (("1", ("evaluate", "export")), ("2", (*STAGES, "evaluate", "export"))):
        folder = tmp_path / jobs
        config = dataclasses.replace(CONFIG, export_dir=str(folder / "exports"))
        files = executed(config, folder / "run", stages, jobs=jobs).files
        # Those two know the number of jobs.
        names = {path.name for path in files.path.iterdir()} - {"config.json", "manifest.json"}
        found.append(
            {name: (files.path / name).read_bytes() for name in names if "." in name}
            | {path.name: path.read_bytes() for path in files.figures.iterdir()}
            | {"folders": {name for name in names if "." not in name}}
            | {"printed": capsys.readouterr().out}
            | {"tflite": next((folder / "exports").glob("*.tflite")).read_bytes()}
            | {"entries": entries(files), "trained": digests(files.path)}
        )
    assert found[0].keys() == found[1].keys()
    assert [name for name, value in found[0].items() if found[1][name] != value] == []
    assert len(json.loads(found[1]["report.json"])["artifacts"]) == 2


@pytest.mark.slow
def test_an_error_of_a_process_is_told_as_that_of_one(tmp_path):
    config = dataclasses.replace(CONFIG, learning_rate=1e30, warmup_epochs=0)
    told = []
    for jobs in ("1", "2"):
        with pytest.raises(TrainingError) as error:
            executed(config, tmp_path / jobs, ["modes"], jobs=jobs)
        told.append(str(error.value).replace(str(tmp_path / jobs), ""))
    assert re.sub(r"modes/\d", "", told[1]) == re.sub(r"modes/\d", "", told[0])


@pytest.mark.faults
def test_a_killed_process_is_told_and_the_run_goes_on(alone, tmp_path, monkeypatch):
    killed = []
    tell = Board.line

    def kill_the_first(board, task, text):
        tell(board, task, text)
        if not killed:
            (pid, *_) = _children()
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    with monkeypatch.context() as patch:
        patch.setattr(Board, "line", kill_the_first)
        with pytest.raises(TrainingError, match=r"mode-\d: its process was killed by signal 9;"):
            executed(CONFIG, tmp_path, STAGES, jobs="2")
    executed(CONFIG, tmp_path, STAGES, jobs="2")
    assert digests(tmp_path) == digests(alone.path)


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_the_command_and_lose_nothing(alone, tmp_path, number):
    flags = [f"--{name}={_text(value)}" for name, value in _flags().items()]
    command = [sys.executable, "-m", "bridge_tf", "train", *flags, f"--workdir={tmp_path}"]
    process = subprocess.Popen([*command, "--jobs=2"], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "epoch 1/2" in line:
            break
    process.send_signal(number)
    rest = process.stderr.read()  # until the last of them has closed it
    process.wait()
    if number == signal.SIGTERM:
        assert process.returncode == 128 + number
        assert rest.count("interrupted") == 1
    subprocess.run(command, check=True, capture_output=True)
    assert digests(tmp_path) == digests(alone.path)


@pytest.mark.slow
def test_one_training_is_done_here(tmp_path, monkeypatch):
    config = Config(num_modes=2, **SMALL)
    executed(config, tmp_path, ["modes"])
    monkeypatch.setattr("multiprocessing.get_context", lambda kind: pytest.fail("a process"))
    executed(config, tmp_path, ["curves"], jobs="2")


@pytest.mark.slow
def test_trainings_have_the_threads_that_are_asked_for(tmp_path, monkeypatch):
    (tmp_path / "threads_seen.py").write_text(
        "import os, pathlib, tensorflow as tf\n"
        "number = tf.config.threading.get_intra_op_parallelism_threads()\n"
        "(pathlib.Path(__file__).parent / f'{os.getpid()}.txt').write_text(str(number))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = Config(num_modes=2, threads=1, imports=("threads_seen",), **SMALL)
    found = [executed(config, tmp_path / jobs, ["modes"], jobs=jobs).files.path for jobs in "12"]
    assert digests(found[0]) == digests(found[1])
    seen = [path.read_text() for path in tmp_path.glob("*.txt")]
    assert seen == ["1"] * 3  # of one process, then of two, and none of this one


def test_threads_are_refused_where_they_limit_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("bridge_tf.runs.executors.jobs.threads.has_accelerator", lambda: True)
    with pytest.raises(InputError, match="`threads=1`: limits trainings on CPUs"):
        executed(Config(threads=1, **SMALL), tmp_path, ["modes"])
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(InputError, match="`threads=1`: the backend jax has no such limit"):
        check_threads(1)
    assert not list(tmp_path.glob("*.json"))


def _flags() -> dict:
    settings = {**SMALL, "num_modes": 3, "baselines": CONFIG.baselines, "bridge_pool": 1}
    return {**settings, "stages": STAGES}


def _text(value) -> str:
    return ",".join(value) if isinstance(value, list | tuple) else str(value)


def _children() -> list[int]:
    path = f"/proc/{os.getpid()}/task"
    found = []
    for thread in os.listdir(path):
        with open(f"{path}/{thread}/children") as file:
            found += map(int, file.read().split())
    return [pid for pid in found if b"spawn_main" in _command(pid)]


def _command(pid: int) -> bytes:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()
