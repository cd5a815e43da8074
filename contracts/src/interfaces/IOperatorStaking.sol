// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

/// @title Custody of operators' stake
/// @notice An operator is known by the address that registered it (its owner, a cold key). A hot signer
///         key signs for it and a payout address is paid. Stake is locked a bond at a time, by the oracle
///         alone; it is slashed by the oracle or the court alone; what leaves waits `EXIT_DELAY` and stays
///         slashable until it is withdrawn.
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

    event OperatorRegistered(address indexed operator, address signer, address payout);
    event SignerRotationStarted(address indexed operator, address signer, uint40 effectiveAt);
    event PayoutChanged(address indexed operator, address payout);
    event Bonded(address indexed operator, address indexed from, uint96 amount, uint96 stake);
    event UnbondingStarted(address indexed operator, uint256 indexed index, uint96 amount, uint40 availableAt);
    event Withdrawn(address indexed operator, uint256 indexed index, address to, uint96 amount);
    event OfferSet(address indexed operator, bytes32 indexed modelId, Offer offer);
    /// @param uri Where the operator's services are found; empty where it withdraws them.
    event EndpointSet(address indexed operator, string uri);
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
    event Claimed(address indexed account, address to, uint96 amount);
    event Burned(uint96 amount);

    error OperatorExists(address operator);
    error OperatorUnknown(address operator);
    error ZeroAddress();
    error ZeroAmount();
    error NotOracle(address caller);
    error NotSlasher(address caller);
    /// The court may slash outside a request, but bonds are released by the oracle alone.
    error NotUnlocker(address caller);
    error TransferMismatch(uint256 expected, uint256 received);
    error FreeStakeTooLow(uint96 needed, uint96 free);
    error UnbondingUnknown(address operator, uint256 index);
    error UnbondingNotOver(uint40 availableAt, uint40 timestamp);
    error NothingToClaim(address account);
    error SharesExceedAmount(uint256 requesterBps, uint256 watcherBps);
    error EndpointTooLong(uint256 length, uint256 maximum);

    // ---- operators

    function register(address signer, address payout) external;

    /// @notice Replaces the signer after `SIGNER_DELAY`; until then the present one stays valid.
    function rotateSigner(address signer) external;

    function setPayout(address payout) external;

    /// @notice Adds stake to a registered operator, from anyone, by ERC-20 pull.
    function bond(address operator, uint96 amount) external;

    /// @notice Starts the exit of free stake.
    function unbond(uint96 amount) external returns (uint256 index);

    /// @notice Pays out, to the operator's owner, all that is left of the unbondings up to and including `index`,
    ///         which must be over. Unbondings leave in the order they started, and slashes eat the oldest first.
    function withdraw(uint256 index) external returns (uint96 amount);

    /// @notice Sets or, with a capacity of zero, withdraws the caller's standing offer for a model.
    function setOffer(bytes32 modelId, Offer calldata offer) external;

    /// @notice Announces where the caller's services are found. The event is all there is: no contract needs it.
    function setEndpoint(string calldata uri) external;

    // ---- the oracle

    /// @notice Locks a bond because the operator has signed an acceptance.
    /// @return signer The key that must have signed it.
    /// @return sequence How many requests have bound the operator, this one included.
    function lock(address operator, uint96 bond_) external returns (address signer, uint32 sequence);

    /// @notice Locks a bond where the operator's standing offer takes the request.
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

    /// @notice Marks `count` requests as answered.
    /// @return signer The key that must have signed the answers.
    function recordAnswers(address operator, uint32 count) external returns (address signer);

    /// @notice Releases a bond, or the sum of several, whose answers are final.
    /// @return payout Where the fee goes.
    function release(address operator, uint96 bond_) external returns (address payout);

    // ---- slashing

    /// @notice Releases `unlocked`, takes up to `amount` of the stake that other requests do not lock, and
    ///         splits it; what the shares leave is burned. Never reverts for want of stake.
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

    /// @notice Pays the caller's share of slashes to `to`.
    function claim(address to) external returns (uint96 amount);

    /// @notice Sends what is to be burned to `BURN_ADDRESS`. Anyone may call it.
    function burn() external returns (uint96 amount);

    // ---- views

    function positions(address operator) external view returns (Position memory);
    function freeStake(address operator) external view returns (uint96);
    function signerOf(address operator) external view returns (address);
    /// @notice Whether `signer` was ever a valid signer of `operator`; for evidence of equivocation.
    function wasSigner(address operator, address signer) external view returns (bool);
    function payoutOf(address operator) external view returns (address);
    function offers(address operator, bytes32 modelId) external view returns (Offer memory);
    function unbondings(address operator, uint256 index) external view returns (Unbonding memory);
    function unbondingCount(address operator) external view returns (uint256);
    function claimable(address account) external view returns (uint96);
    function pendingBurn() external view returns (uint96);

    function TOKEN() external view returns (address);
    function ORACLE() external view returns (address);
    function COURT() external view returns (address);
    function BURN_ADDRESS() external view returns (address);
    /// @notice Longest endpoint, in bytes.
    function MAX_ENDPOINT_BYTES() external view returns (uint256);
    /// @notice Seconds between the start of an exit and its payment.
    function EXIT_DELAY() external view returns (uint40);
    /// @notice Seconds before a new signer key replaces the present one.
    function SIGNER_DELAY() external view returns (uint40);
}
