"""Training from shards: the same as from files in the same order, and resumed bit for bit."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.kill_resume import log_without_times
from tests.core.training.test_resume import assert_same_run, resume, train_until
from tests.helpers.figures import make_dataset
from vaa_cli.core.datasets.options import PrepareOptions
from vaa_cli.core.datasets.pipeline import prepare
from vaa_cli.core.datasets.prepared import Prepared, read_prepared
from vaa_cli.core.images.read_ahead import shards_ahead
from vaa_cli.core.images.requests import Request, table_requests
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.system.file_cache import FileCache
from vaa_cli.core.system.location import URLFolder
from vaa_cli.core.system.shards import ShardMember
from vaa_cli.core.training import loop
from vaa_cli.core.training.events import Finished, Stopped, TrainingWarning
from vaa_cli.core.training.loop import training_events
from vaa_cli.core.training.options import TrainingOptions
from vaa_cli.core.training.sampling import shard_batches

OPTIONS = TrainingOptions(
    backbone="resnet18", weights="none", image_size=(32, 32), hidden=8, workers=0, batch_size=5,
    precision="fp32", device="cpu", epochs=2, lr=1e-3, ema=0.9, burn_in=0, tensorboard=False,
    shuffle_buffer=20,
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """29 pictures to train on, three or so a shard."""
    folder = tmp_path_factory.mktemp("shards")
    dataset = make_dataset(folder / "people", count=50)
    prepare(dataset, folder / "prepared", PrepareOptions(shards=True, shard_size="10KB"))
    return read_prepared(folder / "prepared")


@pytest.fixture(scope="module")
def whole(data: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that was never stopped."""
    run = tmp_path_factory.mktemp("whole") / "run"
    *_, end = training_events(data, OPTIONS, run)
    assert isinstance(end, Finished)
    return run


def with_splits(data: Prepared, change: Any) -> Prepared:
    return replace(data, splits={name: change(part) for name, part in data.splits.items()})


def as_files(data: Prepared, folder: Path) -> Prepared:
    """The same rows and pictures, each picture a file that is named as in its shard."""

    def unpacked(table: LabelTable) -> LabelTable:
        for row, name in enumerate(table.row_images):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            member = table.path(row)
            assert isinstance(member, ShardMember)
            (folder / name).write_bytes(member.content())
        return replace(table, root=folder, extents=None)

    return with_splits(data, unpacked)


def at_url(data: Prepared, cache: FileCache) -> Prepared:
    """The same shards by their URL."""
    return with_splits(
        data, lambda table: replace(table, root=URLFolder(f"file://{table.root}", cache))
    )


def test_the_losses_are_those_of_files_in_the_same_order(
    data: Prepared, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = data.split("train").shard_rows
    assert len(layout) > 5

    def same_order(
        samples: int, batch_size: int, seed: int, epoch: int, smallest: int = 2
    ) -> list[NDArray[np.int64]]:
        return shard_batches(layout, batch_size, seed, epoch, smallest, shuffle_buffer=20)

    monkeypatch.setattr(loop, "epoch_batches", same_order)
    list(training_events(as_files(data, tmp_path / "files"), OPTIONS, tmp_path / "run"))
    assert log_without_times(tmp_path / "run") == log_without_times(whole)


def test_every_epoch_has_all_pictures_in_another_order(data: Prepared) -> None:
    table = data.split("train")
    orders = [
        np.concatenate(shard_batches(table.shard_rows, 5, 0, epoch, shuffle_buffer=20))
        for epoch in range(2)
    ]
    assert all(sorted(order.tolist()) == list(range(len(table))) for order in orders)
    assert orders[0].tolist() != orders[1].tolist()


@pytest.mark.parametrize(("epoch", "step"), [(1, 2), (2, 3)])
def test_a_stopped_training_goes_on_bit_for_bit(
    data: Prepared, whole: Path, tmp_path: Path, epoch: int, step: int
) -> None:
    end = train_until(data, tmp_path / "run", epoch, step, OPTIONS)
    assert isinstance(end, Stopped)
    *_, end = resume(data, tmp_path / "run", OPTIONS)
    assert isinstance(end, Finished)
    assert_same_run(tmp_path / "run", whole)


def test_shards_at_a_url_with_workers_are_the_same(
    data: Prepared, whole: Path, tmp_path: Path
) -> None:
    cache = FileCache(tmp_path / "cache", 10_000_000)
    options = replace(OPTIONS, workers=2)
    list(training_events(at_url(data, cache), options, tmp_path / "run"))
    assert log_without_times(tmp_path / "run") == log_without_times(whole)
    held = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    used = {
        name.split("/")[0] for split in ("train", "val") for name in data.split(split).row_images
    }
    assert len(held) == len(used), "each shard is kept once, and no lock is left"


def test_a_broken_shard_is_broken_pictures(data: Prepared, tmp_path: Path) -> None:
    folder = tmp_path / "prepared"
    shutil.copytree(str(data.folder), folder)
    victim = sorted((folder / "shards").glob("train-*"))[0]
    with victim.open("r+b") as file:
        file.truncate(1000)
    events = list(training_events(read_prepared(folder), OPTIONS, tmp_path / "run"))
    assert isinstance(events[-1], Finished)
    warnings = [event.message for event in events if isinstance(event, TrainingWarning)]
    assert any(victim.name in text and "its shard ends before it" in text for text in warnings)


def test_the_cache_in_memory_takes_shards(data: Prepared, tmp_path: Path) -> None:
    *_, end = training_events(data, replace(OPTIONS, cache="ram", epochs=1), tmp_path / "run")
    assert isinstance(end, Finished)


def test_shards_are_fetched_ahead_of_their_batches(
    data: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    monkeypatch.setattr(ShardMember, "fetch", lambda self: fetched.append(self.shard))
    table = at_url(data, FileCache(tmp_path / "cache", 1000)).split("train")
    requests = list(table_requests(table))
    batches = [requests[start : start + 4] for start in range(0, len(requests), 4)]

    def needed(batch: list[Request]) -> set[str]:
        return {request.path.shard for request in batch if isinstance(request.path, ShardMember)}

    def checked() -> Iterator[list[Request]]:
        for batch in shards_ahead(batches):
            assert needed(batch) <= set(fetched)
            yield batch

    assert list(checked()) == batches
    assert len(fetched) == len(set(fetched)) == len(table.shard_rows)
