"""Files for TensorFlow Serving: warm-up requests and configurations.

A version's folder has its warm-up requests. The configurations list all models of the export
folder; one that someone else has written or changed is kept. All of them need the extra `serving`,
and are left out without it.
"""

import hashlib
import pathlib
from collections.abc import Iterable

import numpy as np

from bridge_tf.utils.extras import is_installed

# In a version's folder.
WARMUP = "assets.extra/tf_serving_warmup_requests"
MODELS, BATCHING = "models.config", "batching.config"
_HEAD = "# Written by bridge_tf and kept up to date as long as nobody changes it: "
# The most rows of a request, and the most bytes of those with several rows.
_ROWS, _BYTES = 8, 2**18
_BATCHING = """\
# Each signature has a queue of its own, in which requests are joined along axis 0.
# A request of more images than this is refused.
max_batch_size { value: 32 }
# Microseconds that a free thread waits for more requests. Zero costs a lone request nothing;
# on a GPU try 1000 to 10000.
batch_timeout_micros { value: 0 }
# As many as there are cores, or a few for a GPU.
num_batch_threads { value: 4 }
# When so many batches wait, further requests are refused (UNAVAILABLE).
max_enqueued_batches { value: 16 }
# Batches are padded to the next of these sizes.
allowed_batch_sizes: [1, 2, 4, 8, 16, 32]
"""


def can_write() -> bool:
    """Whether tensorflow-serving-api is installed."""
    return is_installed("tensorflow_serving")


def write_warmup(signatures, name: str, images: np.ndarray, path: pathlib.Path) -> None:
    """Writes requests, of one row and of several, that a server runs before the model is available.

    The first request to each signature compiles and allocates, and takes up to a hundred times as
    long as later ones; so does the first batch of several rows.

    Args:
        images: N inputs of the ensemble, N at least 1; up to 8 are written.
        path: of the file, TFRecords of PredictionLog.
    """
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    from bridge_tf.export.signatures import as_typed, positions_of, values_for

    path.parent.mkdir(exist_ok=True)
    images = np.asarray(images[:_ROWS])
    values = values_for(signatures, images, positions_of(signatures.ensemble))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature in signatures.all:
            inputs = {spec.name: as_typed(values[spec.name], spec) for spec in signature.inputs}
            row = sum(value[:1].nbytes for value in inputs.values())
            for size in sorted({1, min(len(images), max(1, _BYTES // row))}):
                log = PredictionLog()
                request = log.predict_log.request
                request.model_spec.name = name
                request.model_spec.signature_name = signature.name
                for key, value in inputs.items():
                    request.inputs[key].CopyFrom(tf.make_tensor_proto(value[:size]))
                writer.write(log.SerializeToString(deterministic=True))


def write_configurations(folder: pathlib.Path, models: Iterable[str]) -> None:
    """Writes models.config, which lists `models`, and batching.config to a folder."""
    from google.protobuf import text_format
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    config = ModelServerConfig()
    for name in sorted(models):
        # In the server's own image, the export folder is /models.
        listed = config.model_config_list.config.add(
            name=name, base_path=f"/models/{name}", model_platform="tensorflow"
        )
        listed.model_version_policy.latest.num_versions = 1
    for name, text in ((MODELS, text_format.MessageToString(config)), (BATCHING, _BATCHING)):
        (folder / name).write_bytes(_head(text.encode()) + text.encode())


def replaceable(path: pathlib.Path) -> bool:
    """Whether `path` is free, or holds exactly what `write_configurations` wrote."""
    if path.is_symlink() or not path.exists():
        return not path.is_symlink()
    if not path.is_file():
        return False
    head, end, text = path.read_bytes().partition(b"\n")
    return head + end == _head(text)


def lists_model(export_dir: pathlib.Path, name: str) -> bool:
    """Whether the models.config in `export_dir` lists a model of this name."""
    from google.protobuf import text_format
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    try:
        text = (export_dir / MODELS).read_text(encoding="utf-8")
        config = text_format.Parse(text, ModelServerConfig())
    except (OSError, UnicodeError, text_format.ParseError):
        return False
    return name in [listed.name for listed in config.model_config_list.config]


def _head(text: bytes) -> bytes:
    return f"{_HEAD}{hashlib.sha256(text).hexdigest()}\n".encode()
