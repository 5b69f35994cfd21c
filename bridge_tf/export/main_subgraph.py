"""Makes serving_default the signature that runtimes without signatures run.

They run the first subgraph: `invoke` in Python and Swift, and microcontrollers. The converter sorts
subgraphs by the names of their signatures, so that the first would be the base's.
"""

import flatbuffers
from ai_edge_litert import schema_py_generated as schema
from flatbuffers.number_types import UOffsetTFlags

# Places of fields in the table of a model, see schema.fbs of TFLite.
_SUBGRAPHS, _SIGNATURES = 8, 18


def with_main(content: bytes, name: str = "serving_default") -> bytes:
    """A .tflite file with the subgraph of a signature in the first place.

    The two subgraphs are exchanged in the file's list, and the signatures, which number subgraphs,
    are written again at its end. All else keeps its place and alignment.
    """
    model = schema.Model.GetRootAs(content)
    signatures = [model.SignatureDefs(k) for k in range(model.SignatureDefsLength())]
    (place,) = (x.SubgraphIndex() for x in signatures if x.SignatureKey().decode() == name)
    # With more subgraphs than signatures, operations may number them too.
    if place == 0 or model.SubgraphsLength() != len(signatures):
        return content

    exchanged = {0: place, place: 0}
    renumbered = schema.ModelT()
    renumbered.signatureDefs = [schema.SignatureDefT.InitFromObj(x) for x in signatures]
    for signature in renumbered.signatureDefs:
        signature.subgraphIndex = exchanged.get(signature.subgraphIndex, signature.subgraphIndex)
    builder = flatbuffers.Builder()
    builder.Finish(renumbered.Pack(builder))
    appended = bytes(builder.Output())

    result = bytearray(content) + bytes(-len(content) % 16)  # aligned as the runtime wants it
    target = len(result) + _vector(schema.Model.GetRootAs(appended), _SIGNATURES)
    result += appended
    _point(result, _field(model, _SIGNATURES), target)
    first = _vector(model, _SUBGRAPHS) + UOffsetTFlags.bytewidth  # behind the length
    places = [first + k * UOffsetTFlags.bytewidth for k in (0, place)]
    targets = [model._tab.Indirect(k) for k in places]
    for k, target in zip(places, reversed(targets), strict=True):
        _point(result, k, target)
    return bytes(result)


def _field(model, field: int) -> int:
    """The place in a file of the reference to a vector."""
    return model._tab.Pos + model._tab.Offset(field)


def _vector(model, field: int) -> int:
    """The place in a file where a vector begins, with its length."""
    return model._tab.Indirect(_field(model, field))


def _point(content: bytearray, place: int, target: int) -> None:
    """Writes a reference to `target`, relative to its own place."""
    width = UOffsetTFlags.bytewidth
    content[place : place + width] = (target - place).to_bytes(width, "little")
