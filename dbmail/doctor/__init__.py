"""Whether mail of a domain arrives: facts from DNS and the network, and checks that judge them.

`gather` asks DNS, and the network by `probe`; its result is in `facts`. The files in checks/ are pure functions from
facts to findings, `finding` shows those. Only `project`, which knows a Django project, needs Django: `python -m
dbmail.doctor example.org` works without one.
"""
