"""Signs answers in views that are on record, and takes what they cost in the same moment.

The digests go through the sign-once record of jobs first. Where an answer has a price, its voucher
is recorded in the transaction in which the answer is on record as signed: whoever is killed
anywhere has neither given for nothing nor charged for nothing. Runs no model.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from oracle.core.receipt import Accept
from oracle.core.signing import signature_over
from oracle.core.typed_data import Domain
from oracle.core.types import Address
from oracle.errors import SignedTwice, StaleVoucher, ViewRefused
from oracle.ports.jobs import JobStore
from oracle.ports.signing import Signer
from oracle.ports.views import ViewAnswer, ViewStore
from oracle.service import accept, sign
from oracle.service.journal import short
from oracle.service.view_promises import answer_of
from oracle.service.view_vouchers import Due, ViewVouchers

_log = structlog.get_logger("oracle.views")


class SignViews:
    def __init__(
        self,
        views: ViewStore,
        jobs: JobStore,
        signer: Signer,
        domain: Domain,
        operator: Address,
        vouchers: ViewVouchers | None,
    ) -> None:
        self._views = views
        self._jobs = jobs
        self._signer = signer
        self._domain = domain
        self._operator = operator
        self._vouchers = vouchers

    async def signed(self, answer: ViewAnswer, due: Due | None) -> ViewAnswer:
        """The answer with both signatures; with another key than before, the same again.

        Raises:
            PaymentRequired: another answer was paid for by a voucher like this one's.
            ViewRefused: something else was signed for its request, or the key has changed.
        """
        message = Accept(answer.request_id, self._operator, answer.accept_until)
        promise = answer_of(answer)
        try:
            for kind, digest in (
                (accept.SIGNATURE_KIND, message.digest(self._domain)),
                (sign.SIGNATURE_KIND, promise.digest(self._domain)),
            ):
                await self._jobs.reserve_signatures(kind, [(answer.request_id, digest)])
        except SignedTwice as error:
            # Its request was sent meanwhile and the job signed first, or another worker was.
            await self._views.drop([answer.request_id], unsigned=True)
            _log.error("view not signed", request=short(answer.request_id), error=error.message)
            raise ViewRefused("not answered now: try again") from error
        signer = self._signer.address
        signed = replace(
            answer,
            signer=signer,
            accept_signature=await signature_over(self._signer, message.preimage(self._domain)),
            answer_signature=await signature_over(self._signer, promise.preimage(self._domain)),
        )
        if self._signer.address != signer:
            raise ViewRefused("not answered now: the operator's signer has just changed")
        return await self._kept(signed, due)

    async def _kept(self, signed: ViewAnswer, due: Due | None) -> ViewAnswer:
        if due is None:
            return await self._views.keep(signed)
        assert self._vouchers is not None
        try:
            return await self._views.keep_paid(
                signed, self._vouchers.contract, due.voucher, due.price
            )
        except StaleVoucher as error:  # another worker's gateway took one
            raise await self._vouchers.stale(due.voucher, due.price) from error
