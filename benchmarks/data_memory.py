"""Peak memory of a training by the size of its data set: copies of the images that it holds.

    python benchmarks/data_memory.py [FOLDER]

Trains two modes of ResNet-8, a quarter as wide, for an epoch each on random 32×32 images: on 12 MB
and on 209 MB of them. Prints one JSON object for each, and one with the difference. FOLDER takes
the data and the runs; default: a temporary folder.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

SIZES = (4_000, 68_000)
_TEST = 500
_FLAGS = """--stages=modes --num_modes=2 --mode_epochs=1 --warmup_epochs=0 --model=resnet8
    --norm=batch --width=0.25 --batch_size=256 --learning_rate=0.01 --validation_fraction=0.1"""


def measure(folder: pathlib.Path, images: int) -> dict:
    """Trains on `images` images; gives their bytes and the process's largest resident memory."""
    generator = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", images - _TEST), ("test", _TEST)):
        arrays[f"x_{part}"] = generator.integers(0, 256, (count, 32, 32, 3), "uint8")
        arrays[f"y_{part}"] = np.arange(count) % 10
    path = folder / f"{images}.npz"
    np.savez(path, **arrays)
    command = [sys.executable, "-m", "bridge_tf", "train", f"--dataset=npz:{path}"]
    command += [f"--workdir={folder / str(images)}", *_FLAGS.split()]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    bytes_of_images = sum(arrays[f"x_{part}"].nbytes for part in ("train", "test"))
    return {"images_mb": bytes_of_images / 1e6, "peak_mb": usage.ru_maxrss * 1024 / 1e6}


def main(folder: str) -> None:
    rows = [measure(pathlib.Path(folder), images) for images in SIZES]
    for row in rows:
        print(json.dumps({name: round(value, 1) for name, value in row.items()}))
    more = {name: rows[1][name] - rows[0][name] for name in rows[0]}
    copies = more["peak_mb"] / more["images_mb"]
    print(json.dumps({"more_peak_mb": round(more["peak_mb"], 1), "copies": round(copies, 2)}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as place:
            main(place)
