// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {AnswerViews} from "../../src/periphery/AnswerViews.sol";
import {IAnswerViews} from "../../src/periphery/IAnswerViews.sol";
import {IViewGateway, ViewReceipt} from "../../src/periphery/IViewGateway.sol";
import {Accept} from "../../src/types/Accept.sol";
import {Answer} from "../../src/types/Answer.sol";
import {InferenceRequest} from "../../src/types/InferenceRequest.sol";
import {Tier} from "../../src/types/ModelTerms.sol";
import {RequestState} from "../../src/types/RequestState.sol";
import {OracleTest} from "../support/OracleTest.sol";
import {Shipped} from "../support/Shipped.sol";

/// @notice What a gateway may hand to a caller, and everything it may not.
contract AnswerViewsTest is OracleTest {
    AnswerViews internal views;

    function setUp() public override {
        super.setUp();
        views = AnswerViews(Shipped.create("AnswerViews", abi.encode(address(oracle))));
        _setOffer(_offer(10));
        vm.prank(operator);
        views.setGateways(_urls(2));
    }

    // ---- gateways

    function test_Wiring_IsTheOracles() public view {
        assertEq(views.ORACLE(), address(oracle));
        assertEq(views.STAKING(), address(staking));
        assertEq(views.REGISTRY(), address(registry));
        assertEq(views.MAX_BYTES(), oracle.MAX_INPUT_BYTES());
    }

    function test_SetGateways_ReplacesThemInOrder() public {
        string[] memory urls = _urls(4);
        vm.expectEmit(true, false, false, true, address(views));
        emit IAnswerViews.GatewaysSet(operator, urls);
        vm.prank(operator);
        views.setGateways(urls);
        assertEq(keccak256(abi.encode(views.gatewaysOf(operator))), keccak256(abi.encode(urls)));
        assertEq(views.gatewaysOf(anyone).length, 0);
        vm.prank(operator);
        views.setGateways(_urls(1));
        assertEq(views.gatewaysOf(operator).length, 1);
    }

    function test_SetGateways_RefusesTooMany() public {
        vm.expectRevert(abi.encodeWithSelector(IAnswerViews.TooManyGateways.selector, 5, 4), address(views));
        views.setGateways(_urls(5));
    }

    function test_SetGateways_RefusesEmptyAndLongUrls() public {
        string[] memory urls = _urls(2);
        urls[1] = "";
        vm.expectRevert(abi.encodeWithSelector(IAnswerViews.GatewayUrlLength.selector, 1, 0, 256), address(views));
        views.setGateways(urls);
        urls[1] = string(new bytes(257));
        vm.expectRevert(abi.encodeWithSelector(IAnswerViews.GatewayUrlLength.selector, 1, 257, 256), address(views));
        views.setGateways(urls);
        urls[1] = string(new bytes(256));
        views.setGateways(urls);
    }

    // ---- the question

    function test_AnswerOf_SendsTheCallerToTheGateways() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                IAnswerViews.OffchainLookup.selector,
                address(views),
                _urls(2),
                abi.encodeCall(IViewGateway.answer, (requester, operator, modelId, input)),
                IAnswerViews.answerCallback.selector,
                _extra()
            ),
            address(views)
        );
        vm.prank(requester);
        views.answerOf(operator, modelId, input);
    }

    function test_AnswerOfPaid_CarriesThePayment() public {
        bytes memory payment = abi.encode(uint256(7), new bytes(65));
        vm.expectRevert(
            abi.encodeWithSelector(
                IAnswerViews.OffchainLookup.selector,
                address(views),
                _urls(2),
                abi.encodeCall(IViewGateway.answerPaid, (requester, operator, modelId, input, payment)),
                IAnswerViews.answerCallback.selector,
                _extra()
            ),
            address(views)
        );
        vm.prank(requester);
        views.answerOfPaid(operator, modelId, input, payment);
        vm.expectRevert(abi.encodeWithSelector(IAnswerViews.CallerMissing.selector), address(views));
        vm.prank(address(0));
        views.answerOfPaid(operator, modelId, input, payment);
        vm.expectRevert(abi.encodeWithSelector(IAnswerViews.NoGateways.selector, anyone), address(views));
        vm.prank(requester);
        views.answerOfPaid(anyone, modelId, input, payment);
        vm.expectRevert(abi.encodeWithSelector(IAnswerViews.InputLength.selector, 0, 98_304), address(views));
        vm.prank(requester);
        views.answerOfPaid(operator, modelId, "", payment);
    }

    function test_AnswerOf_NeedsACaller() public {
        vm.expectRevert(abi.encodeWithSelector(IAnswerViews.CallerMissing.selector), address(views));
        vm.prank(address(0));
        views.answerOf(operator, modelId, input);
    }

    function test_AnswerOf_NeedsGateways() public {
        vm.expectRevert(abi.encodeWithSelector(IAnswerViews.NoGateways.selector, anyone), address(views));
        vm.prank(requester);
        views.answerOf(anyone, modelId, input);
    }

    function test_AnswerOf_RefusesInputsThatFitNoRequest() public {
        vm.expectRevert(abi.encodeWithSelector(IAnswerViews.InputLength.selector, 0, 98_304), address(views));
        vm.prank(requester);
        views.answerOf(operator, modelId, "");
        vm.expectRevert(abi.encodeWithSelector(IAnswerViews.InputLength.selector, 98_305, 98_304), address(views));
        vm.prank(requester);
        views.answerOf(operator, modelId, new bytes(98_305));
    }

    // ---- the answer

    function test_AnswerCallback_GivesWhatWasSigned() public {
        ViewReceipt memory receipt = _signed(_plain());
        bytes memory extra = _extra();
        vm.prank(requester);
        (bytes memory given, bytes32 requestId, Tier tier, uint96 epsilon, ViewReceipt memory kept) =
            views.answerCallback(abi.encode(result, receipt), extra);
        assertEq(given, result);
        assertEq(requestId, oracle.requestIdOf(receipt.request));
        assertEq(uint256(tier), uint256(Tier.Rounded));
        assertEq(epsilon, 1e15);
        assertEq(keccak256(abi.encode(kept)), keccak256(abi.encode(receipt)));
    }

    function test_AReceiptIsPostedByTheVerbsThereAre() public {
        ViewReceipt memory receipt = _signed(_plain());
        InferenceRequest memory terms = receipt.request;
        _take(receipt);
        bytes32 requestId = oracle.requestIdOf(terms);
        vm.startPrank(anyone);
        oracle.requestBySignature(terms, input, _sign(requesterKey, requestId));
        _assertState(terms, RequestState.Requested); // the offer wants more time than is left
        oracle.accept(terms, Accept(requestId, operator, receipt.acceptUntil), receipt.acceptSignature);
        IInferenceOracle.AnswerItem memory item = IInferenceOracle.AnswerItem(terms, result, receipt.traceRoot);
        oracle.answer(item, operator, receipt.answerSignature);
        vm.stopPrank();
        _assertState(terms, RequestState.Answered);
        _assertPosition(STAKE, BOND, 0, 1);
        _void(terms);
        _assertPosition(STAKE - BOND, 0, 0, 1);
        _refuse(receipt, abi.encodeWithSelector(IAnswerViews.AlreadyPosted.selector, requestId, RequestState.Slashed));
    }

    // ---- another question's answer

    function test_AnswerCallback_RefusesAnothersReceipt() public {
        ViewReceipt memory receipt = _signed(_plain());
        bytes memory extra = _extra(); // before the prank: SHA-256 is a call
        vm.expectRevert(abi.encodeWithSelector(IAnswerViews.WrongCaller.selector, anyone, requester), address(views));
        vm.prank(anyone);
        views.answerCallback(abi.encode(result, receipt), extra);
    }

    /// @dev ethers and viem send the callback without `from`.
    function test_AnswerCallback_WithoutACallerTakesWhoAsked() public {
        ViewReceipt memory receipt = _signed(_plain());
        bytes memory extra = _extra();
        vm.prank(address(0));
        (bytes memory given,,,,) = views.answerCallback(abi.encode(result, receipt), extra);
        assertEq(given, result);

        extra = abi.encode(anyone, operator, modelId, sha256(input));
        vm.expectRevert(abi.encodeWithSelector(IAnswerViews.WrongCaller.selector, anyone, requester), address(views));
        vm.prank(address(0));
        views.answerCallback(abi.encode(result, receipt), extra);
        // Whoever calls cannot say that somebody else asked.
        extra = _extra();
        vm.expectRevert(abi.encodeWithSelector(IAnswerViews.WrongCaller.selector, anyone, requester), address(views));
        vm.prank(anyone);
        views.answerCallback(abi.encode(result, receipt), extra);
    }

    function test_AnswerCallback_RefusesAnotherModel() public {
        InferenceRequest memory terms = _plain();
        terms.modelId = keccak256("another");
        _refuse(_signed(terms), abi.encodeWithSelector(IAnswerViews.WrongModel.selector, modelId, terms.modelId));
    }

    function test_AnswerCallback_RefusesAnotherInput() public {
        InferenceRequest memory terms = _plain();
        terms.inputHash = sha256("another");
        _refuse(
            _signed(terms), abi.encodeWithSelector(IAnswerViews.WrongInput.selector, sha256(input), terms.inputHash)
        );
    }

    function test_AnswerCallback_RefusesAnotherOperator() public {
        InferenceRequest memory terms = _plain();
        terms.operator = anyone;
        _refuse(_signed(terms), abi.encodeWithSelector(IAnswerViews.WrongOperator.selector, operator, anyone));
        terms.operator = address(0);
        _refuse(_signed(terms), abi.encodeWithSelector(IAnswerViews.WrongOperator.selector, operator, address(0)));
    }

    // ---- what could not be posted

    function test_AnswerCallback_RefusesTermsThatAreNotPlain() public {
        bytes memory reason = abi.encodeWithSelector(IAnswerViews.TermsNotPlain.selector);
        InferenceRequest memory terms = _plain();
        terms.nonce = (1 << 63) - 1;
        _refuse(_signed(terms), reason);
        terms = _plain();
        terms.consumer = anyone;
        _refuse(_signed(terms), reason);
        terms = _plain();
        terms.callbackGasLimit = 1;
        _refuse(_signed(terms), reason);
        terms = _plain();
        terms.eager = true;
        _refuse(_signed(terms), reason);
        terms = _plain();
        terms.valueAtRisk = 1;
        _refuse(_signed(terms), reason);
    }

    function test_AnswerCallback_RefusesResultsThatFitNoTransaction() public {
        ViewReceipt memory receipt = _signed(_plain());
        bytes memory response = abi.encode(new bytes(98_305), receipt);
        bytes memory extra = _extra();
        vm.expectRevert(abi.encodeWithSelector(IAnswerViews.ResultTooLong.selector, 98_305, 98_304), address(views));
        vm.prank(requester);
        views.answerCallback(response, extra);
    }

    function test_AnswerCallback_RefusesAModelThatIsNotLive() public {
        ViewReceipt memory receipt = _signed(_plain());
        vm.prank(anyone);
        registry.deprecate(modelId);
        _refuse(receipt, abi.encodeWithSelector(IAnswerViews.ModelNotLive.selector, modelId));
        modelId = keccak256("never registered");
        _refuse(_signed(_plain()), abi.encodeWithSelector(IAnswerViews.ModelNotLive.selector, modelId));
    }

    function test_AnswerCallback_RefusesWindowsOutOfBounds() public {
        InferenceRequest memory terms = _plain();
        terms.window = WINDOW - 1;
        _refuse(_signed(terms), _windowOutOfBounds(terms.window));
        terms.window = MAX_WINDOW + 1;
        _refuse(_signed(terms), _windowOutOfBounds(terms.window));
        terms.window = MAX_WINDOW;
        _take(_signed(terms));
    }

    function test_AnswerCallback_RefusesReceiptsThatCannotBePostedInTime() public {
        ViewReceipt memory receipt = _signed(_plain());
        vm.warp(receipt.request.deadline - 60);
        _take(receipt);
        vm.warp(receipt.request.deadline - 59);
        _refuse(receipt, _timeOutOfBounds(receipt.request.deadline));
        vm.warp(receipt.request.deadline + 1);
        _refuse(receipt, _timeOutOfBounds(receipt.request.deadline));
    }

    function test_AnswerCallback_RefusesAcceptancesThatEndTooSoon() public {
        ViewReceipt memory receipt = _signedUntil(_plain(), uint40(block.timestamp) + 60);
        _take(receipt);
        receipt = _signedUntil(_plain(), uint40(block.timestamp) + 59);
        _refuse(receipt, _timeOutOfBounds(receipt.acceptUntil));
    }

    function test_AnswerCallback_RefusesDeadlinesThatAreTooFarToBePosted() public {
        InferenceRequest memory terms = _plain();
        terms.deadline = uint40(block.timestamp) + MAX_TTL;
        _take(_signed(terms));
        terms.deadline += 1;
        _refuse(_signed(terms), _timeOutOfBounds(terms.deadline));
    }

    function test_AnswerCallback_RefusesFeesAboveTheOffer() public {
        InferenceRequest memory terms = _plain();
        terms.fee = FEE + 1;
        terms.bond = 20 * terms.fee;
        _refuse(_signed(terms), abi.encodeWithSelector(IAnswerViews.FeeAboveOffer.selector, terms.fee, FEE));
        ViewReceipt memory receipt = _signed(_plain());
        _setOffer(_offer(0));
        _refuse(receipt, abi.encodeWithSelector(IAnswerViews.FeeAboveOffer.selector, FEE, 0));
    }

    function test_AnswerCallback_RefusesBondsThatAreTooLow() public {
        InferenceRequest memory terms = _plain();
        terms.bond = 50e18 - 1; // the model's minimum, which is above 20 times the fee
        _refuse(_signed(terms), abi.encodeWithSelector(IAnswerViews.BondTooLow.selector, terms.bond, 50e18));
    }

    function test_AnswerCallback_RefusesBondsThatNothingCovers() public {
        ViewReceipt memory receipt = _signed(_plain());
        vm.prank(operator);
        staking.unbond(STAKE - BOND + 1);
        _refuse(receipt, abi.encodeWithSelector(IAnswerViews.StakeNotFree.selector, BOND, BOND - 1));
    }

    function test_AnswerCallback_RefusesWhatWasPostedAlready() public {
        ViewReceipt memory receipt = _signed(_plain());
        bytes32 requestId = oracle.requestIdOf(receipt.request);
        oracle.requestBySignature(receipt.request, input, _sign(requesterKey, requestId));
        _refuse(receipt, abi.encodeWithSelector(IAnswerViews.AlreadyPosted.selector, requestId, RequestState.Requested));
    }

    // ---- what was not signed

    function test_AnswerCallback_RefusesAChangedResult() public {
        ViewReceipt memory receipt = _signed(_plain());
        bytes memory response = abi.encode(bytes(hex"0000003f0000803f"), receipt);
        bytes memory extra = _extra();
        vm.expectRevert(abi.encodeWithSelector(IAnswerViews.AnswerNotSigned.selector, signer), address(views));
        vm.prank(requester);
        views.answerCallback(response, extra);
    }

    function test_AnswerCallback_RefusesAChangedTraceRoot() public {
        ViewReceipt memory receipt = _signed(_plain());
        receipt.traceRoot = keccak256("another");
        _refuse(receipt, abi.encodeWithSelector(IAnswerViews.AnswerNotSigned.selector, signer));
    }

    function test_AnswerCallback_RefusesChangedTerms() public {
        ViewReceipt memory receipt = _signed(_plain());
        receipt.request.deadline += 1;
        _refuse(receipt, abi.encodeWithSelector(IAnswerViews.AcceptNotSigned.selector, signer));
        receipt = _signed(_plain());
        receipt.acceptUntil += 1;
        _refuse(receipt, abi.encodeWithSelector(IAnswerViews.AcceptNotSigned.selector, signer));
    }

    function test_AnswerCallback_RefusesSignaturesThatTheOracleWouldRefuse() public {
        ViewReceipt memory receipt = _signed(_plain());
        receipt.answerSignature = _highS(receipt.answerSignature);
        _refuse(receipt, abi.encodeWithSelector(IAnswerViews.AnswerNotSigned.selector, signer));
        receipt.answerSignature = "";
        _refuse(receipt, abi.encodeWithSelector(IAnswerViews.AnswerNotSigned.selector, signer));
        receipt.acceptSignature = "";
        _refuse(receipt, abi.encodeWithSelector(IAnswerViews.AcceptNotSigned.selector, signer));
    }

    function test_AnswerCallback_RefusesAFormerSigner() public {
        ViewReceipt memory receipt = _signed(_plain());
        address next = makeAddr("next signer");
        vm.prank(operator);
        staking.rotateSigner(next);
        _take(receipt);
        vm.warp(block.timestamp + SIGNER_DELAY);
        InferenceRequest memory terms = _plain();
        _refuse(_signed(terms), abi.encodeWithSelector(IAnswerViews.AcceptNotSigned.selector, next));
    }

    function test_AnswerCallback_RefusesAnotherChainAndAnotherOracle() public {
        ViewReceipt memory receipt = _signed(_plain());
        uint256 here = block.chainid;
        vm.chainId(here + 1);
        _refuse(receipt, abi.encodeWithSelector(IAnswerViews.AcceptNotSigned.selector, signer));
        vm.chainId(here);
        _take(receipt);
    }

    function testFuzz_AnswerCallback_RefusesAnyChangedByte(uint256 place, uint8 change) public {
        ViewReceipt memory receipt = _signed(_plain());
        bytes memory response = abi.encode(result, receipt);
        place = bound(place, 0, response.length - 1);
        vm.assume(change != 0);
        response[place] = bytes1(uint8(response[place]) ^ change);
        bytes memory extra = _extra();
        vm.prank(requester);
        (bool taken, bytes memory returned) =
            address(views).staticcall(abi.encodeCall(IAnswerViews.answerCallback, (response, extra)));
        // What is outside of what is decoded, such as padding, changes nothing of what is returned.
        if (taken) {
            (bytes memory given,,,, ViewReceipt memory kept) =
                abi.decode(returned, (bytes, bytes32, Tier, uint96, ViewReceipt));
            assertEq(keccak256(abi.encode(given, kept)), keccak256(abi.encode(result, receipt)));
        }
    }

    // ---- support

    /// @dev What an honest gateway makes: short of time for the offer of `_offer`, so that it takes an acceptance.
    function _plain() private view returns (InferenceRequest memory terms) {
        terms = _signedTerms();
        terms.modelId = modelId;
        terms.operator = operator;
        terms.valueAtRisk = 0;
        terms.deadline = uint40(block.timestamp) + TTL - 1;
    }

    function _signed(InferenceRequest memory terms) private view returns (ViewReceipt memory) {
        return _signedUntil(terms, terms.deadline);
    }

    function _signedUntil(InferenceRequest memory terms, uint40 until) private view returns (ViewReceipt memory) {
        bytes32 requestId = oracle.requestIdOf(terms);
        Answer memory answer =
            Answer(requestId, terms.operator, terms.modelId, terms.inputHash, sha256(result), TRACE_ROOT);
        bytes32 acceptDigest = oracle.acceptDigest(Accept(requestId, terms.operator, until));
        return ViewReceipt({
            request: terms,
            traceRoot: TRACE_ROOT,
            acceptUntil: until,
            acceptSignature: _sign(signerKey, acceptDigest),
            answerSignature: _sign(signerKey, oracle.answerDigest(answer))
        });
    }

    function _take(ViewReceipt memory receipt) private {
        bytes memory extra = _extra();
        vm.prank(requester);
        (bytes memory given,,,,) = views.answerCallback(abi.encode(result, receipt), extra);
        assertEq(given, result);
    }

    function _refuse(ViewReceipt memory receipt, bytes memory reason) private {
        bytes memory extra = _extra();
        vm.expectRevert(reason, address(views));
        vm.prank(requester);
        views.answerCallback(abi.encode(result, receipt), extra);
    }

    function _extra() private view returns (bytes memory) {
        return abi.encode(requester, operator, modelId, sha256(input));
    }

    function _windowOutOfBounds(uint32 window) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IAnswerViews.WindowOutOfBounds.selector, window, WINDOW, MAX_WINDOW);
    }

    function _timeOutOfBounds(uint40 until) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IAnswerViews.TimeOutOfBounds.selector, until, block.timestamp + 60, block.timestamp + MAX_TTL
        );
    }

    function _urls(uint256 count) private pure returns (string[] memory urls) {
        urls = new string[](count);
        for (uint256 i; i < count; ++i) {
            urls[i] = string.concat("https://gateway.example/", vm.toString(i), "/{sender}/{data}");
        }
    }
}
