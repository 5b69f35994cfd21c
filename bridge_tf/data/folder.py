"""Images in folders, one a class."""

import os
import pathlib

import numpy as np

from bridge_tf.data.types import Source, Split
from bridge_tf.errors import InputError
from bridge_tf.images import is_grey, read_image

SUFFIXES = (".png", ".jpg", ".jpeg")


def read_folder(path: str, image_size: int) -> Source:
    """Reads PATH/train/CLASS/*.png|jpg and, if there, PATH/test/CLASS/….

    Classes are the sorted names of the folders in train. All images get one size: `image_size`
    squared or, for 0, that of the first training image; others are resized bilinearly. They
    become grey if every one of them is, else RGB; transparent pixels are laid on black.

    Raises:
        InputError: a folder is missing or empty, or an image can't be decoded.
    """
    root = pathlib.Path(path)
    if not root.is_dir():
        raise InputError(f"--dataset=folder:{path}: no such folder")
    if not (root / "train").is_dir():
        raise InputError(
            f"--dataset=folder:{path}: has no folder train; it must hold train/CLASS/*.png|jpg"
        )
    train = _class_files(root / "train")
    test = _class_files(root / "test") if (root / "test").is_dir() else {}
    unknown = sorted(set(test) - set(train))
    if unknown:
        raise InputError(
            f"{root / 'test' / unknown[0]}: a class that train doesn't have; it has "
            f"{', '.join(train)}"
        )
    paths = [file for split in (train, test) for files in split.values() for file in files]
    channels = 1 if all(is_grey(file) for file in paths) else 3
    size = (image_size, image_size)
    if not image_size:
        size = read_image(paths[0], channels=channels).shape[:2]
    names = tuple(train)
    return Source(
        os.path.basename(os.path.abspath(root)),
        names,
        _decode(train, names, size, channels),
        _decode(test, names, size, channels) if test else None,
    )


def _class_files(folder: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    classes = {
        entry.name: sorted(f for f in entry.iterdir() if f.suffix.lower() in SUFFIXES)
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and not entry.name.startswith(".")
    }
    if not classes:
        raise InputError(f"{folder}: holds no class folders; it must hold CLASS/*.png|jpg")
    for name, files in classes.items():
        if not files:
            raise InputError(
                f"{folder / name}: holds no images; each class folder needs *.png or *.jpg"
            )
    return classes


def _decode(files, names, size, channels) -> Split:
    labels = [k for k, name in enumerate(names) for _ in files.get(name, ())]
    images = np.empty((len(labels), *size, channels), "uint8")
    ordered = [file for name in names for file in files.get(name, ())]
    for k, file in enumerate(ordered):
        images[k] = read_image(file, size=size, channels=channels)
    return Split(images, np.array(labels, "int32"))
