"""The table as CSV: out and in again, and nothing half done."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from dbmail.models import Suppression
from dbmail.suppression.csv_file import BadFile, read
from dbmail.suppression.entries import suppress, suppressed

from ..builders import a_user


def rows():
    names = ("address", "scope", "reason", "source", "created_at", "expires_at", "created_by")
    return list(Suppression.objects.order_by("address", "scope").values_list(*names))


@pytest.mark.django_db
def test_what_is_exported_comes_back_the_same(tmp_path):
    joe = a_user("joe")
    sources = ['=HYPERLINK("http://evil.test")', "'=1", 'two\nlines, with "quotes"', "grüße; ☃", "-1", "'quoted'"]
    for number, source in enumerate(sources):
        suppress(f"n{number}@bücher.example", Suppression.Reason.BOUNCED, scope="news", source=source, by=joe)
    suppress("ann@example.org", Suppression.Reason.UNSUBSCRIBED)
    before = rows()
    file = tmp_path / "out.csv"
    call_command("dbmail_suppressions", "export", str(file))
    assert not any(line.startswith(("=", "-")) for line in file.read_text().replace(",", "\n").split("\n"))
    Suppression.objects.all().delete()
    call_command("dbmail_suppressions", "import", str(file))
    assert rows() == before


@pytest.mark.django_db
def test_every_bad_line_is_named_and_nothing_is_imported(tmp_path, capsys):
    file = tmp_path / "in.csv"
    file.write_text(
        "address,reason,expires_at\n"
        "good@example.org,,\n"
        "no address,,\n"
        '"multi\nline@example.org",,\n'
        "\n"
        "ann@example.org,angry,\n"
        "ann@example.org,manual,tomorrow\n"
        "ann@example.org,manual,,,,\n"
    )
    with pytest.raises(CommandError, match="5 bad lines; nothing was imported"):
        call_command("dbmail_suppressions", "import", str(file))
    errors = capsys.readouterr().err
    for line in (3, 4, 7, 8, 9):
        assert f"Line {line}: " in errors
    assert not Suppression.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text",
    [
        "address\nann@example.org\n",
        "\ufeffaddress;scope\r\nANN@example.org;\r\n",
        "scope,address\n,ann@example.org",
    ],
)
def test_spreadsheets_of_every_kind_are_read(tmp_path, text):
    file = tmp_path / "in.csv"
    file.write_text(text, encoding="utf-8")
    call_command("dbmail_suppressions", "import", str(file), "--dry-run")
    assert not Suppression.objects.exists()
    call_command("dbmail_suppressions", "import", str(file))
    assert suppressed(["ann@example.org"]) == {"ann@example.org": "manual"}


@pytest.mark.parametrize(
    "text", ["", "ann@example.org\n", "address,mood\nann@example.org,good", "address,address\na@b.org,a@b.org"]
)
def test_a_file_without_a_usable_header_is_refused(text):
    with pytest.raises(BadFile, match="Line 1: "):
        read(text)


@given(st.text())
def test_any_text_is_read_or_refused_with_lines(text):
    try:
        read("address,source\n" + text)
    except BadFile as error:
        assert error.lines and all(line.line > 0 for line in error.lines)


@pytest.mark.django_db
def test_a_file_that_is_not_there_or_not_utf8_says_so(tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("dbmail_suppressions", "import", str(tmp_path / "none.csv"))
    (tmp_path / "latin.csv").write_bytes(b"address,source\nann@example.org,gr\xfc\xdfe\n")
    with pytest.raises(CommandError, match="not UTF-8"):
        call_command("dbmail_suppressions", "import", str(tmp_path / "latin.csv"))


@pytest.mark.django_db
def test_an_entry_that_has_ended_is_exported_with_its_end_and_lifted_with_a_reason():
    Suppression.objects.create(
        address="ann@example.org", reason="bounced", expires_at=timezone.now() - timedelta(days=1)
    )
    suppress("bob@example.org", Suppression.Reason.MANUAL)
    out = io.StringIO()
    call_command("dbmail_suppressions", "export", stdout=out)
    assert out.getvalue().count("\n") == 3
    with pytest.raises(CommandError, match="not left out"):
        call_command("dbmail_suppressions", "lift", "ann@example.org", "--because", "x")
    call_command("dbmail_suppressions", "lift", "Bob@example.org", "--because", "He asked", "--by", "joe")
    assert suppressed(["bob@example.org"]) == {}
