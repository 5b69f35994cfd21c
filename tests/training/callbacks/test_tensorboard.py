import json
import re

import keras
import numpy as np
import pytest

from bridge_tf import Recipe, Split, fit_mode
from bridge_tf.data import training_batches
from bridge_tf.training.callbacks.checkpoints import Checkpoints
from bridge_tf.training.callbacks.event_files import read_scalars
from bridge_tf.training.callbacks.progress import TrainingProgress
from bridge_tf.training.callbacks.tensorboard import TrainingLog, log_report, read_histories
from tests.kill import Kill

STEPS, EPOCHS = 4, 3
REPORT = {
    "curves": [
        {
            "curve": [0, 1],
            "points": [
                {"r": 0.0, "accuracy": 0.75, "nll": 1.5},
                {"r": 1 / 3, "accuracy": 0.5, "nll": 2.0},
            ],
        }
    ],
    "bridges": [
        {"curve": [0, 1], "r": 0.25, "kl": 0.25, "kl_base": 0.5, "agreement": 0.875},
        {"curve": [0, 1], "r": 0.29, "kl": 0.125, "kl_base": 0.5, "agreement": 1.0},
    ],
    "ensembles": [
        {
            "name": "bridge_2",
            "size": 3,
            "accuracy": 0.75,
            "nll": 0.5,
            "calibrated_nll": 0.25,
            "brier": 0.125,
            "ece": 0.0625,
            "calibrated_ece": 0.03125,
            "dee": None,
            "relative_flops": 1.25,
        }
    ],
}

LINES = [
    {
        "curve": [0, 1],
        "points": [
            {"r": 0.0, "accuracy": 0.75, "nll": 1.5},
            {"r": 1 / 3, "accuracy": None, "nll": None},  # no number
        ],
    }
]


def scalars(folder) -> dict:
    """All scalars in a folder's event files, and how they are described: as TensorBoard does."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(folder)).Reload()
    return {
        tag: [
            (event.step, make_ndarray(event.tensor_proto).item()) for event in events.Tensors(tag)
        ]
        for tag in events.PluginTagToContent("scalars")
        if events.SummaryMetadata(tag).summary_description
    }


def evaluated(logs) -> dict:
    return {run: scalars(logs / run) for run in ("curves/0-1", "bridges/0-1", "evaluate/bridge_2")}


@pytest.fixture
def model():
    """A model to train by hand."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([3], [0.5, 0.25])
    model.compile(keras.optimizers.SGD(schedule), "mse")
    return model


def train(log, model, epochs) -> None:
    """Calls a log as `fit` does, for the losses of some epochs by their index from 0."""
    log.set_model(model)
    log.on_train_begin()
    for epoch, loss in epochs.items():
        log.on_epoch_begin(epoch)
        for batch in range(2):
            model.optimizer.iterations.assign(2 * epoch + batch + 1)
            log.on_train_batch_end(batch, {"loss": 9.0})
        log.on_epoch_end(epoch, {"loss": loss, "accuracy": loss / 2})
    log.on_train_end()


def test_an_epoch_that_was_cut_in_two_is_one_point_and_one_line(images, labels, tmp_path, capsys):
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
                backup_dir=Checkpoints(tmp_path / f"{name}-checkpoints", minutes=1e-9),
            )
        return history.history

    def lines() -> list[str]:
        return [re.sub(r", [\d,.]+ images/s, .* left|in \d+ s", "", line) for line in said()]

    def said() -> list[str]:
        return capsys.readouterr().err.splitlines()

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
    # Not only as they are read: there is no other point in the files.
    assert len(read_scalars(tmp_path / "pieces" / "modes" / "0")) == 4 * EPOCHS


def test_points_are_in_the_file_when_their_epoch_ends(model, tmp_path):
    log = TrainingLog(tmp_path / "modes" / "0", 8)
    train(log, model, {0: 2.0, 1: 1.0})
    history = read_histories(tmp_path)["modes/0"]
    assert history["loss"] == [(1, 2.0), (2, 1.0)]
    assert history["accuracy"] == [(1, 1.0), (2, 0.5)]
    assert history["learning_rate"] == [(1, 0.5), (2, 0.25)]  # at the end of the epoch
    with log:
        pass
    (file,) = (tmp_path / "modes" / "0").iterdir()  # and no folder "train"
    assert set(scalars(file.parent)) == set(history)


@pytest.mark.parametrize("again", [0, 1])
def test_epochs_that_are_trained_again_replace_their_points(model, tmp_path, again):
    folder = tmp_path / "modes" / "0"
    first = {0: 4.0, 1: 3.0, 2: 2.0}
    with TrainingLog(folder, 8) as log:
        train(log, model, first)
        train(log, model, {1: 5.0})  # a retry, in the same process
    (folder / ".partial-events.out.tfevents.1").touch()  # of a process that was killed
    with TrainingLog(folder, 8) as log:
        train(log, model, dict.fromkeys(range(again, 2), 1.0))
    expected = [(1, 4.0), (2, 1.0)] if again else [(1, 1.0), (2, 1.0)]
    assert read_histories(tmp_path)["modes/0"]["loss"] == expected
    assert sorted(row[1:] for row in read_scalars(folder) if row[1] == "loss") == [
        ("loss", *point) for point in expected
    ]
    assert not list(folder.glob(".*"))


def test_an_evaluation_is_logged_in_the_runs_of_the_trainings(model, tmp_path):
    with TrainingLog(tmp_path / "curves" / "0-1", 8) as log:
        train(log, model, {0: 2.0})
    log_report(tmp_path, REPORT, LINES)
    found = evaluated(tmp_path)
    assert found["curves/0-1"].pop("loss") == [(1, 2.0)]
    for tag in ("accuracy", "learning_rate", "images_per_second"):
        del found["curves/0-1"][tag]
    assert found == {
        "curves/0-1": {
            "along_curve/nll": [(0, 1.5), (333, 2.0)],
            "along_curve/accuracy": [(0, 0.75), (333, 0.5)],
            "along_line/nll": [(0, 1.5)],
            "along_line/accuracy": [(0, 0.75)],
        },
        "bridges/0-1": {
            "bridge/kl": [(250, 0.25), (290, 0.125)],
            "bridge/kl_base": [(250, 0.5), (290, 0.5)],
            "bridge/agreement": [(250, 0.875), (290, 1.0)],
        },
        "evaluate/bridge_2": {
            "ensemble/accuracy": [(3, 0.75)],
            "ensemble/nll": [(3, 0.5)],
            "ensemble/calibrated_nll": [(3, 0.25)],
            "ensemble/brier": [(3, 0.125)],
            "ensemble/ece": [(3, 0.0625)],
            "ensemble/calibrated_ece": [(3, 0.03125)],
            "ensemble/relative_flops": [(3, 1.25)],
        },
    }
    # What is measured isn't taken for what was trained.
    assert set(read_histories(tmp_path)) == {"curves/0-1"}
    assert not any("/" in tag for tag in read_histories(tmp_path)["curves/0-1"])


def test_another_evaluation_replaces_the_first(tmp_path):
    log_report(tmp_path, REPORT)
    other = json.loads(json.dumps(REPORT))
    other["ensembles"][0] |= {"name": "../../escaped", "dee": 2.5}
    del other["bridges"][1]
    log_report(tmp_path, other)
    assert scalars(tmp_path / "evaluate" / "______escaped")["ensemble/dee"] == [(3, 2.5)]
    assert scalars(tmp_path / "bridges" / "0-1")["bridge/kl"] == [(250, 0.25)]
    assert not list((tmp_path / "evaluate" / "bridge_2").iterdir())
    log_report(tmp_path, REPORT)
    log_report(tmp_path, REPORT)
    assert [len(points) for tags in evaluated(tmp_path).values() for points in tags.values()] == [
        *[2] * 5,
        *[1] * 7,
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bridges", "curves", "evaluate"]


def test_the_logs_of_earlier_versions_are_read(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    callback = keras.callbacks.TensorBoard(tmp_path / "bridges" / "0-1", write_graph=False)
    ones = np.ones((8, 3)), np.ones(8)
    history = model.fit(*ones, epochs=2, verbose=0, callbacks=[callback]).history
    found = read_histories(tmp_path)
    assert list(found) == ["bridges/0-1"]
    assert found["bridges/0-1"] == {
        "learning_rate": [(1, pytest.approx(0.01)), (2, pytest.approx(0.01))],
        "loss": [(k + 1, loss) for k, loss in enumerate(history["loss"])],
        "mae": [(k + 1, loss) for k, loss in enumerate(history["mae"])],
    }
    # Of a training that an earlier version began and this one ended.
    with TrainingLog(tmp_path / "bridges" / "0-1", 8) as log:
        train(log, model, {1: 7.0, 2: 6.0})
    assert read_histories(tmp_path)["bridges/0-1"]["loss"] == [
        (1, history["loss"][0]),
        (2, 7.0),
        (3, 6.0),
    ]


def test_what_cannot_be_read_is_left_out(model, tmp_path, capfd):
    assert read_histories(tmp_path / "absent") == {}
    logs = tmp_path / "logs"
    for name in ("modes/10", "modes/2", "curves/0-1"):
        with TrainingLog(logs / name, 8) as log:
            train(log, model, {0: 2.0, 1: 1.0})
    whole = read_histories(logs)
    assert list(whole) == ["modes/2", "modes/10", "curves/0-1"]
    (file,) = (logs / "modes" / "10").iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:-10])
    (logs / "modes" / "2" / "events.out.tfevents.1").write_bytes(b"no event at all" * 9)
    (logs / "modes" / "2" / "events.out.tfevents.2").write_bytes(b"")
    (logs / "modes" / "2" / "events.out.tfevents.3").mkdir()
    (logs / "modes" / "a file").touch()
    with TrainingLog(logs / "modes" / "other $things$", 8) as log:
        train(log, model, {0: 2.0})
    # Links lead out of the folder, to a file, a training, and a stage.
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "events.out.tfevents.9").write_bytes(content)
    links = ("modes/2/events.out.tfevents.4", "elsewhere/events.out.tfevents.9"), ("modes/3", "")
    for name, target in (*links, ("modes/2/train", ""), ("bridges", "")):
        (logs / name).symlink_to(tmp_path / (target or "elsewhere"))
    capfd.readouterr()
    damaged = read_histories(logs)
    assert capfd.readouterr() == ("", "")
    # All but the last point of the file that ends too soon.
    last = sorted(whole["modes/10"], key=lambda tag: tag == "images_per_second")[-1]
    assert last == "images_per_second"
    whole["modes/10"][last].pop()
    assert damaged == whole
