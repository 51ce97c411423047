import socket
import threading
from email.utils import formatdate
from time import time

import pytest

from dbmail.dns.errors import NotConfigured
from dbmail.domains.errors import AccessDenied, NotFound, OutcomeUnknown, ServiceError, Unavailable, WrongKey
from dbmail.domains.http import Api

from .services import GandiService

KEY = GandiService.key


@pytest.fixture
def service():
    service = GandiService()
    service.zones["example.org"] = {}
    yield service
    service.stop()


def api(url: str, pauses: list[float], **options) -> Api:
    options = {"key": KEY, "explain": lambda body: body["message"], "timeout": 5, **options}
    return Api("Gandi", url, options.pop("key"), sleep=pauses.append, **options)


def test_a_documented_answer_comes_back_decoded(service: GandiService) -> None:
    answer = api(service.url, []).request("GET", "/domains/example.org")
    assert answer["fqdn"] == "example.org"


def test_pauses_grow_with_each_try(service: GandiService) -> None:
    service.faults += [("GET", 503, {})] * 5
    pauses: list[float] = []
    with pytest.raises(Unavailable, match="failed 5 times"):
        api(service.url, pauses).request("GET", "/domains/example.org")
    assert [low <= pause <= 2 * low for low, pause in zip((0.5, 1, 2, 4), pauses, strict=True)] == [True] * 4


def test_retry_after_is_honoured_in_seconds_and_as_a_date(service: GandiService) -> None:
    date = formatdate(time() + 60, usegmt=True)
    reset = str(int(time()) + 30)
    service.faults += [
        ("GET", 429, {"Retry-After": "17"}),
        ("GET", 429, {"Retry-After": date}),
        ("GET", 429, {"X-RateLimit-Reset": reset}),
        ("GET", 503, {"Retry-After": "soon"}),
    ]
    pauses: list[float] = []
    assert api(service.url, pauses).request("GET", "/domains/example.org")["fqdn"] == "example.org"
    assert [round(pauses[0]), 50 < pauses[1] <= 60, 20 < pauses[2] <= 30, pauses[3] <= 8] == [17, True, True, True]


def test_a_wait_of_hours_is_not_waited(service: GandiService) -> None:
    service.faults.append(("GET", 429, {"Retry-After": "7200"}))
    pauses: list[float] = []
    with pytest.raises(Unavailable, match="asks to wait 7200 seconds"):
        api(service.url, pauses).request("GET", "/domains/example.org")
    assert pauses == []


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, ServiceError), (401, WrongKey), (403, AccessDenied), (404, NotFound), (302, ServiceError)],
)
def test_refusals_are_not_repeated_and_keep_the_services_words(
    service: GandiService, status: int, error: type[ServiceError]
) -> None:
    service.faults.append(("GET", status, {"Location": "/elsewhere"}))
    with pytest.raises(error) as caught:
        api(service.url, []).request("GET", "/domains/example.org")
    assert caught.value.status == status
    assert status == 302 or "out of order" in str(caught.value)
    assert len(service.seen) == 1  # the key went nowhere else


def test_no_error_shows_the_key_even_if_the_service_does(service: GandiService) -> None:
    with pytest.raises(WrongKey) as caught:
        api(service.url, [], key="other-KEY").request("GET", "/domains/example.org")
    assert "not valid" in str(caught.value)
    assert "other-KEY" not in f"{caught.value!r} {caught.value.__cause__!r} {api(service.url, [], key='other-KEY')!r}"


@pytest.mark.parametrize("status", [0, 500, 504])
def test_what_is_not_safe_to_repeat_is_not_repeated(service: GandiService, status: int) -> None:
    service.faults.append(("POST", status, {}))
    with pytest.raises(OutcomeUnknown):
        api(service.url, []).request("POST", "/domains/example.org/records/a/TXT", body={}, safe=False)
    assert len(service.seen) == 1


def test_429_is_safe_to_repeat_always(service: GandiService) -> None:
    service.faults.append(("POST", 429, {}))
    body = {"rrset_values": ['"a"']}
    answer = api(service.url, []).request("POST", "/domains/example.org/records/a/TXT", body=body, safe=False)
    assert answer["message"] == "DNS Record Created"


def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    pauses: list[float] = []
    with pytest.raises(Unavailable, match="Connection refused"):
        api(url, pauses).request("POST", "/x", body={}, safe=False)
    assert len(pauses) == 4


def test_silence_is_a_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unavailable, match="no answer in time"):
        api(f"http://127.0.0.1:{silent.getsockname()[1]}", [], timeout=0.05, tries=2).request("GET", "/x")


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<html></h",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\xff\xfe{}x",
    ],
)
def test_what_is_not_json_is_said_to_be_so(content: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(content)
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(ServiceError, match="not JSON"):
            api(f"http://127.0.0.1:{server.getsockname()[1]}", []).request("GET", "/x")


@pytest.mark.parametrize("content", [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", b""])
def test_garbage_and_halves_of_answers_are_no_answer(content: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                connection.recv(65536)
                connection.sendall(content)
                connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(Unavailable, match="failed 2 times"):
            api(f"http://127.0.0.1:{server.getsockname()[1]}", [], tries=2).request("GET", "/x")


@pytest.mark.parametrize("url", ["http://example.org", "ftp://127.0.0.1", "file:///etc/passwd", "example.org", ""])
def test_the_key_goes_over_tls_or_nowhere(url: str) -> None:
    with pytest.raises(NotConfigured):
        api(url, [])


@pytest.mark.parametrize("key", ["", " ", "a b", "a\nb", "ключ", "a\x00"])
def test_a_key_that_is_none_is_refused_unseen(key: str) -> None:
    with pytest.raises(NotConfigured) as caught:
        api("https://example.org", [], key=key)
    assert not key.strip() or key not in str(caught.value)
