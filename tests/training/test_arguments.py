"""What `fit` refuses before it trains, and what it makes of data and optimizers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bridge_tf import InputError, fit_mode, fit_modes
from bridge_tf.training.arguments import checked, checked_validation, entered_for_training
from bridge_tf.training.optimizers import described, fresh_optimizer, has_schedule

IMAGES, LABELS = np.zeros((10, 2), "float32"), np.arange(10) % 3
BATCHES = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(2)
UNKNOWN = BATCHES.filter(lambda x, y: tf.size(y) > 0)
CALLBACKS = keras.callbacks


def steps(data, given=None, batch_size=4):
    return entered_for_training(data, batch_size, given, labelled=True)[1]


def test_steps_per_epoch():
    assert steps((IMAGES, LABELS)) == 3
    assert steps(({"a": IMAGES, "b": IMAGES}, LABELS)) == 3
    assert steps(BATCHES) == 5
    assert steps(BATCHES.repeat(), 7) == 7
    assert steps(UNKNOWN, 7) == 7
    assert steps(lambda done: BATCHES, 7) == 7


@pytest.mark.parametrize(
    ("data", "given", "message"),
    [
        (BATCHES.repeat(), None, "`steps_per_epoch`: is needed, since the batches of `data` never"),
        (UNKNOWN, None, "`steps_per_epoch`: is needed, since the batches of `data` are of unknown"),
        ((x for x in BATCHES), None, "`steps_per_epoch`: is needed"),
        (lambda done: BATCHES, None, "`steps_per_epoch`: is needed, since `data` is a function"),
        (BATCHES, 0, "`steps_per_epoch` must be at least 1. Received: steps_per_epoch=0"),
        ((IMAGES, LABELS), 2, "`steps_per_epoch=2`: is for batches; 10 rows make 3 steps"),
        (BATCHES.take(0), None, "`data`: has no batches"),
        (IMAGES, None, "`data`: needs labels"),
        (BATCHES.map(lambda x, y: x), None, "`data`: needs labels"),
    ],
)
def test_what_gives_no_steps_is_refused(data, given, message):
    with pytest.raises(InputError) as error:
        steps(data, given)
    assert str(error.value).startswith(message)


def test_data_that_end_within_an_epoch_are_repeated():
    for data, given in ((UNKNOWN, 7), (BATCHES, 3), (BATCHES, 7)):
        found, _ = entered_for_training(data, 4, given, labelled=True)
        assert int(found.take(100).reduce(0, lambda n, _: n + 1)) == 100
    # All epochs, or one of them: Keras starts again by itself.
    assert entered_for_training(BATCHES, 4, 5, labelled=True)[0] is BATCHES


def test_validation_data():
    pair = (IMAGES, LABELS)
    assert checked_validation(BATCHES, pair, True, None) is BATCHES
    assert checked_validation([IMAGES, LABELS[:, None]], pair, True, None)[0] is IMAGES
    assert checked_validation(IMAGES, IMAGES, False, None) is IMAGES
    for data, message in (
        (BATCHES.repeat(), "`validation_data`: never ends"),
        ((x for x in BATCHES), "`validation_data`: is read in each epoch"),
        ((IMAGES, np.eye(3)[LABELS]), "`validation_data`: must have labels like those of `data`"),
        ((IMAGES, LABELS[:2]), "`validation_data`: arrays must have one row for each image"),
    ):
        with pytest.raises(InputError, match=f"^{message}"):
            checked_validation(data, pair, True, None)
    with pytest.raises(InputError, match="leave out `devices`"):
        checked_validation(BATCHES, pair, True, object())


def test_callbacks_and_verbose():
    stop = CALLBACKS.EarlyStopping()
    assert checked(None, None, 0) == []
    assert checked(stop, None, "auto") == checked([stop], "adam", 2) == [stop]
    for callback in (CALLBACKS.ReduceLROnPlateau(), CALLBACKS.LearningRateScheduler(lambda e: 1)):
        assert checked(callback, "adam", 0) == [callback]
        decay = keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10))
        for optimizer in (None, decay, keras.optimizers.LossScaleOptimizer(decay)):
            with pytest.raises(InputError, match="can't set the learning rate") as error:
                checked(callback, optimizer, 0)
            assert type(callback).__name__ in str(error.value)
    with pytest.raises(InputError, match=r"`callbacks` must be Keras callbacks. Received: int"):
        checked([stop, 3], None, 0)
    with pytest.raises(InputError, match=r"`verbose` must be 0, 1, 2 or \"auto\". Received: "):
        checked(None, None, 3)


def test_an_optimizer_is_copied_without_its_state():
    weight = keras.Variable([1.0])
    given = keras.optimizers.Adam(0.25, beta_1=0.5)
    given.apply([keras.ops.ones(1)], [weight])
    fresh = fresh_optimizer(given)
    assert type(fresh) is keras.optimizers.Adam and fresh is not given
    assert (int(given.iterations), int(fresh.iterations)) == (1, 0)
    assert (float(fresh.learning_rate), fresh.beta_1) == (0.25, 0.5)
    assert described(given) == described(keras.optimizers.Adam(0.25, beta_1=0.5))
    assert described(given) != described("adam")
    assert has_schedule(None) and not has_schedule("adam")
    for wrong in ("adamm", keras.optimizers.Adam, 3):
        with pytest.raises(InputError, match=r"^`optimizer` must be a name, or a Keras") as error:
            fresh_optimizer(wrong)
        assert "\n" not in str(error.value)


def test_callbacks_that_write_are_not_shared_by_modes(tiny, tmp_path):
    for callback in (
        CALLBACKS.ModelCheckpoint(tmp_path / "m.keras"),
        CALLBACKS.CSVLogger(tmp_path / "log.csv"),
        CALLBACKS.TensorBoard(tmp_path),
        CALLBACKS.BackupAndRestore(tmp_path),
    ):
        with pytest.raises(InputError, match=f"the place of {type(callback).__name__}"):
            fit_modes(tiny, None, 2, None, callbacks=[callback])
    with pytest.raises(InputError, match=r"^`data`: is read once for each mode"):
        fit_modes(tiny, iter([]), 2, None)
    with pytest.raises(InputError, match=r"^`num_modes` must be at least 1. Received: num_modes=0"):
        fit_modes(tiny, None, 0, None)


def test_labels_that_are_no_classes_are_refused(tiny, images, labels):
    for shift in (-1, 1):
        with pytest.raises(InputError, match=r"^labels must be whole numbers from 0 to 4, the "):
            fit_mode(tiny(), (images, labels + shift), None)
