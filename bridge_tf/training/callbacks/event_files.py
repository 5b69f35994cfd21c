"""TensorBoard's event files: writing scalars, reading them, and taking some out again.

A file belongs to a training or to an evaluation, which the end of its name tells. Links are never
followed.
"""

import contextlib
import pathlib
from collections.abc import Mapping

from bridge_tf.utils.files import remove_partials, replacing

_EVENTS = "events.out.tfevents."
_EVALUATION = ".evaluation"


class ScalarWriter:
    """Writes scalars to a new event file, made with the first of them.

    Args:
        folder: of the run, in TensorBoard's sense.
        texts: descriptions by tag; not each needs one.
        evaluation: whether the file belongs to an evaluation.
    """

    def __init__(self, folder: pathlib.Path, texts: Mapping[str, str], evaluation: bool = False):
        self.folder, self.texts = folder, texts
        self._suffix = _EVALUATION if evaluation else ".training"
        self._writer = None

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Writes values by tag; the system has them when this returns."""
        import tensorflow as tf

        if self._writer is None:
            self._writer = tf.summary.create_file_writer(
                str(self.folder), filename_suffix=self._suffix
            )
        with self._writer.as_default():
            for tag, value in values.items():
                tf.summary.scalar(tag, value, step=step, description=self.texts.get(tag))
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def read_scalars(folder: pathlib.Path) -> list[tuple[float, str, int, float]]:
    """The scalars of the trainings' files in a folder: wall time in seconds, tag, step, value.

    A damaged file is read up to where it is damaged.
    """
    from tensorboard.backend.event_processing import event_accumulator
    from tensorboard.util import tensor_util

    found = []

    def take(events) -> None:
        for tag in events.PluginTagToContent("scalars"):
            for event in events.Tensors(tag):
                value = tensor_util.make_ndarray(event.tensor_proto).item()
                found.append((event.wall_time, tag, event.step, value))

    for path in _of_trainings(folder):
        with contextlib.suppress(Exception):  # unreadable files raise all sorts, empty ones too
            events = event_accumulator.EventAccumulator(
                str(path), event_accumulator.STORE_EVERYTHING_SIZE_GUIDANCE
            )
            try:
                events.Reload()
            finally:
                take(events)
    return found


def forget_after(folder: pathlib.Path, step: int) -> None:
    """Takes what comes after a step out of the trainings' files in a folder."""
    import tensorflow as tf
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    remove_partials(folder)
    for path in _of_trainings(folder):
        events = list(LegacyEventFileLoader(str(path)).Load())
        kept = [event for event in events if event.step <= step]
        if len(kept) < len(events):
            with replacing(path) as partial, tf.io.TFRecordWriter(str(partial)) as file:
                for event in kept:
                    file.write(event.SerializeToString())


def remove_evaluations(folder: pathlib.Path) -> None:
    """Removes the files of evaluations anywhere in a folder."""
    for path in folder.rglob(f"{_EVENTS}*{_EVALUATION}"):
        if path.is_file() and not path.is_symlink():
            path.unlink()


def inside(folder: pathlib.Path, pattern: str = "*") -> list[pathlib.Path]:
    """What matches in a folder, unless it or what matches is a link."""
    paths = [] if folder.is_symlink() else folder.glob(pattern)
    return sorted(path for path in paths if not path.is_symlink())


def _of_trainings(folder: pathlib.Path) -> list[pathlib.Path]:
    paths = [path for path in inside(folder, f"{_EVENTS}*") if path.is_file()]
    return [path for path in paths if not path.name.endswith(_EVALUATION)]
