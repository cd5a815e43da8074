// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

import {IInferenceConsumer} from "../src/interfaces/IInferenceConsumer.sol";
import {IInferenceOracle} from "../src/interfaces/IInferenceOracle.sol";
import {IModelRegistry} from "../src/interfaces/IModelRegistry.sol";
import {AnswerCommitment} from "../src/types/Answer.sol";
import {InferenceRequest, RequestParams} from "../src/types/InferenceRequest.sol";
import {Tier, UNCERTIFIED} from "../src/types/ModelTerms.sol";
import {DeliveryState, Notice, RequestState} from "../src/types/RequestState.sol";
import {MockOPG} from "./MockOPG.sol";

/// @title A test double of the oracle, for unit tests of contracts that ask
/// @notice There is no operator, no model, no bond and no court behind it: the test says what is answered, when that
///         is final, and what comes to nothing. Never deploy it where anything depends on it. It stands for the oracle,
///         the registry and the staking contract in one:
///
///             MockInferenceOracle oracle = new MockInferenceOracle();
///             oracle.setModel(MODEL_ID, 5, 1e14);             // a window of 5 seconds, an error bar of 0.0001
///             MyContract mine = new MyContract(IInferenceOracle(address(oracle)), MODEL_ID);
///             bytes32 requestId = mine.ask(...);
///             oracle.giveAnswer(requestId, result);           // an eager consumer hears it now
///             oracle.makeFinal(requestId);                    // any other, now
///
///         What it shares with the oracle: the terms that are refused and with which error, the gas that a notice gets,
///         that a hook's revert moves no money and can be tried again, that an eager consumer hears an answer once, and
///         that nothing can be withdrawn from within a hook. What it does not: time matters to it only where a
///         deadline must be over, nobody is ever slashed, requests signed off chain are not taken, and ids differ from the oracle's.
contract MockInferenceOracle {
    uint40 public constant MAX_TTL = 1 days;
    uint32 public constant MAX_WINDOW = 7 days;
    uint32 public constant MAX_CALLBACK_GAS = 2_000_000;
    uint256 public constant MAX_INPUT_BYTES = 98_304;
    uint96 public constant BOND_MULTIPLE = 20;
    uint96 public constant LIVENESS_MULTIPLE = 2;
    uint96 public constant DEFAULT_REQUESTER_BPS = 5_000;

    MockOPG public immutable OPG = new MockOPG();

    mapping(bytes32 modelId => IModelRegistry.Model) private _models;
    mapping(bytes32 modelId => uint96) private _epsilons;
    mapping(address account => uint96) private _balances;
    mapping(address account => uint64) private _nonces;
    mapping(bytes32 requestId => InferenceRequest) private _terms;
    mapping(bytes32 requestId => RequestState) private _states;
    mapping(bytes32 requestId => DeliveryState) private _deliveries;
    mapping(bytes32 requestId => address) private _acceptedBy;
    mapping(bytes32 requestId => bytes) private _inputs;
    mapping(bytes32 requestId => bytes) private _results;
    /// @notice What the last notice of a request used of the gas that it was promised: all of it where it ran out.
    ///         As on a chain where every call of the test is a transaction of its own (`isolate = true` in foundry.toml,
    ///         or `forge test --isolate`); else less, as what a test has touched before costs less.
    mapping(bytes32 requestId => uint256) public gasUsedBy;
    mapping(address account => uint96) public claimable;
    bytes32 private _last;
    bool private _locked;

    error Reentered();

    modifier unlocked() {
        require(!_locked, Reentered());
        _;
    }

    // ---- what the test says

    /// @notice Registers a model. `epsilon` is its error bar, with 18 decimals, or `UNCERTIFIED`.
    function setModel(bytes32 modelId, uint32 challengeWindow, uint96 epsilon) external {
        _models[modelId] = IModelRegistry.Model({
            minBond: 0,
            challengeWindow: challengeWindow,
            revealWindow: challengeWindow,
            registeredAt: uint40(block.timestamp),
            deprecatedAt: 0,
            tier: Tier.Rounded
        });
        _epsilons[modelId] = epsilon;
    }

    /// @notice Binds an operator to a request, as its standing offer or its acceptance does.
    function makeAccepted(bytes32 requestId, address operator) external unlocked {
        _require(requestId, RequestState.Requested);
        _states[requestId] = RequestState.Accepted;
        _acceptedBy[requestId] = operator;
    }

    /// @notice Posts an answer: a consumer that asked to be told at once is told.
    function giveAnswer(bytes32 requestId, bytes memory result) external unlocked {
        if (_states[requestId] != RequestState.Accepted) _require(requestId, RequestState.Requested);
        _states[requestId] = RequestState.Answered;
        _results[requestId] = result;
        if (_terms[requestId].eager) _notify(requestId, Notice.Answered, result);
    }

    /// @notice Ends the challenge window: the answer is final, and a consumer that has not heard it is told.
    function makeFinal(bytes32 requestId) external unlocked {
        _require(requestId, RequestState.Answered);
        _states[requestId] = RequestState.Settled;
        if (_deliveries[requestId] != DeliveryState.Delivered) {
            _notify(requestId, Notice.Final, _results[requestId]);
        }
    }

    /// @notice Nobody answered, or the answer was a lie: the fee goes back to the requester's account, and
    ///         `compensation` becomes claimable to it.
    function makeVoid(bytes32 requestId, uint96 compensation) external unlocked {
        RequestState state = _states[requestId];
        if (state == RequestState.Accepted) {
            state = RequestState.Defaulted;
        } else if (state == RequestState.Requested) {
            state = compensation == 0 ? RequestState.Expired : RequestState.Defaulted;
        } else {
            _require(requestId, RequestState.Answered);
            state = RequestState.Slashed;
        }
        _makeVoid(requestId, state, compensation);
    }

    /// @notice Delivers a notice again whose hook failed, as anybody may by the oracle's `retryNotice`.
    function deliverAgain(bytes32 requestId) external unlocked {
        _deliverAgain(requestId);
    }

    // ---- what the test may look at

    function lastRequestId() external view returns (bytes32) {
        return _last;
    }

    function termsOf(bytes32 requestId) external view returns (InferenceRequest memory) {
        return _terms[requestId];
    }

    function inputOf(bytes32 requestId) external view returns (bytes memory) {
        return _inputs[requestId];
    }

    /// @notice What `retryNotice`, and so the consumer's `hearAgain`, takes for the answer. Nobody gave it.
    function commitmentOf(bytes32 requestId) public view returns (AnswerCommitment memory commitment) {
        commitment.resultHash = sha256(_results[requestId]);
    }

    // ---- the oracle

    function request(RequestParams calldata params, bytes calldata input)
        external
        unlocked
        returns (bytes32 requestId)
    {
        return _request(params, input);
    }

    function requestWithPull(RequestParams calldata params, bytes calldata input)
        external
        unlocked
        returns (bytes32 requestId)
    {
        if (params.fee != 0) _deposit(msg.sender, params.fee);
        return _request(params, input);
    }

    function deposit(address account, uint96 amount) external unlocked {
        require(amount != 0, IInferenceOracle.ZeroAmount());
        _deposit(account, amount);
    }

    function withdraw(address to, uint96 amount) external unlocked {
        require(amount != 0, IInferenceOracle.ZeroAmount());
        _spend(msg.sender, amount);
        _pay(to, amount);
    }

    function cancel(InferenceRequest calldata terms) external unlocked {
        bytes32 requestId = requestIdOf(terms);
        _require(requestId, RequestState.Requested);
        require(msg.sender == terms.requester, IInferenceOracle.NotRequester(msg.sender, terms.requester));
        _states[requestId] = RequestState.Cancelled;
        _balances[terms.requester] += terms.fee;
    }

    /// @notice As the oracle's: only what nobody is bound to, and only after its deadline (`vm.warp`).
    function expire(InferenceRequest calldata terms) external unlocked {
        bytes32 requestId = requestIdOf(terms);
        _require(requestId, RequestState.Requested);
        _requireLate(terms.deadline);
        _makeVoid(requestId, RequestState.Expired, 0);
    }

    /// @notice As the oracle's: of what `makeAccepted` bound, after its deadline. The requester's share of the penalty
    ///         becomes claimable to it.
    function markDefaulted(InferenceRequest calldata terms, address operator) external unlocked {
        bytes32 requestId = requestIdOf(terms);
        _require(requestId, RequestState.Accepted);
        address bound = _acceptedBy[requestId];
        require(operator == bound, IInferenceOracle.WrongOperator(bound, operator));
        _requireLate(terms.deadline);
        uint96 penalty = LIVENESS_MULTIPLE * terms.fee;
        if (penalty > terms.bond) penalty = terms.bond;
        _makeVoid(requestId, RequestState.Defaulted, penalty * DEFAULT_REQUESTER_BPS / 10_000);
    }

    function retryNotice(InferenceRequest calldata terms, AnswerCommitment calldata commitment, bytes calldata result)
        external
        unlocked
    {
        bytes32 requestId = requestIdOf(terms);
        RequestState state = _states[requestId];
        require(_deliveries[requestId] == DeliveryState.Failed, IInferenceOracle.NoNoticeDue(requestId));
        if (state == RequestState.Answered || state == RequestState.Settled) {
            bytes32 expected = keccak256(abi.encode(commitmentOf(requestId)));
            require(keccak256(abi.encode(commitment)) == expected, IInferenceOracle.CommitmentMismatch(requestId));
            require(sha256(result) == commitment.resultHash, IInferenceOracle.ResultMismatch(requestId));
        }
        _deliverAgain(requestId);
    }

    function accounts(address account) external view returns (uint96 balance, uint64 nonce) {
        return (_balances[account], _nonces[account]);
    }

    function stateOf(bytes32 requestId)
        external
        view
        returns (RequestState state, DeliveryState delivery, uint40 settleAt, address acceptedBy)
    {
        return (_states[requestId], _deliveries[requestId], 0, _acceptedBy[requestId]);
    }

    function requestIdOf(InferenceRequest memory terms) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), terms));
    }

    function minimumBond(bytes32 modelId, uint96 fee) public view returns (uint96) {
        uint96 ofFee = BOND_MULTIPLE * fee;
        uint96 ofModel = _models[modelId].minBond;
        return ofFee > ofModel ? ofFee : ofModel;
    }

    function TOKEN() external view returns (address) {
        return address(OPG);
    }

    function STAKING() external view returns (address) {
        return address(this);
    }

    function REGISTRY() external view returns (address) {
        return address(this);
    }

    /// @notice An address, so that contracts which ask whether answers are judged go on.
    function COURT() external view returns (address) {
        return address(this);
    }

    // ---- the registry

    function models(bytes32 modelId) external view returns (IModelRegistry.Model memory) {
        return _models[modelId];
    }

    function epsilonOf(bytes32 modelId) external view returns (uint96) {
        return _models[modelId].registeredAt == 0 ? UNCERTIFIED : _epsilons[modelId];
    }

    // ---- the staking contract

    function claim(address to) external unlocked returns (uint96 amount) {
        amount = claimable[msg.sender];
        claimable[msg.sender] = 0;
        _pay(to, amount);
    }

    // ---- inside

    function _request(RequestParams calldata params, bytes calldata input) private returns (bytes32 requestId) {
        _requireTerms(params, input.length);
        InferenceRequest memory terms = InferenceRequest({
            requester: msg.sender,
            nonce: _nonces[msg.sender]++,
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
        _spend(msg.sender, params.fee);
        requestId = requestIdOf(terms);
        _terms[requestId] = terms;
        _inputs[requestId] = input;
        _states[requestId] = RequestState.Requested;
        _last = requestId;
        emit IInferenceOracle.RequestCreated(requestId, terms.operator, terms.modelId, terms, input);
    }

    /// @dev As the oracle's, in its order.
    function _requireTerms(RequestParams calldata params, uint256 inputLength) private view {
        require(inputLength != 0, IInferenceOracle.InputEmpty());
        require(inputLength <= MAX_INPUT_BYTES, IInferenceOracle.InputTooLarge(inputLength, MAX_INPUT_BYTES));
        require(
            params.callbackGasLimit <= MAX_CALLBACK_GAS,
            IInferenceOracle.CallbackGasTooHigh(params.callbackGasLimit, MAX_CALLBACK_GAS)
        );
        uint256 latest = block.timestamp + MAX_TTL;
        require(
            params.deadline > block.timestamp && params.deadline <= latest,
            IInferenceOracle.DeadlineOutOfBounds(params.deadline, block.timestamp + 1, latest)
        );
        IModelRegistry.Model memory model = _models[params.modelId];
        require(model.registeredAt != 0, IInferenceOracle.ModelNotLive(params.modelId));
        require(
            params.window >= model.challengeWindow && params.window <= MAX_WINDOW,
            IInferenceOracle.WindowOutOfBounds(params.window, model.challengeWindow, MAX_WINDOW)
        );
        uint96 minimum = minimumBond(params.modelId, params.fee);
        require(params.bond >= minimum, IInferenceOracle.BondTooLow(params.bond, minimum));
        require(
            params.valueAtRisk <= params.bond, IInferenceOracle.ValueAtRiskAboveBond(params.valueAtRisk, params.bond)
        );
    }

    function _require(bytes32 requestId, RequestState wanted) private view {
        RequestState state = _states[requestId];
        require(state == wanted, IInferenceOracle.WrongState(requestId, wanted, state));
    }

    function _requireLate(uint40 deadline) private view {
        require(block.timestamp > deadline, IInferenceOracle.DeadlineNotPassed(deadline));
    }

    function _makeVoid(bytes32 requestId, RequestState state, uint96 compensation) private {
        _states[requestId] = state;
        address requester = _terms[requestId].requester;
        _balances[requester] += _terms[requestId].fee;
        claimable[requester] += compensation;
        OPG.mint(address(this), compensation);
        _notify(requestId, Notice.Voided, "");
    }

    function _deliverAgain(bytes32 requestId) private {
        RequestState state = _states[requestId];
        require(_deliveries[requestId] == DeliveryState.Failed, IInferenceOracle.NoNoticeDue(requestId));
        if (state == RequestState.Settled) _notify(requestId, Notice.Final, _results[requestId]);
        else if (state == RequestState.Answered) _notify(requestId, Notice.Answered, _results[requestId]);
        else _notify(requestId, Notice.Voided, "");
    }

    /// @dev The hook gets exactly the gas that it was promised; what it does with it changes nothing here.
    function _notify(bytes32 requestId, Notice notice, bytes memory result) private {
        address consumer = _terms[requestId].consumer;
        if (consumer == address(0)) return;
        uint256 promised = _terms[requestId].callbackGasLimit;
        bytes memory payload = abi.encodeCall(
            IInferenceConsumer.onInferenceNotice, (requestId, notice, _terms[requestId].modelId, result)
        );
        uint256 available = gasleft() - gasleft() / 64;
        require(available > promised, IInferenceOracle.NotEnoughGasForCallback(available, promised));
        _locked = true;
        bool heard;
        if (consumer.code.length != 0) {
            uint256 before = gasleft();
            (heard,) = consumer.call{gas: promised}(payload);
            uint256 used = before - gasleft();
            gasUsedBy[requestId] = used < promised ? used : promised;
        }
        _locked = false;
        _deliveries[requestId] = heard ? DeliveryState.Delivered : DeliveryState.Failed;
        if (heard) emit IInferenceOracle.NoticeDelivered(requestId, consumer, notice);
        else emit IInferenceOracle.NoticeFailed(requestId, consumer, notice);
    }

    function _deposit(address account, uint96 amount) private {
        _balances[account] += amount;
        require(OPG.transferFrom(msg.sender, address(this), amount));
    }

    function _spend(address account, uint96 amount) private {
        uint96 balance = _balances[account];
        require(balance >= amount, IInferenceOracle.BalanceTooLow(balance, amount));
        _balances[account] = balance - amount;
    }

    function _pay(address to, uint96 amount) private {
        require(OPG.transfer(to, amount));
    }
}
