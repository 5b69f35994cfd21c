import json

from bridge_tf.runs.report_log import log_report
from bridge_tf.training.callbacks.history import read_histories
from bridge_tf.training.callbacks.tensorboard import TrainingLog
from tests.training.callbacks.logs import scalars, small_model, train

REPORT = {
    "curves": [
        {
            "curve": [0, 1],
            "points": [
                {"r": 0.0, "accuracy": 0.75, "nll": 1.5},
                {"r": 1 / 3, "accuracy": 0.5, "nll": 2.0},
            ],
        }
    ],
    "bridges": [
        {"curve": [0, 1], "r": 0.25, "kl": 0.25, "kl_base": 0.5, "agreement": 0.875},
        {"curve": [0, 1], "r": 0.29, "kl": 0.125, "kl_base": 0.5, "agreement": 1.0},
    ],
    "ensembles": [
        {
            "name": "bridge_2",
            "size": 3,
            "accuracy": 0.75,
            "nll": 0.5,
            "calibrated_nll": 0.25,
            "brier": 0.125,
            "ece": 0.0625,
            "calibrated_ece": 0.03125,
            "dee": None,
            "relative_flops": 1.25,
        }
    ],
}

LINES = [
    {
        "curve": [0, 1],
        "points": [
            {"r": 0.0, "accuracy": 0.75, "nll": 1.5},
            {"r": 1 / 3, "accuracy": None, "nll": None},  # no number
        ],
    }
]


def evaluated(logs) -> dict:
    return {run: scalars(logs / run) for run in ("curves/0-1", "bridges/0-1", "evaluate/bridge_2")}


def test_an_evaluation_is_logged_in_the_runs_of_the_trainings(tmp_path):
    with TrainingLog(tmp_path / "curves" / "0-1", 8) as log:
        train(log, small_model(), {0: 2.0})
    log_report(tmp_path, REPORT, LINES)
    found = evaluated(tmp_path)
    assert found["curves/0-1"].pop("loss") == [(1, 2.0)]
    for tag in ("accuracy", "learning_rate", "images_per_second"):
        del found["curves/0-1"][tag]
    assert found == {
        "curves/0-1": {
            "along_curve/nll": [(0, 1.5), (333, 2.0)],
            "along_curve/accuracy": [(0, 0.75), (333, 0.5)],
            "along_line/nll": [(0, 1.5)],
            "along_line/accuracy": [(0, 0.75)],
        },
        "bridges/0-1": {
            "bridge/kl": [(250, 0.25), (290, 0.125)],
            "bridge/kl_base": [(250, 0.5), (290, 0.5)],
            "bridge/agreement": [(250, 0.875), (290, 1.0)],
        },
        "evaluate/bridge_2": {
            "ensemble/accuracy": [(3, 0.75)],
            "ensemble/nll": [(3, 0.5)],
            "ensemble/calibrated_nll": [(3, 0.25)],
            "ensemble/brier": [(3, 0.125)],
            "ensemble/ece": [(3, 0.0625)],
            "ensemble/calibrated_ece": [(3, 0.03125)],
            "ensemble/relative_flops": [(3, 1.25)],
        },
    }
    # What is measured isn't taken for what was trained.
    assert set(read_histories(tmp_path)) == {"curves/0-1"}
    assert not any("/" in tag for tag in read_histories(tmp_path)["curves/0-1"])


def test_another_evaluation_replaces_the_first(tmp_path):
    log_report(tmp_path, REPORT)
    other = json.loads(json.dumps(REPORT))
    other["ensembles"][0] |= {"name": "../../escaped", "dee": 2.5}
    del other["bridges"][1]
    log_report(tmp_path, other)
    assert scalars(tmp_path / "evaluate" / "______escaped")["ensemble/dee"] == [(3, 2.5)]
    assert scalars(tmp_path / "bridges" / "0-1")["bridge/kl"] == [(250, 0.25)]
    assert not list((tmp_path / "evaluate" / "bridge_2").iterdir())
    log_report(tmp_path, REPORT)
    log_report(tmp_path, REPORT)
    assert [len(points) for tags in evaluated(tmp_path).values() for points in tags.values()] == [
        *[2] * 5,
        *[1] * 7,
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bridges", "curves", "evaluate"]
