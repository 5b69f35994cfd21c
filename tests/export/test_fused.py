"""TFLite files whose bridges run side by side, and the choice of these by their time."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from bridge_tf import BridgeEnsemble, ParityError, build_bridge, export, latency
from bridge_tf.export import tflite_files
from bridge_tf.export.early_exit import EarlyExit
from bridge_tf.latency import compare_files

PARTS = {"serving_default", "base", "taps", "bridges"}
SINGLE = {"bridge_0", "bridge_1", "bridge_2"}
DENSE = schema.BuiltinOperator.FULLY_CONNECTED


@pytest.fixture
def ensemble(tiny):
    base = tiny()
    return BridgeEnsemble(base, [build_bridge(base, "relu0", 1) for _ in range(3)])


@pytest.fixture
def timed(monkeypatch):
    """Makes the comparison of times give a ratio; the names of the files that it was of."""
    compared = []

    def timed(ratio: float) -> list:
        def compare(path, other, image):
            compared.append((path.name, other.name))
            return ratio

        monkeypatch.setattr(tflite_files, "compare_files", compare)
        return compared

    return timed


def signatures_in(path) -> set[str]:
    return {*Interpreter(str(path)).get_signature_list()}


def dense_layers(path) -> int:
    """How many there are in the signature serving_default."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    codes = [max(x.builtinCode, x.deprecatedBuiltinCode) for x in model.operatorCodes]
    return [codes[x.opcodeIndex] for x in model.subgraphs[0].operators].count(DENSE)


def test_where_it_is_faster_all_files_are_fused(ensemble, images, tmp_path, timed, capsys):
    compared = timed(0.97)
    options = {"tflite": ["int8", "float16"], "tflite_io": "uint8", "calibration": images}
    images = np.round(images)
    artifacts = export(ensemble, tmp_path, "model", images, fuse_bridges=True, **options)
    assert compared == [("fused.tflite", "model.tflite")]
    said = "export: bridges run side by side; side by side the whole takes 0.970 of the time\n"
    assert said in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".tflite") == [
        *("model.float16.tflite", "model.int8.tflite", "model.tflite")
    ]
    wanted = ensemble.predict(images, verbose=0)
    for name, atol in (("model", 1e-4), ("model.float16", 1e-2), ("model.int8", 0.1)):
        path = tmp_path / f"{name}.tflite"
        assert signatures_in(path) == PARTS
        assert dense_layers(path) == 1  # the base's
        run = Interpreter(str(path)).get_signature_runner
        typed = images.astype("float32" if name == "model" else "uint8")
        found = run("serving_default")(image=typed)
        again = run("bridges")(**run("taps")(image=typed))
        for key in ("probabilities", "entropy", "disagreement"):
            for answer in (found, again):
                np.testing.assert_allclose(answer[key], wanted[key], atol=atol, err_msg=name)
    early = EarlyExit(artifacts.tflite, threshold=1.1)(images)
    assert early["whole"].all()
    np.testing.assert_allclose(early["probabilities"], wanted["probabilities"], atol=1e-4)
    assert {*tf.saved_model.load(str(artifacts.saved_model)).signatures} > PARTS | SINGLE


def test_where_it_is_not_nothing_changes(ensemble, images, tmp_path, timed, capsys):
    timed(0.975)
    options = {"tflite": ["float16"]}
    export(ensemble, tmp_path, "model", images, fuse_bridges=True, **options)
    said = "export: bridges run one after the other; side by side the whole takes 0.975 of the time"
    assert said in capsys.readouterr().err
    for name in ("model.tflite", "model.float16.tflite"):
        assert signatures_in(tmp_path / name) == PARTS | SINGLE
        assert dense_layers(tmp_path / name) == 4


@pytest.mark.parametrize("kind", ["conditioned", "alone"])
def test_bridges_that_cannot_be_fused_are_exported_as_they_are(
    tiny, images, tmp_path, timed, capsys, kind
):
    compared = timed(0.5)
    base, conditioned = tiny(), kind == "conditioned"
    bridges = [build_bridge(base, "relu0", 1, conditioned=conditioned)] * (1 + conditioned)
    ensemble = BridgeEnsemble(base, bridges, positions=[0.2] if conditioned else [])
    artifacts = export(ensemble, tmp_path, "model", images, fuse_bridges=True)
    assert "bridge_0" in signatures_in(artifacts.tflite) and not compared
    assert "export: these bridges can't run side by side" in capsys.readouterr().err


def test_a_fused_file_that_answers_otherwise_ends_the_export(
    ensemble, images, tmp_path, timed, monkeypatch
):
    timed(0.5)
    fuse = tflite_files.fuse_bridges

    def fuse_wrongly(bridges):
        fused = fuse(bridges)
        for weight in fused.trainable_weights:
            weight.assign(weight * 1.5)
        return fused

    monkeypatch.setattr(tflite_files, "fuse_bridges", fuse_wrongly)
    with pytest.raises(ParityError, match=r"fused.tflite: .* of signature serving_default differ"):
        export(ensemble, tmp_path / "out", "model", images, fuse_bridges=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_files_are_compared_by_the_time_of_one_image_on_one_thread(images, tmp_path, monkeypatch):
    clock, took = [0.0], {"a": 0.001, "b": 0.004}

    def runner(path, signature, threads=1):
        assert (signature, threads) == ("serving_default", 1)

        def run(image):
            assert image.shape == (1, 8, 8, 1)
            clock[0] += took[path.name]

        return run

    monkeypatch.setattr(latency, "litert_runner", runner)
    monkeypatch.setattr(latency.time, "perf_counter", lambda: clock[0])
    assert compare_files(tmp_path / "a", tmp_path / "b", images[0]) == pytest.approx(0.25)
