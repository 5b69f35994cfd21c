import collections

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from bridge_tf import BridgeEnsemble, InputError, build_bridge
from bridge_tf.config import QUANTIZED
from bridge_tf.export.artifacts import latency_ratio, log_probs_of
from bridge_tf.export.quantization import write_quantized
from bridge_tf.export.signatures import write_saved_model, write_tflite


@pytest.fixture
def written(tiny, images, tmp_path):
    """Writes files of an ensemble; gives it, and the path of each kind."""

    def written(kinds=QUANTIZED, **options):
        base = tiny()
        bridges = [build_bridge(base, "relu0", 1, **options) for _ in range(2)]
        conditioned = options.get("conditioned")
        ensemble = BridgeEnsemble(base, bridges, positions=[0.2, 0.9] if conditioned else [])
        saved_model, paths = tmp_path / "saved", {"float32": tmp_path / "model.tflite"}
        write_saved_model(ensemble, saved_model)
        write_tflite(ensemble, saved_model, paths["float32"])
        for kind in kinds:
            paths[kind] = tmp_path / f"model.{kind}.tflite"
            write_quantized(ensemble, saved_model, paths[kind], kind, images)
        return ensemble, paths

    return written


def operations(path) -> dict[str, collections.Counter]:
    """For each signature's graph, how often it has each operation with each type of its input."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    types = {v: k for k, v in vars(schema.TensorType).items() if isinstance(v, int)}
    found = {}
    for graph in model.subgraphs:
        count = found[graph.name.decode()] = collections.Counter()
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
            count[name, types[graph.tensors[operator.inputs[0]].type]] += 1
    return found


def check_that_only_answers_are_in_float(path):
    for name, count in operations(path).items():
        kinds = collections.defaultdict(set)
        for operation, dtype in count:
            kinds[operation].add(dtype)
        for operation in ("CONV_2D", "FULLY_CONNECTED", "ADD"):
            assert kinds[operation] <= {"INT8"}, name
        for operation in ("SOFTMAX", "LOG", "EXP", "SUM", "NEG", "PACK"):
            assert kinds[operation] <= {"FLOAT32"}, name
        # Whose results are rounded to sixteenths, whatever their type.
        assert not kinds["LOG_SOFTMAX"]


def test_quantized_files_answer_as_the_float_one_does(written, images):
    ensemble, paths = written()
    expected = ensemble.predict(images, verbose=0)
    signatures = Interpreter(str(paths["float32"])).get_signature_list()
    size = {kind: path.stat().st_size for kind, path in paths.items()}
    assert size["int8_dynamic"] < size["int8"] < size["float16"] < size["float32"]
    for kind, atol in (("float32", 1e-4), ("float16", 2e-3), ("int8_dynamic", 0.03), ("int8", 0.1)):
        interpreter = Interpreter(str(paths[kind]))
        assert interpreter.get_signature_list() == signatures
        found = interpreter.get_signature_runner("serving_default")(image=images)
        np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=atol)
        np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1, atol=1e-5)
        base = np.exp(expected["log_probabilities"][:, 0])
        found = interpreter.get_signature_runner("base")(image=images)["probabilities"]
        np.testing.assert_allclose(found, base, atol=atol)
        names = {name for graph in operations(paths[kind]).values() for name, _ in graph}
        assert "CUSTOM" not in names and not any(name.startswith("Flex") for name in names)
        if kind == "int8":
            check_that_only_answers_are_in_float(paths[kind])
        # Batches of any size, and all images alike.
        whole = log_probs_of(paths[kind], images)
        alone = np.concatenate([log_probs_of(paths[kind], image[None]) for image in images[:3]])
        np.testing.assert_allclose(np.exp(alone), np.exp(whole[:3]), atol=1e-6)


def test_int8_parts_of_conditioned_ensembles_go_on_from_each_other(written, images):
    ensemble, paths = written(kinds=["int8"], conditioned=True)
    expected = ensemble.predict(images, verbose=0)["probabilities"]
    interpreter = Interpreter(str(paths["int8"]))
    taps = interpreter.get_signature_runner("taps")(image=images)
    found = interpreter.get_signature_runner("bridges")(**taps)["probabilities"]
    np.testing.assert_allclose(found, expected, atol=0.15)


def test_without_images_there_is_nothing_to_calibrate_on(written, images, tmp_path):
    ensemble, _ = written(kinds=[])
    with pytest.raises(InputError, match="--tflite=int8: needs training images"):
        path = tmp_path / "model.int8.tflite"
        write_quantized(ensemble, tmp_path / "saved", path, "int8", images[:0])
    assert not path.exists()


def test_latency_is_relative_to_the_base_alone(written, images):
    _, paths = written(kinds=[])
    assert latency_ratio(paths["float32"], paths["float32"], images[0]) > 0
