"""The command line's root: global options, in front of the tree of verbs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oracle import __version__
from oracle.cli.context import remember
from oracle.cli.redaction import speak_plainly
from oracle.cli.verbs import LazyVerbs

app = typer.Typer(
    name="oracle",
    cls=LazyVerbs,
    help="An inference oracle that a contract can hold to account.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _global(
    config: Annotated[
        Path | None,
        typer.Option(
            help="Settings file; relative paths in it are from the folder in which `oracle` is "
            "called.",
            show_default="oracle.toml, or .oracle/oracle.toml",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where everything is kept.", show_default=".oracle")
    ] = None,
    rpc_url: Annotated[
        list[str] | None,
        typer.Option(help="HTTP endpoint of the chain; several times: the preferred one first."),
    ] = None,
    deployment: Annotated[
        Path | None,
        typer.Option(help="Addresses file.", show_default="DATA_DIR/deployment.json"),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    remember(config, data_dir=data_dir, rpc_url=rpc_url or None, deployment=deployment)


def main() -> None:
    """Runs the command line."""
    speak_plainly()
    app()
