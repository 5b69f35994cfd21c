"""Runs whose bridges predict modes, without curves."""

import json

import keras
import pytest

from bridge_tf.config import Config
from bridge_tf.evaluation import metrics
from bridge_tf.evaluation.scores import log_prob_predictor
from bridge_tf.networks.flops import count_flops
from bridge_tf.runs.rows import row_ensemble
from bridge_tf.runs.stages.evaluate.stage import reevaluate
from bridge_tf.runs.task_graph import TaskGraph
from bridge_tf.utils.errors import InputError
from tests.runs.small import SMALL, executed

STAGES = ("modes", "curves", "bridges", "evaluate")
TARGETS = ("mode", "ensemble")


def config_of(target: str, **settings) -> Config:
    return Config(num_modes=3, bridge_target=target, **settings)


def test_bridges_follow_modes_alone():
    assert not TaskGraph(config_of("mode")).of("curves")
    bridges = {task.name: task.after for task in TaskGraph(config_of("mode")).of("bridges")}
    assert bridges["bridge-0-2"] == ("mode-0", "mode-2")
    graph = TaskGraph(config_of("ensemble", distil_base=True))
    modes = ("mode-0", "mode-1", "mode-2")
    assert [task.after for task in graph.of("bridges")] == [
        *(modes, ("base", *modes), ("base", "bridge-0-1"))
    ]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("settings", [{"r": 0.75}, {"bridge_type": 2}, {"conditioned": True}])
def test_what_only_curves_have_is_refused(target, settings):
    (name,) = settings
    with pytest.raises(InputError, match=f"`{name}=.*`: needs `bridge_target=curve`"):
        config_of(target, **settings)


@pytest.fixture(scope="module", params=TARGETS)
def run(request, tmp_path_factory):
    config = config_of(request.param, taps=("stage2_block1",), **SMALL)
    return executed(config, tmp_path_factory.mktemp(request.param) / "run", STAGES)


@pytest.mark.integration
def test_a_run_without_curves(run):
    alone = run.config.bridge_target == "ensemble"
    assert not [*run.files.path.glob("curves/*")]
    report = json.loads(run.files.report.read_text())
    rows = {row["name"]: row for row in report["ensembles"]}
    assert not report["curves"] and not any("curve" in name for name in rows)
    assert ("bridge_2" in rows) == (not alone)

    # The targets are the modes themselves.
    images = run.data.test.images
    modes = [log_prob_predictor(run.load_mode(k))(images) for k in range(3)]
    wanted = [metrics.ensemble_log_probs(modes)] if alone else modes[1:]
    ensemble = row_ensemble(run, "bridge_1" if alone else "bridge_2")
    predicted = log_prob_predictor(ensemble)(images)[1:]
    for row, target, bridge in zip(report["bridges"], wanted, predicted, strict=True):
        assert row["target"] == run.config.bridge_target
        assert row["kl"] == pytest.approx(metrics.kl_divergence(target, bridge), abs=1e-5)
        assert row["kl_base"] == pytest.approx(metrics.kl_divergence(target, modes[0]), abs=1e-5)

    base, bridge = run.load_mode(0), ensemble.bridges[0]
    front = keras.Model(base.input, base.get_layer("stage2_block1").output)
    networks, teachers = (3, 3) if alone else (2, 1)
    step = count_flops(front) + teachers * count_flops(base) + 3 * count_flops(bridge)
    cost = networks + step / (3 * count_flops(base))
    assert rows["bridge_1"]["training_cost"] == pytest.approx(cost)

    page = (run.files.path / "report.md").read_text()
    assert "Along the curves" not in page and ("| all modes |" in page) == alone
    assert 'id="curves"' not in (run.files.path / "report.html").read_text()


@pytest.mark.integration
def test_a_loss_plane_needs_a_curve(run):
    with pytest.raises(InputError, match=r"`loss_plane`: .* has no curves"):
        reevaluate(run, (3, 8))
