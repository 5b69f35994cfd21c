import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from bridge_tf.data import Dataset, Split
from bridge_tf.runs.stages.evaluate.details import Details
from tests.report.examples import make

FIGURES = {"temperature": 2.0, "calibrated_nll": 0.3}


@pytest.fixture
def gathered(tmp_path):
    """Of four images of class 0, 0, 1, 2: the base is right on 0 and 2, the ensemble on 1 and 2."""
    images = np.arange(4 * 4, dtype="uint8").reshape(4, 2, 2, 1)
    split = Split(images, np.array([0, 0, 1, 2]))
    details = Details(Dataset("four", ("a", "b", "c"), split, split, split))
    base = [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.3, 0.4, 0.3], [0.6, 0.3, 0.1]]
    ensemble = [[0.4, 0.5, 0.1], [0.9, 0.05, 0.05], [0.1, 0.6, 0.3], [0.2, 0.7, 0.1]]
    details.add("single", "single", np.log(base), FIGURES)
    worse = {**FIGURES, "calibrated_nll": 0.4}
    details.add("bridge_1", "bridge", np.log(base), worse)
    details.add("bridge_2", "bridge", np.log(ensemble), FIGURES)
    return json.loads(json.dumps(details.to_json([], tmp_path)))


def test_disagreements_are_counted_and_shown(gathered):
    found = gathered["disagreements"]
    # bridge_2 is compared, whose calibrated NLL is the best.
    assert (found["base"], found["ensemble"], found["images"]) == ("single", "bridge_2", 4)
    assert {kind: found[kind]["number"] for kind in ("gained", "lost", "neither")} == {
        "gained": 1,
        "lost": 1,
        "neither": 1,
    }
    (gained,), (lost,), (neither,) = (
        found[kind]["shown"] for kind in ("gained", "lost", "neither")
    )
    assert (gained["index"], lost["index"], neither["index"]) == (1, 0, 3)
    assert gained["label"] == 0
    assert gained["base"] == [
        [1, pytest.approx(0.7)],
        [0, pytest.approx(0.2)],
        [2, pytest.approx(0.1)],
    ]
    assert gained["ensemble"][0] == [0, pytest.approx(0.9)]


def test_confusions_are_those_that_occur(gathered):
    cells = {c["name"]: sorted(map(tuple, c["cells"])) for c in gathered["confusions"]}
    assert cells == {
        "single": [(0, 0, 1), (0, 1, 1), (1, 1, 1), (2, 0, 1)],
        "bridge_2": [(0, 0, 1), (0, 1, 1), (1, 1, 1), (2, 1, 1)],
    }


def test_every_row_has_its_reliability(gathered):
    assert [row["name"] for row in gathered["reliability"]] == ["single", "bridge_1", "bridge_2"]
    single = gathered["reliability"][0]
    before, after = (
        sum(b["images"] * b["confidence"] for b in single[kind]) / 4 for kind in ("before", "after")
    )
    assert before == pytest.approx((0.8 + 0.7 + 0.4 + 0.6) / 4)
    softened = [
        np.sqrt(row) for row in ([0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.4, 0.3, 0.3], [0.6, 0.3, 0.1])
    ]
    assert after == pytest.approx(np.mean([row.max() / row.sum() for row in softened]))


def test_no_more_than_twelve_pictures_of_a_kind(tmp_path):
    _, details, _ = make(tmp_path, images=600)
    kinds = [details["disagreements"][kind] for kind in ("gained", "lost", "neither")]
    assert max(kind["number"] for kind in kinds) > 12
    assert all(len(kind["shown"]) == min(12, kind["number"]) for kind in kinds)


def decoded(png: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))


def test_pictures_are_the_pixels(gathered):
    (gained,) = gathered["disagreements"]["gained"]["shown"]
    assert decoded(gained["png"]).tolist() == [[4, 5], [6, 7]]  # of image 1


def test_large_pictures_become_small():
    images = np.zeros((1, 300, 200, 3), "uint8")
    split = Split(images, np.array([1]))
    details = Details(Dataset("large", ("a", "b"), split, split, split))
    answers = (("single", np.log([[0.9, 0.1]])), ("bridge", np.log([[0.1, 0.9]])))
    found = details._disagreements(*answers)["gained"]["shown"]
    assert decoded(found[0]["png"]).shape == (96, 64, 3)
