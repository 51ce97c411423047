from django.contrib import admin

from .models import Profile, Program, StudentInfo

admin.site.register([Program, StudentInfo, Profile])
