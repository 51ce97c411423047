"""The page behind List-Unsubscribe (RFC 8058): GET shows, POST acts, neither needs cookies or a login."""

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from ..conf import config
from ..exceptions import InvalidToken
from ..models.suppression import Suppression
from .preferences import choose, preferences, start_again, stop
from .tokens import Subscription, read

#: The Content-Security-Policy of the page: no scripts, and nothing from elsewhere.
_POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


@login_not_required
@csrf_exempt  # a mailbox provider posts without cookies; the signed token in the path is the authority
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Unsubscribes the token's address from the token's scope on POST, unless the form names another `action`.

    A provider's one-click POST (`List-Unsubscribe=One-Click`) and the page's own form act alike.
    """
    try:
        subscription = read(token)
    except InvalidToken as error:
        return _page(request, {"problem": str(error)}, status=404)
    done = _act(subscription, request) if request.method == "POST" else ""
    return _page(request, {"done": done, "it": preferences(*subscription)})


def _act(subscription: Subscription, request: HttpRequest) -> str:
    """Do what the form's `action` asks (undo, again, all, save; without one: unsubscribe); returns what was done."""
    address, scope = subscription
    action = request.POST.get("action")
    if action in ("undo", "again"):
        return "undone" if start_again(address, scope if action == "undo" else Suppression.ALL) else ""
    if action == "save":
        choose(address, request.POST.getlist("category"))
        return "saved"
    stop(address, Suppression.ALL if action == "all" else scope)
    return "unsubscribed"


def _page(request: HttpRequest, context: dict[str, Any], status: int = 200) -> HttpResponse:
    context["support"] = config().support
    response = render(request, "dbmail/unsubscribe.html", context, status=status)
    response["Content-Security-Policy"] = _POLICY
    response["Referrer-Policy"] = "no-referrer"  # the address of the page is a key
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response
