"""Chance is the same at the same place of a training, whatever came before, and at no other."""

import random
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vaa_cli.core.training.seeding import seed_all

PROPERTY = settings(deadline=None, derandomize=True, max_examples=60)
# Seed, epoch, step and process.
number = st.integers(0, 20) | st.integers(0, 2**32 - 1)
places = st.tuples(number, number, number, st.integers(0, 63))


class Draws(NamedTuple):
    """What each generator gives."""

    python: list[float]
    numpy: list[int]
    torch: list[int]
    torch_normal: list[float]
    order: list[int]


def draw() -> Draws:
    """Some of each generator; enough that two of them are alike by no chance."""
    return Draws(
        [random.random() for _ in range(3)],
        [int(value) for value in np.random.randint(0, 2**31, 3)],
        torch.randint(0, 2**31, (3,)).tolist(),
        torch.randn(3).tolist(),
        torch.randperm(40).tolist(),
    )


def draw_at(*place: int) -> Draws:
    """What is drawn at a place."""
    seed_all(*place)
    return draw()


def disturb(much: int) -> None:
    """Draw, so that generators stand elsewhere; a normal number leaves a second one waiting."""
    for _ in range(much):
        random.gauss(0, 1)
        np.random.normal()
        torch.randn(1)


@PROPERTY
@given(place=places, much=st.integers(0, 5), elsewhere=places)
def test_the_same_place_gives_the_same(
    place: tuple[int, ...], much: int, elsewhere: tuple[int, ...]
) -> None:
    first = draw_at(*place)
    disturb(much)
    assert draw_at(*place) == first
    seed_all(*elsewhere)
    disturb(much)
    assert draw_at(*place) == first


@PROPERTY
@given(places, places)
def test_another_place_gives_others(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    assume(one != other)
    for mine, theirs in zip(draw_at(*one), draw_at(*other), strict=True):
        assert mine != theirs


@PROPERTY
@given(places, st.integers(0, 3))
def test_a_neighbour_gives_others(place: tuple[int, ...], which: int) -> None:
    neighbour = [value + (i == which) for i, value in enumerate(place)]
    assume(max(neighbour) < 2**32)
    for mine, theirs in zip(draw_at(*place), draw_at(*neighbour), strict=True):
        assert mine != theirs


def test_neighbours_are_not_shifted_streams() -> None:
    # Such as seed + step would make: the same numbers, one call later.
    seen: set[int] = set()
    for epoch in range(6):
        for step in range(6):
            for process in range(3):
                seed_all(1, epoch, step, process)
                seen.update(torch.randint(0, 2**62, (8,)).tolist())
    assert len(seen) == 6 * 6 * 3 * 8


def test_draws_go_on_from_the_place() -> None:
    assert draw_at(3, 1, 2, 0) != draw()
    first = [draw_at(3, 1, 2, 0), draw(), draw()]
    assert [draw_at(3, 1, 2, 0), draw(), draw()] == first


def test_generators_do_not_give_the_same_numbers() -> None:
    seed_all(0, 0, 0, 0)
    uniform = [random.random(), float(np.random.random()), float(torch.rand(1).double())]
    assert len({round(value, 6) for value in uniform}) == 3


@pytest.mark.parametrize("seed", [0, 2**31, 2**32 - 1, 2**32, 2**63, 2**64, 2**70])
def test_any_seed_will_do(seed: int) -> None:
    assert draw_at(seed, 0, 0, 0) == draw_at(seed, 0, 0, 0) != draw_at(seed + 1, 0, 0, 0)


def test_loaders_workers_get_seeds_from_the_place() -> None:
    # torch gives each iterator over a loader a base seed out of the default generator.
    def base_seed() -> int:
        seed_all(4, 0, 7, 1)
        return int(torch.empty((), dtype=torch.int64).random_().item())

    assert base_seed() == base_seed()
