"""Writes the sample set: drawn people, their attributes and where the local ones are.

Run as ``python sample_data/generate.py --count 1000 --seed 7 --out DIR``; with ``--rare``, what
people carry and wear on a part of them is on 1 to 6 % of them. The same arguments give the same
bytes with the same versions of Pillow and numpy.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from drawing import draw_person
from scene import Box

PRIORS = {
    "long_sleeves": 0.60,
    "long_hair": 0.45,
    "striped_top": 0.30,
    "shorts": 0.25,
    "bag": 0.22,
    "hat": 0.20,
    "backpack": 0.15,
    "glasses": 0.12,
    "boots": 0.10,
    "scarf": 0.06,
    "umbrella": 0.03,
}
# All that is on a small part of a person is rare; the rest is as before.
RARE_PRIORS = PRIORS | {
    "bag": 0.06,
    "hat": 0.05,
    "backpack": 0.04,
    "glasses": 0.03,
    "boots": 0.025,
    "scarf": 0.015,
    "umbrella": 0.01,
}
SPLIT_SHARES = {"val": 0.10, "test": 0.20}
# The images come first, so that no table ever lists a picture that is not there yet.
PARTS = ("images", "boxes.csv", "labels.csv")
JPEG_QUALITY = 84


class SampleSetError(Exception):
    """A reason why the set cannot be written, fit to be shown as one line."""


def choose_splits(rng: np.random.Generator, count: int) -> list[str]:
    """The split of each picture, in exact shares, the rest being for training."""
    splits = [name for name, share in SPLIT_SHARES.items() for _ in range(round(share * count))]
    splits += ["train"] * (count - len(splits))
    return [splits[i] for i in rng.permutation(count)]


def choose_labels(
    rng: np.random.Generator, splits: Sequence[str], priors: dict[str, float]
) -> list[dict[str, bool]]:
    """The attributes of each picture, independent of each other and near exact in every split."""
    labels = [dict.fromkeys(priors, False) for _ in splits]
    for split in ("train", *SPLIT_SHARES):
        members = [i for i, name in enumerate(splits) if name == split]
        for attribute, prior in priors.items():
            positives = round(prior * len(members))
            if len(members) >= 2:
                # Even a rare attribute needs both answers in each split to be measured there.
                positives = min(max(positives, 1), len(members) - 1)
            for i in rng.permutation(members)[:positives]:
                labels[i][attribute] = True
    return labels


def write_set(folder: Path, count: int, seed: int, priors: dict[str, float]) -> None:
    """Write the pictures and both tables into an empty folder."""
    # Pictures are numbered from 1, which leaves (seed, 0) for the labels.
    rng = np.random.default_rng((seed, 0))
    splits = choose_splits(rng, count)
    labels = choose_labels(rng, splits, priors)
    label_rows: list[list[str | int]] = []
    box_rows: list[list[str | int]] = []
    (folder / "images").mkdir()
    for number, (split, present) in enumerate(zip(splits, labels, strict=True), start=1):
        name = f"images/{number:06d}.jpg"
        boxes = write_picture(folder / name, (seed, number), present)
        label_rows.append([name, split, *(int(present[attribute]) for attribute in PRIORS)])
        box_rows += [[name, attribute, *box] for attribute, box in boxes.items()]
    write_table(folder / "labels.csv", ["image", "split", *PRIORS], label_rows)
    header = ["image", "attribute", "left", "top", "width", "height"]
    write_table(folder / "boxes.csv", header, box_rows)


def write_picture(path: Path, seed: tuple[int, int], present: dict[str, bool]) -> dict[str, Box]:
    """Draw and save one picture; its own seed makes it independent of the order of drawing."""
    picture, boxes = draw_person(np.random.default_rng(seed), present)
    picture.save(path, quality=JPEG_QUALITY, optimize=True)
    return boxes


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[str | int]]) -> None:
    """Write a CSV file with the same line ends on every system."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def occupied_parts(out: Path) -> list[Path]:
    """The parts of a set that are already there and not empty folders."""
    paths = [out / part for part in PARTS]
    return [path for path in paths if path.exists() and not is_empty_folder(path)]


def is_empty_folder(path: Path) -> bool:
    """Whether a path is a folder with nothing in it."""
    return path.is_dir() and not any(path.iterdir())


def move_parts(source: Path, target: Path, replaced: Path) -> None:
    """Rename a finished set's parts into place, or put everything back if one will not go."""
    moves: list[tuple[Path, Path]] = []
    try:
        for part in PARTS:
            if (target / part).exists():
                (target / part).rename(replaced / part)
                moves.append((target / part, replaced / part))
        for part in PARTS:
            (source / part).rename(target / part)
            moves.append((source / part, target / part))
    except BaseException:
        for before, after in reversed(moves):
            after.rename(before)
        raise


def generate(
    out: Path, count: int, seed: int, force: bool, priors: dict[str, float] = PRIORS
) -> None:
    """Make a whole set in a temporary folder beside its final parts, then move it in."""
    if count < 1:
        raise SampleSetError(f"--count must be at least 1, not {count}")
    if seed < 0:
        raise SampleSetError(f"--seed must be at least 0, not {seed}")
    occupied = occupied_parts(out)
    if occupied and not force:
        raise SampleSetError(f"{occupied[0]} is already there; pass --force to replace it")
    out.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".partial-", dir=out))
    try:
        fresh, replaced = work / "fresh", work / "replaced"
        fresh.mkdir()
        replaced.mkdir()
        write_set(fresh, count, seed, priors)
        move_parts(fresh, out, replaced)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, write the set and return the exit code."""
    parser = argparse.ArgumentParser(description="Draw the sample set of people.")
    parser.add_argument("--count", type=int, default=1000, help="pictures (default 1000)")
    parser.add_argument("--seed", type=int, default=7, help="seed (default 7)")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent, help="folder (default: this one)"
    )
    parser.add_argument("--rare", action="store_true", help="rare local attributes, 1 to 6 %%")
    parser.add_argument("--force", action="store_true", help="replace a set that is there")
    options = parser.parse_args(arguments)
    try:
        priors = RARE_PRIORS if options.rare else PRIORS
        generate(options.out, options.count, options.seed, options.force, priors)
    except (SampleSetError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"wrote {options.count} pictures, labels.csv and boxes.csv to {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
