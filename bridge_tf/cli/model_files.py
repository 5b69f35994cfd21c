"""Model files that a command is given, checked before slow imports."""

import pathlib

from bridge_tf.utils.errors import InputError
from bridge_tf.utils.paths import check_file, check_file_or_folder, is_there, shown


def check_model_file(name: str, given: str, right: str) -> None:
    """Checks a model file or folder, and what is read beside or inside it; absent ones pass.

    Args:
        name: of the setting.
        right: ends the message.

    Raises:
        InputError: none is given, or one of them can't be opened, or is neither file nor folder.
    """
    if not given:
        raise InputError(f"`{name}`: missing; {right}")
    check_file_or_folder(f"`{name}`: {shown(given)}", given, right)
    path = pathlib.Path(given)
    folders = [path, *path.glob("[0-9]*")] if path.is_dir() else []
    places = [
        *(folder / "saved_model.pb" for folder in folders),
        *(folder / "assets.extra" / "labels.txt" for folder in folders),
        *(path.with_name(f"{path.stem}{ending}") for ending in (".labels.txt", ".metadata.json")),
        path.with_name(f"{path.name.partition('.')[0]}.metadata.json"),
    ]
    for place in places:
        if is_there(f"`{name}`: {shown(place)}", place, right):
            check_file(f"`{name}`: {shown(place)}", place, right)
