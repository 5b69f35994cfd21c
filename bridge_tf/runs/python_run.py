"""A whole run in one call."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from bridge_tf.config import STAGES, Config
from bridge_tf.config.estimates import check_size
from bridge_tf.runs.objects import as_settings, written_to
from bridge_tf.runs.places import check_places
from bridge_tf.runs.python_settings import budget_settings, typed, with_settings
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.files import check_writable
from bridge_tf.utils.user_modules import import_modules


@with_settings
def train(
    dataset: Any,
    *,
    workdir: str | os.PathLike,
    model: Any = "resnet8",
    budget: float | None = None,
    export_dir: str | os.PathLike | None = None,
    stages: Sequence[str] | None = None,
    wait: bool = False,
    repair: bool = False,
    **settings: Any,
) -> "TrainedRun":
    """Trains modes, curves and bridges, and measures them: `bridge-tf train` in one call.

    The same call resumes an interrupted run, and does nothing to a finished one. The work directory
    is the command's, with the same files.

    Args:
        dataset: text, as the command takes it ("digits", "folder:PATH", "npz:PATH",
            "tfds:NAME"); ((x_train, y_train), (x_test, y_test)), or the three splits in this form
            with validation second; a dict of x_train, y_train, x_test, y_test and perhaps x_val,
            y_val; or what `load_dataset` returns. Arrays, images N×H×W×C (uint8 or float, 0…255 or
            0…1) and labels N (integers 0…classes-1), are written to dataset.npz in `workdir`.
        workdir: folder of the run's files.
        model: name of a network, path of a .keras file, or a Keras model, of which only the
            architecture is used; it is written to model.keras in `workdir`.
        budget: average FLOPs of an image, relative to one network's, that the recommended row may
            cost: `budget_flops`, and `average_cost` of cascades where it is above 1.
        export_dir: folder to export to as the command does; default: no export, see
            `TrainedRun.export`.
        stages: those to run; default: all but export, or all with `export_dir`.
        wait: wait until no other process uses the work directory.
        repair: make damaged files again.
        **settings: as the flags of `bridge-tf train`.

    Returns:
        A `TrainedRun`: its `report`, the `best` row as a model, `export`, `workdir`.

    Raises:
        InputError: a setting, data or model can't be used, or `workdir` holds another run; nothing
            is written then.
        TrainingError: a training diverged.

    Example::

        run = bridge_tf.train(
            ((images, labels), (images, labels)),
            model=build(),
            workdir="runs/mine",
            budget=1.5,
            num_modes=2,
            mode_epochs=2,
            curve_epochs=2,
            bridge_epochs=2,
            taps=["stage2_block1"],
            batch_size=8,
            validation_fraction=0.5,
        )
        print(run.report)
        print(run.best.predict(images)["probabilities"])
    """
    values = {name: typed(name, value) for name, value in settings.items()}
    values |= budget_settings(budget, values)
    if stages is None:
        stages = [name for name in STAGES if name != "export" or export_dir is not None]
    if export_dir is not None:
        values["export_dir"] = typed("export_dir", export_dir)
    if isinstance(dataset, os.PathLike):
        raise InputError(f"`dataset`: {dataset} is a path; say of what, as in 'folder:{dataset}'")
    model = os.fspath(model) if isinstance(model, os.PathLike) else model
    workdir = pathlib.Path(workdir)
    of_objects = as_settings(dataset, model, workdir)
    config = Config(**values, **{name: typed(name, value) for name, value in of_objects.items()})
    files = WorkDir(workdir, repair)
    check_writable("workdir", workdir)
    files.check_readable()
    with written_to(workdir, dataset, model):
        check_places(config, files, stages, dry_run=False)
        check_size(config)
        import_modules(config.imports)
        run = _execute(config, workdir, stages=stages, wait=wait, repair=repair)
    return TrainedRun(run)


def _execute(config: Config, workdir: pathlib.Path, **options: Any) -> Any:
    from bridge_tf.runs.context import Run
    from bridge_tf.runs.executors.ray import ENVIRONMENT
    from bridge_tf.runs.runner import check_stages, execute

    check_stages(options["stages"])
    run = Run(config, workdir, prints=False, **options)
    if config.executor == "ray":
        os.environ.update(ENVIRONMENT | os.environ)
        from bridge_tf.runs.executors.ray.executor import execute_on_ray

        execute_on_ray(run)
    else:
        execute(run)
    return run


class TrainedRun:
    """A run in its work directory, as `bridge_tf.train` returns it."""

    def __init__(self, run: Any):
        self._run = run
        self.workdir = run.files.path

    def __repr__(self) -> str:
        return f"TrainedRun(workdir={str(self.workdir)!r})"

    @property
    def report(self) -> dict:
        """The content of report.json; `print` and notebooks show its recommendation and table.

        Raises:
            InputError: the run isn't evaluated.
        """
        from bridge_tf.report import read_report
        from bridge_tf.report.shown import Report

        files = self._run.files
        files.need([files.report], "report", "evaluate")
        return Report(read_report(files.report))

    @functools.cached_property
    def best(self) -> Any:
        """The recommended row, calibrated on the validation split.

        A `BridgeEnsemble`, a `CascadeEnsemble`, or for baselines of one network with several
        outputs a `MembersEnsemble`; of all, `predict(images)["probabilities"]` is N×classes.

        Raises:
            InputError: no row is within the budget.
        """
        name = self.report.get("recommendation", {}).get("name")
        if name is None:
            raise InputError("`budget`: no row of the report is within it; take a larger one")
        return self.row(name)

    def row(self, name: str) -> Any:
        """A row of the report as a model, in the forms of `best`.

        Args:
            name: of the row, such as "bridge_2".

        Raises:
            InputError: there is no such row, or it can't be such a model.
        """
        from bridge_tf.runs.row_models import row_model

        return row_model(self._run, name)

    def export(
        self,
        export_dir: str | os.PathLike,
        name: str = "",
        ensemble: str | None = None,
        **settings: Any,
    ) -> list[pathlib.Path]:
        """Exports the run, as `bridge-tf export` does.

        Args:
            export_dir: made if it isn't there.
            name: of the exported model; default: that of the run's settings.
            ensemble: a row of the report, or "recommended", which is exported as NAME-ROW; default:
                the bridge ensemble, as NAME.
            **settings: formats, single, tflite, tflite_io, max_accuracy_drop, calibrate,
                coverage, latency, early_exit_budget.

        Returns:
            The SavedModel, the TFLite files, float32 first, and the ONNX file.

        Raises:
            InputError: a setting or place can't be used, or the row can't be exported.
            ParityError: a file predicts otherwise than the Keras model; none is there then.
        """
        from bridge_tf.config.result_fields import ExportSettings
        from bridge_tf.runs.artifacts import exported_files
        from bridge_tf.runs.context import Run
        from bridge_tf.runs.runner import execute, export_one

        known = {field.name for field in dataclasses.fields(ExportSettings)}
        known |= {"early_exit_budget"}
        values = {key: typed(key, value) for key, value in settings.items()}
        if others := [key for key in values if key not in known]:
            raise InputError(f"`{others[0]}`: is no setting of an export, but of `train`")
        values["export_dir"] = typed("export_dir", export_dir)
        if name:
            values["export_name"] = typed("export_name", name)
        config = dataclasses.replace(self._run.config, **values)
        run = Run(config, self.workdir, ["export"], wait=self._run.wait, prints=False)
        if ensemble is not None:
            return export_one(run, ensemble)
        execute(run)
        return exported_files(run)
