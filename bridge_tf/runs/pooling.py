"""One report of several finished runs, which differ in their seeds alone."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence

from bridge_tf.config import Config
from bridge_tf.config.config_file import read_config_file
from bridge_tf.config.names import SCHEMA
from bridge_tf.config.result_fields import BUDGETS
from bridge_tf.config.validation import text_of
from bridge_tf.evaluation.pooling import Pool, Resampled
from bridge_tf.report import read_report
from bridge_tf.runs.resampled_file import read_resampled
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.utils.errors import InputError


@dataclasses.dataclass(frozen=True)
class EvaluatedRun:
    """What a pool needs of a finished run; `given` is its work directory as it was named."""

    given: str
    config: Config
    versions: Mapping[str, str]
    report: dict
    resampled: Resampled


def pool_report(workdirs: Sequence[str], budget: Mapping[str, float]) -> dict:
    """The content of the report.json of several runs; writes nothing.

    Args:
        workdirs: of two finished runs or more, which differ in `seed` alone.
        budget: settings of `BUDGETS` that replace those of the runs.

    Raises:
        InputError: these runs can't be pooled; the message says which, and why.
    """
    runs = read_runs(workdirs, budget)
    return _pooled(runs, dataclasses.replace(runs[0].config, **budget).budget)


def read_runs(
    workdirs: Sequence[str], budget: Mapping[str, float] | None = None
) -> list[EvaluatedRun]:
    """The runs of a pool, checked to fit together; arguments and errors as in `pool_report`."""
    if len(workdirs) < 2:
        raise InputError(
            f"`workdirs={text_of(workdirs)}`: needs two runs or more; name their folders between "
            "commas"
        )
    places = [os.path.realpath(workdir) for workdir in workdirs]
    for workdir, place in zip(workdirs, places, strict=True):
        if places.count(place) > 1:
            raise InputError(f"`workdirs`: {workdir} is given twice; name each run once")
    runs = []
    for workdir in workdirs:
        runs.append(_read(workdir))
        _check_pair(runs[0], runs[-1], budget or {})
        for other in runs[:-1]:
            if other.config.seed == runs[-1].config.seed:
                raise InputError(
                    f"`workdirs`: {other.given} and {workdir} both have `seed={other.config.seed}`;"
                    " name runs of different seeds"
                )
    return runs


def pool_of(runs: Sequence[EvaluatedRun]) -> Pool:
    """All rows of runs that fit together."""
    return Pool(
        [run.report["ensembles"] for run in runs],
        [run.report["yardstick"] for run in runs],
        [run.resampled for run in runs],
    )


def _pooled(runs: Sequence[EvaluatedRun], budget: Mapping[str, float]) -> dict:
    first, pool = runs[0].report, pool_of(runs)
    names = [pathlib.Path(os.path.realpath(run.given)).name for run in runs]
    return {
        "schema": SCHEMA,
        "warnings": list(_warnings(runs, pool.rows)),
        "dataset": first["dataset"],
        "base": first["base"],
        "runs": [
            {"name": name, "seed": run.config.seed} for name, run in zip(names, runs, strict=True)
        ],
        "left_out": [
            {"name": name, "runs": [names[k] for k in found]}
            for name, found in pool.left_out.items()
        ],
        "average_cost": first["average_cost"],
        "recommendation": pool.recommend(
            budget, first["dataset"]["num_test"], first["base"]["params"]
        ),
        "ensembles": pool.rows,
        "yardstick": pool.yardstick,
    }


def _read(workdir: str) -> EvaluatedRun:
    """A finished run; InputError if it isn't finished, or a file is damaged."""
    files = WorkDir(workdir)
    try:
        config = files.read_config()
    except InputError as error:
        raise InputError(str(error).replace("`workdir`", "`workdirs`")) from error
    for path in (files.report, files.resamples):
        _check_current(files, path)
    report = read_report(files.report)
    versions = read_config_file(files.config, "`repair` writes it again")["versions"]
    return EvaluatedRun(workdir, config, versions, report, read_resampled(files, report))


def _check_current(files: WorkDir, path: pathlib.Path) -> None:
    """Checks that an evaluation's file is made from the run's files as they are.

    Of a run that is kept without its networks, to save space, the file alone is checked.
    """
    entry = files.manifest.entry(path) or {"made_from": {}}
    sources = [files.path / name for name in entry["made_from"]]
    state = files.state(path, sources)
    kept_alone = state == "outdated" and not any(map(os.path.lexists, sources))
    if state == "current" or kept_alone:
        return
    if state != "missing":
        why = f"{path} isn't of the run's files as they are now; evaluate that run again"
    elif files.report.exists():
        why = f"{files.path} was evaluated without {path.name}; evaluate that run again"
    else:
        why = f"{files.path} isn't finished ({path} is missing); finish it first"
    raise InputError(f"`workdirs`: {why}")


def _check_pair(first: EvaluatedRun, run: EvaluatedRun, budget: Mapping[str, float]) -> None:
    """Checks that a run differs from the first in its seed alone."""
    both = f"`workdirs`: {run.given} and {first.given}"
    same_seed = dataclasses.replace(run.config, seed=first.config.seed)
    if differences := same_seed.differences(first.config):
        raise InputError(
            f"{both} differ in more than their seeds: {', '.join(differences)}; name runs of the "
            "same settings"
        )
    if run.resampled.data != first.resampled.data:
        raise InputError(
            f"{both} were measured on other images, though their `dataset` is the same; evaluate "
            "them on the same data"
        )
    found = [one.report.get("average_cost") for one in (run, first)]
    if found[0] != found[1]:
        raise InputError(
            f"{both} have cascades of another `average_cost` ({found[0]}, there: {found[1]}); "
            "evaluate them with the same"
        )
    for name in BUDGETS:
        found = [getattr(one.config, name) for one in (run, first)]
        if found[0] != found[1] and name not in budget:
            raise InputError(
                f"{both} have another `{name}` ({found[0]:g}, there: {found[1]:g}); give `{name}`"
            )
    resamples = [one.resampled.yardstick.shape for one in (run, first)]
    if resamples[0] != resamples[1]:
        raise InputError(f"{both} have other resamples; evaluate them with the same bridge_tf")


def _warnings(runs: Sequence[EvaluatedRun], rows: Sequence[dict]) -> Iterator[str]:
    """A sentence without its full stop for each thing that spoils figures of the report."""
    number, others = len(runs), rows[1:]
    lower = {
        row["name"]: sum(x < 0 for x in row["versus_single"]["values"]["calibrated_nll"])
        for row in others
    }
    if mixed := [f"{name} ({k} of {number})" for name, k in lower.items() if 0 < k < number]:
        yield (
            "the runs disagree about the sign of the difference of calibrated NLL to one network; "
            f"it is below 0 for {', '.join(mixed)}"
        )
    if chance := [row["name"] for row in others if _may_be_chance(row)]:
        yield (
            "the difference of calibrated NLL to one network may be chance, since its 95 % "
            f"interval over runs and images holds 0, for {', '.join(chance)}"
        )
    if runs[0].config.modes:
        yield (
            "all runs have the modes that `modes` names, so that the spread over runs is that of "
            "curves and bridges alone"
        )
    if any(run.versions != runs[0].versions for run in runs):
        yield "the runs were begun with other versions of bridge_tf, Keras or TensorFlow"
    for run in runs:
        if found := len(run.report.get("warnings", ())):
            yield (
                f"the report of seed {run.config.seed} has {found} "
                f"{'warning' if found == 1 else 'warnings'} of its own"
            )


def _may_be_chance(row: dict) -> bool:
    ends = row["versus_single"]["calibrated_nll"]
    return ends is None or ends[0] <= 0 <= ends[1]
