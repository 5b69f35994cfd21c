import json
import zipfile

import h5py
import keras
import pytest

from bridge_tf.config import Config
from bridge_tf.runs.cost_model import Cost, CostModel, DataSizes
from bridge_tf.runs.run_files import RunFiles
from bridge_tf.utils.errors import InputError
from tests.conftest import REPOSITORY

DIGITS = DataSizes(900, 100, 797, (8, 8, 1), 10)
SMALL = {"batch_size": 64, "mode_epochs": 30, "curve_epochs": 20, "bridge_epochs": 10}
# Of one image, by hand: a convolution with bias, the mean over its pixels, a dense layer.
TINY_FLOPS = 2 * 9 * 64 * 4 + 64 * 4 + (64 * 4) + 2 * 4 * 10 + 10


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> str:
    """A network whose costs can be told by hand."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 1))
    features = layers.Conv2D(4, 3, padding="same", name="conv")(inputs)
    outputs = layers.Dense(10)(layers.GlobalAveragePooling2D(name="pool")(features))
    path = tmp_path_factory.mktemp("tiny") / "tiny.keras"
    keras.Model(inputs, outputs).save(path)
    return str(path)


def model_of(tiny: str, sizes: DataSizes = DIGITS, **settings) -> CostModel:
    config = Config(model=tiny, taps=["pool"], bridge_width=1.0, **{**SMALL, **settings})
    return CostModel(config, sizes)


def cost(model: CostModel, task: str) -> Cost:
    return model.of(model.graph.tasks[task])


def test_steps_are_full_batches_times_epochs(tiny):
    model = model_of(tiny, baselines=["swa", "fge"], num_modes=3)
    wanted = {"mode-2": 30, "curve-0-1": 20, "bridge-0-2": 10, "swa": 30, "fge-2": 1}
    for task, epochs in wanted.items():
        assert cost(model, task).steps == epochs * 14, task
    assert cost(model, "ensemble").steps == cost(model, "evaluate").steps == 0
    trained = 3 * 30 + 2 * 20 + 2 * 10 + 30 + 2 * 1
    assert model.total().steps == trained * 14


def test_flops_of_trainings_are_those_of_a_hand_count(tiny):
    model = model_of(tiny, num_modes=3, baselines=["distillation"])
    network, bridge = TINY_FLOPS, 2 * 4 * 10 + 10
    tapped = network - bridge
    assert cost(model, "mode-0").flops == 30 * 14 * 64 * 3 * network
    assert cost(model, "curve-0-1").flops == 20 * 14 * 64 * 3 * network
    assert cost(model, "distillation").flops == 30 * 14 * 64 * (3 + 3) * network
    student = {"num_modes": 3, "distil_base": True, "student_epochs": 5, "student_bridges": 2}
    behind = cost(model_of(tiny, **student), "base").flops
    assert behind == 5 * 14 * 64 * (3 * (network + 2 * bridge) + 3 * network)
    kept = cost(model_of(tiny, **student, student_passes=2), "base").flops
    assert behind - kept == 3 * 14 * 64 * 3 * network
    assert cost(model_of(tiny, **student, student_passes=9), "base").flops == behind
    wide = model_of(tiny, **student, baselines=["wide_student"])
    each = 3 * (wide.networks.trained("wide_student").flops + wide.networks.behind("wide_student"))
    assert cost(wide, "wide_student").flops == 5 * 14 * 64 * (each + 3 * network)
    assert wide.networks.behind("student") == 2 * bridge
    # Two bridges share the base's features, in a pool of two passes.
    images, own = 14 * 64, 10 * 3 * bridge
    assert cost(model, "bridge-0-1").flops == images * (own + 2 * network + 2 * tapped // 2)
    two = model_of(tiny, num_modes=3, bridge_type=2)
    bridge = two.networks.bridge.flops
    own = 10 * 3 * bridge
    # Three bridges share the features of three modes; on a cluster each computes both it reads.
    assert cost(two, "bridge-1-2").flops == images * (own + 2 * network + 2 * tapped)
    far = model_of(tiny, num_modes=3, bridge_type=2, executor="ray")
    assert cost(far, "bridge-1-2").flops == images * (own + 2 * network + 2 * 2 * tapped)
    online = model_of(tiny, num_modes=3, bridge_type=2, bridge_pool=0)
    assert cost(online, "bridge-1-2").flops == images * (own + 10 * (network + 2 * tapped))


def test_an_evaluation_predicts_by_all_members(tiny):
    network, bridge, images = TINY_FLOPS, 2 * 4 * 10 + 10, 100 + 797
    # Points 0, ¼, ½, ¾, 1 on curve and line; ½ on the curve is the bridge's member.
    settings = {"num_modes": 3, "curve_points": 5}
    model = model_of(tiny, **settings)
    networks = images * (3 + 2) + 797 * 2 * (2 + 3)
    assert cost(model, "evaluate").flops == networks * network + images * (network + 2 * bridge)
    more = model_of(tiny, **settings, corruptions=["noise"], corruption_images=50)
    corrupted = cost(more, "evaluate").flops - cost(model, "evaluate").flops
    assert corrupted == 5 * 50 * ((3 + 2) * network + network + 2 * bridge)
    more = model_of(tiny, **settings, baselines=["fge", "distillation", "deep_ensemble"])
    others = cost(more, "evaluate").flops - cost(model, "evaluate").flops
    assert others == images * (2 + 1) * network


def test_members_with_batch_norm_have_their_statistics_estimated():
    settings = {"num_modes": 2, "curve_points": 3, "width": 0.25, **SMALL}
    plain, normed = (CostModel(Config(norm=norm, **settings), DIGITS) for norm in ("frn", "batch"))
    # 14 batches each, for the member at ½ on the curve, and for the point at ½ on the line.
    once = 14 * 64 * normed.networks.mode.flops
    assert plain.evaluation.reestimations("bridge") == 0
    assert normed.evaluation.reestimations("bridge") == once
    images, network = 897, normed.networks.mode.flops
    predicted = images * (2 + 1) * network + 797 * network
    predicted += images * (network + normed.networks.bridge.flops)
    assert cost(normed, "evaluate").flops == predicted + 2 * once
    own = 10 * 3 * normed.networks.bridge.flops
    image = own + 2 * (normed.networks.tapped + network)
    assert cost(normed, "bridge-0-1").flops == 14 * 64 * image + once


def test_critical_path(tiny):
    model = model_of(tiny, num_modes=3)
    path = [task.name for task in model.critical_path()]
    assert path == ["mode-0", "curve-0-1", "bridge-0-1", "ensemble", "evaluate"]
    left = [*model.graph.of("bridges"), *model.graph.of("export")]
    path = [task.name for task in model.critical_path(left)]
    assert path == ["bridge-0-1", "ensemble", "export"]
    assert model.critical_path([]) == []
    path = model_of(tiny, curve_epochs=1, baselines=["distillation"]).critical_path()
    assert [task.name for task in path] == ["mode-0", "distillation", "evaluate"]
    path = model_of(tiny, mode_epochs=600, baselines=["fge"], num_modes=4).critical_path()
    assert [task.name for task in path][:4] == ["mode-0", "fge-1", "fge-2", "fge-3"]


def numbers_in(path) -> int:
    """Numbers in the variables of a .keras file, those of its optimizer too."""
    found = []

    def count(name, item):
        if isinstance(item, h5py.Dataset) and item.dtype == "float32":
            found.append(item.size)

    with (
        zipfile.ZipFile(path) as archive,
        archive.open("model.weights.h5") as weights,
        h5py.File(weights) as file,
    ):
        file.visititems(count)
    return sum(found)


@pytest.mark.integration
def test_results_hold_as_many_numbers_as_said(smoke_run):
    work = smoke_run(REPOSITORY / "configs" / "digits.flags").work
    config = Config(**json.loads((work / "config.json").read_text("utf-8"))["flags"])
    model = CostModel(config, DataSizes(256, 100, 256, (8, 8, 1), 10))
    kinds = set()
    for task in model.graph.tasks.values():
        if path := task.file(RunFiles(work)):
            kinds.add(task.stage)
            # The learning rate is one of the optimizer's variables.
            assert abs(model.of(task).result / 4 - numbers_in(path)) <= 1, task
    assert kinds == {"modes", "curves", "bridges"}


def test_64_modes(tiny):
    model = model_of(tiny, num_modes=64, bridge_type=2)
    assert len(model.graph.of("curves")) == 2016
    assert len(model.critical_path()) == 5
    conv, dense = 9 * 4 + 4, 4 * 10 + 10
    assert cost(model, "mode-0").result == 4 * (conv + dense)
    assert cost(model, "curve-0-1").result == 4 * 5 * (conv + dense)
    bridge = 2 * 4 * 10 + 10  # reads the mean of both modes
    assert cost(model, "bridge-0-1").result == 4 * bridge
    assert cost(model, "ensemble").result == 4 * (64 * (conv + dense) + 2016 * bridge)
    assert cost(model, "evaluate").result == 0


def test_what_the_run_refuses_is_refused(tiny):
    with pytest.raises(InputError, match="`batch_size=901`"):
        cost(model_of(tiny, batch_size=901), "mode-0")
    with pytest.raises(InputError, match="resnet9"):
        cost(CostModel(Config(model="resnet9"), DIGITS), "mode-0")


def test_sizes_of_a_data_set():
    from bridge_tf import load_dataset

    sizes = DataSizes.of(load_dataset("digits", max_images=300))
    assert sizes == DataSizes(300, 100, 300, (8, 8, 1), 10)


def test_a_subclassed_network_is_refused(tmp_path):
    from bridge_tf.runs.counted_networks import Network

    class Own(keras.Model):
        def call(self, images):
            return images

    with pytest.raises(InputError, match="`dry_run`: can't tell what the subclassed network"):
        Network.of(Own())
