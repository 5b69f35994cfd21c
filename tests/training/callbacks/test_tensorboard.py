import os
import subprocess
import sys

import pytest

from bridge_tf.training.callbacks.tensorboard import TrainingLog
from tests.extras import needs_jax
from tests.training.callbacks.logs import scalars, small_model, train
from tests.without_tensorflow import FORBIDDEN

PROGRAM = (
    FORBIDDEN
    + """
import pathlib
from bridge_tf.training.callbacks.tensorboard import ScalarWriter

writer = ScalarWriter(pathlib.Path(sys.argv[1]), ".training", {"loss": "in nats"})
writer.write(1, {"loss": 0.5, "images_per_second": 3.0})
writer.write(2, {"loss": 0.25})
writer.close()
assert "tensorflow" not in sys.modules
"""
)


def test_each_epoch_is_a_point_of_a_run(tmp_path):
    folder = tmp_path / "modes" / "0"
    log = TrainingLog(folder, 8)
    train(log, small_model(), {0: 2.0, 1: 1.0})
    found = scalars(folder)  # while the file is open
    assert found.pop("images_per_second")
    assert found == {
        "loss": [(1, 2.0), (2, 1.0)],
        "accuracy": [(1, 1.0), (2, 0.5)],
        "learning_rate": [(1, 0.5), (2, 0.25)],
    }
    with log:
        pass
    assert len([*folder.glob("events.*")]) == 1  # and no folder "train"
    assert sorted(path.name[:6] for path in folder.iterdir()) == ["events", "histor"]


def test_a_training_that_goes_on_is_written_anew(tmp_path):
    folder = tmp_path / "modes" / "0"
    with TrainingLog(folder, 8) as log:
        train(log, small_model(), {0: 4.0, 1: 3.0, 2: 2.0})
    (other,) = folder.glob("events.*")
    other.write_bytes(other.read_bytes()[:-10])  # nothing is read of it
    theirs = folder / "events.out.tfevents.1.evaluation"
    theirs.touch()
    with TrainingLog(folder, 8) as log:
        train(log, small_model(), {2: 1.0})
    assert not other.exists() and theirs.exists()
    assert scalars(folder)["loss"] == [(1, 4.0), (2, 3.0), (3, 1.0)]


@needs_jax
@pytest.mark.integration
def test_scalars_are_written_without_tensorflow(tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    # Those that are described.
    assert scalars(tmp_path) == {"loss": [(1, 0.5), (2, 0.25)]}
