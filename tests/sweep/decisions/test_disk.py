"""What runs take on the disk, and whether one more may start."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sweep.decisions.disk import RESERVE, RunBytes, estimate, lacking, readable, run_bytes

BYTES = st.integers(0, 10**12)


def test_a_run_takes_its_files_their_copies_and_one_checkpoint_more_while_it_is_written() -> None:
    found = run_bytes(100, 300, 50, 0, copied=True, registered=False)
    assert found == RunBytes(kept=100 + 300 + 50 + 100 + 50, peak=600 + 300)
    elsewhere = run_bytes(100, 300, 50, 0, copied=False, registered=True)
    assert elsewhere == RunBytes(kept=450, peak=750)


def test_the_last_checkpoint_holds_the_optimisers_state() -> None:
    found = estimate(1000, 32, 0, 0, copied=False, registered=False)
    assert found.kept == 4 * 1000 + 3 * 4 * 1000


@given(BYTES, BYTES, st.lists(st.tuples(BYTES, BYTES), max_size=3))
def test_a_run_may_start_if_all_runs_and_the_reserve_fit(
    free: int, peak: int, running: list[tuple[int, int]]
) -> None:
    need = RunBytes(peak, peak)
    runs = [(RunBytes(most, most), written) for most, written in running]
    missing = lacking(free, need, runs)
    assert missing >= 0
    assert lacking(free + missing, need, runs) == 0
    if missing:
        assert lacking(free + missing - 1, need, runs) == 1


def test_a_run_that_wrote_more_than_expected_frees_nothing() -> None:
    assert lacking(RESERVE, RunBytes(0, 0), [(RunBytes(5, 5), 50)]) == 0


def test_bytes_are_readable() -> None:
    assert [readable(n) for n in (12, 1_234, 98_765_432, 5e12)] == [
        "12 bytes",
        "1.2 kB",
        "98.8 MB",
        "5.0 TB",
    ]
