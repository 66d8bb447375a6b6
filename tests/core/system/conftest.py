"""Fixtures of files and folders that appear whole."""

import pytest

from tests.helpers.failures import FAILURES


@pytest.fixture(params=FAILURES, ids=lambda kind: str(kind.__name__))
def failure(request: pytest.FixtureRequest) -> type[BaseException]:
    """A failure that happens in the block."""
    kind: type[BaseException] = request.param
    return kind
