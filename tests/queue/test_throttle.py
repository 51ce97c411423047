"""Which mails may go now, and when the others come back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbmail.queue.throttle import HORIZON, Ask, Room, admit, room, slice_of
from dbmail.rates import Rate

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
MINUTE = Rate(20, timedelta(minutes=1))


def asks(number, *, queue=1, key="k", rate=MINUTE, first=0):
    return [Ask(first + n, queue, ((key, rate),)) for n in range(number)]


def test_as_many_go_as_there_is_room_for():
    decision = admit(asks(50), {}, NOW)
    assert decision.go == frozenset(range(20))
    assert sorted(decision.held) == list(range(20, 50))
    assert decision.counted == {"k": 20}


def test_what_went_within_the_window_counts_and_what_went_before_does_not():
    counts = {NOW - timedelta(seconds=50): 7, NOW - timedelta(seconds=70): 100}
    assert room(MINUTE, counts, NOW).free == 13


def test_one_more_may_go_when_the_oldest_has_left_the_window():
    counts = {NOW - timedelta(seconds=51): 5, NOW - timedelta(seconds=30): 15}
    now_full = room(MINUTE, counts, NOW)
    assert now_full.free == 0
    assert now_full.next_free == NOW + timedelta(seconds=12)  # 51 + 3 of its slice, after a minute
    assert room(MINUTE, counts, now_full.next_free).free == 5


def test_a_window_has_twenty_slices():
    slices = {slice_of(NOW + timedelta(seconds=n), MINUTE) for n in range(60)}
    assert sorted(slices) == [NOW + timedelta(seconds=3 * n) for n in range(20)]


def test_while_some_are_free_more_of_them_are_when_the_oldest_has_left():
    oldest = NOW - timedelta(seconds=51)
    assert room(MINUTE, {oldest: 1, NOW - timedelta(seconds=30): 14}, NOW) == Room(5, oldest + timedelta(seconds=63))


def test_where_nothing_went_the_first_that_go_now_have_to_leave_the_window():
    assert room(MINUTE, {}, NOW) == Room(20, NOW + timedelta(seconds=63))


@pytest.mark.parametrize("count", [10, 15, 19])
def test_a_lower_limit_counts_at_once(count):
    counts = {NOW - timedelta(seconds=51): 5, NOW - timedelta(seconds=30): 15}
    lower = room(Rate(count, timedelta(minutes=1)), counts, NOW)
    assert lower.free == 0
    assert room(Rate(count, timedelta(minutes=1)), counts, lower.next_free).free > 0


def test_what_is_held_comes_back_as_fast_as_the_limit_lets_it():
    held = admit(asks(1000), {}, NOW).held
    times = [held[n] for n in sorted(held)]
    assert times == sorted(times) and times[0] > NOW
    for start in times:
        assert sum(start <= at < start + MINUTE.window for at in times) <= MINUTE.count + 2
    assert timedelta(minutes=45) < times[-1] - NOW < timedelta(minutes=55)


def test_the_first_that_is_held_comes_back_as_soon_as_there_is_room():
    assert admit(asks(21), {}, NOW).held == {20: room(MINUTE, {}, NOW).next_free}


@pytest.mark.parametrize(("count", "together"), [(5, 1), (19, 1), (20, 2), (25, 2), (30, 3)])
def test_a_tenth_of_what_the_limit_allows_comes_back_together(count, together):
    rate = Rate(count, timedelta(minutes=1))
    held = admit(asks(count + 6 * together, rate=rate), {}, NOW).held
    waits = [held[n] - held[count] for n in sorted(held)]
    assert waits == [n // together * together * rate.window / count for n in range(6 * together)]


def test_the_next_plan_goes_on_where_this_one_ended():
    first = admit(asks(100), {}, NOW)
    end = room(MINUTE, {}, NOW).next_free + 80 * MINUTE.window / MINUTE.count
    assert first.booked == {("k", 1): end}
    full = {"k": {slice_of(NOW, MINUTE): 20}}
    assert admit(asks(1, first=100), full, NOW, first.booked).held == {100: end}
    assert admit(asks(1, queue=2, first=100), full, NOW, first.booked).held[100] < end


def test_where_a_limit_has_room_left_nothing_of_it_waits_any_more():
    later = NOW + timedelta(minutes=30)
    assert admit(asks(19), {}, NOW, {("k", 1): later}).booked == {}
    assert admit(asks(20), {}, NOW, {("k", 1): later}).booked == {("k", 1): later}
    assert admit(asks(19), {}, NOW, {("other", 1): later}).booked == {("other", 1): later}


def test_what_is_held_later_comes_back_after_what_was_held_before():
    first = admit(asks(100), {}, NOW)
    counts = {"k": {slice_of(NOW, MINUTE): 20}}
    second = admit(asks(100, first=100), counts, NOW, first.booked)
    assert not second.go
    assert min(second.held.values()) >= max(first.held.values())


def test_a_small_queue_does_not_come_back_behind_a_big_one():
    decision = admit([*asks(500, queue=1), *asks(10, queue=2, first=1000)], {}, NOW)
    assert sum(n >= 1000 for n in decision.go) == 10
    full = {"k": {slice_of(NOW, MINUTE): 20}}
    later = admit([*asks(500, queue=1), *asks(10, queue=2, first=1000)], full, NOW)
    assert max(at for n, at in later.held.items() if n >= 1000) < NOW + timedelta(minutes=2)


def test_mail_of_no_broadcast_comes_first():
    decision = admit([*asks(500, queue=1), *asks(5, queue=None, first=1000)], {}, NOW)
    assert {1000, 1001, 1002, 1003, 1004} < decision.go
    one_a_minute = Rate(1, timedelta(minutes=1))
    both = [*asks(1, queue=1, rate=one_a_minute), *asks(1, queue=None, rate=one_a_minute, first=1)]
    assert admit(both, {}, NOW).go == {1}


def test_nothing_is_put_off_for_longer_than_the_horizon():
    assert max(admit(asks(100_000), {}, NOW).held.values()) == NOW + HORIZON
    daily = Rate(20, timedelta(days=1))
    assert max(admit(asks(1000, rate=daily), {}, NOW).held.values()) == NOW + 2 * daily.window


def test_a_mail_goes_only_if_all_its_limits_have_room():
    slow, fast = ("slow", Rate(1, timedelta(hours=1))), ("fast", Rate(10, timedelta(seconds=1)))
    mails = [Ask(n, 1, (slow, fast)) for n in range(5)] + [Ask(n, 1, (fast,)) for n in range(5, 20)]
    decision = admit(mails, {}, NOW)
    assert decision.counted == {"slow": 1, "fast": 10}
    assert decision.go == {0, *range(5, 14)}
    assert decision.held[1] > NOW + timedelta(minutes=59)
    assert decision.held[19] < NOW + timedelta(seconds=3)


def test_mails_without_a_limit_go():
    assert admit([Ask(1, None, ())], {}, NOW).go == {1}


def test_a_count_from_a_clock_that_was_an_hour_ahead_holds_nobody_up():
    assert room(MINUTE, {NOW + timedelta(hours=1): 20}, NOW).free == 20
    assert room(MINUTE, {NOW + MINUTE.window: 20}, NOW).free == 20
    assert room(MINUTE, {NOW + timedelta(seconds=5): 20}, NOW).free == 0  # two hosts' clocks differ a little


@given(
    count=st.integers(1, 30),
    seconds=st.sampled_from([1, 7, 60, 3600]),
    steps=st.lists(st.tuples(st.floats(0, 1.5), st.integers(1, 40)), max_size=40),
)
def test_no_stretch_of_time_as_long_as_the_window_sees_more_than_allowed(count, seconds, steps):
    rate = Rate(count, timedelta(seconds=seconds))
    now, counts, went = NOW, {}, []
    for pause, wanted in steps:
        now += pause * rate.window
        decision = admit(asks(wanted, rate=rate), {"k": counts}, now)
        assert all(now < at for at in decision.held.values())
        assert len(decision.go) + len(decision.held) == wanted
        went += [now] * len(decision.go)
        at = slice_of(now, rate)
        counts[at] = counts.get(at, 0) + decision.counted.get("k", 0)
        if decision.held:  # and the first of those held can go when it asks again
            assert room(rate, counts, min(decision.held.values())).free > 0
    for start in went:
        assert sum(start <= at < start + rate.window for at in went) <= count
