"""Images in folders, one folder for each class."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Iterable

import numpy as np

from bridge_tf.data.dataset import Source, Split
from bridge_tf.data.image_io import BadImageError, read_image, resize
from bridge_tf.data.issues import digest, printable
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.memory import check_memory

SUFFIXES = (".png", ".jpg", ".jpeg")
_LISTED = 10
_COPIES = 2  # of all images in memory, while they are gathered, split and batched


@dataclasses.dataclass
class _Picture:
    """A decoded, resized file; `digest` is that of the picture before resizing."""

    path: pathlib.Path
    split: str
    class_name: str
    pixels: np.ndarray
    digest: tuple


def read_folder(path: str, image_size: int, skip_bad_images: int = 0) -> Source:
    """Reads PATH/train/CLASS/*.png|jpg and, if it exists, PATH/test/CLASS/….

    Classes are the sorted names of the folders in train. All images are resized bilinearly to one
    size: `image_size` squared, or for 0 the size of the first readable training image. They are
    grey if every image is grey, else RGB. Transparent pixels become black.

    At most `skip_bad_images` bad images are left out: images that can't be decoded completely,
    images of a class that train lacks, and all copies of a picture in two classes.

    Raises:
        InputError: a folder is missing or empty, the images don't fit into memory, there are more
            bad images, or without them a class has no training image or test no image.
    """
    root = pathlib.Path(path)
    # Unlike Path.is_dir, os.path.isdir accepts names that no file can have.
    if not os.path.isdir(root):
        raise InputError(f"`dataset=folder:{path}`: no such folder")
    if not (root / "train").is_dir():
        raise InputError(
            f"`dataset=folder:{path}`: has no folder train; it must hold train/CLASS/*.png|jpg"
        )
    files = {"train": _class_files(root / "train")}
    if (root / "test").is_dir():
        files["test"] = _class_files(root / "test")
    pictures, bad = _read(f"`dataset=folder:{path}`", files, image_size)
    bad |= _contradictory(pictures)
    pictures = [picture for picture in pictures if picture.path not in bad]
    lost = sorted(set(files["train"]) - {p.class_name for p in pictures if p.split == "train"})
    if len(bad) > skip_bad_images:
        leave = "" if lost else f", or leave them out by `skip_bad_images={len(bad)}`"
        raise InputError(
            f"`dataset=folder:{path}`: {_listing(files, bad, skip_bad_images)}; mend or "
            f"remove them{leave}"
        )
    if lost:
        raise InputError(
            f"{root / 'train' / lost[0]}: without its bad images (`skip_bad_images="
            f"{skip_bad_images}`) the class has none; mend some or remove the folder"
        )
    names = tuple(files["train"])
    channels = max(picture.pixels.shape[2] for picture in pictures)
    test = [picture for picture in pictures if picture.split == "test"]
    if "test" in files and not test:
        raise InputError(
            f"{root / 'test'}: without its bad images (`skip_bad_images={skip_bad_images}`) it "
            "holds none; mend some, or remove the folder to hold out a fifth of train"
        )
    train = [picture for picture in pictures if picture.split == "train"]
    del pictures
    return Source(
        os.path.basename(os.path.abspath(root)),
        names,
        _gather(train, names, channels),
        _gather(test, names, channels) if test else None,
        tuple(_shown(file.relative_to(root)) for file in _all(files) if file in bad),
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


def _all(files: dict[str, dict[str, list[pathlib.Path]]]) -> Iterable[pathlib.Path]:
    return (file for classes in files.values() for group in classes.values() for file in group)


def _read(given: str, files, image_size: int) -> tuple[list[_Picture], dict[pathlib.Path, str]]:
    """All pictures of known classes, and the reason for each file without one."""
    total = sum(1 for _ in _all(files))
    size = (image_size, image_size) if image_size else None
    pictures, bad = [], {}
    for split, classes in files.items():
        for name, group in classes.items():
            if name not in files["train"]:
                bad |= dict.fromkeys(group, f"train has no class {printable(name)}")
                continue
            for file in group:
                try:
                    pixels = read_image(file)
                except BadImageError as error:
                    bad[file] = error.why
                    continue
                if not pictures:
                    size = size or pixels.shape[:2]
                    what = f"its {total:,} images of {size[0]}×{size[1]} pixels"
                    needed = _COPIES * total * math.prod((*size, pixels.shape[2]))
                    check_memory(given, what, needed, "use a smaller `image_size` or fewer images")
                # As RGB: a grey picture gets the same digest from a grey and from an RGB file.
                rgb = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
                key = (rgb.shape, digest(rgb))
                pictures.append(_Picture(file, split, name, resize(pixels, size), key))
    return pictures, bad


def _contradictory(pictures: list[_Picture]) -> dict[pathlib.Path, str]:
    """All copies of pictures in two or more classes, with the reason."""
    copies: dict[tuple, list[_Picture]] = {}
    for picture in pictures:
        copies.setdefault(picture.digest, []).append(picture)
    bad = {}
    for group in copies.values():
        first: dict[str, _Picture] = {}
        for picture in group:
            first.setdefault(picture.class_name, picture)
        if len(first) > 1:
            for picture in group:
                other = next(p for name, p in first.items() if name != picture.class_name)
                bad[picture.path] = f"the same picture as {_shown(other.path)}"
    return bad


def _listing(files, bad: dict[pathlib.Path, str], allowed: int) -> str:
    """The number of bad images, and the first of them with their reasons."""
    ordered = [file for file in _all(files) if file in bad]
    listed = ", ".join(f"{_shown(file)} ({bad[file]})" for file in ordered[:_LISTED])
    more = f", and {len(bad) - _LISTED:,} more" if len(bad) > _LISTED else ""
    beyond = f", more than `skip_bad_images={allowed}`" if allowed else ""
    total = sum(1 for _ in _all(files))
    return f"bad images, {len(bad):,} of {total:,}{beyond}: {listed}{more}"


def _shown(file: pathlib.Path) -> str:
    return printable(file.as_posix())


def _gather(pictures: list[_Picture], names: tuple[str, ...], channels: int) -> Split:
    """One array of all pictures, sorted by class; empties the list."""
    pictures.sort(key=lambda picture: names.index(picture.class_name))
    labels = np.array([names.index(picture.class_name) for picture in pictures], "int32")
    images = np.empty((len(pictures), *pictures[0].pixels.shape[:2], channels), "uint8")
    for k in reversed(range(len(pictures))):
        # Broadcasting turns grey into RGB. Copied pictures are freed, so that none is held twice.
        images[k] = pictures.pop().pixels
    return Split(images, labels)
