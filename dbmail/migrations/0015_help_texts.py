"""Help texts and the words of states, said anew: no table changes."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import dbmail.conf


class Migration(migrations.Migration):
    dependencies = [
        ("dbmail", "0014_taken_up"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="draftchange",
            name="what",
            field=models.CharField(
                blank=True,
                default="",
                help_text="The names of the changed fields, with commas between them.",
                max_length=255,
            ),
        ),
        migrations.AlterField(
            model_name="emaillist",
            name="cc_all",
            field=models.BooleanField(
                default=False,
                help_text="Send one message that names all recipients, instead of one to each.",
                verbose_name="one message to all",
            ),
        ),
        migrations.AlterField(
            model_name="emaillist",
            name="from_email",
            field=models.CharField(
                blank=True,
                default="",
                help_text="The address that recipients see as From, instead of the list's.",
                max_length=512,
                verbose_name="From",
            ),
        ),
        migrations.AlterField(
            model_name="emaillist",
            name="handler",
            field=models.CharField(
                help_text="What finds the recipients: ClassList, SectionList, PlainList, UserEmail, or the dotted path of a class of your own.",
                max_length=128,
                verbose_name="handler",
            ),
        ),
        migrations.AlterField(
            model_name="emaillist",
            name="regex",
            field=models.CharField(
                help_text="Compared with the part of the address before the @, or with the whole address if the expression contains an @. ^(.*)$ matches everything.",
                max_length=512,
                verbose_name="regular expression",
            ),
        ),
        migrations.AlterField(
            model_name="emaillist",
            name="seq",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Rules with smaller numbers are tried first. If empty: after the last rule.",
                verbose_name="sequence",
            ),
        ),
        migrations.AlterField(
            model_name="emaillist",
            name="who_may_post",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "as its handler says: staff for lists with students, anyone for the others"),
                    ("anyone", "anyone"),
                    ("registered", "registered users"),
                    ("members", "the list's members, its teachers and staff"),
                    ("staff", "staff, and the teachers of a class list"),
                    ("nobody", "nobody: each message waits for a moderator"),
                ],
                default="",
                help_text="A sender is believed only if our own mail server confirms the From address; other mail waits for a moderator.",
                max_length=16,
                verbose_name="who may post",
            ),
        ),
        migrations.AlterField(
            model_name="heartbeat",
            name="at",
            field=models.DateTimeField(
                help_text="When this row was last written: every minute while a pass runs, and when it ends."
            ),
        ),
        migrations.AlterField(
            model_name="heartbeat",
            name="trouble",
            field=models.TextField(
                blank=True, default="", help_text="Why the last pass could not send everything; empty if it could."
            ),
        ),
        migrations.AlterField(
            model_name="incomingmessage",
            name="author",
            field=models.CharField(
                blank=True,
                default="",
                help_text="The From address as the message states it; it may be forged.",
                max_length=320,
                verbose_name="From",
            ),
        ),
        migrations.AlterField(
            model_name="incomingmessage",
            name="emaillist",
            field=models.ForeignKey(
                blank=True,
                help_text="The rule that took it.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                to="dbmail.emaillist",
                verbose_name="rule",
            ),
        ),
        migrations.AlterField(
            model_name="incomingmessage",
            name="exit_code",
            field=models.PositiveSmallIntegerField(
                default=75,
                help_text="The exit code that told the mail server what to do; the same if the message comes again.",
                verbose_name="exit code",
            ),
        ),
        migrations.AlterField(
            model_name="incomingmessage",
            name="matched",
            field=models.CharField(
                blank=True,
                default="",
                help_text="The address that the rule matched: the recipient, without +tag if the rule knows the address only so.",
                max_length=320,
                verbose_name="matched",
            ),
        ),
        migrations.AlterField(
            model_name="incomingmessage",
            name="queue_id",
            field=models.CharField(
                blank=True,
                default="",
                help_text="The mail server's own number for the message.",
                max_length=64,
                verbose_name="queue id",
            ),
        ),
        migrations.AlterField(
            model_name="incomingmessage",
            name="raw",
            field=models.BinaryField(
                help_text="The message as it came, byte for byte; emptied when old messages are cleared away."
            ),
        ),
        migrations.AlterField(
            model_name="incomingmessage",
            name="recipient",
            field=models.CharField(
                help_text="The address that the mail server gave it to us for, lower-case, the domain in ASCII.",
                max_length=320,
                verbose_name="recipient",
            ),
        ),
        migrations.AlterField(
            model_name="incomingmessage",
            name="sender",
            field=models.CharField(
                blank=True,
                default="",
                help_text="The address that bounces go to. Empty if the message is itself a bounce.",
                max_length=320,
                verbose_name="envelope sender",
            ),
        ),
        migrations.AlterField(
            model_name="incomingmessage",
            name="state",
            field=models.CharField(
                choices=[
                    ("received", "received: stored, nothing decided yet; the mail server tries again"),
                    ("handled", "handled: copies of it were queued, or it was a delivery report and was noted"),
                    ("held", "held: waits for a moderator"),
                    ("rejected", "rejected: the mail server was told to refuse it"),
                    ("dropped", "dropped: accepted but not passed on (a loop, an automatic reply)"),
                    ("failed", "failed: an error on our side; the mail server tries again"),
                ],
                default="received",
                max_length=10,
                verbose_name="state",
            ),
        ),
        migrations.AlterField(
            model_name="mailevent",
            name="address",
            field=models.CharField(
                help_text="Lower-case, the domain in ASCII.", max_length=320, verbose_name="address"
            ),
        ),
        migrations.AlterField(
            model_name="mailevent",
            name="event_id",
            field=models.CharField(
                blank=True,
                help_text="The provider's own number of this event, so that it is kept only once; empty for a report by mail.",
                max_length=255,
                null=True,
                unique=True,
            ),
        ),
        migrations.AlterField(
            model_name="mailevent",
            name="is_hard",
            field=models.BooleanField(
                default=False,
                help_text="The address will not work again, so it is left out of further mail.",
                verbose_name="for good",
            ),
        ),
        migrations.AlterField(
            model_name="mailevent",
            name="raw",
            field=models.JSONField(blank=True, help_text="All that the provider told us about the event.", null=True),
        ),
        migrations.AlterField(
            model_name="mailevent",
            name="source",
            field=models.CharField(
                help_text="Who told us: dsn (a delivery report), arf (a spam complaint), or the provider's name.",
                max_length=16,
                verbose_name="source",
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="accepted",
            field=models.PositiveIntegerField(
                default=0,
                editable=False,
                help_text="How many mails the relay has taken since the broadcast began or was last resumed.",
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="approved_version",
            field=models.CharField(
                blank=True,
                default="",
                editable=False,
                help_text="A fingerprint of the broadcast as it was approved, so that later changes are noticed.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="canary_left",
            field=models.PositiveIntegerField(
                blank=True,
                editable=False,
                help_text="How many of the first mails may still leave before the others have to wait.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="canary_until",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="Until when the other mails wait, to see what becomes of the first ones.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="claimed_by",
            field=models.CharField(
                blank=True,
                default="",
                editable=False,
                help_text="The worker that is making its mails now.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="claimed_until",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="Until this time no other worker takes it over.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="created_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                editable=False,
                help_text="When it was created. A broadcast or mail that has not been sent at a certain age (usually one week) expires.",
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="cursor",
            field=models.CharField(
                blank=True,
                default="",
                editable=False,
                help_text="The last recipient whose mails have been made, as JSON.",
                max_length=255,
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="layout",
            field=models.CharField(
                blank=True,
                choices=dbmail.conf.layout_choices,
                default="",
                help_text="The layout to put around the body. With a layout, write only the inner HTML, no <html> tag.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="msgtext",
            field=models.TextField(
                blank=True,
                help_text="The text of the mail. It may contain variables. A text with an <html> tag is sent as HTML, together with a plain-text version.",
                null=True,
                verbose_name="body",
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="not_after",
            field=models.DateTimeField(
                blank=True,
                help_text="Mails that have not left by this time are not sent any more.",
                null=True,
                verbose_name="not after",
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="processed",
            field=models.BooleanField(
                default=False, editable=False, help_text="The mails for all recipients have been made."
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="processed_by",
            field=models.DateTimeField(
                blank=True,
                help_text="Sending begins soon after this time; at once if empty.",
                null=True,
                verbose_name="not before",
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="progress",
            field=models.JSONField(
                default=dict,
                editable=False,
                help_text="What has been counted so far: recipients, mails, and recipients without a usable address.",
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="reason_is_open",
            field=models.BooleanField(
                default=False,
                editable=False,
                help_text="The reason contains nobody's personal data, so that everyone who may see this broadcast may read it.",
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="recipients",
            field=models.ForeignKey(
                help_text="The audience: the users who get this broadcast.",
                on_delete=django.db.models.deletion.PROTECT,
                to="dbmail.persistentqueryfilter",
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="refused",
            field=models.PositiveIntegerField(
                default=0,
                editable=False,
                help_text="How many mails were refused for good since the broadcast began or was last resumed.",
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="sender",
            field=models.TextField(
                blank=True,
                help_text='The name and address that recipients see as From, for instance "Directors" <directors@example.org>. If empty: the creator\'s own.',
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="state",
            field=models.CharField(
                choices=[
                    ("draft", "draft: still being written, nothing is sent"),
                    ("scheduled", "scheduled: waits for its time, then sending begins"),
                    ("processing", "processing: the mail for each recipient is being made"),
                    ("sending", "sending: all mails are made, some still wait to leave"),
                    ("paused", "paused: nothing is sent until somebody resumes it"),
                    ("done", "done: no mail is waiting"),
                    ("cancelled", "cancelled: mails that had not left were not sent"),
                    ("failed", "failed: its mails could not be made, the reason says why"),
                ],
                default="scheduled",
                editable=False,
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="subject",
            field=models.TextField(
                blank=True,
                help_text="One line. It may contain variables, for instance: Welcome to {{ program.niceName }}!",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="messagerequest",
            name="taken_up",
            field=models.PositiveSmallIntegerField(
                default=0,
                editable=False,
                help_text="How often a worker has started on it since it last made progress.",
            ),
        ),
        migrations.AlterField(
            model_name="plainredirect",
            name="original",
            field=models.CharField(
                help_text='The part of the address before the @, for instance "directors".',
                max_length=512,
                verbose_name="original",
            ),
        ),
        migrations.AlterField(
            model_name="preflight",
            name="after",
            field=models.CharField(
                blank=True, default="", help_text="The last person who was checked, as JSON.", max_length=255
            ),
        ),
        migrations.AlterField(
            model_name="preflight",
            name="asked_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                help_text="When an open page last continued the check. While one does, passes leave it alone.",
            ),
        ),
        migrations.AlterField(
            model_name="preflight",
            name="fingerprint",
            field=models.CharField(
                help_text="A fingerprint of the text and audience that are checked: with another one, the check begins anew.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="preflight",
            name="finished_at",
            field=models.DateTimeField(help_text="When everybody had been checked; empty until then.", null=True),
        ),
        migrations.AlterField(
            model_name="preflight",
            name="seen",
            field=models.JSONField(
                default=dict,
                help_text="What has been counted so far. It names people by their primary keys, never by an address.",
            ),
        ),
        migrations.AlterField(
            model_name="preflightpiece",
            name="links",
            field=models.JSONField(
                default=dict, help_text="For each send-to function, how many addresses it reaches among these people."
            ),
        ),
        migrations.AlterField(
            model_name="ratecount",
            name="at",
            field=models.DateTimeField(help_text="When the slice of time begins in which these mails went."),
        ),
        migrations.AlterField(
            model_name="relaytrouble",
            name="host",
            field=models.CharField(
                help_text="The relay's name, as it stands in the tries of mails.", max_length=255, unique=True
            ),
        ),
        migrations.AlterField(
            model_name="suppression",
            name="reason",
            field=models.CharField(
                choices=[
                    ("unsubscribed", "the person unsubscribed"),
                    ("bounced", "mail to it came back"),
                    ("complained", "the person called it spam"),
                    ("manual", "an administrator entered it"),
                ],
                max_length=16,
                verbose_name="reason",
            ),
        ),
        migrations.AlterField(
            model_name="suppression",
            name="source",
            field=models.TextField(
                blank=True,
                default="",
                help_text="How this is known: the mail server's words, an unsubscribe link, or who entered it.",
                verbose_name="what it rests on",
            ),
        ),
        migrations.AlterField(
            model_name="textofemail",
            name="address",
            field=models.CharField(
                editable=False,
                help_text="The recipient's address, lower-case, the domain in ASCII: so it is looked up among the addresses left out.",
                max_length=320,
                verbose_name="address",
            ),
        ),
        migrations.AlterField(
            model_name="textofemail",
            name="begun",
            field=models.BooleanField(
                default=False,
                help_text="The worker has begun to hand the mail over. If it dies now, nobody knows whether the mail arrived.",
                verbose_name="begun",
            ),
        ),
        migrations.AlterField(
            model_name="textofemail",
            name="claimed_until",
            field=models.DateTimeField(
                blank=True,
                help_text="Until this time no other worker takes it over.",
                null=True,
                verbose_name="claimed until",
            ),
        ),
        migrations.AlterField(
            model_name="textofemail",
            name="copy_key",
            field=models.CharField(
                editable=False,
                help_text="A checksum of subject and body: of equal mails, each address gets only one.",
                max_length=40,
            ),
        ),
        migrations.AlterField(
            model_name="textofemail",
            name="created_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                help_text="When the mail or its broadcast was created. At a certain age it is not sent any more.",
                verbose_name="created",
            ),
        ),
        migrations.AlterField(
            model_name="textofemail",
            name="due_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                help_text="When it may be sent, or tried again; the earliest goes first.",
                verbose_name="due at",
            ),
        ),
        migrations.AlterField(
            model_name="textofemail",
            name="last_reply",
            field=models.TextField(
                blank=True,
                default="",
                help_text="What the relay said last, or why the mail was not sent.",
                verbose_name="last reply",
            ),
        ),
        migrations.AlterField(
            model_name="textofemail",
            name="msgtext",
            field=models.TextField(
                blank=True,
                help_text="Plain text or HTML; emptied when old mails are cleared away.",
                verbose_name="body",
            ),
        ),
        migrations.AlterField(
            model_name="textofemail",
            name="plaintext",
            field=models.TextField(
                blank=True, default="", help_text="The plain-text version of an HTML body.", verbose_name="text part"
            ),
        ),
        migrations.AlterField(
            model_name="textofemail",
            name="scope",
            field=models.CharField(
                blank=True,
                default="",
                editable=False,
                help_text="The category or list that this mail belongs to: addresses that are left out of it do not get the mail.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="textofemail",
            name="sent",
            field=models.DateTimeField(
                blank=True,
                help_text="When it was sent or given up; empty while it waits.",
                null=True,
                verbose_name="left at",
            ),
        ),
        migrations.AlterField(
            model_name="textofemail",
            name="state",
            field=models.CharField(
                choices=[
                    ("queued", "queued: waits for its turn, or for its next try"),
                    ("sending", "sending: a worker is sending it now"),
                    ("sent", "sent: the relay has taken it"),
                    ("failed", "failed: refused for good, or out of tries"),
                    ("expired", "expired: too old to be of use, never sent"),
                    ("suppressed", "suppressed: the address is left out of such mail, never sent"),
                    ("cancelled", "cancelled: its broadcast was cancelled, never sent"),
                    ("in_doubt", "in doubt: its worker died while sending; it may have arrived"),
                ],
                default="queued",
                max_length=10,
                verbose_name="state",
            ),
        ),
        migrations.AlterField(
            model_name="textofemail",
            name="tries",
            field=models.IntegerField(default=0, help_text="How many tries have failed.", verbose_name="tries"),
        ),
        migrations.AlterField(
            model_name="textofemail",
            name="user",
            field=models.ForeignKey(
                blank=True,
                help_text="The recipient's account. For mail to a guardian or emergency contact: the account that they belong to.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="dbmail_mails",
                to=settings.AUTH_USER_MODEL,
                verbose_name="user",
            ),
        ),
    ]
