"""Every error this package raises on purpose, in one tree.

    OracleError
    ├── InputError                 what the caller gave is wrong (exit 3)
    │   ├── TensorError            bytes, shape, element type or value of a tensor
    │   ├── SchemaError            a model's I/O schema
    │   ├── ModelFileError         an ONNX file
    │   │   └── ProgramError       a model that cannot be compiled, or a program file that is none
    │   ├── TraceError             a trace, leaves of one, or a proof, that is not what it says
    │   ├── SignatureError         a signature that does not prove what it should
    │   └── PaymentInvalid         what came as a payment for a view is no voucher of the caller's
    ├── ConfigurationError         settings, deployment file, keystore (exit 4)
    │   ├── KeystoreError          a key that cannot be read
    │   ├── ProviderUnavailable    a demanded execution provider that cannot be had
    │   ├── KeyInUse               a key that another database's node on this machine signs with
    │   └── WrongChain             an endpoint, database or deployment of another chain
    │       └── FinalityBroken     the same chain, without a block that it had called final
    ├── ChainRefused               the chain said no, for good (exit 5)
    │   └── ContractReverted       a contract's custom error, decoded
    ├── ChainUnreachable           no answer, or none to be trusted; try again (exit 6)
    │   └── ReorgDetected          what was read is no longer on the canonical chain
    ├── NotFound                   no such request, model, operator or job (exit 7)
    ├── TraceUnavailable           an operator does not serve what it owes (exit 7)
    │   └── TraceMismatch          it serves something else, or more than it should
    ├── NoAnswer                   a request ended, or its deadline passed, without one (exit 8)
    │   └── NoAnswerYet            who waited stopped; the request may still be answered
    ├── InferenceError             the model failed, or took too long (exit 9)
    │   ├── UnusableOutput         it ran and gave NaN, or what its schema forbids, for this input
    │   ├── RunTimedOut            this run exceeded its time limit
    │   ├── RunCrashed             the process that runs models ended during this run
    │   └── RunCutShort            another's fault ended it: it may be run again at once
    ├── CheatFound                 a trace or an answer that is provably wrong (exit 11)
    ├── ViewRefused                a gateway gives no answer in a view now (exit 13)
    │   ├── PaymentRequired        it has a price: no voucher came, or none that pays for it
    │   └── RateLimited            so many were given to this caller, or this client, already
    ├── SignerError                no signature to be had from a remote signer (exit 12)
    │   ├── SignerUnreachable      no answer, or none that can be read; try again
    │   ├── SignerRefused          it does not know us, or has no such key
    │   └── WrongSigner            it signed with another key, or something else
    └── StorageError               the database, or the traces' disk (exit 10)
        ├── TraceStoreFull         no room for a trace without dropping one that is still owed
        ├── SignedTwice            a second, different signature for one request was asked for
        ├── StaleVoucher           a higher voucher of the same payer is held by now
        ├── WrongSchema            a database of another version, or another program's (exit 4)
        ├── LeaseLost              another worker may lead by now: nothing is signed or sent
        └── IllegalTransition      a job was moved along an edge that its table does not have

A message names the cause; `hint` names the next step. Neither ever holds a key or a URL's secret.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

BEYOND_RESTARTING: Final = frozenset({2, 3, 4})
"""Exit codes of what only a person can mend: no supervisor starts a node again after one of these.
A command line that is none, something given that is wrong, settings."""


class OracleError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: what is wrong, with the values that show it.
        hint: what the reader can do next.
        cli_hint: the same where the reader typed a verb, if it is done in another way there.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, hint: str | None = None, cli_hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.cli_hint = cli_hint


class InputError(OracleError):
    exit_code = 3


class TensorError(InputError):
    pass


class SchemaError(InputError):
    pass


class ModelFileError(InputError):
    pass


class ProgramError(ModelFileError):
    pass


class TraceError(InputError):
    pass


class SignatureError(InputError):
    pass


class PaymentInvalid(InputError):
    pass


class ConfigurationError(OracleError):
    exit_code = 4


class KeystoreError(ConfigurationError):
    pass


class ProviderUnavailable(ConfigurationError):
    pass


class KeyInUse(ConfigurationError):
    pass


class WrongChain(ConfigurationError):
    pass


class FinalityBroken(WrongChain):
    pass


class ChainRefused(OracleError):
    exit_code = 5


class ContractReverted(ChainRefused):
    """A call or transaction reverted.

    Attributes:
        name: the custom error's name, or "Error", "Panic" or "unknown".
        arguments: its decoded arguments by name.

    The message has them as in `shown`, where that is given: with units, for people.
    """

    def __init__(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        *,
        shown: dict[str, Any] | None = None,
        hint: str | None = None,
    ) -> None:
        self.name = name
        self.arguments = arguments or {}
        told = self.arguments if shown is None else shown
        text = ", ".join(f"{key}={_show(value)}" for key, value in told.items())
        super().__init__(f"the contract refused: {name}({text})", hint=hint)


class ChainUnreachable(OracleError):
    exit_code = 6


class ReorgDetected(ChainUnreachable):
    pass


class NotFound(OracleError):
    exit_code = 7


class TraceUnavailable(OracleError):
    exit_code = 7


class TraceMismatch(TraceUnavailable):
    pass


class NoAnswer(OracleError):
    exit_code = 8


class NoAnswerYet(NoAnswer):
    pass


class InferenceError(OracleError):
    exit_code = 9


class UnusableOutput(InferenceError):
    pass


class RunTimedOut(InferenceError):
    pass


class RunCrashed(InferenceError):
    pass


class RunCutShort(InferenceError):
    pass


class CheatFound(OracleError):
    exit_code = 11


class ViewRefused(OracleError):
    exit_code = 13


class PaymentRequired(ViewRefused):
    """What a voucher must say for an answer to be given. Amounts in OPG base units.

    Attributes:
        reason: one word, for programs: unpaid, stale, too_low, overdrawn, withdrawing.
        price: what the answer costs.
        total: what the payer owes already: of its highest voucher that is held or, where
            `signature` is empty, what has been collected on chain.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        price: int,
        total: int,
        signature: bytes,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.price = price
        self.total = total
        self.signature = signature


class RateLimited(ViewRefused):
    """Attributes: seconds: to wait until there is one to be had."""

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message, hint=f"try again in {max(1, round(seconds))} s")
        self.seconds = seconds


class SignerError(OracleError):
    exit_code = 12


class SignerUnreachable(SignerError):
    pass


class SignerRefused(SignerError):
    pass


class WrongSigner(SignerError):
    pass


class StorageError(OracleError):
    exit_code = 10


class TraceStoreFull(StorageError):
    pass


class SignedTwice(StorageError):
    pass


class StaleVoucher(StorageError):
    pass


class WrongSchema(StorageError):
    exit_code = 4  # no start of the same program mends it


class LeaseLost(StorageError):
    pass


class IllegalTransition(StorageError):
    pass


def _show(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
