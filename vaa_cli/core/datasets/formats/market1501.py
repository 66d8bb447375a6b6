"""The `market1501` format: Market-1501 (Zheng et al., ICCV 2015) with attributes (Lin et al.)."""

from pathlib import Path

from vaa_cli.core.datasets.formats.base import DatasetFormat
from vaa_cli.core.datasets.formats.reid_common import attribute_file, read_people
from vaa_cli.core.labels.table import LabelTable

VARIABLE = "market_attribute"
# What a yes means: hair 2 is long, up 2 short sleeves, down 2 short, clothes 2 pants.
RENAMED = {
    "gender": "female",
    "hair": "long_hair",
    "up": "short_sleeve",
    "down": "short_lower_body",
    "clothes": "pants",
}


def find(root: Path) -> Path | None:
    """The attribute file, if it is there."""
    return attribute_file(root, VARIABLE)


def read(root: Path) -> LabelTable:
    """Read a Market-1501 folder, see `reid.read_people`."""
    return read_people(root, VARIABLE, RENAMED)


FORMAT = DatasetFormat("market1501", "Market-1501", f"{VARIABLE}.mat", find, read)
