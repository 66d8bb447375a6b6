"""The real `vaa predict` over anything, stopped and resumed. An exported model starts at once."""

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.helpers.command import (
    TORCH_FP32,
    Outcome,
    assert_one_line_error,
    contents,
    read_rows,
    run_vaa,
)
from tests.helpers.figures import ATTRIBUTES
from tests.helpers.pictures import noise

pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def model(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace's run as an OpenVINO model."""
    path = tmp_path_factory.mktemp("model") / "model.xml"
    outcome = run_vaa("export", "--out", path, cwd=workspace)
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"{path}\n"
    assert "the worst difference of a probability is" in outcome.err
    return path


@pytest.fixture
def images(workspace: Path) -> Path:
    return workspace / "dataset" / "images"


def predict(model: Path, *arguments: str | Path, cwd: Path, stdin: str | None = None) -> Outcome:
    return run_vaa("predict", *arguments, "--run", model, cwd=cwd, stdin=stdin)


def test_an_export_predicts_as_its_run_does(workspace: Path, model: Path) -> None:
    exact = ("--precision", "fp32")  # what `auto` is differs from processor to processor
    run = run_vaa("predict", "dataset/images", "--engine", "torch", *exact, cwd=workspace)
    exported = predict(model, "dataset/images", *exact, cwd=workspace)
    assert "torch on cpu" in run.err and "openvino on cpu" in exported.err
    rows = zip(read_rows(run.out), read_rows(exported.out), strict=True)
    for expected, found in rows:
        assert found["image"] == expected["image"] and found["error"] == ""
        for name in ATTRIBUTES:
            assert float(found[name]) == pytest.approx(float(expected[name]), abs=1e-4)


@pytest.mark.slow
def test_archives_and_shards_give_the_same_rows(model: Path, images: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(images, "")
    whole = predict(model, images, cwd=tmp_path).out.splitlines()
    packed = predict(model, "a.tar.gz", cwd=tmp_path).out.splitlines()
    cells = sorted(line.partition(",") for line in whole[1:])
    assert [c[2] for c in sorted(line.partition(",") for line in packed[1:])] == [
        c[2] for c in cells
    ]
    parts = [predict(model, images, "--shard", f"{i}/2", cwd=tmp_path).out for i in (1, 2)]
    images_of = [[row["image"] for row in read_rows(part)] for part in parts]
    for i, found in enumerate(images_of):
        assert found == [line.split(",")[0] for line in whole[1 + i :: 2]]


def test_formats_by_the_name_of_the_file(model: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"broken")
    frames = []
    for name in ("o.csv", "o.jsonl", "o.parquet"):
        outcome = predict(model, images / "000.png", "broken.jpg", "-o", name, cwd=tmp_path)
        assert outcome.code == 1 and outcome.out == ""
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    frames = [pd.read_csv(tmp_path / "o.csv"), pd.read_parquet(tmp_path / "o.parquet")]
    for name in ATTRIBUTES:
        for frame in frames:
            assert frame[name][0] == pytest.approx(lines[0]["attributes"][name], abs=1e-6)
    assert lines[1]["error"] == frames[0]["error"][1] == frames[1]["error"][1] == "not a picture"


def test_mirror_images_are_averaged(model: Path, tmp_path: Path) -> None:
    picture = noise(32, 64)
    picture.save(tmp_path / "a.png")
    picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "b.png")
    plain = read_rows(predict(model, "a.png", "b.png", cwd=tmp_path).out)
    both = read_rows(predict(model, "a.png", "b.png", "--tta", cwd=tmp_path).out)
    for name in ATTRIBUTES:
        mean = (float(plain[0][name]) + float(plain[1][name])) / 2
        assert [float(row[name]) for row in both] == pytest.approx([mean, mean], abs=2e-6)


def test_for_people(model: Path, images: Path, tmp_path: Path) -> None:
    names = f"{images / '000.png'}\nnowhere.jpg\n"
    outcome = predict(model, "-", "--pretty", "--top", "2", cwd=tmp_path, stdin=names)
    first, second = outcome.out.splitlines()
    assert first.startswith(f"{images / '000.png'}  ") and first.count("%") == 2
    assert second == "nowhere.jpg  no such file"
    assert outcome.code == 1


def every_kind(folder: Path) -> dict[str, str | None]:
    """Pictures of every kind; what is said of each, None where it can be decoded."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (60, 40, 3), dtype=np.uint8))
    messages: dict[str, str | None] = {}

    def saved(name: str, picture: Image.Image, **options: object) -> None:
        picture.save(folder / name, **options)  # type: ignore[arg-type]
        messages[name] = None

    saved("1 x 1.png", colours.resize((1, 1)))
    saved("grey.jpg", colours.convert("L"))
    saved("cmyk.jpg", colours.convert("CMYK"))
    saved("sixteen.png", Image.fromarray(rng.integers(0, 65536, (60, 40), dtype=np.uint16)))
    saved("float.tif", Image.fromarray(rng.random((60, 40), dtype=np.float32)))
    saved("palette.gif", colours.quantize(16), transparency=0)
    saved("alpha.webp", colours.convert("RGBA"))
    saved("animated.gif", colours, save_all=True, append_images=[colours.rotate(9)] * 2)
    saved("pages.tiff", colours, save_all=True, append_images=[colours.rotate(9)] * 2)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        saved(f"exif{orientation}.jpg", colours, exif=exif)
    saved("really a png.jpg", colours, format="PNG")
    saved('two\nlines, "quoted".jpg', colours)
    saved(os.fsdecode(b"caf\xe9.jpg"), colours)
    whole = (folder / "grey.jpg").read_bytes()
    for name, content, problem in (
        ("empty.jpg", b"", "an empty file"),
        ("text.jpg", b"hello", "not a picture"),
        ("cut.jpg", whole[: len(whole) // 2], "broken picture"),
    ):
        (folder / name).write_bytes(content)
        messages[name] = problem
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")
    messages["bomb.png"] = "pixels than the limit"
    (folder / "gone.jpg").symlink_to("nowhere")
    messages["gone.jpg"] = "no such file"
    os.mkfifo(folder / "pipe.jpg")
    messages["pipe.jpg"] = "not a file"
    (folder / "circle").symlink_to(folder, target_is_directory=True)
    return messages


def test_every_kind_of_picture_has_its_row(model: Path, tmp_path: Path) -> None:
    messages = every_kind(tmp_path / "kinds")
    outcome = predict(model, "kinds", "--format", "jsonl", cwd=tmp_path)
    assert outcome.code == 1
    rows = {json.loads(line)["image"]: json.loads(line) for line in outcome.out.splitlines()}
    assert list(rows) == [f"kinds/{name}" for name in sorted(messages)]
    assert len(outcome.out.splitlines()) == len(messages)
    for name, problem in messages.items():
        row = rows[f"kinds/{name}"]
        if problem is None:
            assert row["error"] is None and len(row["attributes"]) == len(ATTRIBUTES)
        else:
            assert problem in row["error"] and row["attributes"] is None
    (line,) = [line for line in outcome.err.splitlines() if "several frames" in line]
    assert "kinds/animated.gif" in line


def mutations(folder: Path, count: int) -> Iterator[str]:
    """Pictures in six formats with bytes flipped, cut, spliced and filled in, seeded."""
    rng = random.Random(0)
    colours = noise(40, 60)
    originals = []
    for kind in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"):
        file = io.BytesIO()
        colours.save(file, kind)
        originals.append((kind.lower(), file.getvalue()))
    folder.mkdir()
    for i in range(count):
        kind, content = rng.choice(originals)
        broken = bytearray(content)
        match rng.choice(["flip", "cut", "splice", "fill", "header"]):
            case "flip":
                for _ in range(rng.randint(1, 20)):
                    broken[rng.randrange(len(broken))] = rng.randrange(256)
            case "cut":
                del broken[rng.randrange(len(broken)) :]
            case "splice":
                _, other = rng.choice(originals)
                place = rng.randrange(len(broken))
                broken[place:] = other[rng.randrange(len(other)) :]
            case "fill":
                place = rng.randrange(len(broken))
                broken[place : place + 64] = rng.choice([b"\0", b"\xff"]) * 64
            case "header":
                for _ in range(4):
                    broken[rng.randrange(min(len(broken), 64))] = rng.choice([0, 127, 255])
        name = f"{i:04d}.{kind}"
        (folder / name).write_bytes(bytes(broken))
        yield name


def test_names_on_stdin_are_bytes(model: Path, tmp_path: Path) -> None:
    names = [b"caf\xe9 \r.png", "été.png".encode()]
    for name in names:
        noise(20, 20).save(tmp_path / os.fsdecode(name))
    outcome = subprocess.run(
        [sys.executable, "-m", "vaa_cli", "predict", "-", "--run", model],
        input=b"\n".join(names),
        capture_output=True,
        cwd=tmp_path,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    assert all(name in outcome.stdout for name in names)


def test_a_thousand_broken_pictures(model: Path, tmp_path: Path) -> None:
    names = [*mutations(tmp_path / "broken", 1000)]
    outcome = predict(model, "broken", "--time-limit", "20", cwd=tmp_path)
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    rows = read_rows(outcome.out)
    assert [row["image"] for row in rows] == [f"broken/{name}" for name in names]
    failed = [row for row in rows if row["error"]]
    assert 100 < len(failed) < 1000
    for row in rows:
        assert bool(row["error"]) != bool(row["red"])


def test_a_killed_job_goes_on_and_ends_the_same(model: Path, images: Path, tmp_path: Path) -> None:
    os.mkdir(tmp_path / "many")
    for i in range(600):
        os.link(images / f"{i % 60:03d}.png", tmp_path / "many" / f"{i:03d}.png")
    (tmp_path / "many" / "300.png").unlink()
    (tmp_path / "many" / "300.png").write_bytes(b"broken")
    options = ("many", "--batch-size", "4", "--run", str(model))
    assert predict(model, *options[:3], "--out", "whole.csv", cwd=tmp_path).code == 1
    command = [sys.executable, "-m", "vaa_cli", "predict", *options, "--out", "out.csv", "--resume"]
    rng, part, kills = random.Random(0), tmp_path / "out.csv.part", 0
    while kills < 2:
        size = part.stat().st_size if part.exists() else 0
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
        while process.poll() is None and (part.stat().st_size if part.exists() else 0) <= size:
            time.sleep(0.01)
        time.sleep(rng.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        if process.wait() == 1:
            break  # it was done before
        kills += 1
    assert kills >= 1
    outcome = run_vaa(*command[3:], cwd=tmp_path)
    assert outcome.code == 1
    if kills == 2:
        assert "1 of 600 pictures" in outcome.err
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not part.exists()
    assert "whole already" in run_vaa(*command[3:], cwd=tmp_path).err


@pytest.mark.slow
def test_a_resumed_job_needs_the_same_pictures(model: Path, images: Path, tmp_path: Path) -> None:
    names = "".join(f"{images / f'{i:03d}.png'}\n" for i in range(6))
    options = ("-", "--batch-size", "2", "--out", "out.csv", "--resume")
    assert predict(model, *options, cwd=tmp_path, stdin=names).code == 0
    part = tmp_path / "out.csv.part"
    whole = (tmp_path / "out.csv").read_bytes()
    (tmp_path / "out.csv").rename(part)
    settings = tmp_path / "out.csv.part.json"
    settings.write_text("{}")
    assert_one_line_error(predict(model, *options, cwd=tmp_path, stdin=names), "was begun with")
    part.unlink()
    # An interrupted job leaves its settings; here one is interrupted by its reader of names.
    process = subprocess.Popen(
        [sys.executable, "-m", "vaa_cli", "predict", *options, "--run", str(model)],
        cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write("".join(names.splitlines(True)[:4]).encode())
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not (part.exists() and part.read_bytes().count(b"\n") == 5):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate()
    assert process.returncode == 130
    assert b"--resume goes on with out.csv" in messages
    reversed_ = "".join(reversed(names.splitlines(True)))
    wrong = predict(model, *options, cwd=tmp_path, stdin=reversed_)
    assert_one_line_error(wrong, "begun with other pictures")
    assert predict(model, *options, cwd=tmp_path, stdin=names).code == 0
    assert (tmp_path / "out.csv").read_bytes() == whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shard", "0/2"), "--shard 0/2"),
        (("--resume",), "--out"),
        (("--pretty", "--out", "a.csv"), "--pretty"),
        (("--format", "parquet"), "--out FILE"),
        (("--engine", "torch"), "leave out --engine torch"),
        (("--out", "nowhere/a.csv"), "nowhere"),
    ],
)
def test_wrong_requests(
    model: Path, images: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    outcome = predict(model, images / "000.png", *arguments, cwd=tmp_path)
    assert_one_line_error(outcome, message)
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--precision", "int8"), "--calibrate"),
        (("--calibrate", "x"), "--precision int8"),
        (("--precision", "int8", "--calibrate", ".", "--to", "onnx"), "int8 is for OpenVINO"),
        (("--out", "model.bin"), ".onnx, .xml or .pt2"),
        (("--out", "model.pt2", "--to", "onnx"), "ends in .onnx"),
    ],
)
def test_wrong_exports(workspace: Path, arguments: tuple[str, ...], message: str) -> None:
    assert_one_line_error(run_vaa("export", *arguments, cwd=workspace), message)


def test_an_export_of_an_export(model: Path, tmp_path: Path) -> None:
    outcome = run_vaa("export", "--run", model, cwd=tmp_path)
    assert_one_line_error(outcome, "is an export already")


def test_chosen_attributes_and_conditions(model: Path, images: Path, tmp_path: Path) -> None:
    whole = read_rows(predict(model, images, cwd=tmp_path).out)
    done = predict(model, images, "--attributes", "hat,red", cwd=tmp_path)
    rows = read_rows(done.out)
    assert list(rows[0]) == ["image", "hat", "red", "error"]
    assert [row["hat"] for row in rows] == [row["hat"] for row in whole]
    # Between two numbers as they are written, since the others have more digits.
    values = sorted({float(row["hat"]) for row in whole})
    bound = (values[len(values) // 2 - 1] + values[len(values) // 2]) / 2
    (tmp_path / "broken.jpg").write_bytes(b"x")
    where = ("--where", f"hat > {bound}", "--where", "red>=0", "--attributes", "red")
    done = predict(model, images, "broken.jpg", *where, cwd=tmp_path)
    expected = [row["image"] for row in whole if float(row["hat"]) > bound]
    assert 0 < len(expected) < len(whole)
    assert [row["image"] for row in read_rows(done.out)] == [*expected, "broken.jpg"]
    assert done.code == 1 and f"{len(expected) + 1} of {len(whole) + 1} pictures" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--where", "hut > 0.5"), "--where: the model has no attribute 'hut'; did you mean 'hat'"),
        (("--where", "hat is 1"), "--where 'hat is 1': write it as 'hat > 0.8'"),
        (("--attributes", "hut"), "--attributes: the model has no attribute 'hut'"),
        (("--where", "hat > 0.5", "--resume", "--out", "a.csv"), "--where"),
        (("--out", "a.xlsx"), "not written as .xlsx"),
        (("--out", "a.json"), "not written as .json"),
        (("--run", "b"), "--run is given 2 times"),
        (("odd://host/b.jpg",), ""),
    ],
)
def test_more_wrong_requests(
    model: Path, images: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = predict(model, images / "000.png", *arguments, cwd=tmp_path)
    if not message:  # a row beside the other
        assert done.code == 1 and "odd:// is no storage that is known here" in done.out
        return
    assert_one_line_error(done, message)
    assert contents(tmp_path) == []


def test_what_is_there_is_replaced_by_predictions_only_if_it_is_predictions(
    model: Path, images: Path, tmp_path: Path
) -> None:
    picture = images / "000.png"
    (tmp_path / "labels.csv").write_text("image,hat\na.jpg,1\n")
    (tmp_path / "notes").write_text("mine")
    for name in ("labels.csv", "notes"):
        before = (tmp_path / name).read_bytes()
        done = predict(model, picture, "--out", name, cwd=tmp_path)
        assert_one_line_error(done, f"{name} is there and is not csv predictions of vaa")
        assert (tmp_path / name).read_bytes() == before
    (tmp_path / "list.csv").write_text(f"image,error\n{picture},\n")
    assert_one_line_error(predict(model, "list.csv", "--out", "list.csv", cwd=tmp_path), "is read")
    for _ in range(2):
        assert predict(model, picture, "--out", "out.csv", cwd=tmp_path).code == 0
    (tmp_path / "link.csv").symlink_to("out.csv")
    assert predict(model, picture, picture, "--out", "link.csv", cwd=tmp_path).code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert len(read_rows((tmp_path / "out.csv").read_text())) == 2


def test_names_that_a_spreadsheet_would_run(model: Path, images: Path, tmp_path: Path) -> None:
    for name in ("=1+1.png", "@a.png", "-b.png", "c=1.png"):
        (tmp_path / name).write_bytes((images / "000.png").read_bytes())
    names = ("=1+1.png", "@a.png", "./-b.png", "c=1.png")
    plain = read_rows(predict(model, *names, cwd=tmp_path).out)
    assert [row["image"] for row in plain] == list(names)
    safe = read_rows(predict(model, *names, "--safe-csv", cwd=tmp_path).out)
    assert [row["image"] for row in safe] == ["'=1+1.png", "'@a.png", "./-b.png", "c=1.png"]


def test_parts_in_a_folder(workspace: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "rows"
    arguments = ("predict", "dataset/images", *TORCH_FP32, "--out", f"{folder}/")
    outcome = run_vaa(*arguments, cwd=workspace)
    assert outcome.code == 0, outcome.err
    table = parquet.read_table(folder / "part-00000.parquet")
    assert table["image"].to_pylist() == [f"dataset/images/{i:03d}.png" for i in range(60)]
    assert_one_line_error(run_vaa(*arguments, cwd=workspace), "holds parts of a job", "--resume")
    again = run_vaa(*arguments, "--resume", cwd=workspace)
    assert again.code == 0 and "whole already" in again.err
    as_csv = run_vaa(*arguments, "--format", "csv", cwd=workspace)
    assert_one_line_error(as_csv, "Parquet parts", "--format")
    few = run_vaa(*arguments, "--uncertain", "3", cwd=workspace)
    assert_one_line_error(few, "--uncertain", "name a file")


@pytest.mark.slow
def test_parts_survive_kills(model: Path, tmp_path: Path) -> None:
    """20 times kill -9 at any time: the rows are those of an uninterrupted job."""
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "images").mkdir()
    picture = tmp_path / "images/0000.png"
    noise(64, 32).save(picture)
    for number in range(1, 3000):
        os.link(picture, tmp_path / f"images/{number:04d}.png")
    rng = random.Random(0)

    def job(out: str, *more: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "vaa_cli", "predict", "images", "--run", str(model)]
        command += [
            "--out",
            out,
            "--part-rows",
            "96",
            "--workers",
            "1",
            "--precision",
            "fp32",
            *more,
        ]
        return subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)

    assert job("whole/").wait() == 0
    kept, killed = [], 0
    while killed < 20:
        begun = (tmp_path / "rows/manifest.json").exists()
        process = job("rows/", *(["--resume"] if begun else []))
        try:
            process.wait(rng.uniform(0.7, 1.6))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
        else:
            assert process.returncode == 0, process.stderr and process.stderr.read()
            shutil.rmtree(tmp_path / "rows")  # done before the last kill: once more
        kept.append(len(list((tmp_path / "rows").glob("part-*"))))
    assert job("rows/", "--resume").wait() == 0
    assert max(kept) > 1
    tables = [
        parquet.ParquetDataset(sorted((tmp_path / name).glob("part-*"))).read().to_pylist()
        for name in ("whole", "rows")
    ]
    assert len(tables[0]) == 3000
    assert tables[0] == tables[1]
