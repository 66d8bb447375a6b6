"""The seeded, stratified split, and a dataset's own."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.pictures import make_table
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels import splits
from vaa_cli.core.labels.splits import (
    EarlierSplits,
    assign_splits,
    hashed_parts,
    pictures_in_two_splits,
)
from vaa_cli.core.labels.table import LabelTable

PROPERTY = settings(max_examples=40, deadline=None, derandomize=True)
FRACTIONS = np.array([0.7, 0.1, 0.2])
# Of "a.jpg", "b/c.jpg" and "人.jpg" with the seed 0.
HASHES = [0.262355, 0.812375, 0.83071]

seeds = st.integers(0, 2**32 - 1)


def draw_table(seed: int, n: int, c: int, unspecified: float = 0.1) -> LabelTable:
    """A table in which some attributes are rare and some are common."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, c)) < rng.uniform(0.02, 0.98, c)).astype(np.int8)
    labels[rng.random((n, c)) < unspecified] = -1
    return make_table(labels.tolist())


def shares_of(parts: np.ndarray) -> np.ndarray:
    return np.bincount(parts, minlength=3) / len(parts)


# Without a split of its own


def tolerance(n: int) -> float:
    """How far a part's share may be from its fraction: 3 points for 1,000 rows."""
    return 0.03 * max(1.0, math.sqrt(1000 / n))


@PROPERTY
@given(seed=seeds, n=st.integers(30, 3000), c=st.integers(1, 3))
def test_sizes_are_near_70_10_20(seed: int, n: int, c: int) -> None:
    # Labels that are common need no correction, so this is the hash alone.
    table = make_table((np.random.default_rng(seed).random((n, c)) < 0.5).astype(int).tolist())
    parts = assign_splits(table, seed=seed % 7)
    assert parts.shape == (n,)
    assert set(parts.tolist()) == {0, 1, 2}
    np.testing.assert_allclose(shares_of(parts), FRACTIONS, atol=tolerance(n) + 2 / n)


@PROPERTY
@given(seed=seeds, n=st.integers(60, 1500), c=st.integers(1, 4), removed=st.floats(0.02, 0.5))
def test_rows_that_come_or_go_move_none_that_stay(
    seed: int, n: int, c: int, removed: float
) -> None:
    rng = np.random.default_rng(seed)
    table = make_table((rng.random((n, c)) < 0.5).astype(int).tolist())
    stays = np.flatnonzero(rng.random(n) >= removed)
    whole, fewer = assign_splits(table)[stays], assign_splits(table.select(stays))
    moved = (whole != fewer).mean() if len(stays) else 0.0
    # Where no part is too large or too small, and none lacks a label, the hash alone decides.
    hashed = [splits._hash(table.row_images[row], 0) for row in stays]
    pure = np.searchsorted([0.7, 0.8], hashed, side="right")
    excess = np.abs(np.subtract(shares_of(pure), FRACTIONS)) - tolerance(len(stays))
    labels = table.labels[stays]
    held = [(labels[pure == part] == label).any(axis=0) for part in range(3) for label in (0, 1)]
    if (excess < 0).all() and np.all(held):
        np.testing.assert_array_equal(fewer, pure)
    assert moved <= 2 * tolerance(len(stays))


def test_a_split_is_the_same_on_every_machine() -> None:
    names = ["a.jpg", "b/c.jpg", "人.jpg"]
    assert [round(splits._hash(name, 0), 6) for name in names] == HASHES


@PROPERTY
@given(seed=seeds, n=st.integers(80, 300), c=st.integers(1, 6))
def test_every_label_with_plenty_of_pictures_is_in_each_part(seed: int, n: int, c: int) -> None:
    table = draw_table(seed, n, c)
    parts = assign_splits(table)
    for column in table.labels.T:
        for label in (0, 1):
            if (column == label).sum() >= 10:
                assert {*parts[column == label].tolist()} == {0, 1, 2}


def test_what_was_split_before_stays_there() -> None:
    table = draw_table(0, 200, 2)
    names = table.row_images
    earlier = EarlierSplits(dict.fromkeys(names[:50], 2), {})
    parts = assign_splits(table, earlier=earlier)
    assert set(parts[:50].tolist()) == {2}
    assert (parts[50:] != 2).any()
    # People come before pictures, and take theirs along.
    people = np.array([f"p{i // 4}" for i in range(200)], dtype=object)
    known = EarlierSplits(dict.fromkeys(names[4:8], 1), {"p0": 1, "p1": 0})
    parts = assign_splits(replace(table, identities=people), earlier=known)
    assert set(parts[:4].tolist()) == {1} and set(parts[4:8].tolist()) == {0}


@PROPERTY
@given(seed=seeds, n=st.integers(1, 60), c=st.integers(1, 4), pictures=st.integers(1, 20))
def test_rows_of_one_picture_stay_together(seed: int, n: int, c: int, pictures: int) -> None:
    table = draw_table(seed, n, c)
    names = [f"{i}.png" for i in np.random.default_rng(seed).integers(0, pictures, n)]
    parts = assign_splits(replace(table, row_images=names))
    assert all(len({*parts[np.array(names) == name].tolist()}) == 1 for name in names)


@PROPERTY
@given(seed=seeds, n=st.integers(1, 40), c=st.integers(1, 4))
def test_the_same_seed_gives_the_same_split(seed: int, n: int, c: int) -> None:
    table = draw_table(seed, n, c)
    first, second = assign_splits(table, seed=seed), assign_splits(table, seed=seed)
    np.testing.assert_array_equal(first, second)
    assert {*first.tolist()} <= {0, 1, 2}


@PROPERTY
@given(seed=st.integers(0, 2**20))
def test_another_seed_gives_another_split(seed: int) -> None:
    table = draw_table(0, 100, 3)
    assert (assign_splits(table, seed=seed) != assign_splits(table, seed=seed + 1)).any()


@pytest.mark.parametrize("value", [1, 0, -1])
def test_labels_that_are_all_alike(value: int) -> None:
    parts = assign_splits(make_table([[value, value]] * 100))
    np.testing.assert_allclose(shares_of(parts), FRACTIONS, atol=tolerance(100))


def test_the_rarest_attribute_that_can_be_everywhere_is() -> None:
    labels = np.zeros((100, 2), dtype=np.int8)
    labels[[5, 50, 95], 0] = 1
    labels[:50, 1] = 1
    parts = assign_splits(make_table(labels.tolist()))
    assert {*parts[labels[:, 0] == 1].tolist()} == {0, 1, 2}


@PROPERTY
@given(seed=seeds, share=st.floats(0.05, 0.5))
def test_other_shares(seed: int, share: float) -> None:
    parts = hashed_parts(draw_table(seed, 200, 1), (1 - share, share), seed)
    assert parts.mean() == pytest.approx(share, abs=tolerance(200) + 0.02)


@PROPERTY
@given(seed=seeds, n=st.integers(1, 60), people=st.integers(1, 20))
def test_rows_of_one_person_stay_together(seed: int, n: int, people: int) -> None:
    identities = np.random.default_rng(seed).integers(-5, people, n)
    parts = assign_splits(replace(draw_table(seed, n, 2), identities=identities))
    assert all(len({*parts[identities == person].tolist()}) == 1 for person in identities)


@PROPERTY
@given(seed=seeds)
def test_val_cut_from_train_shares_no_person_with_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = replace(
        draw_table(seed, 200, 2),
        identities=np.repeat(rng.permutation(50), 4),
        splits=np.repeat([0, 2], 100).astype(np.int8),
    )
    assert table.identities is not None
    parts = assign_splits(table)
    assert {*parts.tolist()} == {0, 1, 2}
    people = [{*table.identities[parts == part].tolist()} for part in range(3)]
    assert sum(map(len, people)) == len(set().union(*people))


# With a split of its own


def test_its_own_split_is_kept() -> None:
    splits = [2, 0, 1, 0, 2, 1]
    table = make_table([[1], [0]] * 3, splits=splits)
    assert assign_splits(table, seed=5).tolist() == splits
    assert assign_splits(make_table([[1]] * 2, splits=[0, 2]), val_share=0).tolist() == [0, 2]


def test_a_tenth_of_train_becomes_val_where_there_is_none() -> None:
    drawn = draw_table(3, 200, 3)
    parts = assign_splits(replace(drawn, splits=np.repeat([0, 2], 100).astype(np.int8)))
    assert (parts[100:] == 2).all()
    assert (parts[:100] == 1).sum() == pytest.approx(10, abs=4)


def test_val_is_cut_from_train_when_asked() -> None:
    drawn = draw_table(3, 200, 3)
    splits = np.repeat([0, 2], 100).astype(np.int8)
    parts = assign_splits(replace(drawn, splits=splits), val_share=0.2)
    assert (parts[100:] == 2).all()
    assert {*parts[:100].tolist()} == {0, 1}
    assert (parts[:100] == 1).sum() == pytest.approx(20, abs=5)
    assert (splits[:100] == 0).all(), "the table itself must stay as it is"


def test_val_cut_from_train_has_the_rare_attributes() -> None:
    labels = np.zeros((100, 1), dtype=np.int8)
    labels[:4] = 1
    table = make_table(labels.tolist(), splits=[0] * 100)
    parts = assign_splits(table, val_share=0.1)
    assert {*parts[:4].tolist()} == {0, 1}


def test_val_share_without_a_split_column() -> None:
    with pytest.raises(VAAError, match="val_share"):
        assign_splits(make_table([[1], [0]]), val_share=0.1)


def test_val_share_beside_a_val_of_its_own() -> None:
    with pytest.raises(VAAError, match="val_share"):
        assign_splits(make_table([[1], [0]], splits=[0, 1]), val_share=0.1)


@pytest.mark.parametrize("val_share", [None, 0.1])
def test_a_split_without_train(val_share: float | None) -> None:
    with pytest.raises(VAAError, match="train"):
        assign_splits(make_table([[1], [0]], splits=[1, 2]), val_share=val_share)


def test_pictures_in_two_splits() -> None:
    table = make_table([[1]] * 6, ["a", "b", "a", "c", "b", "c"], splits=[0, 1, 2, 1, 1, 0])
    assert pictures_in_two_splits(table) == ["a", "c"]
    assert pictures_in_two_splits(make_table([[1]] * 2, splits=[0, 2])) == []
