"""What is secret in an address, and what is left of a text that holds it."""

from __future__ import annotations

import logging

import pytest

from oracle.cli.context import start_logging
from oracle.core.redaction import Redaction, masked, without_password
from oracle.settings import Settings
from tests.support.logging_reset import reset_logging

URL = "https://customer17:pass%2Fword@rpc.example:8545/v2/mainnet/k3yk3yk3y?token=t0ken&x=y"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"no answer from {URL}", "no answer from https://rpc.example:8545/…"),
        ("project k3yk3yk3y is over its limit", "project … is over its limit"),
        ("customer17 may not; pass/word; pass%2Fword; t0ken", "… may not; …; …; …"),
        ("block 2 of mainnet is v2", "block 2 of mainnet is v2"),
        ("", ""),
    ],
)
def test_a_text_is_shown_without_what_is_secret_in_an_address(said: str, shown: str) -> None:
    assert Redaction([URL])(said) == shown


def test_addresses_without_secrets_change_nothing() -> None:
    for harmless in ([], [""], ["http://127.0.0.1:8545"], ["http://["], ["not one"]):
        assert Redaction(harmless)("http is 127, not one [ of ours") == (
            "http is 127, not one [ of ours"
        )


def test_of_a_database_the_password_alone_is_secret() -> None:
    url = "postgresql+psycopg://oracle:s3cr3t@db.internal/inference?sslpassword=0ther"
    assert Redaction([], [url])("inference on db.internal: s3cr3t, 0ther") == (
        "inference on db.internal: …, …"
    )
    shown = "postgresql+psycopg://oracle:…@db.internal/inference?sslpassword=…"
    assert without_password(url) == shown
    for plain in ("/var/lib/oracle/node.sqlite", "sqlite:///a@b:c.sqlite", "postgresql://u@/db"):
        assert without_password(plain) == plain


def test_a_masked_address_has_its_host_and_nothing_else() -> None:
    assert masked(URL) == "https://rpc.example:8545/…"
    assert masked("http://[::1]:8545") == "http://[::1]:8545"
    assert masked("no address") == "<malformed url>"


def test_lines_of_other_packages_are_lines_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(Settings.model_construct(log_format="json", rpc_url=URL))
    try:
        logging.getLogger("some.package").error("cannot reach %s", URL)
        logging.getLogger("some.package").info("nobody wants to know")
    finally:
        reset_logging()
    (line,) = capsys.readouterr().err.splitlines()
    assert '"event": "cannot reach https://rpc.example:8545/…"' in line.replace("\\u2026", "…")
    assert '"logger": "some.package"' in line
    assert '"level": "error"' in line
