"""The model for deployment: a base and its bridges as one Functional graph."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from bridge_tf.bridges.bridge import (
    answers_at,
    bridge_features,
    bridge_taps,
    is_conditioned,
    name_parts,
)
from bridge_tf.bridges.film import Position
from bridge_tf.networks.classifier import TINY, as_classifier, logits_copy
from bridge_tf.utils.graph import LOGITS_INPUT, check_taps, counterparts, extractor
from bridge_tf.utils.keras_utils import Untracked, clone


@keras.saving.register_keras_serializable(package="bridge_tf")
class BridgeEnsemble(keras.Model):
    """The mean of the probabilities of the base and its bridges.

    The base runs once; the bridges read its taps. With bridges of Type II, the other modes also run
    in full and are members. All models are copied.

    Args:
        base: a Functional or Sequential classifier that ends in logits or a softmax.
        bridges: from `build_bridge` for this base; may be empty.
        other_modes: for bridges of Type II, the other modes.
        ends: for bridges of Type II, a pair (i, j) for each bridge: the modes at the ends of its
            curve, as indices in [base, *other_modes]. Default: (0, k + 1) for bridge k.
        positions: for conditioned bridges, the positions r in [0, 1] at which each is a member.
        temperature: T > 0 of `probabilities` and `entropy`: the softmax of log p / T, for the mean
            p of the members' probabilities (Guo et al., ICML 2017). 1 leaves p as it is.
        name: of the model.
        base_temperature: that of the base's predictions in the exported signature `base`.

    Input: that of the base. Images are one tensor named `image`, N×H×W×C (raw pixels 0…255, if the
    base takes these); other inputs keep their names.

    Output: a dict of these, by name.

    - `probabilities`: N×classes, the mean over the members, calibrated by `temperature`.
    - `entropy`: N, of these probabilities, in nats, 0 … log(classes).
    - `mutual_information`: N, in nats, ≥ 0: the entropy of the members' mean less the mean of
      their entropies, both without the temperature. Exported models call it `disagreement`.
    - `log_probabilities`: N×members×classes, without the temperature: the modes, then the bridges,
      conditioned ones at each position.

    Raises:
        ValueError: `ends`, `positions` or a temperature doesn't fit.
        InputError: the base isn't a classifier, or lacks a tap.

    Example::

        ensemble = bridge_tf.BridgeEnsemble(modes[0], [bridge])
        print(ensemble.predict(images)["probabilities"].shape)
    """

    def __init__(
        self,
        base: keras.Model,
        bridges: Sequence[keras.Model],
        other_modes: Sequence[keras.Model] = (),
        ends: Sequence[tuple[int, int]] | None = None,
        positions: Sequence[float] = (),
        name: str = "bridge_ensemble",
        temperature: float = 1.0,
        base_temperature: float = 1.0,
    ):
        # Copies with unique names, because bridges from different files may have equal names.
        bridges = [clone(bridge, f"bridge{k}") for k, bridge in enumerate(bridges)]
        for bridge in bridges:
            name_parts(bridge, bridge.name)
        other_modes = list(other_modes)
        types = [bridge_taps(bridge)[0] for bridge in bridges]
        ends = ends or [(0, k + 1) if kind == 2 else (0, 0) for k, kind in enumerate(types)]
        positions = [float(r) for r in positions]
        modes = [logits_copy(as_classifier(mode)) for mode in (base, *other_modes)]
        _check_ends(bridges, ends, len(modes))
        _check_positions(bridges, positions)
        for key, value in (("temperature", temperature), ("base_temperature", base_temperature)):
            if not 0 < value < math.inf:
                raise ValueError(f"{key} must be positive and finite. Received: {key}={value}")

        taps = list(dict.fromkeys(tap for bridge in bridges for tap in bridge_taps(bridge)[1]))
        if taps:
            check_taps(modes[0], taps)
        inputs = new_inputs(modes[0])
        first = keras.tree.flatten(inputs)[0]
        features, logits = [], []
        for k, mode in enumerate(modes):
            own = counterparts(modes[0], mode, taps)
            outputs = extractor(mode, own, logits=True, name=f"mode{k}")(inputs)
            *tapped, output = outputs if isinstance(outputs, list) else [outputs]
            features.append(dict(zip(taps, tapped, strict=True)) | {LOGITS_INPUT: output})
            logits.append(output)
        at = [Position(r, name=f"position{k}")(first) for k, r in enumerate(positions)]
        for bridge, kind, pair in zip(bridges, types, ends, strict=True):
            reads = [features[i][name] for i in pair[:kind] for name in bridge_features(bridge)[1]]
            logits += answers_at(bridge, reads, at)
        super().__init__(inputs=inputs, outputs=statistics(logits, temperature), name=name)
        self.base, self.bridges, self.other_modes = modes[0], bridges, modes[1:]
        self.ends = [(start, end) for start, end in ends]
        self.positions = positions
        self.temperature, self.base_temperature = float(temperature), float(base_temperature)
        self._members = Untracked((features, logits))

    def first(self, num_bridges: int) -> "BridgeEnsemble":
        """The ensemble of the first bridges only, with copies of the modes that they read.

        It has no temperatures, since those were fitted for all members.

        Args:
            num_bridges: 0 … their number.
        """
        ends = self.ends[:num_bridges]
        others = self.other_modes[: max(itertools.chain(*ends), default=0)]
        return BridgeEnsemble(
            self.base, self.bridges[:num_bridges], others, ends, self.positions, self.name
        )

    def calibrated(self, temperature: float, base_temperature: float) -> "BridgeEnsemble":
        """The ensemble with copies of its networks and these temperatures; 1 for none.

        Args:
            temperature: as in `BridgeEnsemble`.
            base_temperature: as in `BridgeEnsemble`.
        """
        return BridgeEnsemble(
            self.base,
            self.bridges,
            self.other_modes,
            self.ends,
            self.positions,
            self.name,
            temperature,
            base_temperature,
        )

    def reads(self) -> list[list[tuple[int, str]]]:
        """For each bridge, pairs of a mode's index and the base's tap, or `LOGITS_INPUT`."""
        found = []
        for bridge, pair in zip(self.bridges, self.ends, strict=True):
            kind, names = bridge_features(bridge)
            found.append([(k, name) for k in pair[:kind] for name in names])
        return found

    def features(self) -> list[tuple[int, str]]:
        """All features that bridges read, without duplicates, in the form of `reads`."""
        return sorted(dict.fromkeys(itertools.chain(*self.reads())), key=lambda item: item[0])

    def members(self) -> keras.Model:
        """A model to all `features`, then all members' logits, N×classes; it shares the layers."""
        tapped, logits = self._members.value
        outputs = [tapped[k][tap] for k, tap in self.features()]
        return keras.Model(self.input, [*outputs, *logits], name="members")

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            "base": serialize(self.base),
            "bridges": [serialize(bridge) for bridge in self.bridges],
            "other_modes": [serialize(mode) for mode in self.other_modes],
            "ends": [list(pair) for pair in self.ends],
            "positions": self.positions,
            "temperature": self.temperature,
            "base_temperature": self.base_temperature,
            "name": self.name,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "BridgeEnsemble":
        load = keras.saving.deserialize_keras_object
        config = dict(config)
        for key in ("bridges", "other_modes"):
            config[key] = [load(item, custom_objects) for item in config[key]]
        return cls(load(config.pop("base"), custom_objects), **config)


def new_inputs(base: keras.Model) -> Any:
    """New inputs like those of the base; an input of images is called `image`."""
    if keras.utils.is_keras_tensor(base.input) and len(base.input.shape) == 4:
        return keras.Input(base.input.shape[1:], dtype=base.input.dtype, name="image")
    return keras.tree.map_structure(
        lambda x: keras.Input(x.shape[1:], dtype=x.dtype, name=x.name), base.input
    )


def _check_positions(bridges: list[keras.Model], positions: list[float]) -> None:
    if any(is_conditioned(bridge) for bridge in bridges) and not positions:
        raise ValueError(
            "conditioned bridges need positions, as in positions=[0.5]. Received: positions=[]"
        )
    if not all(0 <= r <= 1 for r in positions):
        raise ValueError(f"positions must lie in [0, 1]. Received: positions={positions}")


def _check_ends(
    bridges: list[keras.Model], ends: Sequence[tuple[int, int]], num_modes: int
) -> None:
    if len(ends) != len(bridges):
        raise ValueError(
            f"ends takes one pair for each of {len(bridges)} bridges. Received: ends={ends}"
        )
    for pair in ends:
        if not all(0 <= i < num_modes for i in pair):
            raise ValueError(
                f"ends must number the {num_modes} modes from 0; give the further modes of "
                f"bridges of Type II as other_modes. Received: ends={ends}"
            )


def statistics(logits: list, temperature: float = 1.0) -> dict[str, Any]:
    """The outputs of `BridgeEnsemble` from each member's logits or log-probabilities, N×classes."""
    log_probs = _log_softmax(ops.stack([ops.cast(x, "float32") for x in logits], axis=1))
    mean = ops.mean(ops.exp(log_probs), axis=1)
    mean_log = ops.log(ops.maximum(mean, TINY))  # the lower bound makes 0 · log 0 equal 0
    entropy = -ops.sum(mean * mean_log, axis=-1)
    member_entropies = -ops.sum(ops.exp(log_probs) * log_probs, axis=-1)
    outputs = {
        "probabilities": mean,
        "entropy": entropy,
        "mutual_information": ops.maximum(entropy - ops.mean(member_entropies, axis=-1), 0.0),
        "log_probabilities": log_probs,
    }
    if temperature != 1:
        calibrated = _log_softmax(mean_log / temperature)
        outputs["probabilities"] = ops.exp(calibrated)
        outputs["entropy"] = -ops.sum(ops.exp(calibrated) * calibrated, axis=-1)
    return outputs


def _log_softmax(logits: Any) -> Any:
    """`ops.log_softmax`, with the last difference reversed so that TFLite doesn't recognize it.

    TFLite rounds the results of its own log-softmax to sixteenths in 8-bit files.
    """
    shifted = logits - ops.max(logits, axis=-1, keepdims=True)
    return -(ops.log(ops.sum(ops.exp(shifted), axis=-1, keepdims=True)) - shifted)
