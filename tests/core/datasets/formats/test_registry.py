"""Which format a dataset folder is in."""

from pathlib import Path

import pytest

from tests.helpers.dataset_trees import TREES, make_csv, make_wider, refusal, save_pictures, shrink
from tests.helpers.pictures import write_rows
from vaa_cli.core.datasets.formats import ccp, celeba, duke, market1501, wider
from vaa_cli.core.datasets.formats.registry import FORMATS, detect

NAMES = (
    "csv", "wider", "peta", "pa100k", "rap", "rap2", "market1501", "duke", "celeba", "ccp", "par",
    "cvat", "coco", "labelstudio", "roboflow", "imagefolder", "fiftyone", "mmpretrain", "paddle",
    "folders",
)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where trees are made; its name has blanks and capitals."""
    return tmp_path / "My Data"


def test_the_formats() -> None:
    assert sorted(form.name for form in FORMATS) == sorted(NAMES)
    assert isinstance(FORMATS, tuple)
    assert all(callable(form.read) for form in FORMATS)


@pytest.mark.parametrize("tree", TREES)
def test_the_format_and_the_file_that_told_it(root: Path, tree: str) -> None:
    name, make, evidence = TREES[tree]
    found = detect(make(root))
    assert found.format.name == name
    assert found.format in FORMATS
    assert found.evidence == root / evidence


@pytest.mark.parametrize("form", [wider, market1501, duke, celeba, ccp])
def test_the_format_reads_what_it_found(root: Path, form: object) -> None:
    name = str(getattr(form, "__name__", "")).rsplit(".", 1)[-1]
    found = detect(TREES[name][1](root))
    table = found.format.read(root)
    assert table.root == root and len(table) > 20


@pytest.mark.parametrize("name", ["labels.csv", "any.txt", "wider_attribute_test.json"])
def test_a_file_is_csv(tmp_path: Path, name: str) -> None:
    path = make_csv(tmp_path / "data", name) / name
    found = detect(path)
    assert found.format.name == "csv"
    assert found.evidence == path


def test_a_file_is_csv_whatever_lies_beside_it(root: Path) -> None:
    path = make_csv(make_wider(root)) / "labels.csv"
    assert detect(path).format.name == "csv"


@pytest.mark.parametrize("tree", sorted(TREES.keys() - {"csv", "csv of another name"}))
def test_tables_that_name_no_pictures_are_no_format(root: Path, tree: str) -> None:
    name, make, _ = TREES[tree]
    write_rows(make(root) / "classes.csv", ["id", "name"], [1, "hat"])
    assert detect(root).format.name == name


LOOKED_FOR = (
    ".csv", "wider_attribute_trainval.json", "PETA.mat", "Label.txt", "annotation.mat",
    "RAP_annotation.mat", "market_attribute.mat", "duke_attribute.mat", "list_attr_celeba",
    "label_list.mat",
)  # fmt: skip


@pytest.mark.parametrize("files", [(), ("classes.csv", "notes.txt", "other.mat", "x.json")])
def test_nothing_found(root: Path, files: tuple[str, ...]) -> None:
    save_pictures(root, ["a.jpg", "photos/b.jpg", "Image/train/0--Parade/c.jpg"])
    for name in files:
        (root / name).write_text("id,name\n1,hat\n")
    message = refusal(detect, root)
    assert not [name for name in NAMES if name not in message]
    looked_for = message if ".csv" in message else message.replace("CSV", ".csv")
    assert not [name for name in LOOKED_FOR if name not in looked_for], message


def test_the_folder_is_named(root: Path) -> None:
    root.mkdir()
    with pytest.raises(Exception, match="My Data"):
        detect(root)


def test_no_such_folder(root: Path) -> None:
    with pytest.raises(Exception, match="My Data"):
        detect(root)
    refusal(detect, root)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("wider", "csv"), ("market1501", "duke"), ("celeba", "csv"), ("celeba as csv", "wider"),
        ("ccp", "csv of another name"), ("rap", "market1501"), ("rap2", "ccp"),
        ("peta", "pa100k"), ("peta as it was", "csv"), ("duke at the root", "celeba in folders"),
    ],
)  # fmt: skip
def test_two_formats(root: Path, first: str, second: str) -> None:
    for tree in (first, second):
        TREES[tree][1](root)
    message = refusal(detect, root)
    assert TREES[first][0] in message and TREES[second][0] in message
    assert "`format`" in message
    others = [name for name in ("wider", "pa100k", "market1501", "duke", "celeba")
              if name not in (TREES[first][0], TREES[second][0])]  # fmt: skip
    assert not [name for name in others if name in message]


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9])
@pytest.mark.parametrize("tree", ["rap", "rap2"])
def test_a_cut_file_of_which_the_content_tells_the_format(
    root: Path, tree: str, share: float
) -> None:
    """Both RAPs have one file name: a file that cannot be read is told, whoever reads it."""
    shrink(TREES[tree][1](root) / "RAP_annotation" / "RAP_annotation.mat", share)
    assert "RAP_annotation.mat" in refusal(lambda path: detect(path).format.read(path), root)
