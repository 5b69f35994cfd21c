"""Runs of two classes with one output unit, and with weights of classes."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from bridge_tf import InputError
from bridge_tf.config import Config
from bridge_tf.runs.context import Run
from tests.runs.small import SMALL, TRAININGS, executed

OPTIONS = {k: v for k, v in SMALL.items() if k not in ("width", "max_images")} | {"num_modes": 2}


def build(end="sigmoid", units=1) -> keras.Model:
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, activation="relu", name="tap")(layers.Rescaling(1 / 255)(image))
    x = layers.Conv2D(4, 3, activation="relu")(x)
    return keras.Model(image, layers.Dense(units, activation=end)(layers.Flatten()(x)))


@pytest.fixture(scope="module")
def data():
    """Arrays of an .npz file; a quarter of the images are of class 1, the brighter ones."""
    generator, arrays = np.random.default_rng(0), {}
    for split, count in (("train", 160), ("test", 80)):
        labels = (np.arange(count) % 4 == 0).astype("int64")
        images = generator.integers(0, 128, (count, 8, 8, 1)) + 64 * labels[:, None, None, None]
        arrays |= {f"x_{split}": images.astype("uint8"), f"y_{split}": labels}
    return arrays


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    """A folder of data sets, modes and other models."""
    folder = tmp_path_factory.mktemp("binary")
    np.savez(folder / "two.npz", **data)
    labels = {f"y_{split}": np.arange(len(data[f"y_{split}"])) % 3 for split in ("train", "test")}
    np.savez(folder / "three.npz", **data | labels)
    for k in range(2):
        mode = build()
        mode.compile("adam", "binary_crossentropy")
        mode.fit(data["x_train"].astype("float32"), data["y_train"], epochs=3, verbose=0)
        mode.save(folder / f"{k}.keras")
    build(None).save(folder / "logit.keras")
    build(units=2).save(folder / "multi_label.keras")
    build("softmax").save(folder / "always_1.keras")
    return folder


def config(folder, dataset="two.npz", **settings) -> Config:
    return Config(
        dataset=f"npz:{folder / dataset}",
        taps=["tap"],
        export_dir=str(folder / "out"),
        **OPTIONS | settings,
    )


@pytest.mark.slow
def test_given_sigmoids_are_measured_as_keras_measures_them_and_exported(folder, data, tmp_path):
    modes = [str(folder / f"{k}.keras") for k in range(2)]
    settings = config(folder, modes=modes, validation="train", tflite=["float32", "int8"])
    stages = ("modes", *TRAININGS[1:], "evaluate", "export")
    run = executed(settings, tmp_path / "run", stages)
    report = json.loads(run.files.report.read_text())
    mode = keras.models.load_model(modes[0])
    images = data["x_test"].astype("float32")
    nll, single = mode.evaluate(images, data["y_test"], verbose=0), report["ensembles"][0]
    assert single["nll"] == pytest.approx(nll, abs=1e-6)
    assert report["dataset"]["num_classes"] == 2

    from bridge_tf.export.predictor import load_predictor

    name = settings.export_name
    p, base = mode.predict(images, verbose=0), single["temperature"]
    logit = (np.log(p) - np.log1p(-p)) / base
    expected = np.hstack([1 / (1 + np.exp(logit)), 1 / (1 + np.exp(-logit))])
    for path in (folder / "out" / name, folder / "out" / f"{name}.tflite"):
        found = load_predictor(path, "base")(images)["probabilities"]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    quantized = load_predictor(folder / "out" / f"{name}.int8.tflite")(images)
    assert quantized["probabilities"].shape == (80, 2)


@pytest.mark.slow
def test_an_architecture_of_one_logit_is_trained_with_balanced_weights(folder, tmp_path):
    model = str(folder / "logit.keras")
    settings = config(
        folder, model=model, class_weight="balanced", label_share=0.3, baselines=["mc_dropout"]
    )
    run = executed(settings, tmp_path / "run", (*TRAININGS, "baselines", "evaluate"))
    counts = np.bincount(run.data.train.labels)
    assert run.class_weight == pytest.approx(dict(enumerate(counts.sum() / (2 * counts))))
    unweighted = executed(config(folder, model=model), tmp_path / "plain", ["modes"])
    assert unweighted.class_weight is None
    before, after = (each.load_mode(0) for each in (unweighted, run))
    assert before.output_shape == after.output_shape == (None, 1)
    # The rarer class weighs more, so that it is predicted more often.
    images = run.data.test.images.astype("float32")
    assert np.mean(after.predict(images, verbose=0)) > np.mean(before.predict(images, verbose=0))
    with pytest.raises(InputError, match="`class_weight=none`"):
        executed(config(folder, model=model), tmp_path / "run", ["modes"])


@pytest.mark.parametrize(
    ("name", "dataset", "message"),
    [
        ("multi_label", "two.npz", "multi_label.keras`?: ends in a sigmoid of 2 units.*multi-lab"),
        ("always_1", "two.npz", "always_1.keras`?: ends in a softmax of one unit"),
        ("logit", "three.npz", r"maps .* to \(None, 1\), but .* need .* to \(None, 3\)"),
    ],
)
@pytest.mark.parametrize("by", ["model", "modes"])
def test_what_is_no_classifier_of_these_data_is_refused(
    folder, tmp_path, name, dataset, message, by
):
    path = str(folder / f"{name}.keras")
    named = {"modes": [path, str(folder / "0.keras")]} if by == "modes" else {"model": path}
    with pytest.raises(InputError, match=f"`{by}.*{message}"):
        executed(config(folder, dataset, **named), tmp_path / "run", ["modes"])
    assert not (tmp_path / "run").exists()


def test_weights_of_classes_are_part_of_what_is_trained():
    plain, balanced = Config(), Config(class_weight="balanced")
    assert plain.class_weight == "none" and plain.fingerprint != balanced.fingerprint
    assert Run(plain, "nowhere").class_weight is None
    with pytest.raises(InputError, match=r"`class_weight=heavy`: must be one of none, balanced"):
        Config(class_weight="heavy")
