"""Public pages. Include them at the root: `path("", include("dbmail.urls"))`."""

from django.urls import path

from . import views
from .feedback.views import sendgrid_events
from .suppression.views import unsubscribe

app_name = "dbmail"
urlpatterns = [
    path("unsubscribe/<str:token>/", unsubscribe, name="unsubscribe"),
    path("events/sendgrid/", sendgrid_events, name="sendgrid_events"),
    path("email/<int:pk>", views.public, name="public"),
    path("email/<int:pk>/body", views.public_body, name="public_body"),
]
