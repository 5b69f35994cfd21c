import pytest

from bridge_tf.config import Config
from bridge_tf.runs.read_only import writable
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.utils import files
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.terminal import told_to


@pytest.fixture
def work(tmp_path):
    work = WorkDir(tmp_path / "work")
    work.claim(Config())
    for name, text in (("modes/0.keras", "mode"), ("logs/modes/0/history.json", "[]")):
        path = work.path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return work


@pytest.fixture
def read_only(work, monkeypatch):
    """Nothing can be written in the work directory."""

    def refuse(dir, real=files.tempfile.TemporaryFile):
        if work.path in (dir, *dir.parents):
            raise OSError(30, "Read-only file system")
        return real(dir=dir)

    monkeypatch.setattr(files.tempfile, "TemporaryFile", refuse)
    return work


def test_a_directory_that_can_be_written_is_used(work):
    with writable(work.path) as path:
        assert path == work.path


def test_in_the_place_of_a_read_only_one_files_are_links(read_only):
    lines = []
    with told_to(lines.append), writable(read_only.path) as path:
        assert lines == [
            f"`workdir`: {read_only.path} can't be written; what is measured isn't kept"
        ]
        there = WorkDir(path)
        assert there.read_config() == Config()
        assert (path / "modes" / "0.keras").is_symlink()
        assert not (path / "logs" / "modes" / "0" / "history.json").is_symlink()
        there.check(Config())
        with there.held():
            there.write_json(path / "modes" / "0.keras", {})
            there.write_json(there.report, {})
    assert not path.exists()
    assert (read_only.path / "modes" / "0.keras").read_text() == "mode"
    assert not read_only.report.exists()


def test_a_read_only_directory_without_a_run_is_refused(read_only):
    read_only.config.unlink()
    why = r"`workdir`: can't write in .*Read-only file system"
    with pytest.raises(InputError, match=why), writable(read_only.path):
        pass


def test_what_reads_needs_no_writing(read_only):
    assert read_only.read_config() == Config()
    read_only.check(Config())
    with pytest.raises(InputError, match="can't write in"), read_only.held():
        pass
