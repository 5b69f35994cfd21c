"""Measures what the tasks of small runs take, each in a process of its own, for docs/scale.md.

    python docs/results/scale/measure.py FOLDER DATA_DIR [RUN ...] > docs/results/scale/rows.jsonl

FOLDER takes the runs; DATA_DIR holds the prepared TensorFlow Dataset cifar10_jpeg. A row is a task:

- flops: of the HLO modules that TensorFlow hands to XLA for the very training step and for the
  forward passes of every model that predicted, times the steps and images that went through.
- xla_flops: the same by XLA's own analysis, which leaves out what is multiplied by padded zeros.
- steps: by the optimizers' own count.
"""

import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

_NO_POOL = {"bridge_pool": 0.0}  # whose steps are counted
_DIGITS = {"batch_size": 64, "mode_epochs": 2, "curve_epochs": 2, "bridge_epochs": 2, **_NO_POOL}
_CIFAR = {
    **{"dataset": "tfds:cifar10_jpeg", "max_images": 2000, "augment": "crop_flip", **_NO_POOL},
    **{"mode_epochs": 1, "curve_epochs": 1, "bridge_epochs": 1, "taps": ["stage2_block1"]},
}
_BASELINES = ["swa", "distillation", "batch_ensemble", "mimo"]
RUNS = {
    "digits": {**_DIGITS, "baselines": _BASELINES, "num_modes": 2},
    "digits_2": {**_DIGITS, "bridge_type": 2, "residual": True, "norm": "batch"},
    "digits_r": {**_DIGITS, "conditioned": True, "positions": [0.25, 0.5], "num_modes": 2},
    "cifar": _CIFAR,
    "cifar_wide": {
        **{**_CIFAR, "model": "resnet20", "width": 2, "norm": "batch", "batch_size": 64},
        **{"bridge_type": 2, "taps": ["stage2_block3"], "max_images": 640},
        "num_modes": 2,
    },
}
EXPORTED = ("digits", "cifar")
# One of each kind; those of a kind take the same.
MEASURED = ("mode-1", "curve-0-1", "bridge-0-1", "ensemble", "evaluate", "export")


def main(folder: str, data_dir: str, *names: str) -> None:
    from bridge_tf.runs.run_files import RunFiles
    from bridge_tf.runs.task_graph import TaskGraph

    for name in names or RUNS:
        files = RunFiles(pathlib.Path(folder) / name / "work")
        for task, job in TaskGraph(config_of(name, folder, data_dir)).tasks.items():
            made = job.file(files)
            if (made and made.exists()) or (task == "export" and name not in EXPORTED):
                continue
            command = [sys.executable, __file__, "--task", task, name, folder, data_dir]
            found = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
            if task in (*MEASURED, *_BASELINES):
                row = {"run": name, "task": task, **json.loads(found.stdout.splitlines()[-1])}
                print(json.dumps(row), flush=True)


def config_of(name: str, folder: str, data_dir: str):
    """The configuration of a run."""
    from bridge_tf.config import Config

    settings = {"num_modes": 3, "latency": False, **RUNS[name]}
    export_dir = str(pathlib.Path(folder) / name / "exports")
    return Config(**settings, seed=0, data_dir=data_dir, export_dir=export_dir)


def measure(task: str, name: str, folder: str, data_dir: str) -> None:
    """Does one task, and prints what it took."""
    import hlo_flops

    from bridge_tf.runs.context import Run
    from bridge_tf.runs.stages import STAGES

    seen = hlo_flops.Watch()
    run = Run(config_of(name, folder, data_dir), pathlib.Path(folder) / name / "work")
    with run.files.held():
        run.files.check(run.config)
        job = run.graph.tasks[task]
        STAGES[job.stage].do(run, job)
    flops = dict(zip(("flops", "xla_flops"), seen.flops(), strict=True))
    print(json.dumps({"steps": seen.steps(), **flops}))


if __name__ == "__main__":
    if sys.argv[1] == "--task":
        measure(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
