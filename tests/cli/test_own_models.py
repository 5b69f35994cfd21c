"""Modes and architectures that come from elsewhere, on the command line."""

import json
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

from bridge_tf.bridges.bridge import bridge_taps, is_conditioned
from bridge_tf.networks import fresh_copy
from tests.commands import done, refused

QUICK = ("--smoke", "--jit_compile=false", "--dataset=digits")


def classifier(shape=(8, 8, 1), units=16):
    image = keras.Input(shape)
    x = keras.layers.Rescaling(1 / 16)(image)
    x = keras.layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(x)
    x = keras.layers.ReLU(name="stem_out")(keras.layers.BatchNormalization()(x))
    y = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="inside")(x)
    x = keras.layers.Concatenate(name="joined")([x, y])
    x = keras.layers.Conv2D(units, 3, strides=2, activation="relu", name="last")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(10, activation="softmax")(x), name="mine")


@pytest.fixture
def files(tmp_path):
    """Two modes and one of another architecture, compiled as their owner left them."""
    for name, units in (("a", 16), ("b", 16), ("other", 12)):
        model = fresh_copy(classifier(units=units))
        model.compile("adam", "sparse_categorical_crossentropy")
        model.save(tmp_path / f"{name}.keras")
    return tmp_path


@pytest.mark.integration
def test_trained_modes_are_taken_as_they_are(files):
    flags = [*QUICK, f"--modes={files / 'a.keras'},{files / 'b.keras'}"]
    flags += [f"--workdir={files / 'work'}", f"--export_dir={files / 'exports'}"]
    flags += ["--conditioned", "--positions=0.25,0.75", "--align=activations"]
    flags += ["--bridge_budget=0.2", "--stages=curves,bridges,evaluate,export"]
    first = done("train", *flags)
    for k, name in enumerate("ab"):
        taken = (files / "work" / "modes" / f"{k}.keras").read_bytes()
        assert taken == (files / f"{name}.keras").read_bytes()
    choice = json.loads((files / "work" / "bridges" / "choice.json").read_text())
    assert f"--taps=auto chose '{choice['tap']}' at width {choice['width']:g}" in first.stderr
    report = json.loads((files / "work" / "report.json").read_text())
    assert [row["r"] for row in report["bridges"]] == [0.25, 0.75]
    for row in report["bridges"]:
        assert (row["taps"], row["width"]) == ([choice["tap"]], choice["width"])
        assert row["relative_flops"] <= 0.2
    sizes = {row["name"]: row["size"] for row in report["ensembles"]}
    expected = {"single": 1, "deep_ensemble_2": 2, "curve_1": 3, "bridge_1": 3, "cascade_2": 2}
    assert sizes.items() >= expected.items()
    bridge = keras.models.load_model(files / "work" / "bridges" / "0-1.keras")
    assert is_conditioned(bridge) and bridge_taps(bridge) == (1, [choice["tap"]])
    assert (files / "exports" / "digits_a.tflite").exists()

    again = done("train", *flags)
    assert again.stdout == first.stdout and "epochs in" not in again.stderr


@pytest.mark.slow
def test_several_conditioned_bridges_of_type_2_of_modes_numbered_differently(files):
    x = image = keras.Input((8, 8, 1))
    for units in (4, 6, 8):
        x = keras.layers.Conv2D(units, 3, padding="same", activation="relu")(x)
    x = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x))
    names = []
    for k in range(3):
        mode = keras.models.clone_model(keras.Model(image, x))
        for layer in mode.layers[1:]:
            layer.name = f"{layer.name}_of_{k}"
        names.append(str(files / f"numbered{k}.keras"))
        mode.save(names[-1])
    flags = [f"--modes={','.join(names)}", f"--workdir={files / 'work'}", "--dataset=digits"]
    flags += ["--curve_epochs=1", "--bridge_epochs=1", "--max_images=128", "--batch_size=64"]
    flags += ["--jit_compile=false", "--curve_points=3", "--bridge_budget=2", "--bridge_type=2"]
    flags += ["--conditioned", "--positions=0.25,0.5", "--stages=curves,bridges,evaluate"]
    done("train", *flags)
    report = json.loads((files / "work" / "report.json").read_text())
    rows = [(row["curve"], row["r"], row["type"]) for row in report["bridges"]]
    pairs = ([0, 1], [0, 2], [1, 2])
    assert rows == [(pair, r, 2) for pair in pairs for r in (0.25, 0.5)]
    assert all(row["taps"][0].endswith("_of_0") for row in report["bridges"])
    sizes = {row["name"]: row["size"] for row in report["ensembles"]}
    assert sizes["bridge_1"] == 4 and sizes["bridge_3"] == sizes["curve_3"] == 9


@pytest.mark.integration
def test_an_architecture_is_trained_from_new_seeds(files):
    flags = [*QUICK, f"--model={files / 'a.keras'}", "--taps=joined", "--bridge_width=1"]
    done("train", *flags, f"--workdir={files / 'work'}", "--stages=modes,curves,bridges,evaluate")
    # Its batch normalization has Keras's momentum of 0.99, for which this is too short.
    warnings = json.loads((files / "work" / "report.json").read_text())["warnings"]
    told = [text for text in warnings if text.startswith("batch normalization in the ")]
    assert len(told) == 1 and "in the modes still holds" in told[0]
    modes = [keras.models.load_model(files / "work" / "modes" / f"{k}.keras") for k in range(2)]
    given = keras.models.load_model(files / "a.keras")
    kernels = [model.get_layer("stem").get_weights()[0] for model in (*modes, given)]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(kernels[a] - kernels[b]).max() > 1e-2


@pytest.mark.zoo
def test_a_network_of_keras_applications(tmp_path):
    flags = [*QUICK, "--model=MobileNetV2", "--input_size=32", "--jit_compile=false"]
    done("train", *flags, f"--workdir={tmp_path / 'work'}", f"--export_dir={tmp_path}")
    mode = keras.models.load_model(tmp_path / "work" / "modes" / "0.keras")
    assert mode.input_shape == (None, 8, 8, 1) and mode.output_shape == (None, 10)
    assert (tmp_path / "digits_MobileNetV2.tflite").exists()


@pytest.mark.integration
def test_modules_with_layers_of_ones_own_are_imported(files):
    (files / "my_layers.py").write_text(
        textwrap.dedent("""
        import keras

        @keras.saving.register_keras_serializable("mine")
        class Doubled(keras.layers.Layer):
            def call(self, x):
                return 2 * x
        """)
    )
    program = (
        "import keras, my_layers\n"
        "x = keras.Input((8, 8, 1))\n"
        "y = keras.layers.Flatten()(my_layers.Doubled()(x))\n"
        "y = keras.layers.Dense(4, activation='relu', name='hidden')(y)\n"
        "keras.Model(x, keras.layers.Dense(10)(y)).save('c.keras')\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=files, check=True, capture_output=True)
    flags = [*QUICK, f"--model={files / 'c.keras'}", f"--workdir={files / 'work'}"]
    flags += ["--taps=hidden", "--stages=modes,curves,bridges"]
    line = refused("train", *flags, cwd=files)
    assert "--model" in line and "Doubled" in line
    done("train", *flags, "--imports=my_layers", cwd=files, process=True)
    assert (files / "work" / "bridges" / "0-1.keras").exists()
    workdir = f"--workdir={files / 'work'}"
    line = refused("evaluate", workdir, cwd=files)
    assert (
        "the run imports my_layers; if you trust it, name it again by --imports=my_layers" in line
    )
    done("evaluate", workdir, "--imports=my_layers", cwd=files, process=True)
    flags[2] = f"--workdir={files / 'elsewhere'}"
    assert "--imports=absent: can't be imported" in refused(
        "train", *flags, "--imports=absent", cwd=files
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--modes=a.keras,absent.keras"], ["--modes=absent.keras", "no such file"]),
        (["--modes=a.keras,broken.keras"], ["--modes=broken.keras", "damaged"]),
        (["--modes=a.keras,other.keras"], ["--modes=other.keras", "last/kernel", "architecture"]),
        (["--modes=rgb.keras,a.keras"], ["--modes: rgb.keras", "(None, 8, 8, 3)", "8, 8, 1)"]),
        (["--model=rgb.keras"], ["--model=rgb.keras", "(None, 8, 8, 3)", "(None, 8, 8, 1)"]),
        (["--model=MobileNetV9"], ["'MobileNetV9'", "MobileNetV2", ".keras file"]),
        (["--model=a.keras", "--taps=inside"], ["'inside'", "goes around it", "'joined'"]),
        (["--model=a.keras", "--bridge_budget=1e-9"], ["--bridge_budget=1e-09", "cheapest"]),
        (["--modes=a.keras,a.keras"], ["--modes=a.keras,a.keras", "once"]),
        (["--modes=a.keras,b.keras,c.keras", "--num_modes=2"], ["--num_modes=2", "names 3"]),
        (["--modes=a.keras,b.keras", "--width=3"], ["--width=3.0: not for --modes"]),
        (["--model=a.keras", "--weights=x.h5"], ["--weights=x.h5: not for --model=a.keras"]),
        (["--model=resnet8", "--input_size=77"], ["--input_size=77: not for --model=resnet8"]),
        (["--model=MobileNetV2", "--norm=batch"], ["--norm=batch: not for --model=MobileNetV2"]),
        (
            ["--model=a.keras", "--taps=joined", "--conditioned", "--shared_until=nope"],
            ["--shared_until: no layer 'nope'", "'joined'"],
        ),
        (["--positions=0.5"], ["--positions=0.5", "needs --conditioned"]),
        (["--shared_until=pool"], ["--shared_until=pool", "needs --conditioned"]),
        (["--conditioned", "--positions=2"], ["--positions=2.0", "at most 1"]),
        (["--align=both"], ["--align=both", "<none|weights|activations>"]),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(files, flags, words):
    (files / "broken.keras").write_bytes(b"no zip")
    if any("rgb" in flag for flag in flags):
        classifier((8, 8, 3)).save(files / "rgb.keras")
    line = refused("train", *QUICK, "--workdir=work", *flags, cwd=files)
    assert all(word in line for word in words), line
    assert not (files / "work").exists()
