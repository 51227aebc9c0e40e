"""cellID encodings against numbers worked out by hand, and there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.errors import FormatError, ShowerError
from caloforge.sources.cellid import CellId

DD4HEP = "system:8,barrel:3,module:4,layer:8,slice:5,x:32:-16,y:-16"


def test_values_worked_out_by_hand() -> None:
    # system 5 | barrel 3 << 8 | module 9 << 11 | layer 17 << 15 | slice 2 << 23 | x -3 | y 7
    number = 5 + (3 << 8) + (9 << 11) + (17 << 15) + (2 << 23) + ((2**16 - 3) << 32) + (7 << 48)
    encoding = CellId.parse(DD4HEP)
    values = {name: int(encoding.decode([number], name)[0]) for name in encoding.names()}
    assert values == {
        "system": 5, "barrel": 3, "module": 9, "layer": 17, "slice": 2, "x": -3, "y": 7,
    }  # fmt: skip


def test_the_top_bit_is_a_sign_only_where_it_is_asked_for() -> None:
    number = np.uint64(0x8000_0000_0000_0000)
    assert CellId.parse("a:48:16").decode(number, "a") == 32768
    assert CellId.parse("a:48:-16").decode(number, "a") == -32768
    assert CellId.parse("a:-64").decode(np.uint64(2**64 - 1), "a") == -1


def test_a_field_follows_the_one_before_it() -> None:
    encoding = CellId.parse(" system : 0 : 8 , layer:10:6, slice:5 ")
    assert [(f.offset, f.width) for f in encoding.fields] == [(0, 8), (10, 6), (16, 5)]


@given(st.lists(st.tuples(st.integers(1, 20), st.booleans()), min_size=1, max_size=3), st.data())
def test_there_and_back(shape: list[tuple[int, bool]], data: st.DataObject) -> None:
    text = ",".join(f"f{k}:{-w if signed else w}" for k, (w, signed) in enumerate(shape))
    encoding = CellId.parse(text)
    values = {
        field.name: data.draw(st.lists(st.integers(*field.limits), min_size=4, max_size=4))
        for field in encoding.fields
    }
    number = encoding.encode(values)
    for name, value in values.items():
        assert np.array_equal(encoding.decode(number, name), value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "name:width"),
        ("layer", "name:width"),
        ("layer:x", "name:width"),
        ("layer:1:2:3", "name:width"),
        (":8", "name:width"),
        ("layer:0", "64 bits"),
        ("layer:65", "64 bits"),
        ("layer:60:-5", "64 bits"),
        ("layer:-1:4", "64 bits"),
        ("a:8,a:8", "twice"),
        ("a:8,b:4:8", "overlaps"),
    ],
)
def test_wrong_encodings_are_named(text: str, words: str) -> None:
    with pytest.raises(FormatError, match=words) as caught:
        CellId.parse(text, "here")
    assert str(caught.value).startswith("here")


def test_unknown_fields_and_values_that_do_not_fit() -> None:
    with pytest.raises(FormatError, match="only system, barrel"):
        CellId.parse(DD4HEP).decode([1], "stave")
    with pytest.raises(ShowerError, match="-32768 to 32767"):
        CellId.parse(DD4HEP).encode({"x": [40000]})
