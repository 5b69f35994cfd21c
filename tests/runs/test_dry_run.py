import pytest

from bridge_tf.config import Config
from bridge_tf.runs.context import Run
from bridge_tf.runs.dry_run import Plan, _flops
from bridge_tf.utils.errors import InputError

SETTINGS = {
    **{"num_modes": 3, "mode_epochs": 1, "curve_epochs": 1, "bridge_epochs": 1},
    **{"model": "resnet8", "width": 0.25, "norm": "batch", "max_images": 128, "batch_size": 32},
    **{"jit_compile": "false", "warmup_epochs": 0.5},
}
MADE = ("modes", "curves", "bridges")


@pytest.fixture
def run(tmp_path):
    """A run whose files hold nothing but have their places in the manifest."""
    settings = SETTINGS | {"export_dir": str(tmp_path / "exports")}
    run = Run(Config(**settings), tmp_path / "work")
    files = run.files
    files.claim(run.config)
    for task in run.graph.tasks.values():
        if task.stage in MADE:
            with files.writing(task.file(files), task.sources(files)) as partial:
                partial.write_text(task.name)
    return run


def states(run) -> dict:
    return Plan(Run(Config(**run.config.to_json()), run.files.path)).states


def test_a_run_that_is_not_begun_is_all_to_do_and_nothing_is_written(tmp_path):
    plan = Plan(Run(Config(**SETTINGS), tmp_path / "work"))
    assert {*plan.states.values()} == {"to do"}
    text = plan.text()
    # Three modes, two curves and two bridges of 128 // 32 steps.
    assert "To do: 10 of 10 tasks, 28 steps, " in text
    assert "The longest chain, mode-0 → curve-0-1 → bridge-0-1 → ensemble → evaluate, " in text
    assert not (tmp_path / "work").exists()


def test_what_is_done_and_what_is_not(run):
    before = {path: path.read_bytes() for path in run.files.path.rglob("*") if path.is_file()}
    found = states(run)
    assert {name for name, state in found.items() if state == "to do"} == {"evaluate", "export"}
    assert {name for name, state in found.items() if state == "done"} == {
        *("mode-0", "mode-1", "mode-2", "curve-0-1", "curve-0-2"),
        *("bridge-0-1", "bridge-0-2", "ensemble"),
    }
    after = {path: path.read_bytes() for path in run.files.path.rglob("*") if path.is_file()}
    assert after == before


def test_what_is_missing_and_what_is_damaged(run):
    files = run.files
    mode, bridge = files.mode(2), files.bridge((0, 1))
    mode.unlink()
    bridge.write_bytes(b"other")
    found = states(run)
    assert found["mode-2"] == "to do"
    assert found["curve-0-2"] == found["bridge-0-2"] == "to check"
    assert found["bridge-0-1"] == "damaged"
    assert found["curve-0-1"] == found["mode-1"] == "done"
    text = Plan(Run(run.config, files.path, MADE)).text()
    assert "`repair` makes what is damaged or outdated again: bridge-0-1." in text


def test_stages_that_are_not_there_are_refused(run):
    with pytest.raises(InputError, match="`stages=mode`: name one or more of modes"):
        Plan(Run(run.config, run.files.path, ["mode"]))


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 "), (999, "999 "), (1250, "1.25 k"), (10**12, "1 T"), (10**21, "1e+03 E")],
)
def test_numbers_are_short(number, text):
    assert _flops(number) == text
