"""Domain authentication: SPF, DKIM, DMARC and link branding, from SendGrid through a registrar into DNS.

Nothing here imports Django, so that scripts/sendgrid_authentication.py runs on any machine.
`authenticate` is the door; `records`, `spf` and `dmarc` decide, `sendgrid`, `route53`, `gandi`, `by_hand`
and `check` do.
"""
