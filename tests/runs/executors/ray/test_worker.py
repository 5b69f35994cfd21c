"""A task done in a folder of its own, in this process; no Ray takes part."""

import pytest

from bridge_tf.config import Config
from bridge_tf.runs.context import Run
from bridge_tf.runs.executors.ray.worker import outbox, work
from bridge_tf.runs.task_graph import Task
from bridge_tf.runs.work_dir import WorkDir, versions
from bridge_tf.utils.files import sha256
from tests.extras import needs
from tests.runs.small import executed

pytestmark = [needs("fsspec"), pytest.mark.integration]

SETTINGS = {
    **{"num_modes": 2, "mode_epochs": 1, "curve_epochs": 1, "bridge_epochs": 1},
    **{"model": "resnet8", "width": 0.25, "norm": "batch", "max_images": 128, "batch_size": 32},
    **{"jit_compile": "false", "warmup_epochs": 0.5},
}


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The local executor's run."""
    run = executed(
        Config(**SETTINGS), tmp_path_factory.mktemp("local") / "run", ["modes", "curves"]
    )
    return run


def ordered(local: Run, task: str, storage, names=(), **changes) -> dict:
    known = local.files.manifest.read()["files"]
    order = {
        "config": local.config.to_json(),
        "task": task,
        "storage": str(storage),
        "entries": {name: known[name] for name in names},
        "inputs": local.inputs,
        "cwd": ".",
        "versions": versions(),
    }
    return order | changes


def test_a_curve_is_the_local_executors(local, tmp_path):
    storage, lines = WorkDir(local.files.path), []
    names = ["modes/0.keras", "modes/1.keras"]
    answer = work(ordered(local, "curve-0-1", storage.path, names), lines.append)
    entry = answer["entries"]["curves/0-1.keras"]
    assert entry == local.files.manifest.entry(storage.curve((0, 1)))
    box = storage.path / outbox(storage, Task("curve-0-1"), answer["attempt"])
    assert sha256(box / "curves" / "0-1.keras") == sha256(storage.curve((0, 1)))
    assert any("epoch 1/1" in line for line in lines)
    local.files.remove_checkpoints(storage.curve((0, 1)))


def test_a_training_goes_on_from_what_another_node_has_left(local, tmp_path, monkeypatch):
    """The first node dies when its result is to be written; the second one trains nothing."""
    order = ordered(local, "mode-1", tmp_path / "there")
    with monkeypatch.context() as context:
        context.setattr("bridge_tf.runs.stages.training.write_model", _dies)
        assert work(order, print) == {"error": "MemoryError: no more", "input": False}
    assert (tmp_path / "there/checkpoints/modes/1/epoch-1.npz").exists()
    steps = []
    monkeypatch.setattr("keras.Model.train_step", lambda *arguments: steps.append(1))
    answer = work(order, print)
    assert answer["entries"]["modes/1.keras"]["sha256"] == sha256(local.files.mode(1))
    assert not steps


def _dies(model, path):
    raise MemoryError("no more")


def test_other_data_on_a_node_are_refused(local, tmp_path):
    answer = work(ordered(local, "mode-0", tmp_path, inputs={"dataset": "0"}), print)
    assert answer == {
        "error": "`dataset`: isn't on this node what it is where the run was started",
        "input": True,
    }


def test_other_versions_on_a_node_are_refused(local, tmp_path):
    other = versions() | {"keras": "3.0"}
    answer = work(ordered(local, "mode-0", tmp_path, versions=other), print)
    assert answer["input"]
    assert answer["error"].endswith("the run was started with 3.0; install the same on each node")


def test_a_file_that_is_damaged_on_its_way_is_named(local, tmp_path):
    storage = tmp_path / "there"
    (storage / "modes").mkdir(parents=True)
    for k in range(2):
        (storage / "modes" / f"{k}.keras").write_bytes(b"half")
    names = ["modes/0.keras", "modes/1.keras"]
    answer = work(ordered(local, "curve-0-1", storage, names), print)
    assert answer == {
        "error": f"{storage}: modes/0.keras isn't as it was written",
        "input": False,
    }
