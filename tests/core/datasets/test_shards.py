"""Shards: what is written, that it is the pictures, and how they are read again."""

import io
import json
import os
import pickle
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.figures import make_dataset
from tests.helpers.pictures import noise
from vaa_cli.core.datasets.conversion import convert
from vaa_cli.core.datasets.options import PrepareOptions
from vaa_cli.core.datasets.pipeline import prepare
from vaa_cli.core.datasets.prepared import Prepared, read_prepared
from vaa_cli.core.errors import PictureError, VAAError
from vaa_cli.core.images.decode import decode_picture
from vaa_cli.core.labels.table import SPLITS, LabelTable
from vaa_cli.core.system.file_cache import FileCache
from vaa_cli.core.system.location import URLFolder
from vaa_cli.core.system.shards import ShardMember

SHARDS = PrepareOptions(shards=True, shard_size="10KB")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "people", count=40)


def prepared(dataset: Path, name: str, options: PrepareOptions) -> Prepared:
    out = dataset.parent / name
    prepare(dataset, out, options)
    return read_prepared(out)


def boxes_dataset(folder: Path) -> Path:
    """Pictures with two people each."""
    (folder / "images").mkdir(parents=True)
    lines = ["image,left,top,width,height,hat"]
    for number in range(12):
        noise(20, 20, number).save(folder / "images" / f"{number}.PNG")
        lines += [f"images/{number}.PNG,0,0,9,20,{number % 2}", f"images/{number}.PNG,10,0,9,20,1"]
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


def folder_of(data: Prepared) -> Path:
    assert isinstance(data.folder, Path)
    return data.folder


def contents(table: LabelTable) -> list[bytes]:
    return [
        path.content() if isinstance(path, ShardMember) else Path(str(path)).read_bytes()
        for path in map(table.path, range(len(table)))
    ]


def rows(table: LabelTable) -> list[tuple[bytes, tuple[int, ...], object]]:
    """The rows by what is in them, whatever the pictures are called."""
    boxes = [table.box(row) for row in range(len(table))]
    return list(zip(contents(table), map(tuple, table.labels.tolist()), boxes, strict=True))


@pytest.mark.parametrize("boxes", [False, True])
def test_the_rows_are_those_of_files(dataset: Path, boxes: bool) -> None:
    if boxes:
        dataset = boxes_dataset(dataset.parent / "boxes")
    files = prepared(dataset, "files", PrepareOptions())
    shards = prepared(dataset, "shards", SHARDS)
    for split in SPLITS:
        one, other = files.splits[split], shards.splits[split]
        assert sorted(rows(one), key=str) == sorted(rows(other), key=str)
        # val and test keep their order; train is shuffled.
        assert (rows(one) == rows(other)) == (split != "train")
    np.testing.assert_equal(files.priors.prior, shards.priors.prior)


def test_shards_are_of_their_size_and_complete(dataset: Path) -> None:
    data = prepared(dataset, "shards", SHARDS)
    shards = sorted((folder_of(data) / "shards").iterdir())
    assert len(shards) > 5
    # Beside pictures up to the size: a header and a description each, and the end of a tar file.
    assert all(shard.stat().st_size < 30_000 for shard in shards)
    names = {name for part in data.splits.values() for name in part.row_images}
    members = set()
    for shard in shards:
        with tarfile.open(shard) as archive:
            for member in archive.getmembers():
                members.add(f"{shard.name}/{member.name}")
                assert (member.mtime, member.uid) == (0, 0)
    assert {name for name in members if not name.endswith(".json")} == names
    assert {f"{name.rsplit('.', 1)[0]}.json" for name in names} <= members


def test_the_extents_are_where_tarfile_finds_the_pictures(dataset: Path) -> None:
    table = prepared(dataset, "shards", SHARDS).split("train")
    for row, name in enumerate(table.row_images):
        shard, member = name.split("/")
        assert isinstance(table.root, Path)
        with tarfile.open(table.root / shard) as archive:
            found = archive.getmember(member)
            assert table.extents is not None
            assert (found.offset_data, found.size) == tuple(table.extents[row].tolist())


def test_the_descriptions_hold_labels_boxes_and_names(tmp_path: Path) -> None:
    data = prepared(boxes_dataset(tmp_path / "boxes"), "shards", SHARDS)
    table = data.split("val")
    shard, member = table.row_images[0].split("/")
    with tarfile.open(folder_of(data) / "shards" / shard) as archive:
        file = archive.extractfile(f"{member.rsplit('.', 1)[0]}.json")
        assert file is not None
        described = json.load(file)
    number = described["image"].removeprefix("images/").removesuffix(".PNG")
    assert member.endswith(f"-{number}.png")
    assert described["rows"] == [
        {"labels": {"hat": int(number) % 2}, "box": [0, 0, 9, 20]},
        {"labels": {"hat": 1}, "box": [10, 0, 9, 20]},
    ]


def test_the_same_pictures_make_the_same_shards(dataset: Path) -> None:
    one, two, other = (
        prepared(dataset, name, replace(SHARDS, seed=seed))
        for name, seed in (("one", 0), ("two", 0), ("other", 1))
    )
    assert one.split("train").row_images == two.split("train").row_images
    assert set(one.split("train").row_images).isdisjoint(other.split("train").row_images)


def test_crops_are_packed(tmp_path: Path) -> None:
    dataset = boxes_dataset(tmp_path / "boxes")
    crops = prepared(dataset, "crops", PrepareOptions(crops=True))
    shards = prepared(dataset, "shards", replace(SHARDS, crops=True))
    assert sorted(rows(crops.split("train"))) == sorted(rows(shards.split("train")))
    assert shards.split("train").boxes is None
    assert sorted(path.name for path in folder_of(shards).iterdir()) == [
        "dataset.json", "priors.csv", "shards", "test.csv", "train.csv", "val.csv",
    ]  # fmt: skip
    assert not list(tmp_path.glob(".shards*")), "nothing is left beside it"


def test_a_picture_that_goes_while_it_is_packed_is_dropped(dataset: Path) -> None:
    def track(items, doing, total):  # type: ignore[no-untyped-def]
        if doing == "packing pictures":  # of which none is read yet
            for path in dataset.rglob("03*.png"):
                path.unlink()
            os.mkfifo(dataset / "images" / "039.png")  # which nobody writes to
        yield from items

    files = prepared(dataset, "files", PrepareOptions())
    result = prepare(dataset, dataset.parent / "shards", SHARDS, track=track)
    gone = {drop.image for drop in result.dropped}
    assert gone
    reasons = {drop.image: drop.reason for drop in result.dropped}
    assert reasons.pop("images/039.png").endswith("is not a file but a pipe; name a file")
    assert all("No such file" in reason for reason in reasons.values())
    kept = read_prepared(dataset.parent / "shards")
    assert sum(map(len, kept.splits.values())) == sum(map(len, files.splits.values())) - len(gone)


def test_preparing_again_replaces_the_shards(dataset: Path) -> None:
    before = prepared(dataset, "shards", SHARDS).split("train").row_images
    after = prepared(dataset, "shards", replace(SHARDS, shard_size="20KB"))
    named = {name.split("/")[0] for part in after.splits.values() for name in part.row_images}
    assert {path.name for path in (folder_of(after) / "shards").iterdir()} == named
    assert after.split("train").row_images != before
    prepare(dataset, folder_of(after))
    assert not (folder_of(after) / "shards").exists()


@pytest.mark.parametrize("options", [SHARDS, PrepareOptions()])
def test_shards_of_a_run_that_was_killed_go(dataset: Path, options: PrepareOptions) -> None:
    left = dataset.parent / ".out.shards"
    left.mkdir()
    (left / "train-00000-0123456789ab.tar").touch()
    data = prepared(dataset, "out", options)
    assert not left.exists()
    assert not list(folder_of(data).rglob("*0123456789ab*"))


def test_crops_that_wait_for_another_run_stay(dataset: Path) -> None:
    waiting = dataset.parent / ".out.crops"
    waiting.mkdir()
    result = prepare(dataset, dataset.parent / "out", SHARDS)
    assert result.staging == waiting and waiting.is_dir()
    prepare(dataset, dataset.parent / "out", replace(SHARDS, crops=True))
    assert not waiting.exists()


def test_a_failed_packing_leaves_what_was_there(dataset: Path) -> None:
    def full(items, doing, total):  # type: ignore[no-untyped-def]
        for number, item in enumerate(items):
            if doing == "packing pictures" and number == 10:
                raise VAAError("the disk is full")
            yield item

    before = contents(prepared(dataset, "out", SHARDS).split("train"))
    with pytest.raises(VAAError, match="the disk is full"):
        prepare(dataset, dataset.parent / "out", replace(SHARDS, seed=1), track=full)
    assert contents(read_prepared(dataset.parent / "out").split("train")) == before
    assert sorted(path.name for path in dataset.parent.iterdir()) == ["out", "people"]


def test_wrong_requests(dataset: Path) -> None:
    data = prepared(dataset, "shards", SHARDS)
    other = make_dataset(dataset.parent / "other", count=20)
    prepare(other, dataset.parent / "files")
    for options, words in (
        (PrepareOptions(shard_size="1GB"), "add `shards`"),
        (PrepareOptions(shards=True, shard_size="1KB"), "not between 10KB and 4GB"),
        (PrepareOptions(shards=True, shard_size="many"), "'many' is no size"),
    ):
        with pytest.raises(VAAError, match=words):
            prepare(dataset, dataset.parent / "none", options)
    with pytest.raises(VAAError, match="in shards, which are not joined"):
        prepare(
            [folder_of(data), dataset.parent / "files"], dataset.parent / "none",
            PrepareOptions(merge=True),
        )  # fmt: skip
    with pytest.raises(VAAError, match="in shards, from which nothing is prepared"):
        prepare(folder_of(data), dataset.parent / "none")
    for form in ("csv", "coco", "imagefolder"):
        with pytest.raises(VAAError, match="the pictures are in shards"):
            convert(data, dataset.parent / "none", form)
    assert not (dataset.parent / "none").exists()


def member(shard: Path, content: bytes, cache: FileCache | None = None) -> ShardMember:
    """A picture behind 100 other bytes."""
    shard.write_bytes(b"x" * 100 + content + b"y" * 100)
    name = str(shard) if cache is None else f"file://{shard}"
    return ShardMember(name, "a.png", 100, len(content), cache)


def png(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    noise(8, 8, seed).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_member_is_its_bytes_in_other_processes_too(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "cache", 10_000)
    for one in (member(tmp_path / "a.tar", png()), member(tmp_path / "b.tar", png(), cache)):
        again = pickle.loads(pickle.dumps(one))
        assert str(again).endswith(".tar/a.png")
        assert again.content() == one.content() == png()
        with Image.open(io.BytesIO(png())) as expected:
            np.testing.assert_array_equal(
                np.asarray(decode_picture(again).picture), np.asarray(expected)
            )


def test_a_shard_at_a_url_is_read_once(tmp_path: Path) -> None:
    one = member(tmp_path / "a.tar", png(), FileCache(tmp_path / "cache", 10_000))
    assert one.content() == png()
    Path(tmp_path / "a.tar").unlink()
    assert one.content() == png()


def test_a_shard_that_the_cache_has_no_room_for_is_read_in_parts(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "cache", 100)
    one = member(tmp_path / "a.tar", png(), cache)
    assert one.content() == png()
    assert one.fetch() is None
    assert not list((tmp_path / "cache").rglob("*"))


def test_the_cache_makes_room_for_shards(tmp_path: Path) -> None:
    size = 200 + len(png())
    cache = FileCache(tmp_path / "cache", 3 * size)
    for number in range(6):
        assert member(tmp_path / f"{number}.tar", png(), cache).content() == png()
        kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
        assert len(kept) <= 3
        for path in kept:  # used two minutes ago, and so in use no longer
            os.utime(path, (time.time() - 120,) * 2)
    assert ShardMember(f"file://{tmp_path}/5.tar", "a.png", 100, 3, cache).fetch() in kept


def test_what_killed_processes_left_in_the_cache_goes(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "ab"
    folder.mkdir(parents=True)
    old, new = folder / ".one.0123456789ab.tmp", folder / ".two.0123456789ab.tmp"
    for path in (old, new):
        path.write_bytes(b"x" * 1000)
    os.utime(old, (time.time() - 7200,) * 2)
    assert member(tmp_path / "a.tar", png(), FileCache(tmp_path / "cache", 10_000)).fetch()
    assert (old.exists(), new.exists()) == (False, True)


def test_shards_in_use_stay_in_the_cache_and_others_are_read_in_parts(tmp_path: Path) -> None:
    size = 200 + len(png())
    cache = FileCache(tmp_path / "cache", 2 * size + 10)
    members = [member(tmp_path / f"{number}.tar", png(number), cache) for number in range(4)]
    for _ in range(3):  # by turns, as the lanes of a training are
        assert [one.content() for one in members] == [png(number) for number in range(4)]
        assert [one.fetch() is not None for one in members] == [True, True, False, False]


def test_broken_shards_are_problems_of_their_pictures(tmp_path: Path) -> None:
    cut = member(tmp_path / "cut.tar", png())
    with (tmp_path / "cut.tar").open("r+b") as file:
        file.truncate(150)
    with pytest.raises(PictureError, match="its shard ends before it: 50 of"):
        decode_picture(cut)
    gone = ShardMember(str(tmp_path / "gone.tar"), "a.png", 0, 10)
    with pytest.raises(PictureError, match=r"its shard cannot be read \(No such file"):
        decode_picture(gone)
    endless = ShardMember(str(tmp_path / "cut.tar"), "a.png", 0, 10**17)
    with pytest.raises(PictureError, match="more than the limit of"):
        decode_picture(endless)
    remote = ShardMember(
        f"file://{tmp_path}/gone.tar", "a.png", 0, 10, FileCache(tmp_path / "cache", 1000)
    )
    with pytest.raises(PictureError, match="nothing is there"):
        decode_picture(remote)


def test_a_table_of_shards_at_a_url(dataset: Path, tmp_path: Path) -> None:
    table = prepared(dataset, "shards", SHARDS).split("train")
    cache = FileCache(tmp_path / "cache", 10_000_000)
    there = replace(table, root=URLFolder(f"file://{table.root}", cache))
    assert contents(there) == contents(table)


def test_extents_that_are_no_numbers_are_refused(dataset: Path) -> None:
    data = prepared(dataset, "shards", SHARDS)
    path = folder_of(data) / "val.csv"
    lines = path.read_text().splitlines()
    image, _, *rest = lines[1].split(",")
    path.write_text("\n".join([lines[0], ",".join([image, "-5", *rest])]))
    with pytest.raises(VAAError, match="row 2, column 'shard_offset': '-5' is not a number"):
        read_prepared(folder_of(data))
