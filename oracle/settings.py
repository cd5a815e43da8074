"""Everything that can be set, in one documented place: a TOML file, then ORACLE_* variables.

Unknown keys are refused in both. Holds paths to secrets, never secrets. Reads no chain and no key.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from oracle.errors import ConfigurationError

DEFAULT_FILES = (Path("oracle.toml"), Path(".oracle/oracle.toml"))
_PREFIX = "ORACLE_"
_OTHER_VARIABLES = {"ORACLE_CONFIG", "ORACLE_ANVIL", "ORACLE_KEYSTORE_PASSWORD"}


class Settings(BaseSettings):
    """One field a setting; the descriptions are the documentation."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid", frozen=True)

    # where
    data_dir: Path = Field(Path(".oracle"), description="Everything this installation writes.")
    rpc_url: str | None = Field(
        None, description="HTTP endpoint of the chain; a running local devnet's by default."
    )
    deployment: Path | None = Field(
        None, description="Addresses file of `oracle deploy`; DATA_DIR/deployment.json by default."
    )
    database: str | None = Field(
        None, description="SQLAlchemy URL or file of the job table; DATA_DIR/node.sqlite."
    )

    # keys
    signer_keystore: Path | None = Field(None, description="Hot key of the node.")
    owner_keystore: Path | None = Field(None, description="Cold key that owns the operator.")
    requester_keystore: Path | None = Field(None, description="Key that pays for requests.")
    operator: str | None = Field(None, description="Address of the operator this node serves.")
    password_file: Path | None = Field(None, description="File with the keystores' password.")

    # inference
    provider: Literal["auto", "cpu", "cuda"] = Field("auto", description="Execution provider.")
    threads: int = Field(1, ge=1, description="Threads of one inference.")
    inference_timeout_seconds: float = Field(60.0, gt=0, description="Time limit of one run.")

    # the chain
    poll_seconds: float = Field(2.0, gt=0, description="Wait between looks at the chain.")
    confirmations: int = Field(0, ge=0, description="Blocks on top of one before it is read.")
    range_blocks: int = Field(2_000, ge=1, description="Most blocks one log query spans.")
    rpc_timeout_seconds: float = Field(10.0, gt=0, description="Time limit of one RPC call.")

    # what to take on
    minimum_fee_opg: str = Field("0", description="Smallest fee accepted for open requests.")
    answer_margin_seconds: int = Field(
        60, ge=0, description="Time to the deadline below which nothing is accepted."
    )
    max_callback_gas: int = Field(
        500_000, ge=0, description="Most gas for a consumer's notice that is accepted."
    )
    max_window_seconds: int = Field(
        604_800, ge=0, description="Longest challenge window that is accepted."
    )
    wei_per_opg: int = Field(0, ge=0, description="Value of one OPG in wei; 0: no profit gate.")
    margin_percent: int = Field(0, ge=0, description="Profit wanted over the gas, in percent.")

    # transactions
    answer_batch: int = Field(100, ge=1, le=500, description="Most answers in one transaction.")
    settle_batch: int = Field(100, ge=1, le=500, description="Most settlements in one.")
    settle_seconds: float = Field(10.0, gt=0, description="Wait between settlement sweeps.")
    max_in_flight: int = Field(16, ge=1, description="Transactions open at once.")
    resend_seconds: float = Field(60.0, gt=0, description="The same bytes are sent again after.")
    bump_seconds: float = Field(36.0, gt=0, description="Fees are raised after.")
    bump_percent: int = Field(20, ge=10, description="By how much.")
    max_fee_gwei: float = Field(500.0, gt=0, description="Largest fee per gas ever offered.")
    drain_seconds: float = Field(60.0, gt=0, description="Time to finish after SIGTERM.")

    # traces
    trace_budget: int = Field(10 << 30, ge=0, description="Most bytes of traces on the disk.")
    serve_host: str = Field("127.0.0.1", description="Address on which traces are served.")
    serve_port: int = Field(
        0, ge=0, le=65_535, description="Its port; 0 takes a free one (`oracle node status`)."
    )

    # output
    log_format: Literal["console", "json"] = Field("console", description="Log lines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="")

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


def load(file: Path | None = None, **overrides: Any) -> Settings:
    """Settings from defaults, then the file, then the environment, then `overrides`.

    Args:
        file: TOML file; by default ORACLE_CONFIG, ./oracle.toml or ./.oracle/oracle.toml.
        overrides: command-line options; None means not given.

    Raises:
        ConfigurationError: a missing file, an unknown key or a bad value, each by name.
    """
    chosen = file or (Path(os.environ["ORACLE_CONFIG"]) if "ORACLE_CONFIG" in os.environ else None)
    if chosen is not None and not chosen.is_file():
        raise ConfigurationError(f"there is no settings file {chosen}")
    path = chosen or next((one for one in DEFAULT_FILES if one.is_file()), DEFAULT_FILES[0])
    _refuse_unknown_variables()

    class _FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, path)

    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = _FromFile(**given)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ConfigurationError(
            f"bad settings: {problems}",
            hint=f"see {path}, the ORACLE_* variables and `oracle settings`",
        ) from None
    except ValueError as error:  # tomllib.TOMLDecodeError
        raise ConfigurationError(f"{path} is not TOML: {error}") from None
    return Settings.model_construct(**settings.model_dump())


def _refuse_unknown_variables() -> None:
    known = {_PREFIX + name.upper() for name in Settings.model_fields} | _OTHER_VARIABLES
    unknown = sorted(name for name in os.environ if name.startswith(_PREFIX) and name not in known)
    if unknown:
        raise ConfigurationError(
            f"unknown environment variable: {', '.join(unknown)}",
            hint="`oracle settings` lists what can be set",
        )
