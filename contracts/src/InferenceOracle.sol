// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EIP712} from "solady/utils/EIP712.sol";

import {IInferenceConsumer} from "./interfaces/IInferenceConsumer.sol";
import {IInferenceOracle} from "./interfaces/IInferenceOracle.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IOperatorStaking} from "./interfaces/IOperatorStaking.sol";
import {ExactGasCall} from "./libraries/ExactGasCall.sol";
import {SignerCheck} from "./libraries/SignerCheck.sol";
import {TokenTransfer} from "./libraries/TokenTransfer.sol";
import {Account} from "./types/Account.sol";
import {Accept} from "./types/Accept.sol";
import {Answer, AnswerCommitment, AnswerCommitmentHash, AnswerHash} from "./types/Answer.sol";
import {InferenceRequest, RequestParams} from "./types/InferenceRequest.sol";
import {RequestSlot, RequestSlotLibrary} from "./types/RequestSlot.sol";
import {DeliveryState, Notice, RequestState} from "./types/RequestState.sol";

/// @title The life of a request, and the ledger that pays for it
/// @dev The contract holds the sum of all account balances and of the fees of all requests that are not over. Bonds
///      are in `OperatorStaking`. Every state-changing entry point takes one transient lock, which stays on during the
///      consumer's callback. Money never waits for a callback: its outcome is recorded and it can be retried.
contract InferenceOracle is IInferenceOracle, EIP712, ReentrancyGuardTransient {
    using TokenTransfer for IERC20;

    /// @dev What consecutive items of a batch release and pay to one operator. Sums are of `uint96`s.
    struct Earnings {
        address operator;
        address payout;
        uint256 bond;
        uint256 fee;
    }

    // ---- constants

    /// @inheritdoc IInferenceOracle
    uint256 public constant MAX_INPUT_BYTES = 98_304;
    /// @inheritdoc IInferenceOracle
    uint256 public constant MAX_RESULT_BYTES = 98_304;
    /// @inheritdoc IInferenceOracle
    uint256 public constant MAX_ANSWER_BATCH = 500;
    /// @inheritdoc IInferenceOracle
    uint32 public constant MAX_CALLBACK_GAS = 2_000_000;
    /// @inheritdoc IInferenceOracle
    uint256 public constant BOND_MULTIPLE = 20;
    /// @inheritdoc IInferenceOracle
    uint256 public constant LIVENESS_MULTIPLE = 2;
    /// @inheritdoc IInferenceOracle
    uint16 public constant DEFAULT_REQUESTER_BPS = 5_000;
    /// @inheritdoc IInferenceOracle
    uint16 public constant FRAUD_REQUESTER_BPS = 2_000;
    /// @inheritdoc IInferenceOracle
    uint16 public constant FRAUD_WATCHER_BPS = 3_000;

    /// @dev Nonces from here on belong to signed requests.
    uint64 private constant FIRST_SIGNED_NONCE = 1 << 63;

    // ---- immutables

    /// @inheritdoc IInferenceOracle
    address public immutable TOKEN;
    /// @inheritdoc IInferenceOracle
    address public immutable STAKING;
    /// @inheritdoc IInferenceOracle
    address public immutable REGISTRY;
    /// @inheritdoc IInferenceOracle
    address public immutable COURT;
    /// @inheritdoc IInferenceOracle
    uint40 public immutable MAX_TTL;
    /// @inheritdoc IInferenceOracle
    uint32 public immutable MAX_WINDOW;
    /// @inheritdoc IInferenceOracle
    uint40 public immutable DISPUTE_ALLOWANCE;

    // ---- storage

    mapping(bytes32 requestId => RequestSlot) private _slots;
    mapping(address account => Account) private _accounts;

    // ---- modifiers

    modifier onlyCourt() {
        if (msg.sender != COURT) revert NotCourt(msg.sender);
        _;
    }

    /// @param staking Already deployed, with this contract's address in it.
    /// @param court Zero where there is none; else an address at which the court will be deployed.
    constructor(
        address token,
        address staking,
        address registry,
        address court,
        uint40 maxTtl,
        uint32 maxWindow,
        uint40 disputeAllowance
    ) {
        if (token == address(0) || staking == address(0) || registry == address(0)) {
            revert ZeroAddress();
        }
        _requireWiring(staking, token, IOperatorStaking(staking).TOKEN());
        _requireWiring(staking, address(this), IOperatorStaking(staking).ORACLE());
        _requireWiring(staking, court, IOperatorStaking(staking).COURT());
        _requireWiring(registry, court, IModelRegistry(registry).COURT());
        // An operator that starts its exit now may be bound by what was locked until now for that long.
        uint256 longestLiability = uint256(maxTtl) + maxWindow + disputeAllowance;
        uint40 exitDelay = IOperatorStaking(staking).EXIT_DELAY();
        if (exitDelay < longestLiability) revert ExitDelayTooShort(exitDelay, longestLiability);

        TOKEN = token;
        STAKING = staking;
        REGISTRY = registry;
        // slither-disable-next-line missing-zero-check (zero where there is no court)
        COURT = court;
        MAX_TTL = maxTtl;
        MAX_WINDOW = maxWindow;
        DISPUTE_ALLOWANCE = disputeAllowance;
    }

    // ---- the ledger

    /// @inheritdoc IInferenceOracle
    function deposit(address account, uint96 amount) external nonReentrant {
        if (account == address(0)) revert ZeroAddress();
        if (amount == 0) revert ZeroAmount();

        _deposit(account, amount);
    }

    /// @inheritdoc IInferenceOracle
    function withdraw(address to, uint96 amount) external nonReentrant {
        if (to == address(0)) revert ZeroAddress();
        if (amount == 0) revert ZeroAmount();
        Account account = _accounts[msg.sender];
        if (account.balance() < amount) revert BalanceTooLow(account.balance(), amount);

        _accounts[msg.sender] = account.debit(amount);
        emit Withdrawn(msg.sender, to, amount);
        IERC20(TOKEN).push(to, amount);
    }

    // ---- asking

    /// @inheritdoc IInferenceOracle
    function request(RequestParams calldata params, bytes calldata input)
        external
        nonReentrant
        returns (bytes32 requestId)
    {
        return _requestDirectly(params, input);
    }

    /// @inheritdoc IInferenceOracle
    function requestWithPull(RequestParams calldata params, bytes calldata input)
        external
        nonReentrant
        returns (bytes32 requestId)
    {
        if (params.fee != 0) _deposit(msg.sender, params.fee);
        return _requestDirectly(params, input);
    }

    /// @inheritdoc IInferenceOracle
    function requestBySignature(InferenceRequest calldata terms, bytes calldata input, bytes calldata signature)
        external
        nonReentrant
        returns (bytes32 requestId)
    {
        if (terms.nonce < FIRST_SIGNED_NONCE) revert ForbiddenNonce(terms.nonce);
        bytes32 inputHash = sha256(input);
        if (terms.inputHash != inputHash) revert InputHashMismatch(terms.inputHash, inputHash);
        requestId = requestIdOf(terms);
        _requireState(requestId, RequestState.None);
        if (!SignatureChecker.isValidSignatureNowCalldata(terms.requester, requestId, signature)) {
            revert SignatureInvalid(terms.requester);
        }

        _create(requestId, terms, input, _accounts[terms.requester]);
    }

    /// @inheritdoc IInferenceOracle
    function cancel(InferenceRequest calldata terms) external nonReentrant {
        bytes32 requestId = requestIdOf(terms);
        RequestSlot slot = _requireState(requestId, RequestState.Requested);
        if (msg.sender != terms.requester) revert NotRequester(msg.sender, terms.requester);

        _slots[requestId] = slot.withState(RequestState.Cancelled);
        _credit(terms.requester, terms.fee);
        emit RequestCancelled(requestId, terms.fee);
    }

    // ---- answering

    /// @inheritdoc IInferenceOracle
    function accept(InferenceRequest calldata terms, Accept calldata acceptance, bytes calldata signature)
        external
        nonReentrant
    {
        bytes32 requestId = requestIdOf(terms);
        _requireState(requestId, RequestState.Requested);
        if (acceptance.requestId != requestId) revert WrongRequest(requestId, acceptance.requestId);
        if (block.timestamp > terms.deadline) revert DeadlinePassed(terms.deadline);
        if (block.timestamp > acceptance.validUntil) revert SignatureExpired(acceptance.validUntil);
        address operator = acceptance.operator;
        if (terms.operator != address(0) && operator != terms.operator) revert WrongOperator(terms.operator, operator);

        _slots[requestId] = RequestSlotLibrary.accepted(operator);
        (address signer, uint32 sequence) = IOperatorStaking(STAKING).lock(operator, terms.bond);
        emit RequestAccepted(requestId, operator, sequence);
        _requireSigner(_hashTypedData(acceptance.structHash()), signature, signer);
    }

    /// @inheritdoc IInferenceOracle
    // slither-disable-next-line reentrancy-no-eth (locked, and staking calls nobody)
    function answer(AnswerItem calldata item, address operator, bytes calldata signature) external nonReentrant {
        bytes32 requestId = requestIdOf(item.request);
        RequestSlot slot = _slots[requestId];
        ItemCode code = _answerCode(slot, item.request.deadline, operator);
        if (code != ItemCode.Done) _revertAnswer(code, requestId, slot, item.request, operator);

        bytes32 resultHash = sha256(item.result);
        RequestSlot answered = _recordAnswer(requestId, item, operator, resultHash);
        address signer = IOperatorStaking(STAKING).recordAnswers(operator, 1);
        _requireSigner(_hashTypedData(_answerStructHash(requestId, item, operator, resultHash)), signature, signer);
        if (_isEagerNoticeDue(item.request)) {
            _notify(requestId, answered, item.request, Notice.Answered, item.result);
        }
    }

    /// @inheritdoc IInferenceOracle
    // slither-disable-next-line reentrancy-no-eth (locked, and staking calls nobody)
    function answerBatch(AnswerItem[] calldata items, address operator, bytes calldata signature)
        external
        nonReentrant
        returns (ItemCode[] memory codes)
    {
        if (items.length == 0) revert EmptyBatch();
        if (items.length > MAX_ANSWER_BATCH) revert BatchTooLarge(items.length, MAX_ANSWER_BATCH);
        codes = new ItemCode[](items.length);
        bytes32[] memory structHashes = new bytes32[](items.length);
        bytes32 domainSeparator = _domainSeparator();
        uint32 taken;
        bool anyNotice;

        for (uint256 i; i < items.length; ++i) {
            AnswerItem calldata item = items[i];
            bytes32 requestId = _requestIdIn(domainSeparator, item.request);
            bytes32 resultHash = sha256(item.result);
            structHashes[i] = _answerStructHash(requestId, item, operator, resultHash);
            ItemCode code = _answerCode(_slots[requestId], item.request.deadline, operator);
            if (code != ItemCode.Done) {
                codes[i] = code;
                emit ItemSkipped(requestId, code);
                continue;
            }
            _recordAnswer(requestId, item, operator, resultHash);
            ++taken;
            if (_isEagerNoticeDue(item.request)) anyNotice = true;
        }

        address signer = IOperatorStaking(STAKING).recordAnswers(operator, taken);
        _requireSigner(_hashTypedData(AnswerHash.batchHash(structHashes)), signature, signer);

        // Callbacks come after the signature is checked, and most batches have none.
        if (!anyNotice) return codes;
        for (uint256 i; i < items.length; ++i) {
            AnswerItem calldata item = items[i];
            if (codes[i] != ItemCode.Done || !_isEagerNoticeDue(item.request)) continue;
            bytes32 requestId = requestIdOf(item.request);
            _notify(requestId, _slots[requestId], item.request, Notice.Answered, item.result);
        }
    }

    // ---- ending

    /// @inheritdoc IInferenceOracle
    // slither-disable-next-line reentrancy-no-eth (locked, and staking calls nobody)
    function settle(SettleItem calldata item) external nonReentrant {
        bytes32 requestId = requestIdOf(item.request);
        RequestSlot slot = _slots[requestId];
        (ItemCode code, bool noticeDue) = _settleCode(slot, item);
        if (code != ItemCode.Done) _revertSettle(code, requestId, slot, item.request);

        InferenceRequest calldata terms = item.request;
        address operator = item.commitment.operator;
        slot = slot.withState(RequestState.Settled);
        _slots[requestId] = slot;
        address payout = IOperatorStaking(STAKING).release(operator, terms.bond);
        _credit(payout, terms.fee);
        emit RequestSettled(requestId, operator, payout, terms.fee);
        if (noticeDue) _notify(requestId, slot, terms, Notice.Final, item.result);
    }

    /// @inheritdoc IInferenceOracle
    // slither-disable-next-line reentrancy-no-eth (locked, and staking calls nobody)
    function settleBatch(SettleItem[] calldata items) external nonReentrant returns (ItemCode[] memory codes) {
        if (items.length == 0) revert EmptyBatch();
        codes = new ItemCode[](items.length);
        Earnings memory earnings;
        bytes32 domainSeparator = _domainSeparator();
        bool anyNotice;

        for (uint256 i; i < items.length; ++i) {
            SettleItem calldata item = items[i];
            bytes32 requestId = _requestIdIn(domainSeparator, item.request);
            RequestSlot slot = _slots[requestId];
            (ItemCode code, bool noticeDue) = _settleCode(slot, item);
            if (code != ItemCode.Done) {
                codes[i] = code;
                emit ItemSkipped(requestId, code);
                continue;
            }
            _slots[requestId] = slot.withState(RequestState.Settled);
            if (noticeDue) anyNotice = true;
            _earn(earnings, requestId, item);
        }
        _payOut(earnings);

        // Callbacks come after all money, and most batches have none.
        if (!anyNotice) return codes;
        for (uint256 i; i < items.length; ++i) {
            SettleItem calldata item = items[i];
            if (codes[i] != ItemCode.Done) continue;
            bytes32 requestId = requestIdOf(item.request);
            RequestSlot slot = _slots[requestId];
            if (_isFinalNoticeDue(slot, item.request)) {
                _notify(requestId, slot, item.request, Notice.Final, item.result);
            }
        }
    }

    /// @inheritdoc IInferenceOracle
    function expire(InferenceRequest calldata terms) external nonReentrant {
        bytes32 requestId = requestIdOf(terms);
        RequestSlot slot = _requireState(requestId, RequestState.Requested);
        if (block.timestamp <= terms.deadline) revert DeadlineNotPassed(terms.deadline);

        slot = slot.withState(RequestState.Expired);
        _slots[requestId] = slot;
        _credit(terms.requester, terms.fee);
        emit RequestExpired(requestId, terms.fee);
        _notifyVoided(requestId, slot, terms);
    }

    /// @inheritdoc IInferenceOracle
    // slither-disable-next-line reentrancy-no-eth (locked, and staking calls nobody)
    function markDefaulted(InferenceRequest calldata terms, address operator) external nonReentrant {
        bytes32 requestId = requestIdOf(terms);
        RequestSlot slot = _requireState(requestId, RequestState.Accepted);
        if (operator != slot.operator()) revert WrongOperator(slot.operator(), operator);
        if (block.timestamp <= terms.deadline) revert DeadlineNotPassed(terms.deadline);

        slot = slot.withState(RequestState.Defaulted);
        _slots[requestId] = slot;
        _credit(terms.requester, terms.fee);
        uint256 penalty = LIVENESS_MULTIPLE * terms.fee;
        // casting to 'uint96' is safe because the penalty is below the bond, which is one
        // forge-lint: disable-next-line(unsafe-typecast)
        uint96 asked = penalty < terms.bond ? uint96(penalty) : terms.bond;
        uint96 slashed = IOperatorStaking(STAKING)
            .slash(operator, requestId, terms.bond, true, asked, terms.requester, DEFAULT_REQUESTER_BPS, address(0), 0);
        emit RequestDefaulted(requestId, operator, terms.fee, slashed);
        _notifyVoided(requestId, slot, terms);
    }

    /// @inheritdoc IInferenceOracle
    function retryNotice(InferenceRequest calldata terms, AnswerCommitment calldata commitment, bytes calldata result)
        external
        nonReentrant
    {
        bytes32 requestId = requestIdOf(terms);
        RequestSlot slot = _slots[requestId];
        if (slot.delivery() != DeliveryState.Failed) revert NoNoticeDue(requestId);
        RequestState state = slot.state();
        // A notice of an answer under dispute waits for the dispute to end.
        if (state == RequestState.RevealPending) revert NoNoticeDue(requestId);

        if (state == RequestState.Answered || state == RequestState.Settled) {
            if (!slot.matches(commitment)) revert CommitmentMismatch(requestId);
            if (sha256(result) != commitment.resultHash) revert ResultMismatch(requestId);
            _notify(requestId, slot, terms, state == RequestState.Settled ? Notice.Final : Notice.Answered, result);
        } else {
            _notifyVoided(requestId, slot, terms);
        }
    }

    // ---- the court

    /// @inheritdoc IInferenceOracle
    function suspend(InferenceRequest calldata terms, AnswerCommitment calldata commitment)
        external
        nonReentrant
        onlyCourt
    {
        bytes32 requestId = requestIdOf(terms);
        RequestSlot slot = _requireState(requestId, RequestState.Answered);
        if (block.timestamp >= slot.settleAt()) revert DisputeOver(slot.settleAt());
        if (!slot.matches(commitment)) revert CommitmentMismatch(requestId);

        _slots[requestId] = slot.withState(RequestState.RevealPending);
        emit AnswerSuspended(requestId);
    }

    /// @inheritdoc IInferenceOracle
    function resume(InferenceRequest calldata terms, AnswerCommitment calldata commitment, uint40 settleAt)
        external
        nonReentrant
        onlyCourt
    {
        bytes32 requestId = requestIdOf(terms);
        RequestSlot slot = _requireState(requestId, RequestState.RevealPending);
        if (!slot.matches(commitment)) revert CommitmentMismatch(requestId);
        uint256 limit = disputeLimit(terms);
        if (settleAt < slot.settleAt() || settleAt > limit) revert SettleAtOutOfBounds(settleAt, limit);

        _slots[requestId] = slot.withState(RequestState.Answered).withSettleAt(settleAt);
        emit AnswerResumed(requestId, settleAt);
    }

    /// @inheritdoc IInferenceOracle
    // slither-disable-next-line reentrancy-no-eth (locked, and staking calls nobody)
    function voidAnswer(InferenceRequest calldata terms, AnswerCommitment calldata commitment, address watcher)
        external
        nonReentrant
        onlyCourt
    {
        bytes32 requestId = requestIdOf(terms);
        RequestSlot slot = _slots[requestId];
        if (!slot.isIn(RequestState.RevealPending)) {
            _requireState(requestId, RequestState.Answered);
            if (block.timestamp >= slot.settleAt()) revert DisputeOver(slot.settleAt());
        }
        if (!slot.matches(commitment)) revert CommitmentMismatch(requestId);

        // Whatever an eager consumer heard of the answer, it is due the notice that the answer is void.
        slot = slot.withState(RequestState.Slashed).withDelivery(DeliveryState.None);
        _slots[requestId] = slot;
        _credit(terms.requester, terms.fee);
        uint96 slashed = IOperatorStaking(STAKING)
            .slash(
                commitment.operator,
                requestId,
                terms.bond,
                false,
                terms.bond,
                terms.requester,
                FRAUD_REQUESTER_BPS,
                watcher,
                FRAUD_WATCHER_BPS
            );
        emit AnswerVoided(requestId, commitment.operator, watcher, terms.fee, slashed);
        _notifyVoided(requestId, slot, terms);
    }

    // ---- views

    /// @inheritdoc IInferenceOracle
    function accounts(address account) external view returns (uint96 balance, uint64 nonce) {
        return (_accounts[account].balance(), _accounts[account].nonce());
    }

    /// @inheritdoc IInferenceOracle
    function stateOf(bytes32 requestId)
        external
        view
        returns (RequestState state, DeliveryState delivery, uint40 settleAt, address acceptedBy)
    {
        RequestSlot slot = _slots[requestId];
        state = slot.state();
        delivery = slot.delivery();
        settleAt = slot.settleAt();
        // slither-disable-next-line incorrect-equality (of an enumeration)
        if (state == RequestState.Accepted) acceptedBy = slot.operator();
    }

    /// @inheritdoc IInferenceOracle
    function requestIdOf(InferenceRequest calldata terms) public view returns (bytes32) {
        return _hashTypedData(terms.calldataStructHash());
    }

    /// @inheritdoc IInferenceOracle
    function answerDigest(Answer calldata answer_) external view returns (bytes32) {
        return _hashTypedData(answer_.structHash());
    }

    /// @inheritdoc IInferenceOracle
    function answerBatchDigest(Answer[] calldata answers) external view returns (bytes32) {
        bytes32[] memory structHashes = new bytes32[](answers.length);
        for (uint256 i; i < answers.length; ++i) {
            structHashes[i] = answers[i].structHash();
        }
        return _hashTypedData(AnswerHash.batchHash(structHashes));
    }

    /// @inheritdoc IInferenceOracle
    function acceptDigest(Accept calldata acceptance) external view returns (bytes32) {
        return _hashTypedData(acceptance.structHash());
    }

    /// @inheritdoc IInferenceOracle
    function minimumBond(bytes32 modelId, uint96 fee) external view returns (uint96) {
        return _minimumBond(IModelRegistry(REGISTRY).models(modelId).minBond, fee);
    }

    /// @inheritdoc IInferenceOracle
    function disputeLimit(InferenceRequest calldata terms) public view returns (uint256) {
        return uint256(terms.deadline) + terms.window + DISPUTE_ALLOWANCE;
    }

    // ---- asking, inside

    function _credit(address account, uint96 amount) private {
        _accounts[account] = _accounts[account].credit(amount);
    }

    /// @dev Pulls before it credits; the lock keeps everybody else out in between.
    function _deposit(address account, uint96 amount) private {
        IERC20(TOKEN).pullExactly(msg.sender, amount);
        _credit(account, amount);
        emit Deposited(account, msg.sender, amount);
    }

    function _requestDirectly(RequestParams calldata params, bytes calldata input) private returns (bytes32 requestId) {
        Account account = _accounts[msg.sender];
        InferenceRequest memory terms = InferenceRequest({
            requester: msg.sender,
            nonce: account.nonce(),
            consumer: params.consumer,
            modelId: params.modelId,
            inputHash: sha256(input),
            operator: params.operator,
            fee: params.fee,
            bond: params.bond,
            valueAtRisk: params.valueAtRisk,
            deadline: params.deadline,
            window: params.window,
            callbackGasLimit: params.callbackGasLimit,
            eager: params.eager
        });
        requestId = _hashTypedData(terms.structHash());
        // Counts up from zero and so never reaches FIRST_SIGNED_NONCE: the id is new.
        _create(requestId, terms, input, account.withNextNonce());
    }

    function _create(bytes32 requestId, InferenceRequest memory terms, bytes calldata input, Account account) private {
        _requireTerms(terms, input.length);
        if (account.balance() < terms.fee) revert BalanceTooLow(account.balance(), terms.fee);

        _accounts[terms.requester] = account.debit(terms.fee);
        _slots[requestId] = RequestSlotLibrary.requested();
        emit RequestCreated(requestId, terms.operator, terms.modelId, terms, input);

        if (terms.operator == address(0)) return;
        uint32 sequence = IOperatorStaking(STAKING)
            .lockByOffer(
                terms.operator,
                terms.modelId,
                terms.fee,
                terms.bond,
                terms.deadline - block.timestamp,
                terms.window,
                terms.callbackGasLimit
            );
        if (sequence != 0) {
            _slots[requestId] = RequestSlotLibrary.accepted(terms.operator);
            emit RequestAccepted(requestId, terms.operator, sequence);
        }
    }

    function _requireTerms(InferenceRequest memory terms, uint256 inputLength) private view {
        if (inputLength == 0) revert InputEmpty();
        if (inputLength > MAX_INPUT_BYTES) revert InputTooLarge(inputLength, MAX_INPUT_BYTES);
        if (terms.callbackGasLimit > MAX_CALLBACK_GAS) {
            revert CallbackGasTooHigh(terms.callbackGasLimit, MAX_CALLBACK_GAS);
        }
        uint256 latest;
        // Forty bits more than a timestamp are no overflow.
        unchecked {
            latest = block.timestamp + MAX_TTL;
        }
        if (terms.deadline <= block.timestamp || terms.deadline > latest) {
            revert DeadlineOutOfBounds(terms.deadline, block.timestamp + 1, latest);
        }
        address consumer = terms.consumer;
        if (consumer != address(0)) {
            if (
                consumer == address(this) || consumer == STAKING || consumer == REGISTRY || consumer == COURT
                    || consumer == TOKEN
            ) revert ForbiddenConsumer(consumer);
        }

        IModelRegistry.Model memory model = IModelRegistry(REGISTRY).models(terms.modelId);
        if (model.registeredAt == 0 || model.deprecatedAt != 0) revert ModelNotLive(terms.modelId);
        if (terms.window < model.challengeWindow || terms.window > MAX_WINDOW) {
            revert WindowOutOfBounds(terms.window, model.challengeWindow, MAX_WINDOW);
        }
        uint96 minimum = _minimumBond(model.minBond, terms.fee);
        if (terms.bond < minimum) revert BondTooLow(terms.bond, minimum);
        if (terms.valueAtRisk > terms.bond) revert ValueAtRiskAboveBond(terms.valueAtRisk, terms.bond);
    }

    function _minimumBond(uint96 modelMinimum, uint96 fee) private pure returns (uint96) {
        uint96 ofFee = SafeCast.toUint96(BOND_MULTIPLE * fee);
        return ofFee > modelMinimum ? ofFee : modelMinimum;
    }

    // ---- answering, inside

    function _answerCode(RequestSlot slot, uint40 deadline, address operator) private view returns (ItemCode) {
        if (!slot.isIn(RequestState.Accepted)) return ItemCode.WrongState;
        if (slot.operator() != operator) return ItemCode.WrongOperator;
        if (block.timestamp > deadline) return ItemCode.TooLate;
        return ItemCode.Done;
    }

    function _recordAnswer(bytes32 requestId, AnswerItem calldata item, address operator, bytes32 resultHash)
        private
        returns (RequestSlot slot)
    {
        // What proves a result wrong carries it whole, and must fit a transaction, too.
        if (item.result.length > MAX_RESULT_BYTES) revert ResultTooLarge(item.result.length, MAX_RESULT_BYTES);
        uint40 settleAt = uint40(block.timestamp) + item.request.window;
        bytes32 commitmentHash = AnswerCommitmentHash.hashOf(operator, resultHash, item.traceRoot);
        slot = RequestSlotLibrary.answered(settleAt, commitmentHash);
        _slots[requestId] = slot;
        emit RequestAnswered(requestId, operator, item.traceRoot, settleAt, item.result);
    }

    function _answerStructHash(bytes32 requestId, AnswerItem calldata item, address operator, bytes32 resultHash)
        private
        pure
        returns (bytes32)
    {
        return AnswerHash.hashOf(
            requestId, operator, item.request.modelId, item.request.inputHash, resultHash, item.traceRoot
        );
    }

    function _isEagerNoticeDue(InferenceRequest calldata terms) private pure returns (bool) {
        return terms.eager && terms.consumer != address(0);
    }

    function _revertAnswer(
        ItemCode code,
        bytes32 requestId,
        RequestSlot slot,
        InferenceRequest calldata terms,
        address operator
    ) private pure {
        if (code == ItemCode.WrongState) {
            revert WrongState(requestId, RequestState.Accepted, slot.state());
        }
        if (code == ItemCode.WrongOperator) revert WrongOperator(slot.operator(), operator);
        revert DeadlinePassed(terms.deadline);
    }

    // ---- settling, inside

    /// @return code What is to become of the item.
    /// @return noticeDue Where it is `Done`: whether the consumer is due a notice of it.
    function _settleCode(RequestSlot slot, SettleItem calldata item)
        private
        view
        returns (ItemCode code, bool noticeDue)
    {
        if (slot.isIn(RequestState.Answered)) {
            if (block.timestamp < slot.settleAt()) return (ItemCode.TooEarly, false);
        } else if (slot.isIn(RequestState.RevealPending)) {
            if (block.timestamp <= disputeLimit(item.request)) return (ItemCode.TooEarly, false);
        } else {
            return (ItemCode.WrongState, false);
        }
        if (!slot.matches(item.commitment)) return (ItemCode.CommitmentMismatch, false);
        noticeDue = _isFinalNoticeDue(slot, item.request);
        if (noticeDue && sha256(item.result) != item.commitment.resultHash) code = ItemCode.ResultMismatch;
    }

    /// @dev Adds an item to the earnings of its operator, after paying out those of the operator before it.
    function _earn(Earnings memory earnings, bytes32 requestId, SettleItem calldata item) private {
        address operator = item.commitment.operator;
        if (operator != earnings.operator) {
            _payOut(earnings);
            earnings.operator = operator;
            // slither-disable-next-line calls-loop (once an operator, and staking calls nobody)
            earnings.payout = IOperatorStaking(STAKING).payoutOf(operator);
            earnings.bond = 0;
            earnings.fee = 0;
        }
        uint96 fee = item.request.fee;
        // No batch has the 2^160 items that it takes for sums of `uint96`s to overflow.
        unchecked {
            earnings.bond += item.request.bond;
            earnings.fee += fee;
        }
        emit RequestSettled(requestId, operator, earnings.payout, fee);
    }

    function _payOut(Earnings memory earnings) private {
        if (earnings.operator == address(0)) return;
        // slither-disable-next-line calls-loop (once an operator, and staking calls nobody)
        IOperatorStaking(STAKING).release(earnings.operator, SafeCast.toUint96(earnings.bond));
        _credit(earnings.payout, SafeCast.toUint96(earnings.fee));
    }

    /// @dev An eager consumer that has heard the answer is not told again.
    function _isFinalNoticeDue(RequestSlot slot, InferenceRequest calldata terms) private pure returns (bool) {
        return terms.consumer != address(0) && !slot.hasDelivery(DeliveryState.Delivered);
    }

    function _revertSettle(ItemCode code, bytes32 requestId, RequestSlot slot, InferenceRequest calldata terms)
        private
        view
    {
        if (code == ItemCode.WrongState) revert WrongState(requestId, RequestState.Answered, slot.state());
        if (code == ItemCode.CommitmentMismatch) revert CommitmentMismatch(requestId);
        if (code == ItemCode.ResultMismatch) revert ResultMismatch(requestId);
        revert NotFinalYet(slot.state() == RequestState.Answered
                ? slot.settleAt()
                : SafeCast.toUint40(disputeLimit(terms) + 1));
    }

    // ---- notices, inside

    function _notifyVoided(bytes32 requestId, RequestSlot slot, InferenceRequest calldata terms) private {
        if (terms.consumer != address(0)) _notify(requestId, slot, terms, Notice.Voided, msg.data[:0]);
    }

    /// @dev The last thing a verb does. `slot` is what is stored; only its delivery changes.
    function _notify(
        bytes32 requestId,
        RequestSlot slot,
        InferenceRequest calldata terms,
        Notice notice,
        bytes calldata result
    ) private {
        address consumer = terms.consumer;
        bytes memory payload =
            abi.encodeCall(IInferenceConsumer.onInferenceNotice, (requestId, notice, terms.modelId, result));
        bool delivered = ExactGasCall.tryCall(consumer, terms.callbackGasLimit, payload);

        _slots[requestId] = slot.withDelivery(delivered ? DeliveryState.Delivered : DeliveryState.Failed);
        if (delivered) emit NoticeDelivered(requestId, consumer, notice);
        else emit NoticeFailed(requestId, consumer, notice);
    }

    // ---- checks, inside

    /// @dev `requestIdOf` for batches, which look their domain up once.
    function _requestIdIn(bytes32 domainSeparator, InferenceRequest calldata terms) private pure returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(domainSeparator, terms.calldataStructHash());
    }

    function _requireState(bytes32 requestId, RequestState expected) private view returns (RequestSlot slot) {
        slot = _slots[requestId];
        if (!slot.isIn(expected)) revert WrongState(requestId, expected, slot.state());
    }

    function _requireSigner(bytes32 digest, bytes calldata signature, address signer) private pure {
        if (!SignerCheck.isSignedBy(digest, signature, signer)) revert SignatureInvalid(signer);
    }

    function _requireWiring(address contractAddress, address expected, address actual) private pure {
        if (actual != expected) revert WiringMismatch(contractAddress, expected, actual);
    }

    /// @inheritdoc EIP712
    function _domainNameAndVersion() internal pure override returns (string memory name, string memory version) {
        return ("OPG Inference Oracle", "1");
    }
}
