"""NAME.metadata.json: a description of exported .tflite and .onnx files for applications.

It has the labels, the images' format, and of each file its size, digest, temperatures, rule of
prediction sets and signatures: their tensors' names, indices (for runtimes without names), shapes,
types, and the scaling of 8-bit ones.
"""

import dataclasses
import importlib.metadata
import json
import pathlib
from collections.abc import Mapping, Sequence

from ai_edge_litert import schema_py_generated as schema

from bridge_tf.evaluation.conformal import PredictionSets
from bridge_tf.export.onnx_file import onnx_signatures
from bridge_tf.export.prediction_sets import OUTPUT
from bridge_tf.utils.files import sha256

_TYPES = {
    number: name.lower() for name, number in vars(schema.TensorType).items() if name.isupper()
}


def describe(
    name: str,
    files: Mapping[pathlib.Path, Mapping[str, float]],
    labels: Sequence[str],
    shape: tuple,
    sets: Mapping[pathlib.Path, PredictionSets | None],
) -> dict:
    """The metadata of an export.

    Args:
        files: model.tflite, model.KIND.tflite and others beside them, each with the temperatures
            in it: of the "ensemble" (of a cascade its "first" and "second" stage), the "base", and
            of "early_exit", which the reader applies. 1 is none.
        shape: of an input: height, width and channels of an image.
        sets: of each file, the rule of its output prediction_set.
    """
    found = {"name": name, "bridge_tf": importlib.metadata.version("bridge_tf")}
    if len(shape) == 3:
        found["image"] = {
            **dict(zip(("height", "width", "channels"), shape, strict=True)),
            "order": {1: "grey", 3: "RGB"}.get(shape[-1], "as trained"),
            "pixels": "0 to 255, as they are: the model scales them itself",
        }
    return {
        **found,
        "labels": list(labels),
        "files": [
            {
                "file": path.name.replace("model", name, 1),
                "bytes": path.stat().st_size,
                "sha256": sha256(path),
                "temperatures": dict(temperatures),
                **({OUTPUT: dataclasses.asdict(rule)} if (rule := sets.get(path)) else {}),
                "signatures": _signatures_of(path),
            }
            for path, temperatures in files.items()
        ],
    }


def description_of(path: pathlib.Path) -> dict:
    """What NAME.metadata.json says of an exported .tflite or .onnx file, or of a SavedModel or the
    folder of its versions: its "temperatures", and "prediction_set" if it has one; {} if nothing.
    """
    is_model = path.is_dir()
    if is_model and not (path / "saved_model.pb").exists():
        versions = [version for version in path.iterdir() if version.name.isdigit()]
        path = max(versions, key=lambda version: int(version.name), default=path)
    path = path.resolve()
    found = path.parent.parent if is_model else path.parent
    for metadata in found.glob("*.metadata.json"):
        described = json.loads(metadata.read_text(encoding="utf-8"))
        if is_model:
            record = path / "assets.extra" / "export.json"
            if not record.exists():
                continue
            beside = json.loads(record.read_text(encoding="utf-8"))["beside"]
            if beside.get("metadata.json") == sha256(metadata):
                return described["files"][0]
        for item in described["files"]:
            if not is_model and item["file"] == path.name and item["sha256"] == sha256(path):
                return item
    return {}


def ensemble_temperature(path: pathlib.Path) -> float:
    """The ensemble's temperature in an exported .tflite file; 1 if no metadata is beside it."""
    for metadata in path.parent.glob("*.metadata.json"):
        files = json.loads(metadata.read_text(encoding="utf-8"))["files"]
        for item in files:
            if item["file"] == path.name:
                return item["temperatures"]["ensemble"]
    return 1.0


def _signatures_of(path: pathlib.Path) -> dict[str, dict]:
    is_onnx = path.suffix == ".onnx"
    return onnx_signatures(path) if is_onnx else signatures_in(path.read_bytes())


def signatures_in(content: bytes) -> dict[str, dict]:
    """The signatures of a .tflite file by name: {"inputs": {NAME: …}, "outputs": {NAME: …}}."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    found = {}
    for definition in model.signatureDefs:
        graph = model.subgraphs[definition.subgraphIndex]
        both = {
            "inputs": (definition.inputs, list(graph.inputs)),
            "outputs": (definition.outputs, list(graph.outputs)),
        }
        found[definition.signatureKey.decode()] = {
            kind: {
                item.name.decode(): {
                    "index": places.index(item.tensorIndex),
                    **_tensor(graph.tensors[item.tensorIndex]),
                }
                for item in sorted(items, key=lambda item: item.name)
            }
            for kind, (items, places) in both.items()
        }
    return dict(sorted(found.items()))


def _tensor(tensor) -> dict:
    """Shape (-1: any size), type, and scale and zero point of a quantized tensor."""
    signature = tensor.shapeSignature
    shape = tensor.shape if signature is None or len(signature) == 0 else signature
    found = {"shape": [int(size) for size in shape], "type": _TYPES[tensor.type]}
    scaling = tensor.quantization
    if scaling is not None and scaling.scale is not None and len(scaling.scale):
        found["scale"] = float(scaling.scale[0])
        found["zero_point"] = int(scaling.zeroPoint[0])
    return found
