"""One deployment: which contracts, on which chain, with which parameters; and its file.

Responsible for reading that file strictly, writing it whole or not at all, and checking it against
a chain. Knows nothing of how contracts are deployed.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from oracle.chain.rpc import Rpc
from oracle.core.typed_data import Domain
from oracle.core.types import Address, address, bytes32
from oracle.errors import ConfigurationError, InputError, WrongChain

FORMAT: Final = 2
_HINT: Final = (
    "ask whoever gave you the deployment file, or compare it with another operator's; on a local "
    "chain: `oracle devnet up`"
)


@dataclass(frozen=True, slots=True)
class DeploymentParameters:
    """What the contracts are built with. All in seconds, but for the deposit.

    Attributes:
        min_challenge_window, max_challenge_window: bounds of a model's challenge window; the latter
            also of a request's.
        default_window: what a model gets unless its registrar says otherwise; not on chain.
        max_ttl: longest time from a request to its deadline.
        dispute_allowance: what disputes may add to the latest end of a window.
        exit_delay: from unbonding to withdrawal; covers all of the former.
        signer_delay: until a new signer replaces the present one.
        announcement_age: by how much an announcement must precede a conviction that pays at once.
        priority_period: for how long the share of any other conviction is held.
        reveal_deposit: OPG base units that a first demand to reveal a KiB costs: half of it pays an
            operator for the gas, and all of it is little beside 30% of a bond worth disputing.
        credit_delay: from announcing to withdrawing what was deposited for views.
    """

    min_challenge_window: int = 10 * 60
    max_challenge_window: int = 7 * 24 * 3600
    default_window: int = 3600
    max_ttl: int = 24 * 3600
    dispute_allowance: int = 3 * 24 * 3600
    exit_delay: int = 14 * 24 * 3600
    signer_delay: int = 24 * 3600
    announcement_age: int = 60
    priority_period: int = 24 * 3600
    reveal_deposit: int = 10**17
    credit_delay: int = 24 * 3600

    def __post_init__(self) -> None:
        for part in fields(self):
            value = getattr(self, part.name)
            if type(value) is not int or value < 0:
                raise ConfigurationError(f"{part.name} is {value!r}, not a number")
        if 0 in (self.announcement_age, self.priority_period, self.reveal_deposit):
            raise ConfigurationError("age, period and deposit of the court cannot be 0")
        if not self.min_challenge_window <= self.default_window <= self.max_challenge_window:
            raise ConfigurationError(
                f"the default window of {self.default_window} s is not between the bounds of "
                f"{self.min_challenge_window} s and {self.max_challenge_window} s"
            )
        liability = self.max_ttl + self.max_challenge_window + self.dispute_allowance
        if self.exit_delay < liability:
            raise ConfigurationError(
                f"the exit delay of {self.exit_delay} s is shorter than the {liability} s for "
                "which stake may have to answer",
                hint="raise exit_delay, or lower max_ttl, max_challenge_window, dispute_allowance",
            )

    @classmethod
    def devnet(cls) -> DeploymentParameters:
        """Seconds where production has hours; a request may still live for an hour."""
        return cls(
            min_challenge_window=1,
            max_challenge_window=600,
            default_window=5,
            max_ttl=3600,
            dispute_allowance=60,
            exit_delay=4300,
            signer_delay=10,
            announcement_age=2,
            priority_period=30,
            credit_delay=60,
        )


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where everything is.

    Attributes:
        court: the dispute manager; it and nobody else may void an answer.
        verifier: what the court asks about proofs.
        views: answers in view calls (`AnswerViews`); None where a deployment has none.
        credit: what pays for them (`ViewCredit`); None where they can only be free.
        deployed_block: nothing happened before it.
        genesis_hash: tells two devnets of one chain id apart.
        examples: addresses of example dApps by name.
    """

    chain_id: int
    genesis_hash: bytes
    deployed_block: int
    token: Address
    registry: Address
    staking: Address
    oracle: Address
    court: Address
    verifier: Address
    parameters: DeploymentParameters
    views: Address | None = None
    credit: Address | None = None
    examples: Mapping[str, Address] = field(default_factory=dict)

    @property
    def domain(self) -> Domain:
        return Domain(self.chain_id, self.oracle)

    def to_json(self) -> str:
        document = {"format": FORMAT, **asdict(self)}
        document["genesis_hash"] = "0x" + self.genesis_hash.hex()
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Deployment:
        """Raises ConfigurationError for anything but what `to_json` writes."""
        try:
            document = json.loads(text)
        except ValueError as error:
            raise ConfigurationError(f"not JSON: {error}", hint=_HINT) from None
        if isinstance(document, dict):
            for periphery in ("views", "credit"):  # a deployment may do without
                document.setdefault(periphery, None)
        document = _exactly(document, {"format", *(part.name for part in fields(cls))})
        if document.pop("format") != FORMAT:
            raise ConfigurationError("written by another version of this program", hint=_HINT)
        wanted = {part.name for part in fields(DeploymentParameters)}
        parameters = DeploymentParameters(**_exactly(document["parameters"], wanted))
        try:
            return cls(
                chain_id=_number(document, "chain_id"),
                genesis_hash=bytes32(document["genesis_hash"], what="block hash"),
                deployed_block=_number(document, "deployed_block"),
                token=address(document["token"]),
                registry=address(document["registry"]),
                staking=address(document["staking"]),
                oracle=address(document["oracle"]),
                court=address(document["court"]),
                verifier=address(document["verifier"]),
                parameters=parameters,
                views=None if document["views"] is None else address(document["views"]),
                credit=None if document["credit"] is None else address(document["credit"]),
                examples={name: address(at) for name, at in document["examples"].items()},
            )
        except InputError as error:
            raise ConfigurationError(error.message, hint=error.hint) from None
        except (TypeError, AttributeError) as error:
            raise ConfigurationError(f"a field has the wrong type: {error}", hint=_HINT) from None

    def save(self, path: Path) -> None:
        """Writes the file whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(self.to_json())
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: Path) -> Deployment:
        """Raises ConfigurationError where the file is missing or is no deployment."""
        try:
            text = path.read_text()
        except FileNotFoundError:
            missing = f"there is no deployment file {path.absolute()}"
            raise ConfigurationError(missing, hint=_HINT) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"cannot read {path}: {error}", hint=_HINT) from None
        try:
            return cls.from_json(text)
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: {error.message}", hint=error.hint) from None

    @classmethod
    def load_if_there(cls, path: Path) -> Deployment | None:
        """None where there is no such file; otherwise as `load`."""
        return cls.load(path) if path.exists() else None

    async def verify(self, rpc: Rpc) -> None:
        """Checks that this deployment is on the endpoint's chain.

        Raises:
            WrongChain: another chain id or genesis block, or no code at an address.
        """
        if rpc.chain_id != self.chain_id:
            raise WrongChain(
                f"the deployment is on chain {self.chain_id}, {rpc.endpoint} serves {rpc.chain_id}",
                hint="check the RPC URL and the deployment file",
            )
        genesis = await rpc.block(0)
        if genesis is None or genesis.hash != self.genesis_hash:
            raise WrongChain(
                f"chain {self.chain_id} at {rpc.endpoint} began anew since the deployment",
                hint=_HINT,
            )
        core = ("token", "registry", "staking", "oracle", "court", "verifier")
        for name in (*core, "views", "credit"):
            at: Address | None = getattr(self, name)
            if at is not None and not await rpc.code(at):
                raise WrongChain(
                    f"there is no contract at {at} ({name}) on chain {self.chain_id}", hint=_HINT
                )


def _exactly(document: Any, names: set[str]) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise ConfigurationError("not a JSON object", hint=_HINT)
    missing, unknown = names - document.keys(), document.keys() - names
    if missing or unknown:
        raise ConfigurationError(
            f"missing {sorted(missing)}, unknown {sorted(unknown)}", hint=_HINT
        )
    return document


def _number(document: Mapping[str, Any], name: str) -> int:
    value = document[name]
    if type(value) is not int or value < 0:
        raise ConfigurationError(f"{name} is {value!r}, not a number", hint=_HINT)
    return value
