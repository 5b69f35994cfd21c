"""figures/resamples.npz: what reports of several runs need of the evaluation of one."""

import json
import pathlib
from collections.abc import Sequence

import numpy as np

from bridge_tf.evaluation.bootstrap import interval
from bridge_tf.evaluation.pooling import Resampled
from bridge_tf.runs.run_files import RunFiles
from bridge_tf.utils.archives import TIMES_OF_ARRAYS, check_archive
from bridge_tf.utils.errors import InputError, reason

_AGAIN = "evaluate the run again"
_FIGURES = ("accuracy", "calibrated_nll")


def write_resampled(files, resampled: Resampled, sources: Sequence[pathlib.Path]) -> None:
    """Writes it.

    It holds "about" (JSON, as bytes), with the rows' "names" and the digest of the "data";
    "accuracy" and "calibrated_nll" of each in each
    resample of images, rows×resamples; "held_out", their NLL of each validation image, rows×N; and
    "yardstick", sizes×resamples. All are of float64: 16 kB a row, and 8 bytes an image.

    Args:
        files: the run's `WorkDir`.
        sources: the files that were measured.
    """
    names = list(resampled.figures)
    arrays = {key: np.array([resampled.figures[name][key] for name in names]) for key in _FIGURES}
    arrays["held_out"] = np.array([resampled.held_out[name] for name in names])
    arrays["yardstick"] = resampled.yardstick
    about = {"names": names, "data": resampled.data}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), "uint8")
    with files.writing(files.resamples, sources) as partial, open(partial, "wb") as file:
        np.savez(file, **arrays)


def read_resampled(files: RunFiles, report: dict) -> Resampled:
    """Reads it.

    Args:
        report: the run's report.json.

    Raises:
        InputError: it isn't such a file, or of another evaluation than the report.
    """
    path = files.resamples
    check_archive(str(path), path, _AGAIN, TIMES_OF_ARRAYS)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        about = json.loads(arrays["about"].tobytes())
        names = about["names"]
        found = Resampled(
            {name: {key: arrays[key][k] for key in _FIGURES} for k, name in enumerate(names)},
            dict(zip(names, arrays["held_out"], strict=True)),
            arrays["yardstick"],
            about["data"],
        )
        _check(found, report)
    except Exception as error:  # damaged files raise many kinds of errors
        raise InputError(
            f"{path} can't be read as the resamples of a report ({reason(error)}); {_AGAIN}"
        ) from error
    return found


def _check(found: Resampled, report: dict) -> None:
    images = report["dataset"]["num_validation"]
    if any(values.shape != (images,) for values in found.held_out.values()):
        raise ValueError(f"its rows aren't of {images} validation images")
    sizes, resamples = found.yardstick.shape
    if sizes != len(report.get("yardstick", ())):
        raise ValueError("its yardstick isn't the report's")
    if any(x.shape != (resamples,) for row in found.figures.values() for x in row.values()):
        raise ValueError(f"its rows aren't of {resamples} resamples")
    known = {row["name"]: row["intervals"] for row in report["ensembles"] if "intervals" in row}
    if set(known) != set(found.figures):
        raise ValueError("its rows aren't the report's")
    for name, ends in known.items():
        if interval(found.figures[name]["calibrated_nll"]) != ends["calibrated_nll"]:
            raise ValueError(f"its row {name} isn't the report's")
