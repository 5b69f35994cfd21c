import json
import re

import keras
import numpy as np
import pytest

from bridge_tf import Recipe, Split, fit_mode
from bridge_tf.data import training_batches
from bridge_tf.training.callbacks.checkpoints import Checkpoints
from bridge_tf.training.callbacks.history import read_epochs, read_histories
from bridge_tf.training.callbacks.progress import TrainingProgress
from bridge_tf.training.callbacks.tensorboard import TrainingLog
from tests.kill import Kill
from tests.training.callbacks.logs import scalars, small_model, train

STEPS, EPOCHS = 4, 3


def test_an_epoch_that_was_cut_in_two_is_one_point_and_one_line(images, labels, tmp_path, caplog):
    caplog.set_level("INFO", "bridge_tf")

    def data(done):
        options = {"epochs": EPOCHS, "seed": 7, "first_step": done}
        return training_batches(Split(images, labels.astype("int32")), 6, **options)

    def run(name, *callbacks):
        keras.utils.set_random_seed(1)
        network = keras.Sequential(
            [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(5)]
        )
        with (
            TrainingProgress("mode", 6, EPOCHS, STEPS) as progress,
            TrainingLog(tmp_path / name / "modes" / "0", 6) as log,
        ):
            history = fit_mode(
                network,
                data,
                Recipe(EPOCHS, learning_rate=1e-4, warmup_epochs=1, jit_compile=False),
                steps_per_epoch=STEPS,
                callbacks=[log, progress, *callbacks],
                checkpoint_dir=Checkpoints(tmp_path / f"{name}-checkpoints", minutes=1e-9),
            )
        return history.history

    def lines() -> list[str]:
        return [re.sub(r", [\d,.]+ images/s, .* left|in \d+ s", "", line) for line in said()]

    def said() -> list[str]:
        messages = caplog.messages
        caplog.clear()
        return messages

    history = run("whole")
    whole = lines()
    for step in (6, 1):  # of the rest; in the middle of the second epoch, and of the third
        with pytest.raises(KeyboardInterrupt):
            run("pieces", Kill(step))
    run("pieces")
    assert lines() == whole
    assert [line.partition(",")[0] for line in whole[:3]] == [
        f"mode: epoch {k}/3" for k in (1, 2, 3)
    ]

    (expected,) = read_histories(tmp_path / "whole").values()
    assert list(expected) == ["accuracy", "images_per_second", "learning_rate", "loss"]
    for tag in ("loss", "accuracy"):
        assert expected[tag] == [(k + 1, value) for k, value in enumerate(history[tag])]
    assert [step for step, _ in expected["learning_rate"]] == [1, 2, 3]
    np.testing.assert_allclose(
        [rate for _, rate in expected["learning_rate"]], [1e-4, 0.5e-4, 0], rtol=1e-6
    )
    assert all(speed > 0 for _, speed in expected.pop("images_per_second"))
    (found,) = read_histories(tmp_path / "pieces").values()
    assert [step for step, _ in found.pop("images_per_second")] == [1, 2, 3]
    assert found == expected
    # TensorBoard shows the same, and no other point.
    shown = scalars(tmp_path / "pieces" / "modes" / "0")
    del shown["images_per_second"]
    assert shown == expected


def test_points_are_in_the_file_when_their_epoch_ends(tmp_path):
    log = TrainingLog(tmp_path / "modes" / "0", 8)
    train(log, small_model(), {0: 2.0, 1: 1.0})
    history = read_histories(tmp_path)["modes/0"]
    assert history["loss"] == [(1, 2.0), (2, 1.0)]
    assert history["accuracy"] == [(1, 1.0), (2, 0.5)]
    assert history["learning_rate"] == [(1, 0.5), (2, 0.25)]  # at the end of the epoch
    assert [step for step, _ in history["images_per_second"]] == [1, 2]
    first, second = read_epochs(tmp_path / "modes" / "0")
    assert list(first) == ["epoch", "loss", "accuracy", "learning_rate", "images_per_second"]
    assert (second["epoch"], second["loss"]) == (2, 1.0)


@pytest.mark.parametrize("again", [0, 1])
def test_epochs_that_are_trained_again_replace_their_points(tmp_path, again):
    folder, model = tmp_path / "modes" / "0", small_model()
    with TrainingLog(folder, 8) as log:
        train(log, model, {0: 4.0, 1: 3.0, 2: 2.0})
        train(log, model, {1: 5.0})  # a retry, in the same process
    (folder / ".partial-history.json").touch()  # of a process that was killed
    with TrainingLog(folder, 8) as log:
        train(log, model, dict.fromkeys(range(again, 2), 1.0))
    expected = [(1, 4.0), (2, 1.0)] if again else [(1, 1.0), (2, 1.0)]
    assert read_histories(tmp_path)["modes/0"]["loss"] == expected
    assert scalars(folder)["loss"] == expected
    assert not list(folder.glob(".*"))


def test_what_cannot_be_read_is_left_out(tmp_path):
    assert read_histories(tmp_path / "absent") == {}
    logs = tmp_path / "logs"
    names = ("modes/10", "modes/2", "curves/0-1", "baselines/swa", "modes/other $things$")
    for name in (*names, "evaluate/bridge_2"):
        with TrainingLog(logs / name, 8) as log:
            train(log, small_model(), {0: 2.0, 1: 1.0})
    whole = read_histories(logs)
    assert list(whole) == ["modes/2", "modes/10", "curves/0-1", "baselines/swa"]
    content = (logs / "modes" / "10" / "history.json").read_bytes()
    (logs / "modes" / "a file").touch()
    # Links lead out of the folder, to a file, a training, and a stage.
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "history.json").write_bytes(content)
    (logs / "modes" / "4").mkdir()
    (logs / "modes" / "4" / "history.json").symlink_to(tmp_path / "elsewhere" / "history.json")
    (logs / "modes" / "3").symlink_to(tmp_path / "elsewhere")
    (logs / "bridges").symlink_to(tmp_path / "elsewhere")
    assert read_histories(logs) == whole


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"no history", b"\xff", b"{}", b"1", b"null", b"[1]", b"[[]]", b"[{}]"),
        *(b'[{"epoch": 1, "loss": 2.0}', b'[{"loss": 2.0}]', b'[{"epoch": 1, "loss": "a"}]'),
        *(b'[{"epoch": 1.5, "loss": 2.0}]', b'[{"epoch": 1, "loss": null}]'),
        *(b'[{"epoch": 1, "loss": NaN}]', b'[{"epoch": 1, "loss": Infinity}]'),
        b'[{"epoch": 1, "loss": 1' + 400 * b"0" + b"}]",
        200_000 * b"[",
    ],
    ids=lambda content: content[:30],
)
def test_a_damaged_history_costs_its_points_alone(tmp_path, content):
    folder = tmp_path / "modes" / "0"
    with TrainingLog(folder, 8) as log:
        train(log, small_model(), {0: 2.0})
    (folder / "history.json").write_bytes(content)
    assert read_histories(tmp_path) == {}
    with TrainingLog(folder, 8) as log:
        train(log, small_model(), {1: 1.0})
    assert json.loads((folder / "history.json").read_text("utf-8"))[0]["epoch"] == 2
    assert read_histories(tmp_path)["modes/0"]["loss"] == scalars(folder)["loss"] == [(2, 1.0)]
