"""A node that answers with deeply nested JSON is an error, not a crash of the process."""

import subprocess
import sys

PROGRAM = """
import json, oracle.chain.rpc
try:
    json.loads("[" * 200_000)
except RecursionError:
    print("refused")
"""


def test_nested_json_does_not_overflow_the_stack() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr[-500:]
