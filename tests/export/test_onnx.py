"""The ONNX file of an export, as onnxruntime runs it."""

import importlib.util
import json

import numpy as np
import pytest

from bridge_tf import BridgeEnsemble, InputError, ParityError, build_bridge, export
from bridge_tf.ensembles.baselines import mc_dropout, with_members
from bridge_tf.ensembles.baselines.members import MembersEnsemble
from bridge_tf.evaluation.conformal import PredictionSets
from bridge_tf.export import load_predictor
from bridge_tf.export.parity import check_parity
from bridge_tf.export.scoring import log_probs_of
from bridge_tf.export.signatures import OUTPUTS, signatures
from bridge_tf.utils.extras import install
from bridge_tf.utils.files import sha256
from tests.commands import refused
from tests.ensembles.test_cascade import by_loop, cascade_of
from tests.tiny import tiny_network

tf2onnx = pytest.importorskip("tf2onnx", reason=install("tf2onnx"))
onnxruntime = pytest.importorskip("onnxruntime", reason=install("onnxruntime"))

pytestmark = pytest.mark.integration

# Of the same arithmetic in another order.
ATOL = 1e-5
SETS = PredictionSets(0.9, 0.7, 200, k_reg=1, penalty=0.05)


@pytest.fixture(scope="module")
def ensemble():
    """A mode, a bridge, and one that takes a position."""
    base = tiny_network(0)
    bridges = [build_bridge(base, "relu0", 0.5, conditioned=c) for c in (False, True)]
    for variable in bridges[1].trainable_variables:
        variable.assign_add(np.random.default_rng(0).normal(0, 0.3, variable.shape))
    return BridgeEnsemble(base, bridges, positions=[0.3], temperature=1.6, base_temperature=0.7)


@pytest.fixture(scope="module")
def exported(ensemble, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    judged = []
    options = {"formats": ["onnx"], "sets": SETS, "judge": lambda path, _: judged.append(path.name)}
    artifacts = export(ensemble, folder, "model", images, list("abcde"), **options)
    assert judged == ["model.tflite", "model.onnx"]
    assert artifacts.max_difference < ATOL
    return folder / "model.onnx"


def test_it_has_the_signatures_names_and_any_batch(exported, ensemble, images):
    session = onnxruntime.InferenceSession(exported)
    (image,) = session.get_inputs()
    assert (image.name, image.shape, image.type) == ("image", ["N", 8, 8, 1], "tensor(float)")
    assert {x.name for x in session.get_outputs()} == {*OUTPUTS, "prediction_set"}
    wanted = ensemble.predict(images, verbose=0)
    for rows in (slice(None), slice(3, 4), slice(5, 12)):
        found = load_predictor(exported)(images[rows])
        for name, key in OUTPUTS.items():
            np.testing.assert_allclose(found[name], wanted[key][rows], atol=ATOL)
        np.testing.assert_array_equal(found["prediction_set"], SETS.predict(found["probabilities"]))


def test_it_reads_as_a_tflite_file_does(exported, images):
    predictor = load_predictor(exported)
    assert predictor.labels == tuple("abcde")
    assert predictor.image_shape == (8, 8, 1)
    both = [log_probs_of(path, images) for path in (exported, exported.with_suffix(".tflite"))]
    np.testing.assert_allclose(*both, atol=ATOL)
    with pytest.raises(InputError, match=r"model.onnx has serving_default alone, and no .* base"):
        load_predictor(exported, "base")


def test_metadata_has_it(exported):
    metadata = json.loads(exported.with_name("model.metadata.json").read_text())
    tflite, onnx = metadata["files"]
    assert (onnx["file"], onnx["sha256"]) == ("model.onnx", sha256(exported))
    assert onnx["temperatures"] == tflite["temperatures"]
    assert onnx["prediction_set"] == tflite["prediction_set"]
    assert onnx["signatures"].keys() == {"serving_default"}
    # Only the order of outputs may be another.
    of_both = [x["signatures"]["serving_default"] for x in (onnx, tflite)]
    for kind in ("inputs", "outputs"):
        told = [
            {name: (x["shape"], x["type"]) for name, x in found[kind].items()} for found in of_both
        ]
        assert told[0] == told[1]


def test_another_model_is_found(exported, ensemble, images):
    for other, sets in ((ensemble.calibrated(1.5, 0.7), None), (ensemble, SETS)):
        wrong = PredictionSets(0.9, 0.5, 200, k_reg=1, penalty=0.05) if sets else None
        with pytest.raises(ParityError, match=r"model.onnx: (probabilities|prediction_set)"):
            check_parity(signatures(other, sets=wrong), exported, images)


def test_cascades_run_both_stages_and_rows_of_members_their_one(tiny, images, tmp_path):
    cascade = cascade_of(tiny, images, "single")
    export(cascade, tmp_path, "cascade", images, formats=["onnx"])
    found, wanted = load_predictor(tmp_path / "cascade.onnx")(images), by_loop(cascade, images)
    assert 0 < found["goes_on"].sum() < len(images)
    for name, key in {**OUTPUTS, "goes_on": "goes_on"}.items():
        np.testing.assert_allclose(found[name], wanted[key], atol=ATOL)

    members = MembersEnsemble(with_members(mc_dropout(tiny(), 3), 3), 1.4)
    artifacts = export(members, tmp_path, "members", images, formats=["onnx"])
    both = [load_predictor(x)(images) for x in (tmp_path / "members.onnx", artifacts.tflite)]
    for name in OUTPUTS:
        np.testing.assert_allclose(both[0][name], both[1][name], atol=ATOL)


def test_it_leaves_with_its_version(tiny, images, tmp_path):
    ensemble = BridgeEnsemble(tiny(), [])
    for options, there in (({"formats": ["tflite", "onnx"], "single": True}, True), ({}, False)):
        export(ensemble, tmp_path, "model", images, **options)
        for name in ("model.onnx", "model.single.tflite"):
            assert (tmp_path / name).exists() == there


def test_what_cannot_be_converted_is_told_and_leaves_nothing(tiny, images, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ValueError("Op Strange\n isn't supported")

    monkeypatch.setattr(tf2onnx.convert, "from_graph_def", fail)
    message = r"`formats=onnx`: this network can't .* \(Op Strange isn't supported\); leave onnx"
    with pytest.raises(InputError, match=message):
        export(BridgeEnsemble(tiny(), []), tmp_path / "out", "model", images, formats=["onnx"])
    assert list((tmp_path / "out").iterdir()) == []


def test_missing_packages_and_other_formats_are_told_before_anything_is_written(
    tiny, images, tmp_path, monkeypatch
):
    ensemble = BridgeEnsemble(tiny(), [])
    with pytest.raises(InputError, match="`formats=onn`: must be one or more of saved_model, tf"):
        export(ensemble, tmp_path / "out", "model", images, formats=["onn"])
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *x: (name != "tf2onnx" and find(name, *x)) or None
    )
    with pytest.raises(InputError, match=r"needs tf2onnx; pip install 'bridge_tf\[onnx\]' has it"):
        export(ensemble, tmp_path / "out", "model", images, formats=["onnx"])
    assert not (tmp_path / "out").exists()
    places = [f"--{name}={tmp_path / name}" for name in ("workdir", "export_dir")]
    line = refused("train", "--formats=saved_model,onnx", *places)
    assert "--formats=onnx: needs tf2onnx; pip install 'bridge_tf[onnx]' has it" in line
    assert list(tmp_path.iterdir()) == []
