import pytest

from tests.incoming.builders import OUR_MTA


@pytest.fixture
def our_mta(settings):
    """Our own MTA vouches for authors under this name."""
    settings.DBMAIL = {**settings.DBMAIL, "INCOMING": {**settings.DBMAIL["INCOMING"], "AUTHSERV_IDS": (OUR_MTA,)}}
