"""The vectors that forge reads are those that the Python core gives."""

from __future__ import annotations

from oracle.core.receipt import recover
from tests.support import eip712_vectors as vectors


def test_file_is_current() -> None:
    current = vectors.text()
    assert vectors.FILE.read_text() == current, "run python -m tests.support.eip712_vectors"


def test_signatures_are_of_the_signer() -> None:
    document = vectors.document()
    signed = [*document["accepts"], *document["answers"], *document["batches"]]
    signed += [{**request, "digest": request["id"]} for request in document["requests"]]
    for entry in signed:
        digest = bytes.fromhex(entry["digest"][2:])
        assert recover(digest, bytes.fromhex(entry["signature"][2:])) == vectors.SIGNER.address
