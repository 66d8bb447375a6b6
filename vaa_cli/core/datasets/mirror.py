"""The files of a dataset at a URL that its reader needs, on this machine while it is read."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vaa_cli.core.datasets.safe_paths import LABEL_ENDINGS
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import leaves_folder
from vaa_cli.core.system.files import writing_errors
from vaa_cli.core.system.storage import is_folder_url, parent_url, shown_url
from vaa_cli.core.system.storage_file import copy_url
from vaa_cli.core.system.storage_listing import list_url

_READERS = 16


@dataclass(frozen=True)
class Mirror:
    """A dataset at a URL, as a folder of this machine.

    Attributes:
        source: the folder, or the file in it that was named.
        folder: the folder.
        url: the URL of the folder, with a slash behind it.
    """

    source: Path
    folder: Path
    url: str


@contextmanager
def mirrored_labels(url: str) -> Iterator[Mirror]:
    """A folder with the label files below a URL, and an empty file for each other one.

    Readers look for names of pictures, and open none.

    Args:
        url: the URL of a dataset folder, or of a table in one.

    Raises:
        StorageError: it cannot be read.
        VAAError: it has no files, or there is no place for them here.
    """
    is_folder = is_folder_url(url)
    root = f"{url.rstrip('/')}/" if is_folder else parent_url(url)
    name = PurePosixPath(root).name or "dataset"
    with tempfile.TemporaryDirectory(prefix="vaa-labels-") as made:
        folder = Path(made) / name
        with writing_errors(made), ThreadPoolExecutor(_READERS) as readers:
            copies = []
            for file in list_url(root):
                below = file.url.removeprefix(root)
                if leaves_folder(below):
                    raise VAAError(f"{shown_url(file.url)} climbs out of the dataset; rename it")
                target = folder / below
                target.parent.mkdir(parents=True, exist_ok=True)
                if below.lower().endswith(LABEL_ENDINGS):
                    copies.append(readers.submit(_copy, file.url, target))
                else:
                    target.touch()
            for copy in copies:
                copy.result()
        source = folder if is_folder else folder / url.rsplit("/", 1)[-1]
        yield Mirror(source, folder, root)


def _copy(url: str, target: Path) -> None:
    with target.open("wb") as file:
        copy_url(url, file)
