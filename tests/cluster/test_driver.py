"""Which task is next, and what becomes of results; the nodes are made up, and train nothing."""

import sys

import pytest

from bridge_tf.cluster import driver as drivers
from bridge_tf.cluster.board import Board
from bridge_tf.cluster.driver import Driver
from bridge_tf.cluster.storage import Storage
from bridge_tf.cluster.worker import outbox
from bridge_tf.config import Config
from bridge_tf.errors import InputError, TrainingError
from bridge_tf.files import sha256
from bridge_tf.pipeline import Pipeline

STAGES = ("modes", "curves", "baselines")
SETTINGS = {
    **{"num_modes": 3, "model": "resnet8", "width": 0.25, "max_images": 64, "batch_size": 32},
    **{"executor": "ray", "baselines": ["fge", "swa"]},
}


class Cluster:
    """Stands for Ray: tasks are done, in their order, when they are waited for.

    Attributes:
        failing: what a task answers instead of doing something, by its name.
        done: the names of those that were done.
    """

    class exceptions:
        class RayError(Exception):
            pass

    def __init__(self, pipeline):
        self.pipeline, self.failing, self.done, self.asked = pipeline, {}, [], {}
        self._orders = {}

    def options(self, **options):
        self.asked[options["name"]] = options
        return self

    def remote(self, order, board):
        self._orders[order["task"]] = order
        return order["task"]

    def wait(self, refs, **options):
        return refs[:1], refs[1:]

    def get(self, ref):
        if ref == "lines":
            return []
        answer = self.failing.get(ref)
        if isinstance(answer, Exception):
            raise answer
        if answer:
            return answer
        self.done.append(ref)
        return {"entries": self._made(ref, self._orders[ref])}

    def _made(self, name: str, order: dict) -> dict:
        files, task = self.pipeline.files, self.pipeline.graph.tasks[name]
        place = task.file(files).relative_to(files.path).as_posix()
        made = files.path.parent / name
        made.write_text(name)
        Storage(order["storage"]).write(made, f"{outbox(files, task)}/{place}")
        sources = [path.relative_to(files.path).as_posix() for path in task.sources(files)]
        made_from = {source: order["entries"][source]["sha256"] for source in sources}
        return {place: {"sha256": sha256(made), "made_from": made_from, "retries": ["once"]}}


class Lines:
    class take:
        remote = staticmethod(lambda: "lines")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs some stages; gives the cluster and what was raised."""

    def run(failing=(), stages=STAGES, **settings):
        pipeline = Pipeline(Config(**SETTINGS | settings), tmp_path / "work")
        cluster = Cluster(pipeline)
        cluster.failing.update(failing)
        monkeypatch.setattr(drivers, "_remote", lambda ray: ray)
        monkeypatch.setattr(drivers, "_board_actor", lambda ray: Lines)
        with pipeline.prepared(stages):
            found = Driver(cluster, pipeline, sys.stdout)
            with Board(len(found.waiting), 0) as board:
                try:
                    found.run(board)
                except (InputError, TrainingError) as error:
                    return cluster, error
        return cluster, None

    return run


def test_tasks_come_after_what_they_read_and_leave_their_files(run, tmp_path, capsys):
    cluster, error = run()
    assert error is None
    assert cluster.done == [
        *("mode-0", "mode-1", "mode-2", "swa", "fge-1", "curve-0-1", "curve-0-2", "fge-2"),
    ]
    work = tmp_path / "work"
    assert (work / "curves" / "0-2.keras").read_text() == "curve-0-2"
    assert not (work / "checkpoints").exists()
    files = cluster.pipeline.files
    assert files.state(files.curve((0, 2)), [files.mode(0), files.mode(2)]) == "current"
    assert files.retries()["modes/1.keras"] == ["once"]
    assert "fge-2: done, 8 of 8" in capsys.readouterr().err
    again, error = run()
    assert error is None
    assert again.done == []


def test_a_task_that_fails_names_itself_and_the_others_are_done(run, tmp_path):
    cluster, error = run({"mode-1": {"error": "the loss is infinite", "input": False}})
    assert isinstance(error, TrainingError)
    assert str(error) == (
        "mode-1: the loss is infinite; not begun for it: curve-0-1; what is done is kept"
    )
    assert cluster.done == ["mode-0", "mode-2", "swa", "fge-1", "curve-0-2", "fge-2"]
    cluster, error = run()
    assert error is None
    assert cluster.done == ["mode-1", "curve-0-1"]


def test_bad_input_on_a_node_is_bad_input_here(run):
    _, error = run({"swa": {"error": "--dataset: isn't there", "input": True}})
    assert isinstance(error, InputError)
    assert str(error) == "swa: --dataset: isn't there; what is done is kept"


def test_a_node_that_dies_again_and_again_is_told(run):
    _, error = run({"swa": Cluster.exceptions.RayError("crashed")}, ray_retries=1)
    assert str(error) == "swa: its node or process died 2 times (crashed); what is done is kept"


def test_what_a_task_asks_for(run):
    cluster, _ = run(ray_cpus=3.0, ray_gpus=0.5, ray_memory=2.0, ray_retries=4)
    assert cluster.asked["curve-0-1"] == {
        "name": "curve-0-1",
        "num_cpus": 3.0,
        "num_gpus": 0.5,
        "memory": 2 * 2**30,
        "max_retries": 4,
    }


def test_a_storage_elsewhere_gets_what_tasks_read_and_all_in_the_end(run, tmp_path):
    there = tmp_path / "there"
    _, error = run(storage=str(there))
    assert error is None
    work = tmp_path / "work"
    names = {path.relative_to(work) for path in work.rglob("*") if path.is_file()}
    names = {name for name in names if not name.name.startswith(".")}
    assert {path.relative_to(there) for path in there.rglob("*") if path.is_file()} == names


def test_stages_whose_sources_are_not_there_are_refused(run, tmp_path):
    _, error = run(stages=["curves"])
    assert "--stages=curves: " in str(error)
    assert "run --stages=modes first" in str(error)
    assert not (tmp_path / "work").exists()
