"""The operator's page: what the node does, live, and with a token two verbs of the command line.

`page_part` builds the part of the private server from ports. Reads only, but for the two actions,
whose routes exist only where there is a token. Knows no chain, no key and no database.
"""

from oracle.web.page.actions import Token, read_token
from oracle.web.page.routes import page_part

__all__ = ["Token", "page_part", "read_token"]
