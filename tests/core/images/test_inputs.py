"""What the words of `vaa predict` mean."""

import errno
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.figures import make_dataset
from tests.helpers.pictures import plain, write_rows
from vaa_cli.core.datasets.options import PrepareOptions
from vaa_cli.core.datasets.pipeline import prepare
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images import inputs as inputs_module
from vaa_cli.core.images.inputs import endings_text, find_inputs
from vaa_cli.core.labels.boxes import Box


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Names are relative to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names: str) -> None:
    """Make files; nobody looks into them before they are decoded."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def paths(*names: str, stdin: str = "") -> list[str]:
    """The paths of what is found, which here have no boxes, as they are written."""
    inputs = find_inputs(names, io.StringIO(stdin))
    found = list(inputs.sources)
    assert not inputs.has_boxes
    assert all(picture.box is None for picture in found)
    return [os.path.normpath(picture.path) for picture in found]


def test_a_file() -> None:
    plain().save("a.png")
    assert paths("a.png") == ["a.png"]


def test_a_file_of_any_name_is_taken_at_its_word() -> None:
    touch("picture", "notes.txt", "[a].jpg", ".hidden.jpg")
    words = ["picture", "notes.txt", "[a].jpg", ".hidden.jpg"]
    assert paths(*words) == words


# Folders


def test_a_folder() -> None:
    touch(
        "d/b.jpg", "d/a.PNG", "d/z/1.jpeg", "d/c/deep/2.tif", "d/c/3.webp", "d/c/0.bmp",
        "d/readme.txt", "d/labels.csv", "d/jpg", "d/a.jpg.part", "d/c/x.npy",
        "d/.hidden.jpg", "d/c/._0.bmp",
    )  # fmt: skip
    assert paths("d") == [
        "d/a.PNG", "d/b.jpg", "d/c/0.bmp", "d/c/3.webp", "d/c/deep/2.tif", "d/z/1.jpeg",
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["d", "d/", "./d", "."])
def test_other_words_for_a_folder(word: str) -> None:
    touch("d/a.jpg", "d/b.jpg")
    assert paths(word) == ["d/a.jpg", "d/b.jpg"]


def test_files_that_no_one_can_read_as_pictures_are_left_out() -> None:
    # Pillow writes PDF, but does not read it.
    touch("d/a.jpg", "d/paper.pdf")
    assert paths("d") == ["d/a.jpg"]


@pytest.mark.parametrize("contents", [(), ("d/readme.txt", "d/.a.jpg", "d/sub/b.txt")])
def test_a_folder_without_pictures(contents: tuple[str, ...]) -> None:
    Path("d").mkdir()
    touch(*contents)
    touch("good/a.jpg")
    with pytest.raises(VAAError, match="d: no pictures"):
        find_inputs(["good", "d"], io.StringIO())


def test_a_folder_is_walked_when_its_pictures_are_asked_for() -> None:
    touch("d/a.jpg")
    inputs = find_inputs(["d"], io.StringIO())
    touch("d/b.jpg")
    assert [Path(request.path).name for request in inputs.sources] == ["a.jpg", "b.jpg"]


# Globs


def test_a_glob() -> None:
    touch("d/b.jpg", "d/a.jpg", "d/c.png", "d/sub/e.jpg")
    assert paths("d/*.jpg") == ["d/a.jpg", "d/b.jpg"]
    assert paths("d/[bc].*") == ["d/b.jpg", "d/c.png"]
    assert paths("d/?.png") == ["d/c.png"]


def test_a_glob_over_folders() -> None:
    touch("d/b.jpg", "d/z/a.jpg", "d/sub/deep/e.jpg", "d/sub/deep/e.txt")
    assert paths("d/**/*.jpg") == ["d/b.jpg", "d/sub/deep/e.jpg", "d/z/a.jpg"]


@pytest.mark.parametrize("pattern", ["d/*", "d/**"])
def test_a_glob_that_fits_folders_too_gives_no_folder_as_a_picture(pattern: str) -> None:
    touch("d/a.jpg", "d/sub/b.jpg")
    found = paths(pattern)
    assert "d/a.jpg" in found
    assert [name for name in found if Path(name).is_dir()] == []


def test_a_glob_that_nothing_fits() -> None:
    touch("a.png")
    with pytest.raises(VAAError, match=r"\*\.jpg"):
        find_inputs(["*.jpg"], io.StringIO())


# Names on stdin


def test_names_on_stdin() -> None:
    text = "b.jpg\nsub/a b.png\r\n\n missing.jpg\n*.png\nlast.jpg"
    expected = ["b.jpg", "sub/a b.png", " missing.jpg", "*.png", "last.jpg"]
    assert paths("-", stdin=text) == expected


def test_no_names_on_stdin() -> None:
    assert paths("-") == []


def test_stdin_is_read_as_its_names_are_asked_for() -> None:
    class Endless(io.StringIO):
        """Names that never end, as from a camera."""

        def __iter__(self) -> Iterator[str]:  # type: ignore[override]
            number = 0
            while True:
                number += 1
                yield f"{number}.jpg\n"

    found = find_inputs(["-"], Endless()).sources
    assert [next(found).path for _ in range(3)] == ["1.jpg", "2.jpg", "3.jpg"]


# Tables


@pytest.mark.parametrize("column", ["image", "file", "filename", "path"])
def test_a_table_names_pictures_beside_it(column: str) -> None:
    Path("d").mkdir()
    write_rows(Path("d/t.csv"), ["id", column], [1, "b.jpg"], [2, "sub/a.jpg"], [3, "b.jpg"])
    assert paths("d/t.csv") == ["d/b.jpg", "d/sub/a.jpg", "d/b.jpg"]


def test_a_table_may_name_pictures_anywhere(here: Path) -> None:
    write_rows(here / "t.csv", ["image"], ["/data/a.jpg"], ["../b.jpg"])
    assert paths("t.csv") == ["/data/a.jpg", "../b.jpg"]


def test_a_table_whose_names_start_at_the_folder_of_pictures(here: Path) -> None:
    """As vaa prepare reads it."""
    touch("images/a.jpg", "images/sub/b.jpg")
    write_rows(here / "t.csv", ["image", "hat"], ["a.jpg", 1], ["sub/b.jpg", 0], ["c.jpg", 0])
    assert paths("t.csv") == ["images/a.jpg", "images/sub/b.jpg", "images/c.jpg"]


def test_a_prepared_table(here: Path) -> None:
    Path("prepared").mkdir()
    write_rows(Path("prepared/test.csv"), ["image", "hat"], [" a.jpg", 1], ["b.jpg", 0])
    Path("prepared/dataset.json").write_text('{"root": "/data/pictures"}')
    assert paths("prepared/test.csv") == ["/data/pictures/ a.jpg", "/data/pictures/b.jpg"]
    Path("prepared/dataset.json").write_text("[" * 100_000)
    with pytest.raises(VAAError, match=r"dataset\.json is broken"):
        paths("prepared/test.csv")


def test_a_table_with_boxes() -> None:
    Path("d").mkdir()
    write_rows(
        Path("d/t.CSV"), ["top", "image", "left", "height", "width"],
        [2, "a.jpg", 1.5, 4, 3], ["", "a.jpg", "", "", ""],
    )  # fmt: skip
    inputs = find_inputs(["d/t.CSV"], io.StringIO())
    assert inputs.has_boxes
    found = list(inputs.sources)
    assert [os.path.normpath(picture.path) for picture in found] == ["d/a.jpg"] * 2
    assert [picture.box for picture in found] == [Box(1.5, 2, 3, 4), None]


def test_a_table_with_fewer_than_four_box_columns_has_no_boxes(here: Path) -> None:
    write_rows(here / "t.csv", ["image", "top", "width"], ["a.jpg", 1, "wide"])
    assert paths("t.csv") == ["a.jpg"]


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (["Bild"], ["a.jpg"], "image column"),
        (["image", "left", "top", "width", "height"], ["a.jpg", 1, 2, "wide", 4], "row 2"),
        (["image", "left", "top", "width", "height"], ["a.jpg", 1, 2, "", 4], "row 2"),
        ([], [], "empty"),
    ],
)
def test_tables_that_are_wrong_are_reported_at_once(
    here: Path, header: list[str], row: list[object], message: str
) -> None:
    write_rows(here / "t.csv", header, row) if header else touch("t.csv")
    with pytest.raises(VAAError, match=r"t\.csv") as caught:
        find_inputs(["t.csv"], io.StringIO())
    assert message in str(caught.value)


# Several words


def test_sources_keep_their_order(here: Path) -> None:
    touch("z.jpg", "d/b.jpg", "d/a.jpg", "g2.png", "g1.png")
    write_rows(here / "t.csv", ["image"], ["y.jpg"], ["x.jpg"])
    found = paths("z.jpg", "d", "-", "t.csv", "g*.png", "d/a.jpg", stdin="s2.jpg\ns1.jpg\n")
    assert found == [
        "z.jpg", "d/a.jpg", "d/b.jpg", "s2.jpg", "s1.jpg", "y.jpg", "x.jpg", "g1.png", "g2.png",
        "d/a.jpg",
    ]  # fmt: skip


def test_boxes_in_one_of_several(here: Path) -> None:
    touch("a.jpg")
    write_rows(here / "t.csv", ["image", "left", "top", "width", "height"], ["b.jpg", 1, 2, 3, 4])
    inputs = find_inputs(["a.jpg", "t.csv"], io.StringIO())
    assert inputs.has_boxes
    assert [picture.box for picture in inputs.sources] == [None, Box(1, 2, 3, 4)]


@pytest.mark.parametrize(
    "name", ["missing.jpg", "missing", "missing.csv", "a.jpg/b.jpg", 300 * "long"]
)
def test_a_name_that_means_nothing(name: str) -> None:
    touch("a.jpg")
    with pytest.raises(VAAError, match=name):
        find_inputs([name], io.StringIO())
    with pytest.raises(VAAError, match=name):
        find_inputs([name, name], io.StringIO())
    for names in (["a.jpg", name], [name, "a.jpg"]):
        sources = list(find_inputs(names, io.StringIO()).sources)
        assert [source.path for source in sources] == names
        problems = {source.path: source.problem for source in sources}
        assert problems == {"a.jpg": None, name: "no such file or folder"}


def test_files_that_are_passed_over_are_counted() -> None:
    touch("d/a.jpg", "d/b.MOV", "d/sub/c.mov", "d/sub/d.jxl", "d/0001", "d/.hidden", "d/x.tar.gz")
    inputs = find_inputs(["d"], io.StringIO())
    assert [source.path for source in inputs.sources] == ["d/a.jpg"]
    assert inputs.passed_over == {".mov": 2, ".jxl": 1, "": 1, ".gz": 1}
    assert endings_text(inputs.passed_over) == "2 .mov, 1 without ending, 1 .gz, 1 .jxl"


def test_a_folder_without_pictures_names_what_is_there() -> None:
    touch("d/a.mov", "d/b.mov")
    with pytest.raises(VAAError, match=r"d: no pictures in this folder .*2 \.mov"):
        find_inputs(["d"], io.StringIO())


def test_a_byte_order_mark_before_names_on_stdin() -> None:
    assert paths("-", stdin="\ufeffa.jpg\nb.jpg\n") == ["a.jpg", "b.jpg"]


def test_a_large_folder_is_not_listed_before_its_first_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    touch(*(f"d/{i}.jpg" for i in range(20)), "d/sub/x.jpg")
    monkeypatch.setattr(inputs_module, "_SORTED", 5)
    listed = 0
    scandir = os.scandir

    class Counting:
        def __init__(self, path: str) -> None:
            self._entries = scandir(path)

        def __enter__(self) -> "Counting":
            return self

        def __exit__(self, *_: object) -> None:
            self._entries.close()

        def __iter__(self) -> "Counting":
            return self

        def __next__(self) -> os.DirEntry[str]:
            nonlocal listed
            listed += 1
            return next(self._entries)

    monkeypatch.setattr(os, "scandir", Counting)
    found = find_inputs(["d"], io.StringIO()).sources
    first = next(found).path
    assert listed <= 2 * 7  # once to see whether there is any picture
    rest = [picture.path for picture in found]
    assert sorted([first, *rest]) == sorted([*(f"d/{i}.jpg" for i in range(20)), "d/sub/x.jpg"])
    assert rest[-1] == "d/sub/x.jpg"


def test_a_folder_that_cannot_be_listed_has_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("d/a.jpg", "d/b/1.jpg", "d/c/2.jpg")
    scandir = os.scandir

    def guarded(path: str) -> object:
        if path == "d/b":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    found = list(find_inputs(["d"], io.StringIO()).sources)
    assert [(picture.path, picture.problem) for picture in found] == [
        ("d/a.jpg", None),
        ("d/b", "cannot be listed: Permission denied"),
        ("d/c/2.jpg", None),
    ]


def test_a_deep_tree_and_folders_that_link_to_themselves() -> None:
    deep = Path("d", *["x"] * 300)
    touch(str(deep / "a.jpg"))
    (deep / "loop").symlink_to(Path("d").absolute(), target_is_directory=True)
    (deep / "loop.jpg").symlink_to(Path("d").absolute(), target_is_directory=True)
    assert paths("d") == [str(deep / "a.jpg")]


def test_archives_are_read_where_they_are_named_and_not_in_folders() -> None:
    Path("d").mkdir()
    with zipfile.ZipFile("d/a.zip", "w") as archive:
        archive.writestr("x.jpg", b"1")
    touch("d/b.jpg")
    assert paths("d") == ["d/b.jpg"]
    assert paths("d/a.zip", "d/*.zip", "-", stdin="d/a.zip\n") == ["d/a.zip/x.jpg"] * 3


def test_the_tables_of_a_prepared_folder_name_pictures_in_shards(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "people", count=30)
    prepare(dataset, tmp_path / "files")
    prepare(dataset, tmp_path / "shards", PrepareOptions(shards=True, shard_size="10KB"))

    def pictures(table: Path | str) -> list[bytes | None]:
        found = find_inputs([str(table)], io.StringIO())
        assert found.count == 5
        requests = [source.request() for source in found.sources]
        assert not any(request.problem for request in requests)
        return [request.content or Path(request.path).read_bytes() for request in requests]

    files = pictures(tmp_path / "files" / "val.csv")
    assert pictures(tmp_path / "shards" / "val.csv") == files
    assert pictures(f"file://{tmp_path}/shards/val.csv") == files


def test_the_tables_of_a_prepared_folder_name_pictures_at_urls(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "people", count=30)
    prepare(f"file://{dataset}", tmp_path / "prepared")
    for table in (tmp_path / "prepared" / "val.csv", f"file://{tmp_path}/prepared/val.csv"):
        sources = list(find_inputs([str(table)], io.StringIO()).sources)
        assert sources[0].path.startswith(f"file://{dataset}/images/")
        assert all(source.request().problem is None for source in sources)
