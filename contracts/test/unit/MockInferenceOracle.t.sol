// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {InferenceConsumer} from "../../src/InferenceConsumer.sol";
import {OPGToken} from "../../src/OPGToken.sol";
import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {AnswerCommitment} from "../../src/types/Answer.sol";
import {InferenceRequest, RequestParams} from "../../src/types/InferenceRequest.sol";
import {UNCERTIFIED} from "../../src/types/ModelTerms.sol";
import {DeliveryState, Notice, RequestState} from "../../src/types/RequestState.sol";
import {MockInferenceOracle} from "../../testing/MockInferenceOracle.sol";
import {Deployment} from "../mocks/Deployment.sol";
import {HungryNotebook, Notebook} from "../Consumer.t.sol";

/// @notice Asks either oracle, writes down what it hears, and does in its hooks what it is told to.
contract Listener is InferenceConsumer {
    enum Mood {
        Fine,
        Reverts,
        Collects
    }

    Notice[] public heard;
    bytes public lastResult;
    Mood public mood;

    constructor(IInferenceOracle oracle) InferenceConsumer(oracle) {}

    function ask(RequestParams memory params, bytes memory input) external returns (bytes32) {
        return _askWithPull(params, input);
    }

    function askFromAccount(RequestParams memory params, bytes memory input) external returns (bytes32) {
        return _ask(params, input);
    }

    function defaults(bytes32 modelId, uint96 fee) external view returns (RequestParams memory) {
        return _defaults(modelId, fee, 200_000);
    }

    function epsilon(bytes32 modelId) external view returns (uint96) {
        return _epsilon(modelId);
    }

    function collect() external returns (uint96, uint96) {
        return _collect();
    }

    function setMood(Mood mood_) external {
        mood = mood_;
    }

    function heardCount() external view returns (uint256) {
        return heard.length;
    }

    function _expects(bytes32) internal pure override returns (bool) {
        return true;
    }

    function _onFinal(bytes32, bytes32, bytes calldata result) internal override {
        _note(Notice.Final, result);
    }

    function _onAnswered(bytes32, bytes32, bytes calldata result) internal override {
        _note(Notice.Answered, result);
    }

    function _onVoided(bytes32, bytes32) internal override {
        _note(Notice.Voided, "");
    }

    function _note(Notice notice, bytes memory result) private {
        require(mood != Mood.Reverts, "in a bad mood");
        if (mood == Mood.Collects) _collect();
        heard.push(notice);
        lastResult = result;
    }
}

/// @notice The test double that is shipped to consumers keeps what its description promises.
contract MockInferenceOracleTest is Deployment {
    uint96 private constant FEE = 1e18;
    bytes private constant INPUT = "input";
    bytes private constant RESULT = "result";

    System private system;
    MockInferenceOracle private mock;
    Listener private real;
    Listener private mine;

    function setUp() public {
        system = _deploy(address(new OPGToken(address(this), 1_000_000e18)));
        mock = new MockInferenceOracle();
        mock.setModel(system.modelId, WINDOW, 0);
        real = new Listener(system.oracle);
        mine = new Listener(IInferenceOracle(address(mock)));
        system.token.transfer(address(real), 10 * FEE);
        mock.OPG().mint(address(mine), 10 * FEE);
    }

    function test_Terms_AreRefusedAsTheOracleRefusesThem() public {
        RequestParams memory params = _good();
        assertEq(_refusal(real, params, INPUT), "");
        assertEq(_refusal(mine, params, INPUT), "");

        _assertBothRefuse(params, "");
        params.modelId = keccak256("unknown");
        _assertBothRefuse(params, INPUT);
        params = _good();
        params.deadline = uint40(block.timestamp);
        _assertBothRefuse(params, INPUT);
        params = _good();
        params.window = WINDOW - 1;
        _assertBothRefuse(params, INPUT);
        params = _good();
        params.bond -= 1;
        _assertBothRefuse(params, INPUT);
        params = _good();
        params.valueAtRisk = params.bond + 1;
        _assertBothRefuse(params, INPUT);
        params = _good();
        params.callbackGasLimit = 2_000_001;
        _assertBothRefuse(params, INPUT);
    }

    function test_Constants_AreTheOraclesOwn() public view {
        assertEq(mock.MAX_INPUT_BYTES(), system.oracle.MAX_INPUT_BYTES());
        assertEq(mock.MAX_CALLBACK_GAS(), system.oracle.MAX_CALLBACK_GAS());
        assertEq(mock.BOND_MULTIPLE(), system.oracle.BOND_MULTIPLE());
        assertEq(mock.LIVENESS_MULTIPLE(), system.oracle.LIVENESS_MULTIPLE());
        assertEq(mock.DEFAULT_REQUESTER_BPS(), system.oracle.DEFAULT_REQUESTER_BPS());
    }

    function test_Ask_WithoutMoneyInTheAccount_IsRefusedAsTheOracleDoes() public {
        bytes memory expected = abi.encodeWithSelector(IInferenceOracle.BalanceTooLow.selector, 0, FEE);
        RequestParams memory params = _good();
        vm.expectRevert(expected);
        real.askFromAccount(params, INPUT);
        vm.expectRevert(expected);
        mine.askFromAccount(params, INPUT);
    }

    function test_Defaults_AndEpsilon_AreThoseOfTheModel() public view {
        assertEq(mine.defaults(system.modelId, FEE).bond, real.defaults(system.modelId, FEE).bond);
        assertEq(mine.defaults(system.modelId, FEE).window, WINDOW);
        assertEq(mine.epsilon(system.modelId), 0);
        assertEq(mine.epsilon(keccak256("unknown")), UNCERTIFIED);
    }

    function test_Final_IsHeardOnceAndAfterTheAnswer() public {
        bytes32 requestId = mine.ask(_good(), INPUT);
        assertEq(mock.inputOf(requestId), INPUT);
        mock.giveAnswer(requestId, RESULT);
        assertEq(mine.heardCount(), 0);
        mock.makeFinal(requestId);
        assertEq(mine.heardCount(), 1);
        assertEq(uint8(mine.heard(0)), uint8(Notice.Final));
        assertEq(mine.lastResult(), RESULT);
        (RequestState state, DeliveryState delivery,,) = mock.stateOf(requestId);
        assertEq(uint8(state), uint8(RequestState.Settled));
        assertEq(uint8(delivery), uint8(DeliveryState.Delivered));
    }

    function test_Eager_HearsTheAnswerAndNotThatItIsFinal() public {
        RequestParams memory params = _good();
        params.eager = true;
        bytes32 requestId = mine.ask(params, INPUT);
        mock.giveAnswer(requestId, RESULT);
        mock.makeFinal(requestId);
        assertEq(mine.heardCount(), 1);
        assertEq(uint8(mine.heard(0)), uint8(Notice.Answered));
    }

    function test_Void_GivesTheFeeBackAndCompensation() public {
        bytes32 requestId = mine.ask(_good(), INPUT);
        mock.giveAnswer(requestId, RESULT);
        mock.makeVoid(requestId, 4 * FEE);
        assertEq(uint8(mine.heard(0)), uint8(Notice.Voided));
        (uint96 refunds, uint96 compensation) = mine.collect();
        assertEq(refunds, FEE);
        assertEq(compensation, 4 * FEE);
        assertEq(mock.OPG().balanceOf(address(mine)), 14 * FEE);
    }

    function test_Expire_TakesWhatNobodyIsBoundToAfterItsDeadline() public {
        bytes32 requestId = mine.ask(_good(), INPUT);
        InferenceRequest memory terms = mock.termsOf(requestId);
        vm.expectRevert(abi.encodeWithSelector(IInferenceOracle.DeadlineNotPassed.selector, terms.deadline));
        mock.expire(terms);
        vm.warp(terms.deadline + 1);
        mock.expire(terms);
        _requireState(requestId, RequestState.Expired, address(0));
        (uint96 balance,) = mock.accounts(address(mine));
        assertEq(balance, FEE);
        assertEq(uint8(mine.heard(0)), uint8(Notice.Voided));
    }

    function test_MarkDefaulted_TakesWhatSomebodyIsBoundToAndSharesThePenalty() public {
        bytes32 requestId = mine.ask(_good(), INPUT);
        InferenceRequest memory terms = mock.termsOf(requestId);
        mock.makeAccepted(requestId, address(7));
        _requireState(requestId, RequestState.Accepted, address(7));
        vm.warp(terms.deadline + 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IInferenceOracle.WrongState.selector, requestId, RequestState.Requested, RequestState.Accepted
            )
        );
        mock.expire(terms);
        vm.expectRevert(abi.encodeWithSelector(IInferenceOracle.WrongOperator.selector, address(7), address(8)));
        mock.markDefaulted(terms, address(8));
        mock.markDefaulted(terms, address(7));
        _requireState(requestId, RequestState.Defaulted, address(7));
        assertEq(mock.claimable(address(mine)), FEE, "half of twice the fee");
    }

    function _requireState(bytes32 requestId, RequestState wanted, address bound) private view {
        (RequestState state,,, address acceptedBy) = mock.stateOf(requestId);
        assertEq(uint8(state), uint8(wanted));
        assertEq(acceptedBy, bound);
    }

    function test_Hook_ThatReverts_IsToldAgain() public {
        mine.setMood(Listener.Mood.Reverts);
        bytes32 requestId = mine.ask(_good(), INPUT);
        mock.giveAnswer(requestId, RESULT);
        mock.makeFinal(requestId);
        (RequestState state, DeliveryState delivery,,) = mock.stateOf(requestId);
        assertEq(uint8(state), uint8(RequestState.Settled));
        assertEq(uint8(delivery), uint8(DeliveryState.Failed));
        mine.setMood(Listener.Mood.Fine);
        mock.deliverAgain(requestId);
        assertEq(mine.heardCount(), 1);
        vm.expectRevert(abi.encodeWithSelector(IInferenceOracle.NoNoticeDue.selector, requestId));
        mock.deliverAgain(requestId);
    }

    function test_Eager_WhereNobodyListens_HearsThatItIsFinal() public {
        Notebook notebook = new Notebook(IInferenceOracle(address(mock)));
        mock.OPG().mint(address(notebook), FEE);
        RequestParams memory params = notebook.defaults(system.modelId, FEE, 300_000);
        params.eager = true;
        bytes32 requestId = notebook.ask(params, INPUT, true);
        mock.giveAnswer(requestId, RESULT);
        assertEq(notebook.lastHook(), "");
        mock.makeFinal(requestId);
        assertEq(notebook.lastHook(), "final");
    }

    function test_HearAgain_HearsWhatNeedsMoreGasThanWasPromised() public {
        HungryNotebook hungry = new HungryNotebook(IInferenceOracle(address(mock)));
        mock.OPG().mint(address(hungry), FEE);
        bytes32 requestId = hungry.ask(hungry.defaults(system.modelId, FEE, 100_000), INPUT, true);
        mock.giveAnswer(requestId, RESULT);
        mock.makeFinal(requestId);
        mock.deliverAgain(requestId);
        assertEq(hungry.lastHook(), "");
        assertEq(mock.gasUsedBy(requestId), 100_000, "all that was promised");

        InferenceRequest memory terms = mock.termsOf(requestId);
        AnswerCommitment memory commitment = mock.commitmentOf(requestId);
        vm.expectRevert(abi.encodeWithSelector(IInferenceOracle.ResultMismatch.selector, requestId));
        hungry.hearAgain(terms, commitment, "another");
        hungry.hearAgain(terms, commitment, RESULT);
        assertEq(hungry.lastHook(), "final");
        vm.expectRevert(abi.encodeWithSelector(IInferenceOracle.NoNoticeDue.selector, requestId));
        hungry.hearAgain(terms, commitment, RESULT);
    }

    function test_RetryNotice_TakesNoOtherAnswer() public {
        mine.setMood(Listener.Mood.Reverts);
        bytes32 requestId = mine.ask(_good(), INPUT);
        mock.giveAnswer(requestId, RESULT);
        mock.makeFinal(requestId);
        InferenceRequest memory terms = mock.termsOf(requestId);
        AnswerCommitment memory commitment = mock.commitmentOf(requestId);
        commitment.operator = address(this);
        vm.expectRevert(abi.encodeWithSelector(IInferenceOracle.CommitmentMismatch.selector, requestId));
        mock.retryNotice(terms, commitment, RESULT);
    }

    /// What the double measures is what the oracle has to promise, and not much less will do.
    function test_GasUsedBy_IsWhatTheHookNeedsOfTheOracle() public {
        bytes32 requestId = mine.ask(_good(), INPUT);
        mock.giveAnswer(requestId, RESULT);
        mock.makeFinal(requestId);
        uint32 used = uint32(mock.gasUsedBy(requestId));
        assertLt(used, 200_000);
        uint256 snapshot = vm.snapshotState();
        assertEq(uint8(_deliveryWith(used)), uint8(DeliveryState.Delivered));
        vm.revertToState(snapshot);
        assertEq(uint8(_deliveryWith(used - 500)), uint8(DeliveryState.Failed));
    }

    /// @dev What becomes of a notice of the oracle's own that is promised so much gas.
    function _deliveryWith(uint32 promised) private returns (DeliveryState delivery) {
        (address signer, uint256 key) = makeAddrAndKey("signer");
        address operator = makeAddr("operator");
        system.token.transfer(operator, 1_000 * FEE);
        _register(system, operator, signer, 1_000 * FEE);
        RequestParams memory params = _good();
        params.consumer = address(real);
        params.callbackGasLimit = promised;
        bytes32 requestId = real.ask(params, INPUT);
        InferenceRequest memory terms = _terms(params, address(real), 0, INPUT);
        _accept(system, terms, operator, key);
        AnswerCommitment memory commitment = _answer(system, terms, operator, key, RESULT);
        vm.warp(block.timestamp + WINDOW);
        system.oracle.settle(IInferenceOracle.SettleItem(terms, commitment, RESULT));
        (, delivery,,) = system.oracle.stateOf(requestId);
    }

    function test_Hook_CannotWithdraw() public {
        bytes32 requestId = mine.ask(_good(), INPUT);
        mine.setMood(Listener.Mood.Collects);
        mock.makeVoid(requestId, 0);
        (, DeliveryState delivery,,) = mock.stateOf(requestId);
        assertEq(uint8(delivery), uint8(DeliveryState.Failed));
    }

    function _good() private view returns (RequestParams memory) {
        return mine.defaults(system.modelId, FEE);
    }

    /// @dev With the same error; its bounds are those of a deployment, and may differ.
    function _assertBothRefuse(RequestParams memory params, bytes memory input) private {
        bytes memory refused = _refusal(real, params, input);
        assertTrue(refused.length != 0, "the oracle takes it");
        assertEq(bytes4(_refusal(mine, params, input)), bytes4(refused));
    }

    /// @dev Its consumer is whoever asks. Empty where it is taken.
    function _refusal(Listener listener, RequestParams memory params, bytes memory input)
        private
        returns (bytes memory refused)
    {
        params.consumer = address(mine);
        try listener.ask(params, input) {}
        catch (bytes memory reason) {
            refused = reason;
        }
    }
}
