"""Which mail may be handed to a connection next."""

import itertools
from datetime import timedelta

import pytest

from dbmail.delivery.smtp import Reply, Stage
from dbmail.models import TextOfEmail
from dbmail.queue import waiting as module
from dbmail.queue.waiting import Waiting, domain_of

OK, LOST = Reply(250, "2.0.0 OK", Stage.END), Reply(0, "timed out", Stage.RCPT)
numbers = itertools.count(1)


class Clock:
    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def mail(domain):
    return TextOfEmail(pk=next(numbers), address=f"x@{domain}")


def waiting(*domains, connections=4):
    line = Waiting(connections, timedelta(minutes=20))
    for domain in domains:
        line.extend([mail(domain)])
    return line


def handed(line):
    jobs = []
    while (one := line.next()) is not None:
        jobs.append(one)
    return jobs


def test_a_domain_that_has_not_answered_yet_gets_half_of_the_connections(clock):
    line = waiting(*["a"] * 6, *["b"] * 6)
    assert [domain_of(one) for one in handed(line)] == ["a", "a", "b", "b"]
    assert len(line) == len(list(line)) == 8


def test_a_domain_that_answered_quickly_gets_them_all(clock):
    line = waiting(*["a"] * 20)
    first, _ = handed(line)
    line.ended(first, OK)
    assert len(handed(line)) == 18


def test_a_slow_domain_gets_half_for_as_long_as_it_is_slow(clock):
    line = waiting(*["a"] * 20)
    first, second = handed(line)
    clock.now += 6
    line.ended(first, OK)
    (third,) = handed(line)
    line.ended(second, OK)
    (_,) = handed(line)
    clock.now += 1
    line.ended(third, OK)
    assert len(handed(line)) == 16


def test_mails_of_a_domain_keep_their_order(clock):
    line = waiting(*["a"] * 10, "b", *["a"] * 3)
    order, under_way = [], handed(line)
    while under_way:
        order += under_way
        for one in under_way:
            line.ended(one, OK)
        under_way = handed(line)
    mine = [one.pk for one in order if domain_of(one) == "a"]
    assert mine == sorted(mine) and len(order) == 14 and len(line) == 0


def test_a_domain_that_broke_off_twice_gets_nothing_for_a_while(clock):
    line = waiting(*["a"] * 5, "b")
    first, second, _ = handed(line)
    line.ended(first, LOST)
    assert line.shut_out() == []
    line.ended(second, LOST)
    assert [domain_of(one) for one in line.shut_out()] == ["a"] * 3
    assert len(line) == 0
    line.extend([mail("a")])
    assert len(line.shut_out()) == 1
    clock.now += 21 * 60
    line.extend([mail("a")])
    assert line.shut_out() == []
    (again,) = handed(line)
    line.ended(again, LOST)
    line.extend([mail("a")])
    assert len(line.shut_out()) == 1


def test_one_that_was_not_begun_is_first_again(clock):
    line = waiting("a", "a", "b")
    first = line.next()
    line.back(first)
    assert line.next() is first


def test_a_domain_that_answers_after_all_is_open_again(clock):
    line = waiting(*["a"] * 9)
    one, two = handed(line)
    line.ended(one, LOST)
    (three,) = handed(line)
    line.ended(two, LOST)
    line.ended(three, OK)
    assert line.shut_out() == [] and len(handed(line)) == 6
    clock.now += 30 * 60
    assert line.shut_out() == []


def test_one_that_never_reached_the_relay_makes_room(clock):
    line = waiting("a", "a", connections=1)
    line.dropped(line.next())
    assert line.next() is not None


def test_nothing_is_kept_of_domains_that_gave_no_trouble(clock):
    line = waiting(*[f"d{n}" for n in range(1000)])
    for one in handed(line):
        line.ended(one, OK)
    assert line._domains == {}


def test_clearing_forgets_all_that_waits(clock):
    line = waiting(*["a"] * 9)
    for one in handed(line):
        line.ended(one, LOST if one.pk % 2 else OK)
    line.clear()
    assert (len(line), list(line), line.next()) == (0, [], None)
