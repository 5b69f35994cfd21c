"""Latency of a forward pass of exported files, from NumPy arrays to NumPy arrays.

Calls of each file alternate with calls of the same base, so that other work on the machine slows
both.
"""

import multiprocessing
import pathlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.signals import end_with
from bridge_tf.utils.terminal import logger, quiet_stderr

# Calls in a round, measured rounds, and warm-up rounds.
CALLS, ROUNDS, WARM_UP = 5, 100, 10
_WANTED = "name exported .tflite files, or folders with a saved_model.pb"


def check_files(files: Sequence[str]) -> list[pathlib.Path]:
    """Paths of .tflite files and of SavedModel folders of one version.

    Raises:
        InputError: a file doesn't exist or is of another kind.
    """
    paths = [pathlib.Path(path) for path in files]
    for path in paths:
        if not path.exists():
            raise InputError(f"`files`: {path} doesn't exist; {_WANTED}")
        whole = (path / "saved_model.pb").exists() if path.is_dir() else path.suffix == ".tflite"
        if not whole:
            raise InputError(f"`files`: {path} is of no known kind; {_WANTED}")
    return paths


def latencies(
    files: Sequence[pathlib.Path], threads: Sequence[int], batch_size: int = 1, rounds: int = ROUNDS
) -> Iterator[dict]:
    """Times the signatures base and serving_default of exported files.

    Each number of threads has its own process, because TensorFlow can set it only once.

    Args:
        files: from `check_files`. All are compared with the base of the first file.
        threads: numbers of threads of an operation.
        batch_size: number of random images in a call.
        rounds: number of rounds of five calls, after ten warm-up rounds.

    Yields:
        One dict for each file, signature and number of threads; times in ms.

    Raises:
        InputError: a file is damaged or lacks a signature; raised before the first result.
    """
    for count in threads:
        logger.info(f"latency: {count} thread{'s' if count > 1 else ''}, in a process of its own")
        with worker() as pool:
            yield from pool.submit(_latencies, files, count, batch_size, rounds).result()


def worker() -> ProcessPoolExecutor:
    """One process, which ends with this one."""
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, spawn, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Ends this process with its parent, even if that is killed."""
    end_with(multiprocessing.parent_process().sentinel)


def _latencies(
    paths: Sequence[pathlib.Path], threads: int, batch_size: int, rounds: int
) -> list[dict]:
    if any(path.is_dir() for path in paths):
        with quiet_stderr():
            import tensorflow as tf
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    # Load all files first, so that an invalid one is found before the first result.
    calls = {
        (path, name): _call(path, name, threads, batch_size)
        for path in paths
        for name in ("base", "serving_default")
    }
    base = _call(paths[0], "base", threads, batch_size)
    return [
        {
            "what": "latency of a forward pass",
            "file": str(path),
            "signature": signature,
            "threads": threads,
            "batch_size": batch_size,
            **_compared(call, base, rounds),
            "ratio_to": f"base of {paths[0]}",
            "rounds": rounds,
            "calls": CALLS,
        }
        for (path, signature), call in calls.items()
    ]


def _compared(call: Callable, base: Callable, rounds: int) -> dict:
    timed = in_turn(lambda: _round(call), lambda: _round(base), WARM_UP + rounds)[WARM_UP:]
    milliseconds = 1e3 * np.concatenate([of_call for of_call, _ in timed])
    return {
        "median_ms": round(float(np.median(milliseconds)), 4),
        "p95_ms": round(float(np.percentile(milliseconds, 95)), 4),
        "ratio": round(statistics.median(sum(a) / sum(b) for a, b in timed), 3),
    }


def in_turn(first: Callable, second: Callable, rounds: int) -> list[tuple]:
    """Results of two functions, called in turn; their order alternates between rounds."""
    results = []
    for k in range(rounds):
        order = (first, second) if k % 2 else (second, first)
        found = {run: run() for run in order}
        results.append((found[first], found[second]))
    return results


def seconds(run: Callable) -> float:
    """The duration of a call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def litert_runner(path: pathlib.Path, signature: str, threads: int | None = 1) -> Callable:
    """A function from images to the named outputs of a .tflite file's signature."""
    run, name, _, dtype = _litert(path, signature, threads)
    return lambda images: run(**{name: images.astype(dtype, copy=False)})


def latency_ratio(path: pathlib.Path, base: pathlib.Path, image: np.ndarray) -> float:
    """The latency of a .tflite file relative to the base alone, on one thread for an image H×W×C.

    serving_default of `path` is timed, and the signature base of `base`, the float32 file.
    """
    return ratio_of(litert_runner(path, "serving_default"), litert_runner(base, "base"), image)


def ratio_of(first: Callable, second: Callable, image: np.ndarray) -> float:
    """The latency of a function of images N×H×W×C relative to another, for an image H×W×C."""
    calls = (lambda run=run: sum(_round(lambda: run(image[None]))) for run in (first, second))
    timed = in_turn(*calls, 10)
    return statistics.median(a / b for a, b in timed[1:])  # the first warms up


def _round(call: Callable) -> list[float]:
    return [seconds(call) for _ in range(CALLS)]


def _call(path: pathlib.Path, signature: str, threads: int, batch_size: int) -> Callable:
    """A forward pass of a signature on random images."""
    load = _saved_model if path.is_dir() else _litert
    try:
        run, name, shape, dtype = load(path, signature, threads)
        images = _images(path, shape, batch_size).astype(dtype)
        with quiet_stderr():  # the first call may log
            run(**{name: images})
    except InputError:
        raise
    except Exception as error:  # damaged files raise many kinds of errors
        raise InputError(f"`files`: {path} can't be run ({reason(error)}); {_WANTED}") from error
    return lambda: run(**{name: images})


def _images(path: pathlib.Path, shape: tuple[int, ...], batch_size: int) -> np.ndarray:
    """Random pixels 0…255 for an input of this shape (-1: any size)."""
    if len(shape) != 4 or min(shape[1:]) < 1:
        raise InputError(
            f"`files`: {path} takes no images of one size, but {list(shape)}; name another"
        )
    if shape[0] not in (-1, batch_size):
        raise InputError(f"`batch_size={batch_size}`: {path} takes batches of {shape[0]} alone")
    return np.random.default_rng(0).integers(0, 256, (batch_size, *shape[1:]))


def _litert(path: pathlib.Path, signature: str, threads: int | None) -> tuple:
    """A signature's function of named inputs; name, shape (-1: any) and type of its input."""
    from ai_edge_litert.interpreter import Interpreter

    with quiet_stderr():
        interpreter = Interpreter(str(path), num_threads=threads)
        _check_signature(path, signature, interpreter.get_signature_list())
        run = interpreter.get_signature_runner(signature)
    ((name, details),) = run.get_input_details().items()
    shape = tuple(int(n) for n in details["shape_signature"])
    return run, name, shape, details["dtype"]


def _saved_model(path: pathlib.Path, signature: str, _threads: int) -> tuple:
    """The same for a SavedModel; the threads are those of the process."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    _check_signature(path, signature, loaded.signatures)
    function = loaded.signatures[signature]
    ((name, spec),) = function.structured_input_signature[1].items()

    def run(**inputs):
        assert loaded is not None  # named here to keep its variables alive
        outputs = function(**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    shape = tuple(-1 if n is None else n for n in spec.shape)
    return run, name, shape, spec.dtype.as_numpy_dtype


def _check_signature(path: pathlib.Path, signature: str, there) -> None:
    if signature not in there:
        raise InputError(
            f"`files`: {path} has no signature {signature}, but {', '.join(there) or 'none'}; "
            f"{_WANTED}"
        )
