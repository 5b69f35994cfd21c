import json

import pytest

from bridge_tf.errors import InputError
from bridge_tf.files import check_writable, replacing, write_json


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as partial:
        partial.write_text("half")
        assert path.read_text() == "old"
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_is_written_whole_and_makes_its_folder(tmp_path):
    path = tmp_path / "a" / "b.json"
    write_json(path, {"x": [1, 2]})
    assert json.loads(path.read_text()) == {"x": [1, 2]}
    assert list(path.parent.iterdir()) == [path]


def test_writable_folders_are_not_made(tmp_path):
    assert check_writable("--workdir", tmp_path / "new" / "folder") == tmp_path / "new" / "folder"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--workdir: can't write in .*file"):
        check_writable("--workdir", tmp_path / "file")
