import json

import pytest

from bridge_tf.utils.errors import InputError
from bridge_tf.utils.files import (
    check_space,
    check_writable,
    remove_partials,
    replacing,
    write_json,
)


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
    assert check_writable("workdir", tmp_path / "new" / "folder") == tmp_path / "new" / "folder"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"`workdir`: can't write in .*file"):
        check_writable("workdir", tmp_path / "file")


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    write_json(tmp_path / "a" / "b.json", {})
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a" / "b.json") as partial:
        partial.write_text("half")
        left = partial.with_name(partial.name + "2")
        left.write_text("half")
        raise KeyboardInterrupt
    remove_partials(tmp_path)
    assert left.exists()  # of another folder
    remove_partials(tmp_path / "a")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]


def test_links_in_the_place_of_a_partial_file_are_not_followed(tmp_path):
    (tmp_path / "thesis").write_text("not ours")
    for target in ("thesis", "absent"):
        (tmp_path / ".partial-a.json").symlink_to(tmp_path / target)
        write_json(tmp_path / "a.json", {})
        (tmp_path / ".partial-b.json").symlink_to(tmp_path / target)
        remove_partials(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "thesis"]
    assert (tmp_path / "thesis").read_text() == "not ours"


def test_too_little_space_is_told_with_both_figures(tmp_path):
    check_space("workdir", tmp_path / "new" / "folder", 1000, "the stage modes")
    with pytest.raises(
        InputError, match=r"`workdir`: the stage modes will take 1,001,0.* MB in .*new"
    ):
        check_space("workdir", tmp_path / "new", 10**18 + 10**15, "the stage modes")
