"""What an operator owes everybody: traces, leaves with proofs, programs, receipts, over HTTP.

`application` builds the routes from ports, `Server` listens. Reads only; knows no chain, no key and
no database.
"""

from oracle.web.application import Sources, WebLimits, application
from oracle.web.server import Server

__all__ = ["Server", "Sources", "WebLimits", "application"]
