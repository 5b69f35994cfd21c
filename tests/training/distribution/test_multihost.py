"""Processes that share each batch, by bin/train on the loopback device, end as one process does."""

import contextlib
import hashlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from bridge_tf.training.callbacks.history import read_epochs
from tests.conftest import REPOSITORY
from tests.extras import needs_jax

pytestmark = needs_jax

# A few roundings of float32, in losses of about 2.
TOLERANCE = 1e-5
FLAGS = (
    "--dataset=digits --max_images=96 --model=network.keras --taps=relu1 --bridge_width=0.5 "
    "--num_modes=2 --mode_epochs=3 --curve_epochs=2 --bridge_epochs=2 --batch_size=32 "
    "--warmup_epochs=1"
).split()


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    """Where a small network with batch normalization lies, of which runs train their modes."""
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 64, -2)(inputs)
    x = keras.layers.Conv2D(4, 3, name="conv1")(x)
    x = keras.layers.BatchNormalization(name="norm1")(x)
    x = keras.layers.ReLU(name="relu1")(x)
    x = keras.layers.Conv2D(8, 3, name="conv2")(x)
    x = keras.layers.BatchNormalization(name="norm2")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU(name="relu2")(x))
    keras.Model(inputs, keras.layers.Dense(10)(x)).save(tmp_path / "network.keras")
    return tmp_path


def free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def start(folder, name: str, *flags: str) -> subprocess.Popen:
    program = [sys.executable, str(REPOSITORY / "bin" / "train"), *FLAGS, *flags]
    return subprocess.Popen(
        [*program, f"--workdir={folder / name}"],
        cwd=folder,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_two(folder, *flags: str, others=((), ())) -> list[subprocess.Popen]:
    hosts = ",".join(f"127.0.0.1:{port}" for port in free_ports(2))
    shared = [f"--hosts={hosts}", *flags]
    return [start(folder, f"two{k}", f"--process_id={k}", *shared, *others[k]) for k in (0, 1)]


def finish(processes, status: int = 0) -> list[str]:
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [status] * len(processes), errors
    return errors


def digests(run: pathlib.Path) -> dict[str, str]:
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in run.rglob("*.keras")
    }


def losses(run: pathlib.Path, training: str) -> list[float]:
    return [epoch["loss"] for epoch in read_epochs(run / "logs" / training)]


@pytest.mark.parametrize(
    ("stages", "trainings"),
    [
        pytest.param("modes", ["modes/0", "modes/1"], marks=pytest.mark.integration),
        pytest.param("curves,bridges", ["curves/0-1", "bridges/0-1"], marks=pytest.mark.slow),
    ],
)
def test_two_processes_train_as_one(folder, stages, trainings):
    stages = f"--stages={stages}" if stages == "modes" else f"--stages=modes,{stages}"
    finish([*start_two(folder, stages), start(folder, "one", stages)])

    assert {f"{training}.keras" for training in trainings} <= set(digests(folder / "two0"))
    assert digests(folder / "two0") == digests(folder / "two1")
    for training in trainings:
        one, *two = (losses(folder / name, training) for name in ("one", "two0", "two1"))
        assert len(one) >= 2
        assert two[0] == two[1]
        np.testing.assert_allclose(two[0], one, atol=TOLERANCE, err_msg=training)
        path = f"{training}.keras"
        models = [keras.models.load_model(folder / name / path) for name in ("one", "two0")]
        for a, b in zip(*(model.get_weights() for model in models), strict=True):
            np.testing.assert_allclose(a, b, atol=TOLERANCE, err_msg=training)


@pytest.mark.slow
def test_processes_that_differ_are_told_so(folder):
    errors = finish(start_two(folder, "--stages=modes", others=((), ("--seed=1",))), status=2)
    for error in errors:
        assert "train: --hosts: the processes are about to train different things" in error
    assert not (folder / "two0" / "modes").exists()


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [0, 1])
def test_an_interrupted_run_ends_as_an_undisturbed_one(folder, stopped):
    flags = ("--stages=modes", "--mode_epochs=60")
    finish(start_two(folder, *flags))
    whole = digests(folder / "two0")
    for k in (0, 1):
        (folder / f"two{k}").rename(folder / f"whole{k}")

    processes = start_two(folder, *flags)
    checkpoints = folder / f"two{stopped}" / "checkpoints" / "modes" / "0"
    while not [*checkpoints.glob("epoch-[3-9].npz")]:
        assert processes[stopped].poll() is None, processes[stopped].communicate()[1]
        time.sleep(0.01)
    processes[stopped].send_signal(signal.SIGTERM)
    for process in processes:
        process.communicate(timeout=300)
    assert processes[stopped].returncode == 128 + signal.SIGTERM
    assert processes[1 - stopped].returncode != 0
    finish(start_two(folder, *flags))
    assert digests(folder / "two0") == digests(folder / "two1") == whole
