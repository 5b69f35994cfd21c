"""Publishing an export, and what is left when that is killed."""

import json
import os

import pytest

from bridge_tf.export.layout import find_export, finish_exports, publish, staging


class Killed(BaseException):
    pass


def write(folder, text="weights"):
    """What an exporter writes, in small."""
    (folder / "saved_model" / "variables").mkdir(parents=True)
    (folder / "saved_model" / "variables" / "data").write_text(text)
    (folder / "saved_model" / "saved_model.pb").write_text("graph")
    (folder / "model.tflite").write_text(text)
    (folder / "labels.txt").write_text("cat\ndog\n")


def export(path, source="a", text="weights"):
    with staging(path) as folder:
        write(folder, text)
        return publish(folder, "model", source)


def tree(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


WHOLE = [
    "model.labels.txt",
    "model.tflite",
    "model/1/assets.extra/export.json",
    "model/1/saved_model.pb",
    "model/1/variables/data",
]


def test_an_export_lands_whole_and_is_found_by_its_source(tmp_path):
    saved_model, tflite = export(tmp_path)
    assert tree(tmp_path) == WHOLE
    assert find_export(tmp_path, "model", "a") == [saved_model, tflite]
    assert find_export(tmp_path, "model", "b") == []
    assert find_export(tmp_path, "other", "a") == []


@pytest.mark.parametrize("name", WHOLE)
def test_a_damaged_file_is_no_export(tmp_path, name):
    export(tmp_path)
    (tmp_path / name).write_text("weighty")
    assert find_export(tmp_path, "model", "a") == []
    (tmp_path / name).unlink()
    assert find_export(tmp_path, "model", "a") == []


def test_a_model_under_the_same_name_hides_the_earlier_one(tmp_path):
    export(tmp_path)
    second = export(tmp_path, source="b", text="others")
    assert find_export(tmp_path, "model", "a") == []
    assert find_export(tmp_path, "model", "b") == list(second)
    assert second[0].name == "2"


@pytest.mark.parametrize("renames", range(5))
def test_killed_at_any_rename_it_is_finished_or_gone(tmp_path, monkeypatch, renames):
    """Renames: the record, the moves, the SavedModel, the labels, the .tflite."""
    replace, left = os.replace, [renames]

    def killed(source, target):
        if not left[0]:
            raise Killed
        left[0] -= 1
        replace(source, target)

    with pytest.raises(Killed), monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed)
        patched.setattr("shutil.rmtree", lambda *args, **options: None)  # killed: nothing is tidied
        export(tmp_path)
    visible = [name for name in tree(tmp_path) if not name.startswith(".bridge_tf-export-")]
    assert visible in ([], WHOLE[2:], [WHOLE[0], *WHOLE[2:]])
    finish_exports(tmp_path)
    assert tree(tmp_path) == (WHOLE if renames >= 2 else [])
    assert bool(find_export(tmp_path, "model", "a")) == (renames >= 2)
    assert not list(tmp_path.glob(".bridge_tf-export-*"))


def test_a_forged_folder_moves_nothing_elsewhere(tmp_path):
    exports = tmp_path / "exports"
    for k, name in enumerate(("../../up", "..", ".", "", "a/b")):
        folder = exports / f".bridge_tf-export-{k}"
        folder.mkdir(parents=True)
        write(folder)
        (folder / "moves.json").write_text(json.dumps({"name": name, "version": 7}))
    finish_exports(exports)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exports"]
    assert tree(exports) == []
