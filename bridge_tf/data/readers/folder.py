"""Images in folders, one folder for each class."""

import dataclasses
import math
import os
import pathlib

import numpy as np

from bridge_tf.data.dataset import Source, Split, moved_to_front
from bridge_tf.data.image_files import counted
from bridge_tf.data.image_io import BadImageError, read_image, resize
from bridge_tf.data.issues import digest, printable
from bridge_tf.data.readers.folder_layout import Layout, find_layout
from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.memory import check_memory
from bridge_tf.utils.terminal import logger

_LISTED = 10
_COPIES = 2  # of the memory that all images take: room to read and split them, and to train


@dataclasses.dataclass
class _Picture:
    """A decoded file, the one of this index; `digest` is that of the picture before resizing."""

    path: pathlib.Path
    split: str
    class_name: str
    index: int
    channels: int
    digest: tuple


def read_folder(
    path: str, image_size: int, skip_bad_images: int = 0, exif: str = "apply"
) -> Source:
    """Reads PATH/train/CLASS/… and, if they are there, PATH/validation/CLASS/… and PATH/test/….

    validation may be called val or valid; without a folder train, PATH/CLASS/… are the training
    images. A class's images are all PNG, JPEG, GIF, BMP and WEBP files in its folder and in those
    below it, see `image_files`. One warning counts the other files by reason.

    Classes are the sorted names of the folders in train. All images are resized bilinearly to one
    size: `image_size` squared, or for 0 the size of the first readable training image. They are
    grey if every image is grey, else RGB. Transparent pixels become black. `exif` is that of
    `read_image`.

    At most `skip_bad_images` bad images are left out: images that can't be decoded completely,
    images of a class that train lacks, and all copies of a picture in two classes.

    Raises:
        InputError: a folder is missing or empty, the images don't fit into memory, there are more
            bad images, or without them a class has no training image or another split no image.
    """
    given = f"`dataset=folder:{path}`"
    root = pathlib.Path(os.path.expanduser(path))
    # Unlike Path.is_dir, os.path.isdir accepts names that no file can have.
    if not os.path.isdir(root):
        raise InputError(f"{given}: no such folder")
    try:
        layout = find_layout(given, root)
    except OSError as error:
        raise InputError(
            f"{given}: {printable(str(error.filename))} can't be read "
            f"({error.strerror or reason(error)}); make it readable or remove it"
        ) from error
    pictures, images, bad = _read(given, layout, image_size, exif)
    bad |= _contradictory(pictures)
    pictures = [picture for picture in pictures if picture.path not in bad]
    names = tuple(layout.files["train"])
    lost = sorted(set(names) - {p.class_name for p in pictures if p.split == "train"})
    if len(bad) > skip_bad_images:
        leave = "" if lost else f", or leave them out by `skip_bad_images={len(bad)}`"
        raise InputError(
            f"{given}: {_listing(layout, bad, skip_bad_images)}; mend or remove them{leave}"
        )
    if lost:
        raise InputError(
            f"{layout.folders['train'] / lost[0]}: without its bad images (`skip_bad_images="
            f"{skip_bad_images}`) the class has none; mend some or remove the folder"
        )
    channels = max(picture.channels for picture in pictures)
    if channels < images.shape[3]:  # coloured ones were left out
        images = images[..., :channels].copy()
    parts: dict[str, list[_Picture]] = {split: [] for split in layout.files}
    for picture in pictures:
        parts[picture.split].append(picture)
    for split, part in parts.items():
        if not part:
            raise InputError(
                f"{layout.folders[split]}: without its bad images (`skip_bad_images="
                f"{skip_bad_images}`) it holds none; mend some, or remove the folder to hold out "
                "a share of train"
            )
    _warn_of_left_out(given, root, layout, bad)
    splits = {split: _gather(part, names, images) for split, part in parts.items()}
    return Source(
        os.path.basename(os.path.abspath(root)),
        names,
        splits["train"],
        splits.get("test"),
        tuple(_shown(file.relative_to(root)) for file in layout.all_files() if file in bad),
        splits.get("validation"),
    )


def _warn_of_left_out(given: str, root: pathlib.Path, layout: Layout, bad) -> None:
    """Counts the files that are no part of the data set, by reason, in one warning."""
    left_out = layout.others | dict.fromkeys(bad, "bad by `skip_bad_images`")
    unused = f"folders beside train: {', '.join(layout.unused)}" if layout.unused else ""
    if left_out:
        total = sum(1 for _ in layout.all_files()) + len(layout.others)
        unused = unused and f"; {unused}"
        logger.warning(
            f"{given}: {len(left_out):,} of {total:,} files left out: "
            f"{counted(left_out, root)}{unused}"
        )
    elif unused:
        logger.warning(f"{given}: left out: {unused}")


def _read(
    given: str, layout: Layout, image_size: int, exif: str
) -> tuple[list[_Picture], np.ndarray | None, dict[pathlib.Path, str]]:
    """All pictures of known classes, their resized images, and the reason for each file without."""
    total = sum(1 for _ in layout.all_files())
    size = (image_size, image_size) if image_size else None
    pictures, images, bad = [], None, {}
    for split, classes in layout.files.items():
        for name, group in classes.items():
            if name not in layout.files["train"]:
                bad |= dict.fromkeys(group, f"train has no class {printable(name)}")
                continue
            for file in group:
                try:
                    pixels = read_image(file, exif=exif)
                except BadImageError as error:
                    bad[file] = error.why
                    continue
                if images is None:
                    size = size or pixels.shape[:2]
                    what = f"its {total:,} images of {size[0]}×{size[1]} pixels"
                    needed = _COPIES * total * math.prod((*size, pixels.shape[2]))
                    check_memory(given, what, needed, "use a smaller `image_size` or fewer images")
                    images = np.empty((total, *size, pixels.shape[2]), "uint8")
                elif pixels.shape[2] > images.shape[3]:  # the first colours among grey
                    images = np.repeat(images, pixels.shape[2], axis=3)
                # As RGB: a grey picture gets the same digest from a grey and from an RGB file.
                rgb = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
                key = (rgb.shape, digest(rgb))
                images[len(pictures)] = resize(pixels, size)  # grey among colours is broadcast
                pictures.append(_Picture(file, split, name, len(pictures), pixels.shape[2], key))
    return pictures, images, bad


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


def _listing(layout: Layout, bad: dict[pathlib.Path, str], allowed: int) -> str:
    """The number of bad images, and the first of them with their reasons."""
    ordered = [file for file in layout.all_files() if file in bad]
    listed = ", ".join(f"{_shown(file)} ({bad[file]})" for file in ordered[:_LISTED])
    more = f", and {len(bad) - _LISTED:,} more" if len(bad) > _LISTED else ""
    beyond = f", more than `skip_bad_images={allowed}`" if allowed else ""
    total = sum(1 for _ in layout.all_files())
    return f"bad images, {len(bad):,} of {total:,}{beyond}: {listed}{more}"


def _shown(file: pathlib.Path) -> str:
    return printable(file.as_posix())


def _gather(pictures: list[_Picture], names: tuple[str, ...], images: np.ndarray) -> Split:
    """The pictures of a split, which were read class by class, in the memory of all `images`."""
    labels = np.array([names.index(picture.class_name) for picture in pictures], "int32")
    places = np.array([picture.index for picture in pictures])
    return Split(moved_to_front(images[places[0] :], places - places[0]), labels)
