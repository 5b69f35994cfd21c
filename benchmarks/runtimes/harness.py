"""Runs the lines of one runtime in its own environment, which has NumPy and the runtime alone.

    python harness.py LINES.json FOLDER RESULT.json

LINES has "load" and "call", as in table.py; FOLDER is that of make.py.
"""

import importlib.metadata
import json
import os
import re
import statistics
import sys
import time

import numpy as np

# Seconds of a round's calls of one model, measured rounds, and rounds before these.
_SECONDS, ROUNDS, WARM_UP = 0.05, 100, 3


def renamed(lines: str, name: str) -> str:
    """The lines with another model's files in place of the ensemble's."""
    return re.sub(r'"model(?=[./"])', f'"{name}', lines)


def of_base(lines: str) -> str:
    """The lines with the base's files in place of the ensemble's."""
    return renamed(lines, "base")


def scores(found: np.ndarray, wanted: np.ndarray) -> dict:
    """The largest difference of a probability, and the share of equal top classes."""
    return {
        "max_difference": float(np.max(np.abs(found - wanted))),
        "agreement": float(np.mean(found.argmax(axis=1) == wanted.argmax(axis=1))),
        "images": len(wanted),
    }


def ratio_of(times: list[list[float]]) -> dict:
    """Of rounds of (ensemble, base) in ms a call, the medians and the median of their ratios."""
    ensemble, base = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(a / b for a, b in times)
    return {"ms": ensemble, "base_ms": base, "ratio": ratio, "rounds": len(times)}


def _opened(lines: dict, change):
    """A function from an image, 1×H×W×C, to its probabilities, 1×classes."""
    scope: dict = {"np": np}
    exec(change(lines["load"]), scope)
    code = compile(change(lines["call"]), "call", "exec")

    def call(image: np.ndarray) -> np.ndarray:
        scope["image"] = image
        exec(code, scope)
        return np.asarray(scope["probabilities"])

    return call


def _rounds(calls: list, image: np.ndarray) -> list[list[float]]:
    """The ms of a call of both models, round by round; they are called in turn.

    Time of the processor, since other programs may use it meanwhile.
    """
    start = time.process_time()
    calls[0](image)
    count = max(1, int(_SECONDS / max(1e-4, time.process_time() - start)))

    def timed(call) -> float:
        start = time.process_time()
        for _ in range(count):
            call(image)
        return 1e3 * (time.process_time() - start) / count

    found = []
    for number in range(WARM_UP + ROUNDS):
        order = calls if number % 2 else calls[::-1]
        times = [timed(call) for call in order]
        found.append(times if number % 2 else times[::-1])
    return found[WARM_UP:]


def main(lines_path: str, folder: str, result: str) -> None:
    # One core: the threads of two models would wait for each other.
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    with open(lines_path, encoding="utf-8") as file:
        lines = json.load(file)
    os.chdir(folder)
    with np.load("images.npz") as given:
        images, wanted = given["images"].astype("float32"), given["probabilities"]
    call = _opened(lines, str)
    found = np.concatenate([call(images[k : k + 1]) for k in range(len(images))])
    base = _opened(lines, of_base)
    answer = {
        **scores(found, wanted),
        **ratio_of(_rounds([call, base], images[:1])),
        "versions": {name: importlib.metadata.version(name) for name in lines["versions"]},
    }
    with open(result, "w", encoding="utf-8") as file:
        json.dump(answer, file)
    sys.stdout.flush()
    os._exit(0)  # servers' threads and native libraries may not end


if __name__ == "__main__":
    main(*sys.argv[1:])
