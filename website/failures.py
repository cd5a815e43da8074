"""The reference of errors and exit codes, from the tree of errors."""

from __future__ import annotations

import inspect
import re

from tables import cell, code, table

from oracle import errors


def page() -> str:
    """The tree as its module draws it, and the exit code of each error."""
    document = inspect.cleandoc(errors.__doc__ or "")
    tree = re.search(r"^OracleError\n(?:[│├└ ].*\n)+", inspect.cleandoc(document), re.MULTILINE)
    drawn = document if tree is None else tree.group()
    meanings = dict(re.findall(r"[├└]── (\w+) {2,}(.+?)(?: \(exit \d+\))?$", drawn, re.MULTILINE))
    rows = [
        [code(name), str(error.exit_code), cell(meanings.get(name, ""))]
        for name, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, errors.OracleError) and error is not errors.OracleError
    ]
    rows.sort(key=lambda row: (int(row[1]), row[0]))
    return "\n".join(
        [
            "# Errors and exit codes\n",
            "Every verb ends with 0, with 2 where its command line is wrong, or with the code of "
            "an error below, whose message names the cause and the next step. What to do about "
            "each of them: [operations](../operations.md).\n",
            table(["error", "exit code", "what it means"], rows),
        ]
    )
