"""Data parallelism over several JAX processes, on one machine or several.

Each process is a whole run with its own work directory. It reads its own rows of each batch and
computes the same results. First, the processes compare everything that must be equal.
"""

import atexit
import functools
import json
import os
import sys
import zlib

import keras
import numpy as np

from bridge_tf.utils.errors import InputError, TrainingError, reason

# More than the number of epoch checkpoints in a folder.
_KEPT = 8


@functools.cache
def join(hosts: tuple[str, ...], process_id: int) -> None:
    """Waits for all processes; must come before any computation.

    `hosts` has one address HOST:PORT for each process; the first coordinates.

    Raises:
        InputError: the processes don't connect.
    """
    import jax

    # JAX would catch SIGTERM, and the run would not stop.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        keras.distribution.initialize(",".join(hosts), len(hosts), process_id)
    except Exception as error:  # many kinds of errors
        raise InputError(f"`hosts={','.join(hosts)}`: no meeting ({reason(error)})") from error


def agree(variables, *others) -> None:
    """Raises an InputError unless all processes have equal weights and `others` of equal `repr`."""
    digest = zlib.crc32(repr(others).encode())
    for variable in variables:
        digest = zlib.crc32(keras.ops.convert_to_numpy(variable).tobytes(), digest)
    if len(set(_gathered([digest])[:, 0].tolist())) > 1:
        raise InputError(
            "`hosts`: the processes are about to train different things; give all of them the same "
            "settings and the same data, and copy the files of the work directory that is furthest "
            "to the others"
        )


def common(checkpoints: list):
    """The newest `Checkpoint` that every process has; None if none has a finished step.

    Raises:
        InputError: some processes have checkpoints, but none is common to all.
    """
    known = {(checkpoint.step, _digest(checkpoint)): checkpoint for checkpoint in checkpoints}
    rows = [list(key) for key in sorted(known, reverse=True)[:_KEPT]]
    rows += [[0, 0]] * (_KEPT - len(rows))
    gathered = _gathered(rows)
    everywhere = set.intersection(*({tuple(row) for row in each.tolist()} for each in gathered))
    checkpoint = max((known[key] for key in everywhere & set(known)), key=_step, default=None)
    if checkpoint is None and gathered[..., 0].any():
        raise InputError(
            "`hosts`: the processes have no checkpoint in common; copy the folder checkpoints of "
            "the work directory that is furthest to the others, or remove it from all to begin anew"
        )
    return checkpoint


def gone(error: Exception) -> TrainingError | None:
    """The TrainingError for a JAX error that reports a lost process; None for other errors."""
    own = any(word in str(error) for word in ("RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"))
    if own or type(error).__name__ not in ("JaxRuntimeError", "XlaRuntimeError"):
        return None
    atexit.register(_leave)
    return TrainingError(
        f"another process of `hosts` has stopped, or can't be reached ({reason(error)}); run all "
        "of them again, which go on from the last epoch that all have kept"
    )


def _leave() -> None:
    """Exits with status 1 at once; JAX would wait for the lost process at exit, then abort."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(1)


def _step(checkpoint) -> int:
    return checkpoint.step


def _digest(checkpoint) -> int:
    notes = {key: value for key, value in checkpoint.notes.items() if key != "made_from"}
    digest = zlib.crc32(json.dumps(notes, sort_keys=True).encode())
    for name in sorted(checkpoint.arrays):
        digest = zlib.crc32(checkpoint.arrays[name].tobytes(), digest)
    return digest


def _gathered(values: list) -> np.ndarray:
    """The values of all processes, 32-bit integers, processes × …"""
    from jax.experimental import multihost_utils

    try:
        return multihost_utils.process_allgather(np.asarray(values, "uint32"))
    except Exception as error:
        found = gone(error)
        if found is None:
            raise
        raise found from error
