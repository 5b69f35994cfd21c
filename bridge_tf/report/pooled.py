"""The report of several runs: report.md, its tables, and the one that commands print."""

from bridge_tf.report import chance
from bridge_tf.report.markdown import marked_table, padded_table
from bridge_tf.report.recommendation import recommendation
from bridge_tf.report.tables import COMPARED, best_rows, figure, says_little

# Heading, key, format, factor, and whether higher (1) or lower (-1) is better; 0: not compared.
_COLUMNS = (
    ("FLOPs ×", "relative_flops", "{:.2f}", 1, 0),
    ("worst ×", "worst_relative_flops", "{:.2f}", 1, 0),
    ("params ×", "relative_params", "{:.2f}", 1, 0),
    ("training ×", "training_cost", "{:.2f}", 1, 0),
    ("accuracy %", "accuracy", "{:.2f}", 100, 1),
    ("cal. NLL", "calibrated_nll", "{:.4f}", 1, -1),
    ("DEE", "dee", "{:.2f}", 1, 1),
)
_OWN = ("NLL (nats), Brier (summed over classes) and ECE (15 bins)", "DEE")
_LEGEND = (
    (
        "±",
        "standard error of the mean over runs: what chance in the seeds makes. Left out where it "
        "is 0.",
    ),
    (
        "DEE",
        "deep-ensemble equivalent: the size of the plain deep ensemble with the row's mean "
        "calibrated NLL. That of deep ensembles is the mean over subsets of each run's modes and "
        "over runs. *: outside the sizes measured, on the nearest segment's slope. In brackets: "
        "the interval over runs and images is wider than 1. Its ± is of each run's calibrated NLL "
        "by the same yardstick.",
    ),
)


def lead(report: dict) -> list[tuple[str, bool]]:
    """The first sentences: pieces of text and whether they are bold."""
    runs = report["runs"]
    seeds = ", ".join(str(run["seed"]) for run in runs)
    return [
        *recommendation(report),
        (f"Figures are means over {len(runs)} runs, of the seeds {seeds}.", False),
    ]


def left_out(report: dict) -> str:
    """The rows that not all runs have, in one line; empty if there are none."""
    found = [f"{row['name']} ({', '.join(row['runs'])})" for row in report["left_out"]]
    return f"Left out, since not all runs have them: {', '.join(found)}." if found else ""


def comparison(report: dict) -> tuple[list[str], list[list[tuple[str, bool]]]]:
    """Headings and rows of the comparison; a cell is its text and whether it is the best."""
    rows = report["ensembles"]
    columns = [column for column in _COLUMNS if all(column[1] in row for row in rows)]
    best = {key: best_rows(rows, key, sign) for _, key, _, _, sign in columns}
    return ["ensemble", "members", *(column[0] for column in columns)], [
        [
            *((str(row[key]), False) for key in ("name", "size")),
            *((_cell(row, *column[1:4]), row in best[column[1]]) for column in columns),
        ]
        for row in rows
    ]


def differences(report: dict) -> chance.Table:
    """Headings and rows of the table of the differences to one network, run by run."""
    number = len(report["runs"])
    headings = ["ensemble", "accuracy %", "cal. NLL", "lower in"]
    headings += [f"seed {run['seed']}" for run in report["runs"]]
    rows = []
    for row in report["ensembles"][1:]:
        found = row["versus_single"]
        values = found["values"]["calibrated_nll"]
        rows.append(
            [
                row["name"],
                _with_error(found, "accuracy", "{:+.2f}", 100),
                _with_error(found, "calibrated_nll", "{:+.4f}", 1),
                f"{sum(value < 0 for value in values)} of {number}",
                *(figure(value, "{:+.4f}") for value in values),
            ]
        )
    return headings, rows


def of_images(report: dict) -> chance.Table | None:
    """The table of intervals over images alone, as `chance.chance` has it."""
    rows = [{"name": row["name"], **row["of_images"]} for row in report["ensembles"]]
    return chance.chance({"ensembles": rows})


def explanation(report: dict) -> str:
    """What is in the tables of intervals."""
    number = len(report["runs"])
    return (
        "95 % intervals over 1,000 resamples. Each draws as many runs as there are, with "
        "replacement, and one resample of the test images and, for temperatures, of the validation "
        "images, for all of them (the pigeonhole bootstrap, Owen, 2007). What is resampled of "
        f"{number} runs varies {number - 1}/{number} as much as runs do, so that the intervals "
        "are rather too narrow. The last three columns are differences of calibrated NLL to one "
        "network and to the cheapest other row that is at least as good, and that row's name. "
        "Below 0 is better; where an interval holds 0, the difference may be chance."
    )


def legend() -> list[tuple[str, str]]:
    """Terms of the page, and their explanations."""
    return [*_LEGEND, *((term, text) for term, text in COMPARED if term not in _OWN)]


def render_pooled_table(report: dict, mark_best: bool = False) -> str:
    """The comparison as a padded Markdown table; `mark_best`: each column's best are in bold."""
    return marked_table(*comparison(report), mark_best)


def render_pooled_markdown(report: dict) -> str:
    """The content of a report.json of several runs as a page of Markdown."""
    dataset, line = report["dataset"], left_out(report)
    return "\n".join(
        [
            f"# Bridge ensembles on {dataset['name']}: {len(report['runs'])} runs",
            "",
            *(f"> **Warning:** {warning}.\n" for warning in report["warnings"]),
            "".join(f"**{text}**" if bold else text for text, bold in lead(report)),
            "",
            f"{dataset['num_train']:,} training, {dataset['num_validation']:,} validation and "
            f"{dataset['num_test']:,} test images of {dataset['num_classes']} classes, the same in "
            "all runs.",
            "",
            render_pooled_table(report, mark_best=True),
            "",
            *([line, ""] if line else []),
            "## Chance: runs and images",
            "",
            explanation(report),
            "",
            padded_table(*chance.chance(report)),
            "",
            "## Chance: images alone",
            "",
            "The same without drawing runs: what another choice of images would make of the mean "
            "over these runs.",
            "",
            padded_table(*of_images(report)),
            "",
            "## Chance: runs alone",
            "",
            "Differences to one network of the same run: mean ± standard error over runs, in how "
            "many runs the calibrated NLL is lower, and that difference in each.",
            "",
            padded_table(*differences(report)),
            "",
            "## How to read this",
            "",
            "\n".join(f"- **{term}**: {text}" for term, text in legend()),
            "",
        ]
    )


def _cell(row: dict, key: str, form: str, factor: float) -> str:
    """A figure with its standard error, if that isn't 0 as it is shown."""
    text = figure(row[key], form, factor)
    if key == "dee":
        text += "*" if row["dee_extrapolated"] else ""
    error = row["standard_errors"][key]
    shown = figure(error, form, factor)
    if error is not None and float(shown) != 0:
        text += f" ± {shown}"
    return f"({text})" if key == "dee" and row[key] is not None and says_little(row) else text


def _with_error(found: dict, key: str, form: str, factor: float) -> str:
    error = figure(found["standard_error"][key], form.replace("+", ""), factor)
    return f"{figure(found['mean'][key], form, factor)} ± {error}"
