"""What a work directory says of its files, at every moment at which a process may be killed."""

import json
import os

import pytest

from bridge_tf import files
from bridge_tf.config import Config
from bridge_tf.errors import InputError
from bridge_tf.workdir import WorkDir


class Killed(BaseException):
    pass


@pytest.fixture
def work(tmp_path):
    work = WorkDir(tmp_path / "work")
    work.claim(Config())
    return work


def write(work, target, text, sources=()):
    with work.writing(target, sources) as partial:
        partial.write_text(text)


def test_states_of_a_file(work):
    source, target = work.path / "source", work.path / "sub" / "target"
    write(work, source, "1")
    assert work.state(target) == "missing"
    write(work, target, "made", [source])
    assert work.state(target, [source]) == "current"
    assert work.current(target, [source])
    assert work.state(target, []) == "outdated"
    write(work, source, "2")
    assert work.state(target, [source]) == "outdated"
    assert not work.current(target, [source])
    write(work, source, "1")
    assert work.state(target, [source]) == "current"
    target.write_text("more")
    assert work.state(target, [source]) == "damaged"
    with pytest.raises(InputError, match=r"sub/target isn't as it was written.*--repair"):
        work.current(target, [source])
    work.manifest.remove(target)
    assert work.state(target, [source]) == "unlisted"
    source.unlink()
    write(work, target, "made", [source])
    assert work.state(target, [source]) == "current"


def test_a_time_that_did_not_change_hides_nothing_from_another_process(work):
    target = work.path / "target"
    write(work, target, "made")
    times = target.stat()
    target.write_text("fade")
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert WorkDir(work.path).state(target) == "damaged"


@pytest.mark.parametrize("renames", [0, 1])
@pytest.mark.parametrize("earlier", [None, "old"])
def test_killed_at_either_rename_a_file_is_whole_or_to_be_made(work, monkeypatch, earlier, renames):
    """A write renames twice: the manifest, then the file."""
    target = work.path / "target"
    if earlier:
        write(work, target, earlier)
    left = [renames]
    replace = os.replace

    def killed(source, place):
        if not left[0]:
            raise Killed
        left[0] -= 1
        replace(source, place)

    monkeypatch.setattr(files.os, "replace", killed)
    with pytest.raises(Killed):
        write(work, target, "new")
    monkeypatch.undo()
    again = WorkDir(work.path)
    states = {(None, 0): "missing", (None, 1): "missing", ("old", 0): "current"}
    assert again.state(target) == states.get((earlier, renames), "replaced")
    again.verify(target)
    write(again, target, "new")
    assert again.state(target) == "current"


def test_repair_sets_a_damaged_file_aside(work):
    target = work.path / "target"
    write(work, target, "made")
    target.write_text("fade")
    assert not WorkDir(work.path, repair=True).current(target, [])
    assert (work.path / "target.damaged").read_text() == "fade"
    assert WorkDir(work.path).state(target) == "missing"


def test_a_manifest_that_was_changed_is_refused(work):
    path = work.manifest.path
    content = json.loads(path.read_text())
    content["files"]["config.json"]["sha256"] = "0" * 64
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"manifest.json can't be read .*checksum.*--repair"):
        WorkDir(work.path).check(Config())
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"manifest.json can't be read"):
        WorkDir(work.path).check(Config())


def test_a_configuration_that_was_changed_is_refused_and_written_again_for_its_own_flags(work):
    whole = work.config.read_bytes()
    work.config.write_bytes(whole.replace(b'"seed": 0', b'"seed": 1'))
    for config in (Config(), Config(seed=1)):
        with pytest.raises(InputError, match=r"config.json isn't as bin/train wrote it"):
            WorkDir(work.path).check(config)
    with pytest.raises(InputError, match=r"config.json isn't as bin/train wrote it"):
        WorkDir(work.path, repair=True).claim(Config(seed=1))
    WorkDir(work.path, repair=True).claim(Config())
    assert work.config.read_bytes() == whole


def test_names_in_a_configuration_cannot_lead_elsewhere(work):
    content = json.loads(work.config.read_text())
    content["flags"]["export_name"] = "../../elsewhere"
    work.config.write_text(json.dumps(content))
    work.manifest.remove(work.config)  # as if the whole directory were forged
    with pytest.raises(InputError, match=r"config.json can't be read .*--export_name"):
        work.read_config()
