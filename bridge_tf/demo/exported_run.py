"""The exported file of a run."""

import pathlib

from bridge_tf.export.layout import find_export
from bridge_tf.utils.errors import InputError


def exported_file(run) -> pathlib.Path:
    """The .tflite file in the export folder of a `bridge_tf.runs.runner.Pipeline`; writes nothing.

    Raises:
        InputError: the run isn't trained, or isn't exported to that folder.
    """
    workdir, export_dir = run.files.path, run.config.export_dir
    if found := _exports(run, export_dir):
        return found[1]
    _check_trained(run)
    trained_dir = run.files.read_config().export_dir
    if _exports(run, trained_dir):
        raise InputError(
            f"--export_dir: {export_dir} holds no export of the run in {workdir}, but "
            f"{trained_dir} does: leave --export_dir out"
        )
    places = " or ".join(dict.fromkeys((export_dir, trained_dir)))
    raise InputError(
        f"--workdir: {workdir} isn't exported to {places}; run bin/export --workdir={workdir} "
        f"--export_dir={export_dir} first, or name another --export_dir"
    )


def _exports(run, export_dir: str) -> list[pathlib.Path]:
    files = run.files
    if not files.ensemble.exists():
        return []
    return find_export(export_dir, run.config.export_name, files.manifest.digest(files.ensemble))


def _check_trained(run) -> None:
    files, pairs = run.files, run.config.curves()
    made = {
        "modes": [files.mode(k) for k in range(run.config.num_modes)],
        "curves": [files.curve(pair) for pair in pairs],
        "bridges": [files.bridge(pair) for pair in pairs],
    }
    for stage, paths in made.items():
        for path in paths:
            if not path.exists():
                raise InputError(
                    f"--workdir: the run's stage {stage} isn't done ({path} is missing); bin/train "
                    "with the run's flags goes on where it was"
                )
