"""Work directories that can't be written."""

import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.utils import locks
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.terminal import logger


@contextmanager
def writable(workdir: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A run's work directory, or for the block a writable one with the same files if it isn't.

    That one is a temporary folder of links to the files, since writing replaces whole files. A
    warning says that nothing is kept.

    Raises:
        InputError: it is no work directory, or can't be read.
    """
    files = WorkDir(workdir)
    files.check_readable()
    try:
        files.check_writable()
    except InputError:
        if not files.config.exists():
            raise
    else:
        yield pathlib.Path(workdir)
        return
    with tempfile.TemporaryDirectory(prefix="bridge_tf-") as folder:
        _link(files.path.absolute(), pathlib.Path(folder))
        logger.warning(f"`workdir`: {workdir} can't be written; what is measured isn't kept")
        yield pathlib.Path(folder)


def _link(source: pathlib.Path, target: pathlib.Path) -> None:
    """Makes the folders of `source` in `target`, and links to its files."""
    for parent, folders, files in os.walk(source):
        place = target / pathlib.Path(parent).relative_to(source)
        for name in folders:
            path = pathlib.Path(parent) / name
            if path.is_symlink():  # which the run refuses
                (place / name).symlink_to(path)
            else:
                (place / name).mkdir()
        for name in files:
            if name.startswith(locks.NAME):
                continue
            if place.is_relative_to(target / "logs"):  # the one kind that is appended to
                shutil.copyfile(pathlib.Path(parent) / name, place / name)
            else:
                (place / name).symlink_to(pathlib.Path(parent) / name)
