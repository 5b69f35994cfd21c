"""NAME.metadata.json: a description of exported .tflite files for applications.

It has the labels, the images' format, and of each file its size, digest, temperatures and
signatures: their tensors' names, indices (for runtimes without names), shapes, types, and the
scaling of 8-bit ones.
"""

import importlib.metadata
import json
import pathlib
from collections.abc import Mapping, Sequence

from ai_edge_litert import schema_py_generated as schema

from bridge_tf.utils.files import sha256

_TYPES = {
    number: name.lower() for name, number in vars(schema.TensorType).items() if name.isupper()
}


def describe(
    name: str,
    files: Mapping[pathlib.Path, Mapping[str, float]],
    labels: Sequence[str],
    shape: tuple,
) -> dict:
    """The metadata of an export.

    Args:
        files: model.tflite and model.KIND.tflite, each with the temperatures in it: of the
            "ensemble" (of a cascade its "first" and "second" stage), the "base", and of
            "early_exit", which the reader applies. 1 is none.
        shape: of an input: height, width and channels of an image.
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
                "signatures": signatures_in(path.read_bytes()),
            }
            for path, temperatures in files.items()
        ],
    }


def ensemble_temperature(path: pathlib.Path) -> float:
    """The ensemble's temperature in an exported .tflite file; 1 if no metadata is beside it."""
    for metadata in path.parent.glob("*.metadata.json"):
        files = json.loads(metadata.read_text(encoding="utf-8"))["files"]
        for item in files:
            if item["file"] == path.name:
                return item["temperatures"]["ensemble"]
    return 1.0


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
