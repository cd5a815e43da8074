"""What is said of models: prepared ones, registered ones, their programs and certificates.

Responsible for the names of the facts and for words where there is no number. Prints nothing.
"""

from __future__ import annotations

import math
from typing import Any

from oracle.bootstrap.models import PreparedModel
from oracle.certificate.certificate import Certificate
from oracle.client.answer import backing
from oracle.core.model import UNCERTIFIED, Model, error_bar
from oracle.core.schema import DEFAULT_MAX_BATCH
from oracle.core.types import Tier, format_opg
from oracle.program.manifest import ProgramManifest
from oracle.program.sizes import multiply_adds


def facts(prepared: PreparedModel) -> dict[str, Any]:
    """What there is to say of a prepared model."""
    shown: dict[str, Any] = {
        **_tier(prepared.tier),
        "program_root" if prepared.compiled else "file_sha256": prepared.root,
        "bytes": prepared.file.size,
        "parameters": prepared.file.parameter_count,
        "operators": ", ".join(prepared.file.operators),
        "inputs": [spec.in_words for spec in prepared.schema.inputs],
        "outputs": [spec.in_words for spec in prepared.schema.outputs],
    }
    if prepared.compiled is not None:
        program = prepared.compiled.program
        shown |= {
            "instructions": len(program.instructions),
            "multiply_adds": multiply_adds(program),
            "trace_bytes": program.row_trace_bytes,
            "leaf_bytes": program.leaf_bytes,
            "error_bar": error_bar(prepared.epsilon),
            **measured(prepared.manifest, prepared.epsilon),
        }
        if prepared.compiled.single_only:
            shown["one_row_a_request"] = prepared.compiled.single_only
        elif prepared.schema.max_batch != DEFAULT_MAX_BATCH:
            shown["most_rows_a_request"] = prepared.schema.max_batch
    return shown


def measured(manifest: ProgramManifest | None, epsilon: int) -> dict[str, Any]:
    """How far the program is from its source, and what a model's error bar is worth."""
    if manifest is None:
        return {}
    difference = manifest.difference
    shown: dict[str, Any] = {
        "error_bar_is": _worth(manifest, epsilon),
        "compared_on": "nothing: no generated row can be run",
    }
    if difference is not None:
        shown |= {
            "compared_on": f"{difference.rows} {difference.inputs} rows",
            "largest_difference": difference.largest
            if math.isfinite(difference.largest)
            else "infinite",
            "rows_with_other_labels": difference.other_rows,
        }
    return shown


def _worth(manifest: ProgramManifest, epsilon: int) -> str:
    """Several models may be of one program; its manifest holds the certificate of one of them."""
    if epsilon == UNCERTIFIED:
        return "none"
    document = manifest.certificate
    certificate = None if document is None else Certificate.of_document(document)
    if certificate is None or certificate.epsilon_wad != epsilon:
        return "of a certificate that is not here"
    return certificate.kind


def certified(certificate: Certificate) -> dict[str, Any]:
    return {
        "epsilon": certificate.epsilon,
        "kind": certificate.kind,
        "safety_factor": certificate.safety_factor,
        "rows": certificate.rows,
        "rows_with_estimated_reach": certificate.estimated,
        "rows_undefined": len(certificate.undefined),
        "inputs_sha256": certificate.inputs_sha256,
        "outputs": [
            f"{one.name}: at most {max(one.maximum):.3g}"
            if one.is_float and one.maximum
            else f"{one.name}: could change in {one.unstable} rows"
            for one in certificate.outputs
        ],
    }


def describe(model: Model) -> dict[str, Any]:
    """A model's facts by name."""
    return {
        "id": model.id,
        "name": model.name,
        "registrar": model.registrar,
        "live": model.live,
        **_tier(model.terms.tier),
        "file_sha256" if model.terms.tier is Tier.UNPROVEN else "program_root": (
            model.terms.program_root
        ),
        "uri": model.uri,
        "challenge_window_seconds": model.terms.challenge_window,
        "reveal_window_seconds": model.terms.reveal_window,
        "min_bond_opg": format_opg(model.terms.min_bond),
        "error_bar": error_bar(model.terms.epsilon),
        "inputs": [spec.in_words for spec in model.schema.inputs],
        "outputs": [spec.in_words for spec in model.schema.outputs],
    }


def _tier(tier: Tier) -> dict[str, str]:
    """A tier's name, and what stands behind answers of it."""
    return {"tier": tier.name.lower(), "backing": backing(tier).partition(": ")[2]}
