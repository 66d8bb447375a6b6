"""Which pictures can be used: a quick look finds what a full one does, in order, on all cores."""

import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.pictures import noise, plain, quarters, save_oriented, truncated
from vaa_cli.core.images.check import check_picture, check_pictures

SUFFIXES = (".jpg", ".png", ".gif", ".tif", ".bmp", ".webp")
EVERY_SUFFIX = pytest.mark.parametrize("suffix", SUFFIXES)
BOTH = pytest.mark.parametrize("decode", [False, True], ids=["quick", "full"])


@EVERY_SUFFIX
@BOTH
def test_the_size_of_a_whole_picture(tmp_path: Path, suffix: str, decode: bool) -> None:
    noise(40, 30).save(tmp_path / f"a{suffix}")
    assert check_picture(tmp_path / f"a{suffix}", decode) == (40, 30)


@EVERY_SUFFIX
@BOTH
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_picture_that_is_cut(tmp_path: Path, suffix: str, decode: bool, share: float) -> None:
    path = tmp_path / f"a{suffix}"
    noise(64, 64).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert isinstance(check_picture(path, decode), str)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp"])
@BOTH
def test_the_size_as_it_is_seen(
    tmp_path: Path, suffix: str, orientation: int, decode: bool
) -> None:
    path = save_oriented(quarters(48, 32), orientation, tmp_path / f"a{suffix}")
    assert check_picture(path, decode) == (48, 32)


@BOTH
def test_bytes_behind_the_end_are_no_harm(tmp_path: Path, decode: bool) -> None:
    """Cameras and editors append all sorts of things to a picture."""
    path = tmp_path / "a.jpg"
    noise(40, 30).save(path)
    with path.open("ab") as file:
        file.write(b"\0" * 100)
    assert check_picture(path, decode) == (40, 30)


@BOTH
@pytest.mark.parametrize(
    ("content", "part"),
    [(b"", "empty"), (b"words", "not a picture"), (None, "no such file")],
    ids=["empty", "text", "missing"],
)
def test_what_is_no_picture(tmp_path: Path, content: bytes | None, part: str, decode: bool) -> None:
    if content is not None:
        (tmp_path / "a.jpg").write_bytes(content)
    problem = check_picture(tmp_path / "a.jpg", decode)
    assert isinstance(problem, str) and part in problem


def test_only_a_full_look_finds_damage_in_the_middle(tmp_path: Path) -> None:
    """A quick look does not decode: what is decoded lazily may still turn out to be broken."""
    path = tmp_path / "a.png"
    noise(64, 64).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    assert check_picture(path, decode=False) == (64, 64)
    assert isinstance(check_picture(path, decode=True), str)


@pytest.mark.parametrize("count", [7, 1000])
@BOTH
def test_many_in_order(tmp_path: Path, count: int, decode: bool) -> None:
    noise(8, 8).save(tmp_path / "fine.png")
    noise(16, 9).save(tmp_path / "fine.jpg")
    (tmp_path / "empty.jpg").touch()
    truncated(tmp_path / "half.jpg")
    names = ("fine.png", "empty.jpg", "fine.jpg", "half.jpg", "missing.jpg")
    chosen = [names[k] for k in np.random.default_rng(0).integers(0, len(names), count)]
    expected = {name: check_picture(tmp_path / name, decode) for name in names}
    found = list(check_pictures([str(tmp_path / name) for name in chosen], decode, workers=2))
    assert found == [expected[name] for name in chosen]
    assert expected["fine.png"] == (8, 8) and expected["fine.jpg"] == (16, 9)
    assert all(isinstance(expected[name], str) for name in names if "fine" not in name)


def test_no_pictures() -> None:
    assert list(check_pictures([])) == []


def test_names_that_are_no_text(tmp_path: Path) -> None:
    name = str(tmp_path / "caf\udce9.png")
    plain(size=(5, 4)).save(name)
    assert list(check_pictures([name] * 500, workers=2)) == [(5, 4)] * 500


def test_warnings_stay_as_they_were(tmp_path: Path) -> None:
    plain().save(tmp_path / "a.png")
    with warnings.catch_warnings():
        before = list(warnings.filters)
        list(check_pictures([str(tmp_path / "a.png")] * 20))
        assert list(warnings.filters) == before


@BOTH
@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("size", [(20, 10), (300, 200)])
def test_a_png_that_turns_itself(
    tmp_path: Path, decode: bool, late: bool, size: tuple[int, int]
) -> None:
    """Some programs write the orientation behind the pixels, where a header does not show it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    noise(*size).save(stream, format="PNG", exif=exif)
    content = stream.getvalue()
    start = content.index(b"eXIf") - 4
    stop = start + int.from_bytes(content[start : start + 4], "big") + 12
    if late:
        end = content.index(b"IEND") - 4
        content = content[:start] + content[stop:end] + content[start:stop] + content[end:]
    (tmp_path / "a.png").write_bytes(content)
    assert check_picture(tmp_path / "a.png", decode) == size[::-1]


@BOTH
def test_a_pipe_is_not_waited_for(tmp_path: Path, decode: bool) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert check_picture(tmp_path / "a.jpg", decode) == "not a file"
