"""The text of --help."""

import textwrap

from bridge_tf.cli.flags import Flags

HELP = ("--help", "-h", "-help", "--helpshort")
HELP_FULL = "--helpfull"
_WIDTH = 100


def command_help(usage: str, flags: Flags, full: bool) -> str:
    """A subcommand's usage and flags; `full`: also those for clusters and several devices."""
    parts = [usage.strip()]
    for group in flags.groups:
        if full or not group.rarely_needed:
            lines = [_entry(field.name, _text(field, flags)) for field in group.fields]
            parts.append("\n".join([f"{group.heading}:", *lines]))
    if any(group.rarely_needed for group in flags.groups) and not full:
        parts[-1] += "\n" + _entry("helpfull", "Show flags for clusters and several devices, too.")
    return "\n\n".join(parts) + "\n" + _entry("help", "Show this.")


def _entry(name: str, text: str) -> str:
    options = {"initial_indent": "  ", "subsequent_indent": " " * 6, "break_on_hyphens": False}
    return textwrap.fill(f"--{name}: {text}", _WIDTH, break_long_words=False, **options)


def _text(field, flags: Flags) -> str:
    """The help text of a field, with choices and default."""
    default, choices = field.default, field.metadata.get("choices")
    notes = []
    if choices:
        one = "some" if isinstance(default, tuple) else "one"
        notes.append(f"{one} of {', '.join(map(str, choices))}")
    if default not in (None, "", ()):
        text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        notes.append(f"default: {text.lower() if isinstance(default, bool) else text}")
    text = flags.in_words(field.metadata["help"])
    return f"{text} ({'; '.join(notes)})" if notes else text
