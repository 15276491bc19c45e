"""Admission by free capacity, corrected by measurements."""

from hypothesis import given
from hypothesis import strategies as st
from nexus_jobs import Capacity
from nexus_jobs.core.admission import MAX_FACTOR, Admission
from nexus_jobs.metrics import OUTCOMES, outcome_label

TOTAL = Capacity(1_000, 1_000, 1_000)
ONE = Capacity(100, 100, 100)
MINUTES_MS = 60_000
AMOUNTS = st.builds(Capacity, *[st.integers(0, 2_000)] * 3)


def running(declared: Capacity, jobs: int = 1) -> Admission:
    admission = Admission(TOTAL)
    for number in range(jobs):
        admission.start(f"j{number}", "record", "small", declared, 0)
    return admission


def test_jobs_are_admitted_until_one_resource_is_used_up() -> None:
    admission = running(Capacity(10, 600, 10))
    assert admission.admits("record", "small", Capacity(900, 400, 900))
    assert not admission.admits("record", "small", Capacity(10, 401, 10))
    admission.end("j0")
    assert admission.free() == TOTAL


def test_an_idle_replica_admits_what_it_could_run_at_all() -> None:
    admission = running(ONE)
    for minute in range(1, 30):
        admission.measure("j0", Capacity(900, 100, 100), minute * MINUTES_MS)
    assert not admission.admits("record", "small", Capacity(500))
    admission.end("j0")
    assert admission.admits("record", "small", Capacity(500))
    assert not admission.admits("record", "small", Capacity(1_001))


def test_a_job_counts_at_once_with_what_it_uses() -> None:
    admission = running(ONE)
    admission.measure("j0", Capacity(700, 50, 100), 1)
    assert admission.reserved().cpu_millicores == 700
    assert admission.reserved().memory_bytes == 100


def test_measurements_correct_later_declarations_of_the_class_only() -> None:
    admission = running(ONE)
    for minute in range(1, 10):
        admission.measure("j0", Capacity(50, 200, 100), minute * MINUTES_MS)
    expected = admission.expected("record", "small", ONE)
    assert 50 <= expected.cpu_millicores <= 52
    assert 198 <= expected.memory_bytes <= 200
    assert expected.spool_bytes == 100
    assert admission.expected("record", "large", ONE) == ONE
    assert admission.expected("finish", "small", ONE) == ONE


def test_one_bad_measurement_does_not_block_a_class() -> None:
    admission = running(ONE)
    admission.measure("j0", Capacity(10**9, 100, 100), 10 * MINUTES_MS)
    assert admission.expected("record", "small", ONE).cpu_millicores <= 100 * MAX_FACTOR


def test_frequent_measurements_weigh_as_much_as_rare_ones() -> None:
    often, rarely = running(ONE), running(ONE)
    for second in range(1, 121):
        often.measure("j0", Capacity(20, 20, 20), second * 1_000)
    rarely.measure("j0", Capacity(20, 20, 20), 120_000)
    one, other = (a.expected("record", "small", ONE).cpu_millicores for a in (often, rarely))
    assert abs(one - other) <= 1


def test_measurements_of_unknown_jobs_are_ignored() -> None:
    admission = running(ONE)
    admission.measure("ended", TOTAL, 1)
    assert admission.reserved() == ONE


def test_the_usage_of_a_process_is_divided_by_declaration() -> None:
    admission = Admission(TOTAL)
    admission.start("a", "record", "small", Capacity(100, 0, 10), 0)
    admission.start("b", "record", "small", Capacity(300, 0, 30), 0)
    shares = admission.apportion(Capacity(200, 500, 40))
    assert shares == {"a": Capacity(50, 0, 10), "b": Capacity(150, 0, 30)}
    assert Admission(TOTAL).apportion(TOTAL) == {}


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=6), AMOUNTS)
def test_reserved_is_never_below_what_is_used(jobs: list[tuple[Capacity, Capacity]], more: Capacity) -> None:
    admission, used = Admission(TOTAL), Capacity()
    for number, (declared, usage) in enumerate(jobs):
        admission.start(f"j{number}", "record", "small", declared, 0)
        admission.measure(f"j{number}", usage, 1_000 * number)
        used += usage
    assert used.fits_into(admission.reserved())
    assert admission.free().fits_into(TOTAL)
    if jobs and admission.admits("record", "small", more):
        assert admission.expected("record", "small", more).fits_into(admission.free())


def test_outcomes_of_a_kind_are_one_label() -> None:
    assert [outcome_label(code) for code in OUTCOMES] == list(OUTCOMES)
    assert outcome_label("STORAGE_REFUSED") == "FAILED"
