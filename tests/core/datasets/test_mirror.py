"""Datasets at URLs: read by the readers of folders, with pictures that are read when needed."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.figures import make_dataset
from vaa_cli.core.datasets.conversion import convert
from vaa_cli.core.datasets.mirror import mirrored_labels
from vaa_cli.core.datasets.options import PrepareOptions
from vaa_cli.core.datasets.pipeline import prepare
from vaa_cli.core.datasets.prepared import picture_digests, read_prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.decode import open_picture
from vaa_cli.core.images.loader import PictureLoader
from vaa_cli.core.images.read_ahead import fetched_ahead
from vaa_cli.core.images.requests import batched, table_requests
from vaa_cli.core.system.file_cache import CachedURL, FileCache
from vaa_cli.core.system.location import URLFolder

fsspec = pytest.importorskip("fsspec")

URL = "memory://people"


@pytest.fixture
def dataset(tmp_path: Path) -> Iterator[Path]:
    """A dataset on this machine, of which URL is a copy."""
    make_dataset(tmp_path / "people", count=24)
    fs = fsspec.filesystem("memory")
    fs.put(f"{tmp_path}/people", "/people", recursive=True)
    yield tmp_path / "people"
    fs.rm("/people", recursive=True)


def options(tmp_path: Path, **changes: bool) -> PrepareOptions:
    return PrepareOptions(cache_dir=tmp_path / "kept", **changes)  # type: ignore[arg-type]


def test_a_mirror_has_labels_whole_and_pictures_empty(dataset: Path) -> None:
    with mirrored_labels(f"{URL}/") as mirror:
        assert (mirror.source.name, mirror.url) == ("people", f"{URL}/")
        assert (mirror.folder / "labels.csv").read_bytes() == (dataset / "labels.csv").read_bytes()
        pictures = sorted((mirror.folder / "images").iterdir())
        assert [path.name for path in pictures] == sorted(
            p.name for p in (dataset / "images").iterdir()
        )
        assert {path.stat().st_size for path in pictures} == {0}
    assert not mirror.folder.exists()
    with mirrored_labels(f"{URL}/labels.csv") as mirror:
        assert mirror.source.is_file() and mirror.url == f"{URL}/"


@pytest.mark.parametrize("name", [URL, f"{URL}/", f"{URL}/labels.csv"])
def test_a_dataset_at_a_url_is_prepared_as_one_here(
    dataset: Path, tmp_path: Path, name: str
) -> None:
    here = prepare(dataset, tmp_path / "here")
    there = prepare(name, tmp_path / "there", options(tmp_path))
    assert there.table.row_images == here.table.row_images
    np.testing.assert_array_equal(there.table.labels, here.table.labels)
    np.testing.assert_array_equal(there.table.splits, here.table.splits)
    assert there.name == here.name == "people"
    data = read_prepared(tmp_path / "there", FileCache(tmp_path / "kept", 1 << 30))
    fsspec.filesystem("memory").rm("/people/images", recursive=True)
    table = data.split("train")
    assert isinstance(table.root, URLFolder) and str(table.root).rstrip("/") == URL
    assert picture_digests(data) == picture_digests(read_prepared(tmp_path / "here"))
    pixels = np.asarray(open_picture(table.path(0)))
    np.testing.assert_array_equal(pixels, np.asarray(open_picture(dataset / table.row_images[0])))


def test_a_broken_picture_is_dropped(dataset: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in (dataset / "images").iterdir())
    fsspec.filesystem("memory").pipe_file(f"/people/images/{names[3]}", b"none")
    result = prepare(URL, tmp_path / "there", options(tmp_path))
    assert [(drop.image, drop.reason) for drop in result.dropped] == [
        (f"images/{names[3]}", "not a picture")
    ]


def test_crops_are_those_of_pictures_here(dataset: Path, tmp_path: Path) -> None:
    for source, out in ((dataset, "here"), (URL, "there")):
        prepare(source, tmp_path / out, options(tmp_path, crops=True))
    here, there = (read_prepared(tmp_path / name).split("train") for name in ("here", "there"))
    assert isinstance(there.root, Path)
    for row in range(len(here)):
        assert Path(here.path(row)).read_bytes() == Path(there.path(row)).read_bytes()


def test_batches_are_those_of_pictures_here(dataset: Path, tmp_path: Path) -> None:
    prepare(dataset, tmp_path / "here")
    prepare(URL, tmp_path / "there", options(tmp_path))
    loader = PictureLoader((32, 16), workers=0)
    tables = [read_prepared(tmp_path / name).split("train") for name in ("here", "there")]
    here, there = (
        [batch.pixels.numpy() for batch in loader.load(batched(table_requests(table), 8))]
        for table in tables
    )
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one, other)


def test_folders_at_urls_are_not_converted(dataset: Path, tmp_path: Path) -> None:
    prepare(URL, tmp_path / "there", options(tmp_path))
    with pytest.raises(VAAError, match=r"the pictures are at memory://people.*; copy them"):
        convert(read_prepared(tmp_path / "there"), tmp_path / "out", "coco")


def test_a_cached_url_goes_to_other_processes(tmp_path: Path) -> None:
    url = URLFolder("s3://bucket/people", FileCache(tmp_path, 7)) / "a.jpg"
    copied = pickle.loads(pickle.dumps(url))
    assert isinstance(copied, CachedURL) and copied == "s3://bucket/people/a.jpg"
    assert copied.cache == FileCache(tmp_path, 7)


def test_items_keep_their_order_while_pictures_are_fetched(dataset: Path, tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "kept", 1 << 30)
    names = sorted(path.name for path in (dataset / "images").iterdir())
    items = [CachedURL(f"{URL}/images/{name}", cache) for name in names] + ["a.jpg", "b.jpg"]
    assert list(fetched_ahead(items, lambda item: item)) == items
    assert len([path for path in (tmp_path / "kept").rglob("*") if path.is_file()]) == len(names)


def test_messages_name_the_url(
    dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    prepare(URL, tmp_path / "there", options(tmp_path))
    assert f"reading {URL} as csv (a label table): found {URL}/labels.csv" in caplog.text
    fsspec.filesystem("memory").pipe_file("/people/labels.csv", b"image,hat\na.png,maybe\n")
    with pytest.raises(VAAError, match=f"^{URL}") as error:
        prepare(URL, tmp_path / "other", options(tmp_path))
    assert "vaa-labels" not in f"{caplog.text} {error.value}"
