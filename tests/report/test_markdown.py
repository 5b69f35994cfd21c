import copy

import pytest

from bridge_tf.report import render_markdown, render_table


def row(name, method, size, flops, params, accuracy, calibrated_nll, dee, extrapolated=False):
    return {
        "name": name,
        "method": method,
        "size": size,
        "relative_flops": flops,
        "relative_params": params,
        "accuracy": accuracy,
        "nll": calibrated_nll + 0.01,
        "brier": calibrated_nll / 2,
        "ece": 0.0234,
        "temperature": 1.1,
        "calibrated_nll": calibrated_nll,
        "calibrated_brier": calibrated_nll / 2,
        "calibrated_ece": 0.0123,
        "dee": dee,
        "dee_extrapolated": extrapolated,
    }


@pytest.fixture
def report():
    return {
        "schema": 1,
        "dataset": {
            "name": "digits",
            "num_train": 1077,
            "num_validation": 120,
            "num_test": 600,
            "num_classes": 10,
        },
        "base": {"params": 78090, "flops": 1575980},
        "ensembles": [
            row("single", "single", 1, 1.0, 1.0, 0.95, 0.2, 1.0),
            row("deep_ensemble_2", "deep_ensemble", 2, 2.0, 2.0, 0.97, 0.1, 2.0),
            row("bridge_1", "bridge", 2, 1.1, 1.15, 0.96, 0.15, 1.5),
            row("bridge_2", "bridge", 3, 1.2, 1.3, 0.965, 0.08, 2.2, True),
        ],
        "curves": [
            {
                "curve": [0, 1],
                "points": [
                    {"r": 0.0, "accuracy": 0.95, "nll": 0.21},
                    {"r": 0.5, "accuracy": 0.9625, "nll": 0.17},
                ],
            }
        ],
        "bridges": [
            {
                "curve": [0, 1],
                "r": 0.5,
                "type": 1,
                "taps": ["stage2_block1", "stage3_block1"],
                "width": 0.5,
                "relative_flops": 0.1,
                "relative_params": 0.15,
                "kl": 0.05,
                "kl_base": 0.2,
                "agreement": 0.9875,
            }
        ],
    }


def cells(text, heading):
    """Rows, heading included, of the Markdown table whose first heading is given."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    table, inside = [], False
    for line in lines:
        values = [cell.strip() for cell in line.strip("|").split("|")]
        if set(line) <= set("|-: "):
            continue
        if values[0] in ("ensemble", "bridge", "curve", "probabilities of"):
            inside = values[: len(heading)] == heading
        if inside:
            table.append(values)
    return table


def test_table_in_full(report):
    table = cells(render_table(report), ["ensemble"])
    assert table[0] == [
        "ensemble", "members", "FLOPs ×", "params ×", "accuracy %", "NLL", "cal. NLL", "Brier",
        "ECE %", "cal. ECE %", "DEE",
    ]  # fmt: skip
    assert table[1:] == [
        "single 1 1.00 1.00 95.00 0.2100 0.2000 0.1000 2.34 1.23 1.00".split(),
        "deep_ensemble_2 2 2.00 2.00 97.00 0.1100 0.1000 0.0500 2.34 1.23 2.00".split(),
        "bridge_1 2 1.10 1.15 96.00 0.1600 0.1500 0.0750 2.34 1.23 1.50".split(),
        "bridge_2 3 1.20 1.30 96.50 0.0900 0.0800 0.0400 2.34 1.23 2.20*".split(),
    ]


def test_table_is_aligned_for_the_terminal(report):
    lines = render_table(report).splitlines()
    assert len({len(line) for line in lines}) == 1
    bars = [[k for k, letter in enumerate(line) if letter == "|"] for line in lines]
    assert all(places == bars[0] for places in bars)
    assert "**" not in render_table(report)


def test_page_marks_the_best_of_each_column(report):
    for page_row in cells(render_markdown(report), ["ensemble"])[1:]:
        bold = [value for value in page_row if value.startswith("**")]
        expected = {
            # The DEE of bridge_2 is extrapolated, so that it is best beside none that is measured.
            "deep_ensemble_2": ["**97.00**", "**2.34**", "**1.23**", "**2.00**"],
            "bridge_2": ["**0.0900**", "**0.0800**", "**0.0400**", "**2.34**", "**1.23**"],
        }
        # All rows share the calibration errors: each is the best.
        assert bold == expected.get(page_row[0], ["**2.34**", "**1.23**"])


def test_temperatures_are_told_with_the_likeliest_where_that_is_known(report):
    report["ensembles"][0]["temperature_ml"] = 0.81249
    table = cells(render_markdown(report), ["probabilities of"])
    assert table[0] == ["probabilities of", "T", "T, max. likelihood"]
    assert table[1] == ["single", f"{report['ensembles'][0]['temperature']:.3f}", "0.812"]
    assert [row[2] for row in table[2:]] == ["–"] * 3


def test_missing_figures_are_dashes(report):
    for ensemble in report["ensembles"]:
        ensemble.update(dee=None, dee_extrapolated=False)
    report["ensembles"][0]["ece"] = None
    report["bridges"][0].update(width=None, kl=None, agreement=None)
    report["curves"][0]["points"][1]["nll"] = None
    page = render_markdown(report)
    assert [line[-1] for line in cells(page, ["ensemble"])[1:]] == ["–"] * 4
    assert cells(page, ["ensemble"])[1][8] == "–"
    bridge = cells(page, ["bridge", "curve", "r"])[1]
    assert [bridge[k] for k in (5, 8, 9, 10, 11)] == ["–", "–", "0.2000", "–", "–"]
    assert cells(page, ["curve", "r", "accuracy %"])[2][3] == "–"


def test_page_says_what_won_what_at_which_cost(report):
    page = render_markdown(report)
    assert page.startswith("# Bridge ensembles on digits\n")
    assert "1,077 training, 120 validation and 600 test images of 10 classes" in page
    assert "78,090 parameters and takes 1.58 million FLOPs" in page
    assert (
        "**bridge_2** has a calibrated NLL of 0.0800 and 96.50 % accuracy at 1.20 × the FLOPs of "
        "one network, which has 0.2000 and 95.00 %. No plain deep ensemble that was measured, of "
        "up to 2 networks, has so low a calibrated NLL."
    ) in page


@pytest.mark.parametrize(
    ("dee", "extrapolated", "said"),
    [
        (1.5, False, " A plain deep ensemble needs 1.50 networks for that calibrated NLL."),
        (2587.9, True, " No plain deep ensemble that was measured, of up to 2 networks, has"),
        (0.85, True, " One network alone has a lower calibrated NLL."),
        (None, False, " and 95.00 %.\n"),
    ],
)
def test_the_headline_guesses_no_sizes(report, dee, extrapolated, said):
    report["ensembles"][-1].update(dee=dee, dee_extrapolated=extrapolated)
    headline = render_markdown(report).split("**bridge_2** has ")[1].split("|")[0]
    assert said in headline
    assert not extrapolated or f"{dee:.2f}" not in headline


def test_an_extrapolated_equivalent_is_the_best_of_its_like_only(report):
    for ensemble in report["ensembles"]:
        ensemble["dee_extrapolated"] = True
    page = render_markdown(report)
    assert [row[-1] for row in cells(page, ["ensemble"])[1:]] == [
        "1.00*", "2.00*", "1.50*", "**2.20***"
    ]  # fmt: skip


def test_intervals_are_shown_and_a_wide_one_puts_the_equivalent_in_brackets(report):
    ends = {"accuracy": [0.9312, 0.9654], "calibrated_nll": [0.18, 0.23]}
    widths = ([0.75, 1.25], [1.4, 2.6], None, [1.75, 2.75])
    for row, dee in zip(report["ensembles"], widths, strict=True):
        row["intervals"] = {**ends, "dee": dee}
    difference = {"accuracy": [0, 0.1], "calibrated_nll": [-0.123, 0.0046], "dee": None}
    report["ensembles"][2]["versus_single"] = difference
    report["ensembles"][2]["versus_cheapest"] = {**difference, "name": "bridge_2"}
    page = render_markdown(report)
    table = cells(page, ["ensemble", "members"])
    assert table[0][7:9] == ["±", "Brier"] and {line[7] for line in table[1:]} == {"0.0250"}
    # One in brackets is never the best; bridge_2's is extrapolated, but its interval is 1 wide.
    assert [line[-1] for line in table[1:]] == ["**1.00**", "(2.00)", "(1.50)", "2.20*"]
    assert cells(page, ["ensemble", "accuracy %"])[3] == [
        "bridge_1", "93.12 … 96.54", "0.1800 … 0.2300", "–", "-0.1230 … +0.0046",
        "-0.1230 … +0.0046", "bridge_2",
    ]  # fmt: skip
    assert "- **(DEE)**: in brackets" in page and "## Chance" in page


def test_a_report_without_intervals_says_nothing_of_chance(report):
    page = render_markdown(report)
    assert "Chance" not in page and "±" not in page and "in brackets" not in page


def test_page_without_bridges(report):
    report["ensembles"] = report["ensembles"][:2]
    report["bridges"] = report["curves"] = []
    assert "No bridges were trained." in render_markdown(report)


def test_bridges_and_curves(report):
    page = render_markdown(report)
    assert cells(page, ["bridge", "curve", "r"])[1:] == [
        ["1st", "0-1", "0.5", "1", "stage2_block1, stage3_block1", "0.5", "0.100", "0.150",
         "0.0500", "0.2000", "0.25", "98.75"]
    ]  # fmt: skip
    assert cells(page, ["curve", "r", "accuracy %"])[1:] == [
        ["0-1", "0.00", "95.00", "0.2100"],
        ["0-1", "0.50", "96.25", "0.1700"],
    ]


def test_legend_explains_every_mark_and_unit(report):
    legend = render_markdown(report).split("## How to read this")[1]
    for word in ("members", "FLOPs", "nats", "Brier", "15 bins", "DEE", "*: ", "KL", "agreement"):
        assert word in legend


def test_rendering_leaves_the_report_alone(report):
    before = copy.deepcopy(report)
    render_markdown(report)
    render_table(report)
    assert report == before


def test_warnings_stand_right_below_the_title_and_then_the_result(report):
    report["warnings"] = ["the validation split is small", "12 test images are known"]
    page = render_markdown(report)
    assert page.startswith(
        "# Bridge ensembles on digits\n\n> **Warning:** the validation split is small.\n\n"
        "> **Warning:** 12 test images are known.\n\n**bridge_2** has "
    )
    del report["warnings"]
    assert "Warning" not in render_markdown(report)
