"""`python -m oracle`, the same as the `oracle` command."""

from oracle.cli.main import main

main()
