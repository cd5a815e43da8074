"""The manifest of a program: what it says, what is refused, and that the samples' are theirs."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from typing import Any

import pytest

from oracle.certificate.certificate import Certificate
from oracle.core.types import Tier
from oracle.devnet.samples import Sample, samples
from oracle.errors import ProgramError
from oracle.program.compile import compile_model
from oracle.program.encoding import program_root
from oracle.program.manifest import GIVEN, ProgramManifest, SourceDifference
from oracle.program.profile import profile_hash
from tests.program.models import SAMPLES


@pytest.fixture(scope="module")
def manifest() -> ProgramManifest:
    compiled = compile_model((SAMPLES / "wine-forest.onnx").read_bytes())
    difference = SourceDifference(1e-7, 0, 45, GIVEN, "aa" * 32)
    return ProgramManifest.of(
        compiled, name="wine", difference=difference, certificate={"epsilon": 0.1}
    )


def test_manifest_reads_what_it_writes(manifest: ProgramManifest) -> None:
    difference = manifest.difference
    assert difference is not None
    for one in (
        manifest,
        replace(manifest, difference=None, certificate=None),
        replace(manifest, difference=replace(difference, largest=math.inf)),
    ):
        assert ProgramManifest.from_json(one.to_json()) == one


def test_manifest_says_what_a_program_is(manifest: ProgramManifest) -> None:
    source = (SAMPLES / "wine-forest.onnx").read_bytes()
    program = compile_model(source).program
    written = json.loads(manifest.to_json())
    assert written["root"] == "0x" + program_root(program).hex()
    assert written["source_sha256"] == "0x" + hashlib.sha256(source).hexdigest()
    assert written["profile_hash"] == "0x" + profile_hash(Tier.ROUNDED).hex()
    assert written["sizes"]["trace_bytes"] == program.row_trace_bytes
    assert written["sizes"]["leaf_bytes"] == program.leaf_bytes
    assert [one["name"] for one in written["schema"]["outputs"]] == ["label", "probabilities"]


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"root": "0x00"},
        {"tier": "golden"},
        {"sizes": {}},
        {"schema": {}},
        {"difference": {"largest": "1"}},
        {"certificate": 3},
        {"more": 1},
    ],
)
def test_what_is_no_manifest_is_refused(manifest: ProgramManifest, changes: dict[str, Any]) -> None:
    with pytest.raises(ProgramError, match="not a program's manifest"):
        ProgramManifest.from_json(json.dumps(json.loads(manifest.to_json()) | changes))


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_the_samples_manifests_are_of_their_programs(sample: Sample) -> None:
    manifest = sample.manifest()
    compiled = compile_model(sample.file.read_bytes())
    assert manifest == ProgramManifest.of(
        compiled,
        name=sample.file.name,
        difference=manifest.difference,
        certificate=manifest.certificate,
    ), "oracle model certify models/NAME.onnx --inputs models/heldout/NAME.npz -o …manifest.json"
    assert manifest.certificate is not None
    certificate = Certificate.of_document(manifest.certificate)
    assert "0x" + certificate.program_source_sha256 == "0x" + manifest.source_sha256.hex()
    assert certificate.tier is manifest.tier
    assert manifest.difference is not None
    assert manifest.difference.rows == len(sample.held_out_samples()[1])
    assert (manifest.difference.largest, manifest.difference.other_rows) < (1e-4, 1)
