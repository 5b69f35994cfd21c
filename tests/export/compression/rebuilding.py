"""Rebuilds the plans in the folders that are named, and prints the differences of their answers.

Run as a program, in a process of its own: `tf_keras` isn't for the one of the tests.
"""

import json
import pathlib
import sys

import numpy as np

from bridge_tf.export.compression import folder as files
from bridge_tf.export.compression.rebuild import check_equal, rebuild
from bridge_tf.utils.errors import InputError


def difference(folder: pathlib.Path) -> float | str:
    plan = json.loads((folder / files.PLAN).read_text())
    with np.load(folder / files.OUTPUTS) as stored:
        wanted = [stored[str(k)] for k in range(len(stored))]
    try:
        with np.load(folder / files.WEIGHTS) as stored:
            model = rebuild(plan, dict(stored))
        images = np.load(folder / files.IMAGES)
        return check_equal(model, images[: len(wanted[0])], wanted, 1e-5)
    except InputError as error:
        return str(error)


if __name__ == "__main__":
    print(json.dumps({name: difference(pathlib.Path(name)) for name in sys.argv[1:]}))
