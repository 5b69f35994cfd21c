"""The settings of a run by their subjects."""

import dataclasses

from bridge_tf.config.validation import setting

DATASET_KINDS = ("digits", "tfds:NAME[:VERSION]", "folder:PATH", "npz:PATH")
AUGMENTATIONS = ("none", "crop", "crop_flip", "resized_crop_flip")
NORMS = ("frn", "batch")
STEMS = ("imagenet", "small")
# Blocks a stage of imagenet_resnet18 and so on, by the layers that its name counts.
IMAGENET_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
CURVE_KINDS = ("bezier", "chain")
PREPROCESSING = ("auto", "none", "tf", "torch", "caffe")
ALIGNMENTS = ("none", "weights", "activations")
QUANTIZED = ("float16", "int8", "int8_dynamic")
TFLITE_KINDS = ("float32", *QUANTIZED)
ON_DIVERGENCE = ("stop", "retry")
CORRUPTIONS = ("noise", "blur", "contrast", "brightness", "jpeg", "pixelation")
AUTO = "auto"
EXECUTORS = ("local", "ray")
BASELINES = (
    *("deep_ensemble", "curve", "swa", "fge"),
    *("distillation", "batch_ensemble", "mimo", "mc_dropout"),
)
# The others are of modes and curves that every run has.
TRAINED_BASELINES = BASELINES[2:]


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """What is learned, and how its images are read."""

    seed: int = setting(0, "Seed of everything random.", low=0, high=2**31 - 1)
    dataset: str = setting("digits", f"What to learn: one of {', '.join(DATASET_KINDS)}.")
    data_dir: str = setting("", "Folder of prepared TensorFlow Datasets, for tfds:NAME.")
    validation_fraction: float = setting(
        0.1, "Share of the training images kept for validation.", above=0, below=1
    )
    image_size: int = setting(
        0,
        "Height and width to resize folder images to, by default the first's, and those of "
        "TensorFlow Datasets that are of different sizes.",
        low=0,
    )
    max_images: int = setting(0, "Use at most so many images of each split; 0 uses all.", low=0)
    skip_bad_images: int = setting(
        0, "Leave out up to so many images that can't be read or are mislabelled.", low=0
    )
    augment: str = setting(
        "none",
        "Augmentation of training images: pad and crop at random, and mirror; resized_crop_flip "
        "takes 8 to 100 % of the area, 3:4 to 4:3, and resizes it.",
        choices=AUGMENTATIONS,
    )
    crop_padding: int = setting(
        0,
        "Pixels on each side that crop and crop_flip pad by; 0 takes an eighth of the height.",
        low=0,
    )


@dataclasses.dataclass(frozen=True)
class NetworkSettings:
    """The network, and where trained ones come from."""

    pixel_mean: list[float] = setting(
        (0.5,), "Mean of the pixels as a fraction of 255: one number or one a channel."
    )
    pixel_std: list[float] = setting(
        (0.25,), "Standard deviation of the pixels, as `pixel_mean`.", above=0
    )
    model: str = setting(
        "resnet8",
        "Network: resnet8, resnet14, … resnet56 (6n + 2 layers, small images), imagenet_resnet18, "
        "34, 50, 101, one of keras.applications, as MobileNetV2, or a .keras file, whose "
        "architecture is trained anew.",
    )
    norm: str = setting("frn", "Normalization of the resnets.", choices=NORMS)
    stem: str = setting(
        "imagenet",
        "First layers of the imagenet_resnets; small, for 32 to 64 pixels, is one 3×3 convolution.",
        choices=STEMS,
    )
    width: float = setting(
        1.0, "Multiplies the channels of the resnets; alpha of the MobileNets.", above=0
    )
    input_size: int = setting(
        0, "Height and width to which a network of keras.applications resizes; 0 doesn't.", low=0
    )
    preprocessing: str = setting(
        AUTO,
        "Pre-processing inside a network of keras.applications; auto takes its own.",
        choices=PREPROCESSING,
    )
    weights: str = setting(
        "", "File of weights that networks of keras.applications start from; default: random."
    )
    modes: list[str] = setting(
        (), "Trained modes, .keras files between commas, the base first; none are trained then."
    )
    imports: list[str] = setting(
        (), "Python modules to import first, which register the layers of `model` and `modes`."
    )
    num_modes: int = setting(4, "Number of networks trained from seeds of their own.", low=2)


@dataclasses.dataclass(frozen=True)
class CurveSettings:
    """The curves between modes."""

    align: str = setting(
        "none",
        "Match the neurons of a curve's second mode to the first's before it is fitted.",
        choices=ALIGNMENTS,
    )
    curve_degree: int = setting(2, "Control points of a curve, less one.", low=1)
    curve_kind: str = setting("bezier", "Shape of a curve.", choices=CURVE_KINDS)


@dataclasses.dataclass(frozen=True)
class BridgeSettings:
    """The bridges."""

    r: float = setting(0.5, "Position on the curve that a bridge predicts.", low=0, high=1)
    bridge_type: int = setting(
        1, "1: a bridge sees the base's taps. 2: those of both end points.", choices=(1, 2)
    )
    taps: list[str] = setting(
        (),
        "Layers of the base that feed the bridges; auto chooses by `bridge_budget`. Default: the "
        "last block of stage 2 of the resnets, of stage 3 of the imagenet_resnets, else auto.",
    )
    bridge_width: float = setting(
        0.0,
        "Channels of a bridge's body relative to the base's; 0 takes 0.5, with `taps=auto` what "
        "`bridge_budget` allows.",
        low=0,
    )
    bridge_budget: float = setting(
        0.1,
        "With `taps=auto`, the FLOPs that a bridge may cost (with `conditioned`, one of its "
        "answers), relative to the base's.",
        above=0,
    )
    warm_start: bool = setting(
        True, "Start a bridge's body of width 1 from the curve member's weights."
    )
    residual: bool = setting(
        False, "Bridges add to the base's logits (`bridge_type=2`: the mean of both modes')."
    )
    conditioned: bool = setting(
        False, "Train one bridge a curve for every r, which takes r as an input."
    )
    shared_until: str = setting(
        "",
        "With `conditioned`, the layer behind the tap up to which a bridge is the same for all r; "
        "default: none of it.",
    )
    positions: list[float] = setting(
        (), "With `conditioned`, where each bridge answers; default: `r`.", low=0, high=1
    )
    mixup_alpha: float = setting(
        0.4, "Mix the bridges' training images by Beta(alpha, alpha); 0 doesn't.", low=0
    )
    repulsion: float = setting(
        0.0, "Weight of the term that keeps a bridge away from the base's output.", low=0
    )
    label_share: float = setting(
        0.0,
        "Share of the labels' cross-entropy in a bridge's loss, labels mixed as the images are.",
        low=0,
        below=1,
    )


@dataclasses.dataclass(frozen=True)
class RecipeSettings:
    """How everything is trained."""

    mode_epochs: int = setting(200, "Epochs of each mode.", low=1)
    curve_epochs: int = setting(200, "Epochs of each curve.", low=1)
    bridge_epochs: int = setting(200, "Epochs of each bridge.", low=1)
    batch_size: int = setting(128, "Images a training step.", low=1)
    learning_rate: float = setting(0.1, "Peak learning rate.", above=0)
    bridge_learning_rate: float = setting(
        0.0, "Peak learning rate of the bridges; 0 takes `learning_rate`.", low=0
    )
    momentum: float = setting(0.9, "Momentum of SGD.", low=0, below=1)
    nesterov: bool = setting(False, "Whether the momentum is Nesterov's.")
    weight_decay: float = setting(1e-3, "L2 in the gradient, for modes and curves.", low=0)
    curve_weight_decay: float | None = setting(
        None, "L2 in the gradient, for curves; default: `weight_decay`.", low=0
    )
    bridge_weight_decay: float = setting(1e-5, "L2 in the gradient, for bridges.", low=0)
    warmup_epochs: float = setting(
        5.0, "Epochs of linear warm-up from 1 % of the peak, then cosine decay.", low=0
    )
    jit_compile: bool = setting(True, "Compile training steps with XLA.")
    checkpoint_minutes: float = setting(
        5.0, "Minutes between checkpoints within an epoch; each epoch ends in one anyway.", low=0
    )
    on_divergence: str = setting(
        "stop",
        "When a loss diverges: stop, or go back to the last epoch and retry at half the rate.",
        choices=ON_DIVERGENCE,
    )


@dataclasses.dataclass(frozen=True)
class EvaluationSettings:
    """What the report measures."""

    curve_points: int = setting(
        5, "Positions along each curve that the report measures, ends included.", low=3
    )
    baselines: list[str] = setting(
        (),
        "Other ways of ensembling to train by the same recipe and compare with, between commas; "
        "deep_ensemble and curve come with every run.",
        choices=BASELINES,
    )
    early_exit_budget: float = setting(
        1.05,
        "Average FLOPs an image of early answers, relative to the base's: the whole ensemble's "
        "for those images alone of which the base is least sure.",
        low=1,
    )
    ood_dataset: str = setting(
        "", "Data whose test images are to be told from the run's by confidence, as `dataset`."
    )
    corruptions: list[str] = setting(
        (),
        "Measure on corrupted test images too.",
        choices=CORRUPTIONS,
    )
    corruption_images: int = setting(
        1000, "Test images that are corrupted, at most; at each of 5 severities.", low=1
    )


@dataclasses.dataclass(frozen=True)
class ExportSettings:
    """The exported files."""

    tflite: list[str] = setting(
        ("float32",),
        "TFLite files to export, between commas; float32 is always one of them.",
        choices=TFLITE_KINDS,
    )
    tflite_io: str = setting(
        "float32", "Type of the images that quantized files take.", choices=("float32", "uint8")
    )
    max_accuracy_drop: float = setting(
        0.01, "Accuracy on the test split that a quantized file may lose, as a fraction.", low=0
    )
    latency: bool = setting(True, "Time exported files against one network, for the report.")
    export_dir: str = setting("saved_models", "Folder for the exported model.")
    export_name: str = setting("", "Name of the exported model; default: DATASET_MODEL.")


@dataclasses.dataclass(frozen=True)
class ExecutionSettings:
    """Where a run's tasks are done, and by how many devices."""

    executor: str = setting(
        "local",
        "Who does the tasks: local, this process, one after the other; ray, a Ray cluster.",
        choices=EXECUTORS,
    )
    ray_address: str = setting(
        AUTO, "Of the Ray cluster: auto finds one that runs here; HOST:PORT; local starts one."
    )
    ray_cpus: float = setting(1.0, "CPU cores that Ray is asked for, a task.", above=0)
    ray_gpus: float = setting(0.0, "GPUs that Ray is asked for, a training or evaluation.", low=0)
    ray_memory: float = setting(
        0.0, "GiB of memory that Ray is asked for, a task; 0 asks for none.", low=0
    )
    ray_retries: int = setting(3, "Times that a task is done anew when its node dies.", low=0)
    storage: str = setting(
        "",
        "Folder or URL (gs://, s3://, …) by which nodes exchange files; default: `workdir`, which "
        "all nodes must then see.",
    )
    devices: str = setting(
        "1",
        "Devices of this machine that share each batch of a training: a number, or all. Learning "
        "rate, steps and `batch_size`, a multiple of that number, mean what they mean on one.",
    )
    hosts: list[str] = setting(
        (),
        "Addresses HOST:PORT of the processes that share each batch, between commas, each started "
        "with these settings, a `process_id` and a `workdir` of its own; they meet at the first. "
        "JAX alone.",
    )
    process_id: int = setting(0, "Which of `hosts` this process is, from 0.", low=0)
