"""`help` of each public name: all parameters, and an example that runs."""

import inspect
import textwrap

import keras
import numpy as np
import pytest

import bridge_tf
from bridge_tf.utils.docstrings import described_arguments, takes_options_of

NAMES = sorted(bridge_tf.__all__)


def own_methods(thing) -> list:
    """The public methods of a class that aren't Keras's or Python's."""
    if not inspect.isclass(thing):
        return []
    keras_has = set(dir(keras.Model))
    return [
        getattr(thing, name)
        for name in vars(thing)
        if not name.startswith("_") and name not in keras_has and callable(getattr(thing, name))
    ]


def parameters(function) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.mark.parametrize("name", NAMES)
def test_each_parameter_is_described(name):
    thing = getattr(bridge_tf, name)
    for function in [thing, *own_methods(thing)]:
        if inspect.isclass(function) and issubclass(function, Exception):
            continue
        described = described_arguments(inspect.getdoc(function) or "")
        missing = [parameter for parameter in parameters(function) if parameter not in described]
        assert missing == [], function
        unknown = set(described) - set(parameters(function))
        if not inspect.isclass(function):
            assert unknown == set(), function


def test_public_functions_name_their_options():
    for name in NAMES:
        # Those of a network's builder depend on the network; its docstring has them.
        if inspect.isfunction(getattr(bridge_tf, name)) and name != "build_network":
            found = inspect.signature(getattr(bridge_tf, name)).parameters.values()
            assert not any(parameter.kind is parameter.VAR_KEYWORD for parameter in found), name


def test_options_come_from_the_function_that_they_are_passed_to():
    def inner(x, *, depth: int = 1, color: str = "red", hidden: int = 0):
        """Inner.

        Args:
            depth: of the
                water.
            color: of the paint.
        """

    @takes_options_of(inner, but=("hidden",))
    def outer(x, *, height: int = 2, **options) -> int:
        """Outer.

        Args:
            x: a place.
            height: of it.
            color: of it.
            **options: as in `inner`.
        """
        return len(options)

    signature = "(x, *, height: int = 2, depth: int = 1, color: str = 'red') -> int"
    assert str(inspect.signature(outer)) == signature
    assert described_arguments(outer.__doc__) == {
        "x": ["    x: a place."],
        "height": ["    height: of it."],
        "color": ["    color: of it."],
        "depth": ["    depth: of the", "        water."],
    }
    assert outer(1, depth=3) == 1


def examples(thing) -> str:
    """The code behind "Example::" in a docstring."""
    _, _, after = (inspect.getdoc(thing) or "").partition("Example::\n")
    lines = []
    for line in after.splitlines():
        if line and not line.startswith("    "):
            break
        lines.append(line)
    return textwrap.dedent("\n".join(lines)).strip()


@pytest.mark.parametrize("name", NAMES)
def test_each_public_name_has_an_example(name):
    code = examples(getattr(bridge_tf, name))
    assert f"bridge_tf.{name}" in code
    compile(code, name, "exec")


@pytest.mark.integration
def test_the_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (24, 8, 8, 1)).astype("float32")

    def build():
        layers = keras.layers
        return keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                layers.Rescaling(1 / 255),
                layers.Conv2D(4, 3, name="stem"),
                layers.Conv2D(4, 3, name="stage2_block1"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(3),
            ]
        )

    modes = [build(), build()]
    given = {
        "bridge_tf": bridge_tf,
        "keras": keras,
        "np": np,
        "images": images,
        "labels": np.arange(24) % 3,
        "build": build,
        "modes": modes,
        "network": build(),
        "member": build(),
        "curve": bridge_tf.Curve.between(*modes),
        "bridge": bridge_tf.build_bridge(modes[0], "stage2_block1", 0.5),
        "recipe": bridge_tf.Recipe(epochs=2, warmup_epochs=0, jit_compile=False),
    }
    given["ensemble"] = bridge_tf.BridgeEnsemble(modes[0], [given["bridge"]])
    for name in NAMES:
        exec(compile(examples(getattr(bridge_tf, name)), name, "exec"), dict(given))
    assert "no layer 'no_such_layer'" in capsys.readouterr().out
