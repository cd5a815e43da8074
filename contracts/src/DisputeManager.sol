// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {Verdict} from "./court/Case.sol";
import {IDisputeManager} from "./interfaces/IDisputeManager.sol";
import {IFraudVerifier} from "./interfaces/IFraudVerifier.sol";
import {IInferenceOracle} from "./interfaces/IInferenceOracle.sol";
import {IOperatorStaking} from "./interfaces/IOperatorStaking.sol";
import {TokenTransfer} from "./libraries/TokenTransfer.sol";
import {AnswerCommitment, AnswerCommitmentHash} from "./types/Answer.sol";
import {RevealDemand, SignedAnswer} from "./types/Dispute.sol";
import {InferenceRequest} from "./types/InferenceRequest.sol";
import {ModelTerms, Tier} from "./types/ModelTerms.sol";
import {RequestState} from "./types/RequestState.sol";

/// @title The court: suspends, resumes and voids answers, and slashes for contradiction
/// @dev What the contract holds here and may claim at the staking contract is, at any time, the sum of all `claimable`, of
///      the deposits of pending demands, of held shares, and `pendingBurn`. Tokens come in by `demandReveal` and leave by
///      `claim` and `burn` only; a conviction moves none, so no token can stop it. Every state-changing entry point takes
///      one transient lock, which stays on during a consumer's notice. What an element may be is the verifier's business.
contract DisputeManager is IDisputeManager, ReentrancyGuardTransient {
    using TokenTransfer for IERC20;

    /// @dev Of an answer, in one word. There is a demand pending exactly if the oracle has it `RevealPending`, until the
    ///      request ends; then what is pending can be refunded.
    struct Docket {
        uint32 made;
        uint16 pending;
        /// Low bits of the commitment's hash, which the oracle has checked; as many as it keeps.
        uint208 commitmentTag;
    }

    uint256 private constant BPS = 10_000;
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    /// @dev Data that one `BASE_DEPOSIT` demands, and demands on an answer after which each costs one more.
    uint256 private constant DEPOSIT_BYTES = 1_024;
    uint256 private constant DEPOSIT_DEMANDS = 16;

    /// @inheritdoc IDisputeManager
    uint256 public constant MAX_REVEAL_BYTES = 65_536;
    /// @inheritdoc IDisputeManager
    uint16 public constant REVEAL_BURN_BPS = 5_000;

    // ---- immutables

    /// @inheritdoc IDisputeManager
    address public immutable TOKEN;
    /// @inheritdoc IDisputeManager
    address public immutable ORACLE;
    /// @inheritdoc IDisputeManager
    address public immutable STAKING;
    /// @inheritdoc IDisputeManager
    address public immutable VERIFIER;
    /// @inheritdoc IDisputeManager
    uint64 public immutable BASE_DEPOSIT;
    /// @inheritdoc IDisputeManager
    uint32 public immutable ANNOUNCEMENT_AGE;
    /// @inheritdoc IDisputeManager
    uint32 public immutable PRIORITY_PERIOD;

    bytes32 private immutable ORACLE_NAME_HASH;
    bytes32 private immutable ORACLE_VERSION_HASH;

    // ---- storage

    /// @inheritdoc IDisputeManager
    mapping(bytes32 announcement => uint40) public announcedAt;
    /// @inheritdoc IDisputeManager
    mapping(bytes32 requestId => mapping(address operator => uint96)) public equivocationSlashed;
    /// @inheritdoc IDisputeManager
    mapping(address operator => uint64) public demandsAgainst;
    /// @inheritdoc IDisputeManager
    mapping(address account => uint96) public claimable;
    /// @inheritdoc IDisputeManager
    uint96 public pendingBurn;

    mapping(bytes32 requestId => HeldShare) private _heldShares;
    mapping(bytes32 requestId => Docket) private _dockets;
    mapping(bytes32 demandHash => bool) private _isPending;

    /// @param oracle Already deployed, with this contract's address in it.
    constructor(address oracle, address verifier, uint64 baseDeposit, uint32 announcementAge, uint32 priorityPeriod) {
        if (oracle == address(0) || verifier == address(0)) revert ZeroAddress();
        // Without an age, whoever copies a proof could announce and use it in one transaction.
        if (baseDeposit == 0 || announcementAge == 0 || priorityPeriod == 0) revert ZeroAmount();
        address court = IInferenceOracle(oracle).COURT();
        if (court != address(this)) revert WiringMismatch(oracle, address(this), court);

        TOKEN = IInferenceOracle(oracle).TOKEN();
        ORACLE = oracle;
        STAKING = IInferenceOracle(oracle).STAKING();
        VERIFIER = verifier;
        BASE_DEPOSIT = baseDeposit;
        ANNOUNCEMENT_AGE = announcementAge;
        PRIORITY_PERIOD = priorityPeriod;
        (, string memory name, string memory version,,,,) = IERC5267(oracle).eip712Domain();
        ORACLE_NAME_HASH = keccak256(bytes(name));
        ORACLE_VERSION_HASH = keccak256(bytes(version));
    }

    // ---- fraud

    /// @inheritdoc IDisputeManager
    function announce(bytes32 announcement) external nonReentrant {
        // Whoever repeats another's announcement neither makes it younger nor makes the other's transaction fail.
        if (announcedAt[announcement] != 0) return;
        announcedAt[announcement] = _now();
        emit ProofAnnounced(announcement);
    }

    /// @inheritdoc IDisputeManager
    function proveFraud(
        InferenceRequest calldata request,
        AnswerCommitment calldata commitment,
        address registrar,
        ModelTerms calldata terms,
        bytes calldata proof,
        bytes32 salt
    ) external nonReentrant {
        _requireProvable(request, registrar, terms);
        IFraudVerifier.Claim memory claim_ = IFraudVerifier.Claim({
            programRoot: terms.programRoot,
            inputHash: request.inputHash,
            resultHash: commitment.resultHash,
            traceRoot: commitment.traceRoot
        });
        _requireViolated(claim_, proof);
        bytes32 requestId = _requestIdOf(request);
        bytes32 announcement = announcementOf(msg.sender, requestId, keccak256(proof), salt);
        uint40 announced = announcedAt[announcement];
        uint96 held;
        if (announced != 0 && _now() - announced >= ANNOUNCEMENT_AGE) {
            // It has served: no share is held that an earlier announcement could claim. Clearing it is refunded.
            delete announcedAt[announcement];
            IInferenceOracle(ORACLE).voidAnswer(request, commitment, msg.sender);
        } else {
            held = _voidForShare(request, commitment);
            _hold(requestId, held, announced, claim_);
        }
        emit FraudProven(requestId, commitment.operator, msg.sender, claim_, held);
    }

    /// @inheritdoc IDisputeManager
    function claimPriority(bytes32 requestId, IFraudVerifier.Claim calldata claim_, bytes calldata proof, bytes32 salt)
        external
        nonReentrant
    {
        HeldShare storage share = _heldShares[requestId];
        if (share.holder == address(0)) revert NothingHeld(requestId);
        if (_now() > share.priorityUntil) revert PriorityOver(share.priorityUntil);
        if (keccak256(abi.encode(claim_)) != share.claimHash) revert ClaimMismatch(requestId);
        uint40 announced = announcedAt[announcementOf(msg.sender, requestId, keccak256(proof), salt)];
        if (announced == 0 || announced >= share.announcedAt) revert NotAnnouncedEarlier(announced, share.announcedAt);
        // Any proof of this fraud will do, not only the one that convicted: a copy can always be made to look different.
        _requireViolated(claim_, proof);

        (share.holder, share.announcedAt) = (msg.sender, announced);
        emit PriorityClaimed(requestId, msg.sender, announced);
    }

    /// @inheritdoc IDisputeManager
    function collect(bytes32 requestId) external nonReentrant {
        HeldShare memory share = _heldShares[requestId];
        if (share.holder == address(0)) revert NothingHeld(requestId);
        if (_now() <= share.priorityUntil) revert PriorityNotOver(share.priorityUntil);

        delete _heldShares[requestId];
        claimable[share.holder] += share.amount;
        emit ShareCollected(requestId, share.holder, share.amount);
    }

    // ---- reveals

    /// @inheritdoc IDisputeManager
    function demandReveal(
        InferenceRequest calldata request,
        AnswerCommitment calldata commitment,
        address registrar,
        ModelTerms calldata terms,
        bytes calldata place,
        uint96 maxDeposit
    ) external nonReentrant returns (uint32 number) {
        _requireProvable(request, registrar, terms);
        // The operator's time and then the demander's, both in full.
        uint256 end = block.timestamp + 2 * uint256(terms.revealWindow);
        uint256 limit = IInferenceOracle(ORACLE).disputeLimit(request);
        if (end > limit) revert DemandTooLate(end, limit);

        RevealDemand memory demand;
        demand.requestId = _requestIdOf(request);
        demand.demander = msg.sender;
        demand.deadline = _now() + terms.revealWindow;
        demand.window = terms.revealWindow;
        demand.programRoot = terms.programRoot;
        demand.commitment = commitment;
        demand.leaves = IFraudVerifier(VERIFIER).demandOf(terms.programRoot, place);
        _enter(request, demand, maxDeposit);
        _isPending[demand.hash()] = true;
        emit RevealDemanded(demand.requestId, commitment.operator, msg.sender, demand);
        IERC20(TOKEN).pullExactly(msg.sender, demand.deposit);
        return demand.number;
    }

    /// @inheritdoc IDisputeManager
    function reveal(
        InferenceRequest calldata request,
        RevealDemand calldata demand,
        bytes calldata data,
        bytes32[] calldata path
    ) external nonReentrant {
        _requireMeetable(request, demand);
        bytes32 traceRoot = demand.commitment.traceRoot;
        if (!IFraudVerifier(VERIFIER).isRevealed(demand.programRoot, traceRoot, demand.leaves, data, path)) {
            revert NotRevealed(demand.requestId, demand.number);
        }
        emit Revealed(demand.requestId, demand.number, data, path);
        _meet(request, demand);
    }

    /// @inheritdoc IDisputeManager
    function dismiss(InferenceRequest calldata request, RevealDemand calldata demand, uint32 rows, bytes32 treeRoot)
        external
        nonReentrant
    {
        _requireMeetable(request, demand);
        bytes32 traceRoot = demand.commitment.traceRoot;
        if (
            rows == demand.leaves.rows
                || !IFraudVerifier(VERIFIER).rowsOf(demand.programRoot, traceRoot, rows, treeRoot)
        ) revert NotDismissed(demand.requestId, demand.number);
        emit DemandDismissed(demand.requestId, demand.number, rows, treeRoot);
        _meet(request, demand);
    }

    /// @inheritdoc IDisputeManager
    function revealTimeout(InferenceRequest calldata request, RevealDemand calldata demand) external nonReentrant {
        _requireSame(request, demand);
        if (_now() <= demand.deadline) revert RevealWindowNotOver(demand.deadline);

        _close(demand);
        claimable[demand.demander] += demand.deposit;
        emit RevealTimedOut(demand.requestId, demand.number, demand.demander);
        IInferenceOracle(ORACLE).voidAnswer(request, demand.commitment, demand.demander);
    }

    /// @inheritdoc IDisputeManager
    function refundDemand(RevealDemand calldata demand) external nonReentrant {
        (RequestState state,) = _stateOf(demand.requestId);
        if (state != RequestState.Slashed && state != RequestState.Settled) {
            revert DisputeNotOver(demand.requestId, state);
        }

        _close(demand);
        claimable[demand.demander] += demand.deposit;
        emit DemandRefunded(demand.requestId, demand.number, demand.demander);
    }

    // ---- equivocation

    /// @inheritdoc IDisputeManager
    function slashEquivocation(
        InferenceRequest calldata request,
        AnswerCommitment calldata commitment,
        SignedAnswer calldata first,
        SignedAnswer calldata second
    ) external nonReentrant {
        bytes32 requestId = _requestIdOf(request);
        address operator = _requireContradiction(requestId, first, second);
        emit EquivocationSlashed(requestId, operator, msg.sender, first.answer.structHash(), second.answer.structHash());
        (RequestState state,) = _stateOf(requestId);
        // slither-disable-next-line incorrect-equality (of enumerations)
        if (state == RequestState.Answered || state == RequestState.RevealPending) {
            if (commitment.operator != operator) revert WrongOperator(commitment.operator, operator);
            IInferenceOracle(ORACLE).voidAnswer(request, commitment, msg.sender);
        } else {
            _slashEnded(request, requestId, operator, state);
        }
    }

    // ---- money

    /// @inheritdoc IDisputeManager
    function claim(address to) external nonReentrant returns (uint96 amount) {
        if (to == address(0)) revert ZeroAddress();
        amount = claimable[msg.sender];
        if (amount == 0) revert NothingToClaim(msg.sender);

        claimable[msg.sender] = 0;
        emit Claimed(msg.sender, to, amount);
        _fetchShares();
        IERC20(TOKEN).push(to, amount);
    }

    /// @inheritdoc IDisputeManager
    function burn() external nonReentrant returns (uint96 amount) {
        amount = pendingBurn;
        if (amount == 0) revert ZeroAmount();

        pendingBurn = 0;
        emit Burned(amount);
        IERC20(TOKEN).push(IOperatorStaking(STAKING).BURN_ADDRESS(), amount);
    }

    // ---- views

    /// @inheritdoc IDisputeManager
    function announcementOf(address watcher, bytes32 requestId, bytes32 proofHash, bytes32 salt)
        public
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(watcher, requestId, proofHash, salt));
    }

    /// @inheritdoc IDisputeManager
    function heldShareOf(bytes32 requestId) external view returns (HeldShare memory) {
        return _heldShares[requestId];
    }

    /// @inheritdoc IDisputeManager
    function depositFor(bytes32 requestId, uint256 byteCount) external view returns (uint256) {
        return _depositFor(_dockets[requestId], byteCount);
    }

    /// @inheritdoc IDisputeManager
    function demandsOf(bytes32 requestId) external view returns (uint32 made, uint16 pending) {
        Docket storage docket = _dockets[requestId];
        return (docket.made, docket.pending);
    }

    /// @inheritdoc IDisputeManager
    function isPending(RevealDemand calldata demand) external view returns (bool) {
        return _isPending[demand.hash()];
    }

    // ---- fraud, inside

    /// @dev Void in this contract's own name, so that the watcher's share comes here. The oracle's lock and ours keep
    ///      everybody else from adding to what we may claim in between.
    function _voidForShare(InferenceRequest calldata request, AnswerCommitment calldata commitment)
        private
        returns (uint96)
    {
        uint96 before = IOperatorStaking(STAKING).claimable(address(this));
        IInferenceOracle(ORACLE).voidAnswer(request, commitment, address(this));
        return IOperatorStaking(STAKING).claimable(address(this)) - before;
    }

    function _hold(bytes32 requestId, uint96 amount, uint40 announced, IFraudVerifier.Claim memory claim_) private {
        // Of a bond of a few base units, the share is none.
        if (amount == 0) return;
        _heldShares[requestId] = HeldShare({
            holder: msg.sender,
            announcedAt: announced == 0 ? _now() : announced,
            priorityUntil: _now() + PRIORITY_PERIOD,
            amount: amount,
            claimHash: keccak256(abi.encode(claim_))
        });
    }

    function _requireViolated(IFraudVerifier.Claim memory claim_, bytes calldata proof) private view {
        Verdict verdict = IFraudVerifier(VERIFIER).judge(claim_, proof);
        if (verdict != Verdict.Violated) revert NotViolated(verdict);
    }

    // ---- reveals, inside

    /// @dev Puts a demand on the answer's docket, and suspends the answer if it is the only one there.
    // slither-disable-next-line reentrancy-no-eth (locked, and suspending calls nobody)
    function _enter(InferenceRequest calldata request, RevealDemand memory demand, uint96 maxDeposit) private {
        uint256 byteCount = uint256(demand.leaves.count) * demand.leaves.leafBytes;
        // More than fits a transaction could not be revealed by anyone.
        if (byteCount > MAX_REVEAL_BYTES) revert RevealTooLarge(byteCount, MAX_REVEAL_BYTES);
        bytes32 requestId = demand.requestId;
        Docket memory docket = _dockets[requestId];
        uint256 price = _depositFor(docket, byteCount);
        if (price > maxDeposit) revert DepositAboveMaximum(price, maxDeposit);
        // casting to 'uint96' is safe because the price is not above a maximum which is one
        // forge-lint: disable-next-line(unsafe-typecast)
        (demand.number, demand.deposit) = (docket.made, uint96(price));
        AnswerCommitment memory commitment = demand.commitment;
        // casting to 'uint208' is what makes it a tag
        // forge-lint: disable-next-line(unsafe-typecast)
        uint208 tag = uint208(
            uint256(AnswerCommitmentHash.hashOf(commitment.operator, commitment.resultHash, commitment.traceRoot))
        );

        // slither-disable-next-line incorrect-equality (a count that only this contract changes)
        if (docket.pending == 0) {
            IInferenceOracle(ORACLE).suspend(request, commitment);
        } else {
            _requireSuspended(requestId);
            if (tag != docket.commitmentTag) revert CommitmentMismatch(requestId);
        }
        _dockets[requestId] = Docket({made: docket.made + 1, pending: docket.pending + 1, commitmentTag: tag});
        ++demandsAgainst[commitment.operator];
    }

    function _requireMeetable(InferenceRequest calldata request, RevealDemand calldata demand) private view {
        _requireSame(request, demand);
        if (!_isPending[demand.hash()]) revert DemandUnknown(demand.requestId, demand.number);
        if (_now() > demand.deadline) revert RevealWindowOver(demand.deadline);
        // Where a proof came first, the operator was convicted and the deposit is the demander's.
        _requireSuspended(demand.requestId);
    }

    /// @dev The operator has answered: it is paid for it, and when there is nothing left to answer, its clock goes on.
    function _meet(InferenceRequest calldata request, RevealDemand calldata demand) private {
        uint16 pending = _close(demand);
        // casting to 'uint96' is safe because it is a part of the deposit
        // forge-lint: disable-next-line(unsafe-typecast)
        uint96 burned = uint96(uint256(demand.deposit) * REVEAL_BURN_BPS / BPS);
        pendingBurn += burned;
        claimable[IOperatorStaking(STAKING).payoutOf(demand.commitment.operator)] += demand.deposit - burned;
        if (pending != 0) return;

        // Whoever demanded has as long to use what it sees as the operator had to show it. That is within the dispute
        // limit: the demand would have been refused otherwise, and its deadline is not over.
        (, uint40 settleAt) = _stateOf(demand.requestId);
        uint40 used = _now() + demand.window;
        IInferenceOracle(ORACLE).resume(request, demand.commitment, used > settleAt ? used : settleAt);
    }

    function _close(RevealDemand calldata demand) private returns (uint16 pending) {
        bytes32 demandHash = demand.hash();
        if (!_isPending[demandHash]) revert DemandUnknown(demand.requestId, demand.number);
        delete _isPending[demandHash];
        pending = _dockets[demand.requestId].pending - 1;
        _dockets[demand.requestId].pending = pending;
    }

    /// @dev By the size, because showing it costs the operator that; dearer with what was ever demanded, so that delay
    ///      costs its square in the end; and exponential in what is pending, so that nobody can ask for more at once than
    ///      an operator can show. No number of demands shuts others out: an operator that makes them itself burns half of
    ///      what it adds to the price. Below 2^(64 + 7 + 32 + 97): every price paid was below 2^96, so no more than 97 are
    ///      pending, and nobody pays for more than `MAX_REVEAL_BYTES`.
    function _depositFor(Docket memory docket, uint256 byteCount) private view returns (uint256) {
        uint256 units = Math.ceilDiv(byteCount, DEPOSIT_BYTES);
        return (BASE_DEPOSIT * units * (1 + docket.made / DEPOSIT_DEMANDS)) << docket.pending;
    }

    // ---- equivocation, inside

    /// @return operator Who signed both.
    function _requireContradiction(bytes32 requestId, SignedAnswer calldata first, SignedAnswer calldata second)
        private
        view
        returns (address operator)
    {
        operator = first.answer.operator;
        if (
            first.answer.requestId != requestId || second.answer.requestId != requestId
                || second.answer.operator != operator || first.answer.structHash() == second.answer.structHash()
        ) revert NoContradiction(requestId);
        _requireSigned(operator, first);
        _requireSigned(operator, second);
    }

    function _requireSigned(address operator, SignedAnswer calldata signed) private view {
        bytes32 digest = MessageHashUtils.toTypedDataHash(_oracleDomain(), signed.signedHash());
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signed.signature);
        if (failure != ECDSA.RecoverError.NoError || !IOperatorStaking(STAKING).wasSigner(operator, recovered)) {
            revert NotSigner(operator, recovered);
        }
    }

    /// @dev Where the bond is unlocked, the slash takes what it finds of it; what it did not find can be taken later.
    ///      Before there is an answer the bond is locked, and the evidence can wait.
    // slither-disable-next-line reentrancy-no-eth (locked, and staking calls nobody)
    function _slashEnded(InferenceRequest calldata request, bytes32 requestId, address operator, RequestState state)
        private
    {
        uint96 before = equivocationSlashed[requestId][operator];
        if ((state != RequestState.Settled && state != RequestState.Defaulted) || before >= request.bond) {
            revert NothingAtStake(requestId, state);
        }
        uint16 requesterBps = IInferenceOracle(ORACLE).FRAUD_REQUESTER_BPS();
        uint16 watcherBps = IInferenceOracle(ORACLE).FRAUD_WATCHER_BPS();
        uint96 taken = IOperatorStaking(STAKING)
            .slash(
                operator,
                requestId,
                0,
                false,
                request.bond - before,
                request.requester,
                requesterBps,
                msg.sender,
                watcherBps
            );
        if (taken == 0) revert NothingAtStake(requestId, state);
        equivocationSlashed[requestId][operator] = before + taken;
    }

    // ---- money, inside

    function _fetchShares() private {
        if (IOperatorStaking(STAKING).claimable(address(this)) == 0) return;
        // slither-disable-next-line reentrancy-balance (the change in balance is what is checked)
        uint256 before = IERC20(TOKEN).balanceOf(address(this));
        uint256 expected = IOperatorStaking(STAKING).claim(address(this));
        uint256 received = IERC20(TOKEN).balanceOf(address(this)) - before;
        if (received != expected) revert TransferMismatch(expected, received);
    }

    // ---- checks, inside

    /// @dev The model's id commits to registrar and terms, so the registry need not be asked.
    function _requireProvable(InferenceRequest calldata request, address registrar, ModelTerms calldata terms)
        private
        pure
    {
        bytes32 modelId = terms.modelId(registrar);
        if (modelId != request.modelId) revert ModelMismatch(request.modelId, modelId);
        if (terms.tier == Tier.Unproven) revert NotProvable(modelId);
    }

    function _requireSame(InferenceRequest calldata request, RevealDemand calldata demand) private view {
        bytes32 requestId = _requestIdOf(request);
        if (requestId != demand.requestId) revert RequestMismatch(demand.requestId, requestId);
    }

    function _requireSuspended(bytes32 requestId) private view {
        (RequestState state,) = _stateOf(requestId);
        if (state != RequestState.RevealPending) revert NotInDispute(requestId, state);
    }

    /// @dev As the oracle's `requestIdOf`, which need not be asked.
    function _requestIdOf(InferenceRequest calldata request) private view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(_oracleDomain(), request.calldataStructHash());
    }

    /// @dev The EIP-712 domain in which requests are numbered and answers signed.
    function _oracleDomain() private view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, ORACLE_NAME_HASH, ORACLE_VERSION_HASH, block.chainid, ORACLE));
    }

    function _stateOf(bytes32 requestId) private view returns (RequestState state, uint40 settleAt) {
        (state,, settleAt,) = IInferenceOracle(ORACLE).stateOf(requestId);
    }

    function _now() private view returns (uint40) {
        return uint40(block.timestamp);
    }
}
