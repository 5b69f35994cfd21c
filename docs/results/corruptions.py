"""Keeps what rows are on corrupted images, of several seeds, in one small file, and prints a table.

    python docs/results/corruptions.py --workdirs=runs/seed0,runs/seed1 --out=FILE.json
    python docs/results/corruptions.py --out=FILE.json

The reports of --workdirs were made with --corruptions. The file has, for each row and run, the
accuracy and the calibrated NLL of each kind at severities 1 to 5. In the table these are means over
kinds and runs; behind the mean over severities is its standard error over runs. Without --workdirs
the table of the file is printed.
"""

import json
import pathlib

import numpy as np
from absl import app, flags

from bridge_tf.report import read_report
from bridge_tf.runs.work_dir import WorkDir

FLAGS = flags.FLAGS
flags.DEFINE_list("workdirs", None, "Work directories of evaluated runs.")
flags.DEFINE_string("out", None, "File of the figures.", required=True)

FIGURES = ("accuracy", "calibrated_nll")


def main(_) -> None:
    out = pathlib.Path(FLAGS.out)
    if FLAGS.workdirs:
        reports = [read_report(WorkDir(folder).report) for folder in FLAGS.workdirs]
        out.write_text(_text([report["corruptions"] for report in reports]), "utf-8")
    rows = json.loads(out.read_text("utf-8"))["rows"]
    print("| ensemble | clean | 1 | 2 | 3 | 4 | 5 | mean | accuracy % |")
    print("| --- |" + " ---: |" * 8)
    for name, row in rows.items():
        clean, losses, accuracy = (
            np.array(row[key]) for key in ("clean", "calibrated_nll", "accuracy")
        )
        means = losses.mean(axis=(1, 2))  # of each run
        error = means.std(ddof=1) / np.sqrt(len(means))
        severities = " | ".join(f"{loss:.3f}" for loss in losses.mean(axis=(0, 1)))
        print(f"| {name} | {clean.mean():.4f} | {severities} ", end="")
        print(f"| {means.mean():.3f} ± {error:.3f} | {100 * accuracy.mean():.2f} |")


def _text(found: list[dict]) -> str:
    """The file: a line for each row, of runs × kinds × severities."""
    kinds = found[0]["kinds"]
    lines = [f'{{"images": {found[0]["images"]}, "kinds": {json.dumps(kinds)}, "rows": {{']
    runs = [{row["name"]: row for row in run["rows"]} for run in found]
    names = [name for name in runs[0] if all(name in rows for rows in runs)]
    for name in names:
        row = {"clean": [round(rows[name]["clean"]["calibrated_nll"], 5) for rows in runs]}
        for key in FIGURES:
            row[key] = [_table(rows[name]["corrupted"], key, kinds) for rows in runs]
        lines.append(f'"{name}": {json.dumps(row)}' + ("," if name != names[-1] else "}}"))
    return "\n".join(lines) + "\n"


def _table(corrupted: list[dict], key: str, kinds: list[str]) -> list[list[float]]:
    """Kinds × severities."""
    values = {(one["corruption"], one["severity"]): one[key] for one in corrupted}
    return [[round(values[kind, k], 5) for k in range(1, 6)] for kind in kinds]


if __name__ == "__main__":
    app.run(main)
