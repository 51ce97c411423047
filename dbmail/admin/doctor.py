"""The doctor's page: what it found, what to do, what to publish in DNS, and a button to run it again."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..dns.errors import DomainsError
from ..dns.sentence import parts
from ..doctor.checks import alignment, bulk_senders, dkim, dmarc, mx, spf
from ..doctor.finding import Level
from ..doctor.gather import Patience
from ..doctor.project import examine_project, keep
from ..exceptions import DbmailError
from ..models import DoctorReport
from .permissions import ReadOnly, may_run_doctor, may_see_doctor

#: The most seconds that a person waits for the whole examination; web servers allow a request about thirty.
WAIT = 20
#: The most seconds for one server.
WAIT_EACH = 5
#: Checks whose findings are shown with the domain that they are about.
_OF_A_DOMAIN = {mx.NAME, spf.NAME, dkim.NAME, dmarc.NAME, alignment.NAME}
#: Level of a finding -> the word for it.
_WORDS = {
    Level.OK: gettext_lazy("in order"),
    Level.WARNING: gettext_lazy("warning"),
    Level.FAILURE: gettext_lazy("failure"),
}


@dataclass(frozen=True, slots=True)
class Group:
    """The findings about one domain, the site, or the big providers' rules, the worst first."""

    title: str
    #: That of the worst finding.
    level: Level
    level_word: Any
    #: Findings that are open on the page.
    shown: list[dict[str, Any]]
    #: Findings about which nothing has to be done: folded away.
    folded: list[dict[str, Any]]
    #: Whether it is shown whole, with nothing folded away.
    is_checklist: bool = False


@admin.register(DoctorReport)
class DoctorAdmin(ReadOnly, admin.ModelAdmin):
    @non_atomic_requests  # it asks our own site, which answers in a transaction of its own
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._run(request)
        report = DoctorReport.objects.select_related("by").first()
        findings = [_shown(finding) for finding in report.findings] if report else []
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Does our mail arrive?"),
            "report": report,
            "counts": _in_words(findings),
            "groups": list(_groups(findings)),
            "wait": WAIT,
            "may_run": may_run_doctor(request.user),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/dbmail/doctorreport/page.html", context)

    def _run(self, request: HttpRequest) -> HttpResponse:
        if not may_run_doctor(request.user):
            raise PermissionDenied
        try:
            findings = examine_project(patience=Patience(WAIT, WAIT_EACH))
        except (DbmailError, DomainsError) as error:
            messages.error(request, _said(error))
        else:
            report = keep(findings, by=request.user)
            self.log_change(request, report, _("Looked: %(found)s.") % {"found": _in_words(report.findings)})
        return redirect("admin:dbmail_doctorreport_changelist")

    def change_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        """Where the admin's list of recent actions leads."""
        return redirect("admin:dbmail_doctorreport_changelist")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_see_doctor(request.user)


def _in_words(findings: Iterable[dict[str, Any]]) -> str:
    levels = [finding["level"] for finding in findings]
    failures, warnings, fine = (levels.count(level) for level in (Level.FAILURE, Level.WARNING, Level.OK))
    parts = (
        ngettext("%(n)d failure", "%(n)d failures", failures) % {"n": failures},
        ngettext("%(n)d warning", "%(n)d warnings", warnings) % {"n": warnings},
        _("%(n)d in order") % {"n": fine},
    )
    return ", ".join(parts)


def _shown(finding: dict[str, Any]) -> dict[str, Any]:
    """A stored finding in the reader's language, its DNS record split into what a registrar's form asks for."""
    name = finding["check"]
    # Findings that an earlier version kept have English strings only.
    words = {**finding, **{key: translated(each) for key, each in finding.get("sentences", {}).items()}}
    return {
        **finding,
        "level_word": _WORDS[Level(finding["level"])],
        "check_word": name.upper() if len(name) < 6 else capfirst(words["check"]),
        "about_word": words["about"],
        "title": words["title"],
        "advice": words["advice"],
        "record": _record(finding["record"]) if finding["record"] else None,
    }


def translated(value: Any) -> Any:
    """A sentence that `dns.sentence.parts` took apart, in the reader's language; any other value as it is."""
    if not isinstance(value, dict):
        return value
    text = _(value["text"])
    return text % {name: translated(each) for name, each in value["values"].items()} if value["values"] else text


def _said(error: DbmailError | DomainsError) -> str:
    return str(translated(parts(error.sentence))) if isinstance(error, DomainsError) else str(error)


def _record(line: str) -> dict[str, str]:
    """The parts of a line of a zone file: `NAME. IN TYPE VALUE`."""
    name, _class, kind, value = line.split(" ", 3)
    return {"line": line, "name": name.rstrip("."), "type": kind, "value": value}


def _groups(findings: list[dict[str, Any]]) -> Iterable[Group]:
    domains = dict.fromkeys(finding["about"] for finding in findings if finding["check"] in _OF_A_DOMAIN)
    rules = [finding for finding in findings if finding["check"] == bulk_senders.NAME]
    rest = [finding for finding in findings if finding not in rules]
    for domain in domains:
        yield from _group(domain, [finding for finding in rest if _domain(finding) == domain])
    yield from _group(_("This site and its mail server"), [f for f in rest if _domain(f) not in domains])
    yield from _group(_("Gmail's and Yahoo's rules for who sends much"), rules, is_checklist=True)


def _domain(finding: dict[str, Any]) -> str:
    return str(finding["about"]).rpartition("@")[2]


def _group(title: str, findings: list[dict[str, Any]], *, is_checklist: bool = False) -> Iterable[Group]:
    if findings:
        order = {level.value: level.exit_code for level in Level}
        ordered = sorted(findings, key=lambda finding: -order[finding["level"]])
        worst = Level(ordered[0]["level"])
        folded = [] if is_checklist else [finding for finding in ordered if finding["level"] == Level.OK]
        shown = [finding for finding in ordered if finding not in folded]
        yield Group(title, worst, _WORDS[worst], shown, folded, is_checklist)
