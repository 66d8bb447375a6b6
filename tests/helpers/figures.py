"""A tiny dataset of drawn figures, as published and as prepared."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from vaa_cli.core.datasets.formats import csv_folder
from vaa_cli.core.datasets.prepared import Prepared, read_prepared
from vaa_cli.core.datasets.prepared_output import Origin, write_prepared
from vaa_cli.core.labels.table import SPLITS

ATTRIBUTES = ("red", "hat", "striped")


def draw_figure(seed: int, red: bool, hat: bool, striped: bool) -> Image.Image:
    """A picture of 32 x 64: a coloured body, perhaps a white bar on top, perhaps black stripes."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(90, 130, (64, 32, 3), dtype=np.uint8)
    pixels[16:, 8:24] = (200, 30, 30) if red else (30, 30, 200)
    if striped:
        pixels[16::8, 8:24] = 0
        pixels[17::8, 8:24] = 0
    if hat:
        pixels[4:14, 6:26] = 250
    return Image.fromarray(pixels)


def make_dataset(folder: Path, count: int = 40, split: bool = True) -> Path:
    """A dataset of drawn figures in `folder/images` with labels.csv."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for i in range(count):
        labels = {"red": i % 2 == 0, "hat": i % 4 < 2, "striped": i % 5 < 2}
        draw_figure(i, **labels).save(folder / "images" / f"{i:03d}.png")
        part = ("train", "train", "train", "val", "test")[i % 11 % 5]
        row = [f"images/{i:03d}.png", *([part] if split else []), *map(int, labels.values())]
        rows.append(row)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *(["split"] if split else []), *ATTRIBUTES])
        writer.writerows(rows)
    return folder


def make_prepared(folder: Path, train: int, val: int) -> Prepared:
    """A prepared folder of so many drawn figures in each split, and none in test."""
    table = csv_folder.read(make_dataset(folder / "dataset", train + val, split=False))
    splits = np.repeat([SPLITS.index("train"), SPLITS.index("val")], [train, val]).astype(np.int8)
    write_prepared(folder / "prepared", replace(table, splits=splits), Origin("figures", "csv"))
    return read_prepared(folder / "prepared")
