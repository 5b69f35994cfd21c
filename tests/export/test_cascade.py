"""Exported cascades: what they predict, and that sure images cost the first stage alone."""

import json

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from bridge_tf import CascadeEnsemble, InputError, ParityError, export
from bridge_tf.export import early_exit
from bridge_tf.export.kinds import costs_of
from bridge_tf.export.parity import check_parity
from bridge_tf.export.signatures import signatures
from tests.commands import printed
from tests.ensembles.test_cascade import KINDS, by_loop, cascade_of
from tests.export.test_early_exit import STRANGER

pytestmark = pytest.mark.integration

OUTPUTS = {
    "probabilities": "probabilities",
    "entropy": "entropy",
    "disagreement": "mutual_information",
    "goes_on": "goes_on",
}


_SLOW = ("bridges", "type_2")


@pytest.fixture(
    scope="module",
    params=[pytest.param(k, marks=pytest.mark.slow if k in _SLOW else ()) for k in KINDS],
)
def exported(request, images, tmp_path_factory):
    """A cascade, its files, and what a loop over the images says of it."""
    from itertools import count

    from tests.tiny import tiny_network

    seeds = count()
    cascade = cascade_of(lambda: tiny_network(next(seeds)), images, request.param)
    folder = tmp_path_factory.mktemp("cascade")
    return cascade, export(cascade, folder, "model", images), by_loop(cascade, images)


def check(found: dict, wanted: dict, rows, atol: float):
    assert set(found) == set(OUTPUTS)
    for name, key in OUTPUTS.items():
        np.testing.assert_allclose(np.asarray(found[name]), wanted[key][rows], atol=atol)


def test_batches_of_any_size_and_mixture_predict_as_a_loop(exported, images):
    _, artifacts, wanted = exported
    goes_on = wanted["goes_on"]
    assert 0 < goes_on.sum() < len(images)
    loaded = tf.saved_model.load(str(artifacts.saved_model))
    served = loaded.signatures["serving_default"]
    every = np.arange(len(images))
    batches = [every, every[::-1], every[:5], every[goes_on], every[~goes_on]]
    batches += [every[goes_on][:1], every[~goes_on][:1]]
    for rows in batches:
        check(served(image=tf.constant(images[rows])), wanted, rows, 1e-6)
    whole = Interpreter(str(artifacts.tflite)).get_signature_runner("serving_default")
    check(whole(image=images), wanted, every, 1e-5)
    assert np.asarray(whole(image=images)["goes_on"]).dtype == "int32"


def test_bytes_are_served_as_floats_are(exported, images):
    cascade, artifacts, _ = exported
    pixels = images.astype("uint8")
    found = tf.saved_model.load(str(artifacts.saved_model)).signatures["serving_uint8"](
        image=tf.constant(pixels)
    )
    check(found, by_loop(cascade, pixels.astype("float32")), slice(None), 1e-6)


def convolved(saved_model, batch) -> list[int]:
    """The batch size of each convolution that a call of serving_default executes."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        meta = v1.saved_model.load(session, ["serve"], str(saved_model))
        signature = meta.signature_def["serving_default"]
        outputs = [tensor.name for tensor in signature.outputs.values()]
        options = v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE)
        session.run(outputs, {signature.inputs["image"].name: batch})  # the first compiles
        trace = v1.RunMetadata()
        session.run(outputs, {signature.inputs["image"].name: batch}, options, trace)
    found = []
    for device in trace.step_stats.dev_stats:
        for node in device.node_stats:
            if "Conv2D" in node.timeline_label:
                (output,) = node.output[:1]
                found.append(output.tensor_description.shape.dim[0].size)
    return sorted(found)


def test_sure_images_cost_the_first_stage_alone(exported, images):
    cascade, artifacts, wanted = exported
    goes_on = wanted["goes_on"]
    first = convolved(artifacts.saved_model, images[~goes_on])
    assert set(first) == {int((~goes_on).sum())}
    both = convolved(artifacts.saved_model, images)
    of_second = [size for size in both if size == goes_on.sum()]
    assert len(of_second) == 2 * len(cascade.modes)  # two convolutions each; none runs twice
    assert [size for size in both if size != goes_on.sum()] == [len(images)] * len(first)


def test_the_reader_saves_the_work_of_sure_images(exported, images, tmp_path):
    _, artifacts, wanted = exported
    np.save(tmp_path / "images.npy", images)
    given = early_exit.__file__, artifacts.tflite, tmp_path / "images.npy"
    whole, *alone = json.loads(printed(STRANGER, *given, cwd=tmp_path))
    assert whole["whole"] == wanted["goes_on"].tolist()
    np.testing.assert_allclose(whole["probabilities"], wanted["probabilities"], atol=1e-5)
    np.testing.assert_allclose(
        [answer["probabilities"][0] for answer in alone], wanted["probabilities"], atol=1e-5
    )

    model, sizes = early_exit.EarlyExit(artifacts.tflite), []
    then = model._then
    model._then = CountRows(then, sizes)
    model(images)
    model(images[~wanted["goes_on"]])
    assert sizes == [int(wanted["goes_on"].sum())]


class CountRows:
    """A signature runner that notes how many rows it gets."""

    def __init__(self, run, sizes: list):
        self.run, self.sizes = run, sizes
        self.get_input_details = run.get_input_details

    def __call__(self, **given):
        self.sizes.append(len(given["image"]))
        return self.run(**given)


def test_files_beside_it_tell_stages_and_threshold(exported):
    cascade, artifacts, _ = exported
    folder = artifacts.tflite.parent
    stored = json.loads((folder / "model.early_exit.json").read_text())
    assert stored.pop("flops") == list(costs_of(cascade))
    assert stored == {"threshold": cascade.threshold, "signatures": ["first", "second"]}
    (file,) = json.loads((folder / "model.metadata.json").read_text())["files"]
    assert file["temperatures"] == {"first": 1.7, "second": 0.8, "base": 0.6}
    assert set(file["signatures"]) == {"serving_default", "base", "first", "second"}
    assert set(file["signatures"]["second"]["inputs"]) == {
        "image",
        *["members"] * bool(cascade.reused),
    }


def test_a_file_of_another_threshold_is_found(exported, images):
    cascade, artifacts, _ = exported
    other = CascadeEnsemble(cascade.first, cascade.modes, 2.0, cascade.temperature, cascade.reused)
    for path in (artifacts.saved_model, artifacts.tflite):
        with pytest.raises(ParityError, match="serving_default: 12 images take another stage"):
            check_parity(signatures(other), path, images)


def test_quantized_files_have_the_same_signatures(tiny, images, tmp_path):
    cascade = cascade_of(tiny, images, "single")
    artifacts = export(cascade, tmp_path, "model", images, tflite=["int8"], calibration=images)
    float32, int8 = (
        early_exit.EarlyExit(path)(images)
        for path in (artifacts.tflite, tmp_path / "model.int8.tflite")
    )
    # Near the threshold an image may take the other stage; elsewhere 8 bits tell within 0.05.
    same = float32["whole"] == int8["whole"]
    assert same.mean() > 0.7
    np.testing.assert_allclose(
        int8["probabilities"][same], float32["probabilities"][same], atol=0.05
    )


def test_a_cascade_takes_no_early_exit_of_its_own(tiny, images, tmp_path):
    cascade = cascade_of(tiny, images, "single")
    with pytest.raises(InputError, match="`early_exit`: is for a BridgeEnsemble, not"):
        export(cascade, tmp_path / "e", "model", images, early_exit={"threshold": 0.5})
    assert not (tmp_path / "e").exists()
