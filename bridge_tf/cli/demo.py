"""bridge-tf demo: an exported model in the browser."""

import dataclasses
import pathlib

from bridge_tf.cli.command import Command, FinishedRun
from bridge_tf.cli.existing import existing_run
from bridge_tf.cli.flags import Flags
from bridge_tf.cli.model_files import check_model_file
from bridge_tf.config.validation import setting
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.paths import check_folder, check_tree, is_there, shown

USAGE = """
Serves a local page that runs an exported model in your browser. You draw or load pictures, and the
page shows the predictions. Runs until Ctrl-C.

    bridge-tf demo --workdir=DIR
    bridge-tf demo --model=PATH.tflite [--images=FOLDER]
"""


_MODEL = "name an exported .tflite file"


@dataclasses.dataclass(frozen=True)
class Options(FinishedRun):
    """The model and its page."""

    export_dir: str = setting(
        "", "Folder that the run was exported to; default: that of the training."
    )
    model: str = setting("", "Exported .tflite file, in place of a run.")
    images: str = setting("", "Folder of example pictures for `model`; subfolders are classes.")
    port: int = setting(8642, "Port of the page; 0: any free port.", low=0, high=65535)
    runtime: str = setting(
        "", "Folder with node_modules/@litertjs/core; default: fetched by npm to the cache, once."
    )


def _demo(flags: Flags) -> None:
    from bridge_tf.demo.runtime import runtime_folder
    from bridge_tf.demo.server import DemoServer, Site

    options = flags.options
    if bool(options.workdir) == bool(options.model):
        raise InputError("`workdir` or `model`: name one of them, a run or an exported file")
    if options.images and options.workdir:
        raise InputError("`images`: goes with `model`; a run shows its own test pictures")
    if options.export_dir and options.model:
        raise InputError("`export_dir`: goes with `workdir`; `model` names the file itself")
    for name in ("images", "runtime"):
        folder = getattr(options, name)
        if folder and is_there(f"`{name}`: {shown(folder)}", folder, "name a folder"):
            check_folder(f"`{name}`: {shown(folder)}", folder)
            if name == "images":
                check_tree("`images`", folder, "remove it, or replace it by an image")
    model, examples = _of_run(flags) if options.workdir else _of_file(options)
    runtime = runtime_folder(options.runtime)
    with DemoServer(Site.of(model, examples, runtime), options.port) as server:
        print(server.url, flush=True)
        server.serve_forever()


def _of_run(flags: Flags) -> tuple:
    """The exported model of the run in --workdir, and images of its test split."""
    export_dir = flags.options.export_dir
    run = existing_run(flags, **{"export_dir": export_dir} if export_dir else {})
    from bridge_tf.demo.examples import examples_of_split
    from bridge_tf.demo.model import disagreement_of, load_model
    from bridge_tf.runs.artifacts import exported_file

    positions = run.positions if run.config.conditioned else ()
    path = exported_file(run)
    model, apart = load_model(path, positions), disagreement_of(path)
    return model, examples_of_split(run.data.test, run.data.class_names, apart)


def _of_file(options: Options) -> tuple:
    """The model of the file --model, and pictures of --images."""
    from bridge_tf.demo.examples import examples_of_folder
    from bridge_tf.demo.model import disagreement_of, load_model

    check_model_file("model", options.model, _MODEL)
    path = pathlib.Path(options.model)
    model = load_model(path)
    if not options.images:
        return model, []
    folder = pathlib.Path(options.images)
    return model, examples_of_folder(folder, model.image_shape, disagreement_of(path))


COMMAND = Command(USAGE, _demo, Options, settings=("imports",))
