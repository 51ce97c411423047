"""DNS as far as mail needs it: questions to it (`client`), and the records of SPF, DKIM and DMARC.

Nothing here imports Django.
"""
