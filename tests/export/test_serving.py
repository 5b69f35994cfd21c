"""What TensorFlow Serving reads and is asked, without its server."""

import io
import json
import re
import subprocess
import sys
import types
from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from bridge_tf import BridgeEnsemble, build_bridge, build_network, export
from bridge_tf.export import serving
from bridge_tf.export.serving import WARMUP
from bridge_tf.export.signatures import OUTPUTS, signatures
from bridge_tf.utils.extras import install
from tests.conftest import REPOSITORY
from tests.export.test_models_config import models

pytest.importorskip("tensorflow_serving.apis", reason=install("tensorflow_serving"))
from tensorflow_serving.apis import prediction_service_pb2_grpc as services
from tensorflow_serving.apis.predict_pb2 import PredictResponse
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

pytestmark = pytest.mark.integration

DOCS = (REPOSITORY / "docs" / "serving.md").read_text(encoding="utf-8")
# Runs saved_model_cli and replays the warm-up requests where Keras can't be imported.
STRANGER = """
import sys
for name in ("bridge_tf", "keras", "tf_keras"):
    sys.modules[name] = None
import numpy as np
import tensorflow as tf
from tensorflow.python.tools import saved_model_cli
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

saved_model, warmup, images, answers, out = sys.argv[1:]
run = f"--tag_set serve --signature_def serving_default --inputs image={images} --outdir {out}"
for command, flags in (("show", "--all"), ("run", run)):
    sys.argv = ["saved_model_cli", command, "--dir", saved_model, *flags.split()]
    try:
        saved_model_cli.main()
    except SystemExit as ended:
        assert not ended.code, command
loaded, found = tf.saved_model.load(saved_model), {}
for record in tf.data.TFRecordDataset(warmup):
    request = PredictionLog.FromString(record.numpy()).predict_log.request
    inputs = {name: tf.constant(tf.make_ndarray(x)) for name, x in request.inputs.items()}
    signature = request.model_spec.signature_name
    for name, x in loaded.signatures[signature](**inputs).items():
        found[f"{signature}/{len(x)}/{name}"] = x.numpy()
np.savez(answers, **found)
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """An export of two bridges, one of which takes a position."""
    generator = np.random.default_rng(0)
    base = build_network("resnet8", (8, 8, 1), 5, norm="batch", width=0.25)
    bridges = [build_bridge(base, "stage2_block1", 0.5, conditioned=c) for c in (False, True)]
    ensemble = BridgeEnsemble(base, bridges, positions=[0.25])
    for variable in ensemble.trainable_variables:
        variable.assign_add(generator.normal(0, 0.1, variable.shape))
    images = generator.integers(0, 256, (12, 8, 8, 1)).astype("float32")
    folder = tmp_path_factory.mktemp("exports")
    saved_model = export(ensemble, folder, "digits", images, "abcde").saved_model
    return types.SimpleNamespace(
        ensemble=ensemble,
        folder=folder,
        saved_model=saved_model,
        images=images,
        expected=ensemble.predict(images, verbose=0),
        signatures=tf.saved_model.load(saved_model).signatures,
    )


def tensors(body, specs):
    """The inputs in a REST request, by TensorFlow Serving's rules for `instances` and `inputs`."""
    assert ("instances" in body) != ("inputs" in body)
    if "inputs" in body:
        named = isinstance(body["inputs"], dict)
        given = body["inputs"] if named else dict(zip(specs, [body["inputs"]], strict=True))
    elif isinstance(body["instances"][0], dict):
        assert all(row.keys() == specs.keys() for row in body["instances"])
        given = {name: [row[name] for row in body["instances"]] for name in specs}
    else:
        given = dict(zip(specs, [body["instances"]], strict=True))
    arrays = {name: np.array(given[name]) for name in specs}  # of unequal rows: ValueError
    for name, array in arrays.items():
        assert array.dtype.kind in ("i" if specs[name].dtype.is_integer else "if"), name
    return {name: tf.constant(x, specs[name].dtype) for name, x in arrays.items()}


def answer(body, signatures):
    """What a server answers to a REST request."""
    signature = signatures[body.get("signature_name", "serving_default")]
    outputs = signature(**tensors(body, signature.structured_input_signature[1]))
    columns = {name: x.numpy().tolist() for name, x in outputs.items()}
    only = next(iter(columns.values())) if len(columns) == 1 else None
    if "inputs" in body:
        return {"outputs": only or columns}
    rows = zip(*columns.values(), strict=True)
    return {"predictions": only or [dict(zip(columns, row, strict=True)) for row in rows]}


class Server(services.PredictionServiceServicer):
    """A stand-in for TensorFlow Serving, by gRPC and, in place of `urlopen`, by REST."""

    def Predict(self, request, context):
        assert request.model_spec.name == "digits"
        inputs = {name: tf.constant(tf.make_ndarray(x)) for name, x in request.inputs.items()}
        response = PredictResponse()
        for name, x in self.signatures[request.model_spec.signature_name](**inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(x.numpy()))
        return response

    def urlopen(self, address, body):
        assert address == "http://localhost:8501/v1/models/digits:predict"
        return io.BytesIO(json.dumps(answer(json.loads(body), self.signatures)).encode())


def asked(saved_model):
    for record in tf.data.TFRecordDataset(str(saved_model / WARMUP)):
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        assert request.model_spec.name == "digits"
        inputs = {name: tf.make_ndarray(x) for name, x in request.inputs.items()}
        yield request.model_spec.signature_name, inputs


def test_warmup_asks_every_signature_for_one_real_image_and_for_several(exported):
    sizes = {}
    for signature, inputs in asked(exported.saved_model):
        _, specs = exported.signatures[signature].structured_input_signature
        assert inputs.keys() == specs.keys()
        assert all(specs[key].is_compatible_with(tf.constant(x)) for key, x in inputs.items())
        (rows,) = {len(x) for x in inputs.values()}
        sizes.setdefault(signature, []).append(rows)
        if "image" in inputs:
            np.testing.assert_array_equal(inputs["image"], exported.images[:rows])
        assert np.all(inputs.get("r", 0.25) == 0.25)
    assert sizes == {name: [1, 8] for name in exported.signatures}  # of 1000 requests at most
    assert (exported.saved_model / WARMUP).stat().st_size < 1e5


def test_large_inputs_make_small_batches(exported, monkeypatch, tmp_path):
    monkeypatch.setattr(serving, "_BYTES", 3 * 8 * 8 * 4)
    serving.write_warmup(
        signatures(exported.ensemble), "digits", exported.images, tmp_path / WARMUP
    )
    rows = [(name, len(x["image"])) for name, x in asked(tmp_path) if "image" in x]
    wanted = (("serving_default", 3), ("base", 3), ("serving_uint8", 8), ("taps", 3))
    assert rows == [(name, n) for name, most in wanted for n in (1, most)]


def test_a_process_without_keras_shows_runs_and_warms_up(exported, tmp_path):
    np.save(tmp_path / "images.npy", exported.images[:8])
    warmup = exported.saved_model / WARMUP
    files = [exported.saved_model, warmup, "images.npy", "answers.npz", "out"]
    program = [sys.executable, "-c", STRANGER, *map(str, files)]
    result = subprocess.run(program, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert set(exported.signatures) < set(re.findall(r"def\['(\w+)'\]", result.stdout))
    for name, key in OUTPUTS.items():
        ran = np.load(tmp_path / "out" / f"{name}.npy")
        np.testing.assert_allclose(ran, exported.expected[key][:8], atol=1e-5)
    # The bridges' members follow the base; other signatures answer for the whole ensemble.
    members = np.exp(exported.expected["log_probabilities"])
    parts = {"base": members[:, 0], "taps": members[:, :1]}
    parts |= {f"bridge_{k}": members[:, 1 + k] for k in range(2)}
    answered = set()
    for key, found in np.load(tmp_path / "answers.npz").items():
        signature, rows, name = key.split("/")
        answered.add((signature, int(rows)))
        if not name.startswith("feature_"):
            wanted = parts[signature] if signature in parts else exported.expected[OUTPUTS[name]]
            np.testing.assert_allclose(found, wanted[: int(rows)], atol=1e-5)
    assert answered == {(name, rows) for name in exported.signatures for rows in (1, 8)}


# TensorFlow Serving's message with its numbers of fields; tensorflow-serving-api lacks it.
BATCHING_PARAMETERS = """
name: "batching.proto" syntax: "proto3"
message_type { name: "Value" field { name: "value" number: 1 type: TYPE_INT64 } }
message_type { name: "BatchingParameters"
  field { name: "max_batch_size" number: 1 type_name: ".Value" }
  field { name: "batch_timeout_micros" number: 2 type_name: ".Value" }
  field { name: "max_enqueued_batches" number: 3 type_name: ".Value" }
  field { name: "num_batch_threads" number: 4 type_name: ".Value" }
  field { name: "allowed_batch_sizes" number: 6 type: TYPE_INT64 label: LABEL_REPEATED } }
"""


def batching_parameters(text):
    pool = descriptor_pool.DescriptorPool()
    file = text_format.Parse(BATCHING_PARAMETERS, descriptor_pb2.FileDescriptorProto())
    pool.AddSerializedFile(file.SerializeToString())
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("BatchingParameters"))
    return text_format.Parse(text, message())


def test_configurations_are_what_the_server_parses(exported):
    command = re.search(r"^docker run .*?[^\\]$", DOCS, re.MULTILINE | re.DOTALL)[0]
    assert ' -v "$PWD/saved_models:/models:ro" ' in command
    files = [exported.folder / name for name in re.findall(r"=/models/(\S+)", command)]
    assert [path.name for path in files] == ["models.config", "batching.config"]
    text, batching_text = (path.read_text() for path in files)
    (model,) = models(text)
    assert (model.name, model.base_path) == ("digits", "/models/digits")
    assert model.model_platform == "tensorflow"
    assert model.model_version_policy.latest.num_versions == 1
    with pytest.raises(text_format.ParseError, match="versions_policy"):
        models(text.replace("version_policy", "versions_policy"))

    batching = batching_parameters(batching_text)
    sizes = batching.allowed_batch_sizes
    assert sizes == sorted({*sizes, 1, 8}) and sizes[-1] == batching.max_batch_size.value
    assert batching.num_batch_threads.value >= 1 and batching.max_enqueued_batches.value >= 1
    with pytest.raises(text_format.ParseError, match="max_batch_sizes"):
        batching_parameters(batching_text.replace("max_batch_size ", "max_batch_sizes "))


def test_every_tensor_of_every_signature_is_batched_along_axis_0(exported):
    for name, signature in exported.signatures.items():
        inputs = signature.structured_input_signature[1].values()
        for tensor in (*inputs, *signature.structured_outputs.values()):
            assert tensor.shape[0] is None and None not in tensor.shape[1:], name


def test_the_programs_of_the_guide_ask_what_the_server_understands(exported, monkeypatch):
    rest, call = re.findall(r"^```python\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    server, names = Server(), {}
    server.signatures = exported.signatures
    monkeypatch.setattr("urllib.request.urlopen", server.urlopen)
    monkeypatch.chdir(exported.folder.parent)
    exec(rest.replace("saved_models/", f"{exported.folder.name}/"), names)
    wanted = exported.ensemble.predict(np.zeros((2, 8, 8, 1)), verbose=0)["probabilities"]
    np.testing.assert_allclose([row["probabilities"] for row in names["rows"]], wanted, atol=1e-6)
    np.testing.assert_allclose(names["columns"]["probabilities"], wanted, atol=1e-6)
    assert np.shape(names["base"]["predictions"]) == (2, 5)

    with pytest.raises(AssertionError, match="image"):
        names["predict"](instances=[[[[0.0]] * 8] * 8], signature_name="serving_uint8")
    listener = grpc.server(futures.ThreadPoolExecutor(1))
    services.add_PredictionServiceServicer_to_server(server, listener)
    port = listener.add_insecure_port("localhost:0")
    listener.start()
    exec(call.replace("localhost:8500", f"localhost:{port}"), names)
    listener.stop(None)
    np.testing.assert_allclose(names["called"], wanted, atol=1e-6)
