"""A program: trains on one device and on two that share each batch, and prints what came out.

python -m tests.sharing BACKEND FOLDER NAME…
"""

import json
import os
import sys

if __name__ == "__main__":
    BACKEND = os.environ["KERAS_BACKEND"] = sys.argv[1]
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
    import tensorflow as tf

    if BACKEND == "tensorflow":
        (cpu,) = tf.config.list_physical_devices("CPU")
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)

import contextlib
import functools
import pathlib
import shutil

import keras
import numpy as np

from bridge_tf import Curve, Recipe, Split, build_bridge, fit_bridge, fit_curve, fit_mode
from bridge_tf.data import training_batches
from bridge_tf.data.stored_batches import answered_batches
from bridge_tf.ensembles import baselines
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.training.callbacks.checkpoints import Checkpoints
from bridge_tf.training.distribution.devices import Devices
from bridge_tf.utils.errors import InputError
from tests.kill import Kill

EPOCHS, STEPS, BATCH = 2, 4, 6
# TensorFlow compiles no mirrored step, and what it compiles draws other numbers.
COMPILED = {"jit_compile": keras.backend.backend() == "jax"}
PLAIN = {"epochs": EPOCHS, "learning_rate": 0.1, "warmup_epochs": 1, **COMPILED}
RECIPE = Recipe(**PLAIN)
IMAGES = np.random.default_rng(0).uniform(0, 255, (24, 8, 8, 1)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 5, 24).astype("int32")


def network(seed: int, channels: int = 1, classes: int = 5) -> keras.Model:
    """A small network with batch normalization."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, channels))
    x = keras.layers.Rescaling(1 / 64, -2)(inputs)
    for k in (1, 2):
        x = keras.layers.Conv2D(4, 3, name=f"conv{k}")(x)
        x = keras.layers.BatchNormalization(momentum=0.8, name=f"norm{k}")(x)
        x = keras.layers.ReLU(name=f"relu{k}")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


def mode():
    model = network(0)
    return model, functools.partial(fit_mode, model)


def curve():
    model = Curve.between(network(0), network(1), seed=3)
    return model, functools.partial(fit_curve, model)


def bridge(conditioned: bool = False):
    base = network(0)
    path = Curve.between(base, network(1))
    member = path.path(IMAGES, points=3) if conditioned else path.model_at(0.5, IMAGES)
    model = build_bridge(base, "relu1", 0.5, conditioned=conditioned)
    fit = functools.partial(fit_bridge, model, base, member, repulsion=0.2, label_share=0.3)
    return model, fit


def conditioned():
    return bridge(conditioned=True)


def swa():
    model = network(0)
    recipe = baselines.SwaRecipe(**PLAIN)
    return model, functools.partial(baselines.fit_swa, model, statistics=IMAGES, recipe=recipe)


def fge():
    model = network(0)
    return model, functools.partial(fit_mode, model, recipe=baselines.CyclicRecipe(**PLAIN))


def distillation():
    model = network(2)
    return model, functools.partial(baselines.fit_student, model, [network(0), network(1)])


def student_with_bridges():
    model = network(2)
    bridge = build_bridge(model, "relu1", 0.5)
    trained = baselines.with_bridges(model, [bridge])
    return trained, functools.partial(baselines.fit_student, trained, [network(0), network(1)])


def student_of_answers():
    trained, fit = student_with_bridges()
    teachers = BridgeEnsemble(fit.args[1][0], [], fit.args[1][1:])

    def from_answers(data, **options):
        images = data(0).as_numpy_iterator()
        kept = [teachers.predict_on_batch(x)["log_probabilities"] for x, _ in images]
        batches = functools.partial(
            answered_batches, data, lambda step: kept[step], len(kept), steps=len(kept)
        )
        return baselines.fit_from_answers(trained, lambda done: batches(first_step=done), **options)

    return trained, functools.partial(from_answers)  # as all others


def batch_ensemble():
    model = baselines.batch_ensemble(network(0), 2)
    return model, functools.partial(baselines.fit_members, model, 2)


def mc_dropout():
    model = baselines.mc_dropout(network(0), 2)
    return model, functools.partial(fit_mode, model)


def mimo():
    model = network(0, channels=2, classes=10)
    return model, functools.partial(baselines.fit_mimo, model, 2)


class Losses(keras.callbacks.Callback):
    """Notes what the epoch's mean loss is after each step."""

    def __init__(self):
        super().__init__()
        self.values = []

    def on_train_batch_end(self, batch, logs=None):
        self.values.append(float(logs["loss"]))


def trained(name: str, devices: Devices | None, folder=None, kill: int | None = None) -> dict:
    """Trains anew; the loss after each step, and all values at the end."""
    model, fit = globals()[name]()
    losses = Losses()
    with contextlib.suppress(KeyboardInterrupt):
        fit(
            data=lambda done: training_batches(
                Split(IMAGES, LABELS), BATCH, epochs=EPOCHS, seed=7, first_step=done
            ),
            steps_per_epoch=STEPS,
            callbacks=[losses] if kill is None else [losses, Kill(kill)],
            # As good as after each step.
            checkpoint_dir=folder and Checkpoints(folder, minutes=1e-9),
            devices=devices,
            **({} if "recipe" in fit.keywords else {"recipe": RECIPE}),
        )
    normal = [layer.synchronized for layer in model._flatten_layers() if hasattr(layer, "gamma")]
    values = np.concatenate([np.ravel(np.asarray(v)) for v in model.variables]).tolist()
    return {"losses": losses.values, "values": values, "synchronized": any(normal)}


def interrupted(two: Devices, folder: pathlib.Path) -> dict:
    """A training by two devices, cut off in its second epoch: went on with by two, and by one."""
    trained("mode", two, folder / "two", kill=6)
    shutil.copytree(folder / "two", folder / "one")
    names = sorted(path.name for path in (folder / "one").iterdir())
    return {
        "two": trained("mode", two, folder / "two"),
        "one": trained("mode", None, folder / "one"),
        "checkpoints": names,
    }


def refusals(two: Devices) -> list[str]:
    """What is said of batches and devices that there can't be."""
    texts = []
    asked = (
        lambda: Devices.of("3"),
        lambda: Devices.of("2", batch_size=7),
        lambda: fit_mode(network(0), (IMAGES, LABELS), RECIPE, batch_size=7, devices=two),
        lambda: fit_mode(network(0), (IMAGES, LABELS), RECIPE, batch_size=10, devices=two),
    )
    for ask in asked:
        try:
            ask()
        except (InputError, ValueError) as error:
            texts.append(str(error))
    return texts


def main(backend: str, folder: str, *names: str) -> None:
    two = Devices.of("all")
    found = {"devices": len(two.names), "refusals": refusals(two)}
    found["trainings"] = {n: [trained(n, devices) for devices in (None, two)] for n in names}
    if "mode" in names:
        found["interrupted"] = interrupted(two, pathlib.Path(folder))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
