"""Every recipe in smoke mode, and every command on a small run of digits."""

import json
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from bridge_tf.cli.flags import Flags
from bridge_tf.cli.train import Options
from tests.commands import done, refused
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.integration

ENSEMBLE_KEYS = set(
    "name method size relative_flops relative_params accuracy nll brier ece temperature "
    "calibrated_nll calibrated_brier calibrated_ece dee dee_extrapolated "
    "adaptive_ece calibrated_adaptive_ece aurc disagreement training_cost temperature_ml "
    "worst_relative_flops intervals".split()
)
CASCADE_KEYS = set("average_flops_validation threshold share_going_on".split())
BRIDGE_KEYS = set(
    "curve r type taps width residual relative_flops relative_params kl kl_base agreement".split()
)


@pytest.fixture
def finished(smoke_run):
    """A finished run: its flags, folders, and what the command printed."""
    return smoke_run(REPOSITORY / "configs" / "digits.flags")


def files_below(folder: pathlib.Path) -> dict:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_work_directory_is_as_the_contract_says(finished):
    names = {name for name in files_below(finished.work) if not name.startswith("logs/")}
    figures = {name for name in names if name.startswith("figures/")}
    assert {"figures/data.json", "figures/quality_accuracy.svg", "figures/curve_0-1.svg"} <= figures
    assert names - figures == {
        "config.json",
        "modes/0.keras",
        "modes/1.keras",
        "curves/0-1.keras",
        "bridges/0-1.keras",
        "ensemble.keras",
        "artifacts.json",
        "report.json",
        "report.md",
        "report.html",
        "manifest.json",
    }
    config = json.loads((finished.work / "config.json").read_text())
    assert config["flags"]["dataset"] == "digits"
    assert set(config["versions"]) == {"bridge_tf", "keras", "tensorflow"}
    assert len(config["fingerprint"]) == 64
    for stage in ("modes", "curves", "bridges"):
        (folder,) = (finished.work / "logs" / stage).glob("0*")
        assert list(folder.glob("events.out.tfevents.*"))  # no folder below


def test_report_is_as_the_contract_says(finished):
    report = json.loads((finished.work / "report.json").read_text())
    assert set(report) == set(
        "schema warnings dataset data base average_cost recommendation ensembles yardstick "
        "cascades curves bridges early_exit prediction_sets artifacts".split()
    )
    assert report["schema"] == 1
    assert report["dataset"] == {
        "name": "digits",
        "num_train": 256,
        "num_validation": 200,
        "num_test": 256,
        "num_classes": 10,
    }
    assert report["data"] == {"skipped": [], "duplicates": 0, "num_test_available": 797}
    assert set(report["base"]) == {"params", "flops"}
    assert [(row["name"], row["method"], row["size"]) for row in report["ensembles"]] == [
        ("single", "single", 1),
        ("deep_ensemble_2", "deep_ensemble", 2),
        ("curve_1", "curve", 2),
        ("bridge_1", "bridge", 2),
        ("cascade_2", "cascade", 2),
        ("bridge_cascade_1", "bridge_cascade", 3),
    ]
    compared = {"versus_single", "versus_cheapest"}
    for row in report["ensembles"]:
        assert ("versus_single" in row) == (row["name"] != "single")
        low, high = row["intervals"]["calibrated_nll"]
        assert low < row["calibrated_nll"] < high
    single, ensemble, curve, bridge, *cascades = report["ensembles"]
    for row in (single, ensemble, curve, bridge):
        assert set(row) - compared == ENSEMBLE_KEYS
        assert row["worst_relative_flops"] == row["relative_flops"]
    of_several = {"temperature_ml", "disagreement"}
    for row in cascades:
        assert set(row) - compared == ENSEMBLE_KEYS - of_several | CASCADE_KEYS
        assert row["average_flops_validation"] <= report["average_cost"] == 1.25
        assert row["relative_flops"] < row["worst_relative_flops"]
    assert all(0 <= row["accuracy"] <= 1 for row in report["ensembles"])
    assert [cascade["name"] for cascade in report["cascades"]] == [row["name"] for row in cascades]
    assert single["relative_flops"] == 1
    sizes = [(found["size"], found["subsets"]) for found in report["yardstick"]]
    assert sizes == [(1, 2), (2, 1)]
    assert report["yardstick"][1]["calibrated_nll"] == ensemble["calibrated_nll"]
    # Members run in full cost one network each, besides taking the mean of a few numbers.
    assert ensemble["relative_flops"] == pytest.approx(2, rel=1e-3)
    assert curve["relative_flops"] == pytest.approx(2, rel=1e-3)
    assert 1.05 < bridge["relative_flops"] < 1.15
    (curve,) = report["curves"]
    assert set(curve) == {"curve", "points"}
    assert [point["r"] for point in curve["points"]] == [0, 0.5, 1]
    assert all(set(point) == {"r", "accuracy", "nll"} for point in curve["points"])
    assert set(report["bridges"][0]) == BRIDGE_KEYS
    assert report["bridges"][0]["curve"] == [0, 1]
    assert report["bridges"][0]["relative_flops"] == pytest.approx(
        bridge["relative_flops"] - 1, abs=2e-3
    )


def test_results_go_to_standard_output_and_progress_to_standard_error(finished):
    first, *table = finished.first.stdout.splitlines()
    assert first.startswith("Within 1.25 × the FLOPs of one network on average, choose ")
    assert [line.split("|")[1].strip() for line in table] == [
        "ensemble",
        "-" * len(table[1].split("|")[1].strip()),
        "single",
        "deep_ensemble_2",
        "curve_1",
        "bridge_1",
        "cascade_2",
        "bridge_cascade_1",
    ]
    lines = finished.first.stderr.splitlines()
    warnings = [line for line in lines if line.startswith("evaluate: WARNING: ")]
    report = json.loads((finished.work / "report.json").read_text())
    in_words = Flags(Options, settings=None).in_words
    assert warnings == [f"evaluate: WARNING: {in_words(text)}" for text in report["warnings"]]
    assert any("256 of the 797 test images" in line for line in warnings)
    progress = [line for line in lines if line not in warnings]
    chosen = report["recommendation"]["name"]
    other = [f"the model is bridge_1; the report's choice, {chosen}"] * (chosen != "bridge_1")
    # A line an epoch, and one in the end.
    assert [line.partition(":")[0] for line in progress] == [
        *["mode 1 of 2"] * 2,
        *["mode 2 of 2"] * 2,
        *["curve 0-1 (1 of 1)"] * 2,
        *["bridge 0-1 (1 of 1)"] * 2,
        "evaluate",
        *["export"] * 2,
        # What there is to open.
        "report",
        "model",
        *other,
        "trainings",
        "in a browser",
    ]


def test_errors_alone_can_be_asked_for(tmp_path):
    flags = ["--smoke", "--stages=modes", "--jit_compile=false", "--width=0.25", "--batch_size=64"]
    result = done("train", *flags, f"--workdir={tmp_path / 'work'}", "--verbosity=-2")
    assert result.stderr == ""
    assert (tmp_path / "work" / "modes" / "1.keras").exists()


def test_a_second_run_makes_nothing_anew(finished):
    before = files_below(finished.folder)
    again = done("train", *finished.flags)
    assert files_below(finished.folder) == before
    assert again.stdout == finished.first.stdout


def test_other_flags_in_the_same_work_directory_are_refused(finished):
    before = files_below(finished.folder)
    line = refused("train", *finished.flags, "--seed=7", "--bridge_width=0.25")
    assert "--seed=7 (there: 0), --bridge_width=0.25 (there: 0.5)" in line or (
        "--bridge_width=0.25 (there: 0.5)" in line and "--seed=7 (there: 0)" in line
    )
    assert files_below(finished.folder) == before


def test_evaluate_measures_the_same_anew(finished):
    report = (finished.work / "report.json").read_text()
    again = done("evaluate", f"--workdir={finished.work}", "--verbosity=-2")
    assert again.stdout == finished.first.stdout
    assert again.stderr == ""  # neither progress nor warnings
    assert (finished.work / "report.json").read_text() == report


def test_evaluate_measures_the_plane_of_the_first_curve(finished, tmp_path):
    work = shutil.copytree(finished.work, tmp_path / "work")
    flags = [f"--workdir={work}", "--loss_plane", "--loss_plane_points=4"]
    done("evaluate", *flags, "--loss_plane_images=50")
    path = work / "figures" / "loss_plane_0-1.json"
    plane = json.loads(path.read_text())
    assert plane["curve"] == [0, 1] and plane["images"] == 50
    assert np.array(plane["nll"]).shape == np.array(plane["accuracy"]).shape == (4, 4)
    assert not (work / "checkpoints").exists()


def test_predict_says_the_same_of_all_kinds_of_file(finished, tmp_path):
    digits = np.random.default_rng(0).integers(0, 256, (2, 8, 8)).astype("uint8")
    paths = [tmp_path / f"{k}.png" for k in range(2)]
    for path, image in zip(paths, digits, strict=True):
        Image.fromarray(image).save(path)
    answers = [
        [
            json.loads(line)
            for line in done("predict", f"--model={model}", *paths).stdout.splitlines()
        ]
        for model in (
            finished.exports / "digits",
            finished.exports / "digits.tflite",
            finished.work / "ensemble.keras",
        )
    ]
    for first, *others in zip(*answers, strict=True):
        assert set(first) == {
            "image",
            "class",
            "label",
            "probabilities",
            "entropy",
            "disagreement",
        }
        assert first["label"] == str(first["class"])
        assert sum(first["probabilities"]) == pytest.approx(1, abs=1e-5)
        for other in others:
            for key in ("probabilities", "entropy", "disagreement"):
                assert other[key] == pytest.approx(first[key], abs=1e-4)


def test_predict_names_what_is_wrong(finished, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    model = f"--model={finished.exports / 'digits.tflite'}"
    assert "broken.png: can't be decoded" in refused("predict", model, tmp_path / "broken.png")
    assert "absent.png: no such file" in refused("predict", model, tmp_path / "absent.png")
    assert "no images" in refused("predict", model)
    assert "--model" in refused("predict", tmp_path / "broken.png")
    Image.new("L", (8, 8)).save(tmp_path / "image.png")
    for name, words in (
        ("curves/0-1.keras", "holds no classifier of images"),
        ("bridges/0-1.keras", "takes images of 32 channels"),
        ("config.json", "is of no known kind"),
    ):
        line = refused("predict", f"--model={finished.work / name}", tmp_path / "image.png")
        assert words in line


def test_export_elsewhere_and_its_refusal(finished, tmp_path):
    done("export", f"--workdir={finished.work}", f"--export_dir={tmp_path / 'there'}")
    assert (tmp_path / "there" / "digits" / "1" / "saved_model.pb").exists()
    assert (tmp_path / "there" / "digits.tflite").exists()
    (tmp_path / "file").write_text("")
    line = refused("export", f"--workdir={finished.work}", f"--export_dir={tmp_path / 'file'}")
    assert "--export_dir: can't write in" in line
    assert (tmp_path / "file").read_text() == ""


def test_a_damaged_file_of_the_run_is_named(finished):
    path = finished.work / "ensemble.keras"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:1000])
        line = refused("evaluate", f"--workdir={finished.work}")
        assert "ensemble.keras isn't as it was written" in line and "--repair" in line
    finally:
        path.write_bytes(whole)


def test_a_work_directory_without_a_run_is_named(tmp_path):
    line = refused("evaluate", f"--workdir={tmp_path}")
    assert "holds no config.json" in line
    assert "--workdir: missing" in refused("evaluate")
