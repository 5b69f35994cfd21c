"""Times manifest.json with as many entries as a run of 64 modes of Type II has, for docs/scale.md.

python docs/results/scale/manifest_time.py
"""

import json
import pathlib
import tempfile
import time

from bridge_tf.config import Config
from bridge_tf.runs.manifest import Manifest
from bridge_tf.runs.run_files import RunFiles
from bridge_tf.runs.task_graph import TaskGraph


def main() -> None:
    for modes, bridge_type in ((5, 1), (64, 1), (64, 2)):
        graph = TaskGraph(Config(num_modes=modes, bridge_type=bridge_type))
        with tempfile.TemporaryDirectory() as folder:
            row = measure(graph, pathlib.Path(folder))
        print(json.dumps({"modes": modes, "bridge_type": bridge_type, **row}))


def measure(graph: TaskGraph, folder: pathlib.Path) -> dict:
    files = RunFiles(folder)
    tasks = [task for task in graph.tasks.values() if task.file(files)]
    names = {task.name: str(task.file(files).relative_to(folder)) for task in tasks}
    manifest, digest = Manifest(folder), 64 * "0"
    content = {
        names[task.name]: {
            "sha256": digest,
            "made_from": {names[name]: digest for name in task.after},
        }
        for task in tasks
    }
    manifest._write({"files": content})
    path = files.mode(0)
    path.parent.mkdir()
    path.write_bytes(b"0")
    adding = min(_seconds(lambda: manifest.add(path, path)) for _ in range(5))
    reading = min(_seconds(lambda: manifest.entry(path)) for _ in range(5))
    size = manifest.path.stat().st_size
    row = {"entries": len(tasks), "bytes": size, "entry_ms": reading, "add_ms": adding}
    return {name: round(value, 2) for name, value in row.items()}


def _seconds(call) -> float:
    began = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    main()
