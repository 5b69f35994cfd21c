"""Reproducible .keras files: equal models give equal bytes."""

import json
import pathlib
import shutil
import zipfile

_METADATA, _CONFIG = "metadata.json", "config.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date in the zip format


def write_model(model, path: pathlib.Path) -> None:
    """Saves `model` as a .keras file without times and memory addresses: equal models, equal bytes.

    `path` is from `bridge_tf.utils.files.replacing` and must end in .keras.
    """
    dated = path.with_name(f".partial-dated-{path.name}")
    try:
        model.save(dated)
        with zipfile.ZipFile(dated) as source, zipfile.ZipFile(path, "w") as target:
            for name in sorted(source.namelist()):
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.file_size = source.getinfo(name).file_size  # for files above 2 GiB
                with source.open(name) as old, target.open(entry, "w") as new:
                    if name in (_METADATA, _CONFIG):
                        new.write(json.dumps(_timeless(json.load(old), {})).encode())
                    else:
                        shutil.copyfileobj(old, new, 1 << 20)
    finally:
        dated.unlink(missing_ok=True)


def _timeless(value, numbers: dict):
    """JSON data without dates; shared objects are numbered in order instead of by address."""
    if isinstance(value, list):
        return [_timeless(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, item in value.items():
        if key == "shared_object_id" and isinstance(item, int):
            kept[key] = numbers.setdefault(item, len(numbers))
        elif key != "date_saved":
            kept[key] = _timeless(item, numbers)
    return kept


def is_whole(path: pathlib.Path) -> bool:
    """Whether a .keras file has all its parts and correct checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {_METADATA, _CONFIG} < set(archive.namelist()) and archive.testzip() is None
    except Exception:  # damaged files raise many kinds of errors
        return False
