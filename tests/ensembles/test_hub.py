"""A `BridgeEnsemble` on the Hugging Face Hub, by a stand-in for its client."""

import pathlib
import shutil
import types

import keras
import numpy as np
import pytest

import bridge_tf


@pytest.fixture
def hub(tmp_path, monkeypatch) -> pathlib.Path:
    """A folder for repositories, in place of huggingface.co, with the calls that Keras makes."""
    folder = tmp_path / "hub"

    class HfApi:
        def __init__(self, library_name: str, library_version: str):
            assert library_name == "keras"

        def create_repo(self, repo_id: str, exist_ok: bool):
            (folder / repo_id).mkdir(parents=True, exist_ok=exist_ok)
            return types.SimpleNamespace(repo_id=repo_id)

        def upload_folder(self, repo_id: str, folder_path: str, commit_message: str):
            shutil.copytree(folder_path, folder / repo_id, dirs_exist_ok=True)

    def snapshot_download(repo_id: str, library_name: str, library_version: str) -> str:
        copy = tmp_path / "downloaded" / repo_id
        return str(shutil.copytree(folder / repo_id, copy))

    client = types.SimpleNamespace(HfApi=HfApi, snapshot_download=snapshot_download)
    monkeypatch.setattr("keras.src.saving.saving_lib.huggingface_hub", client)
    return folder


@pytest.mark.integration
def test_an_ensemble_comes_back_from_the_hub_as_it_was(hub):
    base = bridge_tf.build_network("resnet8", (8, 8, 1), 10, width=0.25)
    bridge = bridge_tf.build_bridge(base, "stage2_block1", 0.5)
    ensemble = bridge_tf.BridgeEnsemble(base, [bridge]).calibrated(1.5, 0.75)
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1)).astype("float32")
    ensemble.save("hf://me/mine")
    names = {path.name for path in (hub / "me" / "mine").iterdir()}
    assert {"README.md", "config.json"} <= names
    loaded = keras.saving.load_model("hf://me/mine")
    assert isinstance(loaded, bridge_tf.BridgeEnsemble)
    assert (loaded.temperature, loaded.base_temperature) == (1.5, 0.75)
    wanted, found = (model.predict(images, verbose=0) for model in (ensemble, loaded))
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)
