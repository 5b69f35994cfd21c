"""Names of classes in the files beside an exported model."""

import json
import logging
import shutil

import pytest

from bridge_tf import BridgeEnsemble, InputError, export
from bridge_tf.export import load_predictor
from bridge_tf.export.compression.settings import COMPRESSED_NAMES
from bridge_tf.export.labels import label_lines, labels_beside, read_labels
from tests.tiny import tiny_network

# Each character that str.splitlines takes for the end of a line.
BREAKS = ("\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")


@pytest.mark.parametrize("line_break", BREAKS)
def test_line_breaks_in_names_are_escaped(line_break):
    escaped = line_break.encode("unicode_escape").decode()
    (line,) = label_lines([f"a{line_break}b"])
    assert line == f"a{escaped}b"
    assert line.splitlines() == [line]


def test_other_names_stay_as_they_are():
    names = ["", " a ", "ü", "\u200d", "C:\\new", "\U0001f469\u200d\U0001f52c", "\xa0"]
    assert label_lines(names) == names
    assert label_lines([3, "\udcff", "\t"]) == ["3", "\\udcff", "\\t"]


@pytest.mark.parametrize(
    "content", ["a\n\nb\u2028c\x85\nd", "\ufeffa\r\n\r\nb\u2028c\x85\r\nd\r\n"]
)
def test_only_newlines_end_a_line(tmp_path, content, caplog):
    path = tmp_path / "m.labels.txt"
    path.write_bytes(content.encode())
    assert read_labels(path, 4, warn=True) == ("a", "", "b\u2028c\x85", "d")
    assert read_labels(path, None, warn=True) == ("a", "", "b\u2028c\x85", "d")
    assert read_labels(tmp_path / "absent", 4, warn=True) == ()
    assert caplog.messages == []


@pytest.mark.parametrize("number", [3, 5])
def test_another_number_of_names_is_left_out_with_a_warning(tmp_path, number, caplog):
    path = tmp_path / "m.labels.txt"
    path.write_text("a\nb\nc\nd\n")
    assert read_labels(path, number, warn=False) == ()
    assert caplog.messages == []
    assert read_labels(path, number, warn=True) == ()
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("bridge_tf", logging.WARNING)
    assert record.message == (
        f"`model`: {path} has 4 names for {number} classes and is left out; it must have one a "
        "line and class"
    )


@pytest.mark.parametrize("kind", ["float16", "int8", "int8_dynamic", *COMPRESSED_NAMES])
@pytest.mark.parametrize("name", ["m", "m.2", "v1.2.int8"])
def test_quantized_and_compressed_files_have_the_labels_of_their_model(tmp_path, name, kind):
    model = tmp_path / f"{name}.{kind}.tflite"
    assert labels_beside(model) == tmp_path / f"{name}.{kind}.labels.txt"
    (tmp_path / f"{name}.labels.txt").touch()
    (tmp_path / "other.labels.txt").touch()
    assert labels_beside(model) == tmp_path / f"{name}.labels.txt"
    own = tmp_path / f"{name}.{kind}.labels.txt"  # of a model that is called NAME.KIND
    own.touch()
    assert labels_beside(model) == own


@pytest.fixture(scope="module")
def ensemble():
    return BridgeEnsemble(tiny_network(0), [])


@pytest.mark.parametrize("names", [["a"] * 4, ["a"] * 6, ["a"]])
def test_another_number_of_names_than_classes_is_not_exported(ensemble, images, tmp_path, names):
    with pytest.raises(InputError) as error:
        export(ensemble, tmp_path / "export", "m", images, names)
    assert str(error.value) == (
        f"`class_names`: {len(names)} names for 5 classes; give one for each class, or none"
    )
    assert not (tmp_path / "export").exists()


def test_no_name_moves_another(ensemble, images, tmp_path):
    names = ["a\nb", "c\u2028d", "", "e\udcff", "f\r"]
    shown = ("a\\nb", "c\\u2028d", "", "e\\udcff", "f\\r")
    export(ensemble, tmp_path, "m", images, names, card=lambda: f"Classes: {names}, {names[3]}")
    shutil.copy(tmp_path / "m.tflite", tmp_path / "m.int8.tflite")
    ensemble.save(tmp_path / "m.keras")
    for model in ("m", "m.tflite", "m.int8.tflite", "m.keras"):
        assert load_predictor(tmp_path / model).labels == shown
    metadata = json.loads((tmp_path / "m.metadata.json").read_text(encoding="utf-8"))
    assert metadata["labels"] == list(shown)
    (tmp_path / "m.labels.txt").write_text("a\nb\n")
    for model in ("m.tflite", "m.int8.tflite", "m.keras"):
        assert load_predictor(tmp_path / model).labels == ()
