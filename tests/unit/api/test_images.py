"""Which images a pattern of a policy allows, in whatever way a cunning tenant spells them."""

import pytest

from sandkeeper.api.images import allows
from unit.fakes.images import ALLOWED, REFUSED


@pytest.mark.parametrize(("pattern", "image"), ALLOWED)
def test_an_image_is_allowed_however_it_is_spelled(pattern: str, image: str) -> None:
    assert allows(pattern, image)


@pytest.mark.parametrize(("pattern", "image"), REFUSED)
def test_an_image_that_only_looks_alike_is_not(pattern: str, image: str) -> None:
    assert not allows(pattern, image)
