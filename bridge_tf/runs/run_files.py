"""The names of a run's files in its work directory."""

import os
import pathlib
import stat
from collections.abc import Iterator

from bridge_tf.config.names import pair_name
from bridge_tf.utils.paths import kind_of

FILES = (
    *("manifest.json", "config.json", "base.keras", "ensemble.keras"),
    *("artifacts.json", "compressed.json"),
    *("report.json", "report.md", "report.html"),
)
_ENDINGS = (".keras", ".json", ".npz")
FOLDERS = ("modes", "curves", "bridges", "baselines", "figures", "checkpoints", "logs")


class RunFiles:
    """Paths of a run's files in the work directory `path`, whether they exist or not."""

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.config = self.path / "config.json"
        self.base = self.path / "base.keras"
        self.ensemble = self.path / "ensemble.keras"
        self.artifacts = self.path / "artifacts.json"
        self.compressed = self.path / "compressed.json"
        self.report = self.path / "report.json"
        self.report_page = self.path / "report.md"
        self.report_html = self.path / "report.html"
        self.figures = self.path / "figures"
        self.figures_data = self.figures / "data.json"
        self.resamples = self.figures / "resamples.npz"
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

    def misplaced(self) -> Iterator[tuple[pathlib.Path, str]]:
        """What can't be one of the run's files or folders, and why; none of it is opened."""
        for path in (self.path / name for name in FILES):
            if os.path.lexists(path) and not path.is_file():
                yield path, _kind(path)
        for folder in map(self.path.joinpath, FOLDERS):
            if not os.path.lexists(folder):
                continue
            if not folder.is_dir():
                yield folder, _kind(folder)
            elif not os.access(folder, os.R_OK | os.X_OK):
                yield folder, "a folder that can't be read"
            for parent, folders, files in os.walk(folder):
                names = [name for name in folders if name.endswith(_ENDINGS)]
                for path in (pathlib.Path(parent) / name for name in [*files, *names]):
                    if os.path.lexists(path) and not path.is_file():
                        yield path, _kind(path)

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

    @property
    def pool(self) -> pathlib.Path:
        """Where the bridges' features and targets are kept until all bridges are trained."""
        return self.path / "checkpoints" / "pool"

    @property
    def student_pool(self) -> pathlib.Path:
        """Where the modes' answers are kept until their student is trained."""
        return self.path / "checkpoints" / "student_pool"

    def logs(self, target: pathlib.Path) -> pathlib.Path:
        """The log folder of the training whose result is `target`."""
        return self.all_logs / target.relative_to(self.path).with_suffix("")

    def checkpoints(self, target: pathlib.Path) -> pathlib.Path:
        """Where the training whose result is `target` keeps its checkpoints."""
        return self.path / "checkpoints" / target.relative_to(self.path).with_suffix("")


def _kind(path: pathlib.Path) -> str:
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        return "a link that leads nowhere"
    return kind_of(found)
