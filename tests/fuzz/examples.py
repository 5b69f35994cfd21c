"""How long to search, and ways to spoil what was right."""

import json
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# FUZZ_EXAMPLES=5000 pytest tests/fuzz searches longer, and elsewhere each time.
_MORE = os.environ.get("FUZZ_EXAMPLES")


def search(examples: int) -> settings:
    """Settings of a test that tries so many examples, the same each time."""
    return settings(
        max_examples=int(_MORE or examples),
        derandomize=not _MORE,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def spoilt(draw, content: bytes) -> bytes:
    """`content` with bytes changed, a piece left out, cut off, or something put in."""
    spoilt = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(spoilt) - 1, 0)))
        kind = draw(st.sampled_from(["bit", "byte", "out", "in", "cut", "again"]))
        if kind == "bit" and spoilt:
            spoilt[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte" and spoilt:
            spoilt[place] = draw(st.sampled_from([0, 1, 0x20, 0x2D, 0x7F, 0x80, 0xFF]))
        elif kind == "out":
            del spoilt[place : place + draw(st.integers(1, 64))]
        elif kind == "in":
            spoilt[place:place] = draw(st.binary(max_size=16))
        elif kind == "cut":
            del spoilt[place:]
        elif kind == "again":
            spoilt[place:place] = spoilt[: draw(st.integers(0, 64))]
    return bytes(spoilt)


def json_values():
    """What a file of JSON may hold."""
    numbers = st.one_of(
        st.integers(),
        st.floats(),
        st.sampled_from([0, -1, 10**30, 10**400, 1e308, float("nan"), float("inf"), -0.0]),
    )
    scalars = st.none() | st.booleans() | numbers | st.text(max_size=8)
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=5,
    )


@st.composite
def spoilt_json(draw, content) -> str:
    """The text of `content` with a value replaced, or a key left out, anywhere in it."""
    content = json.loads(json.dumps(content))
    for _ in range(draw(st.integers(1, 2))):
        places = list(_places(content))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        if draw(st.booleans()):
            holder[key] = draw(json_values())
        else:
            del holder[key]
    return json.dumps(content)


def _places(content):
    """All (object or list, key or index) in it."""
    for key, value in list(content.items() if isinstance(content, dict) else enumerate(content)):
        yield content, key
        if isinstance(value, dict | list):
            yield from _places(value)
