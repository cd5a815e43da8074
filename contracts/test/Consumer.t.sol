// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {InferenceConsumer} from "../src/InferenceConsumer.sol";
import {OPGToken} from "../src/OPGToken.sol";
import {IInferenceOracle} from "../src/interfaces/IInferenceOracle.sol";
import {AnswerCommitment} from "../src/types/Answer.sol";
import {InferenceRequest, RequestParams} from "../src/types/InferenceRequest.sol";
import {ModelTerms, Tier, UNCERTIFIED} from "../src/types/ModelTerms.sol";
import {DeliveryState, Notice, RequestState} from "../src/types/RequestState.sol";
import {Deployment} from "./mocks/Deployment.sol";

/// @notice A consumer that writes down which hook was called.
contract Notebook is InferenceConsumer {
    mapping(bytes32 requestId => bool) public expected;
    bytes32 public lastRequestId;
    bytes32 public lastModelId;
    bytes public lastResult;
    string public lastHook;

    constructor(IInferenceOracle oracle) InferenceConsumer(oracle) {}

    function ask(RequestParams memory params, bytes memory input, bool pull) external returns (bytes32 requestId) {
        requestId = pull ? _askWithPull(params, input) : _ask(params, input);
        expected[requestId] = true;
    }

    function defaults(bytes32 modelId, uint96 fee, uint32 gasLimit) external view returns (RequestParams memory) {
        return _defaults(modelId, fee, gasLimit);
    }

    function epsilon(bytes32 modelId) external view returns (uint96) {
        return _epsilon(modelId);
    }

    function collect() external returns (uint96, uint96) {
        return _collect();
    }

    function _expects(bytes32 requestId) internal view override returns (bool) {
        return expected[requestId];
    }

    function _onFinal(bytes32 requestId, bytes32 modelId, bytes calldata result) internal virtual override {
        (lastRequestId, lastModelId, lastResult, lastHook) = (requestId, modelId, result, "final");
    }

    function _onVoided(bytes32 requestId, bytes32 modelId) internal virtual override {
        (lastRequestId, lastModelId, lastResult, lastHook) = (requestId, modelId, "", "voided");
    }
}

/// @notice The same, listening to answers before they are final.
contract EagerNotebook is Notebook {
    constructor(IInferenceOracle oracle) Notebook(oracle) {}

    function _onAnswered(bytes32 requestId, bytes32 modelId, bytes calldata result) internal virtual override {
        (lastRequestId, lastModelId, lastResult, lastHook) = (requestId, modelId, result, "answered");
    }
}

/// @notice Needs more gas than its requests promise, or reverts for a reason of its own.
contract HungryNotebook is EagerNotebook {
    uint256 private constant NEEDED = 500_000;

    bool public refusing;
    uint256 public gasAtEntry;

    error Refusing();

    constructor(IInferenceOracle oracle) EagerNotebook(oracle) {}

    function setRefusing(bool refusing_) external {
        refusing = refusing_;
    }

    function _onFinal(bytes32 requestId, bytes32 modelId, bytes calldata result) internal override {
        _work();
        super._onFinal(requestId, modelId, result);
    }

    function _onVoided(bytes32 requestId, bytes32 modelId) internal override {
        _work();
        super._onVoided(requestId, modelId);
    }

    function _onAnswered(bytes32 requestId, bytes32 modelId, bytes calldata result) internal override {
        _work();
        super._onAnswered(requestId, modelId, result);
    }

    function _work() private {
        gasAtEntry = gasleft();
        require(!refusing, Refusing());
        uint256 start = gasleft();
        while (start - gasleft() < NEEDED) {}
    }
}

contract ConsumerTest is Deployment {
    uint96 private constant FEE = 1e18;
    bytes private constant INPUT = hex"0000803f";
    bytes private constant RESULT = hex"0700000000000000";

    System private system;
    Notebook private notebook;
    address private operator = makeAddr("operator");
    address private watcher = makeAddr("watcher");
    uint256 private signerKey;

    function setUp() public {
        system = _deploy(address(new OPGToken(address(this), 1_000_000e18)));
        address signer;
        (signer, signerKey) = makeAddrAndKey("signer");
        system.token.transfer(operator, 1_000e18);
        _register(system, operator, signer, 1_000e18);
        notebook = new Notebook(system.oracle);
        system.token.transfer(address(notebook), 10e18);
    }

    function test_Constructor_FindsTheOtherContracts() public view {
        assertEq(address(notebook.ORACLE()), address(system.oracle));
        assertEq(address(notebook.STAKING()), address(system.staking));
        assertEq(address(notebook.OPG()), address(system.token));
    }

    function test_Defaults_AreTermsTheOracleTakes() public {
        RequestParams memory params = notebook.defaults(system.modelId, FEE, 100_000);
        assertEq(params.consumer, address(notebook));
        assertEq(params.operator, address(0));
        assertEq(params.bond, 20 * FEE);
        assertEq(params.window, WINDOW);
        assertEq(params.deadline, block.timestamp + 1 hours);
        assertEq(params.callbackGasLimit, 100_000);
        assertFalse(params.eager);
        bytes32 requestId = notebook.ask(params, INPUT, true);
        (RequestState state,,,) = system.oracle.stateOf(requestId);
        assertEq(uint8(state), uint8(RequestState.Requested));
    }

    function test_Epsilon_IsTheModels() public {
        assertEq(notebook.epsilon(system.modelId), 0);
        ModelTerms memory terms = _modelTerms(Tier.Native);
        terms.epsilon = 0.01e18;
        assertEq(notebook.epsilon(system.registry.register(terms, "native", "{}", "")), 0.01e18);
        assertEq(notebook.epsilon(keccak256("unknown")), UNCERTIFIED);
    }

    function test_AskWithPull_PaysFromTheTokensOfTheConsumer() public {
        notebook.ask(notebook.defaults(system.modelId, FEE, 100_000), INPUT, true);
        assertEq(system.token.balanceOf(address(notebook)), 9e18);
        assertEq(system.token.balanceOf(address(system.oracle)), FEE);
    }

    function test_Ask_PaysFromTheAccountAtTheOracle() public {
        system.token.approve(address(system.oracle), FEE);
        system.oracle.deposit(address(notebook), FEE);
        notebook.ask(notebook.defaults(system.modelId, FEE, 100_000), INPUT, false);
        (uint96 balance,) = system.oracle.accounts(address(notebook));
        assertEq(balance, 0);
        assertEq(system.token.balanceOf(address(notebook)), 10e18);
    }

    function test_OnFinal_HearsTheResultAndNothingBefore() public {
        (InferenceRequest memory terms, bytes32 requestId) = _ask(notebook, false);
        AnswerCommitment memory commitment = _acceptAndAnswer(terms);
        assertEq(notebook.lastHook(), "");
        vm.warp(block.timestamp + WINDOW);
        system.oracle.settle(IInferenceOracle.SettleItem(terms, commitment, RESULT));
        assertEq(notebook.lastHook(), "final");
        assertEq(notebook.lastRequestId(), requestId);
        assertEq(notebook.lastModelId(), system.modelId);
        assertEq(notebook.lastResult(), RESULT);
    }

    function test_OnAnswered_IsRefusedByDefaultSoThatTheFinalAnswerIsHeard() public {
        (InferenceRequest memory terms, bytes32 requestId) = _ask(notebook, true);
        AnswerCommitment memory commitment = _acceptAndAnswer(terms);
        assertEq(notebook.lastHook(), "");
        _assertDelivery(requestId, DeliveryState.Failed);
        vm.expectRevert(InferenceConsumer.EagerNotHandled.selector);
        notebook.hearAgain(terms, commitment, RESULT);
        vm.warp(block.timestamp + WINDOW);
        system.oracle.settle(IInferenceOracle.SettleItem(terms, commitment, RESULT));
        assertEq(notebook.lastHook(), "final");
        assertEq(notebook.lastResult(), RESULT);
        _assertDelivery(requestId, DeliveryState.Delivered);
    }

    function test_OnAnswered_HearsAnEagerAnswerAndThenItsVoiding() public {
        EagerNotebook eager = new EagerNotebook(system.oracle);
        system.token.transfer(address(eager), FEE);
        (InferenceRequest memory terms,) = _ask(eager, true);
        AnswerCommitment memory commitment = _acceptAndAnswer(terms);
        assertEq(eager.lastHook(), "answered");
        assertEq(eager.lastResult(), RESULT);
        vm.prank(watcher);
        system.court.proveFraud(terms, commitment, "proof");
        assertEq(eager.lastHook(), "voided");
    }

    function test_OnVoided_HearsOfAnExpiry() public {
        (InferenceRequest memory terms, bytes32 requestId) = _ask(notebook, false);
        vm.warp(terms.deadline + 1);
        system.oracle.expire(terms);
        assertEq(notebook.lastHook(), "voided");
        assertEq(notebook.lastRequestId(), requestId);
    }

    function test_Collect_FetchesFeesAndCompensation() public {
        (InferenceRequest memory terms,) = _ask(notebook, false);
        AnswerCommitment memory commitment = _acceptAndAnswer(terms);
        vm.prank(watcher);
        system.court.proveFraud(terms, commitment, "proof");
        uint256 before = system.token.balanceOf(address(notebook));
        (uint96 refunds, uint96 compensation) = notebook.collect();
        assertEq(refunds, FEE);
        assertEq(compensation, 4 * FEE); // a fifth of the bond, which is 20 fees
        assertEq(system.token.balanceOf(address(notebook)), before + 5 * FEE);
        (refunds, compensation) = notebook.collect();
        assertEq(refunds + compensation, 0);
    }

    function test_RevertWhen_Notice_ComesFromAnybodyElse() public {
        (, bytes32 requestId) = _ask(notebook, false);
        vm.expectRevert(abi.encodeWithSelector(InferenceConsumer.NotOracle.selector, address(this)));
        notebook.onInferenceNotice(requestId, Notice.Final, system.modelId, RESULT);
    }

    function test_RevertWhen_Notice_IsOfARequestOfSomebodyElse() public {
        bytes32 requestId = keccak256("foreign");
        vm.expectRevert(abi.encodeWithSelector(InferenceConsumer.UnexpectedRequest.selector, requestId));
        vm.prank(address(system.oracle));
        notebook.onInferenceNotice(requestId, Notice.Final, system.modelId, RESULT);
    }

    /// A stranger asks in their own name and has the answer sent to the notebook.
    function test_Notice_OfAStrangersRequest_IsRefusedAndMovesNothing() public {
        address stranger = makeAddr("stranger");
        system.token.transfer(stranger, FEE);
        _deposit(system, stranger, FEE);
        RequestParams memory params = notebook.defaults(system.modelId, FEE, 100_000);
        vm.prank(stranger);
        system.oracle.request(params, INPUT);
        InferenceRequest memory terms = _terms(params, stranger, 0, INPUT);
        AnswerCommitment memory commitment = _acceptAndAnswer(terms);
        vm.warp(block.timestamp + WINDOW);
        system.oracle.settle(IInferenceOracle.SettleItem(terms, commitment, RESULT));
        assertEq(notebook.lastHook(), "");
        (RequestState state, DeliveryState delivery,,) = system.oracle.stateOf(system.oracle.requestIdOf(terms));
        assertEq(uint8(state), uint8(RequestState.Settled));
        assertEq(uint8(delivery), uint8(DeliveryState.Failed));
    }

    // ---- heard again

    /// What the oracle brings again is the gas that was promised, and so is too little for good.
    function test_HearAgain_HearsWhatNeedsMoreGasThanWasPromised() public {
        (HungryNotebook hungry, InferenceRequest memory terms, AnswerCommitment memory commitment) = _unheard();
        bytes32 requestId = system.oracle.requestIdOf(terms);
        system.oracle.retryNotice(terms, commitment, RESULT);
        _assertDelivery(requestId, DeliveryState.Failed);

        vm.prank(makeAddr("anybody"));
        hungry.hearAgain(terms, commitment, RESULT);
        assertEq(hungry.lastHook(), "final");
        assertEq(hungry.lastRequestId(), requestId);
        assertEq(hungry.lastModelId(), system.modelId);
        assertEq(hungry.lastResult(), RESULT);
        _assertDelivery(requestId, DeliveryState.Delivered);
    }

    /// Its `_expects` is true for good; the oracle is what counts.
    function test_RevertWhen_HearAgain_ItWasHeard() public {
        (HungryNotebook hungry, InferenceRequest memory terms, AnswerCommitment memory commitment) = _unheard();
        hungry.hearAgain(terms, commitment, RESULT);
        bytes memory expected =
            abi.encodeWithSelector(IInferenceOracle.NoNoticeDue.selector, system.oracle.requestIdOf(terms));
        vm.expectRevert(expected);
        hungry.hearAgain(terms, commitment, RESULT);
        vm.expectRevert(expected);
        system.oracle.retryNotice(terms, commitment, RESULT);
    }

    function test_RevertWhen_HearAgain_OfAnotherAnswer() public {
        (HungryNotebook hungry, InferenceRequest memory terms, AnswerCommitment memory commitment) = _unheard();
        bytes32 requestId = system.oracle.requestIdOf(terms);
        vm.expectRevert(abi.encodeWithSelector(IInferenceOracle.ResultMismatch.selector, requestId));
        hungry.hearAgain(terms, commitment, "another");
        commitment.operator = address(this);
        vm.expectRevert(abi.encodeWithSelector(IInferenceOracle.CommitmentMismatch.selector, requestId));
        hungry.hearAgain(terms, commitment, RESULT);
    }

    function test_RevertWhen_HearAgain_TheHookReverts() public {
        (HungryNotebook hungry, InferenceRequest memory terms, AnswerCommitment memory commitment) = _unheard();
        hungry.setRefusing(true);
        vm.expectRevert(HungryNotebook.Refusing.selector);
        hungry.hearAgain(terms, commitment, RESULT);
        _assertDelivery(system.oracle.requestIdOf(terms), DeliveryState.Failed);
    }

    function test_HearAgain_HearsThatThereIsNoAnswer() public {
        HungryNotebook hungry = _hungry();
        (InferenceRequest memory terms, bytes32 requestId) = _ask(hungry, false);
        vm.warp(terms.deadline + 1);
        system.oracle.expire(terms);
        _assertDelivery(requestId, DeliveryState.Failed);
        AnswerCommitment memory nothing;
        hungry.hearAgain(terms, nothing, "");
        assertEq(hungry.lastHook(), "voided");
        _assertDelivery(requestId, DeliveryState.Delivered);
    }

    function test_HearAgain_OfAnEagerAnswerIsAsGoodAsTheFirstTime() public {
        HungryNotebook hungry = _hungry();
        (InferenceRequest memory terms,) = _ask(hungry, true);
        AnswerCommitment memory commitment = _acceptAndAnswer(terms);
        hungry.hearAgain(terms, commitment, RESULT);
        assertEq(hungry.lastHook(), "answered");
        vm.warp(block.timestamp + WINDOW);
        system.oracle.settle(IInferenceOracle.SettleItem(terms, commitment, RESULT));
        assertEq(hungry.lastHook(), "answered", "not told again that it is final");
    }

    function test_RevertWhen_HearAgain_OfAStrangersRequest() public {
        (HungryNotebook hungry, InferenceRequest memory terms, AnswerCommitment memory commitment) = _unheard();
        terms.requester = address(this);
        bytes32 foreign = system.oracle.requestIdOf(terms);
        vm.expectRevert(abi.encodeWithSelector(InferenceConsumer.UnexpectedRequest.selector, foreign));
        hungry.hearAgain(terms, commitment, RESULT);
    }

    /// It asked, for another contract to be told: that one's notice is not for it to act upon.
    function test_RevertWhen_HearAgain_AnotherIsTheConsumer() public {
        RequestParams memory params = notebook.defaults(system.modelId, FEE, 100_000);
        params.consumer = makeAddr("another consumer");
        bytes32 requestId = notebook.ask(params, INPUT, true);
        InferenceRequest memory terms = _terms(params, address(notebook), 0, INPUT);
        vm.warp(terms.deadline + 1);
        system.oracle.expire(terms);
        _assertDelivery(requestId, DeliveryState.Failed);
        AnswerCommitment memory nothing;
        vm.expectRevert(abi.encodeWithSelector(InferenceConsumer.UnexpectedRequest.selector, requestId));
        notebook.hearAgain(terms, nothing, "");
    }

    function test_RevertWhen_HearAgain_NothingWasPromised() public {
        RequestParams memory params = notebook.defaults(system.modelId, FEE, 0);
        notebook.ask(params, INPUT, true);
        InferenceRequest memory terms = _terms(params, address(notebook), 0, INPUT);
        vm.warp(terms.deadline + 1);
        system.oracle.expire(terms);
        AnswerCommitment memory nothing;
        vm.expectRevert(abi.encodeWithSelector(InferenceConsumer.PromisedTooLittle.selector, 0));
        notebook.hearAgain(terms, nothing, "");
    }

    /// Whoever calls chooses the gas, but not less for the hook than it was promised.
    function testFuzz_HearAgain_BringsAtLeastThePromisedGasOrNothingHappens(uint256 gasSent) public {
        (HungryNotebook hungry, InferenceRequest memory terms, AnswerCommitment memory commitment) = _unheard();
        bytes32 requestId = system.oracle.requestIdOf(terms);
        gasSent = bound(gasSent, 100_000, 1_200_000);
        (bool heard,) =
            address(hungry).call{gas: gasSent}(abi.encodeCall(InferenceConsumer.hearAgain, (terms, commitment, RESULT)));
        _assertDelivery(requestId, heard ? DeliveryState.Delivered : DeliveryState.Failed);
        assertEq(hungry.lastHook(), heard ? "final" : "");
        if (heard) assertGe(hungry.gasAtEntry(), terms.callbackGasLimit - 1_000, "dispatch only");
    }

    function _hungry() private returns (HungryNotebook hungry) {
        hungry = new HungryNotebook(system.oracle);
        system.token.transfer(address(hungry), FEE);
    }

    /// A settled request whose consumer needs more than it was promised.
    function _unheard()
        private
        returns (HungryNotebook hungry, InferenceRequest memory terms, AnswerCommitment memory commitment)
    {
        hungry = _hungry();
        bytes32 requestId;
        (terms, requestId) = _ask(hungry, false);
        commitment = _acceptAndAnswer(terms);
        vm.warp(block.timestamp + WINDOW);
        system.oracle.settle(IInferenceOracle.SettleItem(terms, commitment, RESULT));
        assertEq(hungry.lastHook(), "");
        _assertDelivery(requestId, DeliveryState.Failed);
    }

    function _assertDelivery(bytes32 requestId, DeliveryState expected) private view {
        (, DeliveryState delivery,,) = system.oracle.stateOf(requestId);
        assertEq(uint8(delivery), uint8(expected));
    }

    function _ask(Notebook from, bool eager) private returns (InferenceRequest memory terms, bytes32 requestId) {
        RequestParams memory params = from.defaults(system.modelId, FEE, 300_000);
        params.eager = eager;
        requestId = from.ask(params, INPUT, true);
        terms = _terms(params, address(from), 0, INPUT);
        assertEq(requestId, system.oracle.requestIdOf(terms));
    }

    function _acceptAndAnswer(InferenceRequest memory terms) private returns (AnswerCommitment memory) {
        _accept(system, terms, operator, signerKey);
        return _answer(system, terms, operator, signerKey, RESULT);
    }
}
