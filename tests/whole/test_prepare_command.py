"""`vaa prepare` as people run it, on a tree of each format, with each of its options."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.helpers.command import QUICK, assert_one_line_error, contents, run_process, run_vaa
from tests.helpers.dataset_trees import (
    TREES,
    WIDER_TRAINVAL,
    Person,
    make_market,
    make_pa100k,
    make_peta,
    make_rap,
    make_rap2,
    make_wider,
    shrink,
)
from tests.helpers.figures import make_dataset
from tests.helpers.matlab_files import Bomb, row_of, save_mat, write_v73
from tests.helpers.pictures import noise, write_rows
from vaa_cli.core.datasets.formats.registry import FORMATS
from vaa_cli.core.datasets.prepared_output import written_alone
from vaa_cli.core.models.model_file import load_model
from vaa_cli.core.runs.lookup import model_file

PREPARED = ["dataset.json", "priors.csv", "test.csv", "train.csv", "val.csv"]


def description(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "dataset.json").read_text())
    return found


def rows(folder: Path, *splits: str) -> list[dict[str, str]]:
    """The rows of some splits of a prepared folder, or of all."""
    found = []
    for split in splits or ("train", "val", "test"):
        with (folder / f"{split}.csv").open(newline="") as file:
            found += list(csv.DictReader(file))
    return found


# Formats


@pytest.mark.parametrize(
    "tree",
    ["csv", "wider", "peta as it was", "pa100k", "rap", "rap2", "market1501", "duke", "celeba",
     "ccp"],
)  # fmt: skip
def test_every_format_is_reported_and_read(tmp_path: Path, tree: str) -> None:
    name, make, evidence = TREES[tree]
    make(tmp_path / "My data")
    outcome = run_vaa("prepare", "My data", cwd=tmp_path)
    if tree == "csv":  # one picture, which is no train, val and test
        assert outcome.code in (0, 2)
        assert f"as {name} (" in outcome.err
        return
    assert outcome.code == 0, outcome.err
    assert outcome.out == ""
    first_line = outcome.err.splitlines()[0]
    assert first_line.startswith("reading My data as " + name) and evidence in first_line
    assert "--format" in first_line
    about = description(tmp_path / "prepared")
    assert about["format"] == name and about["name"] == "My data"
    assert contents(tmp_path / "prepared") == PREPARED
    assert about["dropped"] == []
    found = rows(tmp_path / "prepared")
    assert found and all((Path(str(about["root"])) / row["image"]).is_file() for row in found)
    assert len(found) == sum(about["counts"].values())  # type: ignore[attr-defined]


def test_the_help_names_every_format(tmp_path: Path) -> None:
    shown = run_process("prepare", "--help", cwd=tmp_path, environment={"COLUMNS": "300"}).out
    assert ", ".join(form.name for form in FORMATS) in shown


def test_a_format_that_is_named(tmp_path: Path) -> None:
    make_dataset(make_wider(tmp_path / "data"))
    assert_one_line_error(run_vaa("prepare", "data", cwd=tmp_path), "wider", "csv", "--format")
    outcome = run_vaa("prepare", "data", "--format", "wider", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert description(tmp_path / "prepared")["format"] == "wider"


# Boxes


def test_boxes_are_clipped_and_what_is_not_there_is_counted(tmp_path: Path) -> None:
    yes, no = [1] * 14, [-1] * 14
    people = {
        "train/0--Parade/a.jpg": [
            Person(yes, (-4, 10.5, 20, 100)), Person(no, (24, 0, 9, 9)), Person(no, (3, 3, 0, 9)),
            Person(no, (2, 2, 8, 8)), Person(no, (2, 2, 8, 8)),
        ],
        "train/0--Parade/gone.jpg": [Person(no, (2, 2, 8, 8))],
        "val/0--Parade/b.jpg": [Person(yes, (1, 1, 4, 4)), Person(no, (5, 5, 4, 4))],
    }  # fmt: skip
    make_wider(tmp_path / "data", people, None)
    (tmp_path / "data" / "Image" / "train" / "0--Parade" / "gone.jpg").unlink()
    outcome = run_vaa("prepare", "data", "--box-margin", "0.25", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert "4 of 8 rows dropped" in outcome.err
    train = rows(tmp_path / "prepared", "train")
    boxes = [[float(row[side]) for side in ("left", "top", "width", "height")] for row in train]
    assert boxes == [[0, 10.5, 16, 37.5], [2, 2, 8, 8]]
    about = description(tmp_path / "prepared")
    assert about["box_margin"] == 0.25
    reasons = [drop["reason"] for drop in about["dropped"]]  # type: ignore[attr-defined]
    assert sum("no area inside the 24 x 48 picture" in reason for reason in reasons) == 2
    assert "no such file" in reasons and any("same picture and box" in r for r in reasons)
    strict = run_vaa("prepare", "data", "strict", "--strict", cwd=tmp_path)
    assert_one_line_error(strict, "4 of 8 rows", "--strict")
    assert not (tmp_path / "strict").exists()


@pytest.mark.slow
def test_the_margin_goes_from_the_dataset_to_the_model(tmp_path: Path) -> None:
    make_wider(tmp_path / "data")
    options = ("--box-margin", "0.5", "--crops", "--short-side", "32", "--stats")
    outcome = run_vaa("prepare", "data", *options, cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert contents(tmp_path / "prepared") == sorted([*PREPARED, "crops", "statistics.png"])
    trained = run_vaa("train", *QUICK, "--epochs", "1", cwd=tmp_path)
    assert trained.code == 0, trained.err
    _, card = load_model(model_file(tmp_path / "runs" / "latest"))
    assert card.box_margin == 0.5


# Crops


@pytest.mark.slow
def test_crops_are_what_training_reads(tmp_path: Path) -> None:
    make_wider(tmp_path / "data")
    assert run_vaa("prepare", "data", "whole", cwd=tmp_path).code == 0
    outcome = run_vaa("prepare", "data", "cropped", "--crops", "--short-side", "32", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert contents(tmp_path) == ["cropped", "data", "whole"]
    (tmp_path / "cropped").rename(tmp_path / "moved")  # crops go where their folder goes
    whole, crops = rows(tmp_path / "whole"), rows(tmp_path / "moved")
    assert len(whole) == len(crops)
    for row, crop in zip(whole, crops, strict=True):
        assert {**row, "image": "", **dict.fromkeys(("left", "top", "width", "height"))} == {
            **crop, "image": "", **dict.fromkeys(("left", "top", "width", "height"))
        }  # fmt: skip
        with Image.open(tmp_path / "moved" / "crops" / crop["image"]) as picture:
            sides = float(row["width"]), float(row["height"])
            scale = min(1, 32 / min(sides))
            assert picture.size == pytest.approx([side * scale for side in sides], abs=2)
    trained = run_vaa("train", *QUICK, "--epochs", "1", "--data", "moved", cwd=tmp_path)
    assert trained.code == 0, trained.err


def test_a_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    people = {}
    for i in range(60):
        people[f"train/0--Parade/{i}.jpg"] = [Person([1] * 14, (0, 0, 700, 900))]
    make_wider(tmp_path / "data", people, None)
    for i in range(60):
        noise(800, 1000, i).save(tmp_path / "data" / "Image" / "train" / "0--Parade" / f"{i}.jpg")
    command = [sys.executable, "-m", "vaa_cli", "prepare", "data", "--crops", "--val-share", "0.2"]
    staging = tmp_path / ".prepared.crops"
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and len(list(staging.rglob("*.jpg"))) < 5:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    written = {path.name: path.stat().st_mtime_ns for path in staging.rglob("*.jpg")}
    assert 5 <= len(written) < 60, "the test must kill it in the middle"
    assert not (tmp_path / "prepared").exists()
    outcome = run_vaa(*command[3:], cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert contents(tmp_path) == ["data", "prepared"]
    crops = {path.name: path for path in (tmp_path / "prepared" / "crops").rglob("*.*")}
    assert len(crops) == 60 == len(rows(tmp_path / "prepared"))
    # What was written before was not written again, but for what was in the making.
    kept = [name for name, when in written.items() if crops[name].stat().st_mtime_ns == when]
    assert len(kept) == len(written)
    for path in crops.values():
        with Image.open(path) as picture:
            picture.load()
    # The same again takes all of them over.
    before = {name: path.stat().st_mtime_ns for name, path in crops.items()}
    assert run_vaa(*command[3:], cwd=tmp_path).code == 0
    after = (tmp_path / "prepared" / "crops").rglob("*.jpg")
    assert {path.name: path.stat().st_mtime_ns for path in after} == before


# Splits


def test_no_person_is_on_both_sides(tmp_path: Path) -> None:
    make_market(tmp_path / "data")
    outcome = run_vaa("prepare", "data", "--val-share", "0.3", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert "cut from train" in outcome.err and "junk" in outcome.err
    people = {
        split: {Path(row["image"]).name.split("_")[0] for row in rows(tmp_path / "prepared", split)}
        for split in ("train", "val", "test")
    }
    assert all(people.values())
    assert not people["train"] & people["val"] and not people["train"] & people["test"]


@pytest.mark.parametrize(
    "make",
    [make_peta, *(pytest.param(make, marks=pytest.mark.slow) for make in (make_rap, make_rap2))],
)
def test_partitions(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / "data")
    outcome = run_vaa("prepare", "data", "--partition", "4", "--val-share", "0", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    share = run_vaa("prepare", "data", "--val-share", "0.2", cwd=tmp_path)
    if make is not make_rap:  # these have a val of their own
        assert_one_line_error(share, "--val-share")
    wrong = run_vaa("prepare", "data", "--partition", "5", cwd=tmp_path)
    assert_one_line_error(wrong, "--partition 5", "5 partitions")


# Attributes and merging


@pytest.mark.slow
def test_two_datasets_are_regrouped_and_trained_together(tmp_path: Path) -> None:
    make_dataset(tmp_path / "a", count=30)
    make_dataset(tmp_path / "b", count=30)
    table = tmp_path / "b" / "labels.csv"
    table.write_text(table.read_text().replace("red,hat,striped", "red_coat,cap,striped"))
    (tmp_path / "map.yaml").write_text(yaml.safe_dump({"red": ["red_coat"], "hat": "cap"}))
    assert run_vaa("prepare", "a", "A", "--attributes", "hat,red", cwd=tmp_path).code == 0
    assert run_vaa("prepare", "b", "B", "--attributes", "map.yaml", cwd=tmp_path).code == 0
    outcome = run_vaa("prepare", "A", "B", "both", "--merge", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert "next: vaa train --data both" in outcome.err
    about = description(tmp_path / "both")
    assert about["name"] == "a + b" and about["format"] == "merged"
    assert about["attributes"] == ["hat", "red"]
    for split in ("train", "val", "test"):
        parts = rows(tmp_path / "A", split) + rows(tmp_path / "B", split)
        joined = rows(tmp_path / "both", split)
        assert [(row["hat"], row["red"]) for row in joined] == [
            (row["hat"], row["red"]) for row in parts
        ]
    trained = run_vaa("train", *QUICK, "--epochs", "1", "--data", "both", cwd=tmp_path)
    assert trained.code == 0, trained.err


def test_attributes_beyond_the_benchmark(tmp_path: Path) -> None:
    make_peta(tmp_path / "data")
    assert run_vaa("prepare", "data", cwd=tmp_path).code == 0
    assert len(description(tmp_path / "prepared")["attributes"]) == 35  # type: ignore[arg-type]
    assert run_vaa("prepare", "data", "--attributes", "all", cwd=tmp_path).code == 0
    assert len(description(tmp_path / "prepared")["attributes"]) == 105  # type: ignore[arg-type]


# Checks


def test_three_ways_to_look_at_pictures(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", count=20)
    for i, harm in enumerate((lambda c: b"broken", lambda c: c[:-200], flip_in_the_middle)):
        path = tmp_path / "data" / "images" / f"{i:03d}.png"
        path.write_bytes(harm(path.read_bytes()))
    found = {}
    for option in ((), ("--check", "full"), ("--no-check",)):
        outcome = run_vaa("prepare", "data", *option, cwd=tmp_path)
        assert outcome.code == 0, outcome.err
        found[option] = len(description(tmp_path / "prepared")["dropped"])  # type: ignore[arg-type]
    assert list(found.values()) == [2, 3, 0]


def flip_in_the_middle(content: bytes) -> bytes:
    return content[:700] + bytes([content[700] ^ 255]) + content[701:]


def test_crops_of_a_picture_longer_than_a_jpeg(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", 12)
    Image.new("L", (66_000, 4)).save(tmp_path / "data" / "images" / "long.png")
    with (tmp_path / "data" / "labels.csv").open("a") as file:
        file.write("images/long.png,train,1,0,0\n")
    done = run_vaa("prepare", "data", "--crops", cwd=tmp_path)
    assert done.code == 0, done.err
    names = [row["image"] for row in rows(tmp_path / "prepared")]
    assert len(names) == 13
    (long,) = [name for name in names if "/long-" in name]
    with Image.open(tmp_path / "prepared" / "crops" / long) as picture:
        assert 65_000 < max(picture.size) <= 65_500


def test_labels_that_are_links_out_of_the_folder(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", 12)
    (tmp_path / "data" / "labels.csv").rename(tmp_path / "labels.csv")
    (tmp_path / "data" / "labels.csv").symlink_to(tmp_path / "labels.csv")
    done = run_vaa("prepare", "data", cwd=tmp_path)
    assert_one_line_error(done, "labels.csv leads out of data", "--follow-links")
    assert run_vaa("prepare", "data", "--follow-links", cwd=tmp_path).code == 0
    (tmp_path / "data" / "labels.csv").unlink()
    (tmp_path / "data" / "all.csv").write_text((tmp_path / "labels.csv").read_text())
    (tmp_path / "data" / "labels.csv").symlink_to("all.csv")  # within it
    assert run_vaa("prepare", "data", cwd=tmp_path).code == 0


def test_joined_folders_whose_pictures_are_links_out_of_theirs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_dataset(tmp_path / name, 12)
        assert run_vaa("prepare", name, f"prepared-{name}", cwd=tmp_path).code == 0
    picture = tmp_path / "a" / "images" / "003.png"
    picture.rename(tmp_path / "secret.png")
    picture.symlink_to(tmp_path / "secret.png")
    command = ("prepare", "prepared-a", "prepared-b", "joined", "--merge", "--crops")
    assert_one_line_error(run_vaa(*command, cwd=tmp_path), "leads out of", "--follow-links")
    assert run_vaa(*command, "--follow-links", cwd=tmp_path).code == 0


def test_links_out_of_the_folder(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", count=20)
    (tmp_path / "data" / "images").rename(tmp_path / "elsewhere")
    (tmp_path / "data" / "images").symlink_to(tmp_path / "elsewhere")
    outcome = run_vaa("prepare", "data", cwd=tmp_path)
    assert_one_line_error(outcome, "images/000.png", "elsewhere", "--follow-links")
    assert contents(tmp_path) == ["data", "elsewhere"]
    assert run_vaa("prepare", "data", "--follow-links", cwd=tmp_path).code == 0


# Wrong requests


def beyond_the_table(folder: Path) -> None:
    content = {
        "attribute": np.hstack([np.ones((3, 4)), np.eye(3)]),
        "names": row_of(["a", "b", "c"]).T,
        "unused": 0.0,
        "partitions": row_of([{"train": np.array([[1, 4]]), "val": 2.0, "test": 3.0}]),
    }
    save_mat(folder / "PETA.mat", peta=content)


def names_too_few(folder: Path) -> None:
    save_mat(make_pa100k(folder) / "annotation.mat", **{
        "attributes": row_of(["hat", "bag"]).T,
        **{f"{part}_images_name": row_of([f"{part}.jpg"]) for part in ("train", "val", "test")},
        **{f"{part}_label": np.zeros((1, 3)) for part in ("train", "val", "test")},
    })  # fmt: skip


def one_picture(name: str, folder: Path) -> None:
    text = json.dumps(
        {
            "images": [
                {"file_name": name, "targets": [{"attribute": [1] * 14, "bbox": [1, 1, 4, 4]}]}
            ]
        }
    )
    (make_wider(folder) / "wider_attribute_annotation" / WIDER_TRAINVAL).write_text(text)


def a_pickle(folder: Path) -> None:
    import pickle

    folder.mkdir()
    (folder / "PETA.mat").write_bytes(pickle.dumps(Bomb(folder / "trace")))


Case = tuple[Callable[[Path], object], tuple[str, ...], tuple[str, ...]]

BROKEN: dict[str, Case] = {
    "truncated mat": (
        lambda f: shrink(make_peta(f) / "PETA.mat"), (), ("PETA.mat", "whole MATLAB file")
    ),
    "truncated mat v7.3": (
        lambda f: (
            make_pa100k(f), shrink(write_v73(f / "annotation.mat", {"attributes": ["a"] * 99}))
        ),
        (), ("annotation.mat", "whole MATLAB file"),
    ),
    "another mat": (
        lambda f: (make_peta(f), save_mat(f / "PETA.mat", x=1.0)), (), ("PETA.mat", "'peta'", "x")
    ),
    "a pickle": (a_pickle, (), ("PETA.mat", "whole MATLAB file")),
    "cut json": (
        lambda f: shrink(make_wider(f) / "wider_attribute_annotation" / WIDER_TRAINVAL),
        (), (WIDER_TRAINVAL, "picture", "person", "JSON"),
    ),
    "index": (beyond_the_table, (), ("PETA.mat", "partition 0, train", "index 4", "3 pictures")),
    "columns": (names_too_few, (), ("annotation.mat", "train_label", "3 columns", "2 attributes")),
    "climbing": (
        lambda f: one_picture("train/../../../x.jpg", f), (), (WIDER_TRAINVAL, "train/../../../x")
    ),
    "absolute": (lambda f: one_picture("/etc/x.jpg", f), (), (WIDER_TRAINVAL, "'/etc/x.jpg'")),
    "unknown attribute": (
        lambda f: (make_wider(f) / "map.yaml").write_text("headwear: [Hatt]"),
        ("--attributes", "data/map.yaml"), ("data/map.yaml", "'headwear'", "'Hatt'", "'Hat'"),
    ),
    "unknown format": (make_wider, ("--format", "yolo"), ("'yolo'", "wider")),
    "format of another": (make_wider, ("--format", "peta"), ("PETA.mat", "data")),
    "partition": (make_wider, ("--partition", "1"), ("--partition 1", "one partition only")),
    "checks": (make_wider, ("--check", "full", "--no-check"), ("--check", "--no-check")),
    "check": (make_wider, ("--check", "twice"), ("--check", "twice")),
    "margin": (make_wider, ("--box-margin", "-1"), ("--box-margin",)),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_is_one_line_and_nothing_is_written(tmp_path: Path, case: str) -> None:
    make, options, parts = BROKEN[case]
    make(tmp_path / "data")
    outcome = run_vaa("prepare", "data", *options, cwd=tmp_path)
    assert_one_line_error(outcome, *parts)
    assert contents(tmp_path) == ["data"]
    assert not (tmp_path / "data" / "trace").exists()


def test_wrong_requests_to_merge(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", count=20)
    assert run_vaa("prepare", "data", "A", cwd=tmp_path).code == 0
    for arguments, parts in (
        (("A", "B", "--merge"), ("--merge", "OUT_DIR")),
        (("A", "A", "out", "--merge"), ("another folder",)),
        (("A", "data", "out", "--merge"), ("data", "not a prepared folder")),
        (("A", "A", "A", "--merge"), ("A", "would be replaced")),
        (("A", "A", "out", "--merge", "--format", "csv"), ("--format", "--merge")),
        (("A", "B", "C"), ("3 folders", "--merge")),
    ):
        assert_one_line_error(run_vaa("prepare", *arguments, cwd=tmp_path), *parts)
    assert contents(tmp_path) == ["A", "data"]


# What stands in the place of the prepared folder


def test_what_is_read_is_never_replaced(tmp_path: Path) -> None:
    make_dataset(tmp_path / "d" / "crops", count=20)
    before = sorted(path for path in tmp_path.rglob("*"))
    for arguments, parts in (
        (("d/crops", "d"), ("d", "dataset.json")),
        (("d/crops", "d/crops"), ("d/crops",)),
        (("d/crops", "."), (".", "other files (d)")),
    ):
        assert_one_line_error(run_vaa("prepare", *arguments, cwd=tmp_path), *parts)
    (tmp_path / "d" / "dataset.json").write_text("{}")
    outcome = run_vaa("prepare", "d/crops", "d", cwd=tmp_path)
    assert_one_line_error(outcome, "d holds what is read (d/crops)")
    # Pictures of another folder's labels, too.
    table = (tmp_path / "d" / "crops" / "labels.csv").read_text()
    (tmp_path / "labels.csv").write_text(table.replace("images/", "d/crops/images/"))
    outcome = run_vaa("prepare", "labels.csv", "d", cwd=tmp_path)
    assert_one_line_error(outcome, "would be replaced")
    (tmp_path / "labels.csv").unlink()
    (tmp_path / "d" / "dataset.json").unlink()
    (tmp_path / "empty").mkdir()
    outcome = run_vaa("prepare", "../d/crops", ".", cwd=tmp_path / "empty")
    assert_one_line_error(outcome, "folder that you are in")
    (tmp_path / "empty").rmdir()
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_a_folder_of_files_named_like_ours_is_left_alone(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", count=20)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "train.csv").write_text("mine")
    outcome = run_vaa("prepare", "data", "out", cwd=tmp_path)
    assert_one_line_error(outcome, "out", "no prepared folder")
    assert (tmp_path / "out" / "train.csv").read_text() == "mine"


def test_crops_of_a_stopped_run_are_reported_of(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", count=20)
    (tmp_path / ".prepared.crops").mkdir()
    outcome = run_vaa("prepare", "data", cwd=tmp_path)
    assert outcome.code == 0 and ".prepared.crops" in outcome.err


# Stopping


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_ends_it_at_once(tmp_path: Path, times: int) -> None:
    folder = tmp_path / "data" / "images"
    folder.mkdir(parents=True)
    noise(3000, 2000).save(folder / "0.jpg")
    names = [f"images/{i}.jpg" for i in range(300)]
    for name in names[1:]:
        os.link(folder / "0.jpg", tmp_path / "data" / name)
    write_rows(tmp_path / "data" / "labels.csv", ["image", "hat"], *[(n, 1) for n in names])
    command = [sys.executable, "-m", "vaa_cli", "prepare", "data", "--crops"]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        staging = tmp_path / ".prepared.crops"
        while process.poll() is None and not list(staging.rglob("*.jpg")):
            time.sleep(0.02)
        for _ in range(times):  # to the whole group, as a terminal does
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.1)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said and "goes on with the crops" in said
    assert 0 < len(list(staging.rglob("*.jpg"))) < 200, "it went on after it was stopped"
    assert not (tmp_path / "prepared").exists()


def test_a_name_that_steers_the_terminal_is_spelt_out(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", count=20)
    with (tmp_path / "data" / "labels.csv").open("a") as file:
        file.write('"a\nwarning: all fine \x1b[31m.png",train,1,0,1\n')
    outcome = run_vaa("prepare", "data", cwd=tmp_path)
    assert outcome.code == 0
    assert "\x1b" not in outcome.err
    assert "a\\nwarning: all fine \\x1b[31m.png: no such file" in outcome.err


def test_a_folder_that_another_process_prepares_is_left_to_it(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", 16)
    with written_alone(tmp_path / "prepared"):
        done = run_vaa("prepare", "data", "--crops", cwd=tmp_path)
        assert_one_line_error(done, "prepared is being prepared by another process")
    assert run_vaa("prepare", "data", "--crops", cwd=tmp_path).code == 0
    assert contents(tmp_path) == ["data", "prepared"]
