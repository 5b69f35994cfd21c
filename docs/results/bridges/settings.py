"""Trains bridges with other settings on the modes of a run, and ranks them by validation images.

    python docs/results/bridges/settings.py --recipe=configs/fashion_mnist.flags \
      --workdir=runs/fashion_mnist --out=FILE.jsonl

The run has its modes, its curves and its base. Each setting gets a copy of them and `bin/train` of
its own: bridges, and the report. A JSON object for each row of bridges is appended to --out, with
what the row is on the validation images (the mean NLL of each half with the temperature of the
other half) and on the test images; settings that are in the file already are left out. The table
that is printed last is sorted by the validation images.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from absl import app, flags

from bridge_tf.report import read_report
from bridge_tf.runs.resampled_file import read_resampled
from bridge_tf.runs.work_dir import WorkDir

FLAGS = flags.FLAGS
flags.DEFINE_string("recipe", None, "Flag file of the run.", required=True)
flags.DEFINE_string("workdir", None, "Its work directory.", required=True)
flags.DEFINE_list("settings", None, "Names of settings. Default: all.")
flags.DEFINE_string("out", None, "File that rows are appended to.", required=True)

SETTINGS = {
    "recipe": [],
    "mode": ["--bridge_target=mode"],
    "ensemble": ["--bridge_target=ensemble"],
    "labels more": ["--label_share=0.9"],
    "no labels": ["--label_share=0"],
    "mixed": ["--mixup_alpha=0.4"],
    "not residual": ["--noresidual"],
    "tap 1": ["--taps=group1_act2", "--bridge_width=0.25"],
    "tap 1, ensemble": ["--taps=group1_act2", "--bridge_width=0.25", "--bridge_target=ensemble"],
    "tap 3": ["--taps=group3_act1", "--bridge_width=0.5"],
    "narrow": ["--bridge_width=0.25"],
    "patient": ["--bridge_epochs=48"],
    "patient, ensemble": ["--bridge_epochs=48", "--bridge_target=ensemble"],
}
KEPT = ("accuracy", "calibrated_nll", "dee", "relative_flops", "intervals", "versus_single")


def main(_) -> None:
    out = pathlib.Path(FLAGS.out)
    for name in FLAGS.settings or SETTINGS:
        if name not in {row["setting"] for row in _rows(out)}:
            with open(out, "a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in _trained(name))
    print("| setting | row | FLOPs × | validation NLL | test accuracy % | cal. NLL | DEE |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for row in sorted(_rows(out), key=lambda row: row["validation_nll"]):
        print(f"| {row['setting']} | {row['name']} | {row['relative_flops']:.2f} ", end="")
        print(f"| {row['validation_nll']:.4f} | {100 * row['accuracy']:.2f} ", end="")
        print(f"| {row['calibrated_nll']:.4f} | {row['dee']:.2f} |")


def _trained(name: str) -> list[dict]:
    """The rows of a setting; with `recipe` also those that have no bridges."""
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder) / "run"
        for source in map(pathlib.Path(FLAGS.workdir).joinpath, ("modes", "curves")):
            if source.is_dir():
                shutil.copytree(source, work / source.name)
        base = pathlib.Path(FLAGS.workdir) / "base.keras"
        if base.exists():
            shutil.copy(base, work)
        program = [sys.executable, "-m", "bridge_tf", "train", f"--flagfile={FLAGS.recipe}"]
        program += [f"--workdir={work}", *SETTINGS[name], "--nolatency"]
        program.append("--stages=bridges,baselines,evaluate")
        if name == "recipe":
            program.append("--baselines=student,sub_ensemble")
        subprocess.run(program, check=True, stdout=subprocess.DEVNULL)
        files = WorkDir(work)
        report = read_report(files.report)
        held_out = read_resampled(files, report).held_out
    return [
        {
            "setting": name,
            "flags": SETTINGS[name],
            "name": row["name"],
            "validation_nll": float(np.mean(held_out[row["name"]])),
            **{key: row.get(key) for key in KEPT},
        }
        for row in report["ensembles"]
        if row["method"] == "bridge" or name == "recipe"
    ]


def _rows(out: pathlib.Path) -> list[dict]:
    return list(map(json.loads, out.read_text("utf-8").splitlines())) if out.exists() else []


if __name__ == "__main__":
    app.run(main)
