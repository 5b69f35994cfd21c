"""models.config: what TensorFlow Serving finds."""

import os
import pathlib
import re

import pytest
from google.protobuf import text_format

from bridge_tf.export import exporter, serving
from bridge_tf.export.layout import finish_exports, models_in, publish, staging
from bridge_tf.utils.extras import install

pytest.importorskip("tensorflow_serving", reason=install("tensorflow_serving"))
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig


def models(text):
    return list(text_format.Parse(text, ModelServerConfig()).model_config_list.config)


def publish_model(folder, name):
    with staging(folder) as staged:
        (staged / "saved_model").mkdir()
        (staged / "saved_model" / "saved_model.pb").write_text("graph")
        (staged / "model.tflite").write_text("weights")
        serving.write_configurations(staged, {*models_in(folder), name})
        publish(staged, name, "source")
    return [model.name for model in models((folder / "models.config").read_text())]


def test_all_models_of_the_folder_are_listed_until_someone_changes_the_file(tmp_path, caplog):
    assert [publish_model(tmp_path, name) for name in "bab"] == [["b"], ["a", "b"], ["a", "b"]]
    configurations = [tmp_path / "models.config", tmp_path / "batching.config"]
    for path in configurations:
        path.write_text(path.read_text() + "# mine")
    assert publish_model(tmp_path, "c") == ["a", "b"]
    assert configurations[1].read_text().endswith("# mine")
    for name in "bc":
        exporter._say_if_unlisted(tmp_path, name)
    assert re.findall(r"finds (.) once that file lists it", caplog.text) == ["c"]
    for path in configurations:
        path.unlink()
    configurations[1].symlink_to(tmp_path / "elsewhere")
    assert publish_model(tmp_path, "c") == ["a", "b", "c"]
    assert configurations[1].is_symlink()


def test_a_configuration_names_only_models_that_are_there(tmp_path, monkeypatch):
    """Killed before the list is renamed, the next process finishes the job."""
    replace = os.replace

    def killed(source, target):
        if pathlib.Path(target).name == "models.config":
            raise KeyboardInterrupt
        replace(source, target)

    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed)
        patched.setattr("shutil.rmtree", lambda *args, **options: None)  # killed: nothing is tidied
        publish_model(tmp_path, "a")
    assert models_in(tmp_path) == ["a"] and not (tmp_path / "models.config").exists()
    finish_exports(tmp_path)
    assert serving.lists_model(tmp_path, "a") and (tmp_path / "batching.config").exists()
