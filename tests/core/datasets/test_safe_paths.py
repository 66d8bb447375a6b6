"""Pictures lie in the dataset folder, whatever links there are in it."""

from pathlib import Path

import pytest

from tests.helpers.pictures import plain
from vaa_cli.core.datasets.safe_paths import require_inside, require_labels_inside
from vaa_cli.core.errors import VAAError


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A dataset of two pictures, beside a folder with a secret."""
    folder = tmp_path / "dataset"
    (folder / "images").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    for path in (folder / "a.png", folder / "images" / "b.png", tmp_path / "secret" / "c.png"):
        plain().save(path)
    return folder


def test_pictures_and_links_within(dataset: Path) -> None:
    (dataset / "link.png").symlink_to(dataset / "images" / "b.png")
    (dataset / "relative.png").symlink_to("images/b.png")
    (dataset / "folder").symlink_to("images")
    names = ["a.png", "images/b.png", "link.png", "relative.png", "folder/b.png", "missing.png"]
    require_inside(dataset, dataset, names)


def test_a_picture_that_is_a_link_to_elsewhere(dataset: Path) -> None:
    (dataset / "images" / "x.png").symlink_to("../../secret/c.png")
    with pytest.raises(VAAError) as caught:
        require_inside(dataset, dataset, ["a.png", "images/x.png"])
    message = str(caught.value)
    assert "images/x.png" in message and "secret/c.png" in message and "`follow_links`" in message


def test_a_folder_that_is_a_link_to_elsewhere(dataset: Path) -> None:
    (dataset / "more").symlink_to(dataset.parent / "secret")
    with pytest.raises(VAAError, match="`follow_links`"):
        require_inside(dataset, dataset, ["a.png", "more/c.png"])


def test_a_broken_link_to_elsewhere(dataset: Path) -> None:
    (dataset / "x.png").symlink_to("/nowhere/at/all.png")
    with pytest.raises(VAAError, match="nowhere"):
        require_inside(dataset, dataset, ["x.png"])


def test_a_chain_of_links(dataset: Path) -> None:
    (dataset / "one.png").symlink_to("two.png")
    (dataset / "two.png").symlink_to("../secret/c.png")
    with pytest.raises(VAAError):
        require_inside(dataset, dataset, ["one.png"])


def test_the_dataset_folder_may_be_a_link(dataset: Path) -> None:
    link = dataset.parent / "link"
    link.symlink_to(dataset)
    require_inside(link, link, ["a.png", "images/b.png"])
    require_inside(link, link / "images", ["b.png"])


def test_the_folder_of_pictures_must_lie_within_too(dataset: Path) -> None:
    (dataset / "photos").symlink_to(dataset.parent / "secret")
    with pytest.raises(VAAError):
        require_inside(dataset, dataset / "photos", ["c.png"])


def test_a_folder_whose_name_starts_alike_is_another(dataset: Path) -> None:
    (dataset.parent / "dataset2").mkdir()
    (dataset / "x").symlink_to(dataset.parent / "dataset2")
    with pytest.raises(VAAError):
        require_inside(dataset, dataset, ["x/a.png"])


@pytest.mark.parametrize(
    "name",
    [
        "labels.csv", "labels.tsv", "labels.xlsx", "list.txt", "a.mat", "export.json",
        "train/metadata.jsonl", "annotations.xml", "metadata.parquet", "dataset_all.pkl",
    ],
)  # fmt: skip
def test_labels_that_are_links_to_elsewhere(dataset: Path, name: str) -> None:
    (dataset / name).parent.mkdir(exist_ok=True)
    (dataset / name).symlink_to(dataset.parent / "secret" / "c.png")
    with pytest.raises(VAAError, match="`follow_links`"):
        require_labels_inside(dataset)
