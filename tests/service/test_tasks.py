"""The tasks as functions, and as django.tasks has them. With Celery: e2e/test_celery.py."""

import subprocess
import sys
from itertools import count
from types import SimpleNamespace

import django
import pytest
from django.utils import timezone

from dbmail.models import MessageRequest, TextOfEmail
from dbmail.service import work

from ..builders import a_mail, a_request, a_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def audience(chunks_of, batches_of):
    chunks_of(2)
    batches_of(2)
    for n in range(6):
        a_user(f"u{n}")


def test_a_turn_ends_in_time_and_says_that_there_is_more(audience):
    request = a_request()
    made = []
    assert work.process_request(request.pk, lambda: made.append(1), seconds=0) is True
    assert TextOfEmail.objects.count() == 2
    request.refresh_from_db()
    assert request.claimed_by == ""
    while work.process_request(request.pk, lambda: made.append(1), seconds=0):
        pass
    assert TextOfEmail.objects.count() == 6 and len(made) == 3
    request.refresh_from_db()
    assert request.processed


def test_a_turn_of_delivery_ends_in_time_and_gives_the_rest_back(relay, monkeypatch):
    clock = count()  # a second passes whenever a turn looks at it
    monkeypatch.setattr(work, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    for n in range(20):
        a_mail(f"u{n}@example.org")
    turns = 1
    while work.deliver_batch(seconds=5):
        turns += 1
        assert not TextOfEmail.objects.filter(state="sending").exists()
    assert sorted(relay.recipients()) == sorted(f"u{n}@example.org" for n in range(20))
    assert 1 < turns < 20


@pytest.mark.parametrize("state", ["draft", "paused", "cancelled", "failed", "done"])
def test_a_task_about_a_broadcast_that_is_not_due_does_nothing(audience, state):
    request = a_request(state=state)
    assert work.process_request(request.pk) is False
    assert work.process_request(request.pk + 1) is False
    assert work.process_request(a_request(processed_by=timezone.now() + timezone.timedelta(hours=1)).pk) is False
    assert not TextOfEmail.objects.exists()


def test_a_broadcast_that_fails_is_no_failure_of_the_task(audience, relay):
    request = a_request(msgtext="{% nonsense %}")
    assert work.process_request(request.pk) is False
    request.refresh_from_db()
    assert request.state == MessageRequest.State.FAILED


def test_a_relay_that_is_down_is_no_failure_of_the_task_and_no_reason_to_hurry(use_mailer, caplog):
    use_mailer("dbmail.models.CustomSMTPBackend", host="127.0.0.1", port=1)
    a_mail()
    assert work.deliver_batch() is False
    assert "Mail waits" in caplog.text
    assert TextOfEmail.objects.get().state == TextOfEmail.State.QUEUED


def test_dispatch_starts_what_is_due(audience):
    requests = [a_request(), a_request()]
    a_request(state=MessageRequest.State.DRAFT)
    started = []
    work.dispatch(started.append, lambda: started.append("deliver"))
    assert started == [*(request.pk for request in requests), "deliver"]


@pytest.mark.parametrize(
    ("module", "absent", "hint"),
    [("on_celery", "celery", "pip install 'dbmail[celery]'"), ("on_django", "django.tasks", "needs Django 6.0")],
)
def test_a_queue_that_is_not_installed_is_a_clear_message(module, absent, hint):
    code = f"import sys; sys.modules[{absent!r}] = None; import dbmail.tasks.{module}"
    script = f"import django; django.setup(); {code}"  # pytest has set DJANGO_SETTINGS_MODULE
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)  # noqa: S603
    assert ended.returncode == 1
    assert hint in ended.stderr.splitlines()[-1]


if django.VERSION >= (6, 0):

    def test_django_s_tasks_do_the_whole_job(audience, relay, settings):
        settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}
        from dbmail.tasks import on_django

        request = a_request()
        a_mail("by-hand@example.org")
        result = on_django.dispatch.enqueue()
        assert result.status == "SUCCESSFUL"
        request.refresh_from_db()
        assert request.state == MessageRequest.State.DONE
        assert sorted(relay.recipients()) == ["by-hand@example.org", *(f"u{n}@example.org" for n in range(6))]
