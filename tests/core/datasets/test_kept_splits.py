"""Preparing a dataset again: pictures stay in their splits, and no other dataset's are replaced."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.pictures import write_rows
from vaa_cli.core.datasets.options import PrepareOptions
from vaa_cli.core.datasets.pipeline import prepare
from vaa_cli.core.datasets.prepared import Prepared, read_prepared
from vaa_cli.core.errors import VAAError

NO_CHECK = PrepareOptions(check="none")


def make_people(folder: Path, count: int, identity: bool = False) -> Path:
    """Rows of pictures, four of each person, that are not looked at."""
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (4, 8)).save(folder / "0.png")
    rows = [
        [f"{i}.png", *([f"p{i // 4}"] if identity else []), i % 2, int(i % 3 == 0)]
        for i in range(count)
    ]
    header = ["image", *(["identity"] if identity else []), "hat", "bag"]
    write_rows(folder / "labels.csv", header, *rows)
    return folder


def parts(prepared: Prepared) -> dict[str, str]:
    return {image: name for name, part in prepared.splits.items() for image in part.row_images}


def test_a_table_that_grows_moves_no_picture(tmp_path: Path) -> None:
    """What the seed does not decide, what was prepared before does."""
    out = tmp_path / "out"
    make_people(tmp_path / "people", 60)
    prepare(tmp_path / "people", out, NO_CHECK)
    before = parts(read_prepared(out))
    make_people(tmp_path / "people", 90)
    prepare(tmp_path / "people", out, replace(NO_CHECK, seed=5))
    after = parts(read_prepared(out))
    assert len(after) == 90 and {name: after[name] for name in before} == before
    prepare(tmp_path / "people", out, replace(NO_CHECK, seed=5, resplit=True))
    assert {
        name: part for name, part in parts(read_prepared(out)).items() if name in before
    } != before


def test_a_person_is_on_one_side_and_stays_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make_people(tmp_path / "people", 120, identity=True)
    prepare(tmp_path / "people", out, NO_CHECK)
    prepared = read_prepared(out)
    people = {}
    for name, part in prepared.splits.items():
        assert part.identities is not None
        people[name] = set(part.identities.tolist())
    assert sum(map(len, people.values())) == len(set().union(*people.values())) == 30
    assert prepared.attributes == ("hat", "bag")
    # A new picture of a known person, called as none before, comes to that person.
    rows = [[f"new{i}.png", f"p{i}", 1, 0] for i in range(30)]
    Image.new("RGB", (4, 8)).save(tmp_path / "people" / "new0.png")
    write_rows(tmp_path / "people" / "labels.csv", ["image", "identity", "hat", "bag"], *rows)
    prepare(tmp_path / "people", out, NO_CHECK)
    for name, part in read_prepared(out).splits.items():
        assert part.identities is not None
        assert set(part.identities.tolist()) == people[name]


def test_a_folder_of_another_dataset_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in ("people", "others"):
        make_people(tmp_path / name, 30)
    prepare(tmp_path / "people", out, NO_CHECK)
    with pytest.raises(VAAError, match=r"was prepared from people .* this is others; name another"):
        prepare(tmp_path / "others", out, NO_CHECK)
    assert read_prepared(out).name == "people"
    prepare(tmp_path / "others", out, replace(NO_CHECK, force=True))
    assert read_prepared(out).name == "others"


def test_a_broken_folder_is_prepared_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = tmp_path / "out"
    prepare(make_people(tmp_path / "people", 30), out, NO_CHECK)
    (out / "val.csv").write_text("broken")
    prepare(tmp_path / "people", out, NO_CHECK)
    assert "it is replaced, and its splits are not known" in caplog.text
    sizes = [len(part) for part in read_prepared(out).splits.values()]
    assert sum(sizes) == 30 and np.min(sizes) > 0
