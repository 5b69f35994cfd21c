"""The splits and classes of a folder of images."""

import dataclasses
import pathlib
from collections.abc import Iterator

from bridge_tf.config.inputs import SPLIT_FOLDERS
from bridge_tf.data.image_files import PATTERNS, image_files
from bridge_tf.data.issues import printable
from bridge_tf.utils.errors import InputError

# Names that no class has, if there is no folder train.
_OTHER_SPLITS = ("training", "testing", "dev", "eval")
_WANTED = "it must hold train/CLASS/*, or nothing but two or more folders CLASS/*"
_STRAY = "in no class folder"


@dataclasses.dataclass(frozen=True)
class Layout:
    """The files of a folder of images.

    Attributes:
        files: the images of each class of the splits train, validation and test, as far as the
            folder has them.
        folders: the folder of each split.
        others: why each other file is left out.
        unused: names of the folders beside those of the splits.
    """

    files: dict[str, dict[str, list[pathlib.Path]]]
    folders: dict[str, pathlib.Path]
    others: dict[pathlib.Path, str]
    unused: tuple[str, ...]

    def all_files(self) -> Iterator[pathlib.Path]:
        """The image files, split by split and class by class."""
        for classes in self.files.values():
            for group in classes.values():
                yield from group


def find_layout(given: str, root: pathlib.Path) -> Layout:
    """Finds the images in ROOT/train/CLASS and, if they are there, in validation and test.

    validation may be called val or valid. Without a folder train, all folders are classes of it.

    Raises:
        InputError: it begins with `given`. There are no classes, or one without images; a split
            has two folders; names of splits are among the classes.
        OSError: a folder can't be read.
    """
    inside = _folders(root)
    folders: dict[str, pathlib.Path] = {}
    for folder in inside:
        split = SPLIT_FOLDERS.get(folder.name.casefold())
        if split in folders:
            raise InputError(
                f"{given}: holds both {folders[split].name} and {folder.name}; it must hold one "
                f"folder for {split}"
            )
        if split:
            folders[split] = folder
    unused = tuple(printable(f.name) for f in inside if f not in folders.values())
    if "train" not in folders:
        _check_classes(given, root, inside)
        folders, unused = {"train": root}, ()
    files, others = {}, {}
    for split in ("train", "validation", "test"):
        if split in folders:
            files[split] = _class_files(given, folders[split], others)
    strays = (entry for folder in folders.values() for entry in folder.iterdir())
    others |= {entry: _STRAY for entry in strays if not entry.is_dir()}
    return Layout(files, folders, others, unused)


def _check_classes(given: str, root: pathlib.Path, folders: list[pathlib.Path]) -> None:
    """Raises an InputError unless the folders can be the classes of a training split."""
    splits = {*SPLIT_FOLDERS, *_OTHER_SPLITS}
    if odd := [folder.name for folder in folders if folder.name.casefold() in splits]:
        raise InputError(f"{given}: has no folder train, but {odd[0]}; {_WANTED}")
    if len(folders) < 2:
        found = ", ".join(printable(folder.name) for folder in folders) or "no other"
        raise InputError(f"{given}: has no folder train, and {found} alone; {_WANTED}")
    for folder in folders:
        if any(inner.name.casefold() == "train" for inner in _folders(folder)):
            raise InputError(
                f"{given}: has no folder train, but {printable(folder.name)} has; name "
                f"{printable(str(root / folder.name))}"
            )


def _class_files(
    given: str, folder: pathlib.Path, others: dict[pathlib.Path, str]
) -> dict[str, list[pathlib.Path]]:
    """The images of each class in a split's folder; adds the other files to `others`."""
    classes = {}
    for entry in _folders(folder):
        classes[entry.name], left = image_files(entry)
        if not classes[entry.name]:
            has = f"none of its {len(left):,} files is one" if left else "it is empty"
            raise InputError(
                f"{given}: {printable(str(entry))}: holds no images ({has}); each class folder "
                f"needs {PATTERNS}"
            )
        others |= left
    if not classes:
        raise InputError(f"{given}: {folder}: holds no class folders; it must hold CLASS/*")
    return classes


def _folders(folder: pathlib.Path) -> list[pathlib.Path]:
    """The folders in a folder, sorted, without hidden ones."""
    entries = sorted(folder.iterdir())
    return [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
