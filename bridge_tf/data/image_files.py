"""Image files in folders."""

import pathlib
from collections.abc import Iterator, Mapping

from bridge_tf.data.image_io import has_image_content
from bridge_tf.data.issues import printable

# Endings of image files, in any case. Files of other endings are images by their content.
SUFFIXES = (".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".webp")
PATTERNS = "*.png, *.jpg, *.gif, *.bmp or *.webp"
HIDDEN = "hidden"
OTHER_KIND = "not PNG, JPEG, GIF, BMP or WEBP"


def image_files(folder: pathlib.Path) -> tuple[list[pathlib.Path], dict[pathlib.Path, str]]:
    """The image files in a folder and in those below it, sorted, and why each other file is none.

    A file is taken for an image if it has the ending of one or begins as one does. Files and
    folders whose names begin with a dot are left out. Links to folders are followed, but not to a
    folder that contains them.

    Raises:
        OSError: a folder or a file of unknown ending can't be read.
    """
    images, others = [], {}
    for path, hidden in _files(folder, (folder.resolve(),)):
        if hidden:
            others[path] = HIDDEN
        elif path.suffix.lower() in SUFFIXES or (path.is_file() and has_image_content(path)):
            images.append(path)
        else:
            others[path] = OTHER_KIND
    return sorted(images), others


def counted(left_out: Mapping[pathlib.Path, str], root: pathlib.Path) -> str:
    """Files by reason: "2 hidden (train/a/.x, …), 1 in no class folder (train/x.png)"."""
    groups: dict[str, list[pathlib.Path]] = {}
    for path, why in left_out.items():
        groups.setdefault(why, []).append(path)
    return ", ".join(
        f"{len(paths):,} {why} ({printable(min(paths).relative_to(root).as_posix())}"
        f"{', …' if len(paths) > 1 else ''})"
        for why, paths in sorted(groups.items())
    )


def _files(
    folder: pathlib.Path, above: tuple[pathlib.Path, ...], hidden: bool = False
) -> Iterator[tuple[pathlib.Path, bool]]:
    """All files below a folder, and whether they or a folder on the way to them are hidden."""
    for entry in folder.iterdir():
        is_hidden = hidden or entry.name.startswith(".")
        # A folder that is named like an image is a bad image.
        if not entry.is_dir() or entry.suffix.lower() in SUFFIXES:
            yield entry, is_hidden
        elif (target := entry.resolve()) not in above:
            yield from _files(entry, (*above, target), is_hidden)
