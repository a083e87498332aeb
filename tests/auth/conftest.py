"""What the tests of all auth objects need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from plain_resource import Resource


@pytest.fixture
def resources() -> Iterator[tuple[Resource, Resource]]:
    """Two APIs on two origins."""
    both = Resource(), Resource()
    yield both
    for one in both:
        one.stop()
