"""Every error this package raises on purpose, in one tree.

    OracleError
    ├── InputError                 what the caller gave is wrong (exit 3)
    │   ├── TensorError            bytes, shape, element type or value of a tensor
    │   ├── SchemaError            a model's I/O schema
    │   ├── ModelFileError         an ONNX file
    │   │   └── ProgramError       a model that cannot be compiled, or a program file that is none
    │   ├── TraceError             a trace, leaves of one, or a proof, that is not what it says
    │   └── SignatureError         a signature that does not prove what it should
    ├── ConfigurationError         settings, deployment file, keystore (exit 4)
    │   ├── KeystoreError          a key that cannot be read
    │   ├── ProviderUnavailable    a demanded execution provider that cannot be had
    │   └── WrongChain             an endpoint, database or deployment of another chain
    ├── ChainRefused               the chain said no, for good (exit 5)
    │   └── ContractReverted       a contract's custom error, decoded
    ├── ChainUnreachable           no answer, or none to be trusted; try again (exit 6)
    │   └── ReorgDetected          what was read is no longer on the canonical chain
    ├── NotFound                   no such request, model, operator or job (exit 7)
    ├── TraceUnavailable           an operator does not serve what it owes (exit 7)
    │   └── TraceMismatch          it serves something else, or more than it should
    ├── NoAnswer                   a request ended, or time ran out, without an answer (exit 8)
    ├── InferenceError             the model failed, or took too long (exit 9)
    │   └── UnusableOutput         it ran and gave NaN, or what its schema forbids, for this input
    ├── CheatFound                 a trace or an answer that is provably wrong (exit 11)
    └── StorageError               the database, or the traces' disk (exit 10)
        ├── TraceStoreFull         no room for a trace without dropping one that is still owed
        ├── SignedTwice            a second, different signature for one request was asked for
        └── IllegalTransition      a job was moved along an edge that its table does not have

A message names the cause; `hint` names the next step. Neither ever holds a key or a URL's secret.
"""

from __future__ import annotations

from typing import Any, ClassVar


class OracleError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: what is wrong, with the values that show it.
        hint: what the reader can do next.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


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


class ConfigurationError(OracleError):
    exit_code = 4


class KeystoreError(ConfigurationError):
    pass


class ProviderUnavailable(ConfigurationError):
    pass


class WrongChain(ConfigurationError):
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


class InferenceError(OracleError):
    exit_code = 9


class UnusableOutput(InferenceError):
    pass


class CheatFound(OracleError):
    exit_code = 11


class StorageError(OracleError):
    exit_code = 10


class TraceStoreFull(StorageError):
    pass


class SignedTwice(StorageError):
    pass


class IllegalTransition(StorageError):
    pass


def _show(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
