"""What there is none of, for scripts and for people."""

from __future__ import annotations

import subprocess
import sys

import pytest

from oracle.cli.output import Output
from oracle.cli.spoken import by_name, spoken

FACTS = {"a": None, "b": [], "c": {}, "d": {"e": None, "f": 0}, "g": [{"h": None}], "i": False}


def test_scripts_get_null_and_empty_containers_as_they_are() -> None:
    assert spoken(FACTS, as_json=True) == FACTS


def test_people_read_none_wherever_there_is_nothing() -> None:
    assert spoken(FACTS, as_json=False) == {
        "a": "none",
        "b": "none",
        "c": "none",
        "d": {"e": "none", "f": 0},
        "g": [{"h": "none"}],
        "i": False,
    }


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("endpoint", None, ("endpoint", "none")),
        ("offers", {}, ("offers", "none")),
        ("alive", True, ("alive", "yes")),
        ("draining", False, ("draining", "no")),
        ("gas_spent_wei", 343_557_002_404_899, ("gas spent", "0.0003435 coin")),
        ("signer_balance_wei", 10**18 - 1, ("signer balance", "0.9999 coin")),
        ("signer_balance_wei", 12_345_678 * 10**18, ("signer balance", "12345678 coin")),
        ("cost_wei", 0, ("cost", "0 coin")),
        ("max_fee_wei", 1_250_000_000, ("max fee", "1.25 gwei")),
        ("deadline", 1_795_298_815, ("deadline", "2026-11-21 22:06:55 UTC")),
        ("available_at", 1_795_305_158, ("available at", "2026-11-21 23:52:38 UTC")),
        ("deadline", "2026-11-21", ("deadline", "2026-11-21")),
        ("block", 1_795_305_158, ("block", 1_795_305_158)),
        ("fee_opg", "0.5", ("fee opg", "0.5")),
    ],
)
def test_people_read_units_and_words_by_what_a_fact_is_called(
    name: str, value: object, told: tuple[str, object]
) -> None:
    assert by_name(name, value) == told


def test_what_is_printed_for_people_has_units_and_for_scripts_has_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    facts = {"exits": [{"opg": "980", "available_at": 1_795_305_158}], "endpoint": None}
    Output(as_json=False).result(facts)
    Output(as_json=True).result(facts)
    printed = capsys.readouterr().out
    assert "  available at  2026-11-21 23:52:38 UTC" in printed
    assert "endpoint  none" in printed
    assert '"available_at": 1795305158' in printed


def test_a_table_in_a_pipe_keeps_every_row_on_one_line() -> None:
    program = (
        "from oracle.cli.output import Output\n"
        "row = ['name ' * 30, bytes(range(32)), 'meaning ' * 30, bytes(32)]\n"
        "Output(as_json=False).table('Models', ['a', 'b', 'c', 'd'], [row])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = [one for one in done.stdout.splitlines() if "name" in one]
    assert "0x" + bytes(range(32)).hex() in line
    assert "0x" + "00" * 32 in line
