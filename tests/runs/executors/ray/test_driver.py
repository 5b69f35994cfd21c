"""Which task is next, and what becomes of results; the nodes are made up, and train nothing."""

import contextlib
import sys

import pytest

from bridge_tf.config import Config
from bridge_tf.runs.context import Run
from bridge_tf.runs.executors.ray import driver as drivers
from bridge_tf.runs.executors.ray import executor
from bridge_tf.runs.executors.ray.storage import Storage
from bridge_tf.runs.executors.ray.worker import outbox
from bridge_tf.utils.errors import InputError, TrainingError
from bridge_tf.utils.files import sha256
from tests.extras import needs

pytestmark = needs("fsspec")

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

        class RayTaskError(RayError):
            cause = ImportError("no bridge_tf")

        class WorkerCrashedError(RayError):
            pass

        NodeDiedError = OutOfMemoryError = WorkerCrashedError

    def __init__(self, run):
        self.run, self.failing, self.done, self.asked = run, {}, [], {}
        self._orders = {}

    def options(self, **options):
        self.asked[options["name"]] = options
        return self

    def refuse(self, name: str):
        raise ValueError(f"not {name}")

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
        return {"entries": self._made(ref, self._orders[ref]), "attempt": "first"}

    def _made(self, name: str, order: dict) -> dict:
        files, task = self.run.files, self.run.graph.tasks[name]
        place = task.file(files).relative_to(files.path).as_posix()
        made = files.path.parent / name
        made.write_text(name)
        Storage(order["storage"]).write(made, f"{outbox(files, task, 'first')}/{place}")
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
        made = Run(Config(**SETTINGS | settings), tmp_path / "work", stages)
        cluster = Cluster(made)
        cluster.failing.update(failing)
        monkeypatch.setattr(drivers, "remote_work", lambda ray: ray)
        monkeypatch.setattr(drivers, "lines_of_tasks", lambda ray: Lines)
        monkeypatch.setattr(executor, "_ray", lambda: cluster)
        monkeypatch.setattr(executor, "_connected", lambda *_: contextlib.nullcontext(sys.stdout))
        monkeypatch.setattr(executor, "_say_what_is_there", lambda *_: None)
        try:
            executor.execute_on_ray(made)
        except (InputError, TrainingError) as error:
            return cluster, error
        return cluster, None

    return run


def test_tasks_come_after_what_they_read_and_leave_their_files(run, tmp_path, caplog):
    caplog.set_level("INFO", "bridge_tf")
    cluster, error = run()
    assert error is None
    assert cluster.done == [
        *("mode-0", "mode-1", "mode-2", "swa", "fge-1", "curve-0-1", "curve-0-2", "fge-2"),
    ]
    work = tmp_path / "work"
    assert (work / "curves" / "0-2.keras").read_text() == "curve-0-2"
    assert not (work / "checkpoints").exists()
    files = cluster.run.files
    assert files.state(files.curve((0, 2)), [files.mode(0), files.mode(2)]) == "current"
    assert files.retries()["modes/1.keras"] == ["once"]
    assert "fge-2: done, 8 of 8" in caplog.messages
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
    _, error = run({"swa": {"error": "`dataset`: isn't there", "input": True}})
    assert isinstance(error, InputError)
    assert str(error) == "swa: `dataset`: isn't there; what is done is kept"


def test_a_node_that_dies_again_and_again_is_told(run):
    _, error = run({"swa": Cluster.exceptions.WorkerCrashedError("crashed")}, ray_retries=1)
    assert str(error) == "swa: its node or process died 2 times (crashed); what is done is kept"


def test_a_node_without_the_package_is_told(run):
    _, error = run({"swa": Cluster.exceptions.RayTaskError("long")})
    assert str(error) == "swa: on its node, ImportError: no bridge_tf; what is done is kept"


@pytest.mark.integration
def test_a_cluster_that_is_lost_ends_the_run(run):
    cluster, error = run({"mode-1": Cluster.exceptions.RayError("gone")})
    assert "the cluster, or this machine's node in it, is lost (gone)" in str(error)
    assert cluster.done == ["mode-0"]


def test_what_cannot_be_handed_out_fails_alone(run, monkeypatch):
    monkeypatch.setattr(
        Cluster, "options", lambda cluster, **options: cluster.refuse(options["name"])
    )
    _, error = run()
    assert str(error).startswith("mode-0: ValueError: not mode-0; mode-1: ValueError: not mode-1;")


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


@pytest.mark.parametrize("change", [{"seed": 1}, {"learning_rate": 0.2}])
def test_the_storage_of_another_run_is_refused(run, tmp_path, change):
    there = tmp_path / "there"
    run(storage=str(there), stages=["modes"])
    held = {path: path.read_bytes() for path in there.rglob("*") if path.is_file()}
    for path in (tmp_path / "work").rglob("*"):
        path.is_file() and path.unlink()
    _, error = run(storage=str(there), **change)
    assert str(error) == (
        f"`storage={there}`: holds a run with other settings or data; name another place"
    )
    assert {path: path.read_bytes() for path in there.rglob("*") if path.is_file()} == held
    assert not any(path.is_file() for path in (tmp_path / "work").rglob("*"))


def test_places_inside_each_other_are_refused(run, tmp_path):
    for place in (tmp_path, tmp_path / "work" / "there"):
        _, error = run(storage=str(place))
        assert "are inside each other; name another place" in str(error)
        assert not (tmp_path / "work").exists()
    cluster, error = run(storage=str(tmp_path / "other" / ".." / "work"))
    assert error is None
    assert len(cluster.done) == 8


def test_a_storage_that_cannot_be_written_is_refused(run, tmp_path):
    (tmp_path / "file").write_text("")
    _, error = run(storage=str(tmp_path / "file"))
    assert f"`storage={tmp_path / 'file'}`: can't be written and read" in str(error)
    assert not (tmp_path / "work").exists()


def test_what_a_task_that_failed_had_got_to_comes_back(run, tmp_path):
    there = tmp_path / "there"
    kept = there / "checkpoints" / "modes" / "1" / "epoch-3.npz"
    kept.parent.mkdir(parents=True)
    kept.write_text("state")
    run({"mode-1": {"error": "power", "input": False}}, storage=str(there))
    assert (tmp_path / "work/checkpoints/modes/1/epoch-3.npz").read_text() == "state"
    cluster, error = run()
    assert error is None
    assert cluster.done == ["mode-1", "curve-0-1"]


@pytest.mark.parametrize("stage", ["evaluate", "export"])
def test_nothing_is_written_where_nothing_is_trained(run, tmp_path, stage):
    _, error = run(stages=[stage])
    assert "run `stages=modes,curves,bridges` first" in str(error)
    assert not (tmp_path / "work").exists()


def test_a_stage_without_tasks_does_nothing(run):
    cluster, error = run(stages=["baselines"], baselines=[])
    assert error is None
    assert cluster.done == []


def test_stages_whose_sources_are_not_there_are_refused(run, tmp_path):
    _, error = run(stages=["curves"])
    assert "`stages=curves`: " in str(error)
    assert "run `stages=modes` first" in str(error)
    assert not (tmp_path / "work").exists()
