"""The names of classes beside an exported model: one a line, in UTF-8."""

import pathlib
import re
from collections.abc import Iterable

from bridge_tf.config.fields import QUANTIZED
from bridge_tf.export.compression.settings import COMPRESSED_NAMES
from bridge_tf.utils.terminal import logger

_ENDING = ".labels.txt"
SINGLE = "single"
SINGLE_KINDS = (SINGLE, *(f"{SINGLE}.{kind}" for kind in QUANTIZED))
# NAME.KIND.tflite has the labels of NAME.tflite. The longest first: "prune.int8" ends in "int8".
_KINDS = sorted([*QUANTIZED, *SINGLE_KINDS, *COMPRESSED_NAMES], key=len, reverse=True)
# Whatever some program takes for the end of a line, and what UTF-8 can't encode.
_NOT_ON_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def label_lines(class_names: Iterable[object]) -> list[str]:
    r"""The names, with line breaks and control characters escaped, as \n or \u2028."""
    return [
        _NOT_ON_A_LINE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(name))
        for name in class_names
    ]


def is_single(path: pathlib.Path) -> bool:
    """Whether a file is a NAME.single.tflite or NAME.single.KIND.tflite."""
    return path.name.endswith(tuple(f".{kind}.tflite" for kind in SINGLE_KINDS))


def labels_beside(model: pathlib.Path) -> pathlib.Path:
    """The file of labels of NAME.tflite, NAME.KIND.tflite or NAME.keras; it may be missing."""
    own = model.with_suffix(_ENDING)
    stems = [model.stem.removesuffix(f".{kind}") for kind in _KINDS]
    found = [own, *(model.with_name(stem + _ENDING) for stem in stems if stem != model.stem)]
    return next((path for path in found if path.exists()), own)


def read_labels(path: pathlib.Path, num_classes: int | None, *, warn: bool) -> tuple[str, ...]:
    r"""The names in a file of labels, whose lines end in \n or \r\n only; empty without a file.

    If there isn't one a class (None: their number isn't known), they are left out, with a warning
    if `warn`.
    """
    if not path.exists():
        return ()
    # Undecoded, since reading text takes more characters for line breaks.
    lines = path.read_bytes().decode("utf-8-sig", errors="replace").split("\n")
    lines = [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]
    if num_classes is None or len(lines) == num_classes:
        return tuple(lines)
    if warn:
        logger.warning(
            f"`model`: {path} has {len(lines)} names for {num_classes} classes and is left out; it "
            "must have one a line and class"
        )
    return ()
