"""bridge-tf evaluate --workdirs, of runs that hold what an evaluation writes and no networks."""

import dataclasses
import functools
import json
import shutil

import numpy as np
import pytest

from bridge_tf.config import Config
from bridge_tf.report.reader import read_pooled, read_report
from bridge_tf.runs.resampled_file import read_resampled, write_resampled
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.utils.errors import InputError
from tests.commands import done, refused
from tests.evaluation.measured_runs import CLASSES, TEST, VALIDATION, measured

made = functools.cache(functools.partial(measured, resamples=100))
COUNTS = {"num_train": 500, "num_validation": VALIDATION, "num_test": TEST, "num_classes": CLASSES}


def evaluated(folder, seed: int, data: str = "digest", average_cost: float = 1.25, **settings):
    """A work directory as an evaluation leaves it."""
    config, run = Config(seed=seed, average_cost=average_cost, **settings), made(seed)
    files = WorkDir(folder)
    files.claim(config)
    with files.writing(files.mode(0)) as partial:
        partial.write_text("mode")
    write_resampled(files, dataclasses.replace(run.resampled, data=data), [files.mode(0)])
    report = {
        "schema": 1,
        "dataset": {"name": "made <up>", **COUNTS},
        "base": {"params": 1000, "flops": 20_000},
        "average_cost": average_cost,
        "ensembles": run.rows,
        "yardstick": run.yardstick,
        "curves": [],
        "bridges": [],
    }
    files.write_json(files.report, report, [files.mode(0)])
    return files


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for seed in range(3):
        evaluated(folder / f"run{seed}", seed)
    return folder


@pytest.fixture
def runs(originals, tmp_path):
    """A folder with three runs, to spoil."""
    return shutil.copytree(originals, tmp_path / "runs")


def contents(folder) -> dict:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pool(runs, *names, **options):
    workdirs = ",".join(str(runs / name) for name in names)
    return done("evaluate", f"--workdirs={workdirs}", f"--output={runs / 'out'}", **options)


def line_of(runs, *names, flags=()) -> str:
    """The line of a pool that must be refused, before anything is written."""
    before = contents(runs)
    workdirs = ",".join(str(runs / name) for name in names)
    line = refused("evaluate", f"--workdirs={workdirs}", f"--output={runs / 'out'}", *flags)
    assert contents(runs) == before
    return line


def test_a_report_of_three_runs(runs):
    before = contents(runs)
    result = pool(runs, "run0", "run1", "run2")
    after = contents(runs)
    names = ("report.html", "report.json", "report.md")
    assert sorted(path.name for path in after.keys() - before.keys()) == [*names]
    assert before.items() <= after.items()
    report = read_pooled(runs / "out" / "report.json")
    assert [(run["name"], run["seed"]) for run in report["runs"]] == [
        *(("run0", 0), ("run1", 1), ("run2", 2))
    ]
    singles = [made(seed).rows[0] for seed in range(3)]
    row = report["ensembles"][0]
    mean, error = row["calibrated_nll"], row["standard_errors"]["calibrated_nll"]
    assert mean == pytest.approx(np.mean([single["calibrated_nll"] for single in singles]))
    assert f"{mean:.4f} ± {error:.4f}" in result.stdout
    assert "Within 1.25 × the FLOPs" in result.stdout and "the seeds 0, 1, 2" in result.stdout
    page = (runs / "out" / "report.md").read_text()
    assert result.stdout.splitlines()[0] in page.replace("**", "")
    html = (runs / "out" / "report.html").read_text()
    for text in (page, html):
        assert "Chance: runs and images" in text and "3 runs" in text
    assert html.count("<svg ") == 2 and "<up>" not in html and "made &lt;up&gt;" in html
    for warning in report["warnings"]:
        assert warning in page and warning in result.stderr
    # Again, in the place of the first.
    assert pool(runs, "run0", "run1", "run2").stdout == result.stdout


def test_a_budget_and_rows_that_not_all_have(runs):
    files, resampled = WorkDir(runs / "run1"), made(1).resampled
    report = read_report(files.report)
    report["ensembles"] = report["ensembles"][:-1]
    files.write_json(files.report, report, [files.mode(0)])
    assert "its rows aren't the report's" in line_of(runs, "run0", "run1")
    figures = {row["name"]: resampled.figures[row["name"]] for row in report["ensembles"]}
    fewer = dataclasses.replace(resampled, figures=figures)
    write_resampled(files, fewer, [files.mode(0)])
    workdirs = f"{runs / 'run0'},{runs / 'run1'}"
    flags = [f"--workdirs={workdirs}", f"--output={runs / 'out'}", "--budget_flops=2"]
    result = done("evaluate", *flags)
    assert "Within 2 × the FLOPs" in result.stdout
    line = "Left out, since not all runs have them: bridge_1 (run0)."
    assert line in (runs / "out" / "report.md").read_text()
    assert line in (runs / "out" / "report.html").read_text()
    assert "bridge_1" not in result.stdout


def test_warnings_of_chance(runs):
    pool(runs, "run0", "run1", "run2")
    report = read_pooled(runs / "out" / "report.json")
    lower, chance = [], []
    for row in report["ensembles"][1:]:
        values = row["versus_single"]["values"]["calibrated_nll"]
        number = sum(value < 0 for value in values)
        if number in (1, 2):
            lower.append(f"{row['name']} ({number} of 3)")
        low, high = row["versus_single"]["calibrated_nll"]
        if low <= 0 <= high:
            chance.append(row["name"])
    for word, names in (("disagree", lower), ("holds 0", chance)):
        found = [warning for warning in report["warnings"] if word in warning]
        assert len(found) == bool(names)
        assert all(warning.endswith(f" {', '.join(names)}") for warning in found)
    assert lower or chance  # else nothing is tested


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"split_seed": 1}, ["split_seed=1", "there: 0"]),
        ({"validation_fraction": 0.2}, ["validation_fraction=0.2", "there: 0.1"]),
        ({"validation": "test"}, ["validation=test", "there: auto"]),
        ({"mode_epochs": 9}, ["mode_epochs=9", "there: 200"]),
        ({"dataset": "npz:a.npz"}, ["dataset=npz:a.npz", "there: digits"]),
        ({"data": "other"}, ["other images", "dataset"]),
        ({"average_cost": 1.5}, ["average_cost", "1.5", "1.25"]),
        ({"budget_flops": 2.0}, ["budget_flops", "2", "1.25"]),
    ],
)
def test_runs_that_differ_in_more_than_their_seeds(runs, settings, words):
    evaluated(runs / "other", 5, **settings)
    line = line_of(runs, "run0", "run1", "other")
    assert all(word in line for word in ["--workdirs", "other", "run0", *words]), line


def test_a_budget_that_is_given_need_not_be_the_same(runs):
    evaluated(runs / "other", 5, budget_flops=2.0)
    flags = [f"--workdirs={runs / 'run0'},{runs / 'other'}", f"--output={runs / 'out'}"]
    assert "Within 1.5 ×" in done("evaluate", *flags, "--budget_flops=1.5").stdout


def test_a_run_twice_and_one_alone(runs):
    assert "two runs or more" in line_of(runs, "run0")
    assert "is given twice" in line_of(runs, "run0", "run1", "run0")
    (runs / "link").symlink_to(runs / "run0")
    assert "is given twice" in line_of(runs, "run0", "link")
    shutil.copytree(runs / "run0", runs / "copy")
    line = line_of(runs, "run0", "copy")
    assert "both have --seed=0" in line and "copy" in line


def test_runs_that_are_not_finished(runs):
    work = WorkDir(runs / "run1")
    shutil.copytree(runs / "run1", runs / "changed")
    (runs / "changed" / "modes" / "0.keras").write_text("another")
    assert "isn't of the run's files as they are now" in line_of(runs, "run0", "changed")
    work.resamples.unlink()
    assert "was evaluated without resamples.npz; evaluate" in line_of(runs, "run0", "run1")
    work.report.unlink()
    assert f"{work.path} isn't finished" in line_of(runs, "run0", "run1")
    (runs / "empty").mkdir()
    line = line_of(runs, "run0", "empty")
    assert "--workdirs: " in line and "holds no config.json" in line
    assert "nowhere" in line_of(runs, "run0", "nowhere")


def test_a_run_that_is_kept_without_its_networks(runs):
    whole = pool(runs, "run0", "run1").stdout
    shutil.rmtree(runs / "run0" / "modes")
    assert pool(runs, "run0", "run1").stdout == whole
    report = runs / "run0" / "report.json"
    report.write_text(report.read_text().replace("single", "sngle"))
    assert "report.json isn't of the run's files" in line_of(runs, "run0", "run1")


def test_resamples_of_another_evaluation(runs):
    files, run = WorkDir(runs / "run1"), made(7)
    write_resampled(files, run.resampled, [files.mode(0)])
    line = line_of(runs, "run0", "run1")
    assert "resamples.npz" in line and "row single isn't the report's" in line
    files.resamples.write_bytes(files.resamples.read_bytes()[:5000])
    files.manifest.add(files.resamples, files.resamples, [files.mode(0)])
    assert "resamples.npz: can't be read" in line_of(runs, "run0", "run1")


def test_places_that_hold_something_else(runs):
    workdirs = f"--workdirs={runs / 'run0'},{runs / 'run1'}"
    before = contents(runs)
    line = refused("evaluate", workdirs, f"--output={runs / 'run2'}")
    assert "--output=" in line and "name another folder" in line
    assert "missing" in refused("evaluate", workdirs)
    place = f"--output={runs / 'run0' / 'config.json' / 'a'}"
    assert "--output: can't write" in refused("evaluate", workdirs, place)
    assert contents(runs) == before


@pytest.mark.parametrize(
    "flag",
    [
        *("--workdir=a", "--data_dir=a", "--loss_plane", "--average_cost=2", "--wait"),
        *("--ood_dataset=digits", "--corruptions=noise", "--early_exit_budget=2"),
    ],
)
def test_flags_of_one_run(runs, flag):
    line = line_of(runs, "run0", "run1", flags=[flag])
    assert f"{flag.partition('=')[0]}: not with --workdirs" in line


def test_flags_of_several_runs_and_bad_values(runs):
    assert "--output: needs --workdirs" in refused("evaluate", "--workdir=a", "--output=b")
    assert "--budget_flops=0.5" in line_of(runs, "run0", "run1", flags=["--budget_flops=0.5"])


def test_what_is_read_is_what_was_written(runs):
    files, run = WorkDir(runs / "run2"), made(2)
    report = json.loads(files.report.read_text())
    found = read_resampled(files, report)
    assert found.data == "digest" and list(found.figures) == list(run.resampled.figures)
    for name, figures in run.resampled.figures.items():
        for key, values in figures.items():
            np.testing.assert_array_equal(found.figures[name][key], values)
        np.testing.assert_array_equal(found.held_out[name], run.resampled.held_out[name])
    np.testing.assert_array_equal(found.yardstick, run.resampled.yardstick)
    report["dataset"]["num_validation"] += 1
    with pytest.raises(InputError, match="aren't of 61 validation images"):
        read_resampled(files, report)
