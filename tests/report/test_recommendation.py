import pytest

from bridge_tf.report.recommendation import recommendation

FOUND = {
    "name": "single",
    "best": "bridge_2",
    "budget": {"flops": 1.25},
    "is_bridge_ensemble": False,
    "relative_flops": 1.0,
    "average_flops": 1.0,
    "accuracy": 0.98765,
    "calibrated_nll": 0.04321,
    "intervals": {"accuracy": [0.975, 0.9925], "calibrated_nll": [0.03, 0.0625], "dee": None},
}


def text(**changes) -> str:
    return "".join(piece for piece, _ in recommendation({"recommendation": FOUND | changes}))


def test_the_sentence_names_the_row_its_budget_and_its_figures():
    assert text() == (
        "Within 1.25 × the FLOPs of one network on average, choose single, which isn't a bridge "
        "ensemble: on the test images it has 98.77 % accuracy (97.50 … 99.25) and a calibrated NLL "
        "of 0.0432 (0.0300 … 0.0625), at 1.00 × the FLOPs. On the validation images bridge_2 is "
        "better, but by no more than chance. "
    )
    assert [piece for piece, bold in recommendation({"recommendation": FOUND}) if bold] == [
        "single"
    ]


def test_a_bridge_ensemble_that_is_best():
    found = text(name="bridge_2", is_bridge_ensemble=True)
    assert "choose bridge_2: on the test images" in found
    assert found.endswith("at 1.00 × the FLOPs. ")


def test_the_cost_of_a_cascade_is_that_of_both_splits():
    found = text(name="cascade_2", relative_flops=1.305, average_flops=1.2449)
    assert ", at 1.30 × the FLOPs (1.24 × on the validation images). " in found


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"worst_flops": 2.5}, "2.5 × for the image that costs most"),
        ({"params": 1.5}, "1.5 × the parameters"),
        ({"bytes": 1_000_000}, "1,000,000 bytes of float32 weights"),
    ],
)
def test_each_limit_is_named(limit, said):
    assert f"on average, {said}, choose" in text(budget={"flops": 1.25, **limit})


def test_no_row_is_within_the_budget():
    report = {"recommendation": {"name": None, "budget": {"flops": 1.25, "bytes": 9}}}
    assert recommendation(report) == [
        (
            "No way of ensembling is within 1.25 × the FLOPs of one network on average, 9 bytes of "
            "float32 weights. ",
            False,
        )
    ]


def test_an_older_report_has_none():
    assert recommendation({}) == []
