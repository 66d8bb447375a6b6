"""Prepared folders at a URL: as those on this machine, whole or unfinished, never mixed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.datasets.test_shards import rows
from tests.helpers.figures import make_dataset
from vaa_cli.core.datasets import prepared_output
from vaa_cli.core.datasets.options import PrepareOptions
from vaa_cli.core.datasets.pipeline import prepare
from vaa_cli.core.datasets.prepared import Prepared, read_prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import SPLITS
from vaa_cli.core.system.storage import put_url

SHARDS = PrepareOptions(shards=True, shard_size="10KB")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VAA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "people", count=30, split=False)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/there/prepared"


def folder_of(url: str) -> Path:
    return Path(url.removeprefix("file://"))


def content(data: Prepared) -> dict[str, Any]:
    return {
        "name": data.name,
        "splits": {name: rows(data.split(name)) for name in SPLITS},
        "priors": np.nan_to_num(data.priors.prior).tolist(),
    }


def test_shards_at_a_url_are_those_on_this_machine(dataset: Path, url: str, tmp_path: Path) -> None:
    prepare(dataset, tmp_path / "here", SHARDS)
    result = prepare(dataset, url, SHARDS)
    assert str(result.folder) == url
    assert content(read_prepared(url)) == content(read_prepared(tmp_path / "here"))
    for path in (tmp_path / "here").rglob("*"):
        if path.is_file():
            assert (folder_of(url) / path.relative_to(tmp_path / "here")).read_bytes() == (
                path.read_bytes()
            )


def test_pictures_at_a_url_stay_where_they_are(dataset: Path, url: str, tmp_path: Path) -> None:
    prepare(dataset, tmp_path / "here")
    prepare(f"file://{dataset}", url)
    data = read_prepared(url)
    assert str(data.split("train").root) == f"file://{dataset}/"
    for name in SPLITS:
        there, here = data.split(name), read_prepared(tmp_path / "here").split(name)
        assert there.row_images == here.row_images
        assert there.path(0).content() == Path(str(here.path(0))).read_bytes()  # type: ignore[union-attr]


def test_pictures_of_this_machine_alone_are_refused(dataset: Path, url: str) -> None:
    with pytest.raises(VAAError, match=r"on this machine; add `shards` to write them there"):
        prepare(dataset, url)
    with pytest.raises(VAAError, match=r"crops are written to a URL in shards; add `shards`"):
        prepare(dataset, url, PrepareOptions(crops=True))
    assert not folder_of(url).exists()


def test_crops_are_packed_at_a_url(dataset: Path, url: str, tmp_path: Path) -> None:
    options = replace(SHARDS, crops=True, short_side=32)
    prepare(dataset, tmp_path / "here", options)
    prepare(dataset, url, options)
    assert content(read_prepared(url)) == content(read_prepared(tmp_path / "here"))


def test_preparing_again_leaves_nothing_of_before(dataset: Path, url: str) -> None:
    draw = lambda statistics, name: b"a picture"  # noqa: E731
    prepare(dataset, url, replace(SHARDS, statistics=True), draw=draw)
    assert (folder_of(url) / "statistics.png").read_bytes() == b"a picture"
    before = {path.name for path in (folder_of(url) / "shards").iterdir()}
    splits = {name: len(part) for name, part in read_prepared(url).splits.items()}
    prepare(dataset, url, replace(SHARDS, shard_size="20KB"))
    data = read_prepared(url)
    assert {name: len(part) for name, part in data.splits.items()} == splits
    after = {path.name for path in (folder_of(url) / "shards").iterdir()}
    assert after == {
        image.split("/")[0] for part in data.splits.values() for image in part.row_images
    }
    assert after.isdisjoint(before)
    assert not (folder_of(url) / "statistics.png").exists()


def test_another_dataset_is_not_replaced(dataset: Path, url: str, tmp_path: Path) -> None:
    prepare(dataset, url, SHARDS)
    other = make_dataset(tmp_path / "others", count=30, split=False)
    with pytest.raises(VAAError, match="was prepared from people"):
        prepare(other, url, SHARDS)
    prepare(other, url, replace(SHARDS, force=True))
    assert read_prepared(url).name == "others"


@pytest.mark.parametrize("name", ["notes.txt", "train.csv", "shards/mine.tar"])
def test_files_of_others_are_not_replaced(dataset: Path, url: str, name: str) -> None:
    path = folder_of(url) / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(VAAError, match="so that nothing is lost"):
        prepare(dataset, url, SHARDS)
    assert path.read_text() == "mine"


def stopped_before(name: str, dataset: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepare a folder, but stop before a file is written."""

    def stopping(path: Path, there: str) -> None:
        if there.endswith(name):
            raise KeyboardInterrupt
        put_url(path, there)

    monkeypatch.setattr(prepared_output, "put_url", stopping)
    with pytest.raises(KeyboardInterrupt):
        prepare(dataset, url, SHARDS)
    monkeypatch.setattr(prepared_output, "put_url", put_url)


@pytest.mark.parametrize("name", ["priors.csv", "val.csv", "dataset.json"])
def test_a_stopped_preparation_is_unfinished_and_done_again(
    dataset: Path, url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_before(name, dataset, url, monkeypatch)
    with pytest.raises(VAAError, match="was not prepared to its end; run vaa prepare again"):
        read_prepared(url)
    prepare(dataset, url, SHARDS)
    assert sum(map(len, read_prepared(url).splits.values())) == 30


def test_one_that_was_stopped_while_it_packed_is_done_again(dataset: Path, url: str) -> None:
    def track(items, doing, total):  # type: ignore[no-untyped-def]
        for number, item in enumerate(items):
            if doing == "packing pictures" and number == 20:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        prepare(dataset, url, SHARDS, track=track)
    assert [path.name for path in folder_of(url).iterdir()] == ["shards"]
    with pytest.raises(VAAError, match="is not a prepared folder"):
        read_prepared(url)
    prepare(dataset, url, SHARDS)
    assert sum(map(len, read_prepared(url).splits.values())) == 30


@pytest.mark.parametrize("what", ["mark", "shards"])
def test_of_two_that_write_one_finds_the_other(
    dataset: Path, url: str, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def meanwhile(path: Path, there: str) -> None:
        put_url(path, there)
        if there.endswith("val.csv") and what == "shards":  # which who is done removes
            next((folder_of(url) / "shards").iterdir()).unlink()
        elif there.endswith("val.csv"):
            (folder_of(url) / "dataset.json").write_text(json.dumps({"unfinished": "another's"}))

    monkeypatch.setattr(prepared_output, "put_url", meanwhile)
    with pytest.raises(VAAError, match="is being prepared by another process, too"):
        prepare(dataset, url, SHARDS)


def test_broken_tables_are_named_by_their_url(dataset: Path, url: str) -> None:
    prepare(dataset, url, SHARDS)
    path = folder_of(url) / "val.csv"
    path.write_text(path.read_text().replace(",1\n", ",maybe\n", 1))
    with pytest.raises(VAAError) as caught:
        read_prepared(url)
    assert str(caught.value).startswith(f"{url}/val.csv: row ")
    (folder_of(url) / "dataset.json").write_text("{")
    with pytest.raises(VAAError, match=rf"^{url}/dataset\.json is broken"):
        read_prepared(url)
    path.unlink()
