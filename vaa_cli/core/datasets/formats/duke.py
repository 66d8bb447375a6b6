"""The `duke` format: DukeMTMC-reID (Zheng et al., ICCV 2017) with attributes (Lin et al.)."""

from pathlib import Path

from vaa_cli.core.datasets.formats.base import DatasetFormat
from vaa_cli.core.datasets.formats.reid_common import attribute_file, read_people
from vaa_cli.core.labels.table import LabelTable

VARIABLE = "duke_attribute"
# What a yes means: top 2 is a long upper garment, shoes 2 are of a light colour.
RENAMED = {"gender": "female", "top": "long_top", "shoes": "light_shoes"}


def find(root: Path) -> Path | None:
    """The attribute file, if it is there."""
    return attribute_file(root, VARIABLE)


def read(root: Path) -> LabelTable:
    """Read a DukeMTMC-reID folder, see `reid.read_people`."""
    return read_people(root, VARIABLE, RENAMED)


FORMAT = DatasetFormat("duke", "DukeMTMC-reID", f"{VARIABLE}.mat", find, read)
