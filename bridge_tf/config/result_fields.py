"""The settings of what a run makes of its trainings: the report and the exported files."""

import dataclasses

from bridge_tf.config.fields import BASELINES, CORRUPTIONS, FORMATS, TFLITE_KINDS
from bridge_tf.config.validation import setting

# Limits of the recommended row.
BUDGETS = ("budget_flops", "budget_worst_flops", "budget_params", "budget_bytes")


@dataclasses.dataclass(frozen=True)
class EvaluationSettings:
    """The evaluation."""

    curve_points: int = setting(
        5,
        "Positions on each curve at which the report measures, including both ends.",
        low=3,
        high=10_000,
    )
    baselines: list[str] = setting(
        (),
        "Other ways of ensembling to train with the same recipe and compare with, comma-separated; "
        "every run has deep_ensemble and curve.",
        choices=BASELINES,
    )
    early_exit_budget: float = setting(
        1.05,
        "Early exit: target for the mean FLOPs of an image, relative to the base's. Only the "
        "images with the lowest confidence of the base go on to the bridges.",
        low=1,
    )
    average_cost: float = setting(
        1.25,
        "Cascades: maximum for the mean FLOPs of a validation image, relative to one network's.",
        above=1,
    )
    budget_flops: float = setting(
        1.25,
        "Recommendation: maximum for the mean FLOPs of an image, relative to one network's.",
        low=1,
    )
    budget_worst_flops: float = setting(
        0.0,
        "Recommendation: maximum for the FLOPs of any image, relative to one network's; 0: none.",
        low=0,
    )
    budget_params: float = setting(
        0.0,
        "Recommendation: maximum for the parameters, relative to one network's; 0: none.",
        low=0,
    )
    budget_bytes: int = setting(
        0, "Recommendation: maximum for the bytes of float32 weights; 0: none.", low=0
    )
    ood_dataset: str = setting(
        "", "Out-of-distribution data, in the form of `dataset`, to detect by confidence."
    )
    corruptions: list[str] = setting(
        (), "Also measure on corrupted test images.", choices=CORRUPTIONS
    )
    corruption_images: int = setting(
        1000, "Maximum number of test images to corrupt, at each of 5 severities.", low=1
    )


@dataclasses.dataclass(frozen=True)
class ExportSettings:
    """The exported files."""

    formats: list[str] = setting(
        FORMATS[:2],
        "Formats to export, comma-separated; saved_model and tflite are always exported.",
        choices=FORMATS,
    )
    single: bool = setting(
        False,
        "Also export each TFLite file for runtimes that know one signature and one image a call, "
        "with TFLite metadata inside: NAME.single.tflite.",
    )
    tflite: list[str] = setting(
        ("float32",),
        "TFLite files to export, comma-separated; float32 is always exported.",
        choices=TFLITE_KINDS,
    )
    tflite_io: str = setting(
        "float32", "Type of the input image of quantized files.", choices=("float32", "uint8")
    )
    max_accuracy_drop: float = setting(
        0.01, "Maximum loss of test accuracy of a quantized file, as a fraction.", low=0
    )
    calibrate: bool = setting(
        True, "Scale exported probabilities by temperatures fitted on the validation split."
    )
    coverage: float = setting(
        0.0,
        "Also export the output prediction_set: the classes among which the true one is with at "
        "least this probability, for images like those of the validation split; 0: none.",
        low=0,
        below=1,
    )
    latency: bool = setting(True, "Measure the latency of exported files relative to one network.")
    export_dir: str = setting("saved_models", "Folder for the exported model.")
    export_name: str = setting("", "Name of the exported model; default: DATASET_MODEL.")
