"""Running a method of compression in a process of its own."""

import os
import pathlib
import subprocess
import sys

from bridge_tf.export.compression import folder as files
from bridge_tf.utils.errors import InputError, TrainingError
from bridge_tf.utils.terminal import logger


def run_method(folder: pathlib.Path) -> None:
    """Compresses what `plan.write_plan` wrote to a folder; what came out is there then.

    Raises:
        InputError: the ensemble can't be rebuilt of `tf_keras` layers.
        TrainingError: the process failed otherwise; its messages are on standard error.
    """
    command = [sys.executable, "-m", "bridge_tf.export.compression.worker", str(folder)]
    environment = {
        **os.environ,
        "TF_USE_LEGACY_KERAS": "1",  # so that the library finds tf_keras, which it sets itself
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # The package's own parent, where it isn't installed.
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    # Its standard output has lines of progress; results are in files.
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout:
                logger.info(line.rstrip())
        except BaseException:
            process.kill()
            raise
    error = folder / files.ERROR
    if error.exists():
        raise InputError(error.read_text(encoding="utf-8"))
    if process.returncode:
        raise TrainingError(
            f"compress: the process that compresses has failed (status {process.returncode})"
        )
