"""Every command and program in the README and in the guide runs."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import urllib.request

import keras
import numpy as np
import pytest
from PIL import Image

from bridge_tf.networks import fresh_copy
from tests.commands import done
from tests.conftest import REPOSITORY
from tests.demo.conftest import runtime  # noqa: F401

# For what takes a few, of which two cores with other work may make many.
SECONDS = 120
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PYTHON = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
GUIDE = (REPOSITORY / "docs" / "bring_your_own_model.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str = README) -> list[str]:
    text = "".join(blocks("bash", text)).replace("\\\n", " ")
    return [part.strip() for line in text.splitlines() for part in line.split("&&")]


@pytest.fixture
def folder(images_folder, smoke_run):
    """A folder like the repository, with the images that the README talks of.

    The digits recipe has been trained there already, which the command then finds.
    """
    recipe = smoke_run(REPOSITORY / "configs" / "digits.flags")
    shutil.copytree(recipe.work, images_folder / "runs" / "digits")
    (images_folder / "saved_models").mkdir()
    for name in ("bin", "configs", "docs", "saved_models/pretrained"):
        (images_folder / name).symlink_to(REPOSITORY / name)
    return images_folder


@pytest.fixture
def images_folder(tmp_path):
    """A folder with the images that the README and the guide talk of."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 40), ("test", 10)):
        for name in ("cat", "dog"):
            (tmp_path / "my_images" / split / name).mkdir(parents=True)
            for k in range(count):
                image = generator.integers(0, 256, (32, 32, 3)).astype("uint8")
                Image.fromarray(image).save(tmp_path / "my_images" / split / name / f"{k}.png")
    return tmp_path


def run(program: list[str], folder) -> str:
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        program, capture_output=True, text=True, cwd=folder, env={**os.environ, "PATH": path}
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


ADDRESS = re.compile(r"http://(?:localhost|127\.0\.0\.1):\d+\S*")


def answer_of_server(program: list[str], folder) -> str:
    """Starts a command that serves a page until it is stopped, and gets the page."""
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder
    ) as process:
        # Ends the reading below if no address comes.
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        try:
            lines = []
            while not (found := ADDRESS.search("".join(lines))):
                lines.append(process.stdout.readline())
                assert lines[-1], f"{program} names no address: {''.join(lines)}"
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(found[0], timeout=SECONDS) as page:
                return page.read().decode()
        finally:
            timer.cancel()
            process.terminate()


@pytest.mark.integration
def test_commands_run(folder):
    """In their order, trainings made short; .ci/run installs and calls pytest."""
    ran = []
    for command in commands():
        words = shlex.split(command)
        if words[0] in ("pip", "pytest", "bin/demo"):
            continue
        if words[0] == "tensorboard":
            words = ["-m", "tensorboard.main", *words[1:]]
        if "--loss_plane" in words:
            words += ["--loss_plane_points=3"]
        if words[0] == "bin/train":
            words += ["--smoke"]
        if any(word.startswith("--tflite=") for word in words):
            words += ["--max_accuracy_drop=1"]  # of a network that has learned next to nothing
        if "--dataset=folder:my_images" in words:
            words += ["--batch_size=32"]
        if words[0] == "-m":
            page = answer_of_server([sys.executable, *words, "--port=0"], folder)
            assert "<title>" in page, command
        else:
            command = words[0].removeprefix("bin/")
            assert done(command, *words[1:], cwd=folder).stdout.strip(), command
        ran.append(words[0])
    first, own = ran[:4], ran[4:]
    assert first == ["bin/predict", "bin/train", "bin/evaluate", "-m"]
    assert own == ["bin/train", "bin/evaluate", *["bin/export"] * 2, "bin/predict", "bin/export"]
    assert (folder / "runs" / "digits" / "report.md").exists()
    assert (folder / "elsewhere" / "mine" / "1" / "saved_model.pb").exists()
    # The second of the programs reads what the first command exported.
    first, second = blocks("python")
    printed = run([sys.executable, "-c", shortened(first)], folder)
    assert "'calibrated_nll'" in printed
    assert (folder / "saved_models" / "mine.tflite").exists()
    assert "shape=(3, 10)" in run([sys.executable, "-c", second], folder)


@pytest.mark.integration
def test_the_demo_runs(runtime, folder):  # noqa: F811
    """Of the run that `folder` has, which was exported when it was trained."""
    (command,) = [command for command in commands() if command.startswith("bin/demo")]
    words = [*shlex.split(command), f"--runtime={runtime}", "--port=0"]
    assert "<title>" in answer_of_server([sys.executable, *words], folder)


def shortened(program: str) -> str:
    return re.sub(r"epochs=\d+", "epochs=1", program)


@pytest.mark.slow  # its commands are also tests/cli/test_own_models.py's
def test_the_guide_runs(folder):
    image = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 16)(image)
    x = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Conv2D(16, 3, strides=2, activation="relu")(x)
    x = keras.layers.Dense(10, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
    classifier = keras.Model(image, x, name="classifier")
    for name in ("classifier", "a", "b"):
        fresh_copy(classifier).save(folder / f"{name}.keras")

    first, weighted, _, second = blocks("python", GUIDE)
    body = [line for line in first.splitlines() if line.strip()]
    assert len(body) < 30
    printed = run([sys.executable, "-c", shortened(first)], folder)
    assert "Choice(tap=" in printed
    assert (folder / "saved_models" / "mine.tflite").exists()
    assert float(run([sys.executable, "-c", shortened(weighted)], folder)) > 0
    assert int(run([sys.executable, "-c", second], folder)) > 1000
    for command in commands(GUIDE):
        if "MobileNetV2" in command:
            continue  # tests/cli/test_own_models.py
        _, name, *flags = shlex.split(command)
        assert "bridge_1" in done(name, *flags, "--smoke", cwd=folder).stdout, command
    assert (folder / "saved_models" / "trained.tflite").exists()
    assert (folder / "saved_models" / "architecture.tflite").exists()


@pytest.mark.zoo
def test_the_guide_runs_with_a_backbone_trained_in_two_phases(images_folder):
    _, _, program, _ = blocks("python", GUIDE)
    run([sys.executable, "-c", shortened(program)], images_folder)
    answer = (
        "import numpy as np; from ai_edge_litert.interpreter import Interpreter\n"
        "run = Interpreter('saved_models/pets.tflite').get_signature_runner('serving_default')\n"
        "found = run(image=np.zeros((3, 32, 32, 3), 'float32'))['probabilities']\n"
        "print(found.shape, np.abs(found.sum(axis=1) - 1).max() < 1e-6)"
    )
    assert run([sys.executable, "-c", answer], images_folder).strip() == "(3, 2) True"


@pytest.mark.integration
def test_the_python_page_runs(tmp_path):
    """A whole run in its first program, of few lines; then the others."""
    first, *others = blocks("python", PYTHON)
    assert len([line for line in first.splitlines() if line.strip()]) < 25
    end = "end of the first"
    program = shortened("\n".join([first, f"print({end!r})", *others]))
    printed = run([sys.executable, "-c", program], tmp_path)
    lines, printed = printed.split(f"{end}\n")
    lines = lines.splitlines()
    assert lines[0].startswith("Within 1.25 × the FLOPs of one network on average, 1.5 × for")
    assert "(797, 10)" in lines
    temperature, path = lines[-1].split()
    assert float(temperature) > 0 and path == "saved_models/other.tflite"
    assert (tmp_path / "saved_models" / "other" / "1" / "saved_model.pb").exists()
    assert "val_accuracy: " in printed and "\n1 adam\n" in printed
    assert printed.splitlines()[-1] == "saved_models/film.tflite"


def test_ci_runs_the_test_command_of_the_readme():
    wanted = [line for line in "".join(blocks("bash")).splitlines() if ".[test]" in line]
    assert wanted == ["pip install -e '.[test]' && pytest"]
    ci = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert "grep -m 1 -F '.[test]' README.md" in ci


def test_files_that_the_readme_names_exist():
    for name in re.findall(r"`((?:bridge_tf|bin|configs|docs)/[\w./-]*)`", README + GUIDE + PYTHON):
        assert (REPOSITORY / name).exists(), name
