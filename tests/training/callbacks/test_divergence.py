import dataclasses

import keras
import numpy as np
import pytest

from bridge_tf import Recipe, TrainingError, fit_mode
from bridge_tf.training.callbacks.checkpoints import Checkpoints
from bridge_tf.training.callbacks.divergence import Diverged, DivergenceWatch

QUICK = Recipe(epochs=3, learning_rate=0.05, warmup_epochs=0, jit_compile=False)


@pytest.fixture
def data(images, labels):
    return images, labels


class Spoil(keras.callbacks.Callback):
    """Makes a weight infinite before a step, as often as told."""

    def __init__(self, epoch, times=1):
        super().__init__()
        self.at, self.times = epoch, times
        self.rates = []

    def on_epoch_begin(self, epoch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))
        if epoch == self.at and self.times:
            self.times -= 1
            weight = self.model.trainable_variables[0]
            weight.assign(weight * np.inf)


def test_a_bad_loss_stops_the_training_and_is_told(tiny, data):
    with pytest.raises(
        TrainingError, match=r"loss became (nan|inf) in step [12] \(epoch 1, learning rate .*e\+"
    ):
        fit_mode(tiny(), data, Recipe(3, 1e20, warmup_epochs=0, jit_compile=False), batch_size=8)


def test_the_message_names_the_last_good_checkpoint(tiny, data, tmp_path):
    with pytest.raises(TrainingError) as error:
        fit_mode(tiny(), data, QUICK, batch_size=8, callbacks=[Spoil(1)], checkpoint_dir=tmp_path)
    assert "the loss became nan in step 4 (epoch 2, learning rate 0.0" in str(error.value)
    assert f"epoch-1.npz in {tmp_path}" in str(error.value)
    assert "`on_divergence=retry`" in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-0.npz", "epoch-1.npz"]


@pytest.mark.integration
def test_after_a_bad_loss_in_the_first_epoch_the_start_is_kept(tiny, data, tmp_path):
    with pytest.raises(TrainingError, match=r"epoch-0\.npz"):
        fit_mode(tiny(), data, QUICK, batch_size=8, callbacks=[Spoil(0)], checkpoint_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-0.npz"]
    # And the advice of the message can be followed.
    retry = Checkpoints(tmp_path, on_divergence="retry")
    fit_mode(tiny(), data, QUICK, batch_size=8, callbacks=[Spoil(0)], checkpoint_dir=retry)
    assert len(retry.notes["retries"]) == 1


def test_without_a_checkpoint_of_an_epoch_there_is_no_retry(tiny, data, tmp_path):
    class Lose(Spoil):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch)
            for path in tmp_path.iterdir():
                path.unlink()

    retry = Checkpoints(tmp_path, on_divergence="retry")
    with pytest.raises(TrainingError, match=r"no checkpoint is left .*another `workdir`"):
        fit_mode(tiny(), data, QUICK, batch_size=8, callbacks=[Lose(0)], checkpoint_dir=retry)


@pytest.mark.integration
@pytest.mark.parametrize("epoch", [0, 2])
def test_a_retry_goes_on_from_the_last_epoch_at_half_the_rate(tiny, data, tmp_path, caplog, epoch):
    spoil = Spoil(epoch)
    checkpoints = Checkpoints(tmp_path, on_divergence="retry")
    network = tiny()
    fit_mode(network, data, QUICK, batch_size=8, callbacks=[spoil], checkpoint_dir=checkpoints)
    assert all(np.isfinite(weight).all() for weight in network.get_weights())
    usual = [float(QUICK.optimizer(3)._learning_rate(3 * k)) for k in range(3)]
    expected = usual[: epoch + 1] + [rate / 2 for rate in usual[epoch:]]
    np.testing.assert_allclose(spoil.rates, expected, rtol=1e-5)
    assert len(checkpoints.notes["retries"]) == 1
    assert f"back to the end of epoch {epoch}, at half the rate" in caplog.text


@pytest.mark.integration
def test_an_own_optimizer_retries_at_half_its_rate_unless_a_schedule_sets_it(tiny, data, tmp_path):
    class Lower(Spoil):
        """Also lowers the rate, as callbacks do on a plateau."""

        def on_epoch_end(self, epoch, logs=None):
            optimizer = self.model.optimizer
            optimizer.learning_rate = 0.8 * float(optimizer.learning_rate)

    checkpoints, spoil = Checkpoints(tmp_path / "a", on_divergence="retry"), Lower(1)
    options = {"batch_size": 8, "optimizer": keras.optimizers.SGD(0.01)}
    fit_mode(tiny(), data, QUICK, callbacks=[spoil], checkpoint_dir=checkpoints, **options)
    assert spoil.rates == pytest.approx([0.01, 0.008, 0.004, 0.0032])
    # A training that resumes keeps the rate.
    longer = dataclasses.replace(QUICK, epochs=4)
    again = Lower(-1)
    checkpoints = Checkpoints(tmp_path / "a", on_divergence="retry")
    fit_mode(tiny(), data, longer, callbacks=[again], checkpoint_dir=checkpoints, **options)
    assert again.rates == pytest.approx([0.00256])

    options["optimizer"] = keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.01, 9))
    checkpoints = Checkpoints(tmp_path / "b", on_divergence="retry")
    with pytest.raises(TrainingError, match="train with an `optimizer` of a lower rate"):
        fit_mode(tiny(), data, QUICK, callbacks=[Spoil(1)], checkpoint_dir=checkpoints, **options)


def test_a_retry_that_was_interrupted_goes_on_at_its_rate(tiny, data, tmp_path):
    class Interrupt(Spoil):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch)
            if len(self.rates) == 3:  # of the retry
                raise KeyboardInterrupt

    checkpoints = Checkpoints(tmp_path, on_divergence="retry")
    spoil = Interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        fit_mode(tiny(), data, QUICK, batch_size=8, callbacks=[spoil], checkpoint_dir=checkpoints)
    again = Spoil(-1)
    fit_mode(tiny(), data, QUICK, batch_size=8, callbacks=[again], checkpoint_dir=tmp_path)
    assert again.rates[0] == spoil.rates[-1] == pytest.approx(spoil.rates[1] / 2)


@pytest.mark.integration
def test_retries_come_to_an_end(tiny, data, tmp_path):
    checkpoints = Checkpoints(tmp_path, on_divergence="retry")
    spoil = Spoil(0, times=9)
    with pytest.raises(TrainingError, match="after 4 retries"):
        fit_mode(tiny(), data, QUICK, batch_size=8, callbacks=[spoil], checkpoint_dir=checkpoints)
    assert len(spoil.rates) == 5


def test_growth_out_of_all_bounds_is_told_from_a_high_start():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd")

    def watch(*losses):
        callback = DivergenceWatch({})
        callback.set_model(model)
        for epoch, loss in enumerate(losses):
            callback.on_epoch_begin(epoch)
            callback.on_epoch_end(epoch, {"loss": loss})

    watch(300.0, 40.0, 2.0)
    watch(0.01, 0.5, 9.0)
    watch(2.3, 20.0)
    with pytest.raises(Diverged, match=r"grew from 2.3 to 24 .*epoch 3"):
        watch(2.3, 2.0, 24.0)


@pytest.mark.parametrize("weight", ["kernel", "moving_variance"])
def test_weights_that_became_infinite_in_the_last_step_are_found(weight):
    dense, norm = keras.layers.Dense(1, name="d"), keras.layers.BatchNormalization(name="d")
    model = keras.Sequential([keras.Input((1,)), dense if weight == "kernel" else norm])
    model.compile("sgd")
    variable = getattr(model.layers[0], weight)
    variable.assign(np.full(variable.shape, np.nan))
    callback = DivergenceWatch({})
    callback.set_model(model)
    callback.on_epoch_begin(0)
    with pytest.raises(Diverged, match=f"d/{weight} became infinite"):
        callback.on_epoch_end(0, {"loss": 1.0})
