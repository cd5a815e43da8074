"""Everything that can be set, in one documented place: names, kinds, defaults and meanings.

Holds paths to secrets, never secrets. Reads no file, no chain and no key: `settings_file` loads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from oracle.core.types import opg
from oracle.core.view_price import read_prices
from oracle.errors import ConfigurationError, InputError

DEFAULT_FILES = (Path("oracle.toml"), Path(".oracle/oracle.toml"))
VARIABLE_PREFIX: Final = "ORACLE_"

REQUIRED: Final = ("rpc_url", "deployment", "operator", "signer_keystore", "password_file")
"""What a node on a public chain cannot do without, unless a remote signer has its key. A local
devnet brings the first two."""

GROUPS: Final[Mapping[str, str]] = {
    # the first setting of a group: its heading, in the order of the fields
    "data_dir": "Where",
    "signer_keystore": "Keys",
    "provider": "Inference",
    "poll_seconds": "The chain",
    "minimum_fee_opg": "What to take on",
    "answer_batch": "Transactions",
    "hang_seconds": "Health and ending",
    "lease_seconds": "Several workers",
    "trace_budget_bytes": "Traces",
    "views": "Answers in views",
    "private": "The operator's own server",
    "watcher_port": "Watching and verifying",
    "log_format": "Output",
}


def _joined(value: object) -> object:
    """A list of texts as one text: TOML and the command line have lists, variables do not."""
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return " ".join(value)
    return value


def _priced(text: str) -> str:
    """Models with their prices, or a sentence about what is none."""
    return _checked(text, read_prices)


def _amount(text: str) -> str:
    return _checked(text, opg)


def _checked(text: str, read: Callable[[str], object]) -> str:
    try:
        read(text)
    except InputError as error:
        raise PydanticCustomError("value", "{problem}", {"problem": error.message}) from None
    return text


class Settings(BaseSettings):
    """One field a setting; the descriptions are the documentation."""

    model_config = SettingsConfigDict(env_prefix=VARIABLE_PREFIX, extra="forbid", frozen=True)

    # where
    data_dir: Path = Field(Path(".oracle"), description="Everything this installation writes.")
    rpc_url: Annotated[str | None, BeforeValidator(_joined)] = Field(
        None,
        description="HTTP endpoint of the chain, or several of them with spaces between, the "
        "preferred one first; a running local devnet's by default.",
        repr=False,
    )
    ws_url: str | None = Field(
        None, description="Websocket endpoint that says when to look; optional.", repr=False
    )
    deployment: Path | None = Field(
        None,
        description="Addresses file of the chain's contracts, from whoever deployed them; "
        "DATA_DIR/deployment.json by default.",
    )
    database: str | None = Field(
        None, description="SQLAlchemy URL or file of the job table; DATA_DIR/node.sqlite."
    )

    # keys
    signer_keystore: Path | None = Field(None, description="Hot key of the node.")
    next_signer_keystore: Path | None = Field(
        None, description="The key that replaces it, while the signer changes."
    )
    signer_url: str | None = Field(
        None,
        description="Remote signer that has the hot key instead (Web3Signer's eth1 API).",
        repr=False,
    )
    signer_address: str | None = Field(None, description="Address of its key.")
    next_signer_address: str | None = Field(
        None, description="Address of its next key, while the signer changes."
    )
    signer_auth_file: Path | None = Field(
        None, description="File with `Bearer TOKEN` or `Basic USER:PASSWORD` for it."
    )
    signer_timeout_seconds: float = Field(
        10.0, gt=0, description="Time limit of one signature, in seconds."
    )
    signer_check_seconds: float = Field(
        15.0, gt=0, description="Seconds between looks at who the chain takes for the signer."
    )
    handover_seconds: float = Field(
        30.0,
        ge=0,
        description="For so many seconds before the signer changes, what can wait is not signed.",
    )
    sender_keystore: Path | None = Field(
        None, description="Key that pays for this worker's transactions; the signer's by default."
    )
    owner_keystore: Path | None = Field(None, description="Cold key that owns the operator.")
    requester_keystore: Path | None = Field(None, description="Key that pays for requests.")
    watcher_keystore: Path | None = Field(
        None, description="Key that `oracle watch` pays with; nothing else may send with it."
    )
    operator: str | None = Field(None, description="Address of the operator this node serves.")
    password_file: Path | None = Field(None, description="File with the keystores' password.")

    # inference
    provider: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="What runs models (execution provider)."
    )
    threads: int = Field(1, ge=1, description="Threads of one inference.")
    inference_timeout_seconds: float = Field(
        60.0, gt=0, description="Time limit of one inference, in seconds."
    )
    inference_memory_mib: int = Field(
        0,
        ge=0,
        description="Most memory of the inference process; 0: half of the machine's, and no limit "
        "where CUDA is demanded.",
    )
    model_load_seconds: float = Field(
        300.0, gt=0, description="Time limit of loading a model, in seconds."
    )

    # the chain
    poll_seconds: float = Field(2.0, gt=0, description="Seconds between looks at the chain.")
    confirmations: int = Field(0, ge=0, description="Blocks on top of one before it is read.")
    range_blocks: int = Field(2_000, ge=1, description="Most blocks one log query spans.")
    rpc_timeout_seconds: float = Field(
        10.0, gt=0, description="Time limit of one RPC call, in seconds."
    )
    rpc_max_lag_blocks: int = Field(
        5, ge=0, description="Blocks: an endpoint that is further behind the best one is not asked."
    )
    rpc_check_seconds: float = Field(
        15.0, gt=0, description="Seconds between looks at the endpoints that are not in use."
    )
    rpc_calls_per_minute: int = Field(
        0, ge=0, description="Most calls to each endpoint, transactions aside; 0: no bound."
    )

    # what to take on
    minimum_fee_opg: Annotated[str, AfterValidator(_amount)] | None = Field(
        None,
        description="Smallest fee in OPG accepted for open requests, and for those that the "
        "operator's standing offer did not take; by default, that offer's price. Not of views: "
        "their own price is the floor.",
    )
    answer_margin_seconds: int = Field(
        60, ge=0, description="Seconds: with less time to its deadline, a request is not accepted."
    )
    max_callback_gas: int | None = Field(
        None,
        ge=0,
        description="Most gas for a consumer's notice that is accepted, of the same requests as "
        "the smallest fee; by default, that of the operator's standing offer.",
    )
    max_window_seconds: int | None = Field(
        None,
        ge=0,
        description="Longest challenge window that is accepted, in seconds, of the same requests; "
        "by default, that of the operator's standing offer.",
    )
    wei_per_opg: int = Field(
        0,
        ge=0,
        description="Value of one OPG in wei; 0: requests are not weighed against their gas.",
    )
    margin_percent: int = Field(0, ge=0, description="Profit wanted over the gas, in percent.")
    breaker_failures: int = Field(
        5, ge=0, description="Own failures in a row after which intake stops; 0: never."
    )
    breaker_pause_seconds: float = Field(
        60.0,
        gt=0,
        description="Seconds that intake then stops; after them one request is let in on trial.",
    )
    minimum_balance_wei: int | None = Field(
        None,
        ge=0,
        description="Coin for gas below which is warned; by default, that of 20 small "
        "answers, 4 of the largest results and 3 of the largest demands for a trace.",
    )
    floor_balance_wei: int | None = Field(
        None,
        ge=0,
        description="Coin for gas below which nothing is taken on; by default, that of 3 small "
        "answers, one of the largest result and the largest demand for a trace.",
    )

    # transactions
    answer_batch: int = Field(100, ge=1, le=500, description="Most answers in one transaction.")
    settle_batch: int = Field(100, ge=1, le=500, description="Most settlements in one transaction.")
    settle_seconds: float = Field(10.0, gt=0, description="Seconds between settlement sweeps.")
    max_in_flight: int = Field(
        16, ge=1, description="Most transactions that are sent and not mined yet."
    )
    resend_seconds: float = Field(
        60.0,
        gt=0,
        description="Seconds after which a transaction that is not mined is sent again as it is.",
    )
    bump_seconds: float = Field(
        36.0,
        gt=0,
        description="Seconds after which one that is still not mined is sent with higher fees.",
    )
    bump_percent: int = Field(
        20, ge=10, description="By how many percent its fees are raised then."
    )
    max_fee_gwei: float = Field(
        500.0, gt=0, description="Largest fee per gas ever offered, in gwei."
    )

    # health and ending
    hang_seconds: float = Field(
        300.0,
        gt=0,
        description="Seconds: a step that takes longer is called hung, to a watchdog too.",
    )
    stalled_seconds: float = Field(
        60.0,
        gt=0,
        description="Seconds: when the chain could not be read for so long, and in at least three "
        "looks, `/health` is red.",
    )
    stale_head_seconds: float = Field(
        600.0,
        ge=0,
        description="Age of the newest block, in seconds, from which on `/health` is red; 0: a "
        "chain may stand still.",
    )
    drain_seconds: float = Field(
        60.0, gt=0, description="Seconds to finish what is begun after SIGTERM."
    )

    # several workers
    lease_seconds: float = Field(
        10.0,
        gt=0,
        description="Life of a lease, in seconds: another worker takes over after it at most.",
    )
    lease_refresh_seconds: float = Field(
        1.0, gt=0, description="Seconds after which it is prolonged."
    )

    # traces
    trace_budget_bytes: int = Field(10 << 30, ge=0, description="Most bytes of traces on the disk.")
    serve_host: str = Field("127.0.0.1", description="Address on which traces are served.")
    serve_port: int = Field(
        0,
        ge=0,
        le=65_535,
        description="Port on which they are served; 0 takes a free one (`oracle node status` says "
        "which).",
    )

    # answers in views
    views: Annotated[str, BeforeValidator(_joined), AfterValidator(_priced)] = Field(
        "",
        description="Models, by name or id, that are answered in views (ERC-3668) on serve_port: "
        "NAME for free, NAME=PRICE for so much prepaid OPG an answer; none by default.",
    )
    views_collect_at: Annotated[str, AfterValidator(_amount)] = Field(
        "1", description="OPG owed for priced views, in all, from which on it is collected."
    )
    views_per_minute: int = Field(
        60, ge=1, description="Most free answers in views for one caller, and for one client."
    )
    views_seconds: int = Field(
        300, ge=1, description="For so many seconds, at least, the receipt of a view can be posted."
    )
    views_proxied: bool = Field(
        False, description="A proxy in front names the client, last in X-Forwarded-For."
    )

    # the operator's own server
    private: bool = Field(True, description="Whether a node has a server for its operator.")
    private_host: str = Field(
        "127.0.0.1", description="Address of the operator's own server: its page and figures."
    )
    private_port: int = Field(
        0,
        ge=0,
        le=65_535,
        description="Port of the operator's own server; 0 takes a free one (`oracle node status` "
        "says which).",
    )
    private_names: Annotated[str, BeforeValidator(_joined)] = Field(
        "", description="More host names by which it may be asked, with spaces between."
    )
    private_token_file: Path | None = Field(
        None, description="File with the token that its actions ask for; none: it only shows."
    )

    # watching and verifying
    watcher_port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="Port of the figures and the health of `oracle watch`, on `private_host`; 0 "
        "takes a free one; none by default.",
    )
    private_endpoints: bool | None = Field(
        None,
        description="Whether URLs that others announced on chain are asked where they lead to "
        "private addresses; by default only where the chain's own endpoints are on this machine.",
    )

    # output
    log_format: Literal["console", "json"] = Field(
        "console", description="How log lines are written."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Log lines below this level are left out."
    )

    _without_file: bool = PrivateAttr(False)
    _folder: Path | None = PrivateAttr(None)

    def read_from(self, file: Path) -> None:
        """Notes the file that they were read from, or would have been if it were there."""
        self._without_file = not file.is_file()
        self._folder = file.absolute().parent if file.is_file() else None

    def lacking(self, problem: str, *, hint: str) -> ConfigurationError:
        """The error for what settings do not say; where no file was found, that is said first."""
        if not self._without_file:
            return ConfigurationError(problem, hint=hint)
        names = " or ".join(map(str, DEFAULT_FILES))
        return ConfigurationError(
            f"there is no settings file here ({names}), and so {problem}",
            hint="call it in the folder that has one, or name it with --config; "
            "`oracle devnet up` and `oracle init` write one",
        )

    def misplaced(self, path: Path) -> str | None:
        """What to try where there is no file of a relative path that these settings may have."""
        if path.is_absolute() or path.exists() or self._folder is None:
            return None
        said = "relative paths of settings are from the folder that oracle is called in"
        for base in (self._folder, self._folder.parent):
            if (base / path).exists():
                return f"{said}, and the file is there from {base}: cd {base}"
        return said

    @property
    def keystores(self) -> list[Path]:
        """All that the password file opens, whether or not they are there."""
        named = (
            *(self.owner_keystore, self.signer_keystore, self.next_signer_keystore),
            *(self.sender_keystore, self.requester_keystore, self.watcher_keystore),
        )
        return [one for one in named if one is not None]

    @property
    def deployment_path(self) -> Path:
        return self.deployment or self.data_dir / "deployment.json"

    @property
    def database_url(self) -> str:
        return self.database or str(self.data_dir / "node.sqlite")

    @property
    def model_store(self) -> Path:
        return self.data_dir / "models"

    @property
    def trace_store(self) -> Path:
        return self.data_dir / "traces"

    @property
    def devnet_dir(self) -> Path:
        return self.data_dir / "devnet"


def groups() -> Iterator[tuple[str, list[str]]]:
    """The names of all settings by heading, in their order."""
    heading, names = "", list[str]()
    for name in Settings.model_fields:
        if name in GROUPS:
            if names:
                yield heading, names
            heading, names = GROUPS[name], []
        names.append(name)
    yield heading, names
