"""Flags of any values, and config.json of any content: a configuration, or what is wrong."""

import dataclasses
import json
import pathlib
import tempfile

from hypothesis import example, given
from hypothesis import strategies as st

from bridge_tf.cli.flags import Flags
from bridge_tf.cli.train import Options
from bridge_tf.config import STAGES, Config
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.utils.errors import InputError
from tests.fuzz.examples import json_values, search, spoilt_json

FIELDS = dataclasses.fields(Config)
NAMES = [field.name for field in FIELDS]
WORDS = sorted({str(word) for field in FIELDS for word in field.metadata.get("choices", ())})
ODD = (
    *("", "0", "-0", "1", "2", "0.5", "-1", "1e-9", "1e999", "nan", "inf", "-inf", "٣", "1_000"),
    *("0x10", "9" * 5000, "1.", ".5", "true", "no", ",", "0.5,0.5", "0,1,", "0.1,x", "a.keras"),
    *("a.keras,b.keras", "auto", "resnet8", "resnet", "resnet0", "resnet1", "MobileNetV2", "a\nb"),
    *("npz:", "tfds:a:1", "folder:/", "folder:../..", ":", "resnet" + "8" * 5000, "/", "..", "."),
)
VALUES = st.sampled_from(ODD) | st.sampled_from(WORDS) | st.text(max_size=12)


def parsed(arguments: list[str]) -> Config | None:
    """The configuration that they give; None where they are refused."""
    try:
        flags = Flags(Options, settings=None)
        flags.parse(arguments, positional=True)
        return flags.config()
    except InputError as error:
        assert str(error).strip()
        return None


def check(config: Config | None) -> None:
    """Checks what must hold for every configuration."""
    if config is None:
        return
    data = config.to_json()
    again = Config(**data)
    assert again == config and again.fingerprint == config.fingerprint
    assert config.differences(again) == []
    assert isinstance(config.smoke(), Config)
    if config.num_modes < 20:
        pairs = config.curves()
        assert len(set(pairs)) == len(pairs) >= 1
    assert pathlib.PurePath(config.export_name).name == config.export_name
    assert all(stage.isalpha() for stage in STAGES)


@search(200)
@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), min_size=1, max_size=4))
@example([("modes", "a.keras,b.keras"), ("num_modes", "2")])
@example([("dataset", "folder:/"), ("model", "/")])
def test_any_flags(pairs):
    check(parsed([f"--{name}={value}" for name, value in pairs]))


@search(60)
@given(st.lists(st.sampled_from(["--", "-", "=", "--seed", "--noseed", "--jit_compile"]) | VALUES))
def test_any_arguments(arguments):
    if not any("flagfile" in argument for argument in arguments):
        check(parsed(arguments))


@search(100)
@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=3), st.binary(max_size=40))
def test_any_flagfile(pairs, noise):
    lines = "".join(f"--{name}={value}\n" for name, value in pairs)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "recipe.flags")
        path.write_bytes(lines.encode("utf-8", "surrogatepass") + noise)
        check(parsed([f"--flagfile={path}"]))


def read(content: str) -> Config | None:
    """The configuration that a work directory with this config.json holds."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "config.json").write_text(content, encoding="utf-8")
        try:
            return WorkDir(folder).read_config()
        except InputError as error:
            assert "config.json" in str(error) or "`" in str(error)
            return None


@search(100)
@given(st.sampled_from(NAMES), json_values())
def test_any_value_in_config_json(name, value):
    config = Config().to_json()
    check_read(read(json.dumps({"flags": {**config, name: value}})))


@search(100)
@given(spoilt_json({"flags": Config().to_json(), "versions": {}, "fingerprint": ""}))
@example("[" * 100_000)
@example("[]")
def test_any_config_json(content):
    check_read(read(content))


def check_read(config: Config | None) -> None:
    """A file that was edited may hold values of other types; they must still be usable."""
    if config is not None:
        config.fingerprint  # noqa: B018
        config.differences(Config())
