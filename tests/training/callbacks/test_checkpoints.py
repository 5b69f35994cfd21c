"""A training that is interrupted anywhere ends with the weights of one that wasn't."""

import signal

import keras
import numpy as np
import pytest

from bridge_tf import Curve, Recipe, Split, build_bridge, fit_bridge, fit_curve, fit_mode
from bridge_tf.data import training_batches
from bridge_tf.training.callbacks.checkpoints import Checkpoints
from bridge_tf.utils import signals
from bridge_tf.utils.keras_utils import clone
from tests.kill import Kill

STEPS, EPOCHS = 4, 2
RECIPE = Recipe(epochs=EPOCHS, learning_rate=0.05, warmup_epochs=1, jit_compile=False)


@pytest.fixture
def split(images, labels):
    return Split(images, labels.astype("int32"))


@pytest.fixture
def trainings(tiny, split):
    """For each kind of training a function that trains from the same start and gives it."""
    ends = [tiny(), tiny()]
    member = tiny()
    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    hidden = keras.layers.Dropout(0.5, seed=3)(hidden)
    dropout = keras.Model(inputs, keras.layers.Dense(5)(hidden))
    bridge = build_bridge(ends[0], "relu0", 0.5)

    def data(done):
        options = {"epochs": EPOCHS, "seed": 7, "first_step": done, "augment": "crop"}
        return training_batches(split, 6, **options)

    def mode(**options):
        model = clone(dropout)
        return model, fit_mode(model, data, RECIPE, steps_per_epoch=STEPS, **options)

    def curve(**options):
        model = Curve.between(*ends, seed=3)
        return model, fit_curve(model, data, RECIPE, steps_per_epoch=STEPS, **options)

    def one_bridge(**options):
        model = clone(bridge)
        arguments = (model, ends[0], member, data, RECIPE)
        return model, fit_bridge(*arguments, steps_per_epoch=STEPS, **options)

    return {"mode": mode, "curve": curve, "bridge": one_bridge}


INTEGRATION = pytest.mark.integration


@pytest.mark.parametrize(
    "kind", ["mode", *(pytest.param(kind, marks=INTEGRATION) for kind in ("curve", "bridge"))]
)
def test_an_interrupted_training_ends_as_an_undisturbed_one(trainings, tmp_path, kind):
    train = trainings[kind]
    undisturbed, history = train()
    for step in (1, 4, 6):
        folder = tmp_path / str(step)
        with pytest.raises(KeyboardInterrupt):
            train(checkpoint_dir=Checkpoints(folder, minutes=1e-9), callbacks=[Kill(step)])
        resumed, rest = train(checkpoint_dir=folder)
        for a, b in zip(resumed.get_weights(), undisturbed.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"killed in step {step}")
        # The metrics of the epoch that was cut in two are those of the whole epoch, too.
        for name, values in rest.history.items():
            assert values == history.history[name][-len(values) :]


def test_of_a_damaged_epoch_the_one_before_is_used(trainings, tmp_path):
    train = trainings["mode"]
    undisturbed, _ = train(checkpoint_dir=tmp_path)
    newest = tmp_path / "epoch-2.npz"
    newest.write_bytes(newest.read_bytes()[:-500])
    resumed, rest = train(checkpoint_dir=tmp_path)
    assert rest.epoch == [1]
    for a, b in zip(resumed.get_weights(), undisturbed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_that_cannot_be_read_now_is_not_taken_for_damaged(trainings, tmp_path):
    trainings["mode"](checkpoint_dir=tmp_path)
    (tmp_path / "epoch-3.npz").mkdir()  # reading it is an OSError, as of a network drive
    with pytest.raises(OSError):
        trainings["mode"](checkpoint_dir=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"epoch-{k}.npz" for k in (1, 2, 3)]


def test_between_epochs_only_the_newest_checkpoints_are_kept(trainings, tmp_path):
    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append(sorted(path.name for path in tmp_path.glob("*")))

    trainings["mode"](checkpoint_dir=Checkpoints(tmp_path, minutes=1e-9), callbacks=[Look()])
    start, first = "epoch-0.npz", "epoch-1.npz"
    assert seen[:4] == [
        [start],
        [start, "step-1.npz"],
        [start, "step-2.npz"],
        [start, "step-3.npz"],
    ]
    assert seen[4:6] == [[start, first], [start, first, "step-5.npz"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == [first, "epoch-2.npz"]


def test_a_signal_is_answered_after_the_step(trainings, tmp_path):
    class Signal(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 1:
                signal.raise_signal(signal.SIGTERM)

    undisturbed, _ = trainings["mode"]()
    with signals.graceful(), pytest.raises(signals.Interrupted) as interrupted:
        trainings["mode"](checkpoint_dir=tmp_path, callbacks=[Signal()])
    assert interrupted.value.signum == signal.SIGTERM
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-0.npz", "step-2.npz"]
    resumed, _ = trainings["mode"](checkpoint_dir=tmp_path)
    for a, b in zip(resumed.get_weights(), undisturbed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("damage", ["truncate", pytest.param("flip", marks=INTEGRATION)])
def test_a_damaged_checkpoint_is_named_and_never_loaded(trainings, tmp_path, caplog, damage):
    train = trainings["mode"]
    undisturbed, _ = train()
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint_dir=Checkpoints(tmp_path, minutes=1e-9), callbacks=[Kill(6)])
    newest = tmp_path / "step-6.npz"
    content = bytearray(newest.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    newest.write_bytes(content if damage == "flip" else content[:-500])
    resumed, rest = train(checkpoint_dir=tmp_path)
    assert "step-6.npz is damaged" in caplog.text
    assert rest.epoch == [1]  # from the end of the first epoch on
    for a, b in zip(resumed.get_weights(), undisturbed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_checkpoints_of_another_start_are_passed_over(trainings, tmp_path):
    trainings["mode"](checkpoint_dir=Checkpoints(tmp_path, made_from={"modes/0.keras": "a"}))
    _, history = trainings["mode"](
        checkpoint_dir=Checkpoints(tmp_path, made_from={"modes/0.keras": "b"})
    )
    assert history.epoch == [0, 1]


def test_a_bridge_keeps_no_copies_of_base_and_member(trainings, tmp_path):
    bridge, _ = trainings["bridge"](checkpoint_dir=tmp_path)
    with np.load(tmp_path / "epoch-2.npz") as arrays:
        kept = sum(arrays[name].size for name in arrays if name.startswith("model-"))
    assert kept == sum(weight.size for weight in bridge.get_weights()) + 2  # the seed
