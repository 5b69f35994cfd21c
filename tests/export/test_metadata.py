"""What lies beside the files for applications and people."""

import json
import shutil
import types

import keras
import numpy as np
import pytest
import yaml
from ai_edge_litert.interpreter import Interpreter

from bridge_tf import BridgeEnsemble, Split, build_bridge, export
from bridge_tf.config import Config
from bridge_tf.export.layout import find_export
from bridge_tf.export.main_subgraph import with_main
from bridge_tf.export.metadata import signatures_in
from bridge_tf.export.model_card import _code, _escaped, model_card
from bridge_tf.utils.files import sha256
from tests.tiny import tiny_network

pytestmark = pytest.mark.integration

LABELS = ["cat", "dog", "fox", "hen", "owl"]


@pytest.fixture(scope="module")
def ensemble():
    base = tiny_network(0)
    return BridgeEnsemble(base, [build_bridge(base, "relu0", 0.5)])


def export_to(folder, ensemble, images, **options):
    options |= {"tflite": ["int8"], "tflite_io": "uint8", "calibration": images}
    export(ensemble, folder, "tiny", images, LABELS, **options)


@pytest.fixture(scope="module")
def exported(ensemble, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    export_to(folder, ensemble, images, card=lambda: "# tiny\n")
    return folder


def test_metadata_tells_of_files_as_they_are(exported):
    found = json.loads((exported / "tiny.metadata.json").read_text())
    assert found["labels"] == LABELS
    size = {"height": 8, "width": 8, "channels": 1, "order": "grey"}
    assert {key: found["image"][key] for key in size} == size
    assert [item["file"] for item in found["files"]] == ["tiny.tflite", "tiny.int8.tflite"]
    for item in found["files"]:
        path = exported / item["file"]
        assert item["bytes"] == path.stat().st_size
        assert item["sha256"] == sha256(path)
        interpreter = Interpreter(str(path))
        signatures = interpreter.get_signature_list()
        assert item["signatures"].keys() == signatures.keys()
        for name, tensors in item["signatures"].items():
            assert {kind: sorted(names) for kind, names in tensors.items()} == {
                kind: sorted(names) for kind, names in signatures[name].items()
            }
            runner = interpreter.get_signature_runner(name)
            details = runner.get_input_details() | runner.get_output_details()
            for tensor, told in (tensors["inputs"] | tensors["outputs"]).items():
                assert told["type"] == np.dtype(details[tensor]["dtype"]).name
                assert told["shape"] == details[tensor]["shape_signature"].tolist()
    float32, int8 = (item["signatures"]["base"]["inputs"]["image"] for item in found["files"])
    assert float32 == {"index": 0, "shape": [-1, 8, 8, 1], "type": "float32"}
    assert int8["type"] == "uint8"


def test_runtimes_without_signatures_run_the_whole_ensemble(exported, images):
    """By the places that the metadata tells."""
    metadata = json.loads((exported / "tiny.metadata.json").read_text())
    for item in metadata["files"]:
        path, told = str(exported / item["file"]), item["signatures"]["serving_default"]
        interpreter = Interpreter(path)
        interpreter.allocate_tensors()
        (image,), outputs = interpreter.get_input_details(), interpreter.get_output_details()
        given = images[:1].astype(image["dtype"])
        interpreter.set_tensor(image["index"], given)
        interpreter.invoke()
        wanted = Interpreter(path).get_signature_runner("serving_default")(image=given)
        assert wanted.keys() == told["outputs"].keys()
        for name, value in wanted.items():
            found = interpreter.get_tensor(outputs[told["outputs"][name]["index"]]["index"])
            np.testing.assert_array_equal(found, value)

    content = (exported / "tiny.tflite").read_bytes()
    assert with_main(content) == content
    other = with_main(content, "taps")
    first, second = (Interpreter(model_content=x) for x in (content, other))
    assert first.get_signature_list() == second.get_signature_list()
    for name in ("serving_default", "base", "taps"):
        answers = (x.get_signature_runner(name)(image=images) for x in (first, second))
        for a, b in zip(*(answer.values() for answer in answers), strict=True):
            np.testing.assert_array_equal(a, b)


def test_scales_of_8_bits_are_told():
    """A uint8 input may be stretched over another range than 0 to 255."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT()
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = b"x", [1, 3], schema.TensorType.INT8
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [0.5], [-3]
    item = schema.TensorMapT()
    item.name, item.tensorIndex = b"x", 0
    signature = schema.SignatureDefT()
    signature.inputs, signature.outputs = [item], [item]
    signature.signatureKey, signature.subgraphIndex = b"same", 0
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [tensor], [0], [0], []
    model.subgraphs, model.signatureDefs, model.version = [graph], [signature], 3
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    told = {"x": {"index": 0, "shape": [1, 3], "type": "int8", "scale": 0.5, "zero_point": -3}}
    assert signatures_in(bytes(builder.Output())) == {"same": {"inputs": told, "outputs": told}}


def test_metadata_and_card_are_the_same_each_time_and_belong_to_the_export(
    exported, ensemble, images, tmp_path
):
    exported = shutil.copytree(exported, tmp_path / "exported")
    card, metadata = (exported / f"tiny{ending}" for ending in (".md", ".metadata.json"))
    assert card.read_text() == "# tiny\n"
    card.write_text("# tiny\n\nLicence: ours\n")  # which people may add
    assert find_export(exported, "tiny", "") != []
    first = metadata.read_bytes()
    export_to(exported, ensemble, images)
    assert metadata.read_bytes() == first
    assert not card.exists()  # of the version before


def test_card_says_what_the_run_knows(ensemble):
    row = dict.fromkeys(("accuracy", "nll", "temperature", "calibrated_ece"), 0.5)
    row["calibrated_nll"] = 1e-5  # a number for YAML too
    split = Split(np.zeros((1200, 8, 8, 1), "uint8"), np.zeros(1200, "int32"))
    dataset = types.SimpleNamespace(
        train=split,
        validation=split,
        test=split,
        name="pets",
        num_classes=5,
        class_names=LABELS,
        image_shape=(8, 8, 1),
    )
    config = Config(export_name="mine", dataset="folder:/home/me/pets", model="/home/me/net.keras")
    text = model_card(config, dataset, ensemble, [{"file": "mine.tflite", **row}], "mine")
    _, front, page = text.split("---\n", 2)
    assert page.lstrip().startswith("# mine\n")
    front = yaml.safe_load(front)
    assert front["library_name"] == "keras" and front["pipeline_tag"] == "image-classification"
    assert "bridge_tf" in front["tags"] and "license" not in front
    (model,) = front["model-index"]
    (result,) = model["results"]
    assert model["name"] == "mine" and result["dataset"]["name"] == "pets"
    assert {metric["type"]: metric["value"] for metric in result["metrics"]} == {
        **dict.fromkeys(("accuracy", "nll", "calibrated_ece"), 0.5),
        "calibrated_nll": 0.0,
    }
    assert front["metrics"] == [metric["type"] for metric in result["metrics"]]
    assert "5 classes: one network and one bridge," in text
    assert "`pets`: 1,200 images to train on" in text
    assert "Network: net.keras," in text and "/home" not in text
    assert f"{ensemble.base.count_params():,} weights" in text
    assert "Classes: cat, dog, fox, hen, owl." in text
    assert "| mine.tflite | 0.5000 | 0.5000 | 0.5000 | 0.0000 | 0.5000 |" in text


def test_inputs_that_are_no_images_have_no_size(images, tmp_path):
    x = inputs = keras.Input((6,), name="measured")
    x = keras.layers.Dense(4, activation="relu", name="hidden")(x)
    base = keras.Model(inputs, keras.layers.Dense(3)(x))
    export(BridgeEnsemble(base, []), tmp_path, "rows", images.reshape(-1, 6))
    found = json.loads((tmp_path / "rows.metadata.json").read_text())
    assert "image" not in found and found["labels"] == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat", "cat"),
        ("[cat](https://example.org)", r"\[cat\]\(https://example.org\)"),
        ("<b>*cat*</b> | `dog`", r"\<b\>\*cat\*\</b\> \| \`dog\`"),
        ("a\n# b\u2028", r"a?\# b?"),
    ],
)
def test_names_in_a_card_are_shown_as_they_are(name, shown):
    assert _escaped(name) == shown


@pytest.mark.parametrize(
    ("name", "shown"), [("pets", "`pets`"), ("a`b", "`` a`b ``"), ("`a``b", "``` `a``b ```")]
)
def test_names_in_code_may_hold_backticks(name, shown):
    assert _code(name) == shown
