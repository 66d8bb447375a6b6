"""Choosing and regrouping attributes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.matlab_files import Bomb
from tests.helpers.pictures import make_table
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.attributes import choose_attributes
from vaa_cli.core.labels.table import LabelTable

NAMES = ("hat", "cap", "Bag, large", "No", "5_o_Clock")
LABELS = [[1, 0, -1, 1, 0], [0, 0, 1, -1, 1], [-1, 0, 0, 0, -1], [-1, -1, 1, 1, 1]]


@pytest.fixture
def table() -> LabelTable:
    return make_table(LABELS, attributes=NAMES)


def file_of(folder: Path, content: object, suffix: str) -> str:
    """A file with the content, in YAML or JSON."""
    path = folder / f"choice{suffix}"
    path.write_text(json.dumps(content) if suffix.lower() == ".json" else yaml.safe_dump(content))
    return str(path)


def refusal(table: LabelTable, request: str) -> str:
    with pytest.raises(VAAError) as caught:
        choose_attributes(table, request)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


EVERY_SUFFIX = pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml", ".JSON"])


# What is chosen


def test_nothing_asked_for_is_the_benchmark(table: LabelTable) -> None:
    assert choose_attributes(table, None).attributes == NAMES
    chosen = choose_attributes(replace(table, benchmark=("cap", "hat")), None)
    assert chosen.attributes == ("cap", "hat") and chosen.benchmark is None
    assert chosen.labels.tolist() == [[row[1], row[0]] for row in LABELS]


def test_all_is_more_than_the_benchmark(table: LabelTable) -> None:
    chosen = choose_attributes(replace(table, benchmark=("cap",)), "all")
    assert chosen.attributes == NAMES and chosen.labels.tolist() == LABELS


def test_names_with_commas_between_them(table: LabelTable) -> None:
    chosen = choose_attributes(table, "No, hat")
    assert chosen.attributes == ("No", "hat")
    assert chosen.labels.tolist() == [[row[3], row[0]] for row in LABELS]


@EVERY_SUFFIX
def test_a_file_with_a_list(table: LabelTable, tmp_path: Path, suffix: str) -> None:
    chosen = choose_attributes(table, file_of(tmp_path, ["Bag, large", "5_o_Clock"], suffix))
    assert chosen.attributes == ("Bag, large", "5_o_Clock")
    assert chosen.labels.tolist() == [[row[2], row[4]] for row in LABELS]


@EVERY_SUFFIX
def test_a_file_with_new_names(table: LabelTable, tmp_path: Path, suffix: str) -> None:
    content = {"headwear": ["hat", "cap"], "Bag": "Bag, large", "cap": ["cap"]}
    path = tmp_path / f"choice{suffix}"
    path.write_text(json.dumps(content))  # JSON is YAML
    chosen = choose_attributes(table, str(path))
    assert chosen.attributes == ("headwear", "Bag", "cap")
    assert chosen.labels.tolist() == [[1, -1, 0], [0, 1, 0], [-1, 0, 0], [-1, 1, -1]]


def test_names_that_yaml_takes_for_something_else(table: LabelTable, tmp_path: Path) -> None:
    """No is false to YAML 1.1, 1e3 a number, and ~ nothing: all are names here."""
    path = tmp_path / "choice.yaml"
    path.write_text("No: No\n1e3: hat\nyes: [cap, No]\n~: hat\n2026-11-25: cap\n")
    chosen = choose_attributes(table, str(path))
    assert chosen.attributes == ("No", "1e3", "yes", "~", "2026-11-25")
    assert chosen.labels[:, 0].tolist() == [row[3] for row in LABELS]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    labels=st.lists(st.lists(st.sampled_from([1, 0, -1]), min_size=4, max_size=4), min_size=1),
    groups=st.lists(st.lists(st.integers(0, 3), min_size=1), min_size=1, max_size=5),
)
def test_any_groups(
    tmp_path_factory: pytest.TempPathFactory, labels: list[list[int]], groups: list[list[int]]
) -> None:
    table = make_table(labels, attributes=["a", "b", "c", "d"])
    path = tmp_path_factory.getbasetemp() / "groups.json"
    path.write_text(json.dumps({f"new {i}": ["abcd"[k] for k in g] for i, g in enumerate(groups)}))
    chosen = choose_attributes(table, str(path))
    for row, old in zip(chosen.labels.tolist(), labels, strict=True):
        for new, group in zip(row, groups, strict=True):
            values = [old[k] for k in group]
            # Present where any is; absent where every one of them is known to be absent.
            expected = 1 if 1 in values else -1 if -1 in values else 0
            assert new == expected
    assert chosen.labels.dtype == np.int8


# What is refused


@EVERY_SUFFIX
@pytest.mark.parametrize("content", [["hat", "capp"], {"hat": "hat", "head": ["hat", "capp"]}])
def test_an_unknown_attribute(
    table: LabelTable, tmp_path: Path, suffix: str, content: object
) -> None:
    path = file_of(tmp_path, content, suffix)
    message = refusal(table, path)
    assert path in message and "'capp'" in message and "did you mean 'cap'" in message
    assert isinstance(content, list) or "'head'" in message


def test_an_unknown_attribute_on_the_command_line(table: LabelTable) -> None:
    message = refusal(table, "hat,zebra")
    assert "`attributes`" in message and "'zebra'" in message and "Bag, large" in message


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("a.json", '{"hat": "hat", "hat": "cap"}', "'hat' twice"),
        ("a.yaml", "hat: hat\nhat: cap\n", "'hat' twice"),
        ("a.yaml", "- hat\n- hat\n", "'hat' twice"),
        ("a.json", '{"hat": ', "JSON"),
        ("a.yaml", "hat: [cap", "YAML"),
        ("a.yaml", "hat: {a: b}", "'hat'"),
        ("a.json", '{"hat": []}', "'hat'"),
        ("a.json", '{"hat": [1]}', "'hat'"),
        ("a.json", '{"hat": null}', "'hat'"),
        ("a.json", '{" hat": "hat"}', "' hat'"),
        ("a.json", '{"": "hat"}', "''"),
        ("a.json", "[1]", "1"),
        ("a.json", "3", "neither"),
        ("a.json", "{}", "neither"),
        ("a.json", "[]", "no attributes"),
        ("a.yaml", "", "neither"),
        ("a.json", "[" * 100_000, "a.json"),
        ("a.yaml", "\udcff", "a.yaml"),
        ("a.json", "[" + "9" * 5000 + "]", "a.json"),
        ("a.json", '{"\\ud800": "hat"}', "no name"),
    ],
    ids=range(20),
)
def test_other_files(table: LabelTable, tmp_path: Path, name: str, text: str, part: str) -> None:
    (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    message = refusal(table, str(tmp_path / name))
    assert name in message and part in message


def test_a_file_that_is_not_there(table: LabelTable, tmp_path: Path) -> None:
    assert "gone.yaml" in refusal(table, str(tmp_path / "gone.yaml"))


@pytest.mark.parametrize("request_", ["", "hat,,cap", "hat,hat", " "])
def test_lists_that_are_wrong(table: LabelTable, request_: str) -> None:
    assert "`attributes`" in refusal(table, request_)


def test_no_object_is_made_from_a_file(table: LabelTable, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    text = yaml.dump({"hat": Bomb(trace)})
    assert "python/object" in text
    (tmp_path / "a.yaml").write_text(text)
    refusal(table, str(tmp_path / "a.yaml"))
    assert not trace.exists()
