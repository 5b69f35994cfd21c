"""Variants of .tflite files for runtimes that know one signature and one image a call."""

import json
import shutil
import zipfile

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from flatbuffers.table import Table

from bridge_tf import BridgeEnsemble, InputError, ParityError, build_bridge, export
from bridge_tf.evaluation.conformal import PredictionSets
from bridge_tf.export import load_predictor
from bridge_tf.export import single as module
from bridge_tf.export.layout import find_export
from bridge_tf.export.single import single_signature, write_single
from tests.ensembles.test_cascade import cascade_of
from tests.tiny import tiny_network

pytestmark = pytest.mark.integration

LABELS = ["cat", "dog", "fox", "hen", "öwl"]
OUTPUTS = ["probabilities", "disagreement", "entropy"]
NAMES = ("tiny", "tiny.int8")


@pytest.fixture(scope="module")
def exported(images, tmp_path_factory):
    """A folder with tiny.tflite, tiny.int8.tflite of uint8 images, and their variants."""
    base = tiny_network(0)
    ensemble = BridgeEnsemble(base, [build_bridge(base, "relu0", 0.5)], temperature=1.3)
    folder = tmp_path_factory.mktemp("exported")
    options = {"tflite": ["int8"], "tflite_io": "uint8", "calibration": images, "single": True}
    export(ensemble, folder, "tiny", images, LABELS, **options)
    return folder


def single(folder, name):
    return folder / f"{name.replace('tiny', 'tiny.single')}.tflite"


@pytest.mark.parametrize("name", NAMES)
def test_one_graph_of_named_tensors_predicts_as_the_file_does(exported, images, name):
    path, whole = single(exported, name), exported / f"{name}.tflite"
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    assert signature.signatureKey == b"serving_default"
    assert [graph.tensors[k].name.decode() for k in graph.inputs] == ["image"]
    assert sorted(graph.tensors[k].name.decode() for k in graph.outputs) == sorted(OUTPUTS)
    assert path.stat().st_size < 0.8 * whole.stat().st_size

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (image,), outputs = interpreter.get_input_details(), interpreter.get_output_details()
    assert outputs[0]["name"] == "probabilities"
    assert image["shape"].tolist() == image["shape_signature"].tolist() == [1, 8, 8, 1]
    wanted = Interpreter(str(whole)).get_signature_runner("serving_default")
    for pixels in np.round(images[:5]).astype(image["dtype"]):
        interpreter.set_tensor(image["index"], pixels[None])
        interpreter.invoke()
        given = wanted(image=pixels[None])
        for output in outputs:
            found = interpreter.get_tensor(output["index"])
            assert found.shape == (1, 5 if output["name"] == "probabilities" else 1)
            np.testing.assert_allclose(found[0], given[output["name"]].ravel(), atol=1e-6)


def test_weights_lie_where_runtimes_want_them(exported):
    for name in NAMES:
        content = single(exported, name).read_bytes()
        model = schema.Model.GetRootAs(content)
        found = [model.Buffers(k) for k in range(model.BuffersLength())]
        places = [buffer._tab.Vector(4) for buffer in found if not buffer.DataIsNone()]
        assert len(places) > 5
        assert all(place % 16 == 0 for place in places)


def test_its_predictor_takes_several_images(exported, images):
    path = single(exported, "tiny")
    predictor, whole = load_predictor(path), load_predictor(exported / "tiny.tflite")
    assert predictor.labels == tuple(LABELS)
    found, wanted = predictor(images), whole(images)
    for name in OUTPUTS:
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-6)
    with pytest.raises(InputError, match="has no signature base"):
        load_predictor(path, "base")


def fields(table: Table, *places: int):
    """What is below a table, by the places of fields: tables, and the first of vectors."""
    for place in places:
        offset = table.Offset(4 + 2 * place)
        assert offset, place
        table = Table(table.Bytes, table.Indirect(table.Pos + offset))
    return table


def first_of(table: Table, place: int, k: int = 0) -> Table:
    start = table.Vector(table.Offset(4 + 2 * place))
    return Table(table.Bytes, table.Indirect(start + 4 * k))


def text(table: Table, place: int) -> str:
    return table.String(table.Pos + table.Offset(4 + 2 * place)).decode()


def number(table: Table, place: int) -> int:
    return table.Get(flatbuffers.number_types.Uint8Flags, table.Pos + table.Offset(4 + 2 * place))


def test_metadata_tells_pixels_and_labels(exported):
    """tests/runtimes reads it by the Task Library and MediaPipe."""
    for name in NAMES:
        path = single(exported, name)
        with zipfile.ZipFile(path) as archive:
            assert archive.read("labels.txt").decode("utf-8").split("\n") == LABELS
            assert archive.infolist()[0].compress_type == zipfile.ZIP_STORED
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
        (item,) = model.metadata
        assert item.name == b"TFLITE_METADATA"
        content = bytes(bytearray(model.buffers[item.buffer].data))
        assert content[4:8] == b"M001"
        root = Table(content, int.from_bytes(content[:4], "little"))
        graph = first_of(root, 3)
        image = first_of(graph, 2)
        assert text(image, 0) == "image"
        assert number(fields(image, 3), 0) == 2  # ImageProperties
        assert number(fields(image, 3, 1), 0) == 2  # grey
        scaling = fields(first_of(image, 4), 1)
        floats = [
            scaling.Get(flatbuffers.number_types.Float32Flags, scaling.Vector(scaling.Offset(x)))
            for x in (4, 6)
        ]
        assert floats == [0.0, 1.0]
        assert [text(first_of(graph, 3, k), 0) for k in range(3)] == OUTPUTS
        file = first_of(first_of(graph, 3), 6)
        assert (text(file, 0), number(file, 2)) == ("labels.txt", 2)


def test_the_export_knows_them(exported):
    metadata = json.loads((exported / "tiny.metadata.json").read_text())
    names = ["tiny.tflite", "tiny.int8.tflite", "tiny.single.tflite", "tiny.single.int8.tflite"]
    assert [item["file"] for item in metadata["files"]] == names
    for item in metadata["files"][2:]:
        (only,) = item["signatures"].values()
        assert only["inputs"]["image"]["shape"] == [1, 8, 8, 1]
        assert only["outputs"]["probabilities"]["index"] == 0
        assert item["temperatures"]["ensemble"] == 1.3
    folder = find_export(exported, "tiny", "")
    assert sorted(path.name for path in folder[1:]) == sorted(names)


def test_the_same_file_each_time(exported):
    content = (exported / "tiny.tflite").read_bytes()
    assert single_signature(content, LABELS) == single(exported, "tiny").read_bytes()
    base = Interpreter(model_content=single_signature(content, signature="base"))
    assert base.get_signature_list() == {"base": {"inputs": ["image"], "outputs": OUTPUTS[:1]}}


def test_loops_are_refused(exported):
    model = schema.Model.GetRootAs((exported / "tiny.tflite").read_bytes())
    model = schema.ModelT.InitFromObj(model)
    model.operatorCodes[0].builtinCode = schema.BuiltinOperator.WHILE
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    with pytest.raises(InputError, match=r"`single`: .* loops or branches \(WHILE\), "):
        single_signature(bytes(builder.Output()))


def test_a_variant_that_differs_is_found(exported, images, tmp_path, monkeypatch):
    path = shutil.copy(exported / "tiny.tflite", tmp_path)
    path = tmp_path / "tiny.tflite"
    content = single_signature(path.read_bytes())
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    largest = max(model.buffers, key=lambda x: 0 if x.data is None else len(x.data))
    largest.data = np.zeros_like(largest.data)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    monkeypatch.setattr(module, "single_signature", lambda *_: bytes(builder.Output()))
    with pytest.raises(ParityError, match=r"tiny.single.tflite: \w+ differs by .* tiny.tflite's"):
        write_single(path, (), images)


def test_cascades_and_prediction_sets(tiny, images, tmp_path):
    cascade = cascade_of(tiny, images, "single")
    sets = PredictionSets(0.9, 0.7, 200, k_reg=1, penalty=0.05)
    artifacts = export(cascade, tmp_path, "cascade", images, single=True, sets=sets)
    found = load_predictor(tmp_path / "cascade.single.tflite")(images)
    wanted = load_predictor(artifacts.tflite)(images)
    assert found.keys() == wanted.keys() == {*OUTPUTS, "goes_on", "prediction_set"}
    assert 0 < found["goes_on"].sum() < len(images)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name].astype(float), value.astype(float), atol=1e-6)
