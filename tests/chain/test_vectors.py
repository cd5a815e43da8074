"""The vectors that forge reads are those that Python gives."""

from __future__ import annotations

from types import ModuleType

import pytest

from oracle.core.receipt import recover
from tests.support import eip712_vectors, tensor_vectors


@pytest.mark.parametrize("vectors", [eip712_vectors, tensor_vectors])
def test_file_is_current(vectors: ModuleType) -> None:
    current = vectors.text()
    assert vectors.FILE.read_text() == current, f"run python -m {vectors.__name__}"


def test_signatures_are_of_the_signer() -> None:
    document = eip712_vectors.document()
    signed = [*document["accepts"], *document["answers"], *document["batches"]]
    signed += [{**request, "digest": request["id"]} for request in document["requests"]]
    for entry in signed:
        digest = bytes.fromhex(entry["digest"][2:])
        signature = bytes.fromhex(entry["signature"][2:])
        assert recover(digest, signature) == eip712_vectors.SIGNER.address
