"""JSON files, validated against a schema."""

import json
import pathlib
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.paths import read_text


def _encoded(value: str) -> str:
    value.encode()  # JSON allows lone surrogates
    return value


# Above all counts of images, parameters or FLOPs, and below the limit of float().
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
    """Reads a JSON file and validates it; unknown keys are allowed.

    Args:
        schema: validates strictly, except that whole numbers pass as floats; `context` is for it.
        what, remedy: what the file should be, and what to do if it isn't, for the message.
        check: raises a ValueError for conditions outside the schema.

    Raises:
        InputError: the file can't be read or is invalid; the message names the place.
    """
    try:
        content = json.loads(read_text(path))
        schema.validate_python(content, strict=True, context=context)
        check(content)
        return content
    except ValidationError as error:
        why = _first(error)
    except (OSError, ValueError, RecursionError) as error:  # the last: deep nesting
        why = reason(error)
    raise InputError(f"{path} can't be read as {what} ({why}); {remedy}")


def _first(errors: ValidationError) -> str:
    """The first error in one line: place, expected value, actual value."""
    first = errors.errors(include_url=False)[0]
    parts = (f"[{key}]" if isinstance(key, int) else f".{key:.40}" for key in first["loc"])
    place = "".join(parts).lstrip(".") or "all of it"
    found = "" if first["type"] == "missing" else f"; it is {first['input']!r:.40}"
    return reason(ValueError(f"{place}: {first['msg']}{found}"))
