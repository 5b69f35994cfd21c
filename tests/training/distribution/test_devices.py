"""Devices that share each batch train as one device does."""

import json
import subprocess
import sys

import numpy as np
import pytest

from bridge_tf.config import Config
from bridge_tf.training.distribution.devices import Devices
from bridge_tf.utils.errors import InputError
from tests.conftest import REPOSITORY
from tests.extras import needs_jax

# A few roundings of float32, in losses of about 2 and weights of about 1. Statistics of a half of
# the batch, or a gradient that is twice as large, change the second digit.
TOLERANCE = 1e-5
BASELINES = (
    *("swa", "fge", "distillation", "student_with_bridges", "student_of_answers"),
    *("batch_ensemble", "mc_dropout", "mimo"),
)


def shared(backend: str, folder, *names: str) -> dict:
    program = [sys.executable, "-m", "tests.sharing", backend, str(folder), *names]
    result = subprocess.run(program, capture_output=True, text=True, cwd=REPOSITORY)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def compare(found: dict) -> None:
    for name, (one, two) in found["trainings"].items():
        assert len(one["losses"]) == 8, name
        np.testing.assert_allclose(two["losses"], one["losses"], atol=TOLERANCE, err_msg=name)
        np.testing.assert_allclose(two["values"], one["values"], atol=TOLERANCE, err_msg=name)
        assert not two["synchronized"], "the file would tell how many devices made it"


def compare_interrupted(found: dict) -> None:
    whole = found["trainings"]["mode"][1]
    interrupted = found["interrupted"]
    assert interrupted["checkpoints"] == ["epoch-0.npz", "epoch-1.npz", "step-6.npz"]
    for name in ("two", "one"):
        assert len(interrupted[name]["losses"]) == 2
        np.testing.assert_allclose(
            interrupted[name]["losses"][-1], whole["losses"][-1], atol=TOLERANCE, err_msg=name
        )
        np.testing.assert_allclose(
            interrupted[name]["values"], whole["values"], atol=TOLERANCE, err_msg=name
        )


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("tensorflow", marks=pytest.mark.integration),
        pytest.param("jax", marks=[needs_jax, pytest.mark.slow]),
    ],
)
def test_two_devices_train_as_one(backend, tmp_path):
    found = shared(backend, tmp_path, "mode", "curve", "bridge")
    assert found["devices"] == 2
    compare(found)
    compare_interrupted(found)
    more, odd, *arrays = found["refusals"]
    assert more.startswith("`devices=3`: there are 2 devices (")
    assert odd == "`batch_size=7`: 2 devices share each batch equally; take a multiple of 2"
    assert len(arrays) == 2
    for text, size in zip(arrays, (7, 10), strict=True):
        assert text.endswith(f"Received: 24 rows, batch_size={size}")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", pytest.param("jax", marks=needs_jax)])
def test_baselines_and_conditioned_bridges_too(backend, tmp_path):
    compare(shared(backend, tmp_path, "conditioned", *BASELINES))


def test_one_device_is_no_sharing():
    assert Devices.of("1") is None
    assert Devices.of("all") is None  # of the CPUs here there is one


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"devices": "x"}, "`devices=x`: must be a number from 1 on, or all"),
        ({"devices": "0"}, "`devices=0`: must be a number from 1 on, or all"),
        (
            {"devices": "3", "batch_size": 32},
            "`batch_size=32`: 3 devices share each batch equally; take a multiple of 3",
        ),
        ({"hosts": ["a:1"]}, "`hosts=a:1`: name two processes or more, or leave it out"),
        ({"hosts": ["a:1", "b"]}, "`hosts=a:1,b`: b must be HOST:PORT"),
        ({"hosts": ["a:1", "a:1"]}, "`hosts=a:1,a:1`: name each address once"),
        ({"hosts": ["a:1", "b:1"], "process_id": 2}, "`process_id=2`: must be below 2"),
        ({"process_id": 1}, "`process_id=1`: needs `hosts`"),
        (
            {"hosts": ["a:1", "b:1"], "devices": "2", "batch_size": 6},
            "`batch_size=6`: 4 devices share each batch equally; take a multiple of 4",
        ),
        (
            {"hosts": ["a:1", "b:1"], "executor": "ray"},
            "`hosts=a:1,b:1`: not with `executor=ray`; leave one of them out",
        ),
    ],
)
def test_flags_that_no_machine_can_follow(settings, message):
    with pytest.raises(InputError) as error:
        Config(**settings)
    assert str(error.value) == message


def test_what_this_machine_or_backend_cannot_do(monkeypatch):
    with pytest.raises(InputError, match=r"^`devices=2`: there is 1 device \(/device:CPU:0\)$"):
        Devices.of("2")
    with pytest.raises(InputError, match=r"^`hosts=a:1,b:1`: only JAX .* set KERAS_BACKEND=jax"):
        Devices.of("1", ["a:1", "b:1"])
    monkeypatch.setattr("keras.backend.backend", lambda: "torch")
    with pytest.raises(InputError, match=r"^`devices=all`: the backend torch trains on one device"):
        Devices.of("all")
