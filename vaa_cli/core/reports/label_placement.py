"""Labels beside the points of a chart, where they cover neither points nor each other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Right, left, above and below first, then the corners; as unit steps.
_DIRECTIONS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
# Distances of the label's edge from the point's edge, nearest first.
_DISTANCES = (3.0, 12.0, 24.0, 40.0, 60.0)


@dataclass(frozen=True)
class Rectangle:
    """A rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Rectangle") -> bool:
        """Whether the two have any area in common."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def contains(self, other: "Rectangle") -> bool:
        """Whether the other one lies inside this one."""
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


def place_labels(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    radius: float,
    bounds: Rectangle,
) -> list[Rectangle | None]:
    """Find room for the label of each point, as near to it as there is.

    Args:
        points: `n` coordinates.
        sizes: width and height of each label.
        radius: radius of the points.
        bounds: area in which labels may lie.

    Returns:
        The rectangle of each label; None where there is no room near the point.
    """
    taken = [Rectangle(x - radius, y - radius, x + radius, y + radius) for x, y in points]
    placed: list[Rectangle | None] = []
    for point, size in zip(points, sizes, strict=True):
        free = (
            candidate
            for distance in _DISTANCES
            for direction in _DIRECTIONS
            if bounds.contains(candidate := _beside(point, size, direction, radius + distance))
            and not any(map(candidate.overlaps, taken))
        )
        label = next(free, None)
        placed.append(label)
        if label is not None:
            taken.append(label)
    return placed


def _beside(
    point: tuple[float, float],
    size: tuple[float, float],
    direction: tuple[int, int],
    distance: float,
) -> Rectangle:
    """The rectangle of a size in a direction from a point."""
    across, down = direction
    # Corners are as far away as sides.
    reach = distance / math.hypot(across, down)
    x = point[0] + across * (reach + size[0] / 2)
    y = point[1] + down * (reach + size[1] / 2)
    return Rectangle(x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2)
