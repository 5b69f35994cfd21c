"""The configuration of a run, checked before slow imports and before any file is written."""

import dataclasses
import hashlib
import json
import pathlib
import re

from bridge_tf.config.execution import ExecutionSettings
from bridge_tf.config.fields import (
    AUTO,
    DATASET_KINDS,
    IMAGENET_BLOCKS,
    LONG_STUDENTS,
    BridgeSettings,
    CurveSettings,
    DataSettings,
    NetworkSettings,
    RecipeSettings,
)
from bridge_tf.config.result_fields import BUDGETS, EvaluationSettings, ExportSettings
from bridge_tf.config.validation import check_setting, text_of
from bridge_tf.utils.errors import InputError, without_controls

STAGES = ("modes", "curves", "bridges", "baselines", "evaluate", "export")
SMOKE_IMAGES = 256
# The kinds of networks that have each setting.
_NETWORK_SETTINGS = {
    "norm": ("resnet", "imagenet_resnet", "vgg"),
    "stem": ("imagenet_resnet",),
    "width": ("resnet", "imagenet_resnet", "vgg", "application"),
    "pixel_mean": ("resnet", "imagenet_resnet", "vgg"),
    "pixel_std": ("resnet", "imagenet_resnet", "vgg"),
    "input_size": ("application",),
    "preprocessing": ("application",),
    "weights": ("application",),
}
NAME = r"\w[\w.-]{0,99}"

# Settings that don't change what is trained, so a run may go on with other values.
INDECISIVE = (
    *("data_dir", "export_dir", "export_name", "imports"),
    *("checkpoint_minutes", "on_divergence", "jit_compile", "baselines", "early_exit_budget"),
    *BUDGETS,
    *("average_cost", "ood_dataset", "corruptions", "corruption_images"),
    *("formats", "single", "tflite", "tflite_io", "max_accuracy_drop"),
    *("calibrate", "coverage", "latency"),
    *(field.name for field in dataclasses.fields(ExecutionSettings)),
)


@dataclasses.dataclass(frozen=True)
# Fields come in the order of the bases from last to first.
class Config(
    ExecutionSettings,
    ExportSettings,
    EvaluationSettings,
    RecipeSettings,
    BridgeSettings,
    CurveSettings,
    NetworkSettings,
    DataSettings,
):
    """All settings of a run, with defaults resolved."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.type == list[float] or field.type == list[str]:
                object.__setattr__(self, field.name, tuple(getattr(self, field.name)))
            check_setting(field, getattr(self, field.name))
        self._check_names()
        for name, value in self._defaults().items():
            if getattr(self, name) == getattr(type(self), name):
                object.__setattr__(self, name, value)
        self._check_network()
        if self.crop_padding and self.augment not in ("crop", "crop_flip"):
            raise InputError(
                f"`crop_padding={self.crop_padding}`: needs `augment=crop` or crop_flip"
            )
        for name in ("positions", "shared_until"):
            if getattr(self, name) and not self.conditioned:
                raise InputError(f"`{name}={text_of(getattr(self, name))}`: needs `conditioned`")
        self._check_target()
        if len(set(self.positions)) < len(self.positions):
            raise InputError(f"`positions={text_of(self.positions)}`: name each position once")
        if self.ood_dataset == self.dataset:
            raise InputError(f"`ood_dataset={self.ood_dataset}`: is `dataset`; name other data")
        if len(set(self.corruptions)) < len(self.corruptions):
            raise InputError(
                f"`corruptions={text_of(self.corruptions)}`: name each corruption once"
            )
        self._check_execution(self.batch_size)
        if len(self.modes) > 1 and self.num_modes == type(self).num_modes:
            object.__setattr__(self, "num_modes", len(self.modes))
        self._check_student()
        if not re.fullmatch(NAME, self.export_name):
            raise InputError(
                f"`export_name={self.export_name}`: must be at most 100 letters, digits, '_', '-' "
                "and '.', and begin with none of the last two"
            )

    def _check_names(self) -> None:
        """Refuses empty names of what every run has, and names that no file can have."""
        known = ", ".join(DATASET_KINDS)
        rights = {
            "dataset": f"name one of {known}",
            "model": "name a network or a .keras file",
            "export_dir": "name a folder",
        }
        for name, right in rights.items():
            if not getattr(self, name):
                raise InputError(f"`{name}=`: missing; {right}")
        for field in dataclasses.fields(self):
            value = text_of(getattr(self, field.name))
            if without_controls(value) != value:
                raise InputError(
                    f"`{field.name}={without_controls(value)}`: holds a control character; leave "
                    "it out"
                )

    def _check_network(self) -> None:
        """Refuses settings that the network doesn't have, which would be ignored silently."""
        if len(set(self.modes)) < len(self.modes):
            raise InputError(f"`modes={text_of(self.modes)}`: name each file once")
        kind = "modes" if self.modes else "file" if self.model.endswith(".keras") else "application"
        family = re.fullmatch(r"((imagenet_)?resnet|vgg)\d*", self.model)
        if kind == "application" and family:
            kind = family[1]
        given = f"`modes={text_of(self.modes)}`" if self.modes else f"`model={self.model}`"
        for field in dataclasses.fields(self):
            kinds = _NETWORK_SETTINGS.get(field.name)
            if kinds and kind not in kinds and getattr(self, field.name) != field.default:
                value = text_of(getattr(self, field.name))
                raise InputError(f"`{field.name}={value}`: not for {given}; leave it out")
        if self.num_modes < len(self.modes) and self.num_modes != type(self).num_modes:
            raise InputError(
                f"`num_modes={self.num_modes}`: `modes` names {len(self.modes)}; leave it out"
            )
        if self.input_scale != "255" and not self.modes:
            raise InputError(f"`input_scale={self.input_scale}`: needs `modes`")

    def _check_target(self) -> None:
        """Refuses what only bridges of curves have."""
        if self.bridge_target == "curve":
            return
        for name in ("r", "bridge_type", "conditioned"):
            if (value := getattr(self, name)) != getattr(type(self), name):
                raise InputError(
                    f"`{name}={text_of(value)}`: needs `bridge_target=curve`; leave it out"
                )

    def _check_student(self) -> None:
        """Refuses a student that can't be the base, or be trained with so many bridges."""
        if self.distil_base and self.bridge_type == 2:
            raise InputError("`distil_base`: is for bridges of one base; take `bridge_type=1`")
        student = self.distil_base or not {*LONG_STUDENTS}.isdisjoint(self.baselines)
        for name in ("student_bridges", "student_passes"):
            if (value := getattr(self, name)) and not student:
                raise InputError(
                    f"`{name}={value}`: needs a student: `distil_base`, or `baselines=student`"
                )
        if not self.student_bridges:
            return
        given, others = f"`student_bridges={self.student_bridges}`", self.num_modes - 1
        if self.student_bridges > others:
            raise InputError(f"{given}: each learns another mode, and there are {others}")
        if self.bridge_type == 2 or self.conditioned:
            raise InputError(
                f"{given}: is for bridges of one base, without `conditioned`; leave it out"
            )

    def _defaults(self) -> dict:
        """Defaults that depend on other settings."""
        source = self.dataset.partition(":")[2] or self.dataset
        source = source.rstrip("/").rpartition("/")[2].partition(":")[0].partition(".")[0]
        network = pathlib.Path(self.modes[0] if self.modes else self.model).stem
        name = re.sub(r"[^\w-]+", "_", f"{source}_{network}").lstrip("-")
        taps = self.taps or (AUTO if self.modes else _usual_tap(self.model),)
        return {
            "taps": taps,
            "bridge_width": 0.0 if taps == (AUTO,) else 0.5,
            "bridge_learning_rate": self.learning_rate,
            "curve_weight_decay": self.weight_decay,
            "export_name": name[:100],
        }

    def to_json(self) -> dict:
        """The settings as JSON data; `Config(**data)` restores them."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def smoke(self) -> "Config":
        """A short version of the run, which only tests that it runs."""
        return dataclasses.replace(
            self,
            num_modes=2,
            modes=self.modes[:2],
            mode_epochs=1,
            curve_epochs=1,
            student_epochs=min(1, self.student_epochs),
            student_bridges=min(1, self.student_bridges),
            student_passes=min(1, self.student_passes),
            bridge_epochs=1,
            curve_points=3,
            batch_size=min(self.batch_size, SMOKE_IMAGES // 4),
            max_images=SMOKE_IMAGES,
        )

    @property
    def validates_on_test(self) -> bool:
        """Whether half of the test images validate, if the data has no validation images."""
        return self.validation == "test" or (self.validation == AUTO and bool(self.modes))

    @property
    def budget(self) -> dict[str, float]:
        """The limits of the recommended row, by what they limit; without those that are none."""
        limits = {name.removeprefix("budget_"): getattr(self, name) for name in BUDGETS}
        return {kind: limit for kind, limit in limits.items() if limit}

    @property
    def jit(self) -> bool | str:
        """`jit_compile`, as a `Recipe` takes it."""
        return {"true": True, "false": False}.get(self.jit_compile, AUTO)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the settings that decide the results."""
        text = json.dumps(_decisive(self.to_json()), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, other: "Config") -> list[str]:
        """The settings that change the results and differ: "`seed=1` (there: 0)"."""
        ours, theirs = _decisive(self.to_json()), _decisive(other.to_json())
        return [
            f"`{k}={text_of(v)}` (there: {text_of(theirs[k])})"
            for k, v in ours.items()
            if v != theirs[k]
        ]

    def curves(self) -> list[tuple[int, int]]:
        """The curves as pairs of modes, in the order in which bridges join the ensemble.

        They are those of `bridge_pairs`; none if bridges predict modes.
        """
        return self.bridge_pairs() if self.bridge_target == "curve" else []

    def bridge_pairs(self) -> list[tuple[int, int]]:
        """The bridges as pairs of modes, in the order in which they join the ensemble.

        Type I: from the base (mode 0) to each other mode; of the one bridge that predicts the mean
        of all modes, (0, 1). Type II: all pairs; the first m(m-1)/2 pairs are those of the first m
        modes.
        """
        if self.bridge_target == "ensemble":
            return [(0, 1)]
        if self.bridge_type == 1:
            return [(0, j) for j in range(1, self.num_modes)]
        return [(i, j) for j in range(1, self.num_modes) for i in range(j)]


def _usual_tap(model: str) -> str:
    """The default tap: for the project's own networks, the output of a stage."""
    if found := re.fullmatch(r"resnet(\d+)", model):
        return f"stage2_block{(int(found[1]) - 2) // 6}"
    if model.startswith("vgg"):
        return "group2_act2"
    found = re.fullmatch(r"imagenet_resnet(\d{2,3})", model)
    blocks = found and IMAGENET_BLOCKS.get(int(found[1]))
    return f"stage3_block{blocks[2]}" if blocks else AUTO


def _decisive(settings: dict) -> dict:
    return {key: value for key, value in settings.items() if key not in INDECISIVE}
