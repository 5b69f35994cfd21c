"""The setting `exif`, from a run's configuration to its images."""

import numpy as np
import pytest
from PIL import Image

from bridge_tf.config import Config
from bridge_tf.runs.context import Run
from bridge_tf.utils.errors import InputError


@pytest.mark.parametrize(("settings", "top"), [({}, 200), ({"exif": "ignore"}, 100)])
def test_a_run_turns_images_unless_told_otherwise(tmp_path, settings, top):
    upside_down = Image.Exif()
    upside_down[0x0112] = 3
    for k in range(24):
        path = tmp_path / "images" / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = np.repeat([100 + k, 200 + k], 4).reshape(2, 4).astype("uint8")
        Image.fromarray(rows).save(path, exif=upside_down)
    data = Run(Config(dataset=f"folder:{tmp_path / 'images'}", **settings), tmp_path / "run").data
    images = np.concatenate([s.images for s in (data.train, data.validation, data.test)])
    assert sorted(images[:, 0, 0, 0].tolist()) == [top + k for k in range(24)]


def test_other_values_are_refused_and_the_setting_decides_results():
    with pytest.raises(InputError, match="`exif=turn`: must be one of apply, ignore"):
        Config(exif="turn")
    assert Config(exif="ignore").differences(Config()) == ["`exif=ignore` (there: apply)"]
