"""What a work directory says of its files, at every moment at which a process may be killed."""

import json
import os
import pathlib

import pytest

from bridge_tf.config import Config
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.utils import files
from bridge_tf.utils.errors import InputError


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
    with pytest.raises(InputError, match=r"sub/target isn't as it was written.*`repair`"):
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
    with pytest.raises(InputError, match=r"manifest.json can't be read .*checksum.*`repair`"):
        WorkDir(work.path).check(Config())
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"manifest.json can't be read"):
        WorkDir(work.path).check(Config())


def test_a_configuration_that_was_changed_is_refused_and_written_again_for_its_own_flags(work):
    whole = work.config.read_bytes()
    work.config.write_bytes(whole.replace(b'"seed": 0', b'"seed": 1'))
    for config in (Config(), Config(seed=1)):
        with pytest.raises(InputError, match=r"config.json isn't as the run wrote it"):
            WorkDir(work.path).check(config)
    with pytest.raises(InputError, match=r"config.json isn't as the run wrote it"):
        WorkDir(work.path, repair=True).claim(Config(seed=1))
    WorkDir(work.path, repair=True).claim(Config())
    assert work.config.read_bytes() == whole


def test_a_run_from_before_split_seed_keeps_its_validation_split(tmp_path):
    work = WorkDir(tmp_path / "old")
    work.claim(Config(seed=3))
    content = json.loads(work.config.read_text())
    del content["flags"]["split_seed"]
    work.write_json(work.config, content)
    assert work.read_config() == Config(seed=3, split_seed=3)
    with pytest.raises(InputError, match=r"other settings: `split_seed=0` \(there: 3\)"):
        WorkDir(work.path).check(Config(seed=3))


def test_names_in_a_configuration_cannot_lead_elsewhere(work):
    content = json.loads(work.config.read_text())
    content["flags"]["export_name"] = "../../elsewhere"
    work.config.write_text(json.dumps(content))
    work.manifest.remove(work.config)  # as if the whole directory were forged
    with pytest.raises(InputError, match=r"config.json can't be read .*`export_name="):
        work.read_config()


def test_flags_are_known_without_the_configuration_too(work):
    work.config.unlink()
    with pytest.raises(InputError, match=r"holds a run with other settings, and no config.json"):
        WorkDir(work.path).check(Config(seed=1))
    WorkDir(work.path).claim(Config())
    assert work.read_config() == Config()


def test_manifest_and_configuration_damaged_together_are_repaired(work):
    for path in (work.manifest.path, work.config):
        path.write_bytes(path.read_bytes()[:-20])
    WorkDir(work.path, repair=True).claim(Config())
    assert WorkDir(work.path).read_config() == Config()


def test_what_was_set_aside_is_never_overwritten(work):
    for text in "abc":
        (work.path / "file").write_text(text)
        work.set_aside(work.path / "file")
    names = ("file.damaged", "file.damaged-2", "file.damaged-3")
    assert [(work.path / name).read_text() for name in names] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "name", ["modes", "checkpoints", "logs", "logs/curves", "logs/bridges/0-1"]
)
def test_links_out_of_the_directory_are_refused(work, tmp_path, name):
    (tmp_path / "thesis" / "report").mkdir(parents=True)
    (work.path / name).parent.mkdir(parents=True, exist_ok=True)
    (work.path / name).symlink_to(tmp_path / "thesis")
    (tmp_path / "thesis" / ".partial-0").write_text("not ours")
    with pytest.raises(InputError, match=f"work/{name} is a link"), work.held():
        work.check(Config())
    assert (tmp_path / "thesis" / ".partial-0").exists()


def test_leftovers_of_a_run_within_the_directory_are_left_to_it(work):
    inner = work.path / "a" / "modes"
    for folder in (inner, work.path / "modes", work.path / "checkpoints" / "modes" / "0"):
        folder.mkdir(parents=True)
        (folder / ".partial-0").write_text("half")
    with work.held():
        assert [path.parent for path in work.path.rglob(".partial-*")] == [inner]


def test_what_a_run_is_made_from_is_bound_to_it(work):
    work.bind({"dataset": "a"})
    work.bind({"dataset": "a"})
    assert work.changed({"dataset": "b"}) == ["dataset"]
    with pytest.raises(InputError, match="`dataset`: isn't what it was"):
        work.bind({"dataset": "b"})


def test_a_configuration_holds_no_credentials(tmp_path):
    work = WorkDir(tmp_path / "work")
    config = Config(executor="ray", storage="s3://key:secret@bucket/run")
    work.claim(config)
    assert "secret" not in work.config.read_text()
    assert work.read_config().storage == "s3://***@bucket/run"
    WorkDir(work.path).check(config)  # it is still its run


@pytest.mark.parametrize(
    ("name", "make", "what"),
    [
        ("report.json", pathlib.Path.mkdir, "a folder"),
        ("modes/0.keras", os.mkfifo, "a FIFO"),
        ("curves", pathlib.Path.touch, "a file"),
        ("ensemble.keras", lambda path: path.symlink_to("nowhere"), "a link that leads nowhere"),
    ],
)
def test_what_is_in_the_place_of_a_file_is_named_and_set_aside(work, name, make, what):
    path = work.path / name
    path.parent.mkdir(exist_ok=True)
    make(path)
    for check in (work.read_config, lambda: work.check(Config())):
        with pytest.raises(InputError, match=rf"^`workdir`: .*{name} is {what}, where a run has "):
            check()
    repair = WorkDir(work.path, repair=True)
    if name == "curves":  # which can't be set aside
        with pytest.raises(InputError, match=r"curves is a file, where a run has a folder; move"):
            repair.check(Config())
        return
    repair.check(Config())
    assert repair.state(path) == "damaged"
    repair.set_aside(path)
    assert repair.state(path) == "missing"
