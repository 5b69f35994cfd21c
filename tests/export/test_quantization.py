import collections
import dataclasses
import pathlib

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from bridge_tf import BridgeEnsemble, InputError, build_bridge, load_dataset
from bridge_tf.config.fields import QUANTIZED
from bridge_tf.data import Dataset
from bridge_tf.evaluation import score
from bridge_tf.evaluation.latency import latency_ratio
from bridge_tf.export import quantization
from bridge_tf.export.quantization import write_quantized
from bridge_tf.export.scoring import log_probs_of
from bridge_tf.export.signatures import Signatures, signatures, write_saved_model, write_tflite
from bridge_tf.networks import FilterResponseNormalization


@pytest.fixture
def written(tiny, images, tmp_path):
    """Writes files of an ensemble; gives it, and the path of each kind."""

    def written(kinds=QUANTIZED, **options):
        base = tiny()
        bridges = [build_bridge(base, "relu0", 1, **options) for _ in range(2)]
        conditioned = options.get("conditioned")
        ensemble = BridgeEnsemble(base, bridges, positions=[0.2, 0.9] if conditioned else [])
        saved_model, paths = tmp_path / "saved", {"float32": tmp_path / "model.tflite"}
        found = signatures(ensemble)
        write_saved_model(found, saved_model)
        write_tflite(found, saved_model, paths["float32"])
        for kind in kinds:
            paths[kind] = tmp_path / f"model.{kind}.tflite"
            write_quantized(found, saved_model, paths[kind], kind, images)
        return ensemble, paths

    return written


@dataclasses.dataclass
class Made:
    signatures: Signatures
    data: Dataset
    saved_model: pathlib.Path
    float32: pathlib.Path
    int8: pathlib.Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """An ensemble with both norms that has learned the digits, and what was made of it."""
    keras.utils.set_random_seed(0)
    data = load_dataset("digits")
    x = image = keras.Input((8, 8, 1), name="image")
    x = layers.Rescaling(1 / 127.5, -1, name="scaled")(x)
    for k in range(3):
        y = layers.Conv2D(16, 3, padding="same", use_bias=False, name=f"conv{k}")(x)
        y = FilterResponseNormalization(name=f"norm{k}")(y)
        y = layers.Activation("silu", name=f"silu{k}")(y)
        x = layers.Add(name=f"add{k}")([x, y])
    x = layers.Conv2D(32, 3, strides=2, padding="same", name="conv3")(x)
    x = layers.BatchNormalization(momentum=0.8, name="norm3")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(layers.ReLU(name="relu3")(x))
    base = keras.Model(image, layers.Dense(10, name="logits")(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    base.compile(keras.optimizers.Adam(0.01), loss)
    base.fit(data.train.images, data.train.labels, batch_size=64, epochs=12, verbose=0)
    ensemble = BridgeEnsemble(base, [build_bridge(base, "add2", warm_start=base)])
    folder = tmp_path_factory.mktemp("trained")
    paths = (folder / name for name in ("saved", "m.tflite", "m.int8.tflite"))
    made = Made(signatures(ensemble), data, *paths)
    write_saved_model(made.signatures, made.saved_model)
    write_tflite(made.signatures, made.saved_model, made.float32)
    write_quantized(made.signatures, made.saved_model, made.int8, "int8", data.train.images)
    return made


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


@pytest.mark.integration
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


@pytest.mark.integration
def test_int8_keeps_accuracy_and_calibration(trained):
    test, validation = trained.data.test, trained.data.validation
    float32, int8 = (
        score(
            *(log_probs_of(path, test.images), test.labels),
            *(log_probs_of(path, validation.images), validation.labels),
        )
        for path in (trained.float32, trained.int8)
    )
    assert float32["accuracy"] > 0.9
    assert abs(int8["accuracy"] - float32["accuracy"]) <= 0.01
    assert abs(int8["calibrated_nll"] / float32["calibrated_nll"] - 1) <= 0.05


@pytest.mark.integration
def test_int8_normalizes_images_by_their_own_values_in_float(trained):
    found = operations(trained.int8)["base"]
    # The 4 convolutions have 8 bits, and of the rest what is behind the last of them.
    eight_bits = {kind: count for (kind, dtype), count in found.items() if dtype == "INT8"}
    assert eight_bits.pop("CONV_2D") == 4
    assert set(eight_bits) == {"MEAN", "FULLY_CONNECTED", "DEQUANTIZE"}
    # So it is close to the float file on images that are unlike those it was calibrated on, too:
    # with all operations of 8 bits up to 0.7 away. Not so where an image is all but 0 once scaled.
    flat = np.ones((4, 8, 8, 1)) * np.reshape([0, 64, 200, 255], (4, 1, 1, 1))
    expected = np.exp(log_probs_of(trained.float32, flat))
    np.testing.assert_allclose(np.exp(log_probs_of(trained.int8, flat)), expected, atol=0.15)


@pytest.mark.integration
def test_what_is_no_image_of_the_right_type_is_refused(trained):
    for path in (trained.float32, trained.int8):
        run = Interpreter(str(path)).get_signature_runner("serving_default")
        with pytest.raises(ValueError, match="Got value of type UINT8 but expected type FLOAT32"):
            run(image=np.zeros((1, 8, 8, 1), "uint8"))
        run = Interpreter(str(path)).get_signature_runner("serving_default")
        with pytest.raises(RuntimeError, match="failed to prepare"):
            run(image=np.zeros((1, 8, 8, 3), "float32"))


@pytest.mark.integration
def test_int8_parts_of_conditioned_ensembles_go_on_from_each_other(written, images):
    ensemble, paths = written(kinds=["int8"], conditioned=True)
    expected = ensemble.predict(images, verbose=0)["probabilities"]
    interpreter = Interpreter(str(paths["int8"]))
    taps = interpreter.get_signature_runner("taps")(image=images)
    found = interpreter.get_signature_runner("bridges")(**taps)["probabilities"]
    np.testing.assert_allclose(found, expected, atol=0.15)


def test_calibration_has_one_image_at_a_time_and_each_position_in_turn(tiny, images):
    base = tiny()
    bridge = build_bridge(base, "relu0", 1, conditioned=True)
    found = signatures(BridgeEnsemble(base, [bridge], positions=[0.2, 0.9]))
    pairs = list(quantization._calibration(found, images[:3])())
    assert len(pairs) == 3 * len(found.in_tflite)
    assert all(len(value) == 1 for _, inputs in pairs for value in inputs.values())
    given = [inputs for name, inputs in pairs if name == "bridge_0"]
    np.testing.assert_allclose([x["r"].item() for x in given], [0.2, 0.9, 0.2])
    wanted = found["taps"].function(images[:3])["feature_0"]
    features = np.concatenate([inputs["feature_0"] for inputs in given])
    np.testing.assert_allclose(features, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.integration
def test_without_images_there_is_nothing_to_calibrate_on(trained, images, tmp_path):
    path = tmp_path / "model.int8.tflite"
    with pytest.raises(InputError, match="`tflite=int8`: needs training images"):
        write_quantized(trained.signatures, trained.saved_model, path, "int8", images[:0])
    assert not path.exists()


@pytest.mark.integration
def test_latency_is_relative_to_the_base_alone(trained, images):
    assert latency_ratio(trained.float32, trained.float32, images[0]) > 0
