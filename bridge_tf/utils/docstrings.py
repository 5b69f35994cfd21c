"""Options that a function passes on, in its signature and in its docstring."""

import inspect
import re
import textwrap
from collections.abc import Callable
from typing import TypeVar

_Function = TypeVar("_Function", bound=Callable)
_PASSED_ON = re.compile(r"^( *)\*\*options: as in `\w+`\.\n", re.MULTILINE)


def takes_options_of(
    function: Callable, but: tuple[str, ...] = ()
) -> Callable[[_Function], _Function]:
    """Spells out **options, which go to `function`, so that `help` names each of them.

    The options are the keyword arguments of `function`, `but` those that the decorated one has or
    doesn't take. In its docstring, they take the place of the line "**options: as in …"; what it
    says of them itself stays.
    """

    def decorate(wrapper: _Function) -> _Function:
        own = inspect.signature(wrapper).parameters
        options = [
            parameter
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY and name not in (*own, *but)
        ]
        kept = [p for p in own.values() if p.kind is not p.VAR_KEYWORD]
        wrapper.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [*kept, *options], return_annotation=inspect.signature(wrapper).return_annotation
        )
        told, theirs = (described_arguments(f.__doc__ or "") for f in (wrapper, function))
        entries = [theirs[option.name] for option in options if option.name not in told]

        def spelled_out(line: re.Match) -> str:
            text = "".join(f"{row}\n" for entry in entries for row in entry)
            return textwrap.indent(text, line[1][4:])  # entries are indented by 4 themselves

        wrapper.__doc__ = _PASSED_ON.sub(spelled_out, wrapper.__doc__ or "")
        return wrapper

    return decorate


def described_arguments(docstring: str) -> dict[str, list[str]]:
    """The lines of each argument in a docstring's sections Args, Attributes and Call arguments."""
    found: dict[str, list[str]] = {}
    names: list[str] = []
    inside = False
    for line in inspect.cleandoc(docstring).splitlines():
        indent = len(line) - len(line.lstrip())
        if line and not indent:
            inside = line in ("Args:", "Attributes:", "Call arguments:")
        elif inside and indent == 4 and ":" in line:
            names = line.partition(":")[0].replace("*", "").replace(" ", "").split(",")
            found |= {name: [line] for name in names}
        elif inside and line:
            for name in names:
                found[name].append(line)
    return found
