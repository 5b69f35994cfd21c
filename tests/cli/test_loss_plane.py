"""The flags of the loss plane; tests/cli/test_runs.py measures one."""

import keras
import pytest

from bridge_tf import Curve, InputError
from bridge_tf.config import Config
from bridge_tf.runs.context import Run
from bridge_tf.runs.runner import measure_again
from bridge_tf.runs.stages.evaluate import stage
from bridge_tf.runs.stages.evaluate.pages import _loss_planes
from bridge_tf.runs.work_dir import WorkDir
from tests.commands import refused


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--loss_plane_points=2", ["3"]),
        ("--loss_plane_points=many", ["must be a whole number"]),
        ("--loss_plane_images=0", ["at least 1"]),
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


@pytest.mark.parametrize("flag", ["--loss_plane_points=9", "--loss_plane_images=9"])
def test_settings_of_a_plane_that_is_not_asked_for_are_refused(tmp_path, flag):
    assert "--loss_plane is measured" in refused("evaluate", f"--workdir={tmp_path}", flag)


def test_what_is_known_of_a_plane_decides_whether_it_is_shown(tmp_path, caplog):
    run = Run(Config(num_modes=2), tmp_path)
    files = run.files
    plane, curve = files.loss_plane((0, 1)), files.curve((0, 1))
    files.claim(run.config)

    def write(path, text, sources=()):
        with files.writing(path, sources) as partial:
            partial.write_text(text)

    def said() -> str:
        text = caplog.text
        caplog.clear()
        return text

    assert _loss_planes(run) == [] and not said()
    write(curve, "curve")
    write(plane, "plane", [curve])
    assert _loss_planes(run) == [plane] and not said()
    write(curve, "trained again")
    assert _loss_planes(run) == []
    assert f"WARNING: {plane} isn't of {curve} as it is now" in said()
    write(plane, "plane", [curve])
    plane.write_text("changed by hand")
    assert _loss_planes(run) == []
    assert f"WARNING: {plane} was changed and is left out" in said()
    files.manifest.remove(plane)
    assert _loss_planes(run) == []
    assert f"{plane} isn't of" in said()


def test_a_plane_is_refused_before_anything_is_measured(tmp_path, monkeypatch):
    run = Run(Config(num_modes=2), tmp_path)
    ends = [keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]) for _ in range(2)]
    monkeypatch.setattr(stage, "check_trained", lambda run, name: None)
    monkeypatch.setattr(run, "load_curve", lambda pair: Curve.between(*ends))
    monkeypatch.setattr(stage, "remeasure", lambda run: pytest.fail("measured"))
    with pytest.raises(InputError, match=r"`loss_plane`: .*line between its ends"):
        measure_again(run, (3, 10))
    assert not list(tmp_path.iterdir())
