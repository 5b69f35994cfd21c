import dataclasses
import re

import pytest

from bridge_tf.config import STAGES, Config
from bridge_tf.utils.errors import InputError


def test_settings_survive_json():
    config = Config(taps=["a", "b"], pixel_mean=[0.1, 0.2, 0.3], nesterov=True, r=0.25)
    assert Config(**config.to_json()) == config


def test_locations_decide_nothing():
    here, there = Config(export_dir="a", data_dir="b"), Config(export_dir="c", export_name="d")
    assert here.fingerprint == there.fingerprint
    assert here.differences(there) == []


def test_what_is_measured_decides_nothing():
    measured = Config(
        ood_dataset="npz:a.npz",
        corruptions=["noise", "jpeg"],
        corruption_images=9,
        average_cost=1.5,
    )
    assert measured.fingerprint == Config().fingerprint
    assert Config(**measured.to_json()) == measured


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ood_dataset": "digits"}, "`ood_dataset=digits`: is `dataset`; name other data"),
        ({"corruptions": ["fog"]}, "`corruptions=fog`: must be one or more of noise, blur"),
        ({"corruptions": ["blur", "blur"]}, "`corruptions=blur,blur`: name each corruption once"),
        ({"corruption_images": 0}, "`corruption_images=0`: must be at least 1"),
        ({"average_cost": 1.0}, "`average_cost=1.0`: must be above 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(settings, words):
    with pytest.raises(InputError, match=words):
        Config(**settings)


def test_defaults_that_other_settings_decide_are_resolved():
    config = Config(model="resnet20", learning_rate=0.3)
    assert config.taps == ("stage2_block3",)
    assert config.bridge_learning_rate == 0.3
    assert config.differences(Config(model="resnet20", learning_rate=0.3, taps=config.taps)) == []
    assert Config(taps=["pool"], bridge_learning_rate=0.1).taps == ("pool",)


def test_curves_decay_as_modes_unless_they_are_given_a_decay_of_their_own():
    assert Config(weight_decay=5e-4).curve_weight_decay == 5e-4
    assert Config(weight_decay=5e-4, curve_weight_decay=0.0).curve_weight_decay == 0
    assert Config(curve_weight_decay=1e-3) == Config()
    older = Config(weight_decay=5e-4).to_json()
    del older["curve_weight_decay"]
    assert Config(**older) == Config(weight_decay=5e-4)


def test_settings_of_other_networks_and_augmentations_are_refused():
    for settings, flag in (
        ({"stem": "small"}, "`stem=small`: not for `model=resnet8`"),
        ({"model": "imagenet_resnet50", "input_size": 32}, "`input_size=32`: not for"),
        ({"crop_padding": 4}, "`crop_padding=4`: needs `augment=crop`"),
        ({"curve_weight_decay": -1e-4}, "`curve_weight_decay=-0.0001`: must be at least 0"),
    ):
        with pytest.raises(InputError, match=flag):
            Config(**settings)
    taken = Config(model="imagenet_resnet34", stem="small", norm="batch", width=0.5)
    assert taken.taps == ("stage3_block6",)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ray_gpus": 1.0}, "`ray_gpus=1.0`: needs `executor=ray`"),
        ({"storage": "s3://x"}, "`storage=s3://x`: needs `executor=ray`"),
        ({"executor": "ray", "hosts": ["a:1", "b:1"]}, "not with `executor=ray`"),
        ({"executor": "ray", "ray_cpus": 0.0}, "`ray_cpus=0.0`: must be above 0"),
        ({"executor": "dask"}, "`executor=dask`: must be one of local, ray"),
        ({"jobs": "0"}, "`jobs=0`: must be a number from 1 to 999, or auto"),
        ({"jobs": "many"}, "`jobs=many`: must be a number from 1 to 999, or auto"),
        ({"jobs": "2", "executor": "ray"}, "`jobs=2`: not with `executor=ray`"),
        ({"jobs": "2", "devices": "all"}, "`jobs=2`: not with `devices=all`"),
        ({"jobs": "2", "hosts": ["a:1", "b:1"]}, "`jobs=2`: not with `hosts=a:1,b:1`"),
        ({"threads": -1}, "`threads=-1`: must be at least 0"),
        ({"threads": 1, "executor": "ray"}, "`threads=1`: not with `executor=ray`"),
        ({"threads": 1, "devices": "2"}, "`threads=1`: not with `devices=2`"),
        ({"devices": "two"}, "`devices=two`: must be a number from 1 on, or all"),
        ({"devices": "3"}, "`batch_size=128`: 3 devices share each batch equally"),
        ({"hosts": ["a:1"]}, "`hosts=a:1`: name two processes or more"),
        ({"process_id": 1}, "`process_id=1`: needs `hosts`"),
    ],
)
def test_executions_that_cannot_be_are_refused(settings, words):
    with pytest.raises(InputError, match=re.escape(words)):
        Config(**settings)


def test_who_does_it_decides_nothing():
    there = Config(executor="ray", ray_gpus=1.0, storage="gs://x", devices="all")
    assert there.fingerprint == Config().fingerprint


def test_what_differs_is_named():
    ours, theirs = Config(seed=1, taps=["a", "b"]), Config(taps=["a"])
    assert ours.differences(theirs) == ["`seed=1` (there: 0)", "`taps=a,b` (there: a)"]
    assert ours.fingerprint != theirs.fingerprint


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"dataset": "digits"}, "digits_resnet8"),
        ({"dataset": "tfds:cifar10:3.0.2", "model": "resnet20"}, "cifar10_resnet20"),
        ({"dataset": "folder:/data/my birds/"}, "my_birds_resnet8"),
        ({"dataset": "npz:data/cells.npz"}, "cells_resnet8"),
        ({"dataset": "digits", "export_name": "v2.1"}, "v2.1"),
    ],
)
def test_name_of_the_export(settings, name):
    assert Config(**settings).export_name == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("r", 1.5),
        ("r", -0.1),
        ("r", float("nan")),
        ("width", 0.0),
        ("momentum", 1.0),
        ("num_modes", 1),
        ("seed", -1),
        ("seed", 2**31),
        ("pixel_std", [0.2, 0.0]),
        ("mixup_alpha", float("inf")),
        ("bridge_type", 3),
        ("curve_kind", "spline"),
        ("export_name", "../up"),
        ("export_name", ".hidden"),
        ("export_name", "x" * 101),
    ],
)
def test_values_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"`{name}="):
        Config(**{name: value})


def test_smoke_keeps_the_recipe_but_its_length():
    config = Config(norm="batch", learning_rate=0.3, num_modes=5)
    changed = {
        field.name
        for field in dataclasses.fields(Config)
        if getattr(config, field.name) != getattr(config.smoke(), field.name)
    }
    assert changed == {
        "batch_size",
        "num_modes",
        "mode_epochs",
        "curve_epochs",
        "bridge_epochs",
        "curve_points",
        "max_images",
    }


def test_curves_of_both_types():
    assert Config(num_modes=4).curves() == [(0, 1), (0, 2), (0, 3)]
    pairs = Config(num_modes=4, bridge_type=2).curves()
    assert pairs == [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]


def test_stages_are_the_contracts():
    assert STAGES == ("modes", "curves", "bridges", "baselines", "evaluate", "export")
