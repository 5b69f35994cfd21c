"""What the demo is given: models, pictures, flags."""

import io
import os
import signal
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
from PIL import Image

from bridge_tf.data import Split
from bridge_tf.demo.examples import examples_of_folder, examples_of_split
from bridge_tf.demo.model import load_model, with_batch_of_one
from bridge_tf.utils.errors import InputError
from tests.commands import refused
from tests.conftest import REPOSITORY


@pytest.fixture
def pictures(tmp_path):
    """A folder of 30 pictures of cats, 2 of dogs and one by itself."""
    folder = tmp_path / "pictures"
    for name, count in (("cat", 30), ("dog", 2)):
        (folder / name).mkdir(parents=True)
        for k in range(count):
            Image.new("L", (16, 16), k).save(folder / name / f"{k:02}.png")
    Image.new("RGB", (8, 8), "red").save(folder / "alone.jpg")
    (folder / "notes.txt").write_text("")
    return folder


@pytest.mark.integration
def test_a_fixed_batch_changes_no_answer(exported, digits, tmp_path, lite):
    content = exported.parts.read_bytes()
    fixed = with_batch_of_one(content)
    assert len(fixed) == len(content)
    assert with_batch_of_one(fixed) == fixed
    path = tmp_path / "fixed.tflite"
    path.write_bytes(fixed)
    image = digits[0][:1].astype("float32")
    for signature in ("serving_default", "base", "taps"):
        for name, value in lite(exported.parts, signature, image=image).items():
            np.testing.assert_array_equal(lite(path, signature, image=image)[name], value)


@pytest.mark.integration
def test_labels_are_read_if_there_is_one_a_class(exported, tmp_path):
    model = load_model(exported.parts)
    assert (model.name, model.image_shape) == ("parts", (8, 8, 1))
    assert model.labels == tuple(f"digit {k}" for k in range(10))
    quantized = tmp_path / "parts.int8.tflite"
    quantized.write_bytes(exported.parts.read_bytes())
    (tmp_path / "parts.labels.txt").write_text("".join(f"{k}\u2028\n" for k in range(10)))
    assert load_model(quantized).labels == tuple(f"{k}\u2028" for k in range(10))
    path = tmp_path / "model.tflite"
    path.write_bytes(exported.colour.read_bytes())
    (tmp_path / "model.labels.txt").write_text("only one\n")
    assert load_model(path).labels == tuple(map(str, range(12)))


@pytest.mark.integration
def test_models_that_cannot_be_shown_are_named(exported, tmp_path):
    content = exported.parts.read_bytes()
    for name, damaged in (("text", b"no model"), ("half", content[: len(content) // 2])):
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=rf"`model`: .*{name}.tflite can't be loaded"):
            load_model(path)
    with pytest.raises(InputError, match=r"absent.tflite doesn't exist; name an exported .tflite"):
        load_model(tmp_path / "absent.tflite")
    for path in (exported.parts.parent / "parts", tmp_path):
        with pytest.raises(InputError, match=r"is no .tflite file; name an exported .tflite"):
            load_model(path)


@pytest.mark.parametrize(
    ("channels", "names", "message"),
    [
        (4, ("serving_default", "base"), "takes images of 4 channels; pictures have 1 or 3"),
        (1, ("serving_default",), "has no signature base"),
    ],
)
def test_models_of_another_kind_are_named(tmp_path, channels, names, message):
    import tensorflow as tf

    module = tf.Module()
    spec = tf.TensorSpec((None, 2, 2, channels), tf.float32, name="image")

    @tf.function(input_signature=[spec])
    def answer(image):
        return {"probabilities": tf.nn.softmax(tf.reshape(image, (-1, 4 * channels)))}

    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=dict.fromkeys(names, answer))
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(tmp_path / "saved"), signature_keys=list(names)
    )
    path = tmp_path / "model.tflite"
    path.write_bytes(converter.convert())
    with pytest.raises(InputError, match=message):
        load_model(path)


def test_examples_are_spread_over_classes(pictures):
    examples = examples_of_folder(pictures, (8, 8, 1), count=10)
    labels = [example.label for example in examples]
    assert labels == [""] + ["cat"] * 7 + ["dog"] * 2
    assert all(example.png.startswith(b"\x89PNG") for example in examples)
    labels = np.repeat([2, 0, 1], [50, 3, 30])
    images = np.zeros((83, 4, 4, 3), "float32")
    found = [example.label for example in examples_of_split(Split(images, labels), "abc", count=41)]
    assert found == ["a"] * 3 + ["b"] * 19 + ["c"] * 19


def test_examples_begin_with_those_on_which_base_and_ensemble_disagree(pictures):
    labels = np.repeat([2, 0, 1], [50, 3, 30])
    images = np.zeros((83, 4, 4, 1), "uint8")
    images[[7, 60]] = 200  # of classes 2 and 1

    def disagree(pixels):
        return pixels.max(axis=(1, 2, 3)) == 200

    examples = examples_of_split(Split(images, labels), "abc", disagree, 12)
    bright = [np.asarray(Image.open(io.BytesIO(example.png))).max() for example in examples]
    assert bright == [200, 200] + [0] * 10
    assert [example.label for example in examples] == [*"bc", *"aaa", *"bbbb", *"ccc"]
    first = examples_of_folder(pictures, (8, 8, 1), lambda x: np.arange(len(x)) == 2, 4)
    assert len(first) == 4 and first[0].label == "dog"


@pytest.mark.integration
def test_disagreement_is_of_the_files_base_and_ensemble(exported, digits, lite):
    from bridge_tf.demo.model import disagreement_of

    images = digits[0][:50].astype("float32")
    tops = [
        lite(exported.parts, name, image=images)["probabilities"].argmax(axis=1)
        for name in ("base", "serving_default")
    ]
    found = disagreement_of(exported.parts)(images)
    assert found.tolist() == (tops[0] != tops[1]).tolist() and found.any() and not found.all()


def test_examples_are_the_images_that_training_takes(pictures):
    exif = Image.Exif()
    exif[0x0112] = 3  # stored upside down
    stored = Image.fromarray(np.array([[10, 20], [30, 40]], "uint8"))
    (pictures / "fox" / "in" / "winter").mkdir(parents=True)
    stored.save(pictures / "fox" / "in" / "winter" / "0", "PNG", exif=exif)
    stored.save(pictures / "fox" / "1.GIF")
    (pictures / "fox" / "2.png").mkdir()
    stored.save(pictures / "fox" / ".3.png")
    examples = examples_of_folder(pictures, (2, 2, 1))
    foxes = [example.png for example in examples if example.label == "fox"]
    shown = [np.asarray(Image.open(io.BytesIO(png))).tolist() for png in foxes]
    assert shown == [[[10, 20], [30, 40]], [[40, 30], [20, 10]]]


@pytest.mark.integration
def test_bad_flags_are_refused(exported, tmp_path, pictures):
    model = f"--model={exported.whole}"
    assert "--workdir or --model: name one of them" in refused("demo")
    assert "name one of them" in refused("demo", model, f"--workdir={tmp_path}")
    assert "--images: goes with --model" in refused("demo", "--workdir=a", "--images=b")
    assert "--export_dir: goes with --workdir" in refused("demo", model, "--export_dir=b")
    absent = tmp_path / "absent.tflite"
    line = refused("demo", f"--model={absent}")
    wanted = "doesn't exist; name an exported .tflite file"
    assert line == f"bridge-tf demo: --model: {absent} {wanted}"
    (tmp_path / "empty").mkdir()
    assert "--images: no PNG, JPEG, GIF, BMP or WEBP" in refused(
        "demo", model, f"--images={tmp_path / 'empty'}"
    )
    assert "is no folder" in refused("demo", model, f"--images={tmp_path / 'absent'}")
    (pictures / "bad.png").write_bytes(b"no picture")
    assert "bad.png: can't be decoded" in refused("demo", model, f"--images={pictures}")
    assert "--port" in refused("demo", model, "--port=70000")
    assert "--runtime:" in refused("demo", model, f"--runtime={tmp_path}")


# Runs the command where importing TensorFlow or Keras fails.
WITHOUT = """
import runpy, sys
sys.modules.update(dict.fromkeys(("tensorflow", "keras", "sklearn", "scipy")))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.integration
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_without_tensorflow_until_a_signal(exported, runtime, pictures, signum):
    program = [sys.executable, "-c", WITHOUT, str(REPOSITORY / "bin" / "demo"), "--port=0"]
    program += [f"--model={exported.parts}", f"--runtime={runtime}", f"--images={pictures}"]
    process = subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), process.stderr.read()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{url}about.json", timeout=10) as answer:
            assert b'"label": "cat"' in answer.read()
        process.send_signal(signum)
        began = time.monotonic()
        _, errors = process.communicate(timeout=10)
        assert time.monotonic() - began < 3
        assert process.returncode == 128 + signum
        assert errors == "bridge-tf demo: interrupted\n"
    finally:
        process.kill()
        process.communicate()
