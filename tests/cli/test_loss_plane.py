"""The flags of the loss plane; tests/cli/test_runs.py measures one."""

import pytest

from bridge_tf.config import Config
from bridge_tf.workdir import WorkDir
from tests.commands import refused


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--loss_plane_points=2", ["3"]),
        ("--loss_plane_points=many", ["int"]),
        ("--loss_plane_images=0", ["positive"]),
        ("--loss_plane=often", ["boolean"]),
    ],
)
def test_bad_values(tmp_path, flag, words):
    line = refused("evaluate", f"--workdir={tmp_path}", flag)
    name, _, value = flag.partition("=")
    assert all(word in line for word in [name.lstrip("-"), value, *words]), line


def test_straight_lines_span_no_plane(tmp_path):
    work = WorkDir(tmp_path)
    work.claim(Config(curve_degree=1))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    line = refused("evaluate", f"--workdir={tmp_path}", "--loss_plane")
    assert "--loss_plane: " in line and "--curve_degree=2" in line
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
