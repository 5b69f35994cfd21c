"""Files of a run that are cut off or have one bit wrong."""

import pathlib
import shutil

import pytest

from tests.faults.kills import killed
from tests.faults.processes import event_of
from tests.faults.runs import (
    EVERY_STEP,
    EXPORT_NAME,
    assert_same,
    command,
    digest,
    ended,
    only_line,
    start,
)

pytestmark = pytest.mark.faults
FILES = (
    "config.json",
    "manifest.json",
    "modes/1.keras",
    "curves/0-1.keras",
    "bridges/0-1.keras",
    "ensemble.keras",
    "report.json",
    "figures/data.json",
    "figures/resamples.npz",
)
# Of these nothing is kept: they hold nothing that others don't.
_SOON_MADE = ("ensemble.keras", "report.json", "figures/data.json", "figures/resamples.npz")
_PAGES = ("report.md", "report.html", "figures/bridges.svg")


def cut_off(path: pathlib.Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip_a_bit(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def refused(name: str, *arguments) -> str:
    """The one line of another command that must find its input bad."""
    return only_line(ended(start(command(name, *arguments)), 2))


@pytest.mark.parametrize("damage", [cut_off, flip_a_bit])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_made_again(name, damage, finished, whole, fault):
    path = finished.work / name
    before = digest(path)
    with fault("damaged file"):
        damage(path)
        damaged = digest(path)
        assert damaged != before
        line = finished.refused()
        assert str(path) in line and "--repair" in line
        assert digest(path) == damaged
        finished.train("--repair")
        aside = path.with_name(f"{path.name}.damaged")
        if name not in _SOON_MADE:
            assert digest(aside) == damaged
        # Without a manifest nothing is known of the pages, which are kept aside.
        pages = {finished.work / f"{page}.damaged" for page in _PAGES}
        allowed = {aside, *(pages if name == "manifest.json" else ())}
        kept = set(finished.work.rglob("*.damaged"))
        assert kept <= allowed
        for path in kept:
            path.unlink()
        assert_same(finished, whole)


@pytest.mark.parametrize("name", [name for name in FILES if name not in _SOON_MADE[1:]])
def test_a_damaged_file_is_named_by_evaluate(name, finished, fault):
    path = finished.work / name
    with fault("damaged file"):
        cut_off(path)
        before = {path: digest(path) for path in finished.folder.rglob("*") if path.is_file()}
        assert str(path) in refused("evaluate", f"--workdir={finished.work}")
        after = {path: digest(path) for path in finished.folder.rglob("*") if path.is_file()}
        assert after == before


@pytest.mark.parametrize("name", _PAGES)
def test_a_damaged_page_is_kept_and_made_again(name, finished, whole, fault):
    path = finished.work / name
    with fault("damaged file"):
        flip_a_bit(path)
        damaged = digest(path)
        finished.train()
        aside = path.with_name(f"{path.name}.damaged")
        assert digest(aside) == damaged
        aside.unlink()
        assert_same(finished, whole)


def test_damaged_logs_cost_their_points_alone(new, whole, undisturbed, fault):
    number = event_of(undisturbed(EVERY_STEP), "open", "curves/0-1/.partial-step-7.npz")
    with fault("damaged logs"):
        killed(new, [number, "open", "work/checkpoints/curves/0-1/.partial-step-7.npz"], EVERY_STEP)
        for damage, folder in ((cut_off, "modes/0"), (flip_a_bit, "curves/0-1")):
            for path in (new.work / "logs" / folder).glob("[eh]*"):  # events and the history
                damage(path)
        new.train()
        files = ("modes/0.keras", "curves/0-1.keras", "bridges/0-1.keras", "ensemble.keras")
        for name in files:
            assert digest(new.work / name) == digest(whole.work / name)
        assert (new.work / "report.json").read_bytes() == (whole.work / "report.json").read_bytes()
        assert new.leftovers() == []


@pytest.mark.parametrize("name", ["logs/curves", "logs/bridges/0-1", "checkpoints/modes"])
def test_links_in_the_folders_of_a_run_are_refused(name, finished, tmp_path, fault):
    path, elsewhere = finished.work / name, tmp_path / "elsewhere"
    if path.exists():
        shutil.move(path, elsewhere)
    elsewhere.mkdir(exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    (elsewhere / ".partial-0").write_text("not ours")
    (elsewhere / "events.out.tfevents.0.evaluation").write_text("not ours")
    with fault("link to elsewhere"):
        path.symlink_to(elsewhere)
        before = {path: digest(path) for path in elsewhere.rglob("*") if path.is_file()}
        assert str(path) in finished.refused()
        assert str(path) in refused("evaluate", f"--workdir={finished.work}")
        assert {path: digest(path) for path in elsewhere.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["config.json", "manifest.json", "ensemble.keras"])
def test_a_damaged_file_is_named_by_export(name, finished, fault):
    path = finished.work / name
    elsewhere = finished.folder / "elsewhere"
    with fault("damaged file"):
        flip_a_bit(path)
        line = refused("export", f"--workdir={finished.work}", f"--export_dir={elsewhere}")
        assert str(path) in line
        assert not list(elsewhere.rglob("*.tflite"))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (f"{EXPORT_NAME}.tflite", flip_a_bit),
        (f"{EXPORT_NAME}/1/variables/variables.data-00000-of-00001", cut_off),
    ],
)
def test_a_damaged_export_is_made_again(name, damage, finished, whole, fault):
    path = finished.exports / name
    with fault("damaged file"):
        damage(path)
        finished.train()
        model = finished.exports / EXPORT_NAME
        # The newest is what is served.
        shutil.rmtree(model / "1")
        (model / "2").rename(model / "1")
        assert_same(finished, whole)


@pytest.mark.parametrize(
    ("pattern", "damage"), [("step-*.npz", cut_off), ("step-*.npz", flip_a_bit), ("*.npz", cut_off)]
)
def test_damaged_checkpoints_are_passed_over(pattern, damage, new, whole, undisturbed, fault):
    number = event_of(undisturbed(EVERY_STEP), "open", "curves/0-1/.partial-step-7.npz")
    with fault("damaged checkpoint"):
        killed(new, [number, "open", "work/checkpoints/curves/0-1/.partial-step-7.npz"], EVERY_STEP)
        folder = new.work / "checkpoints" / "curves" / "0-1"
        assert {path.name for path in folder.glob("*.npz")} >= {"epoch-1.npz", "step-6.npz"}
        damaged = [path for path in folder.glob(pattern) if not path.name.startswith(".")]
        for path in damaged:
            damage(path)
        errors = new.train()
        for path in damaged:
            # A bit may be one that nothing is read from, as the time in the header of a zip file.
            assert damage is flip_a_bit or f"{path} is damaged" in errors
        assert_same(new, whole)
