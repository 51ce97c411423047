"""The admin, and dbmail's public pages."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("", include("dbmail.urls"))]
