"""Bad input to every command and flag: status 2, one line that names it, and nothing written."""

import dataclasses
import importlib
import pathlib

import pytest

from bridge_tf.cli.flags import Common, Flags
from bridge_tf.cli.main import COMMANDS
from bridge_tf.config import Config
from tests.cli.bad_places import (
    BROKEN,
    DANGLING,
    LOCKED,
    LONG,
    MISPLACED,
    SPECIAL,
    make_places,
)
from tests.commands import refused

pytestmark = pytest.mark.integration

CONFIG = {field.name: field for field in dataclasses.fields(Config)}
# What a flag takes, and values that aren't such.
WRONG = {
    int: ("many", "1.5", ""),
    float: ("much", "1,5", ""),
    float | None: ("much", "1,5"),
    bool: ("perhaps", "2"),
}
# Flags that make others checked.
WITH = {
    "train": ["--workdir=new"],
    "benchmark": ["--measure=curve_step"],
    "predict": ["--model=noise.tflite", "grey.png"],
    "calibrate": ["--model=noise.tflite", "--dataset=digits"],
}
NEEDS_WORKDIR = ("evaluate", "export", "compress", "study", "demo")
CHECKS_CONFIG = ("train", "benchmark")


def flags_of(command: str) -> Flags:
    found = importlib.import_module(f"bridge_tf.cli.{command}").COMMAND
    return Flags(found.options, found.settings)


def wrong_values(field: dataclasses.Field, ranges: bool) -> list[str]:
    """Values that a flag must refuse; `ranges`: also numbers outside its limits."""
    limits, values = field.metadata, list(WRONG.get(field.type, ()))
    if limits.get("choices") and field.type is str:
        values += ["other", ""]
    if not ranges:
        return values
    if limits.get("choices") and field.type is not str:
        values += ["77" if field.type is int else "other"]
    if field.type in (int, float, float | None, list[float]):
        values += [str(limits[name] - 1) for name in ("low", "above") if name in limits]
        values += [str(limits[name] + 1) for name in ("high", "below") if name in limits]
        values += [str(2**31)] if field.type is int else ["nan", "inf"]
    return values + (["x"] if field.type == list[float] else [])


def flag_cases():
    """Every flag of every command with values of another type or outside its limits."""
    for command in COMMANDS:
        for field in (field for group in flags_of(command).groups for field in group.fields):
            ranges = command in CHECKS_CONFIG or field.name not in CONFIG
            ranges = ranges and field.name not in {f.name for f in dataclasses.fields(Common)}
            for value in dict.fromkeys(wrong_values(field, ranges)):
                flag = f"--{field.name}={value}"
                others = [x for x in WITH.get(command, []) if not x.startswith(f"--{field.name}=")]
                yield f"{command} {flag}", [command, *others, flag], f"--{field.name}"


def path_cases():
    """Every flag that names a file or folder, and something else at its path."""
    new = ["train", "--workdir=new", "--export_dir=exports"]
    for name, says in SPECIAL:
        files = {
            "predict --model": ["predict", f"--model={name}.tflite", "grey.png"],
            "predict .keras": ["predict", f"--model={name}.keras", "grey.png"],
            "predict folder": ["predict", f"--model={name}", "grey.png"],
            "predict image": ["predict", "--model=noise.tflite", f"{name}.png"],
            "second image": ["predict", "--model=noise.tflite", "grey.png", f"{name}.png"],
            "calibrate --model": ["calibrate", f"--model={name}.tflite", "--dataset=digits"],
            "calibrate npz": ["calibrate", "--model=noise.tflite", f"--dataset=npz:{name}.npz"],
            "demo --model": ["demo", f"--model={name}.tflite"],
            "benchmark": ["benchmark", "--measure=latency", f"--files={name}.tflite"],
            "train --model": [*new, f"--model={name}.keras"],
            "train --modes": [*new, f"--modes={name}.keras,noise.keras"],
            "second mode": [*new, f"--modes=noise.keras,{name}.keras"],
            "weights": [*new, "--model=MobileNetV2", f"--weights={name}.h5"],
            "npz": [*new, f"--dataset=npz:{name}.npz"],
            "ood npz": [*new, f"--ood_dataset=npz:{name}.npz"],
            "benchmark --model": ["benchmark", "--measure=curve_step", f"--model={name}.keras"],
        }
        folders = {
            "folder": [*new, f"--dataset=folder:{name}"],
            "ood folder": [*new, f"--ood_dataset=folder:{name}"],
            "tfds": [*new, "--dataset=tfds:mnist", f"--data_dir={name}"],
            "--workdir": ["train", f"--workdir={name}"],
            "below it": ["train", f"--workdir={name}/below"],
            "--export_dir": ["train", "--workdir=new", f"--export_dir={name}"],
            "dry run": ["train", f"--workdir={name}", "--dry_run"],
            "--storage": [*new, "--executor=ray", f"--storage={name}"],
            "demo --images": ["demo", "--model=noise.tflite", f"--images={name}"],
            "demo --runtime": ["demo", "--model=noise.tflite", f"--runtime={name}"],
            **{f"{command} of": [command, *run_flags(command, name)] for command in NEEDS_WORKDIR},
        }
        for what, arguments in {**files, **folders}.items():
            yield f"{what}: {name[:9]}", arguments, says
    for ending, command in (
        (".keras", ["predict", "--model=folder.keras", "grey.png"]),
        (".keras", [*new, "--model=folder.keras"]),
        (".keras", [*new, "--modes=folder.keras,noise.keras"]),
        (".npz", [*new, "--dataset=npz:folder.npz"]),
        (".h5", [*new, "--model=MobileNetV2", "--weights=folder.h5"]),
        (".png", ["predict", "--model=noise.tflite", "folder.png"]),
        (".tflite", ["demo", "--model=folder.tflite"]),
        (".tflite", ["benchmark", "--measure=latency", "--files=folder.tflite"]),
    ):
        yield f"{command[0]}: a folder for a file {command[1]}", command, f"folder{ending}"
    for place in ("noise", "empty"):
        for command in (
            [*new, f"--dataset=folder:{place}"],
            [*new, "--dataset=tfds:mnist", f"--data_dir={place}"],
            ["train", f"--workdir={place}"],
            ["train", "--workdir=new", f"--export_dir={place}"],
            ["train", "--workdir=new", f"--export_dir={place}/below"],
            ["demo", "--model=noise.tflite", f"--images={place}"],
            ["demo", "--model=noise.tflite", f"--runtime={place}"],
            *([command, *run_flags(command, place)] for command in NEEDS_WORKDIR),
        ):
            yield f"{command[0]}: a file for a folder {command[-1]}", command, place


def run_flags(command: str, workdir: str) -> list[str]:
    more = {"export": ["--export_dir=exports"], "compress": ["--export_dir=exports"]}
    more["compress"] = [*more["compress"], "--method=prune"]
    return [f"--workdir={workdir}", *more.get(command, [])]


def broken_cases():
    """Work directories in which something is broken, for each command that reads one."""
    for name in BROKEN:
        for command in NEEDS_WORKDIR:
            file = {"mode": "0.keras", "page": "report.html"}.get(name.partition("_")[0])
            says = file or name.partition("_")[0]
            yield f"{command} run_{name}", [command, *run_flags(command, f"run_{name}")], says
        if name.endswith(MISPLACED):
            yield f"train run_{name}", ["train", f"--workdir=run_{name}"], says
    for name in LOCKED:
        for command in ("evaluate", "export", "compress"):
            arguments = [command, *run_flags(command, f"run_{name}")]
            yield f"{command} run_{name}", arguments, "--workdir: can't lock"


def other_cases():
    new = ["train", "--workdir=new", "--export_dir=exports"]
    rows = [
        ("no data", [*new, "--dataset="], "--dataset=: missing; name one of digits"),
        ("no network", [*new, "--model="], "--model=: missing"),
        ("no export folder", ["train", "--workdir=new", "--export_dir="], "--export_dir=: missing"),
        ("a line break", [*new, "--dataset=folder:a\nb"], "control character"),
        ("a separator", [*new, "--model=a\u2028b.keras"], "control character"),
        ("NUL", [*new, "--model=a\0.keras"], "control character"),
        ("NUL in --workdir", ["train", "--workdir=a\0b"], "no folder can have this name"),
        ("NUL in a model", ["predict", "--model=a\0.tflite", "grey.png"], "no file can have"),
        ("NUL in an image", ["predict", "--model=noise.tflite", "a\0.png"], "no file can have"),
        ("NUL in a flagfile", ["train", "--flagfile=a\0b"], "no file can have this name"),
        ("NUL in files", ["benchmark", "--measure=latency", "--files=a\0.tflite"], "no file can"),
        ("flagfile device", ["train", "--flagfile=device"], "is a device, no file"),
        ("flagfile link", ["train", f"--flagfile={DANGLING[0]}.flags"], "--flagfile"),
        ("flagfile long", ["train", f"--flagfile={LONG[0]}"], "--flagfile"),
        ("flagfile apart", ["train", "--flagfile", "device"], "is a device, no file"),
        ("a long path", ["train", "--workdir=" + "a/" * 2000 + "b"], "path too long"),
        ("width", [*new, "--width=1e9"], "--width=1000000000.0: trainings of the network"),
        ("width of a MobileNet", [*new, "--model=MobileNetV2", "--width=1e9"], "--width="),
        ("width of bridges", [*new, "--bridge_width=1e9"], "--bridge_width="),
        ("input size", [*new, "--model=MobileNetV2", "--input_size=100000"], "--input_size="),
        ("image size", [*new, "--dataset=folder:images", "--image_size=1000000"], "--image_size="),
        ("degree", [*new, "--curve_degree=1000000"], "--curve_degree=1000000: the control"),
        ("modes", [*new, "--num_modes=1000000000"], "--num_modes=1000000000: the names of"),
        ("type II", [*new, "--bridge_type=2", "--num_modes=1000000"], "--num_modes=1000000: the"),
        ("padding", [*new, "--augment=crop", "--crop_padding=1000000"], "--crop_padding="),
        ("a dry run", [*new, "--dry_run", "--width=1e9"], "--width="),
        ("timing", ["benchmark", "--measure=curve_step", "--width=1e9"], "--width="),
        ("a batch", ["benchmark", "--measure=pipeline", "--batch_size=2000000000"], "--batch_size"),
        ("a plane", ["evaluate", "--workdir=x", "--loss_plane_points=100000"], "at most 1000"),
        ("noise for a mode", [*new, "--modes=noise.keras,empty.keras"], "--modes=noise.keras"),
        ("noise for a model", ["predict", "--model=noise.keras", "grey.png"], "noise.keras"),
        ("noise to show", ["demo", "--model=noise.tflite"], "noise.tflite can't be loaded"),
        ("nothing to show", ["demo", "--model=empty.tflite"], "empty.tflite can't be loaded"),
        ("noise for an image", ["predict", "--model=noise.tflite", "noise.png"], "noise.png"),
        ("no subcommand's flag", ["predict", "--width=1", "grey.png"], "'width'"),
    ]
    for name, says in (("fifo", "is a FIFO"), ("device", "is a device"), ("socket", "a socket")):
        rows.append((f"images {name}", [*new, f"--dataset=folder:images_{name}"], says))
        rows.append((f"other {name}", [*new, f"--ood_dataset=folder:images_{name}"], says))
    yield from rows


CASES = [*flag_cases(), *path_cases(), *broken_cases(), *other_cases()]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> pathlib.Path:
    root = tmp_path_factory.mktemp("bad")
    make_places(root)
    return root


def entries(root: pathlib.Path) -> dict[str, int]:
    """What is below `root`, with the time of the last change of what isn't a folder."""
    return {str(x): 0 if x.is_dir() else x.lstat().st_mtime_ns for x in root.rglob("*")}


def test_there_are_as_many_cases_as_is_said():
    assert len(CASES) >= 300
    assert len({tuple(arguments) for _, arguments, _ in CASES}) == len(CASES)
    assert {arguments[0] for _, arguments, _ in CASES} == set(COMMANDS)


@pytest.mark.parametrize(("what", "arguments", "says"), CASES, ids=[case[0] for case in CASES])
def test_bad_input_is_one_line_and_writes_nothing(what, arguments, says, place):
    before = entries(place)
    line = refused(*arguments, cwd=place)
    assert says in line, (what, line)
    assert entries(place) == before
