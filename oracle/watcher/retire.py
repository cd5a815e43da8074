"""Gives up what was sent for a case that has ended, so that nothing of it is mined much later.

Tells by its calldata what a transaction is about. What fetches money that is owed stays.
"""

from __future__ import annotations

from dataclasses import astuple

from oracle.chain.court_contract import CourtBinding
from oracle.core.case import Case
from oracle.core.dispute import announcement_of
from oracle.core.transaction import Purpose, Transaction
from oracle.core.typed_data import word
from oracle.errors import NotFound
from oracle.watcher.outbox import Outbox
from oracle.watcher.subject import Subjects

_SELECTOR_BYTES = 4
_OF_A_REQUEST = frozenset({Purpose.PROVE, Purpose.DEMAND, Purpose.TIME_OUT})
"""What is sent while a request can be voided; the terms are the first argument of each."""


class Retire:
    def __init__(self, court: CourtBinding, subjects: Subjects, outbox: Outbox) -> None:
        self._court = court
        self._subjects = subjects
        self._outbox = outbox

    async def __call__(self, case: Case) -> None:
        """Gives up a case's announcement, proof and demands where they are not mined.

        Raises:
            OracleError: some may be left; try again.
        """
        announce = None
        if case.proof is not None and case.salt is not None:
            sender = self._outbox.sender
            announce = self._court.announce_data(
                announcement_of(sender, case.request_id, case.proof, case.salt)
            )
        terms = await self._terms(case)

        def unwanted(sent: Transaction) -> bool:
            if sent.purpose is Purpose.ANNOUNCE:
                return sent.call.data == announce
            arguments = sent.call.data[_SELECTOR_BYTES:]
            return sent.purpose in _OF_A_REQUEST and arguments.startswith(terms)

        await self._outbox.withdraw(unwanted)

    async def _terms(self, case: Case) -> bytes | tuple[bytes, ...]:
        """A request's terms as calldata has them; nothing begins with them where a fork took the
        request away."""
        try:
            story = await self._subjects.story(case)
        except NotFound:
            return ()
        return b"".join(map(word, astuple(story.created.request)))
