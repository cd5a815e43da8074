"""Two kinds of models in one folder, each under its own kind of name and under no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle.core.types import Tier
from oracle.inference.model_library import ModelLibrary
from oracle.program.compile import compile_model
from tests.inference import graphs

PROVABLE = [tier for tier in Tier if tier is not Tier.UNPROVEN]


@pytest.mark.parametrize("tier", PROVABLE)
def test_a_model_is_here_under_its_own_kind_of_name_alone(tmp_path: Path, tier: Tier) -> None:
    library = ModelLibrary(tmp_path)
    compiled = compile_model(graphs.inverse_root().SerializeToString(), tier=Tier.ROUNDED)
    plain, root = library.add(compiled.file), library.add_program(compiled.file)
    assert library.has(plain, Tier.UNPROVEN)
    assert library.has(root, tier)
    assert not library.has(plain, tier), "a file of ours, registered as a program"
    assert not library.has(root, Tier.UNPROVEN), "a program of ours, registered as a plain file"


def test_damage_is_of_the_kind_that_is_asked_for(tmp_path: Path) -> None:
    library = ModelLibrary(tmp_path)
    compiled = compile_model(graphs.inverse_root().SerializeToString(), tier=Tier.ROUNDED)
    root = library.add_program(compiled.file)
    library.program_path(root).chmod(0o644)
    library.program_path(root).write_bytes(compiled.file[:100])
    assert "is damaged" in (library.damage(root, Tier.ROUNDED) or "")
    assert library.damage(root, Tier.UNPROVEN) is None, "there is none"
