import pytest

from bridge_tf.config import STAGES, Config
from bridge_tf.runs.run_files import RunFiles
from bridge_tf.runs.task_graph import Task, TaskGraph


def after(graph: TaskGraph) -> dict:
    return {name: task.after for name, task in graph.tasks.items()}


def test_bridges_follow_their_curves_and_these_their_modes():
    assert after(TaskGraph(Config(num_modes=3))) == {
        "mode-0": (),
        "mode-1": (),
        "mode-2": (),
        "curve-0-1": ("mode-0", "mode-1"),
        "curve-0-2": ("mode-0", "mode-2"),
        "bridge-0-1": ("mode-0", "mode-1", "curve-0-1"),
        "bridge-0-2": ("mode-0", "mode-2", "curve-0-2"),
        "ensemble": ("mode-0", "bridge-0-1", "bridge-0-2"),
        "evaluate": (
            *("mode-0", "mode-1", "mode-2", "curve-0-1", "curve-0-2"),
            *("bridge-0-1", "bridge-0-2", "ensemble"),
        ),
        "export": ("ensemble",),
    }


def test_type_2_has_all_pairs_and_its_ensemble_all_modes():
    graph = TaskGraph(Config(num_modes=3, bridge_type=2))
    assert [task.modes for task in graph.of("curves")] == [(0, 1), (0, 2), (1, 2)]
    assert graph.tasks["ensemble"].after[:3] == ("mode-0", "mode-1", "mode-2")


def test_baselines_come_from_modes_where_they_do():
    names = ["fge", "swa", "distillation", "deep_ensemble", "curve"]
    graph = TaskGraph(Config(num_modes=3, baselines=names))
    assert {task.name: task.after for task in graph.of("baselines")} == {
        "fge-1": ("mode-0",),
        "fge-2": ("fge-1",),
        "swa": (),
        "distillation": ("mode-0", "mode-1", "mode-2"),
    }
    assert {"fge-2", "swa", "distillation"} < {*graph.tasks["evaluate"].after}
    assert TaskGraph(Config(num_modes=3), ["swa"]).of("baselines") == [Task("swa")]


@pytest.mark.parametrize("bridge_type", [1, 2])
def test_a_task_comes_after_those_that_it_needs_and_each_has_a_stage(bridge_type):
    config = Config(num_modes=5, bridge_type=bridge_type, baselines=["fge", "mimo"])
    seen = set()
    for task in TaskGraph(config).tasks.values():
        assert {*task.after} <= seen
        assert task.stage in STAGES
        seen.add(task.name)


def test_files_of_a_task(tmp_path):
    files = RunFiles(tmp_path)
    bridge = TaskGraph(Config(num_modes=2)).tasks["bridge-0-1"]
    assert bridge.file(files) == files.bridge((0, 1))
    assert bridge.sources(files) == [files.mode(0), files.mode(1), files.curve((0, 1))]
    assert Task("mc_dropout").file(files) == files.baseline("mc_dropout")
    assert Task("evaluate").file(files) is None


def test_what_trains():
    graph = TaskGraph(Config(num_modes=2, baselines=["swa"]))
    trainings = [task.name for task in graph.tasks.values() if task.is_training]
    assert trainings == ["mode-0", "mode-1", "curve-0-1", "bridge-0-1", "swa"]
