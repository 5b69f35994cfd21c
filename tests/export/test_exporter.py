import json
import subprocess
import sys

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from scipy.special import softmax

from bridge_tf import BridgeEnsemble, InputError, ParityError, build_bridge, export
from bridge_tf.export import load_predictor, tflite_files
from bridge_tf.export.parity import check_parity
from bridge_tf.export.signatures import signatures
from tests.commands import printed
from tests.tiny import tiny_network

# Loads both artifacts where bridge_tf can't be imported, and prints what they answer.
STRANGER = """
import json, sys
sys.modules["bridge_tf"] = None
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

saved_model, tflite, images = sys.argv[1:]
images = np.load(images)
loaded = tf.saved_model.load(saved_model)
interpreter = Interpreter(tflite)
answers = {}
for name in ("serving_default", "base"):
    answers["saved_model/" + name] = loaded.signatures[name](image=tf.constant(images))
    answers["tflite/" + name] = interpreter.get_signature_runner(name)(image=images)
uint8 = loaded.signatures["serving_uint8"](image=tf.constant(images.astype("uint8")))
answers["saved_model/serving_uint8"] = uint8
assert sys.modules["bridge_tf"] is None
printed = {k: {n: np.asarray(t).tolist() for n, t in v.items()} for k, v in answers.items()}
print(json.dumps(printed))
"""

EXIT = {"model": "model.early_exit.json", "x": "early_exit.json"}


@pytest.fixture(scope="module")
def ensemble():
    base = tiny_network(0)
    bridges = [build_bridge(base, "relu0", 1) for _ in range(2)]
    return BridgeEnsemble(base, bridges, temperature=1.6, base_temperature=0.7)


@pytest.fixture(scope="module")
def exported(ensemble, images, tmp_path_factory):
    """Its first version."""
    folder = tmp_path_factory.mktemp("exported")
    return export(ensemble, folder, "model", images, ["x"] * 5)


@pytest.mark.parametrize(
    "norm",
    [
        pytest.param("frn", marks=pytest.mark.integration),
        pytest.param("batch", marks=pytest.mark.slow),
    ],
)
def test_artifacts_answer_as_keras_does_in_a_process_without_the_package(
    build, images, tmp_path, norm
):
    base = build(norm)
    bridges = [build_bridge(base, "stage2_block1", 0.5, bridge_type=t) for t in (1, 2)]
    ensemble = BridgeEnsemble(base, bridges, [build(norm)], ends=[(0, 0), (0, 1)])
    ensemble = ensemble.calibrated(1.6, 0.7)
    images = np.round(images)
    artifacts = export(ensemble, tmp_path, "model", images, class_names=list("abcde"))
    assert artifacts.saved_model == tmp_path / "model" / "1"
    assert artifacts.tflite == tmp_path / "model.tflite"
    assert artifacts.max_difference < 1e-4

    np.save(tmp_path / "images.npy", images)
    given = artifacts.saved_model, artifacts.tflite, tmp_path / "images.npy"
    answers = json.loads(printed(STRANGER, *given, cwd=tmp_path))
    expected = ensemble.predict(images, verbose=0)
    for name in (
        "saved_model/serving_default",
        "tflite/serving_default",
        "saved_model/serving_uint8",
    ):
        assert set(answers[name]) == {"probabilities", "entropy", "disagreement"}
        np.testing.assert_allclose(
            answers[name]["probabilities"], expected["probabilities"], atol=1e-4
        )
        for name_in_file, key in (("entropy", "entropy"), ("disagreement", "mutual_information")):
            found = answers[name][name_in_file]
            np.testing.assert_allclose(found, expected[key], atol=1e-4)
    base_probabilities = softmax(expected["log_probabilities"][:, 0] / 0.7, axis=1)
    for name in ("saved_model/base", "tflite/base"):
        assert set(answers[name]) == {"probabilities"}
        np.testing.assert_allclose(answers[name]["probabilities"], base_probabilities, atol=1e-4)


@pytest.mark.integration
def test_tflite_uses_builtin_ops_only_and_any_batch(exported, images):
    interpreter = Interpreter(str(exported.tflite))
    parts = {"taps", "bridges", "bridge_0", "bridge_1"}
    assert set(interpreter.get_signature_list()) == {"serving_default", "base"} | parts
    interpreter.allocate_tensors()
    operations = {details["op_name"] for details in interpreter._get_ops_details()}
    assert operations and not any(
        name.startswith("Flex") or name == "CUSTOM" for name in operations
    )
    predictor = load_predictor(exported.tflite)
    whole = predictor(images)["probabilities"]
    for size in (1, 7):
        parts = [predictor(images[k : k + size])["probabilities"] for k in range(0, 24, size)]
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


@pytest.mark.integration
def test_bridges_run_by_themselves_on_what_taps_gives(tiny, images, tmp_path):
    base, end = tiny(), tiny()
    conditioned = build_bridge(base, "relu1", 0.5, conditioned=True)
    for variable in conditioned.trainable_variables:
        variable.assign_add(np.random.default_rng(0).normal(0, 0.3, variable.shape))
    both = build_bridge(base, ["relu0", "relu1"], 0.5, bridge_type=2)
    bridges, ends = [conditioned, both, both], [(0, 0), (0, 1), (1, 0)]
    ensemble = BridgeEnsemble(base, bridges, [end], ends, positions=[0.2, 0.9])
    artifacts = export(ensemble, tmp_path, "model", images)

    interpreter = Interpreter(str(artifacts.tflite))
    signatures = interpreter.get_signature_list()
    features = [f"feature_{k}" for k in range(4)]
    assert signatures["taps"]["outputs"] == [*features, "probabilities"]
    assert signatures["bridge_0"]["inputs"] == ["feature_0", "r"]
    assert signatures["bridge_1"]["inputs"] == signatures["bridge_2"]["inputs"] == features

    taps = interpreter.get_signature_runner("taps")(image=images)
    members = np.exp(ensemble.predict(images, verbose=0)["log_probabilities"])
    np.testing.assert_allclose(taps["probabilities"], members[:, :2], atol=1e-5)
    given = {name: taps[name] for name in features}
    answers = [
        interpreter.get_signature_runner("bridge_0")(
            feature_0=taps["feature_0"], r=np.full((len(images), 1), r, "float32")
        )
        for r in (0.2, 0.9)
    ]
    answers += [interpreter.get_signature_runner(f"bridge_{k}")(**given) for k in (1, 2)]
    for k, answer in enumerate(answers):
        np.testing.assert_allclose(answer["probabilities"], members[:, 2 + k], atol=1e-5)


@pytest.mark.integration
def test_a_new_export_gets_the_next_version(exported, ensemble, images):
    first, folder = exported, exported.tflite.parent
    second = export(ensemble, folder, "model", images, ["x"] * 5)
    assert [first.saved_model.name, second.saved_model.name] == ["1", "2"]
    assert (first.saved_model / "saved_model.pb").exists()
    assert sorted(path.name for path in folder.iterdir()) == [
        "batching.config",
        "model",
        "model.labels.txt",
        "model.metadata.json",
        "model.tflite",
        "models.config",
    ]
    assert load_predictor(folder / "model").labels == ("x",) * 5


@pytest.mark.integration
def test_quantized_files_go_beside_and_leave_with_their_version(tiny, images, tmp_path):
    base = tiny()
    ensemble = BridgeEnsemble(base, [build_bridge(base, "relu0", 1)])

    def export_as(*kinds, **options):
        options = {"tflite": kinds, "calibration": images, **options}
        return export(ensemble, tmp_path, "model", images, **options)

    judged = []
    early_exit = {"threshold": 0.75, "budget": 1.05}

    def judge(path, rewrite):
        judged.append(path)
        if "int8" in path.name:
            before = load_predictor(path)(images)
            rewrite(2.0)
            after = load_predictor(path)(images)
            wanted = softmax(np.log(before["probabilities"]) / 2, axis=1)
            np.testing.assert_allclose(after["probabilities"], wanted, atol=1e-5)
            np.testing.assert_allclose(after["disagreement"], before["disagreement"], atol=1e-6)

    options = {"tflite_io": "uint8", "early_exit": early_exit, "judge": judge}
    artifacts = export_as("float32", "int8", "float16", **options)
    names = ["model.tflite", "model.float16.tflite", "model.int8.tflite"]
    assert [path.name for path in judged] == names
    for path in (tmp_path / "model", artifacts.saved_model / "assets.extra" / "x"):
        stored = json.loads(path.with_name(EXIT[path.name]).read_text())
        flops = stored.pop("flops")
        assert flops[0] == 1.0 < flops[1]
        assert stored == {**early_exit, "base_temperature": 1.0}
    metadata = json.loads((tmp_path / "model.metadata.json").read_text())
    others = {"base": 1.0, "early_exit": 1.0}
    temperatures = {item["file"]: item["temperatures"] for item in metadata["files"]}
    assert temperatures == {
        name: {"ensemble": 2.0 if "int8" in name else 1.0, **others} for name in names
    }
    whole = load_predictor(tmp_path / "model.tflite")(np.round(images))["probabilities"]
    for name, atol in (("float16", 1e-2), ("int8", 0.1)):
        path = tmp_path / f"model.{name}.tflite"
        runner = Interpreter(str(path)).get_signature_runner("base")
        assert runner.get_input_details()["image"]["dtype"] == np.uint8
        found = load_predictor(path)(np.round(images))["probabilities"]
        np.testing.assert_allclose(found, whole, atol=atol)
    export_as("int8_dynamic")
    left = sorted(path.name for path in tmp_path.glob("model.*"))
    assert left == ["model.int8_dynamic.tflite", "model.metadata.json", "model.tflite"]


@pytest.mark.integration
def test_a_judge_ends_an_export(tiny, images, tmp_path):
    ensemble = BridgeEnsemble(tiny(), [])

    def judge(path, rewrite):
        raise ParityError(f"{path.name} is wrong")

    with pytest.raises(ParityError, match=r"model.tflite is wrong"):
        export(ensemble, tmp_path / "out", "model", images, judge=judge)
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(InputError, match="`tflite=int8`: needs training images"):
        export(ensemble, tmp_path / "out", "model", images, tflite=["int8"])
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.integration
def test_a_failed_parity_check_leaves_nothing(ensemble, images, tmp_path, monkeypatch):
    write = tflite_files.write_saved_model

    def write_another(found, path):
        kernel = found.ensemble.base.get_layer("logits").kernel
        kernel.assign(kernel * 1.5)
        write(found, path)
        kernel.assign(kernel / 1.5)

    monkeypatch.setattr(tflite_files, "write_saved_model", write_another)
    with pytest.raises(ParityError, match="serving_default differ by"):
        export(ensemble, tmp_path / "out", "model", images)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bridge_that_differs_is_named(exported, ensemble, images, monkeypatch):
    predict = ensemble.predict

    def another(*inputs, **options):
        outputs = predict(*inputs, **options)
        outputs["log_probabilities"][:, 2] -= 0.01
        return outputs

    monkeypatch.setattr(ensemble, "predict", another)
    for path in (exported.saved_model, exported.tflite):
        with pytest.raises(ParityError, match="of signature bridge_1 differ by"):
            check_parity(signatures(ensemble), path, images)


def test_a_folder_that_cannot_be_written_is_named(ensemble, images, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"`export_dir`: can't write in .*file/below"):
        export(ensemble, tmp_path / "file" / "below", "model", images)


def test_predictor_names_what_it_cannot_load(tmp_path):
    (tmp_path / "model.pt").write_text("")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    (tmp_path / "broken.tflite").write_bytes(b"no model")
    (tmp_path / "broken.keras").write_bytes(b"no model")
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("absent.keras", "doesn't exist"),
        ("model.pt", "no known kind"),
        ("broken.onnx", "can't be loaded"),
        ("broken.tflite", "can't be loaded"),
        ("broken.keras", "no .keras file, or damaged"),
        ("empty", "no saved_model.pb"),
    ):
        with pytest.raises(InputError, match=f"`model[`=].*{name}.*{message}"):
            load_predictor(tmp_path / name)


def test_a_keras_classifier_predicts_probabilities(build, images, tmp_path):
    network = build()
    network.save(tmp_path / "mode.keras")
    outputs = load_predictor(tmp_path / "mode.keras")(images)
    np.testing.assert_allclose(outputs["probabilities"].sum(axis=1), 1, rtol=1e-5)
    logits = network.predict(images, verbose=0)
    assert (outputs["probabilities"].argmax(1) == logits.argmax(1)).all()


@pytest.mark.integration
def test_export_stays_the_function_when_the_package_of_its_name_is_imported():
    program = "import bridge_tf, bridge_tf.export.layout; print(callable(bridge_tf.export))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout == "True\n", result.stderr
