import time

import pytest

from bridge_tf.runs.executors.ray import storage
from bridge_tf.runs.executors.ray.storage import Storage
from bridge_tf.utils.errors import InputError
from tests.extras import needs

pytestmark = needs("fsspec")


@pytest.fixture(params=["{}/there", "file://{}/there", "memory://{}"])
def there(request, tmp_path):
    return Storage(request.param.format(tmp_path))


@pytest.fixture
def here(tmp_path):
    folder = tmp_path / "here"
    (folder / "kept").mkdir(parents=True)
    return folder


def names(there: Storage, tmp_path) -> set[str]:
    there.read_folder("kept", tmp_path / "copy")
    return {path.name for path in (tmp_path / "copy").rglob("*")}


def test_files_come_back_as_they_went(there, here, tmp_path):
    (here / "kept" / "a").write_bytes(b"\0\1")
    there.write(here / "kept" / "a", "kept/deep/a")
    assert there.exists("kept/deep/a")
    there.read("kept/deep/a", tmp_path / "new" / "a")
    assert (tmp_path / "new" / "a").read_bytes() == b"\0\1"
    there.remove("kept")
    assert not there.exists("kept/deep/a")
    there.remove("kept")  # which isn't there


def test_a_folder_that_is_not_there_is_empty(there, tmp_path):
    assert names(there, tmp_path) == set()


def test_a_path_is_no_url(tmp_path):
    there = Storage(str(tmp_path / "a::b"))
    (tmp_path / "x").write_text("x")
    there.write(tmp_path / "x", "x")
    assert (tmp_path / "a::b" / "x").read_text() == "x"


def test_patterns_are_refused():
    with pytest.raises(InputError, match="none of"):
        Storage("memory://run[1]")


def test_a_probe_leaves_nothing(there, tmp_path):
    there.probe()
    there.read_folder("checkpoints", tmp_path / "copy")
    assert not [path for path in (tmp_path / "copy").rglob("*") if path.is_file()]


def test_what_was_there_already_is_not_copied_again(there, here, tmp_path):
    (here / "kept" / "epoch-1").write_text("whole")
    with there.following(here, ["kept"]):
        pass
    assert names(there, tmp_path) == set()


def test_that_it_fails_is_told_once(there, here, monkeypatch, caplog):
    monkeypatch.setattr(storage, "_SECONDS", 0.01)

    def fail(*arguments):
        raise RuntimeError("no network")

    monkeypatch.setattr(there, "_follow", fail)
    with there.following(here, ["kept"]):
        time.sleep(0.1)
    assert caplog.messages == [f"{there.url}: checkpoints can't be kept there now (no network)"]


def test_what_is_followed_is_there_when_the_block_is_left(there, here, tmp_path):
    with there.following(here, ["kept"]):
        (here / "kept" / "grows").write_text("one")
        (here / "kept" / ".partial-x").write_text("half")
    assert names(there, tmp_path) == {"grows"}
    with there.following(here, ["kept"]):
        (here / "kept" / "grows").write_text("one, two")
    there.read("kept/grows", tmp_path / "grown")
    assert (tmp_path / "grown").read_text() == "one, two"


def test_the_last_of_a_folder_stays(there, here, tmp_path):
    (here / "kept" / "epoch-1").write_text("whole")
    copied: dict = {}
    there._follow(here, ["kept"], copied)
    (here / "kept" / "epoch-1").unlink()
    there._follow(here, ["kept"], copied)
    assert names(there, tmp_path) == {"epoch-1"}


def test_one_of_several_that_is_removed_here_goes_there(there, here, tmp_path):
    copied: dict = {}
    for name in ("epoch-1", "epoch-2"):
        (here / "kept" / name).write_text("whole")
    there._follow(here, ["kept"], copied)
    (here / "kept" / "epoch-1").unlink()
    there._follow(here, ["kept"], copied)
    assert names(there, tmp_path) == {"epoch-2"}


def test_a_protocol_that_is_not_known_is_named():
    with pytest.raises(InputError, match=r"`storage=nowhere://x`: can't be opened .*nowhere"):
        Storage("nowhere://x")
