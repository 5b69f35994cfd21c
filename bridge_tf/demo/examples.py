"""The example pictures of the demo's page."""

import dataclasses
import itertools
import pathlib
from collections import defaultdict
from collections.abc import Sequence

from bridge_tf.data.image_files import image_files
from bridge_tf.data.image_io import KINDS, BadImageError, read_image, to_png
from bridge_tf.utils.errors import InputError

COUNT = 40


@dataclasses.dataclass(frozen=True)
class Example:
    """A PNG file of the model's size, and its true class, empty if unknown."""

    png: bytes
    label: str


def examples_of_split(split, class_names: Sequence[str], count: int = COUNT) -> list[Example]:
    """Pictures of a `bridge_tf.Split`, evenly over its classes."""
    chosen = _evenly([int(label) for label in split.labels], count)
    return [Example(to_png(split.images[k]), class_names[split.labels[k]]) for k in chosen]


def examples_of_folder(
    folder: pathlib.Path, image_shape: tuple[int, int, int], count: int = COUNT
) -> list[Example]:
    """Pictures of a folder, evenly over its subfolders, whose names are the classes.

    Which files are pictures is as in training, see `image_files`, folders in subfolders included.
    They are turned upright as their EXIF data says.

    Raises:
        InputError: there are none, or one can't be read.
    """
    if not folder.is_dir():
        raise InputError(f"`images`: {folder} is no folder; name one of {KINDS} pictures")
    try:
        paths = [path for path in image_files(folder)[0] if not path.is_dir()]
    except OSError as error:
        raise InputError(
            f"`images`: {error.filename} can't be read ({error.strerror}); make it readable"
        ) from error
    if not paths:
        raise InputError(f"`images`: no {KINDS} picture in {folder} or its subfolders")
    height, width, channels = image_shape
    classes = [path.relative_to(folder).parts[:-1][:1] for path in paths]
    found = []
    for k in _evenly(classes, count):
        try:
            pixels = read_image(paths[k], channels=channels, size=(height, width))
        except BadImageError as error:
            raise InputError(f"`images`: {error}") from error
        found.append(Example(to_png(pixels), "".join(classes[k])))
    return found


def _evenly(classes: list, count: int) -> list[int]:
    """Indices of `count` items, evenly over the classes, in the order of the classes."""
    members = defaultdict(list)
    for index, name in enumerate(classes):
        members[name].append(index)
    # The first of each class, then the second of each, and so on.
    turns = itertools.zip_longest(*(members[name] for name in sorted(members)))
    chosen = [index for index in itertools.chain(*turns) if index is not None][:count]
    return sorted(chosen, key=lambda index: (classes[index], index))
