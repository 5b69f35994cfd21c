#!/usr/bin/env python3
"""Draws docs/gallery/task_graph.svg: the tasks of a run of three modes, and what each waits for."""

import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent.parent))

import matplotlib  # noqa: E402

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

from bridge_tf.config import Config  # noqa: E402
from bridge_tf.runs.task_graph import ENSEMBLE, TaskGraph  # noqa: E402

COLUMNS = ("modes", "curves", "bridges", ENSEMBLE, "evaluate")
COLOURS = {"modes": "#0072b2", "curves": "#009e73", "bridges": "#d55e00", "baselines": "#cc79a7"}
WIDTH, HEIGHT = 0.78, 0.42


def main() -> None:
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "", "font.size": 10})
    graph = TaskGraph(Config(num_modes=3, baselines=["distillation", "swa"]))
    places = {}
    for name, task in graph.tasks.items():
        column = "evaluate" if name == "export" else "curves" if task.stage == "baselines" else ""
        x = COLUMNS.index(column or (ENSEMBLE if name == ENSEMBLE else task.stage))
        places[name] = x, -sum(found == x for found, _ in places.values())
    last = COLUMNS.index("evaluate")
    places["export"], places["evaluate"] = (last, 0), (last, -2)
    figure, axes = pyplot.subplots(figsize=(8.6, 3.4))
    for name, task in graph.tasks.items():
        x, y = places[name]
        # All lead to the evaluation; those of modes and curves would hide the others.
        drawn = [ENSEMBLE, "distillation", "swa"] if name == "evaluate" else task.after
        for before in drawn:
            if before.startswith("mode") and task.stage == "bridges":
                continue
            a, b = places[before]
            axes.annotate(
                "",
                (x - WIDTH / 2, y),
                (a + WIDTH / 2, b),
                arrowprops={"arrowstyle": "-|>", "color": "#888888", "shrinkA": 0, "shrinkB": 0},
            )
        colour = COLOURS.get(task.stage, "#444444") if name != ENSEMBLE else "#444444"
        box = {"facecolor": "white", "edgecolor": colour, "linewidth": 1.6}
        corner = (x - WIDTH / 2, y - HEIGHT / 2)
        axes.add_patch(pyplot.Rectangle(corner, WIDTH, HEIGHT, **box))
        axes.text(x, y, name, ha="center", va="center", color="#1b1b1b")
    axes.set_xlim(-0.5, len(COLUMNS) - 0.5)
    axes.set_ylim(-3.4, 0.4)
    axes.axis("off")
    figure.savefig(
        FOLDER / "task_graph.svg", bbox_inches="tight", facecolor="white", metadata={"Date": None}
    )


if __name__ == "__main__":
    main()
