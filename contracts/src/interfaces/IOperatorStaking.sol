// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

/// @title Custody of operators' stake
/// @notice An operator is known by the address that registered it (its owner, a cold key). A hot signer
///         key signs for it and a payout address is paid. Stake is locked a bond at a time, by the oracle
///         alone; it is slashed by the oracle or the court alone; what leaves waits `EXIT_DELAY` and stays
///         slashable until it is withdrawn. Amounts are OPG base units, times Unix seconds.
interface IOperatorStaking {
    /// @notice An operator's stake, in one word.
    /// @param stake All OPG held for the operator: free, locked and unbonding.
    /// @param locked Bonds of requests that are not over; never more than `stake`.
    /// @param unanswered Requests accepted and not answered yet.
    /// @param accepted Requests ever accepted, so that an operator can prove that it has seen them all.
    struct Position {
        uint96 stake;
        uint96 locked;
        uint32 unanswered;
        uint32 accepted;
    }

    /// @notice Consent, given in advance, to be bound by any request that matches; in one word. Every term of a
    ///         request that costs an operator something has a bound: a fixed price buys no more than that.
    /// @param price Smallest fee, in OPG base units.
    /// @param maxBond Largest bond a request may lock.
    /// @param capacity The offer takes a request only while fewer than this many are unanswered.
    /// @param minTime Shortest time to the deadline, in seconds.
    /// @param maxWindow Longest challenge window, in seconds: for how long the bond stays locked and the fee unpaid.
    /// @param maxCallbackGas Most gas for the consumer's notice, which whoever settles pays.
    struct Offer {
        uint80 price;
        uint88 maxBond;
        uint16 capacity;
        uint24 minTime;
        uint24 maxWindow;
        uint24 maxCallbackGas;
    }

    /// @param amount What is left of it after slashes and withdrawals.
    struct Unbonding {
        uint96 amount;
        uint40 availableAt;
    }

    /// @notice The sender became an operator.
    event OperatorRegistered(address indexed operator, address signer, address payout);
    /// @notice An operator named its next signer, which is valid from `effectiveAt` on.
    event SignerRotationStarted(address indexed operator, address signer, uint40 effectiveAt);
    /// @notice An operator is paid at another address from now on.
    event PayoutChanged(address indexed operator, address payout);
    /// @notice `from` added to an operator's stake.
    /// @param stake All of the operator's stake now: free, locked and unbonding.
    event Bonded(address indexed operator, address indexed from, uint96 amount, uint96 stake);
    /// @notice An exit of free stake started.
    /// @param index What `withdraw` takes, from `availableAt` on.
    event UnbondingStarted(address indexed operator, uint256 indexed index, uint96 amount, uint40 availableAt);
    /// @notice What was left of the unbondings up to and including `index` was paid out.
    event Withdrawn(address indexed operator, uint256 indexed index, address to, uint96 amount);
    /// @notice An operator set its standing offer for a model. With a capacity of zero it withdrew it.
    event OfferSet(address indexed operator, bytes32 indexed modelId, Offer offer);
    /// @notice An operator said where its services are.
    /// @param uri Where the operator's services are found; empty where it withdraws them.
    event EndpointSet(address indexed operator, string uri);
    /// @notice Stake was taken from an operator and split.
    /// @param cause The request id, or what else it is filed under.
    /// @param amount What was taken: at most what was asked for and at most what was there.
    event Slashed(
        address indexed operator,
        bytes32 indexed cause,
        uint96 amount,
        address requester,
        uint96 toRequester,
        address watcher,
        uint96 toWatcher,
        uint96 burned
    );
    /// @notice An account's shares of slashes were paid to `to`.
    event Claimed(address indexed account, address to, uint96 amount);
    /// @notice What was to be burned was sent to `BURN_ADDRESS`.
    event Burned(uint96 amount);

    /// The sender is an operator already.
    error OperatorExists(address operator);
    /// The address is no operator's: it has not called `register`.
    error OperatorUnknown(address operator);
    /// An address is needed, and none was given.
    error ZeroAddress();
    /// An amount is needed, and none was given or there is none.
    error ZeroAmount();
    /// Only the oracle may lock and release stake.
    error NotOracle(address caller);
    /// Only the oracle and the court may slash.
    error NotSlasher(address caller);
    /// The court may slash outside a request, but bonds are released by the oracle alone.
    error NotUnlocker(address caller);
    /// The token moved another amount than it was asked to.
    error TransferMismatch(uint256 expected, uint256 received);
    /// Less stake is free than is to be locked or unbonded.
    error FreeStakeTooLow(uint96 needed, uint96 free);
    /// There is no such unbonding, or nothing is left of it.
    error UnbondingUnknown(address operator, uint256 index);
    /// The unbonding can be withdrawn from `availableAt` on.
    error UnbondingNotOver(uint40 availableAt, uint40 timestamp);
    /// The account has no share of a slash.
    error NothingToClaim(address account);
    /// Both shares together are above 10,000 basis points.
    error SharesExceedAmount(uint256 requesterBps, uint256 watcherBps);
    /// The endpoint is longer than `MAX_ENDPOINT_BYTES`.
    error EndpointTooLong(uint256 length, uint256 maximum);

    // ---- operators

    /// @notice Makes the caller an operator, for good. Anyone may call it, once. Moves no money: `bond` adds stake.
    /// @dev Reverts with `ZeroAddress` or `OperatorExists`.
    /// @param signer The hot key that signs acceptances and answers, valid at once.
    /// @param payout Whose account at the oracle the fees are credited to, and who claims, at the court, the operator's
    ///        part of the deposits of demands that are met.
    function register(address signer, address payout) external;

    /// @notice Replaces the caller's signer after `SIGNER_DELAY` seconds; until then the present one stays valid. Called
    ///         again in between, it drops the key that waits, and the delay starts anew. The caller is an operator.
    /// @dev Reverts with `OperatorUnknown` or `ZeroAddress`.
    function rotateSigner(address signer) external;

    /// @notice Sets where the caller, an operator, is paid from the next settlement on, for earlier requests, too.
    /// @dev Reverts with `OperatorUnknown` or `ZeroAddress`.
    function setPayout(address payout) external;

    /// @notice Pulls `amount` OPG base units from the caller by ERC-20 allowance and adds them to an operator's stake.
    ///         Anyone may call it, for any operator; the stake is the operator's from then on.
    /// @dev Reverts with `ZeroAmount`, `OperatorUnknown` or `TransferMismatch`.
    function bond(address operator, uint96 amount) external;

    /// @notice Starts the exit of `amount` OPG base units of the caller's free stake: no request can lock them any
    ///         more, and after `EXIT_DELAY` seconds `withdraw` pays what slashes have left of them. The caller is an
    ///         operator.
    /// @dev Reverts with `OperatorUnknown`, `ZeroAmount` or `FreeStakeTooLow`.
    /// @return index What `withdraw` takes.
    function unbond(uint96 amount) external returns (uint256 index);

    /// @notice Pays out, to the caller, all that is left of its unbondings up to and including `index`, which must be
    ///         over. Unbondings leave in the order they started, and slashes take the oldest first.
    /// @dev Reverts with `UnbondingUnknown` or `UnbondingNotOver`.
    /// @return amount What was paid, in OPG base units.
    function withdraw(uint256 index) external returns (uint96 amount);

    /// @notice Sets or, with a capacity of zero, withdraws the standing offer of the caller, an operator, for a model, at
    ///         once. Requests that are bound stay bound.
    /// @dev Reverts with `OperatorUnknown`.
    function setOffer(bytes32 modelId, Offer calldata offer) external;

    /// @notice Announces where the services of the caller, an operator, are found. The event is all there is: no contract
    ///         needs it.
    /// @dev Reverts with `OperatorUnknown` or `EndpointTooLong`.
    function setEndpoint(string calldata uri) external;

    // ---- the oracle

    /// @notice Locks a bond because the operator has signed an acceptance. The oracle alone may call it.
    /// @dev Reverts with `NotOracle`, `OperatorUnknown` or `FreeStakeTooLow`.
    /// @return signer The key that must have signed it.
    /// @return sequence How many requests have bound the operator, this one included.
    function lock(address operator, uint96 bond_) external returns (address signer, uint32 sequence);

    /// @notice Locks a bond where the operator's standing offer takes the request, and else nothing. The oracle alone
    ///         may call it.
    /// @dev Reverts with `NotOracle`.
    /// @return sequence As of `lock`; zero where the offer does not take it.
    function lockByOffer(
        address operator,
        bytes32 modelId,
        uint96 fee,
        uint96 bond_,
        uint256 timeLeft,
        uint256 window,
        uint256 callbackGasLimit
    ) external returns (uint32 sequence);

    /// @notice Marks `count` requests as answered. Their bonds stay locked. The oracle alone may call it.
    /// @dev Reverts with `NotOracle`.
    /// @return signer The key that must have signed the answers.
    function recordAnswers(address operator, uint32 count) external returns (address signer);

    /// @notice Releases a bond, or the sum of several, whose answers are final. The oracle alone may call it, and pays
    ///         the fee itself.
    /// @dev Reverts with `NotOracle`.
    /// @return payout Where the fee goes.
    function release(address operator, uint96 bond_) external returns (address payout);

    // ---- slashing

    /// @notice Releases `unlocked`, takes up to `amount` OPG base units of the stake that other requests do not lock,
    ///         and splits it; what the shares leave is burned. The oracle and the court alone may call it. No token
    ///         moves: shares leave by `claim`, the rest by `burn`. Never reverts for want of stake.
    /// @dev Reverts with `NotSlasher`, `NotUnlocker` or `SharesExceedAmount`.
    /// @param unanswered True where the request was never answered.
    /// @param cause The request id, or what else an indexer should file it under.
    function slash(
        address operator,
        bytes32 cause,
        uint96 unlocked,
        bool unanswered,
        uint96 amount,
        address requester,
        uint16 requesterBps,
        address watcher,
        uint16 watcherBps
    ) external returns (uint96 taken);

    /// @notice Pays all of the caller's shares of slashes to `to`.
    /// @dev Reverts with `ZeroAddress` or `NothingToClaim`.
    /// @return amount What was paid, in OPG base units.
    function claim(address to) external returns (uint96 amount);

    /// @notice Sends what is to be burned to `BURN_ADDRESS`. Anyone may call it.
    /// @dev Reverts with `ZeroAmount` where there is nothing.
    function burn() external returns (uint96 amount);

    // ---- views

    /// @notice An operator's stake and obligations; all zero where it is unknown.
    function positions(address operator) external view returns (Position memory);
    /// @notice Stake that neither a request nor an exit holds: what can be locked or unbonded, in OPG base units.
    function freeStake(address operator) external view returns (uint96);
    /// @notice The key whose signatures bind the operator now; zero where the operator is unknown.
    function signerOf(address operator) external view returns (address);
    /// @notice Whether `signer` was ever a valid signer of `operator`; for evidence of equivocation.
    function wasSigner(address operator, address signer) external view returns (bool);
    /// @notice Where the operator is paid now; zero where it is unknown.
    function payoutOf(address operator) external view returns (address);
    /// @notice The operator's standing offer for a model; all zero where there is none.
    function offers(address operator, bytes32 modelId) external view returns (Offer memory);
    /// @notice What is left of an unbonding, and from when on it can be withdrawn; all zero where there is none.
    function unbondings(address operator, uint256 index) external view returns (Unbonding memory);
    /// @notice How many unbondings the operator ever started: their indices are below it.
    function unbondingCount(address operator) external view returns (uint256);
    /// @notice What `claim` would pay an account, in OPG base units.
    function claimable(address account) external view returns (uint96);
    /// @notice What `burn` would send to `BURN_ADDRESS`, in OPG base units.
    function pendingBurn() external view returns (uint96);

    /// @notice The ERC-20 that is staked: OPG.
    function TOKEN() external view returns (address);
    /// @notice The one address that may lock and release stake. It may slash, too.
    function ORACLE() external view returns (address);
    /// @notice The other address that may slash; zero where there is none.
    function COURT() external view returns (address);
    /// @notice Where burned stake goes: an address whose key nobody has.
    function BURN_ADDRESS() external view returns (address);
    /// @notice Longest endpoint, in bytes.
    function MAX_ENDPOINT_BYTES() external view returns (uint256);
    /// @notice Seconds between the start of an exit and its payment.
    function EXIT_DELAY() external view returns (uint40);
    /// @notice Seconds before a new signer key replaces the present one.
    function SIGNER_DELAY() external view returns (uint40);
}
