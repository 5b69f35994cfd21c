"""The settings of a compression."""

import dataclasses
from collections.abc import Iterable

from bridge_tf.config.fields import TFLITE_KINDS

METHODS = ("qat", "prune", "cluster")


def file_names(method: str, kinds: Iterable[str]) -> list[str]:
    """The endings of the names of a method's files, NAME.ENDING.tflite.

    The first is of float32; the method "qat" has a single file, of 8 bits.
    """
    quantized = [] if method == "qat" else [kind for kind in kinds if kind != "float32"]
    return [method, *(f"{method}.{kind}" for kind in quantized)]


COMPRESSED_NAMES = [name for method in METHODS for name in file_names(method, TFLITE_KINDS)]


@dataclasses.dataclass(frozen=True)
class Compression:
    """How an ensemble is compressed.

    Attributes:
        method: "qat", "prune" or "cluster".
        epochs: passes over the training images, with the ensemble's predictions as targets.
        learning_rate: of Adam, at the start of a cosine decay.
        sparsity: for "prune", the share of each layer's weights that become 0, in (0, 1).
        clusters: for "cluster", the number of values that a layer's weights share, at least 2.
    """

    method: str
    epochs: int = 5
    learning_rate: float = 1e-3
    sparsity: float = 0.5
    clusters: int = 16

    def settings(self) -> dict:
        """The settings that the method uses, as plain data."""
        used = {"prune": "sparsity", "cluster": "clusters"}.get(self.method)
        others = {"sparsity", "clusters"} - {used}
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in others}
