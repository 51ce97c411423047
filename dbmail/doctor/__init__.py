"""Whether mail of a domain arrives: facts from DNS and the network, and checks that judge them.

`gather` asks, the files in checks/ decide (pure functions from facts to findings), `report` prints. Nothing here needs
Django: `python -m dbmail.doctor example.org` works without a project, `manage.py dbmail_doctor` knows one.
"""
