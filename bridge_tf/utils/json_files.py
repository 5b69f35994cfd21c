"""Reading JSON files, and refusing what isn't as a schema says."""

import json
import pathlib
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from bridge_tf.utils.errors import InputError, reason


def _encoded(value: str) -> str:
    value.encode()  # JSON knows halves of characters
    return value


# No count of images, parameters or FLOPs is higher, and float() takes all that are lower.
Count = Annotated[int, Field(ge=0, lt=2**63)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, AfterValidator(_encoded)]
Pair = Annotated[list[Count], Field(min_length=2, max_length=2)]


def read_json(
    path: pathlib.Path,
    schema: TypeAdapter,
    what: str,
    remedy: str,
    check: Callable[[dict], None] = lambda content: None,
    context: dict | None = None,
) -> dict:
    """The content of a JSON file that is as a schema says; it may hold more.

    Args:
        schema: whole numbers pass as numbers, and nothing else as what it isn't.
        what: it should be, for the message.
        remedy: what to do about a wrong one, for the message.
        check: raises a ValueError for what a schema can't say.
        context: for validators of the schema.

    Raises:
        InputError: it can't be read, or isn't as the schema says; the message names the place.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        schema.validate_python(content, strict=True, context=context)
        check(content)
        return content
    except ValidationError as error:
        why = _first(error)
    # RecursionError: nested a thousand times.
    except (OSError, ValueError, RecursionError) as error:
        why = reason(error)
    raise InputError(f"{path} can't be read as {what} ({why}); {remedy}")


def _first(errors: ValidationError) -> str:
    """The first of the errors, in a line: the place, what should be there, and what is."""
    first = errors.errors(include_url=False)[0]
    parts = (f"[{key}]" if isinstance(key, int) else f".{key:.40}" for key in first["loc"])
    place = "".join(parts).lstrip(".") or "all of it"
    found = "" if first["type"] == "missing" else f"; it is {first['input']!r:.40}"
    return reason(ValueError(f"{place}: {first['msg']}{found}"))
