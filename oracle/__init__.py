"""An inference oracle that a contract can hold to account.

A dApp contract asks for a model's answer, a staked operator computes and signs it, and contracts
settle payment. `docs/architecture.md` has the picture; imports go one way (see pyproject.toml).
"""

__version__ = "0.1.0"
