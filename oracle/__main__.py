"""`python -m oracle`, the same as the `oracle` command."""

from oracle.cli.start import main

main()
