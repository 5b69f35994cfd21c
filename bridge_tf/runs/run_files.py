"""The names of a run's files in its work directory."""

import os
import pathlib
from collections.abc import Iterator

from bridge_tf.config.names import pair_name

FOLDERS = ("modes", "curves", "bridges", "baselines", "figures", "checkpoints", "logs")


class RunFiles:
    """Paths of a run's files in the work directory `path`, whether they exist or not."""

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.config = self.path / "config.json"
        self.ensemble = self.path / "ensemble.keras"
        self.artifacts = self.path / "artifacts.json"
        self.compressed = self.path / "compressed.json"
        self.report = self.path / "report.json"
        self.report_page = self.path / "report.md"
        self.report_html = self.path / "report.html"
        self.figures = self.path / "figures"
        self.figures_data = self.figures / "data.json"
        self.all_logs = self.path / "logs"

    def linked_folders(self) -> Iterator[pathlib.Path]:
        """The run's folders, and folders in them, that are links and lead who knows where."""
        for folder in map(self.path.joinpath, FOLDERS):
            if folder.is_symlink():
                yield folder
                continue
            for parent, names, _ in os.walk(folder):
                paths = (pathlib.Path(parent) / name for name in names)
                yield from (path for path in paths if path.is_symlink())

    def mode(self, index: int) -> pathlib.Path:
        return self.path / "modes" / f"{index}.keras"

    def curve(self, pair: tuple[int, int]) -> pathlib.Path:
        return self.path / "curves" / f"{pair_name(pair)}.keras"

    def bridge(self, pair: tuple[int, int]) -> pathlib.Path:
        return self.path / "bridges" / f"{pair_name(pair)}.keras"

    def baseline(self, name: str) -> pathlib.Path:
        return self.path / "baselines" / f"{name}.keras"

    def loss_plane(self, pair: tuple[int, int]) -> pathlib.Path:
        return self.figures / f"loss_plane_{pair_name(pair)}.json"

    @property
    def choice(self) -> pathlib.Path:
        """Where a run with `taps=auto` keeps what was chosen."""
        return self.path / "bridges" / "choice.json"

    def logs(self, target: pathlib.Path) -> pathlib.Path:
        """The log folder of the training whose result is `target`."""
        return self.all_logs / target.relative_to(self.path).with_suffix("")

    def checkpoints(self, target: pathlib.Path) -> pathlib.Path:
        """Where the training whose result is `target` keeps its checkpoints."""
        return self.path / "checkpoints" / target.relative_to(self.path).with_suffix("")
