"""What a run reads and where it writes, checked before slow imports and the first training."""

from collections.abc import Sequence

from bridge_tf.config import Config
from bridge_tf.config.inputs import check_networks, check_sources
from bridge_tf.export.layout import check_export
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.utils.files import check_writable
from bridge_tf.utils.paths import check_place


def check_places(config: Config, files: WorkDir, stages: Sequence[str], dry_run: bool) -> None:
    """Raises an InputError if a place can't be read or written.

    Of a run that is there already, inputs are checked when they are needed.
    """
    check = check_place if dry_run else check_writable
    check("workdir", files.path)
    files.check_readable()
    if config.storage and "://" not in config.storage:
        check("storage", config.storage)
    if "export" in stages:
        if not dry_run:
            check_export(config.export_dir, config.export_name)
        check("export_dir", config.export_dir)
    if not files.holds_a_run:
        check_networks(config)
        check_sources(config)
