"""What is opened, listed and made, and what is refused."""

import os
import pathlib
import socket

import pytest

from bridge_tf.utils import paths
from bridge_tf.utils.errors import InputError

RIGHT = "name another"


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """A folder with something of each kind."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path("file").write_text("text")
    pathlib.Path("folder").mkdir()
    os.mkfifo("fifo")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    os.symlink("/dev/zero", "device")
    os.symlink("file", "link")
    os.symlink("nowhere", "dangling")
    os.symlink("loop", "loop")
    return tmp_path


ODD = {
    "fifo": "is a FIFO",
    "socket": "is a socket",
    "device": "is a device",
    "dangling": "is a link that leads nowhere",
    "loop": r"can't be opened \(Too many levels of symbolic links\)",
    "n" * 300: r"can't be opened \(File name too long\)",
    "a\0b": "no file can have this name",
}


@pytest.mark.parametrize(("name", "says"), ODD.items())
def test_what_is_neither_file_nor_folder_is_refused(odd, name, says):
    for check in (paths.check_file, paths.check_folder, paths.check_file_or_folder):
        with pytest.raises(InputError, match=rf"^`model`: {says}.*; {RIGHT}$"):
            check("`model`", name, RIGHT)


def test_files_and_folders_are_told_apart(odd):
    assert paths.check_file("`model`", "link", RIGHT) == pathlib.Path("link")
    assert [entry.name for entry in paths.check_folder("`model`", "folder", RIGHT)] == []
    with pytest.raises(InputError, match=r"^`model`: is a folder, no file; name another$"):
        paths.check_file("`model`", "folder", RIGHT)
    with pytest.raises(InputError, match=r"^`model`: is a file, no folder; name another$"):
        paths.check_folder("`model`", "file", RIGHT)
    with pytest.raises(InputError, match=r"^`model`: there is no such file; name another$"):
        paths.check_file("`model`", "absent", RIGHT)
    with pytest.raises(InputError, match=r"^`model`: there is no such folder; name another$"):
        paths.check_folder("`model`", "file/below", RIGHT)
    paths.check_file_or_folder("`model`", "absent", RIGHT)


def test_only_files_are_read(odd):
    assert paths.read_text("link") == "text"
    for name in ("fifo", "device", "folder"):  # reading the first two would never end
        with pytest.raises(InputError, match=f"^{name}: is a .*, no file; move it away$"):
            paths.read_text(name)
    with pytest.raises(FileNotFoundError):
        paths.read_text("dangling")


@pytest.mark.parametrize("name", ["fifo", "socket", "device"])
def test_a_tree_holds_files_and_folders_only(odd, name):
    tree = odd / "tree" / "a"
    tree.mkdir(parents=True)
    (tree / "1.png").touch()
    (tree / "nowhere.png").symlink_to("nowhere")
    (tree / "again").symlink_to(odd / "tree")
    paths.check_tree("`dataset`", "tree", RIGHT)
    (tree / "x.png").symlink_to(odd / name)
    with pytest.raises(InputError, match=rf"^`dataset`: tree/a/x.png is a .*, no file; {RIGHT}$"):
        paths.check_tree("`dataset`", "tree", RIGHT)


def test_a_place_is_the_nearest_folder(odd):
    assert paths.check_place("workdir", "folder/new/deep") == odd / "folder"
    assert paths.check_place("workdir", "folder") == odd / "folder"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("file/below", "/file is a file"),
        ("fifo", "/fifo is a FIFO"),
        ("device/below", "/device is a device"),
        ("dangling", "/dangling is a link that leads nowhere"),
        ("dangling/below", "/dangling is a link that leads nowhere"),
        ("loop", "Too many levels of symbolic links"),
        (f"new/{'n' * 300}", "File name too long"),
        ("new/" * 1000, "path too long"),
        ("a\0b", "no folder can have this name"),
        ("a\udcff", "no folder can have this name"),
    ],
)
def test_places_where_nothing_can_be_made(odd, name, why):
    with pytest.raises(InputError, match=rf"^`workdir`: can't write in .*{why}\); name a folder "):
        paths.check_place("workdir", name)


def test_a_path_in_a_message_is_short_and_in_one_line():
    assert paths.shown("a\nb\x1b\u2028c") == "a?b??c"
    assert paths.shown("x" * 500) == f"{'x' * 100}…{'x' * 100}"
