"""The contracts against the Python code whose mirror they are, on a real anvil."""
