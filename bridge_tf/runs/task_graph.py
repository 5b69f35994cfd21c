"""A run as a graph of tasks, each a function of the files before it, the settings and its seed.

Only the configuration decides the graph, so that it is known before anything is imported or made.
"""

import dataclasses
import pathlib

from bridge_tf.config import STAGES, Config
from bridge_tf.config.fields import STUDENTS, SUB_ENSEMBLE
from bridge_tf.config.names import pair_name
from bridge_tf.runs.run_files import RunFiles

# What makes a .keras file; the other stages read and write a work directory's other files.
TRAININGS = ("modes", "curves", "bridges", "baselines")
BASE, ENSEMBLE = "base", "ensemble"
_STAGES = {"mode": "modes", "curve": "curves"}
_STAGES |= dict.fromkeys([BASE, "bridge", ENSEMBLE], "bridges")


def kind_of(name: str) -> str:
    """The kind of a task, which its name begins with: mode, curve, bridge, fge, swa, …"""
    return name.partition("-")[0]


@dataclasses.dataclass(frozen=True)
class Task:
    """One piece of work that another process or machine can do.

    Attributes:
        name: "mode-0", "curve-0-1", "base", "bridge-0-1", "ensemble", "fge-1", "evaluate",
            "export".
        after: the names of the tasks whose files it reads.
    """

    name: str
    after: tuple[str, ...] = ()

    @property
    def stage(self) -> str:
        """The one of `STAGES` that it belongs to."""
        if self.name in STAGES:
            return self.name
        return _STAGES.get(kind_of(self.name), "baselines")

    @property
    def is_training(self) -> bool:
        """Whether it trains something, by gradient steps."""
        return self.stage in TRAININGS and self.name != ENSEMBLE

    @property
    def modes(self) -> tuple[int, ...]:
        """The number of a mode, or the two of a curve or bridge."""
        return tuple(int(part) for part in self.name.split("-")[1:])

    def file(self, files: RunFiles) -> pathlib.Path | None:
        """The one file that it makes; None if it makes others."""
        if self.name in (BASE, ENSEMBLE):
            return files.base if self.name == BASE else files.ensemble
        if self.stage == "modes":
            return files.mode(*self.modes)
        if self.stage == "curves":
            return files.curve(self.modes)
        if self.stage == "bridges":
            return files.bridge(self.modes)
        return files.baseline(self.name) if self.stage == "baselines" else None

    def sources(self, files: RunFiles) -> list[pathlib.Path]:
        """The files of other tasks that it reads."""
        return [Task(name).file(files) for name in self.after]


class TaskGraph:
    """The `tasks` of a run by name, in the order in which one process does them.

    `baselines` replace those of the configuration.
    """

    def __init__(self, config: Config, baselines=None):
        self.tasks: dict[str, Task] = {}
        modes = [self._add(f"mode-{k}") for k in range(config.num_modes)]
        pairs = [(pair_name(pair), [modes[k] for k in pair]) for pair in config.bridge_pairs()]
        for_curves = pairs if config.curves() else []
        curves = {name: [self._add(f"curve-{name}", ends)] for name, ends in for_curves}
        base = [self._add(BASE, modes)] if config.distil_base else []
        if config.bridge_target == "ensemble":
            pairs = [(name, modes) for name, _ in pairs]
        bridges = [
            self._add(f"bridge-{name}", [*base, *of, *curves.get(name, ())]) for name, of in pairs
        ]
        executed = modes if config.bridge_type == 2 else base or modes[:1]
        self._add(ENSEMBLE, [*executed, *bridges])
        for name in config.baselines if baselines is None else baselines:
            if name != "student" or not base:  # which is trained already
                self._add_baseline(name, modes, (base or modes)[:1], len(pairs))
        # What it measures is all that there is.
        self._add("evaluate", [*self.tasks])
        self._add("export", [ENSEMBLE])

    def of(self, stage: str) -> list[Task]:
        """The tasks of a stage."""
        return [task for task in self.tasks.values() if task.stage == stage]

    def _add(self, name: str, after=()) -> str:
        self.tasks[name] = Task(name, tuple(after))
        return name

    def _add_baseline(self, name: str, modes: list[str], base: list[str], bridges: int) -> None:
        """Deep ensembles and members of curves need no training of their own."""
        if name == "fge":
            before = modes[0]
            for k in range(1, len(modes)):
                before = self._add(f"fge-{k}", [before])
        elif name == "packed":
            for k in range(1, len(modes) + 1):
                self._add(f"{name}-{k}")
        elif name == SUB_ENSEMBLE:
            for k in range(1, bridges + 1):
                self._add(f"{name}-{k}", base)
        elif name not in ("deep_ensemble", "curve"):
            self._add(name, {"laplace": modes[:1], **dict.fromkeys(STUDENTS, modes)}.get(name, ()))
