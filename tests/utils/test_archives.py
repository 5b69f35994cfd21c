import zipfile

import pytest

from bridge_tf.utils import archives
from bridge_tf.utils.archives import check_archive
from bridge_tf.utils.errors import InputError


def archive(path, size: int, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as made:
        made.writestr("zeros", bytes(size))
    return path


def test_members_are_bounded_before_they_are_read(tmp_path):
    small = archive(tmp_path / "small.zip", 60 << 20)
    assert check_archive("`model=a`", small, "save it again") == 60 << 20
    bomb = archive(tmp_path / "bomb.zip", 70 << 20)
    with pytest.raises(InputError, match=r"^`model=a`: holds 0.1 MB that would become 73.4 MB; s"):
        check_archive("`model=a`", bomb, "save it again")
    assert check_archive("`model=a`", bomb, "save it again", times=2000) == 70 << 20
    stored = archive(tmp_path / "stored.zip", 70 << 20, zipfile.ZIP_STORED)
    assert check_archive("`model=a`", stored, "save it again") == 70 << 20


def test_members_must_fit_into_memory(tmp_path, monkeypatch):
    path = archive(tmp_path / "a.zip", 1000)
    monkeypatch.setattr(archives, "available_memory", lambda: 999)
    with pytest.raises(InputError, match=r"^`dataset=a`: holds 0.0 GB, 0.0 GB of memory are avai"):
        check_archive("`dataset=a`", path, "take fewer images")


def test_what_is_no_archive_is_named(tmp_path):
    (tmp_path / "a").write_text("text")
    with pytest.raises(InputError, match=r"^`m`: can't be read \(File is not a zip file\); save"):
        check_archive("`m`", tmp_path / "a", "save it again")
