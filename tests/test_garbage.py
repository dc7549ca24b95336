from __future__ import annotations

import gc

import pytest

from uvtex.garbage import uncollected


@pytest.mark.parametrize("on", [True, False])
def test_the_search_for_cycles_is_as_before_also_after_an_error(on: bool) -> None:
    seen = []

    @uncollected()
    def fail() -> None:
        seen.append(gc.isenabled())
        raise ValueError("inside")

    was_on = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        with pytest.raises(ValueError, match="inside"):
            fail()
        assert seen == [False]
        assert gc.isenabled() is on
    finally:
        (gc.enable if was_on else gc.disable)()
