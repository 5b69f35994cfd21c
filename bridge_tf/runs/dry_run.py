"""What a run would do: its tasks, which are done, and what each takes."""

from collections.abc import Sequence

from bridge_tf.networks.saving import is_whole
from bridge_tf.report.markdown import padded_table
from bridge_tf.runs.artifacts import artifacts, exported_files
from bridge_tf.runs.context import Run
from bridge_tf.runs.cost_model import Cost, CostModel, DataSizes
from bridge_tf.runs.runner import check_stages
from bridge_tf.runs.stages.evaluate.stage import is_evaluated
from bridge_tf.runs.task_graph import ENSEMBLE, Task
from bridge_tf.utils.errors import InputError

_HEADINGS = ["task", "state", "after", "steps", "FLOPs", "result, MB"]
_OF_STATE = {"current": "done", "replaced": "to do", "missing": "to do"}


class Plan:
    """The tasks of the requested stages of a run. Runs and writes nothing.

    Raises:
        InputError: the work directory holds another run, or data, network or taps are invalid.
    """

    def __init__(self, run: Run):
        check_stages(run.stages)
        run.files.check(run.config)
        self.run, self.graph = run, run.graph
        self.tasks = [task for task in self.graph.tasks.values() if task.stage in run.stages]
        self.costs = CostModel(run.config, DataSizes.of(run.data))
        self.states: dict[str, str] = {}
        for task in self.graph.tasks.values():  # in their order
            self.states[task.name] = self._state(task)

    def _state(self, task: Task) -> str:
        """ "done", "to do", "damaged", "outdated": made from other files than are there now, or "to
        check": made from a file that is to be made again, and may be another then.
        """
        files = self.run.files
        path = task.file(files)
        if path is not None:
            found = files.state(path, task.sources(files))
            if found == "outdated" and task.name == ENSEMBLE:
                return "to do"  # it is made again whenever it must be
            if found == "outdated" and any(self.states[name] != "done" for name in task.after):
                return "to check"
            if found == "unlisted":  # a whole one is taken in
                return "done" if task.name != ENSEMBLE and is_whole(path) else "to do"
            return _OF_STATE.get(found, found)
        if any(self.states[name] != "done" for name in task.after):
            return "to do"
        if task.stage == "evaluate":
            try:
                return "done" if is_evaluated(self.run) else "to do"
            except InputError:
                return "damaged"
        exported = exported_files(self.run) and artifacts(self.run)
        return "done" if exported else "to do"

    def text(self) -> str:
        """A row a task, and what those that are to do take together."""
        rows = [
            [task.name, self.states[task.name], _short(task.after), *_cells(self.costs.of(task))]
            for task in self.tasks
        ]
        left = [task for task in self.tasks if self.states[task.name] != "done"]
        lines = [padded_table(_HEADINGS, rows), ""]
        if not left:
            return "\n".join([*lines, "All is done."])
        total = self.costs.total(left)
        chain = self.costs.critical_path(left)
        longest = sum(self.costs.of(task).flops for task in chain)
        lines.append(
            f"To do: {len(left)} of {len(self.tasks)} tasks, {total.steps:,} steps, "
            f"{_flops(total.flops)}FLOPs."
        )
        names = " → ".join(task.name for task in chain)
        lines.append(
            f"The longest chain, {names}, takes {longest / max(1, total.flops):.0%} of the FLOPs, "
            "however many machines there are."
        )
        bad = [name for name, state in self.states.items() if state in ("damaged", "outdated")]
        if bad:
            lines.append(f"`repair` makes what is damaged or outdated again: {', '.join(bad)}.")
        return "\n".join(lines)


def _short(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{names[0]} … {names[-1]} ({len(names)})"


def _flops(number: int) -> str:
    """Three digits and a prefix, as 1.25 T."""
    power = min(6, max(0, (len(str(number)) - 1) // 3))
    return f"{number / 1000**power:.3g} {['', 'k', 'M', 'G', 'T', 'P', 'E'][power]}"


def _cells(cost: Cost) -> list[str]:
    return [f"{cost.steps:,}", _flops(cost.flops), f"{cost.result / 1e6:,.2f}"]
