"""A domain from nothing to authenticated: SPF, DKIM, DMARC and link branding, from SendGrid into DNS.

`authenticate` is the door and goes through the steps. `proposal` decides what must change. `sendgrid` talks to
SendGrid; `route53` and `gandi` to a registrar, in the shape that `registrar` describes; all over `http` but Route 53.

Nothing here imports Django, so that scripts/sendgrid_authentication.py runs on any machine.
"""
