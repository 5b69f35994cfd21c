"""Bad input to the commands: status 2, one line that says what to do, and nothing written."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from tests.faults.runs import command, ended, only_line, start

pytestmark = pytest.mark.faults

# The command and its arguments, and words of what it must say.
ROWS = [
    ("train", "", "--workdir: missing; name a folder"),
    ("train", "--workdir=work --r=1.5", "--r=1.5: must be at most 1"),
    ("train", "--workdir=work --learning_rate=nan", "--learning_rate=nan: must be a finite"),
    ("train", "--workdir=work --learning_rate=0", "--learning_rate=0.0: must be above 0"),
    ("train", "--workdir=work --batch_size=many", "--batch_size=many: must be a whole number"),
    ("train", "--workdir=work --norm=layer", "--norm=layer: one of <frn|batch>"),
    ("train", "--workdir=work --num_modes=1", "--num_modes=1: must be at least 2"),
    ("train", "--workdir=work --seed=-1", "--seed=-1: must be at least 0"),
    ("train", "--workdir=work --pixel_mean=white", "--pixel_mean=white: numbers"),
    ("train", "--workdir=work --validation_fraction=1", "--validation_fraction=1.0: below 1"),
    ("train", "--workdir=work --checkpoint_minutes=-1", "--checkpoint_minutes=-1.0: at least 0"),
    ("train", "--workdir=work --on_divergence=hope", "--on_divergence=hope: one of <stop|retry>"),
    ("train", "--workdir=work --skip_bad_images=-1", "--skip_bad_images=-1: at least 0"),
    ("train", "--workdir=work --curve_kind=spiral", "--curve_kind=spiral: one of <bezier|chain>"),
    ("train", "--workdir=work --export_name=../x", "--export_name=../x: letters, digits"),
    ("train", "--workdir=work --modes=a.keras", "--modes=a.keras: no such file; name a .keras"),
    ("train", "--workdir=work --modes=a.keras,a.keras", "--modes=a.keras,a.keras: once"),
    ("train", "--workdir=work --weights=w.h5", "--weights=w.h5: not for --model=resnet8"),
    ("train", "--workdir=work --positions=0.5", "--positions=0.5: needs --conditioned"),
    ("train", "--workdir=work --smoke=perhaps", "--smoke=perhaps"),
    ("train", "--workdir=work --colour=red", "'colour'; --help lists the flags"),
    ("train", "--workdir=work digits", "'digits' --NAME=VALUE"),
    ("train", "--flagfile=absent.flags", "--flagfile: absent.flags name a file of flags"),
    ("train", "--flagfile=empty", "--flagfile: directory name a file of flags"),
    ("train", "--flagfile=noise", "--flagfile: is no text in UTF-8 name a file of flags"),
    ("evaluate", "", "--workdir: missing; name a folder"),
    ("evaluate", "--workdir=absent", "--workdir: absent holds no config.json; name the work"),
    ("evaluate", "--workdir=empty", "--workdir: empty holds no config.json; name the work"),
    ("evaluate", "--workdir=no_json", "no_json/config.json can't be read --repair"),
    ("evaluate", "--workdir=empty --seed=1", "'seed'; --help lists the flags"),
    ("export", "--export_dir=exports", "--workdir: missing; name a folder"),
    ("export", "--workdir=empty --export_dir=exports", "--workdir: empty holds no config.json"),
    ("predict", "grey.png", "--model: missing; name"),
    ("predict", "--model=x.tflite", "no images: name one or more files"),
    ("predict", "--model=x.tflite absent.png", "absent.png: no such file; name a PNG, JPEG,"),
    ("predict", "--model=x.tflite noise", "noise: can't be decoded as an image whole PNG"),
    ("predict", "--model=x.tflite cut.png", "cut.png: can't be decoded as an image whole PNG"),
    ("predict", "--model=x.tflite grey.png", "x.tflite --model"),
    ("benchmark", "--measure=speed", "--measure=speed: must be one or more of curve_step"),
    ("benchmark", "--steps=0", "--steps=0: must be at least 1"),
]
# These need TensorFlow, or a look at the data, before they can be told.
SLOW_ROWS = [
    ("train", "--workdir=work --stages=modes,exports", "--stages=modes,exports: baselines"),
    ("train", "--workdir=work --stages=curves", "work/modes/0.keras is missing --stages=modes"),
    ("train", "--workdir=work --dataset=digit", "--dataset=digit: did you mean digits?"),
    ("train", "--workdir=work --dataset=folder:absent", "--dataset=folder:absent: no such folder"),
    ("train", "--workdir=work --dataset=folder:images", "images/train/dog/1.png --skip_bad_images"),
    ("train", "--workdir=work --dataset=npz:absent.npz", "--dataset=npz:absent.npz: no such file"),
    ("train", "--workdir=work --dataset=npz:noise", "noise: can't be read as .npz numpy.savez"),
    ("train", "--workdir=work --dataset=npz:labels.npz", "labels.npz: y_test holds the label 7"),
    ("train", "--workdir=work --model=resnet9", "--model 'resnet9' resnet8"),
    ("train", "--workdir=work --model=noise.keras", "noise.keras --model"),
    ("train", "--workdir=work --taps=stage2_blok1", "--taps 'stage2_blok1' 'stage2_block1'"),
    ("train", "--workdir=work --batch_size=5000", "--batch_size=5000: smaller batch"),
    ("train", "--workdir=work --imports=absent", "--imports=absent: name a Python module"),
    ("train", "--workdir=noise", "--workdir: noise name a folder"),
    ("train", "--workdir=work --export_dir=noise/x", "--export_dir: noise/x name a folder"),
]


@pytest.fixture
def place(tmp_path) -> pathlib.Path:
    """Where the commands run: bad files of all sorts."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "no_json").mkdir()
    (tmp_path / "no_json" / "config.json").write_text('{"flags": {"seed": 0')
    noise = np.random.default_rng(0).integers(128, 256, 1000).astype("uint8").tobytes()
    for name in ("noise", "noise.keras", "x.tflite"):
        (tmp_path / name).write_bytes(noise)
    pixels = np.random.default_rng(0).integers(0, 256, (24, 8, 8)).astype("uint8")
    Image.fromarray(pixels[0]).save(tmp_path / "grey.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "grey.png").read_bytes()[:60])
    for k, name in enumerate(["cat", "dog"]):
        folder = tmp_path / "images" / "train" / name
        folder.mkdir(parents=True)
        for i in range(10):
            Image.fromarray(pixels[10 * k + i]).save(folder / f"{i}.png")
    (tmp_path / "images" / "train" / "dog" / "1.png").write_bytes(noise)
    labels = np.arange(24) % 4
    arrays = {"x_train": pixels, "y_train": labels, "x_test": pixels, "y_test": labels + 4}
    np.savez(tmp_path / "labels.npz", **arrays)
    return tmp_path


def test_the_table_is_as_long_as_is_said():
    assert len(ROWS) + len(SLOW_ROWS) >= 40
    assert len(set(ROWS + SLOW_ROWS)) == len(ROWS + SLOW_ROWS)


@pytest.mark.parametrize(("name", "arguments", "words"), ROWS + SLOW_ROWS)
def test_bad_input_is_named(name, arguments, words, place, fault):
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    with fault("bad input"):
        line = only_line(ended(start(command(name, *arguments.split()), cwd=place), 2))
        assert line.startswith(f"bridge-tf {name}: ")
        assert [word for word in words.split() if word not in line] == [], line
        assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before
