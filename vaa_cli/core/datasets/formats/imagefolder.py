"""The `imagefolder` format: Hugging Face's, pictures beside a `metadata` table of `file_name`."""

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from vaa_cli.core.datasets.formats.annotations import (
    AnnotatedRows,
    Value,
    expected,
    json_errors,
    listed,
)
from vaa_cli.core.datasets.formats.base import DatasetFormat
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.label_header import SPLIT_NAMES
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.system.csv_reader import read_csv
from vaa_cli.core.system.input_files import parse_json, require_file, text_lines

ENDINGS = ("csv", "jsonl", "parquet")
NAME = "file_name"


def find(source: Path) -> Path | None:
    """The first metadata file, if there is one."""
    return next(iter(_files(source)), None)


def read(source: Path) -> LabelTable:
    """Read a dataset folder; folders named as splits are are such.

    A column of lists holds several labels; other columns are as in a label table.

    Raises:
        VAAError: there is no metadata file, or one is broken.
    """
    files = _files(source)
    if not files:
        raise VAAError(f"{source} has no metadata.csv, .jsonl or .parquet beside its pictures")
    records = [(path, number, record) for path in files for number, record in _records(path)]
    lists: dict[str, list[str]] = {}
    for path, number, record in records:
        for name, value in record.items():
            if isinstance(value, list):
                words = [str(expected(word, (str, int), f"{path}: row {number}")) for word in value]
                lists[name] = list(dict.fromkeys((*lists.get(name, ()), *words)))
    rows = AnnotatedRows(source, notes=_left_out(records))
    for path, number, record in records:
        image = expected(record.get(NAME), str, f"{path}: row {number}, {NAME}")
        folder = path.parent.relative_to(source).as_posix()
        split = SPLIT_NAMES.get(path.parent.name.lower()) if path.parent != source else None
        values: dict[str, Value] = {}
        for name, value in record.items():
            if name in lists:
                values |= listed(sorted(lists[name]), [str(word) for word in value or ()])
            elif name != NAME and not isinstance(value, dict):
                values[name] = value
        rows.add(image if folder == "." else f"{folder}/{image}", values, split=split)
    return rows.finish(source)


def _files(source: Path) -> list[Path]:
    if not source.is_dir():
        return []
    places = [source, *sorted(source / name for name in _split_folders(source))]
    found = [
        path
        for place in places
        for ending in ENDINGS
        if (path := place / f"metadata.{ending}").is_file()
    ]
    return found


def _split_folders(source: Path) -> list[str]:
    return [path.name for path in source.iterdir() if path.name.lower() in SPLIT_NAMES]


def _records(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a file, each with its number."""
    if path.suffix == ".csv":
        frame = read_csv(path)
        if NAME not in frame.columns:
            raise VAAError(f"{path} has no column {NAME}")
        for number, cells in zip(frame.index, frame.to_dict("records"), strict=True):
            yield int(number), {str(name): value for name, value in cells.items()}
    elif path.suffix == ".jsonl":
        for number, line in enumerate(text_lines(path), start=1):
            if line.strip():
                with json_errors(path):
                    yield number, expected(parse_json(line), dict, f"{path}: line {number}")
    else:
        yield from _parquet(path)


def _parquet(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise VAAError(f"{path} needs pyarrow: pip install pyarrow") from error
    require_file(path)
    try:
        with pq.ParquetFile(path) as file:
            batches = (batch.to_pylist() for batch in file.iter_batches())
            yield from enumerate(chain.from_iterable(batches), start=1)
    except (pa.ArrowException, OSError) as error:
        raise VAAError(f"{path} is no Parquet file that can be read ({error})") from error


def _left_out(records: list[tuple[Path, int, Mapping[str, Any]]]) -> list[str]:
    nested = {
        name
        for _, _, record in records
        for name, value in record.items()
        if isinstance(value, dict)
    }
    return [f"{name} holds objects, and is no attribute" for name in sorted(nested)]


FORMAT = DatasetFormat(
    "imagefolder", "a Hugging Face ImageFolder", f"metadata.csv, .jsonl or .parquet with {NAME}",
    find, read,
)  # fmt: skip
