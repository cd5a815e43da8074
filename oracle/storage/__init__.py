"""The worker's memory: jobs, transactions, the cursor and the sign-once record, in an SQL database.

`open_storage` is the way in. Nothing outside imports SQLAlchemy; nothing inside reaches the chain.
"""

from oracle.storage.storage import Storage, open_storage

__all__ = ["Storage", "open_storage"]
