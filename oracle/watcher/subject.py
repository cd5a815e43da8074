"""What an answer is about: request, model, program, and where its operator is found.

Everything but the program comes from the chain; the program from wherever its root is. Judges
nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from oracle.chain.codec import decode_logs
from oracle.chain.court_contract import Disputed
from oracle.chain.logs import LARGEST_SPAN, LogScanner
from oracle.chain.wire import to_hex
from oracle.client.reader import OracleReader
from oracle.client.story import Story
from oracle.core.case import Case
from oracle.core.event import RequestSeen
from oracle.core.model import Model
from oracle.core.receipt import Answer, AnswerCommitment
from oracle.core.request import Request
from oracle.core.types import Address
from oracle.errors import NoAnswer, NotFound, OracleError
from oracle.program.compile import load_program
from oracle.program.encoding import EncodedProgram, encode
from oracle.program.instruction import Program
from oracle.verify.sources import FileSource

_KEPT_PROGRAMS = 4
_ENDPOINT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Subject:
    """One answer with its terms. `message` is the request's input."""

    request_id: bytes
    request: Request
    message: bytes
    result: bytes
    commitment: AnswerCommitment
    model: Model

    @property
    def disputed(self) -> Disputed:
        """As the court wants it."""
        return Disputed(self.request, self.commitment, self.model.registrar, self.model.terms)


@dataclass(frozen=True)
class OpenedProgram:
    """A program whose root is the registered one, and the file it was read from."""

    file: bytes
    program: Program
    encoded: EncodedProgram


FilePlaces = Callable[[Model, str | None], Sequence[FileSource]]
"""Where a model's program may be had; the second argument is the operator's endpoint."""


class Subjects:
    """Reads what answers are about; keeps a few programs."""

    def __init__(self, reader: OracleReader, places: FilePlaces) -> None:
        self._reader = reader
        self._places = places
        self._programs: OrderedDict[bytes, OpenedProgram] = OrderedDict()
        self._models: dict[bytes, Model] = {}
        self._endpoints: dict[Address, tuple[float, str | None]] = {}

    async def story(self, case: Case) -> Story:
        """What happened to the request of an answer. It is looked for backwards from the answer, as
        it is nearly always near; the whole chain would be read for each case otherwise."""
        head = await self._reader.rpc.latest()
        scanner = LogScanner(self._reader.rpc, self._reader.oracle.address)
        start, span = self._reader.deployment.deployed_block, LARGEST_SPAN
        topics = [None, to_hex(case.request_id)]
        first = max(start, case.block_number - span + 1)
        logs = await scanner.scan(first, head.number, topics)
        while True:
            events = sorted(decode_logs(logs), key=lambda event: event.position)
            if first == start or any(isinstance(event, RequestSeen) for event in events):
                break
            span *= 2
            before = max(start, first - span)
            logs += await scanner.scan(before, first - 1, topics)
            first = before
        if not events:
            raise NotFound(f"the oracle has no request 0x{case.request_id.hex()}")
        return Story(tuple(events))

    async def endpoint(self, operator: Address) -> str | None:
        """Where an operator is found; asked for again after a while."""
        known = self._endpoints.get(operator)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        found = await self._reader.endpoint(operator)
        self._endpoints[operator] = (time.monotonic() + _ENDPOINT_SECONDS, found)
        return found

    async def _model(self, model_id: bytes) -> Model:
        """Its terms never change."""
        if model_id not in self._models:
            self._models[model_id] = await self._reader.registry.model(model_id)
        return self._models[model_id]

    async def subject(self, case: Case) -> Subject:
        """Raises NoAnswer where a reorg has taken the answer away."""
        story = await self.story(case)
        answered, created = story.answered, story.created
        if answered is None:
            raise NoAnswer("the request has no answer any more")
        answer = Answer.of(
            case.request_id,
            created.request,
            answered.operator,
            answered.result,
            answered.trace_root,
        )
        return Subject(
            request_id=case.request_id,
            request=created.request,
            message=created.input,
            result=answered.result,
            commitment=AnswerCommitment.of(answer),
            model=await self._model(created.request.model_id),
        )

    async def program(self, model: Model, endpoint: str | None) -> OpenedProgram:
        """Raises NotFound where nobody has it, and says who gave something else."""
        root = model.terms.program_root
        known = self._programs.get(root)
        if known is not None:
            self._programs.move_to_end(root)
            return known
        reasons = []
        for place in self._places(model, endpoint):
            try:
                file = await place.read(root, model.terms.tier)
                if file is None:
                    continue
                opened = await asyncio.to_thread(_opened, file)
            except OracleError as error:
                reasons.append(f"{place.name}: {error.message}")
                continue
            if opened.encoded.root != root:
                reasons.append(f"{place.name} gave another program")
                continue
            self._programs[root] = opened
            while len(self._programs) > _KEPT_PROGRAMS:
                self._programs.popitem(last=False)
            return opened
        raise NotFound(f"the program is not to be had: {'; '.join(reasons) or 'nobody has it'}")


def _opened(file: bytes) -> OpenedProgram:
    try:
        program = load_program(file)
        return OpenedProgram(file, program, encode(program))
    except OracleError:
        raise
    except Exception as error:  # a stranger's bytes may be malformed in ways nobody thought of
        raise NotFound(f"the file is not a program: {type(error).__name__}") from error
