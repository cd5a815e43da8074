"""The chain as the rest of the package sees it. Nothing else imports web3."""

import sys

_limit = sys.getrecursionlimit()
import web3  # noqa: E402, F401 - first, so that what follows holds

# A dependency of web3 raises the recursion limit to 100,000. Nested JSON from a node or a registrar
# would then overflow the C stack and end the process, where it should be a RecursionError.
sys.setrecursionlimit(_limit)
