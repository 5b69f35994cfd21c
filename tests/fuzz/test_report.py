"""Reports of any content: one that can be shown, or what is wrong with it."""

import json
import pathlib
import tempfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge_tf.report.markdown import render_markdown, render_table
from bridge_tf.report.reader import read_report
from bridge_tf.utils.errors import InputError
from tests.fuzz.examples import json_values, search, spoilt, spoilt_json

_FIGURES = "accuracy nll brier ece temperature calibrated_nll calibrated_brier calibrated_ece"
_ROW = dict.fromkeys(f"relative_flops relative_params {_FIGURES}".split(), 0.25)
# As a run wrote it, less most of its digits.
REPORT = {
    "schema": 1,
    "warnings": ["one network is wrong on 5 of the 64 validation images"],
    "dataset": {
        **{"name": "digits", "num_train": 64, "num_validation": 64, "num_test": 64},
        "num_classes": 10,
    },
    "base": {"params": 5226, "flops": 111476},
    "ensembles": [
        {**_ROW, "name": "single", "method": "single", "size": 1} | {"dee": 1.0},
        {**_ROW, "name": "deep_ensemble_2", "method": "deep_ensemble", "size": 2} | {"dee": None},
        {**_ROW, "name": "curve_1", "method": "curve", "size": 2} | {"dee": 3.5},
        {**_ROW, "name": "bridge_1", "method": "bridge", "size": 2} | {"dee": 1.25},
    ],
    "curves": [
        {"curve": [0, 1], "points": [{"r": r, "accuracy": 0.5, "nll": 2.5} for r in (0.0, 0.5, 1)]}
    ],
    "bridges": [
        {
            **{"curve": [0, 1], "r": 0.5, "type": 1, "taps": ["stage2_block1"], "width": 0.5},
            **{"relative_flops": 0.1, "relative_params": 0.26, "kl": 0.05, "kl_base": 0.1},
            "agreement": 0.9,
        }
    ],
}
for row in REPORT["ensembles"]:
    row["dee_extrapolated"] = row["name"] == "curve_1"
_CORRUPTED = {"accuracy": 0.5, "nll": 2.5, "calibrated_nll": 2.0, "ece": 0.25}
_LATER = {"adaptive_ece": 0.25, "calibrated_adaptive_ece": 0.25, "aurc": 0.125}
_CASCADE = {"worst_relative_flops": 2.0, "average_flops_validation": 1.25}
_CASCADE |= {"threshold": 0.75, "share_going_on": 0.25}
_POINT = {"threshold": 0.75, "share_going_on": 0.25, "average_flops": 1.25}
_POINT |= {"accuracy": 0.5, "calibrated_nll": 2.5}
# With what isn't in the contract.
MORE = {
    **REPORT,
    "average_cost": 1.25,
    "ensembles": [
        *({**row, **_LATER, "disagreement": None} for row in REPORT["ensembles"]),
        {**REPORT["ensembles"][-1], **_CASCADE, "name": "cascade_2", "method": "cascade"},
    ],
    "cascades": [{"name": "cascade_2", "points": [_POINT]}],
    "ood": {
        **{"dataset": "letters", "fingerprint": "a", "num_images": 9},
        "rows": [{"name": "single", "auroc": 0.75, "fpr95": 0.5}],
    },
    "corruptions": {
        **{"images": 9, "kinds": ["noise"]},
        "rows": [
            {
                **{"name": "single", "clean": _CORRUPTED},
                "corrupted": [{"corruption": "noise", "severity": 1, **_CORRUPTED}],
            },
            {
                **{"name": "cascade_2", "clean": {**_CORRUPTED, "relative_flops": 1.25}},
                "corrupted": [{"corruption": "noise", "severity": 1, **_CORRUPTED}],
            },
        ],
    },
}


def changed(*path, to=None) -> str:
    """The report with the value at a path replaced; left out for `...`."""
    report = json.loads(json.dumps(REPORT))
    *parents, key = path
    holder = report
    for parent in parents:
        holder = holder[parent]
    if to is ...:
        del holder[key]
    else:
        holder[key] = to
    return json.dumps(report)


def read(content: str | bytes) -> dict | None:
    """What is read of a report.json with this content; None where it is refused."""
    content = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "report.json")
        path.write_bytes(content)
        try:
            return read_report(path)
        except InputError as error:
            assert f"{path} can't be read as a report (" in str(error)
            assert str(error).endswith("; evaluate the run again")
            assert "\n" not in str(error)
            return None


def check(report: dict | None) -> None:
    if report is not None:
        for text in (render_table(report), render_markdown(report)):
            text.encode()


def test_a_report_is_read_as_it_is():
    assert read(json.dumps(REPORT)) == REPORT
    check(REPORT)
    for more in ({**REPORT, "seconds": 12.5}, MORE):
        assert read(json.dumps(more)) == more
        check(more)
    assert read(changed("warnings", to=...)) is not None


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("schema",), 2, "schema: Input should be 1; it is 2"),
        (("schema",), ..., "schema: Field required)"),
        (("base", "flops"), "many", "base.flops: Input should be a valid integer; it is 'many'"),
        (
            ("base", "params"),
            -1,
            "base.params: Input should be greater than or equal to 0; it is -1",
        ),
        (("dataset", "name"), ..., "dataset.name: Field required"),
        (("ensembles",), [], "ensembles: List should have at least 1 item after validation, not 0"),
        (
            ("ensembles", 1, "nll"),
            None,
            "ensembles[1].nll: Input should be a valid number; it is None",
        ),
        (
            ("ensembles", 0, "dee_extrapolated"),
            1,
            "dee_extrapolated: Input should be a valid boolean; it is 1",
        ),
        (
            ("ensembles", 0, "size"),
            True,
            "ensembles[0].size: Input should be a valid integer; it is True",
        ),
        (
            ("bridges", 0, "curve"),
            [0],
            "bridges[0].curve: List should have at least 2 items after validation, not 1",
        ),
        (
            ("bridges", 0, "taps"),
            "pool",
            "bridges[0].taps: Input should be a valid list; it is 'pool'",
        ),
        (
            ("curves", 0, "points", 2),
            [],
            "curves[0].points[2]: Input should be a valid dictionary; it is []",
        ),
        (("ensembles", 0, "nll"), float("nan"), "nll: Input should be a finite number; it is nan"),
        (("bridges", 0, "kl"), float("inf"), "kl: Input should be a finite number; it is inf"),
        (
            ("ensembles", 0, "nll"),
            10**400,
            "ensembles[0].nll: Input should be a valid number; it is 1000",
        ),
    ],
)
def test_what_is_wrong_is_named(path, value, words, tmp_path):
    file = tmp_path / "report.json"
    file.write_text(changed(*path, to=value))
    with pytest.raises(InputError) as info:
        read_report(file)
    assert words in str(info.value)


def test_a_report_that_is_not_there(tmp_path):
    for path in (tmp_path / "report.json", tmp_path):
        with pytest.raises(InputError, match="can't be read as a report"):
            read_report(path)


@search(60)
@given(spoilt_json(MORE))
def test_any_values_of_later_keys(content):
    check(read(content))


@search(120)
@given(spoilt_json(REPORT))
@example("[" * 100_000)
@example('{"schema": 1' + "0" * 5000 + "}")
@example(changed("dataset", "name", to="\ud800"))
@example(changed("base", "flops", to=10**400))
@example(changed("bridges", 0, "kl_base", to=5e-324))
def test_any_values(content):
    check(read(content))


@search(100)
@given(spoilt(json.dumps(REPORT, indent=2).encode()))
@example(b"\xff\xfe")
def test_any_bytes(content):
    check(read(content))


@search(100)
@given(json_values().map(json.dumps) | st.text(max_size=30))
def test_any_json(content):
    assert read(content) is None
