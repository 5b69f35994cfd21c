"""The paper's recipes: their numbers, and that they run on made-up images of the right form."""

import json
import math
import subprocess
import sys

import pytest

from bridge_tf.cli.flags import Flags
from bridge_tf.cli.train import Options
from bridge_tf.runs.bridge_settings import new_bridge
from bridge_tf.runs.context import Run
from tests.commands import done
from tests.conftest import REPOSITORY
from tests.paper_data import PAGE, prepare, python_blocks

RECIPES = ("cifar10", "cifar100", "tiny_imagenet", "imagenet")
FOLDER = REPOSITORY / "configs" / "paper"
# The paper's settings, one row each, for CIFAR-10, CIFAR-100, Tiny ImageNet and ImageNet.
NUMBERS = {
    "model": ("resnet32", "resnet32", "imagenet_resnet34", "imagenet_resnet50"),
    "width": (2, 4, 1, 1),
    "stem": ("imagenet", "imagenet", "small", "imagenet"),  # the first two have none
    "norm": ("frn",) * 4,
    "augment": ("crop_flip",) * 3 + ("resized_crop_flip",),
    "crop_padding": (4, 4, 4, 0),
    "mode_epochs": (200, 200, 200, 100),
    "curve_epochs": (200, 200, 200, 100),
    "bridge_epochs": (200, 200, 100, 50),
    "batch_size": (128, 128, 128, 256),
    "learning_rate": (0.1,) * 4,
    "bridge_learning_rate": (0.1,) * 4,
    "momentum": (0.9,) * 4,
    "nesterov": (False, False, True, False),
    "warmup_epochs": (5,) * 4,
    "weight_decay": (1e-3, 5e-4, 5e-4, 1e-4),
    "curve_weight_decay": (1e-3, 5e-4, 5e-4, 1e-5),
    "bridge_weight_decay": (1e-5,) * 4,
    "mixup_alpha": (0.4, 0.4, 0.4, 0),
    "repulsion": (0,) * 4,
    # Blocks 12, 12, 13, and 12 and 13.
    "taps": (
        ("stage3_block2",),
        ("stage3_block2",),
        ("stage3_block6",),
        ("stage3_block5", "stage3_block6"),
    ),
    "bridge_width": (0.5,) * 4,  # "small"
    "bridge_type": (1,) * 4,
    "r": (0.5,) * 4,
    "curve_kind": ("bezier",) * 4,
    "curve_degree": (2,) * 4,
    "align": ("none",) * 4,
    "num_modes": (5,) * 4,  # base + 4 bridges
    "dataset": ("tfds:cifar10", "tfds:cifar100", "folder:tiny_imagenet", "tfds:imagenet2012"),
    "image_size": (0, 0, 64, 224),
}
# Narrow networks, so that a smoke run is short.
SMALL = {
    "cifar10": ("--width=0.25",),
    "cifar100": ("--width=0.25",),
    "tiny_imagenet": ("--width=0.0625", "--image_size=32"),
    "imagenet": ("--width=0.0625", "--image_size=32"),
}


def parsed(*arguments: str) -> Flags:
    """The flags of train."""
    flags = Flags(Options, settings=None)
    flags.parse(arguments)
    return flags


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_number_is_the_papers(recipe):
    flags = parsed(f"--flagfile={FOLDER / recipe}.flags")
    config = flags.config()
    wanted = {name: values[RECIPES.index(recipe)] for name, values in NUMBERS.items()}
    assert {name: getattr(config, name) for name in wanted} == wanted
    if recipe == "cifar10":
        assert (config.pixel_mean, config.pixel_std) == ((0.49, 0.48, 0.44), (0.2,))
    if recipe.startswith("cifar"):  # 45,000 of 50,000
        assert config.validation_fraction * 50_000 == 5_000
    assert len(config.curves()) == 4
    assert flags.options.workdir == f"runs/{config.export_name}" == f"runs/paper_{recipe}"


def test_there_is_no_other_recipe():
    assert {path.stem for path in FOLDER.iterdir()} == set(RECIPES)


@pytest.mark.integration
@pytest.mark.parametrize("recipe", RECIPES)
def test_network_and_bridge_fit_the_data(recipe, tmp_path):
    """At the full width: what training checks before it begins, and a batch."""
    flags = parsed(f"--flagfile={FOLDER / recipe}.flags", *prepare(recipe, tmp_path))
    config = flags.config().smoke()
    run = Run(config, tmp_path / "work")
    classes = {"cifar10": 10, "cifar100": 100, "tiny_imagenet": 4, "imagenet": 1000}[recipe]
    size = {"tiny_imagenet": 64, "imagenet": 224}.get(recipe, 32)
    assert (run.data.image_shape, run.data.num_classes) == ((size, size, 3), classes)
    network = run.build()
    new_bridge(run, network, choose_for=network)
    ((images, _),) = run.training_batches(1, 0).take(1)
    assert images.shape == (64, size, size, 3)
    last = {"cifar10": 128, "cifar100": 256, "tiny_imagenet": 512, "imagenet": 2048}[recipe]
    assert network.get_layer("pool").output.shape == (None, last)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_runs(recipe, tmp_path):
    places = [f"--workdir={tmp_path / 'work'}", f"--export_dir={tmp_path / 'exports'}"]
    name = f"--flagfile=configs/paper/{recipe}.flags"
    done(
        "train",
        name,
        "--smoke",
        "--jit_compile=false",
        *prepare(recipe, tmp_path),
        *SMALL[recipe],
        *places,
    )
    report = json.loads((tmp_path / "work" / "report.json").read_text())
    rows = [row["name"] for row in report["ensembles"]]
    assert rows[:4] == ["single", "deep_ensemble_2", "curve_1", "bridge_1"]
    assert all(math.isfinite(row["calibrated_nll"]) for row in report["ensembles"])
    assert (tmp_path / "exports" / f"paper_{recipe}" / "1" / "saved_model.pb").exists()
    assert (tmp_path / "exports" / f"paper_{recipe}.tflite").exists()


@pytest.mark.slow
def test_the_page_counts_as_its_table_says():
    program = [sys.executable, "-c", python_blocks()[0]]
    printed = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    assert len(printed.split()) == 6
    for number in printed.split():
        assert f"| {number} |" in PAGE.read_text("utf-8"), number
