"""The settings of a run, in groups."""

import dataclasses

from bridge_tf.config.validation import setting

DATASET_KINDS = ("digits", "tfds:NAME[:VERSION]", "folder:PATH", "npz:PATH")
AUGMENTATIONS = ("none", "crop", "crop_flip", "resized_crop_flip")
NORMS = ("frn", "batch")
STEMS = ("imagenet", "small")
# Blocks in each stage of imagenet_resnet18 and so on, by the number in the name.
IMAGENET_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
CURVE_KINDS = ("bezier", "chain")
PREPROCESSING = ("auto", "none", "tf", "torch", "caffe")
ALIGNMENTS = ("none", "weights", "activations")
QUANTIZED = ("float16", "int8", "int8_dynamic")
TFLITE_KINDS = ("float32", *QUANTIZED)
FORMATS = ("saved_model", "tflite", "onnx")
PRECISIONS = ("float32", "mixed_bfloat16")
ON_DIVERGENCE = ("stop", "retry")
CORRUPTIONS = ("noise", "blur", "contrast", "brightness", "jpeg", "pixelation")
AUTO = "auto"
MIXUP_ALPHA = 0.4  # Yun et al., 2023
# Bridges that learn from labels alone.
SUB_ENSEMBLE = "sub_ensemble"
BASELINES = (
    *("deep_ensemble", "curve", "swa", "fge"),
    *("distillation", "mixed_distillation", "student", "wide_student", "wide", "mixup", "long"),
    *(SUB_ENSEMBLE, "packed", "laplace", "batch_ensemble", "mimo", "mc_dropout"),
)
# The first two use the modes and curves that every run trains.
TRAINED_BASELINES = BASELINES[2:]
# Baselines of one network, like a mode or as wide as FLOPs allow.
SINGLE_NETWORKS = ("swa", "mixup", "long", "distillation", "mixed_distillation", "student")
WIDE = ("wide", "wide_student")
# Those that learn from all modes, the last two perhaps for longer, and with bridges.
LONG_STUDENTS = ("student", "wide_student")
STUDENTS = ("distillation", "mixed_distillation", *LONG_STUDENTS)


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """The data and its pre-processing."""

    seed: int = setting(0, "Random seed of the run.", low=0, high=2**31 - 1)
    dataset: str = setting("digits", f"Data set: one of {', '.join(DATASET_KINDS)}.")
    data_dir: str = setting("", "Folder of prepared TensorFlow Datasets, for tfds:NAME.")
    validation_fraction: float = setting(
        0.1, "Share of train for validation, unless the data has its own.", above=0, below=1
    )
    split_seed: int = setting(
        0,
        "Random seed of the choice of validation images from train, whatever `seed`.",
        low=0,
        high=2**31 - 1,
    )
    validation: str = setting(
        AUTO,
        "Images to validate on, if the data has no validation split: a share of train, or half of "
        "test. auto: test with `modes`, which have seen the training images, else train.",
        choices=(AUTO, "train", "test"),
    )
    image_size: int = setting(
        0,
        "Height and width to which images of folders are resized, and images of TensorFlow "
        "Datasets with several sizes. 0: the size of a folder's first image.",
        low=0,
    )
    max_images: int = setting(0, "Maximum number of images in each split; 0: all.", low=0)
    skip_bad_images: int = setting(
        0, "Leave out at most this many unreadable or mislabelled images.", low=0
    )
    exif: str = setting(
        "apply", "Orientation in the EXIF data of images of folders.", choices=("apply", "ignore")
    )
    augment: str = setting(
        "none",
        "Augmentation of training images. crop: pad, then crop at random. crop_flip: also mirror "
        "at random. resized_crop_flip: crop 8 to 100 % of the area at an aspect ratio of 3:4 to "
        "4:3, resize, mirror at random.",
        choices=AUGMENTATIONS,
    )
    crop_padding: int = setting(
        0, "Padding of crop and crop_flip, in pixels a side; 0: an eighth of the height.", low=0
    )


@dataclasses.dataclass(frozen=True)
class NetworkSettings:
    """The network and its weights."""

    pixel_mean: list[float] = setting(
        (0.5,), "Mean of the pixels as a fraction of 255: one number, or one for each channel."
    )
    pixel_std: list[float] = setting(
        (0.25,), "Standard deviation of the pixels, in the form of `pixel_mean`.", above=0
    )
    model: str = setting(
        "resnet8",
        "Network: resnet8, resnet14, … resnet56 (6n + 2 layers) and vgg8, for small images, "
        "imagenet_resnet18, 34, 50 or 101, a model of keras.applications such as MobileNetV2, or a "
        ".keras file, of which only the architecture is used.",
    )
    norm: str = setting("frn", "Normalization of the resnets and vgg8.", choices=NORMS)
    stem: str = setting(
        "imagenet",
        "First layers of the imagenet_resnets. small: one 3×3 convolution, for 32 to 64 pixels.",
        choices=STEMS,
    )
    width: float = setting(
        1.0, "Factor on the channels of resnets and vgg8; alpha of the MobileNets.", above=0
    )
    input_size: int = setting(
        0, "Height and width to which a keras.applications model resizes images; 0: none.", low=0
    )
    preprocessing: str = setting(
        AUTO,
        "Pre-processing inside a keras.applications model. auto: the model's own.",
        choices=PREPROCESSING,
    )
    weights: str = setting(
        "", "Weights file that a keras.applications model starts from; default: random weights."
    )
    modes: list[str] = setting(
        (),
        "Trained modes to use: .keras files, comma-separated, the base first. If `num_modes` is "
        "more, the others are trained.",
    )
    input_scale: str = setting(
        "255",
        "Pixels that `modes` take: 255, from 0 to 255; 1, from 0 to 1; symmetric, from -1 to 1. "
        "The scaling is put inside the models.",
        choices=("255", "1", "symmetric"),
    )
    imports: list[str] = setting(
        (), "Python modules that register the custom layers of `model` and `modes`."
    )
    num_modes: int = setting(4, "Number of modes, each trained from its own seed.", low=2)


@dataclasses.dataclass(frozen=True)
class CurveSettings:
    """The curves between modes."""

    align: str = setting(
        "none",
        "Match the neurons of a curve's second mode to those of the first before training.",
        choices=ALIGNMENTS,
    )
    curve_degree: int = setting(2, "Degree of the Bezier curve, or segments of a chain.", low=1)
    curve_kind: str = setting("bezier", "Kind of curve; a chain is polygonal.", choices=CURVE_KINDS)


@dataclasses.dataclass(frozen=True)
class BridgeSettings:
    """The bridges."""

    bridge_target: str = setting(
        "curve",
        "What a bridge predicts. curve: the network at `r` on its curve. mode: another mode. "
        "ensemble: the mean of all modes, by one bridge. Only the first needs curves.",
        choices=("curve", "mode", "ensemble"),
    )
    r: float = setting(0.5, "Position on the curve that a bridge predicts.", low=0, high=1)
    bridge_type: int = setting(
        1, "1: a bridge reads the base's taps. 2: the taps of both end points.", choices=(1, 2)
    )
    taps: list[str] = setting(
        (),
        "Layers of the base that feed the bridges. auto: chosen within `bridge_budget`. Default: "
        "the last block of stage 2 for the resnets, of stage 3 for the imagenet_resnets, the last "
        "layer of group 2 for vgg8, else auto.",
    )
    bridge_width: float = setting(
        0.0,
        "Channels of a bridge's body relative to the base's. 0: 0.5, or with `taps=auto` the width "
        "that `bridge_budget` allows.",
        low=0,
    )
    bridge_budget: float = setting(
        0.1,
        "With `taps=auto`, maximum FLOPs of a bridge relative to the base's; with `conditioned`, "
        "FLOPs at one position.",
        above=0,
    )
    warm_start: bool = setting(
        True, "Start a bridge's body from the curve member's weights, if its width is 1."
    )
    distil_base: bool = setting(
        False,
        "Let a student be the base: mode 0, trained on towards the mean of all modes. The row "
        "single stays mode 0.",
    )
    student_epochs: int = setting(
        0, "Epochs of the student, as a base or baseline; 0: `mode_epochs`.", low=0
    )
    student_bridges: int = setting(
        0,
        "Bridges that are trained together with the student, the k-th on mode k, and left out of "
        "its file. Their gradients make its features serve several answers.",
        low=0,
    )
    student_passes: int = setting(
        0,
        "Passes over the training images for which the modes' answers are computed once and kept "
        "on disk; the student's epochs take these passes in turn. 0: each step computes its own.",
        low=0,
    )
    residual: bool = setting(
        False, "Add the base's logits to a bridge's (`bridge_type=2`: the mean of both modes')."
    )
    conditioned: bool = setting(
        False, "Train one bridge for each curve, which takes r as an input."
    )
    shared_until: str = setting(
        "",
        "With `conditioned`, a layer behind the tap: up to it the bridge does not depend on r. "
        "Default: all of it depends on r.",
    )
    positions: list[float] = setting(
        (), "With `conditioned`, the r at which each bridge predicts; default: `r`.", low=0, high=1
    )
    bridge_pool: float = setting(
        4.0,
        "Gigabytes on disk for a pool that bridges train on: features and targets of a fifth of "
        "`bridge_epochs` passes over augmented, mixed images (at least two), or of as many as fit, "
        "computed once. 0, or too few for one pass: each step computes its own.",
        low=0,
    )
    mixup_alpha: float = setting(
        MIXUP_ALPHA,
        "alpha of mixup, Beta(alpha, alpha), for the bridges' images; 0: no mixup. Baselines that "
        f"mix then take {MIXUP_ALPHA}.",
        low=0,
    )
    repulsion: float = setting(
        0.0, "Weight of the loss term that moves a bridge away from the base's output.", low=0
    )
    label_share: float = setting(
        0.0,
        "Share of the cross-entropy with the labels, mixed as the images are, in a bridge's loss.",
        low=0,
        below=1,
    )


@dataclasses.dataclass(frozen=True)
class RecipeSettings:
    """The training recipe."""

    mode_epochs: int = setting(200, "Epochs of each mode.", low=1)
    curve_epochs: int = setting(200, "Epochs of each curve.", low=1)
    bridge_epochs: int = setting(200, "Epochs of each bridge.", low=1)
    batch_size: int = setting(128, "Images in a training step.", low=1)
    learning_rate: float = setting(0.1, "Peak learning rate.", above=0)
    bridge_learning_rate: float = setting(
        0.0, "Peak learning rate of the bridges; 0: `learning_rate`.", low=0
    )
    momentum: float = setting(0.9, "Momentum of SGD.", low=0, below=1)
    nesterov: bool = setting(False, "Use Nesterov momentum.")
    weight_decay: float = setting(1e-3, "L2 term in the gradient of modes and curves.", low=0)
    curve_weight_decay: float | None = setting(
        None, "L2 term in the gradient of curves; default: `weight_decay`.", low=0
    )
    bridge_weight_decay: float = setting(1e-5, "L2 term in the gradient of bridges.", low=0)
    warmup_epochs: float = setting(
        5.0, "Epochs of linear warm-up from 1 % of the peak, before the cosine decay.", low=0
    )
    label_smoothing: float = setting(
        0.0,
        "Share of the uniform distribution in the labels of modes, curves and SWA.",
        low=0,
        below=1,
    )
    jit_compile: str = setting(
        AUTO,
        "Compile training steps with XLA, if all layers support it. auto: on GPUs, TPUs and JAX. "
        "On CPUs TensorFlow's own kernels are faster.",
        choices=(AUTO, "true", "false"),
    )
    precision: str = setting(
        "float32",
        "Precision of trainings. mixed_bfloat16: layers compute in bfloat16, weights and results "
        "are of float32; faster where processors have it, docs/results/benchmarks.md.",
        choices=PRECISIONS,
    )
    class_weight: str = setting(
        "none",
        "Weights of the classes in the loss of modes, curves and baselines, and in a bridge's "
        "`label_share`. balanced: training images / (classes × those of the class).",
        choices=("none", "balanced"),
    )
    checkpoint_minutes: float = setting(
        5.0, "Minutes between checkpoints within an epoch; each epoch also ends with one.", low=0
    )
    on_divergence: str = setting(
        "stop",
        "When a training diverges: stop, or retry from the last epoch at half the learning rate.",
        choices=ON_DIVERGENCE,
    )
