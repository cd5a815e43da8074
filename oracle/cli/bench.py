"""`oracle bench`."""

import typer

app = typer.Typer(help="Measure.")
