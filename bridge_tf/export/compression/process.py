"""Running a method of compression in a process of its own."""

import os
import pathlib
import subprocess
import sys

from bridge_tf.export.compression import folder as files
from bridge_tf.utils.errors import InputError, TrainingError
from bridge_tf.utils.terminal import logger


def run_method(folder: pathlib.Path) -> None:
    """Compresses the plan in a folder, from `write_plan`; the result is written to the folder.

    Raises:
        InputError: the ensemble can't be rebuilt from `tf_keras` layers.
        TrainingError: the process failed otherwise; its messages are on standard error.
    """
    command = [sys.executable, "-m", "bridge_tf.export.compression.worker", str(folder)]
    environment = {
        **os.environ,
        "TF_USE_LEGACY_KERAS": "1",  # as TensorFlow Model Optimization sets it itself
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # With the package's parent folder, in case it isn't installed.
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            # Standard input stays open as long as this process lives; its end ends the other.
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
