"""Decoding: whatever a camera or the web gives is upright 8-bit RGB, or a problem in words."""

import struct
import warnings
from pathlib import Path

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.helpers.pictures import (
    BLUE,
    CORNERS,
    GREEN,
    ORIENTATION_TAG,
    ORIENTATIONS,
    RED,
    corners,
    noise,
    plain,
    quarters,
    save_oriented,
    truncated,
)
from vaa_cli.core.errors import PictureError, VAAError
from vaa_cli.core.images import decode
from vaa_cli.core.images.check import check_picture
from vaa_cli.core.images.decode import open_picture
from vaa_cli.core.labels.boxes import Box

PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)
EVERY_ORIENTATION = pytest.mark.parametrize("orientation", list(ORIENTATIONS))
EVERY_SUFFIX = pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])


def opened(path: Path) -> np.ndarray:
    """The pixels of a picture as integers that can be subtracted; it must be 8-bit RGB."""
    picture = open_picture(path)
    assert picture.mode == "RGB"
    assert check_picture(path) == picture.size
    return np.asarray(picture).astype(int)


def problem_of(path: Path) -> str:
    """What is wrong with a picture; looking and opening agree on it, in one line."""
    problem = check_picture(path)
    assert isinstance(problem, str) and problem
    assert len(problem.splitlines()) == 1
    with pytest.raises(PictureError) as caught:
        open_picture(path)
    assert str(caught.value)
    return problem


# Upright


@EVERY_ORIENTATION
@EVERY_SUFFIX
def test_orientation(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = save_oriented(quarters(48, 32), orientation, tmp_path / f"a{suffix}")
    picture = open_picture(path)
    assert (picture.mode, picture.size) == ("RGB", (48, 32))
    assert corners(picture) == CORNERS
    assert check_picture(path) == check_picture(path, decode=False) == (48, 32)


@EVERY_ORIENTATION
@EVERY_SUFFIX
def test_boxes_are_places_in_the_upright_picture(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    path = save_oriented(quarters(48, 32), orientation, tmp_path / f"a{suffix}")
    top_right = Box(36, 2, 10, 8)
    picture = open_picture(path, top_right)
    assert picture.size == (10, 8)
    np.testing.assert_allclose(np.asarray(picture).mean(axis=(0, 1)), GREEN, atol=20)
    # Inside the picture lying on its side, but below the upright one.
    below = Box(2, 34, 20, 10)
    with pytest.raises(PictureError, match="48 x 32"):
        open_picture(path, below)


@pytest.mark.parametrize("orientation", [0, 9, 99, -1])
def test_an_orientation_that_means_nothing(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation & 0xFFFF
    path = tmp_path / "a.jpg"
    Image.fromarray(quarters(48, 32)).save(path, exif=exif, quality=95, subsampling=0)
    assert corners(open_picture(path)) == CORNERS


def test_orientation_of_16_bit_pictures(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 3
    dark_to_light = np.linspace(0, 65535, 20).astype(np.uint16)[None].repeat(4, axis=0)
    Image.fromarray(dark_to_light).save(tmp_path / "a.png", exif=exif)
    pixels = opened(tmp_path / "a.png")
    assert pixels[0, 0].tolist() == [255] * 3 and pixels[0, -1].tolist() == [0] * 3


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0nonsense that is no TIFF header",
        b"Exif\0\0II*\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04abc\0",
        b"\0" * 40,
    ],
    ids=range(7),
)
def test_broken_exif_does_not_break_the_picture(tmp_path: Path, exif: bytes) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(quarters(48, 32)).save(path, exif=exif, quality=95, subsampling=0)
    assert check_picture(path) == (48, 32)
    assert corners(open_picture(path)) == CORNERS


def entry(tag: int, kind: int, count: int, value: int) -> bytes:
    """An entry of a little-endian TIFF directory."""
    return struct.pack("<HHII", tag, kind, count, value)


@pytest.mark.parametrize(
    "broken",
    [
        entry(0x011A, 5, 1, 0xFFFF),  # a resolution that lies behind the end
        entry(0x010F, 2, 1000, 0xFFFF),  # a maker that lies behind the end
        entry(0x8769, 4, 1, 0xFFFF),  # a directory behind the end
        entry(0x8769, 2, 4, 0x00636261),  # a directory that is text
        entry(0x8825, 4, 1, 8),  # a directory that is the one it stands in
        entry(0x0131, 99, 1, 7),  # a type that does not exist
    ],
    ids=["rational", "text", "directory", "directory-text", "loop", "type"],
)
def test_orientation_holds_beside_broken_tags(tmp_path: Path, broken: bytes) -> None:
    tags = [entry(ORIENTATION_TAG, 3, 1, 3), broken]
    tags.sort(key=lambda tag: int(struct.unpack("<H", tag[:2])[0]))
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + b"".join(tags) + b"\0" * 4
    path = tmp_path / "a.jpg"
    upside_down = np.ascontiguousarray(quarters(48, 32)[::-1, ::-1])
    Image.fromarray(upside_down).save(path, exif=exif, quality=95, subsampling=0)
    assert check_picture(path) == (48, 32)
    assert corners(open_picture(path)) == CORNERS


# Modes


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_grey(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.new("L", (8, 6), 77).save(path)
    np.testing.assert_allclose(opened(path), np.full((6, 8, 3), 77), atol=1)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_one_bit(tmp_path: Path, suffix: str) -> None:
    bits = np.arange(48).reshape(6, 8) % 3 == 0
    Image.fromarray(bits).save(tmp_path / f"a{suffix}")
    expected = np.where(bits, 255, 0)[:, :, None].repeat(3, axis=2)
    np.testing.assert_array_equal(opened(tmp_path / f"a{suffix}"), expected)


@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp"])
def test_palette(tmp_path: Path, suffix: str) -> None:
    picture = Image.fromarray(quarters(16, 12)).quantize(8)
    assert picture.mode == "P"
    picture.save(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(opened(tmp_path / f"a{suffix}"), quarters(16, 12))


@pytest.mark.parametrize("suffix", [".png", ".gif"])
def test_palette_with_transparency_is_laid_on_white(tmp_path: Path, suffix: str) -> None:
    picture = Image.new("P", (8, 6), 1)
    picture.putpalette([*BLUE, *RED, *GREEN])
    picture.paste(2, (4, 0, 8, 6))
    picture.save(tmp_path / f"a{suffix}", transparency=2)
    pixels = opened(tmp_path / f"a{suffix}")
    assert (pixels[:, :4] == RED).all() and (pixels[:, 4:] == 255).all()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_rgba_is_laid_on_white(tmp_path: Path, suffix: str) -> None:
    picture = Image.new("RGBA", (12, 6), (200, 0, 100, 255))
    picture.paste((200, 0, 100, 51), (4, 0, 8, 6))  # a fifth
    picture.paste((200, 0, 100, 0), (8, 0, 12, 6))
    picture.save(tmp_path / f"a{suffix}", lossless=True)  # for WebP; others are by nature
    pixels = opened(tmp_path / f"a{suffix}")
    assert (pixels[:, :4] == (200, 0, 100)).all()
    np.testing.assert_allclose(pixels[:, 4:8] - np.array((244, 204, 224)), 0, atol=1)
    assert (pixels[:, 8:] == 255).all()


def test_grey_with_alpha_is_laid_on_white(tmp_path: Path) -> None:
    picture = Image.new("LA", (8, 6), (100, 255))
    picture.paste((100, 0), (4, 0, 8, 6))
    picture.save(tmp_path / "a.png")
    pixels = opened(tmp_path / "a.png")
    assert (pixels[:, :4] == 100).all() and (pixels[:, 4:] == 255).all()


@pytest.mark.parametrize(("mode", "colour"), [("L", 100), ("RGB", RED)])
def test_a_colour_named_transparent_is_laid_on_white(
    tmp_path: Path, mode: str, colour: int | tuple[int, int, int]
) -> None:
    # The tRNS chunk of a PNG without an alpha channel.
    picture = Image.new(mode, (8, 6), "black")
    picture.paste(colour, (4, 0, 8, 6))
    picture.save(tmp_path / "a.png", transparency=colour)
    pixels = opened(tmp_path / "a.png")
    assert (pixels[:, :4] == 0).all() and (pixels[:, 4:] == 255).all()


def test_cmyk(tmp_path: Path) -> None:
    picture = Image.new("CMYK", (32, 16), (0, 255, 255, 0))
    picture.paste((255, 255, 0, 0), (16, 0, 32, 16))
    picture.save(tmp_path / "a.jpg", quality=95)
    pixels = opened(tmp_path / "a.jpg")
    np.testing.assert_allclose(pixels[4:12, 4:12].mean(axis=(0, 1)), RED, atol=30)
    np.testing.assert_allclose(pixels[4:12, 20:28].mean(axis=(0, 1)), BLUE, atol=30)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_are_scaled(tmp_path: Path, suffix: str) -> None:
    numbers = np.array([[0, 257, 12850, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(numbers).save(tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as picture:
        assert picture.mode.startswith("I;16"), "the test needs a picture of 16 bits"
    expected = np.array([[0, 1, 50, 127.5, 255]])[:, :, None].repeat(3, axis=2)
    np.testing.assert_allclose(opened(tmp_path / f"a{suffix}"), expected, atol=0.5)


def test_a_dark_16_bit_picture_stays_dark(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 514, dtype=np.uint16)).save(tmp_path / "a.png")
    assert (opened(tmp_path / "a.png") == 2).all()


def patched(path: Path, tag: int, value: int) -> Path:
    """Give another value to a tag of a little-endian TIFF file, where it is a short number."""
    content = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    for position in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, position)[0] == tag:
            struct.pack_into("<H", content, position + 8, value)
            path.write_bytes(content)
            return path
    raise AssertionError(f"no tag {tag}")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_whose_0_is_white(tmp_path: Path, dtype: type) -> None:
    top = np.iinfo(dtype).max
    dark_to_light: np.ndarray = np.linspace(0, top, 20).astype(dtype)[None].repeat(4, axis=0)
    Image.fromarray(dark_to_light).save(tmp_path / "black.tif")
    Image.fromarray(top - dark_to_light).save(tmp_path / "white.tif")
    black, white = opened(tmp_path / "black.tif"), opened(patched(tmp_path / "white.tif", 262, 0))
    np.testing.assert_array_equal(black, white)
    assert black[0, 0, 0] == 0 and black[0, -1, 0] == 255


def test_grey_that_is_multiplied_with_its_opacity(tmp_path: Path) -> None:
    """Associated alpha: a grey of 100 that is half covered is 200, and on white 100 + 128."""
    grey_and_alpha = np.full((4, 4, 2), (100, 128), dtype=np.uint8)
    Image.fromarray(grey_and_alpha, "LA").save(tmp_path / "a.tif")
    path = patched(tmp_path / "a.tif", 338, 1)
    if int(PIL.__version__.split(".")[0]) < 13:
        pytest.skip("Pillow before 13 does not read such a file; see docs/limits.md")
    with Image.open(path) as picture:
        assert picture.mode == "La"
    assert np.abs(opened(path) - (100 + 255 - 128)).max() <= 2


def test_lab_colours(tmp_path: Path) -> None:
    """L* of 53, a* of 80 and b* of 67 is sRGB's red (CIE 15, for D50 as in ICC profiles)."""
    lab = np.full((4, 4, 3), (138, 81, 70), dtype=np.int16).astype(np.uint8)
    Image.frombytes("LAB", (4, 4), lab.tobytes()).save(tmp_path / "a.tif")
    red, green, blue = opened(tmp_path / "a.tif")[0, 0].tolist()
    assert red > 240 and green < 40 and blue < 40


@pytest.mark.parametrize(("peak", "white"), [(200, 255), (255, 255), (65535, 65535)])
def test_32_bit_integers_are_scaled(tmp_path: Path, peak: int, white: int) -> None:
    numbers = np.linspace(0, peak, 12).astype(np.int32)[None]
    Image.fromarray(numbers).save(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as picture:
        assert picture.mode == "I", "the test needs a picture of 32 bits"
    expected = (numbers * 255 / white)[:, :, None].repeat(3, axis=2)
    np.testing.assert_allclose(opened(tmp_path / "a.tif"), expected, atol=0.51)


@pytest.mark.parametrize(("peak", "white"), [(0.6, 1), (1, 1), (255, 255), (65535, 65535)])
def test_floats_are_scaled(tmp_path: Path, peak: float, white: float) -> None:
    numbers = np.linspace(0, peak, 12, dtype=np.float32)[None]
    Image.fromarray(numbers).save(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as picture:
        assert picture.mode == "F", "the test needs a picture of floats"
    expected = (numbers * 255 / white)[:, :, None].repeat(3, axis=2)
    np.testing.assert_allclose(opened(tmp_path / "a.tif"), expected, atol=0.51)


def test_floats_that_are_no_numbers_are_black(tmp_path: Path) -> None:
    numbers = np.full((4, 4), np.nan, dtype=np.float32)
    Image.fromarray(numbers).save(tmp_path / "none.tif")
    numbers[2:] = 1
    Image.fromarray(numbers).save(tmp_path / "some.tif")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (opened(tmp_path / "none.tif") == 0).all()
        some = opened(tmp_path / "some.tif")
    assert (some[:2] == 0).all() and (some[2:] == 255).all()


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_the_first_of_several_frames(tmp_path: Path, suffix: str) -> None:
    plain(RED).save(
        tmp_path / f"a{suffix}",
        save_all=True,
        append_images=[plain(BLUE), plain(GREEN)],
        lossless=True,
    )
    with Image.open(tmp_path / f"a{suffix}") as picture:
        assert getattr(picture, "n_frames", 1) == 3, "the test needs several frames"
    assert (opened(tmp_path / f"a{suffix}") == RED).all()


# Boxes


def test_a_box_is_cut_out(tmp_path: Path) -> None:
    picture = noise(20, 10)
    picture.save(tmp_path / "a.png")
    whole = np.asarray(picture)
    cut = open_picture(tmp_path / "a.png", Box(2, 3, 5, 4))
    np.testing.assert_array_equal(np.asarray(cut), whole[3:7, 2:7])
    clipped = open_picture(tmp_path / "a.png", Box(15, -4, 100, 6))
    np.testing.assert_array_equal(np.asarray(clipped), whole[:2, 15:])


def test_a_box_keeps_its_detail_whatever_is_enough(tmp_path: Path) -> None:
    noise(640, 640).save(tmp_path / "a.jpg")
    picture = open_picture(tmp_path / "a.jpg", Box(100, 100, 300, 200), enough=(8, 8))
    assert picture.size == (300, 200)


# Broken files


def test_a_truncated_jpeg(tmp_path: Path) -> None:
    assert "broken" in problem_of(truncated(tmp_path / "a.jpg"))


@pytest.mark.parametrize("suffix", [".png", ".gif", ".tif", ".bmp", ".webp"])
def test_other_truncated_pictures(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    noise(64, 64).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    problem_of(path)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert "empty" in problem_of(tmp_path / "a.jpg")


def test_a_text_named_like_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("a thousand words")
    assert "not a picture" in problem_of(tmp_path / "a.jpg")


def test_a_missing_file(tmp_path: Path) -> None:
    assert "no such file" in problem_of(tmp_path / "a.jpg")


def test_a_folder(tmp_path: Path) -> None:
    problem_of(tmp_path)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_bytes_are_a_problem_or_a_picture(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    path = tmp_path / f"a{('.jpg', '.png', '.gif', '.tif', '.webp')[seed % 5]}"
    noise(40, 30).save(path)
    data = np.frombuffer(path.read_bytes(), dtype=np.uint8).copy()
    data[rng.integers(0, len(data), 20)] = rng.integers(0, 256, 20)
    data[rng.integers(0, min(200, len(data)), 4)] = rng.integers(0, 256, 4)
    path.write_bytes(data.tobytes())
    try:
        assert open_picture(path).mode == "RGB"
    except PictureError as error:
        assert len(str(error).splitlines()) == 1
    assert isinstance(check_picture(path), tuple | str)
    assert isinstance(check_picture(path, decode=False), tuple | str)


def test_decompression_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(size=(20, 10)).save(tmp_path / "fits.png")
    plain(size=(21, 10)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(decode, "MAX_PIXELS", 200)
    assert check_picture(tmp_path / "fits.png") == (20, 10)
    assert open_picture(tmp_path / "fits.png").size == (20, 10)
    assert "21 x 10" in problem_of(tmp_path / "bomb.png")


def test_a_picture_that_pillow_itself_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain(size=(40, 40)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert "limit" in problem_of(tmp_path / "bomb.png")


def test_a_picture_error_is_an_error_for_people() -> None:
    assert issubclass(PictureError, VAAError)


# Enough detail


@PROPERTY
@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    enough=st.tuples(st.integers(1, 200), st.integers(1, 200)),
    orientation=st.sampled_from(list(ORIENTATIONS)),
)
def test_never_smaller_than_enough(
    tmp_path_factory: pytest.TempPathFactory,
    width: int,
    height: int,
    enough: tuple[int, int],
    orientation: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "enough.jpg"
    save_oriented(quarters(width, height), orientation, path)
    picture = open_picture(path, enough=enough)
    assert min(height, enough[0]) <= picture.height <= height
    assert min(width, enough[1]) <= picture.width <= width


@EVERY_ORIENTATION
def test_height_and_width_are_those_of_the_upright_picture(
    tmp_path: Path, orientation: int
) -> None:
    # Taken the wrong way round, half the size would do.
    path = save_oriented(quarters(300, 600), orientation, tmp_path / "a.jpg")
    picture = open_picture(path, enough=(100, 300))
    assert picture.height >= 100 and picture.width >= 300


@EVERY_ORIENTATION
def test_less_detail_shows_the_same(tmp_path: Path, orientation: int) -> None:
    path = save_oriented(quarters(480, 320), orientation, tmp_path / "a.jpg")
    picture = open_picture(path, enough=(40, 60))
    assert corners(picture) == CORNERS
    assert picture.width / picture.height == pytest.approx(1.5, rel=0.05)


def test_enough_of_pictures_that_are_no_jpeg(tmp_path: Path) -> None:
    plain(size=(100, 80)).save(tmp_path / "a.png")
    assert open_picture(tmp_path / "a.png", enough=(8, 8)).size == (100, 80)
