"""Rows and columns of label tables, and the priors of eq. 4."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.pictures import make_table
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.labels.priors import Priors
from vaa_cli.core.models.losses import attribute_weights

PROPERTY = settings(max_examples=50, deadline=None, derandomize=True)


# Rows and columns of a table


def test_select() -> None:
    table = make_table(
        [[1, 0], [0, 0], [-1, 1]],
        splits=[0, 1, 2],
        boxes=[[1, 2, 3, 4], [math.nan] * 4, [5, 6, 7, 8]],
    )
    part = table.select([2, 0])
    assert len(part) == 2
    assert (part.root, part.attributes) == (table.root, table.attributes)
    assert part.row_images == ["2.png", "0.png"]
    assert part.labels.tolist() == [[-1, 1], [1, 0]]
    assert part.splits is not None and part.splits.tolist() == [2, 0]
    assert [part.box(0), part.box(1)] == [Box(5, 6, 7, 8), Box(1, 2, 3, 4)]
    assert len(table) == 3


def test_select_no_rows_and_without_splits_and_boxes() -> None:
    part = make_table([[1, 0], [0, 0]]).select([])
    assert (len(part), part.labels.shape) == (0, (0, 2))
    assert part.splits is None and part.boxes is None


def test_split_gives_the_rows_of_one_split() -> None:
    table = make_table([[1], [0], [1], [0]], splits=[2, 0, 2, 0])
    assert table.split("train").row_images == ["1.png", "3.png"]
    assert table.split("val").row_images == []
    assert table.split("test").row_images == ["0.png", "2.png"]
    with pytest.raises(ValueError):
        make_table([[1]]).split("train")


def test_labels_for_another_order_of_attributes() -> None:
    table = make_table([[1, 0, -1], [0, 1, 1]], attributes=["a", "b", "c"])
    labels, missing, extra = table.labels_for(["c", "x", "a", "y"])
    assert labels.dtype == np.int8
    assert labels.tolist() == [[-1, -1, 1, -1], [1, -1, 0, -1]]
    assert (missing, extra) == (["x", "y"], ["b"])


def test_labels_for_its_own_attributes_are_its_own() -> None:
    table = make_table([[1, 0, -1], [0, 1, 1]])
    labels, missing, extra = table.labels_for(table.attributes)
    assert labels.tolist() == table.labels.tolist()
    assert (missing, extra) == ([], [])


def test_labels_for_other_attributes_altogether() -> None:
    with pytest.raises(VAAError, match="hat"):
        make_table([[1]], attributes=["hat"]).labels_for(["bag"])


def test_each_picture_once_in_the_order_of_the_rows() -> None:
    table = make_table([[1]] * 5, ["b", "a", "b", "c", "a"])
    pictures = table.distinct_images
    assert list(pictures.names) == ["b", "a", "c"]
    assert pictures.row_index.tolist() == [0, 1, 0, 2, 1]


# Priors


def test_priors_by_hand() -> None:
    #                    half  quarter  rare of specified  never  always  unknown
    labels = [[1, 1, -1, 0, 1, -1], [1, 0, 1, 0, 1, -1], [0, 0, 0, 0, 1, -1], [0, 0, -1, 0, 1, -1]]
    names = ["half", "quarter", "specified", "never", "always", "unknown"]
    priors = Priors.of(make_table(labels, attributes=names))
    assert priors.attributes == tuple(names)
    assert priors.positives.tolist() == [2, 1, 1, 0, 4, 0]
    assert priors.negatives.tolist() == [2, 3, 1, 4, 0, 0]
    assert priors.unspecified.tolist() == [0, 0, 2, 0, 0, 4]
    np.testing.assert_array_equal(priors.prior, [0.5, 0.25, 0.5, 0, 1, math.nan])
    assert priors.constant.tolist() == [False, False, False, True, True, True]
    half, quarter = math.exp(-0.5), math.exp(-0.25)
    np.testing.assert_allclose(priors.weight, [half, quarter, half, 1, 1, 1], rtol=1e-12)


def test_priors_of_no_rows_are_unknown() -> None:
    priors = Priors.of(make_table([[1, 0]]).select([]))
    assert priors.positives.tolist() == priors.negatives.tolist() == [0, 0]
    assert np.isnan(priors.prior).all()
    assert priors.weight.tolist() == [1, 1]


@PROPERTY
@given(n=st.integers(1, 12), c=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_priors_weigh_as_the_loss_does(n: int, c: int, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(-1, 2, (n, c))
    priors = Priors.of(make_table(labels.tolist()))
    assert (priors.positives + priors.negatives + priors.unspecified == n).all()
    weights = attribute_weights(torch.from_numpy(priors.prior), "prior").numpy()
    np.testing.assert_allclose(weights, np.stack([priors.weight] * 2), rtol=1e-12)


def test_the_frame_of_priors() -> None:
    frame = Priors.of(make_table([[1, -1], [0, -1]], attributes=["hat", "bag"])).to_frame()
    columns = ["attribute", "positives", "negatives", "unspecified", "prior", "weight"]
    assert list(frame.columns) == columns
    assert frame.iloc[0].tolist() == ["hat", 1, 1, 0, 0.5, math.exp(-0.5)]
    assert frame.iloc[1].tolist()[:4] == ["bag", 0, 0, 2]
    assert math.isnan(frame.iloc[1]["prior"]) and frame.iloc[1]["weight"] == 1
