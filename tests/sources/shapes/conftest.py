"""Here every picture is drawn anew, since these tests are about drawing."""

from collections.abc import Callable, Iterator

import pytest

from cnlw_tools.sources.shapes import Shapes


@pytest.fixture(scope="module", autouse=True)
def drawn_anew(drawing: Callable[[Shapes, str], object]) -> Iterator[None]:
    """Draw every image whenever it is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shapes, "read", drawing)
        yield
