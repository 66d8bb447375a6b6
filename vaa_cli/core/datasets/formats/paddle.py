"""The `paddle` format: PaddleClas's lists, `picture<TAB>0,1,0`, and a file of names beside."""

from pathlib import Path

from vaa_cli.core.datasets.formats.annotations import AnnotatedRows, candidates, split_named
from vaa_cli.core.datasets.formats.base import DatasetFormat
from vaa_cli.core.errors import VAAError, brief
from vaa_cli.core.labels.table import LabelTable, attribute_tuple
from vaa_cli.core.system.input_files import text_lines

NAMES = ("attributes.txt", "names.txt", "classes.txt", "label_list.txt", "label_name.txt")


def find(source: Path) -> Path | None:
    """The first list, if there is one."""
    return next(iter(_lists(source)), None)


def read(source: Path) -> LabelTable:
    """Read lists; those called after a split are that split.

    Raises:
        VAAError: there is no list, no file of names, or a line is of another form.
    """
    lists = _lists(source)
    if not lists:
        raise VAAError(f"{source} has no text file of lines picture<TAB>0,1,0")
    names = _names(lists[0].parent)
    rows = AnnotatedRows(lists[0], names=list(names))
    for path in lists:
        split = split_named(path.stem) if len(lists) > 1 else None
        for number, line in enumerate(text_lines(path), start=1):
            if not line.strip():
                continue
            place = f"{path}: line {number}"
            image, mark, text = line.rstrip("\r\n").partition("\t")
            cells = [cell.strip() for cell in text.split(",")]
            if not mark or len(cells) != len(names):
                raise VAAError(
                    f"{place} has {len(cells) if mark else 0} labels behind a tab, and there are "
                    f"{len(names)} names"
                )
            if wrong := [cell for cell in cells if cell not in ("0", "1", "-1")]:
                raise VAAError(f"{place}: {brief(wrong[0])} is neither 1, 0 nor -1")
            known = {
                name: {"1": True, "0": False}.get(c) for name, c in zip(names, cells, strict=True)
            }
            rows.add(image, known, split=split)
    return rows.finish()


def _lists(source: Path) -> list[Path]:
    files = candidates(source, "*.txt")
    return [path for path in files if path.name not in NAMES and _is_list(path)]


def _is_list(path: Path) -> bool:
    try:
        first = next(iter(text_lines(path)), "")
    except (VAAError, UnicodeDecodeError):
        return False
    _, mark, text = first.partition("\t")
    cells = text.strip().split(",")
    return bool(mark) and len(cells) > 1 and all(cell.strip() in ("0", "1", "-1") for cell in cells)


def _names(folder: Path) -> tuple[str, ...]:
    """The names of the attributes, a line each, perhaps with a number before."""
    path = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if path is None:
        raise VAAError(
            f"{folder} has no names of the attributes; write them into {NAMES[0]}, one a line"
        )
    lines = [line.strip() for line in text_lines(path) if line.strip()]
    parts = [line.split(maxsplit=1) for line in lines]
    numbered = all(len(part) == 2 and part[0] == str(i) for i, part in enumerate(parts))
    return attribute_tuple(
        [part[1] if numbered else line for part, line in zip(parts, lines, strict=True)], path
    )


FORMAT = DatasetFormat("paddle", "PaddleClas lists", "a .txt of picture<TAB>0,1,0", find, read)
