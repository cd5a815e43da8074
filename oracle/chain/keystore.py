"""Keys: encrypted on disk, and in memory as something that signs and cannot be read.

Implements `ports.Signer`. Responsible for deterministic, low-s signatures, and for never showing a
key in a representation, a copy, a pickle, a log or an error. Knows nothing of nonces or fees.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, NoReturn

from coincurve import PrivateKey
from eth_account import Account
from eth_account.hdaccount import key_from_seed, seed_from_mnemonic
from eth_keys.constants import SECPK1_N
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from oracle.core.types import Address
from oracle.errors import KeystoreError

PASSWORD_VARIABLE: Final = "ORACLE_KEYSTORE_PASSWORD"  # noqa: S105 - a name, not a password
CHEAP_ITERATIONS: Final = 2**10
"""Scrypt's cost for keys that are publicly known anyway."""

_FORBIDDEN_MODE = stat.S_IWGRP | stat.S_IRWXO

_WRONG = "the password is wrong"

_MOST_CHARACTERS = 1 << 20
"""No keystore is as long; what is read by mistake, such as a device, need not end."""


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
    def from_keystore(
        cls, path: Path, password: str, *, password_from: str | None = None
    ) -> LocalSigner:
        """Decrypts a Web3 Secret Storage file.

        Args:
            password_from: where the password was read, for whoever is told that it is wrong.

        Raises:
            KeystoreError: missing, open to others, not a keystore, or the password is wrong.
        """
        text = read_private(path, "keystore", hint="create one with `oracle keystore new`")
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
            if failure != _WRONG:
                hint = "put a copy of it back"
            elif password_from is None:
                hint = "give the password that this keystore was made with"
            else:
                hint = (
                    f"the password is from {password_from}: put the one there that this keystore "
                    "was made with"
                )
            raise KeystoreError(f"cannot decrypt {path}: {failure}", hint=hint)
        return cls(secret)

    @classmethod
    def from_mnemonic(cls, mnemonic: str, index: int) -> LocalSigner:
        """The Ethereum account at an index of a BIP-39 mnemonic, as wallets and anvil derive it."""
        return cls(secret_from_mnemonic(mnemonic, index))

    @property
    def address(self) -> Address:
        return self._address

    async def sign(self, preimage: bytes) -> bytes:
        """65 bytes r ‖ s ‖ v (27 or 28), low s, deterministic (RFC 6979), over its Keccak-256."""
        return self.sign_digest(keccak(preimage))

    def sign_digest(self, digest: bytes) -> bytes:
        """As `sign`, for those who have only the digest: contracts of others, and tests."""
        if len(digest) != 32:
            raise ValueError(f"a digest is 32 bytes, not {len(digest)}")
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([27 + signature[64]])

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
    _write_private(path, json.dumps(document))
    return signer.address


def create_password_file(path: Path) -> None:
    """Writes a password of the system's randomness into a new file that only its owner can read.

    Raises:
        KeystoreError: the file exists or cannot be written.
    """
    _write_private(path, secrets.token_urlsafe(24) + "\n")


def password_for_new_key(file: Path | None, *, opens: Collection[Path] = ()) -> tuple[str, bool]:
    """The password that new keys are encrypted with, and whether its file was made for them.

    Where settings name a file that is not there yet, and no variable stands in for it, one is made
    with a password of the system's randomness; not where there is a keystore that it cannot open.

    Raises:
        KeystoreError: as `read_password`, or the file cannot be written.
    """
    lost = any(one.exists() for one in opens)
    missing = file is not None and not file.exists() and not os.environ.get(PASSWORD_VARIABLE)
    made = missing and not lost
    if file is not None and made:
        create_password_file(file)
    return read_password(file, opens=opens), made


def _write_private(path: Path, text: str) -> None:
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
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def open_keystore(
    path: Path, password_file: Path | None, *, opens: Collection[Path] = ()
) -> LocalSigner:
    """A key by its file and its password's. `opens` are other keystores with that password.

    Raises:
        KeystoreError: as `LocalSigner.from_keystore` and `read_password`.
    """
    return LocalSigner.from_keystore(
        path,
        read_password(password_file, opens=(path, *opens)),
        password_from=password_source(password_file),
    )


def read_password(
    file: Path | None = None,
    *,
    variable: str = PASSWORD_VARIABLE,
    opens: Collection[Path] = (),
) -> str:
    """A password from a file (its first line), or else from an environment variable.

    The variable counts where no file is named, and where the one that is named is not there.

    Args:
        opens: keystores that it is for; where one is there, no new password would open it.

    Raises:
        KeystoreError: neither is there, the file is open to others, or the password is empty.
    """
    if file is not None and _counts(file, variable):
        made = next((one for one in opens if one.exists()), None)
        lines = read_private(
            file,
            "password file",
            hint=f"`oracle keystore new` makes it with a first key; or set {variable}"
            if made is None
            else f"put the one back that {made} was made with, or set {variable} to that password",
        ).splitlines()
        password = lines[0] if lines else ""
    else:
        password = os.environ.get(variable, "")
    if not password:
        raise KeystoreError(
            f"no password in {password_source(file, variable=variable)}",
            hint=f"set password_file, or {PASSWORD_VARIABLE}",
        )
    return password


def password_source(file: Path | None, *, variable: str = PASSWORD_VARIABLE) -> str:
    """The file, or the variable, that `read_password` reads."""
    return str(file) if file is not None and _counts(file, variable) else variable


def _counts(file: Path, variable: str) -> bool:
    return not os.environ.get(variable) or file.exists()


def read_private(path: Path, what: str, *, hint: str) -> str:
    """The text of a file that others may neither read nor write."""
    try:
        with path.open() as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & _FORBIDDEN_MODE:
                raise KeystoreError(
                    f"{what} {path} is open to others (mode {stat.S_IMODE(mode):04o})",
                    hint=f"chmod 600 {path.absolute()}",
                )
            return file.read(_MOST_CHARACTERS)
    except FileNotFoundError:
        raise KeystoreError(f"there is no {what} {path.absolute()}", hint=hint) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise KeystoreError(f"cannot read {what} {path.absolute()}: {reason}") from None


def _decrypted(document: dict[str, Any], password: str) -> tuple[bytes | None, str]:
    """The key, or why there is none; errors of the library are not passed on."""
    try:
        return bytes(Account.decrypt(document, password)), ""
    except ValueError as error:
        wrong = "MAC mismatch" in str(error)
        return None, _WRONG if wrong else "the keystore is damaged"
    except Exception as error:  # a damaged file can fail anywhere in the library
        return None, f"the keystore is damaged ({type(error).__name__})"
