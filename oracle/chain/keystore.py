"""Keys: encrypted on disk, and in memory as something that signs and cannot be read.

Implements `ports.Signer`. Responsible for deterministic, low-s signatures, and for never showing a
key in a representation, a copy, a pickle, a log or an error. Knows nothing of nonces or fees.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, Final, NoReturn

import rlp  # type: ignore[import-untyped]
from coincurve import PrivateKey
from eth_account import Account
from eth_account.hdaccount import key_from_seed, seed_from_mnemonic
from eth_keys.constants import SECPK1_N
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from oracle.core.transaction import Call, Fees
from oracle.core.types import Address
from oracle.errors import KeystoreError

PASSWORD_VARIABLE: Final = "ORACLE_KEYSTORE_PASSWORD"  # noqa: S105 - a name, not a password
CHEAP_ITERATIONS: Final = 2**10
"""Scrypt's cost for keys that are publicly known anyway."""

_FORBIDDEN_MODE = stat.S_IWGRP | stat.S_IRWXO


class LocalSigner:
    """A hot key in this process's memory."""

    __slots__ = ("_address", "_key")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != 32 or not 0 < int.from_bytes(secret, "big") < SECPK1_N:
            raise KeystoreError("a private key is 32 bytes between 1 and the curve's order")
        self._key = PrivateKey(secret)
        public = self._key.public_key.format(compressed=False)[1:]
        self._address = Address(to_checksum_address(keccak(public)[-20:]))

    @classmethod
    def from_keystore(cls, path: Path, password: str) -> LocalSigner:
        """Decrypts a Web3 Secret Storage file.

        Raises:
            KeystoreError: missing, open to others, not a keystore, or the password is wrong.
        """
        text = _read_private(path, "keystore", hint="create one with `oracle keystore new`")
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, dict) or not ("crypto" in document or "Crypto" in document):
            raise KeystoreError(
                f"{path} is not a keystore", hint="expected the JSON of `oracle keystore new`"
            )
        secret, failure = _decrypted(document, password)
        if secret is None:
            raise KeystoreError(f"cannot decrypt {path}: {failure}", hint="check the password")
        return cls(secret)

    @classmethod
    def from_mnemonic(cls, mnemonic: str, index: int) -> LocalSigner:
        """The Ethereum account at an index of a BIP-39 mnemonic, as wallets and anvil derive it."""
        return cls(secret_from_mnemonic(mnemonic, index))

    @property
    def address(self) -> Address:
        return self._address

    def sign_digest(self, digest: bytes) -> bytes:
        """65 bytes r ‖ s ‖ v (27 or 28), low s, deterministic (RFC 6979)."""
        if len(digest) != 32:
            raise ValueError(f"a digest is 32 bytes, not {len(digest)}")
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([27 + signature[64]])

    def sign_transaction(
        self, *, chain_id: int, nonce: int, call: Call, fees: Fees, value: int = 0
    ) -> tuple[bytes, bytes]:
        """An EIP-1559 transaction as (hash, raw bytes)."""
        return self._sign(
            chain_id, nonce, bytes.fromhex(call.to[2:]), call.data, call.gas, fees, value
        )

    def sign_creation(
        self, *, chain_id: int, nonce: int, creation_code: bytes, gas: int, fees: Fees
    ) -> tuple[bytes, bytes]:
        """An EIP-1559 transaction that creates a contract, as (hash, raw bytes)."""
        return self._sign(chain_id, nonce, b"", creation_code, gas, fees, 0)

    def _sign(
        self, chain_id: int, nonce: int, to: bytes, data: bytes, gas: int, fees: Fees, value: int
    ) -> tuple[bytes, bytes]:
        if chain_id < 1:
            raise ValueError("a transaction without a chain id could be replayed on another chain")
        numbers = (chain_id, nonce, fees.max_priority_fee, fees.max_fee, gas)
        # The fields of EIP-1559 in order; the last is an empty access list.
        fields: list[Any] = [*map(int, numbers), to, int(value), data, []]
        signature = self._key.sign_recoverable(keccak(b"\x02" + rlp.encode(fields)), hasher=None)
        fields += [
            signature[64],
            int.from_bytes(signature[:32], "big"),
            int.from_bytes(signature[32:64], "big"),
        ]
        raw = b"\x02" + rlp.encode(fields)
        return keccak(raw), raw

    def __repr__(self) -> str:
        return f"LocalSigner({self._address})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signer is neither copied nor pickled")


def secret_from_mnemonic(mnemonic: str, index: int) -> bytes:
    """The private key at an index of a BIP-39 mnemonic. Raises KeystoreError for other words."""
    try:
        seed = seed_from_mnemonic(mnemonic, "")
    except ValidationError:
        raise KeystoreError("these words are no BIP-39 mnemonic") from None
    return bytes(key_from_seed(seed, f"m/44'/60'/0'/0/{index}"))


def create_keystore(
    path: Path, password: str, *, secret: bytes | None = None, iterations: int | None = None
) -> Address:
    """Writes a new keystore that only its owner can read, and returns its address.

    Args:
        secret: an existing private key; by default a new one from the system's randomness.
        iterations: scrypt's cost, a power of two; lower it for throw-away keys only.

    Raises:
        KeystoreError: the file exists or cannot be written, or the password is empty.
    """
    if not password:
        raise KeystoreError("a keystore needs a password")
    chosen = Account.create().key if secret is None else secret
    signer = LocalSigner(bytes(chosen))
    document = Account.encrypt(chosen, password, kdf="scrypt", iterations=iterations)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeystoreError(
            f"{path} exists", hint="a key is never overwritten; move it away"
        ) from None
    except OSError as error:
        raise KeystoreError(f"cannot write {path}: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    return signer.address


def read_password(file: Path | None = None, *, variable: str = PASSWORD_VARIABLE) -> str:
    """A password from a file (its first line), or else from an environment variable.

    Raises:
        KeystoreError: neither is there, the file is open to others, or the password is empty.
    """
    if file is not None:
        lines = _read_private(file, "password file", hint=f"or set {variable}").splitlines()
        password = lines[0] if lines else ""
        source = str(file)
    else:
        password = os.environ.get(variable, "")
        source = variable
    if not password:
        raise KeystoreError(
            f"no password in {source}", hint=f"give a password file, or set {PASSWORD_VARIABLE}"
        )
    return password


def _read_private(path: Path, what: str, *, hint: str) -> str:
    """The text of a file that others may neither read nor write."""
    try:
        mode = path.stat().st_mode
        if mode & _FORBIDDEN_MODE:
            raise KeystoreError(
                f"{what} {path} is open to others (mode {stat.S_IMODE(mode):04o})",
                hint=f"chmod 600 {path}",
            )
        return path.read_text()
    except FileNotFoundError:
        raise KeystoreError(f"there is no {what} {path}", hint=hint) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise KeystoreError(f"cannot read {what} {path}: {reason}") from None


def _decrypted(document: dict[str, Any], password: str) -> tuple[bytes | None, str]:
    """The key, or why there is none; errors of the library are not passed on."""
    try:
        return bytes(Account.decrypt(document, password)), ""
    except ValueError as error:
        wrong = "MAC mismatch" in str(error)
        return None, "the password is wrong" if wrong else "the keystore is damaged"
    except Exception as error:  # a damaged file can fail anywhere in the library
        return None, f"the keystore is damaged ({type(error).__name__})"
