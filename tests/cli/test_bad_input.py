"""Bad input: status 2, one line that names the flag or file, and nothing written."""

import numpy as np
import pytest
from PIL import Image

from tests.commands import refused


@pytest.fixture
def folder(tmp_path):
    """A folder data set of two classes."""
    for n, name in enumerate(("cat", "dog")):
        (tmp_path / "images" / "train" / name).mkdir(parents=True)
        for k in range(10):
            image = np.full((8, 8, 3), 20 * k + n, "uint8")
            Image.fromarray(image).save(tmp_path / "images" / "train" / name / f"{k}.png")
    return tmp_path / "images"


def line_of(tmp_path, *flags) -> str:
    """What bin/train says to these flags; checks that it wrote nothing."""
    line = refused("train", f"--workdir={tmp_path / 'work'}", *flags)
    assert not (tmp_path / "work").exists()
    return line


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--r=1.5"], ["--r=1.5", "at most 1"]),
        (["--learning_rate=nan"], ["--learning_rate=nan", "finite"]),
        (["--batch_size=many"], ["--batch_size=many: must be a whole number"]),
        (["--norm=layer"], ["--norm=layer", "<frn|batch>"]),
        (["--num_modes=1"], ["--num_modes=1", "at least 2"]),
        (["--pixel_mean=white"], ["--pixel_mean=white", "numbers"]),
        (["--export_name=../elsewhere"], ["--export_name=../elsewhere", "letters"]),
        (["--colour=red"], ["'colour'", "--help"]),
        (["digits"], ["'digits'", "--NAME=VALUE"]),
        (["--flagfile=absent.flags"], ["--flagfile", "absent.flags"]),
        (["--flagfile=saved_models"], ["--flagfile", "directory"]),
    ],
)
def test_flags_that_are_wrong_in_themselves(tmp_path, flags, words):
    line = line_of(tmp_path, *flags)
    assert all(word in line for word in words), line


# More of them: tests/faults/test_bad_inputs.py.
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--stages=modes,exports"], ["--stages=modes,exports", "baselines, evaluate, export"]),
        (["--taps=stage2_blok1"], ["--taps", "'stage2_blok1'", "'stage2_block1'"]),
        (["--pixel_mean=0.1,0.2"], ["--pixel_mean=0.1,0.2", "1 channels"]),
        (["--dataset=folder:absent"], ["--dataset=folder:absent", "no such folder"]),
    ],
)
def test_flags_that_are_wrong_for_the_data_or_the_network(tmp_path, flags, words):
    line = line_of(tmp_path, *flags)
    assert all(word in line for word in words), line


def test_a_class_folder_without_images(tmp_path, folder):
    (folder / "train" / "eel").mkdir()
    line = line_of(tmp_path, f"--dataset=folder:{folder}")
    assert "train/eel: holds no images" in line


def test_an_image_that_cannot_be_read(tmp_path, folder):
    image = folder / "train" / "dog" / "3.png"
    image.write_bytes(image.read_bytes()[:40])
    line = line_of(tmp_path, f"--dataset=folder:{folder}")
    assert f"bad images, 1 of 20: {image} (" in line
    assert "--skip_bad_images=1" in line
    (folder / "train" / "cat" / "5.png").write_text("")
    line = line_of(tmp_path, f"--dataset=folder:{folder}", "--skip_bad_images=1")
    assert "bad images, 2 of 20, more than --skip_bad_images=1: " in line
    assert "train/cat/5.png (empty), " in line
    assert line.endswith("--skip_bad_images=2")


def test_labels_out_of_range(tmp_path):
    images, labels = np.zeros((20, 8, 8, 1), "uint8"), np.arange(20) % 4
    path = tmp_path / "data.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels + 1)
    line = line_of(tmp_path, f"--dataset=npz:{path}")
    assert "data.npz" in line
    assert "y_test holds the label 4; labels must lie in 0…3" in line


def test_a_flagfile_that_is_no_text(tmp_path):
    (tmp_path / "recipe.flags").write_bytes(b"--seed=1\n--model=\xff\xfe\n")
    line = line_of(tmp_path, f"--flagfile={tmp_path / 'recipe.flags'}")
    assert "--flagfile: is no text" in line


def test_directories_that_cannot_be_written(tmp_path):
    line = refused("train", f"--workdir={tmp_path / ('x' * 300)}")
    assert "--workdir: can't write in" in line
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "digits_resnet8").write_text("")
    line = line_of(tmp_path, f"--export_dir={tmp_path / 'exports'}")
    assert "digits_resnet8 is no folder" in line
    (tmp_path / "file").write_text("")
    line = line_of(tmp_path, f"--export_dir={tmp_path / 'file' / 'below'}")
    assert "--export_dir: can't write in" in line
    line = refused("train", f"--workdir={tmp_path / 'file'}")
    assert "--workdir: can't write in" in line
    assert "--workdir: missing" in refused("train")
