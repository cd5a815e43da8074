// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IOperatorStaking} from "./interfaces/IOperatorStaking.sol";
import {TokenTransfer} from "./libraries/TokenTransfer.sol";
import {UnbondingQueue} from "./libraries/UnbondingQueue.sol";
import {StakeBook} from "./types/StakeBook.sol";

/// @title Custody of operators' stake
/// @dev What the contract holds is, at any time, the sum over operators of `active` and unbonding, plus the sum of
///      `claimable`, plus `pendingBurn`. Slashes only move amounts between these; tokens leave by `withdraw`, `claim`
///      and `burn`. One word (`StakeBook`) is all that locking, answering and releasing write.
contract OperatorStaking is IOperatorStaking, ReentrancyGuardTransient {
    using TokenTransfer for IERC20;
    using UnbondingQueue for UnbondingQueue.Queue;

    /// @dev `signer` is valid from `effectiveAt` on, and `previous` until then, so that the common case reads one word.
    struct Keys {
        address signer;
        uint40 effectiveAt;
        address previous;
        address payout;
    }

    uint256 private constant BPS = 10_000;

    /// @inheritdoc IOperatorStaking
    address public constant BURN_ADDRESS = 0x000000000000000000000000000000000000dEaD;
    /// @inheritdoc IOperatorStaking
    uint256 public constant MAX_ENDPOINT_BYTES = 256;

    // ---- immutables

    /// @inheritdoc IOperatorStaking
    address public immutable TOKEN;
    /// @inheritdoc IOperatorStaking
    address public immutable ORACLE;
    /// @inheritdoc IOperatorStaking
    address public immutable COURT;
    /// @inheritdoc IOperatorStaking
    uint40 public immutable EXIT_DELAY;
    /// @inheritdoc IOperatorStaking
    uint40 public immutable SIGNER_DELAY;

    // ---- storage

    mapping(address operator => StakeBook) private _books;
    mapping(address operator => Keys) private _keys;
    mapping(address operator => UnbondingQueue.Queue) private _unbonding;
    mapping(address operator => mapping(bytes32 modelId => Offer)) private _offers;
    /// @dev From when on a key was a valid signer of an operator; zero for never.
    mapping(address operator => mapping(address signer => uint40)) private _signerSince;

    /// @inheritdoc IOperatorStaking
    mapping(address account => uint96) public claimable;
    /// @inheritdoc IOperatorStaking
    uint96 public pendingBurn;

    // ---- modifiers

    /// @dev For verbs that call nobody, and so need not take the lock: it is enough that nobody holds it.
    modifier notEntered() {
        if (_reentrancyGuardEntered()) revert ReentrancyGuardReentrantCall();
        _;
    }

    modifier onlyOracle() {
        if (msg.sender != ORACLE) revert NotOracle(msg.sender);
        _;
    }

    modifier onlyOperator() {
        _requireOperator(msg.sender);
        _;
    }

    /// @param court May be zero: then only the oracle slashes.
    constructor(address token, address oracle, address court, uint40 exitDelay, uint40 signerDelay) {
        if (token == address(0) || oracle == address(0)) revert ZeroAddress();
        TOKEN = token;
        ORACLE = oracle;
        // slither-disable-next-line missing-zero-check (zero where there is no court)
        COURT = court;
        EXIT_DELAY = exitDelay;
        SIGNER_DELAY = signerDelay;
    }

    // ---- operators

    /// @inheritdoc IOperatorStaking
    function register(address signer, address payout) external nonReentrant {
        if (signer == address(0) || payout == address(0)) revert ZeroAddress();
        if (_keys[msg.sender].signer != address(0)) revert OperatorExists(msg.sender);

        _keys[msg.sender] = Keys({signer: signer, effectiveAt: _now(), previous: address(0), payout: payout});
        _signerSince[msg.sender][signer] = _now();
        emit OperatorRegistered(msg.sender, signer, payout);
    }

    /// @inheritdoc IOperatorStaking
    function rotateSigner(address signer) external nonReentrant onlyOperator {
        if (signer == address(0)) revert ZeroAddress();
        Keys storage keys = _keys[msg.sender];
        uint40 effectiveAt = _now() + SIGNER_DELAY;

        if (_now() < keys.effectiveAt) {
            // The pending key is dropped before its time. Unless it was valid once before, it never was.
            if (_signerSince[msg.sender][keys.signer] == keys.effectiveAt) {
                delete _signerSince[msg.sender][keys.signer];
            }
        } else {
            keys.previous = keys.signer;
        }
        keys.signer = signer;
        keys.effectiveAt = effectiveAt;
        if (_signerSince[msg.sender][signer] == 0) _signerSince[msg.sender][signer] = effectiveAt;
        emit SignerRotationStarted(msg.sender, signer, effectiveAt);
    }

    /// @inheritdoc IOperatorStaking
    function setPayout(address payout) external nonReentrant onlyOperator {
        if (payout == address(0)) revert ZeroAddress();
        _keys[msg.sender].payout = payout;
        emit PayoutChanged(msg.sender, payout);
    }

    /// @inheritdoc IOperatorStaking
    function bond(address operator, uint96 amount) external nonReentrant {
        if (amount == 0) revert ZeroAmount();
        _requireOperator(operator);

        _books[operator] = _books[operator].bonded(amount);
        emit Bonded(operator, msg.sender, amount, _stakeOf(operator));
        IERC20(TOKEN).pullExactly(msg.sender, amount);
    }

    /// @inheritdoc IOperatorStaking
    function unbond(uint96 amount) external nonReentrant onlyOperator returns (uint256 index) {
        if (amount == 0) revert ZeroAmount();
        StakeBook book = _books[msg.sender];
        if (book.free() < amount) revert FreeStakeTooLow(amount, book.free());

        uint40 availableAt = _now() + EXIT_DELAY;
        _books[msg.sender] = book.taken(amount);
        index = _unbonding[msg.sender].push(amount, availableAt);
        emit UnbondingStarted(msg.sender, index, amount, availableAt);
    }

    /// @inheritdoc IOperatorStaking
    function withdraw(uint256 index) external nonReentrant returns (uint96 amount) {
        UnbondingQueue.Queue storage queue = _unbonding[msg.sender];
        (uint96 left, uint40 availableAt) = queue.entry(index);
        if (left == 0) revert UnbondingUnknown(msg.sender, index);
        if (_now() < availableAt) revert UnbondingNotOver(availableAt, _now());

        amount = queue.popThrough(index);
        emit Withdrawn(msg.sender, index, msg.sender, amount);
        IERC20(TOKEN).push(msg.sender, amount);
    }

    /// @inheritdoc IOperatorStaking
    function setOffer(bytes32 modelId, Offer calldata offer) external nonReentrant onlyOperator {
        if (offer.capacity == 0) delete _offers[msg.sender][modelId];
        else _offers[msg.sender][modelId] = offer;
        emit OfferSet(msg.sender, modelId, offer);
    }

    /// @inheritdoc IOperatorStaking
    function setEndpoint(string calldata uri) external nonReentrant onlyOperator {
        uint256 length = bytes(uri).length;
        if (length > MAX_ENDPOINT_BYTES) revert EndpointTooLong(length, MAX_ENDPOINT_BYTES);
        emit EndpointSet(msg.sender, uri);
    }

    // ---- the oracle

    /// @inheritdoc IOperatorStaking
    function lock(address operator, uint96 bond_)
        external
        notEntered
        onlyOracle
        returns (address signer, uint32 sequence)
    {
        signer = _requireOperator(operator);
        StakeBook book = _books[operator];
        if (book.free() < bond_) revert FreeStakeTooLow(bond_, book.free());
        sequence = _lock(operator, book, bond_);
    }

    /// @inheritdoc IOperatorStaking
    function lockByOffer(
        address operator,
        bytes32 modelId,
        uint96 fee,
        uint96 bond_,
        uint256 timeLeft,
        uint256 window,
        uint256 callbackGasLimit
    ) external notEntered onlyOracle returns (uint32 sequence) {
        Offer memory offer = _offers[operator][modelId];
        if (offer.capacity == 0 || fee < offer.price || bond_ > offer.maxBond) return 0;
        if (timeLeft < offer.minTime || window > offer.maxWindow || callbackGasLimit > offer.maxCallbackGas) return 0;
        StakeBook book = _books[operator];
        if (book.unanswered() >= offer.capacity || book.free() < bond_) return 0;
        return _lock(operator, book, bond_);
    }

    /// @inheritdoc IOperatorStaking
    function recordAnswers(address operator, uint32 count) external notEntered onlyOracle returns (address signer) {
        if (count != 0) _books[operator] = _books[operator].withAnswers(count);
        return _signerOf(operator);
    }

    /// @inheritdoc IOperatorStaking
    function release(address operator, uint96 bond_) external notEntered onlyOracle returns (address payout) {
        _books[operator] = _books[operator].withRelease(bond_);
        return _keys[operator].payout;
    }

    // ---- slashing

    /// @inheritdoc IOperatorStaking
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
    ) external notEntered returns (uint96 taken) {
        if (msg.sender != ORACLE) {
            if (msg.sender != COURT) revert NotSlasher(msg.sender);
            if (unlocked != 0 || unanswered) revert NotUnlocker(msg.sender);
        }
        if (uint256(requesterBps) + watcherBps > BPS) revert SharesExceedAmount(requesterBps, watcherBps);

        taken = _take(operator, unlocked, unanswered, amount);
        uint96 toRequester = _credit(requester, taken, requesterBps);
        uint96 toWatcher = _credit(watcher, taken, watcherBps);
        uint96 burned = taken - toRequester - toWatcher;
        pendingBurn += burned;

        emit Slashed(operator, cause, taken, requester, toRequester, watcher, toWatcher, burned);
    }

    /// @inheritdoc IOperatorStaking
    function claim(address to) external nonReentrant returns (uint96 amount) {
        if (to == address(0)) revert ZeroAddress();
        amount = claimable[msg.sender];
        if (amount == 0) revert NothingToClaim(msg.sender);

        claimable[msg.sender] = 0;
        emit Claimed(msg.sender, to, amount);
        IERC20(TOKEN).push(to, amount);
    }

    /// @inheritdoc IOperatorStaking
    function burn() external nonReentrant returns (uint96 amount) {
        amount = pendingBurn;
        if (amount == 0) revert ZeroAmount();

        pendingBurn = 0;
        emit Burned(amount);
        IERC20(TOKEN).push(BURN_ADDRESS, amount);
    }

    // ---- views

    /// @inheritdoc IOperatorStaking
    function positions(address operator) external view returns (Position memory) {
        StakeBook book = _books[operator];
        return Position({
            stake: _stakeOf(operator), locked: book.locked(), unanswered: book.unanswered(), accepted: book.accepted()
        });
    }

    /// @inheritdoc IOperatorStaking
    function freeStake(address operator) external view returns (uint96) {
        return _books[operator].free();
    }

    /// @inheritdoc IOperatorStaking
    function signerOf(address operator) external view returns (address) {
        return _signerOf(operator);
    }

    /// @inheritdoc IOperatorStaking
    function wasSigner(address operator, address signer) external view returns (bool) {
        uint40 since = _signerSince[operator][signer];
        return since != 0 && since <= _now();
    }

    /// @inheritdoc IOperatorStaking
    function payoutOf(address operator) external view returns (address) {
        return _keys[operator].payout;
    }

    /// @inheritdoc IOperatorStaking
    function offers(address operator, bytes32 modelId) external view returns (Offer memory) {
        return _offers[operator][modelId];
    }

    /// @inheritdoc IOperatorStaking
    function unbondings(address operator, uint256 index) external view returns (Unbonding memory) {
        (uint96 left, uint40 availableAt) = _unbonding[operator].entry(index);
        return Unbonding({amount: left, availableAt: availableAt});
    }

    /// @inheritdoc IOperatorStaking
    function unbondingCount(address operator) external view returns (uint256) {
        return _unbonding[operator].entries.length;
    }

    // ---- internals

    function _lock(address operator, StakeBook book, uint96 bond_) private returns (uint32 sequence) {
        book = book.withLock(bond_);
        _books[operator] = book;
        return book.accepted();
    }

    /// @dev Takes free stake first and then what is unbonding, oldest first; never what other requests lock.
    function _take(address operator, uint96 unlocked, bool unanswered, uint96 amount) private returns (uint96) {
        StakeBook book = _books[operator].withRelease(unlocked);
        if (unanswered) book = book.withAnswers(1);
        uint96 fromFree = amount < book.free() ? amount : book.free();
        _books[operator] = book.taken(fromFree);
        if (fromFree == amount) return amount;
        return fromFree + _unbonding[operator].slash(amount - fromFree);
    }

    /// @dev A share of nobody is zero, and so is burned with the rest.
    function _credit(address account, uint96 taken, uint16 bps) private returns (uint96 share) {
        if (account == address(0) || bps == 0) return 0;
        // casting to 'uint96' is safe because bps <= BPS, so the share is at most `taken`
        // forge-lint: disable-next-line(unsafe-typecast)
        share = uint96(uint256(taken) * bps / BPS);
        claimable[account] += share;
    }

    function _requireOperator(address operator) private view returns (address signer) {
        signer = _signerOf(operator);
        if (signer == address(0)) revert OperatorUnknown(operator);
    }

    function _signerOf(address operator) private view returns (address) {
        Keys storage keys = _keys[operator];
        (address signer, uint40 effectiveAt) = (keys.signer, keys.effectiveAt);
        return _now() < effectiveAt ? keys.previous : signer;
    }

    function _stakeOf(address operator) private view returns (uint96) {
        return _books[operator].active() + _unbonding[operator].total();
    }

    function _now() private view returns (uint40) {
        return uint40(block.timestamp);
    }
}
