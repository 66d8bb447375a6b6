"""CSV text as vaa writes it."""

import csv
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaa_cli.core.system.csv_writer import csv_text, number_text

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=5))
def test_python_reads_the_same_cells(rows: list[list[str]]) -> None:
    assert list(csv.reader(io.StringIO(csv_text(rows), newline=""))) == rows


def test_lines_end_in_a_line_feed_and_a_carriage_return_is_quoted() -> None:
    assert csv_text([["a", "b\rc"], [None, 1]]) == 'a,"b\rc"\n,1\n'


@given(st.floats(allow_nan=False))
def test_a_number_loses_nothing(value: float) -> None:
    assert float(number_text(value)) == value


@pytest.mark.parametrize(("value", "text"), [(3.0, "3"), (0.5, "0.5"), (math.nan, "")])
def test_numbers_are_short(value: float, text: str) -> None:
    assert number_text(value) == text
