"""Keys on disk and in memory: what they sign, and that they never show."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import stat
import traceback
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from oracle.chain.keystore import (
    CHEAP_ITERATIONS,
    PASSWORD_VARIABLE,
    LocalSigner,
    create_keystore,
    read_password,
)
from oracle.core.receipt import recover
from oracle.core.transaction import Call, Fees
from oracle.core.types import address
from oracle.devnet.accounts import MNEMONIC, Person, signer_of
from oracle.errors import KeystoreError
from tests.support.signing import transaction_of

SECRET = bytes.fromhex("4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318")
PASSWORD = "correct horse"


def make(folder: Path, password: str = PASSWORD) -> Path:
    path = folder / "keys" / "hot.json"
    create_keystore(path, password, secret=SECRET, iterations=CHEAP_ITERATIONS)
    return path


def test_round_trip(tmp_path: Path) -> None:
    path = make(tmp_path)
    signer = LocalSigner.from_keystore(path, PASSWORD)
    assert signer.address == Account.from_key(SECRET).address
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SECRET.hex() not in path.read_text()
    assert bytes(Account.decrypt(json.loads(path.read_text()), PASSWORD)) == SECRET


def test_new_keys_differ(tmp_path: Path) -> None:
    made = {
        create_keystore(tmp_path / str(number), PASSWORD, iterations=CHEAP_ITERATIONS)
        for number in range(2)
    }
    assert len(made) == 2


def test_others_keystores_are_read(tmp_path: Path) -> None:
    path = tmp_path / "geth.json"
    path.write_text(json.dumps(Account.encrypt(SECRET, PASSWORD, kdf="pbkdf2", iterations=10)))
    path.chmod(0o600)
    assert LocalSigner.from_keystore(path, PASSWORD).address == LocalSigner(SECRET).address


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = make(tmp_path)
    before = path.read_bytes()
    with pytest.raises(KeystoreError, match="exists"):
        create_keystore(path, PASSWORD, iterations=CHEAP_ITERATIONS)
    assert path.read_bytes() == before


def test_what_cannot_be_read(tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(KeystoreError, match="password is wrong") as wrong:
        LocalSigner.from_keystore(path, "incorrect horse")
    assert wrong.value.hint is not None
    with pytest.raises(KeystoreError, match="there is no keystore"):
        LocalSigner.from_keystore(tmp_path / "nowhere.json", PASSWORD)
    with pytest.raises(KeystoreError, match="needs a password"):
        create_keystore(tmp_path / "empty.json", "")
    for text in ("not json", "[]", "{}", '"crypto"'):
        (tmp_path / "odd.json").write_text(text)
        (tmp_path / "odd.json").chmod(0o600)
        with pytest.raises(KeystoreError, match="is not a keystore"):
            LocalSigner.from_keystore(tmp_path / "odd.json", PASSWORD)
    damages: list[dict[str, object]] = [
        {"crypto": {}},
        {"crypto": None, "version": 3},
        {"crypto": {"kdf": "scrypt"}},
    ]
    for damage in damages:
        (tmp_path / "odd.json").write_text(json.dumps(damage))
        with pytest.raises(KeystoreError, match="damaged"):
            LocalSigner.from_keystore(tmp_path / "odd.json", PASSWORD)
    with pytest.raises(KeystoreError, match="cannot read"):
        LocalSigner.from_keystore(tmp_path, PASSWORD)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620, 0o666])
def test_a_key_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = make(tmp_path)
    path.chmod(mode)
    with pytest.raises(KeystoreError, match="open to others") as refused:
        LocalSigner.from_keystore(path, PASSWORD)
    assert refused.value.hint == f"chmod 600 {path}"


def test_a_group_may_read_as_mounted_secrets_need(tmp_path: Path) -> None:
    path = make(tmp_path)
    path.chmod(0o440)
    assert LocalSigner.from_keystore(path, PASSWORD)


def test_passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    file.write_text("swordfish \nsecond line\n")
    file.chmod(0o600)
    assert read_password(file) == "swordfish "
    file.chmod(0o644)
    with pytest.raises(KeystoreError, match="open to others"):
        read_password(file)
    file.chmod(0o600)
    file.write_text("\n")
    with pytest.raises(KeystoreError, match="no password"):
        read_password(file)
    monkeypatch.setenv(PASSWORD_VARIABLE, "from the environment")
    assert read_password() == "from the environment"
    monkeypatch.delenv(PASSWORD_VARIABLE)
    with pytest.raises(KeystoreError, match=PASSWORD_VARIABLE):
        read_password()


@pytest.mark.parametrize("secret", [b"", b"\x01" * 31, bytes(32), b"\xff" * 32])
def test_impossible_keys(secret: bytes) -> None:
    with pytest.raises(KeystoreError) as refused:
        LocalSigner(secret)
    assert "\\xff" not in str(refused.value)


def test_the_key_never_shows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    signer = LocalSigner(SECRET)
    logging.getLogger("test").warning("%s %r", signer, signer)
    shown = [repr(signer), str(signer), f"{signer}", caplog.text]
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError) as refused:
            leak(signer)
        shown += traceback.format_exception(refused.value)
    with pytest.raises(KeystoreError) as wrong:
        LocalSigner.from_keystore(make(tmp_path), "wrong")
    shown += traceback.format_exception(wrong.value)
    with pytest.raises(KeystoreError) as words:
        LocalSigner.from_mnemonic("swordfish swordfish", 0)
    shown += traceback.format_exception(words.value)
    assert not hasattr(signer, "__dict__")
    for text in shown:
        assert SECRET.hex() not in text.lower()
        assert repr(SECRET) not in text
        assert PASSWORD not in text or "def " in text
    assert "swordfish" not in str(words.value)


def test_known_accounts() -> None:
    known = {
        Person.DEPLOYER: "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        Person.WATCHER: "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720",
    }
    for person, expected in known.items():
        assert signer_of(person).address == expected
    assert LocalSigner.from_mnemonic(MNEMONIC, 0).address == known[Person.DEPLOYER]


@given(st.binary(min_size=32, max_size=32))
def test_signatures(digest: bytes) -> None:
    signer = LocalSigner(SECRET)
    signature = signer.sign_digest(digest)
    assert signature == signer.sign_digest(digest)
    assert recover(digest, signature) == signer.address
    by_library = Account.unsafe_sign_hash(digest, SECRET)
    assert signature == bytes(by_library.signature)


@given(
    st.integers(1, 2**63),
    st.integers(0, 2**64 - 2),
    st.binary(max_size=300),
    st.integers(1, 2**100),
    st.integers(0, 2**96),
    st.integers(21_000, 2**30),
)
def test_transactions_are_those_of_eth_account(
    chain_id: int, nonce: int, data: bytes, fee: int, value: int, gas: int
) -> None:
    to = address("0x" + "a1" * 20)
    transaction_hash, raw = transaction_of(
        LocalSigner(SECRET),
        chain_id=chain_id,
        nonce=nonce,
        call=Call(to, data, gas),
        fees=Fees(fee, fee // 2),
        value=value,
    )
    expected = Account.sign_transaction(
        {
            "type": 2,
            "chainId": chain_id,
            "nonce": nonce,
            "to": to,
            "data": data,
            "gas": gas,
            "maxFeePerGas": fee,
            "maxPriorityFeePerGas": fee // 2,
            "value": value,
        },
        SECRET,
    )
    assert raw == bytes(expected.raw_transaction)
    assert transaction_hash == bytes(expected.hash)


def test_a_transaction_needs_a_chain_and_a_digest_32_bytes() -> None:
    signer = LocalSigner(SECRET)
    call = Call(address("0x" + "a1" * 20), b"", 21_000)
    with pytest.raises(ValueError, match="chain id"):
        transaction_of(signer, chain_id=0, nonce=0, call=call, fees=Fees(1, 1))
    with pytest.raises(ValueError, match="32 bytes"):
        signer.sign_digest(b"short")
