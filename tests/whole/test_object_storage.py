"""Preparing, training and predicting from and to an object store that fails now and then."""

import csv
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.command import QUICK, TORCH_FP32, newest_model, run_vaa
from tests.helpers.figures import make_dataset
from tests.helpers.s3_server import ENVIRONMENT, s3_server
from vaa_cli.core.system.storage import put_url, write_url
from vaa_cli.core.system.storage_listing import list_url

pytest.importorskip("moto.server")
s3fs = pytest.importorskip("s3fs")
pq = pytest.importorskip("pyarrow.parquet")

BUCKET = "s3://bucket"


@contextmanager
def bucket(folder: Path, busy: float = 0.0, cut: float = 0.0) -> Iterator[None]:
    """A bucket with a dataset that is in a folder, too, of a server that may fail now and then."""
    make_dataset(folder / "people", count=60)
    with s3_server(busy, cut) as address, pytest.MonkeyPatch.context() as environment:
        environment.setenv("VAA_CACHE", str(folder / "cache"))
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": address}.items():
            environment.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        for _ in range(9):
            try:
                s3fs.S3FileSystem().mkdir("bucket")
            except OSError:
                continue
            break
        files = [path for path in (folder / "people").rglob("*") if path.is_file()]
        with ThreadPoolExecutor(8) as writers:
            names = [f"{BUCKET}/{path.relative_to(folder)}" for path in files]
            list(writers.map(put_url, files, names))
        yield
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a dataset that is in a bucket, too, of a busy server on a bad line."""
    folder = tmp_path_factory.mktemp("store")
    with bucket(folder, busy=0.2, cut=0.05):
        yield folder


def losses(run: Path) -> list[list[str]]:
    with (run / "log.csv").open() as file:
        return [[row["loss"], row["val_mAP"]] for row in csv.DictReader(file)]


def test_all_of_it(store: Path, workspace: Path) -> None:
    here = run_vaa("prepare", "people", "here", cwd=store)
    there = run_vaa("prepare", f"{BUCKET}/people", "there", cwd=store)
    assert (here.code, there.code) == (0, 0), there.err
    for name in ("train.csv", "val.csv", "test.csv", "priors.csv"):
        assert (store / "here" / name).read_text() == (store / "there" / name).read_text()
    described = json.loads((store / "there" / "dataset.json").read_text())
    assert (described["root"], described["dropped"]) == (f"{BUCKET}/people/", [])

    for data in ("here", "there"):
        options = (*QUICK, "--precision", "fp32", "--epochs", "2", "--no-calibrate")
        trained = run_vaa("train", "--data", data, "--run", f"run-{data}", *options, cwd=store)
        assert trained.code == 0, trained.err
    assert losses(store / "run-there") == losses(store / "run-here")

    write_url(f"{BUCKET}/run/best.safetensors", newest_model(workspace).read_bytes())
    write_url(f"{BUCKET}/people/images/broken.png", b"none")
    job = ("predict", f"{BUCKET}/people/images/", "--run", f"{BUCKET}/run/", *TORCH_FP32)
    rows = run_vaa(*job, "--out", f"{BUCKET}/rows/", "--part-rows", "32", cwd=store)
    assert rows.code == 1, rows.err
    assert rows.err.rstrip().endswith("1 of 61 pictures could not be read; see the column error")
    again = run_vaa(*job, "--out", f"{BUCKET}/rows/", "--part-rows", "32", "--resume", cwd=store)
    assert (again.code, again.err.splitlines()[-1]) == (
        0, f"{BUCKET}/rows/ is whole already; nothing is left to do",
    )  # fmt: skip
    parts = [file.url for file in list_url(f"{BUCKET}/rows/") if file.url.endswith(".parquet")]
    with_fs = [
        pq.read_table(url.removeprefix("s3://"), filesystem=s3fs.S3FileSystem()) for url in parts
    ]
    found = [row for part in with_fs for row in part.to_pylist()]
    (store / "people" / "images" / "broken.png").write_bytes(b"none")
    plain = ("predict", "people/images", "--run", newest_model(workspace), *TORCH_FP32)
    expected = list(csv.DictReader(run_vaa(*plain, cwd=store).out.splitlines()))
    assert [row["image"] for row in found] == [f"{BUCKET}/{row['image']}" for row in expected]
    assert [row["error"] or "" for row in found] == [row["error"] for row in expected]
    for row, other in zip(found, expected, strict=True):
        for name in ("red", "hat", "striped"):
            assert other[name] == ("" if row[name] is None else f"{row[name]:.6f}")


WRONG = (
    ("prepare s3://no-such-bucket/people x", "s3://no-such-bucket/people: no such bucket"),
    ("prepare s3://bucket/none/ x", "s3://bucket/none/: nothing is there"),
    ("prepare people s3://bucket/x", "s3://bucket/x: the pictures are in people, on this machine"),
    ("prepare people s3://no-such-bucket/x --shards", "s3://no-such-bucket/x/: no such bucket"),
    ("prepare people s3://bucket/people --shards", "s3://bucket/people holds other files (images)"),
    ("train --data s3://bucket/people", "s3://bucket/people is not a prepared folder"),
    ("train --data s3://no-such-bucket/p", "s3://no-such-bucket/p/dataset.json: no such bucket"),
    ("prepare s3://bucket/people x --cache-size much", "'much' is no size; write 200GB"),
    ("predict s3://bucket/people/ --out s3://bucket/people/", "holds other files"),
    ("predict s3://bucket/people/ --out s3://bucket/people/labels.csv", "is there and is not csv"),
    ("predict s3://bucket/people/ --out s3://bucket/a.csv --resume", "--resume needs a file"),
    ("predict people --run s3://bucket/none", "none/best.safetensors: nothing is there"),
    ("calibrate --run s3://bucket/run.safetensors", "a model at a URL stays as it is"),
)


def test_shards_in_the_bucket(store: Path) -> None:
    """A prepared folder that is written to and trained from a bucket is as one on this machine."""
    shards = ("--shards", "--shard-size", "10KB")
    here = run_vaa("prepare", "people", "packed", *shards, cwd=store)
    there = run_vaa("prepare", "people", f"{BUCKET}/prepared", *shards, cwd=store)
    assert (here.code, there.code) == (0, 0), there.err
    assert f"next: vaa train --data {BUCKET}/prepared " in there.err
    for data in ("packed", f"{BUCKET}/prepared"):
        options = (*QUICK, "--precision", "fp32", "--epochs", "2", "--no-calibrate")
        run = f"run-{Path(data).name}"
        trained = run_vaa(
            "train", "--data", data, "--run", run, "--cache-dir", "kept", *options, cwd=store
        )
        assert trained.code == 0, trained.err
    assert losses(store / "run-prepared") == losses(store / "run-packed")
    # Each shard of train and val is read once, however often it failed.
    kept = [path for path in (store / "kept").rglob("*") if path.is_file()]
    used = [path for path in (store / "packed" / "shards").iterdir() if path.name[:4] != "test"]
    assert len(kept) == len(used)
    scored = [
        run_vaa(
            "evaluate", "--run", "run-prepared", *data, "--format", "csv", *TORCH_FP32, cwd=store
        )
        for data in ((), ("--data", "packed"))
    ]
    assert scored[0].code == 0, scored[0].err
    assert scored[0].out == scored[1].out


def test_wrong_requests_are_one_line(tmp_path: Path, workspace: Path) -> None:
    with bucket(tmp_path):
        write_url(f"{BUCKET}/run.safetensors", newest_model(workspace).read_bytes())
        for command, problem in WRONG:
            refused = run_vaa(*command.split(), cwd=tmp_path)
            assert refused.code == 2 and problem in refused.err.splitlines()[-1], command
            assert "Traceback" not in refused.err and not (tmp_path / "x").exists()
