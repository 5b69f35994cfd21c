"""Made-up images in the places and forms of the paper's data sets."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "paper_recipes.md"
_SIZES = {"cifar10": ("3.0.2", 10), "cifar100": ("3.0.2", 100), "imagenet2012": ("5.1.0", 1000)}


def python_blocks() -> list[str]:
    """The programs of the page: one counts costs, one sorts Tiny ImageNet."""
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)


def prepare(recipe: str, folder: pathlib.Path) -> list[str]:
    """Writes images for a recipe, of four classes, 60 of each for training and 2 for testing.

    Returns:
        The flags that name them.
    """
    if recipe == "tiny_imagenet":
        _write_tiny_imagenet(folder / "tiny-imagenet-200")
        (_, script) = python_blocks()
        arguments = [str(folder / "tiny-imagenet-200"), str(folder / "sorted")]
        subprocess.run([sys.executable, "-c", script, *arguments], check=True)
        return [f"--dataset=folder:{folder / 'sorted'}"]
    _write_tfds("imagenet2012" if recipe == "imagenet" else recipe, folder)
    return [f"--data_dir={folder}"]


def _write_tfds(name: str, folder: pathlib.Path) -> None:
    version, classes = _SIZES[name]
    fixed = name != "imagenet2012"
    shape = (32, 32, 3) if fixed else (None, None, 3)
    extra = {"coarse_label": tf.int64} if name == "cifar100" else {}
    encoding = "png" if fixed else "jpeg"
    features = {
        "id" if fixed else "file_name": tfds.features.Text(),
        "image": tfds.features.Image(shape=shape, encoding_format=encoding),
        "label": tfds.features.ClassLabel(num_classes=classes),
        **{key: tfds.features.ClassLabel(num_classes=20) for key in extra},
    }
    generator = np.random.default_rng(0)

    def split(each: int):
        def examples():
            for k in range(4 * each):
                size = (32, 32) if fixed else generator.integers(40, 90, 2)
                yield {
                    "id" if fixed else "file_name": f"{k}",
                    "image": generator.integers(0, 256, (*size, 3), "uint8"),
                    "label": k // each,
                    **dict.fromkeys(extra, 0),
                }

        signature = {
            "id" if fixed else "file_name": tf.TensorSpec([], tf.string),
            "image": tf.TensorSpec(shape, tf.uint8),
            "label": tf.TensorSpec([], tf.int64),
            **{key: tf.TensorSpec([], kind) for key, kind in extra.items()},
        }
        return tf.data.Dataset.from_generator(examples, output_signature=signature)

    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version=version,
        data_dir=folder,
        features=tfds.features.FeaturesDict(features),
        split_datasets={"train": split(60), "test" if fixed else "validation": split(2)},
        disable_shuffling=True,
    )


def _write_tiny_imagenet(folder: pathlib.Path) -> None:
    """As the archive tiny-imagenet-200.zip holds them."""
    generator = np.random.default_rng(0)

    def write(path: pathlib.Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (64, 64, 3), "uint8")).save(path)

    lines = []
    for k, name in enumerate(("n01443537", "n01629819", "n01641577", "n01644900")):
        for n in range(60):
            write(folder / "train" / name / "images" / f"{name}_{n}.JPEG")
        (folder / "train" / name / f"{name}_boxes.txt").write_text("")
        for n in range(2):
            write(folder / "val" / "images" / f"val_{2 * k + n}.JPEG")
            lines.append(f"val_{2 * k + n}.JPEG\t{name}\t0\t32\t44\t62")
    (folder / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
