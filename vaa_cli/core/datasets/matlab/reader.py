"""MATLAB files: v5 to v7 by SciPy, v7.3 (HDF5) by h5py, with the same values from either."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from vaa_cli.core.datasets.matlab.structs import UnsupportedError
from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.system.input_files import require_file


def read_mat(path: Path) -> dict[str, Any]:
    """The variables of a MATLAB file by name.

    A struct is a dict with its fields in order, an array of structs a 2-D object array of dicts,
    a cell array a 2-D object array, characters are a str, and numbers a 2-D array of MATLAB's
    shape. Values must not be changed: whoever reads the same file next gets the same ones.

    Raises:
        VAAError: it cannot be read, is no whole MATLAB file, or holds objects of classes, which
            only MATLAB can read.
    """
    require_file(path)
    try:
        status = path.stat()
        return _read(path, status.st_size, status.st_mtime_ns)
    except UnsupportedError as error:
        raise VAAError(
            f"{path} holds {error}; save its variables as structs, cells, text and numbers"
        ) from error
    except Exception as error:
        # Parsers of broken files raise anything: ValueError, TypeError, OSError, zlib.error …
        raise VAAError(
            f"{path} is no whole MATLAB file ({one_line(error)}); download it again"
        ) from error


# The last file is kept: two formats look into the same file when a format is detected.
@lru_cache(maxsize=1)
def _read(path: Path, size: int, mtime: int) -> dict[str, Any]:
    # Most datasets have no such file, and the two packages take half a second to load.
    from vaa_cli.core.datasets.matlab import hdf5_reader, scipy_reader

    variables = hdf5_reader.read_variables(path)
    return scipy_reader.read_variables(path) if variables is None else variables
