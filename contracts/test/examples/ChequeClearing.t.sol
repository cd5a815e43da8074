// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ChequeClearing} from "../../examples/ChequeClearing.sol";
import {InferenceConsumer} from "../../src/InferenceConsumer.sol";
import {OPGToken} from "../../src/OPGToken.sol";
import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {Tensors} from "../../src/libraries/Tensors.sol";
import {AnswerCommitment} from "../../src/types/Answer.sol";
import {InferenceRequest, RequestParams} from "../../src/types/InferenceRequest.sol";
import {ModelTerms, Tier, UNCERTIFIED} from "../../src/types/ModelTerms.sol";
import {RequestState} from "../../src/types/RequestState.sol";
import {Deployment} from "../mocks/Deployment.sol";
import {Erc1271Wallet} from "../mocks/Erc1271Wallet.sol";

contract ChequeClearingTest is Deployment {
    uint96 private constant FEE = 1e18;
    uint96 private constant LIMIT = 5_000e18;
    uint96 private constant STAKE = 20_000e18;
    uint256 private constant NUMBER = 7;

    System private system;
    ChequeClearing private clearing;
    address private operator = makeAddr("operator");
    address private payee = makeAddr("payee");
    address private watcher = makeAddr("watcher");
    address private payer;
    uint256 private payerKey;
    uint256 private signerKey;
    bytes private image;
    uint40 private _presentedAt;

    function setUp() public {
        system = _deploy(address(new OPGToken(address(this), 1_000_000e18)));
        address signer;
        (signer, signerKey) = makeAddrAndKey("signer");
        (payer, payerKey) = makeAddrAndKey("payer");
        system.token.transfer(operator, STAKE);
        _register(system, operator, signer, STAKE);
        clearing = new ChequeClearing(system.oracle, system.modelId, address(0), FEE, LIMIT, 0.8e18);

        _depositFor(payer, 6_000e18);
        system.token.transfer(payee, 100e18);
        vm.prank(payee);
        system.token.approve(address(clearing), type(uint256).max);

        uint32[] memory pixels = new uint32[](256);
        for (uint256 i; i < pixels.length; ++i) {
            pixels[i] = Tensors.toFloat32(int256(i % 17) * 1e18);
        }
        image = Tensors.encodeFloat32(pixels);
    }

    // ---- accounts

    function test_Deposit_CreditsTheAccount() public view {
        assertEq(clearing.balances(payer), 6_000e18);
        assertEq(system.token.balanceOf(address(clearing)), 6_000e18);
    }

    function test_Withdraw_PaysOut() public {
        vm.prank(payer);
        clearing.withdraw(1_000e18);
        assertEq(system.token.balanceOf(payer), 1_000e18);
        assertEq(clearing.balances(payer), 5_000e18);
    }

    function test_RevertWhen_Withdraw_ExceedsTheBalance() public {
        vm.expectRevert(abi.encodeWithSelector(ChequeClearing.BalanceTooLow.selector, 0, 1));
        vm.prank(payee);
        clearing.withdraw(1);
    }

    // ---- presenting

    function test_Present_AsksTheModelAtThePayeesExpense() public {
        (bytes32 requestId, InferenceRequest memory terms) = _present();
        assertEq(system.token.balanceOf(payee), 99e18);
        assertEq(requestId, system.oracle.requestIdOf(terms));
        (address payer_, address payee_, uint256 number) = clearing.presented(requestId);
        assertEq(payer_, payer);
        assertEq(payee_, payee);
        assertEq(number, NUMBER);
        assertTrue(clearing.used(payer, NUMBER));
    }

    function test_Present_TakesTheSignatureOfAContractAccount() public {
        Erc1271Wallet wallet = new Erc1271Wallet(payer);
        ChequeClearing.Cheque memory cheque = _cheque();
        cheque.payer = address(wallet);
        bytes memory signature = _sign(payerKey, clearing.chequeDigest(cheque));
        vm.prank(payee);
        clearing.present(cheque, image, signature);
        assertTrue(clearing.used(address(wallet), NUMBER));
    }

    function test_RevertWhen_Present_ByAnybodyElse() public {
        ChequeClearing.Cheque memory cheque = _cheque();
        vm.expectRevert(abi.encodeWithSelector(ChequeClearing.NotPayee.selector, address(this), payee));
        clearing.present(cheque, image, "");
    }

    function test_RevertWhen_Present_ImageIsAnother() public {
        ChequeClearing.Cheque memory cheque = _cheque();
        bytes memory signature = _sign(payerKey, clearing.chequeDigest(cheque));
        bytes memory other = bytes.concat(image);
        other[3] = 0x7f;
        vm.startPrank(payee);
        vm.expectRevert(
            abi.encodeWithSelector(ChequeClearing.ImageMismatch.selector, cheque.imageHash, keccak256(other))
        );
        clearing.present(cheque, other, signature);
        vm.expectRevert(abi.encodeWithSelector(ChequeClearing.ImageLengthMismatch.selector, 1024, 4));
        clearing.present(cheque, hex"00000000", signature);
    }

    function test_RevertWhen_Present_SignatureIsOfAnotherCheque() public {
        ChequeClearing.Cheque memory cheque = _cheque();
        bytes memory signature = _sign(payerKey, clearing.chequeDigest(cheque));
        cheque.number += 1;
        vm.expectRevert(abi.encodeWithSelector(ChequeClearing.SignatureInvalid.selector, payer));
        vm.prank(payee);
        clearing.present(cheque, image, signature);
    }

    function test_RevertWhen_Present_NumberWasUsed() public {
        _present();
        ChequeClearing.Cheque memory cheque = _cheque();
        bytes memory signature = _sign(payerKey, clearing.chequeDigest(cheque));
        vm.expectRevert(abi.encodeWithSelector(ChequeClearing.ChequeUsed.selector, payer, NUMBER));
        vm.prank(payee);
        clearing.present(cheque, image, signature);
    }

    function test_RevertWhen_Constructor_AnyOperatorMayAnswerUnproven() public {
        bytes32 modelId = system.registry.register(_modelTerms(Tier.Unproven), "digits", "{}", "");
        vm.expectRevert(abi.encodeWithSelector(ChequeClearing.OperatorNeeded.selector, modelId));
        new ChequeClearing(system.oracle, modelId, address(0), FEE, LIMIT, 0.8e18);
        clearing = new ChequeClearing(system.oracle, modelId, operator, FEE, LIMIT, 0.8e18);
        assertEq(clearing.OPERATOR(), operator, "named");
        assertEq(clearing.ERROR_BAR(), 0, "and taken at its word");
    }

    function test_RevertWhen_Constructor_NobodyConvictsWrongAnswers() public {
        ModelTerms memory terms = _modelTerms(Tier.Rounded);
        terms.epsilon = UNCERTIFIED;
        bytes32 modelId = system.registry.register(terms, "digits", "{}", "");
        vm.expectRevert(abi.encodeWithSelector(ChequeClearing.OperatorNeeded.selector, modelId));
        new ChequeClearing(system.oracle, modelId, address(0), FEE, LIMIT, 0.8e18);
        vm.mockCall(address(system.registry), abi.encodeCall(system.registry.COURT, ()), abi.encode(address(0)));
        vm.expectRevert(abi.encodeWithSelector(ChequeClearing.OperatorNeeded.selector, system.modelId));
        new ChequeClearing(system.oracle, system.modelId, address(0), FEE, LIMIT, 0.8e18);
    }

    // ---- clearing

    function test_Final_PaysTheAmountThatWasRead() public {
        (bytes32 requestId, InferenceRequest memory terms) = _present();
        AnswerCommitment memory commitment = _answered(terms, _result(1234, 0.99e18));
        assertEq(clearing.balances(payee), 0, "nothing before the answer is final");
        vm.warp(block.timestamp + WINDOW);
        vm.expectEmit(address(clearing));
        emit ChequeClearing.ChequePaid(requestId, payer, payee, NUMBER, 1_234e18);
        system.oracle.settle(IInferenceOracle.SettleItem(terms, commitment, _result(1234, 0.99e18)));

        assertEq(clearing.balances(payee), 1_234e18);
        assertEq(clearing.balances(payer), 4_766e18);
        (, address payee_,) = clearing.presented(requestId);
        assertEq(payee_, address(0));
        assertTrue(clearing.used(payer, NUMBER), "a number clears once");

        vm.prank(payee);
        clearing.withdraw(1_234e18);
        assertEq(system.token.balanceOf(payee), 99e18 + 1_234e18);
    }

    function test_Final_KeepsLeadingZeros() public {
        _settled(_result(42, 0.9e18));
        assertEq(clearing.balances(payee), 42e18);
    }

    function test_Final_AcceptsExactlyTheSmallestProbability() public {
        _settled(_result(1234, 0.8e18));
        assertEq(clearing.balances(payee), 1_234e18);
    }

    function test_Final_BouncesWhatIsIllegible() public {
        bytes memory result = _result(1234, 0.79e18);
        _assertBounced(result, ChequeClearing.BounceReason.Illegible);
    }

    function test_Final_BouncesWhenOneDigitIsDoubtful() public {
        // The third digit, 3, is read with probability 0.5: element 2 * 10 + 3 behind the labels.
        bytes memory result = _result(1234, 0.99e18);
        _put(result, 32 + 4 * 23, Tensors.appendFixed("", 0.5e18));
        _assertBounced(result, ChequeClearing.BounceReason.Illegible);
    }

    /// The digit would be read with 0.8 by an honest operator or not, within the error bar.
    function test_Final_BouncesWhatTheErrorBarLeavesOpen() public {
        ModelTerms memory terms = _modelTerms(Tier.Rounded);
        terms.epsilon = 0.05e18;
        system.modelId = system.registry.register(terms, "digits", "{}", "");
        clearing = new ChequeClearing(system.oracle, system.modelId, address(0), FEE, LIMIT, 0.8e18);
        assertEq(clearing.ERROR_BAR(), 0.05e18);
        _depositFor(payer, 6_000e18);
        vm.prank(payee);
        system.token.approve(address(clearing), type(uint256).max);

        uint256 snapshot = vm.snapshotState();
        _assertBounced(_result(1234, 0.84e18), ChequeClearing.BounceReason.Illegible);
        vm.revertToState(snapshot);
        _settled(_result(1234, 0.86e18));
        assertEq(clearing.balances(payee), 1_234e18);
    }

    function test_Final_BouncesALabelThatIsNotTheLikeliest() public {
        bytes memory result = _result(1234, 0.99e18);
        _put(result, 0, hex"0200000000000000");
        _assertBounced(result, ChequeClearing.BounceReason.Illegible);
    }

    function test_Final_BouncesAboveTheLimit() public {
        _assertBounced(_result(5001, 0.99e18), ChequeClearing.BounceReason.AboveLimit);
    }

    function test_Final_BouncesForWantOfFunds() public {
        vm.prank(payer);
        clearing.withdraw(5_000e18);
        _assertBounced(_result(1001, 0.99e18), ChequeClearing.BounceReason.InsufficientFunds);
    }

    /// A callback that reverted would leave the cheque hanging: whatever is posted must end somewhere.
    function test_Final_BouncesWhatIsMalformed() public {
        bytes[6] memory results;
        results[0] = "";
        results[1] = new bytes(191);
        results[2] = new bytes(193);
        results[3] = _result(1234, 0.99e18);
        _put(results[3], 32 + 4, hex"0000c07f"); // probability of the first digit's 1: NaN
        results[4] = _result(1234, 0.99e18);
        _put(results[4], 0, hex"0a00000000000000"); // label 10
        results[5] = _result(1234, 0.99e18);
        _put(results[5], 0, hex"ffffffffffffffff"); // label -1
        for (uint256 i; i < results.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            _assertBounced(results[i], ChequeClearing.BounceReason.Illegible);
            vm.revertToState(snapshot);
        }
    }

    function testFuzz_Final_NeverMakesMoney(bytes memory result, uint256 probability, uint256 amount) public {
        if (amount % 2 == 0) result = _result(amount % 10_000, int256(bound(probability, 0, 1e18)));
        _settled(result);
        assertEq(clearing.balances(payer) + clearing.balances(payee), 6_000e18);
        assertEq(system.token.balanceOf(address(clearing)), 6_000e18);
        // The notice arrived, so it did not revert, nor did it need more gas than it asked for.
        (, address payee_,) = clearing.presented(system.oracle.requestIdOf(_termsOfPresented(0)));
        assertEq(payee_, address(0));
    }

    // ---- returning

    function test_Voided_ReturnsTheChequeWithFeeAndCompensation() public {
        (bytes32 requestId, InferenceRequest memory terms) = _present();
        AnswerCommitment memory commitment = _answered(terms, _result(9999, 0.99e18));
        vm.expectEmit(address(clearing));
        // A fifth of the bond, and the fee.
        emit ChequeClearing.ChequeReturned(requestId, payer, payee, NUMBER, FEE + LIMIT / 5);
        vm.prank(watcher);
        system.court.proveFraud(terms, commitment, "proof");
        assertEq(clearing.balances(payee), FEE + LIMIT / 5);
        assertFalse(clearing.used(payer, NUMBER));

        vm.prank(payee);
        clearing.withdraw(FEE + LIMIT / 5);
        assertEq(system.token.balanceOf(payee), 100e18 + LIMIT / 5);
        assertEq(system.token.balanceOf(address(clearing)), 6_000e18, "what remains is the payer's");
    }

    function test_Voided_LetsTheChequeBePresentedAgain() public {
        (, InferenceRequest memory terms) = _present();
        vm.warp(terms.deadline + 1);
        system.oracle.expire(terms);
        assertEq(clearing.balances(payee), FEE);
        (, terms) = _presentAs(1);
        AnswerCommitment memory commitment = _answered(terms, _result(1234, 0.99e18));
        vm.warp(block.timestamp + WINDOW);
        system.oracle.settle(IInferenceOracle.SettleItem(terms, commitment, _result(1234, 0.99e18)));
        assertEq(clearing.balances(payee), FEE + 1_234e18);
    }

    function test_Voided_CreditsCompensationOnceEach() public {
        uint256 credited;
        for (uint64 i; i < 3; ++i) {
            (, InferenceRequest memory terms) = _presentAs(i);
            AnswerCommitment memory commitment = _answered(terms, _result(9999, 0.99e18));
            vm.prank(watcher);
            system.court.proveFraud(terms, commitment, "proof");
            credited += FEE + LIMIT / 5;
            assertEq(clearing.balances(payee), credited);
            if (i == 1) {
                vm.prank(payee);
                clearing.withdraw(credited);
                credited = 0;
            }
        }
        vm.prank(payee);
        clearing.withdraw(credited);
        assertEq(system.token.balanceOf(address(clearing)), 6_000e18);
    }

    function test_Recover_TakesBackARequestNobodyAccepted() public {
        (bytes32 requestId, InferenceRequest memory terms) = _present();
        vm.prank(payee);
        clearing.recover(terms);
        (RequestState state,,,) = system.oracle.stateOf(requestId);
        assertEq(uint8(state), uint8(RequestState.Cancelled));
        assertEq(clearing.balances(payee), FEE);
        assertFalse(clearing.used(payer, NUMBER));
    }

    function test_RevertWhen_Recover_ByAnybodyElseBeforeTheEnd() public {
        (, InferenceRequest memory terms) = _present();
        vm.expectRevert(abi.encodeWithSelector(ChequeClearing.NotPayee.selector, address(this), payee));
        clearing.recover(terms);
    }

    function test_RevertWhen_Recover_RequestIsOpen() public {
        (bytes32 requestId, InferenceRequest memory terms) = _present();
        AnswerCommitment memory commitment = _answered(terms, _result(1234, 0.99e18));
        vm.startPrank(payee);
        vm.expectRevert(abi.encodeWithSelector(ChequeClearing.StillOpen.selector, requestId, RequestState.Answered));
        clearing.recover(terms);
        vm.warp(block.timestamp + WINDOW);
        system.oracle.settle(IInferenceOracle.SettleItem(terms, commitment, _result(1234, 0.99e18)));
        vm.expectRevert(abi.encodeWithSelector(ChequeClearing.NotAwaited.selector, requestId));
        clearing.recover(terms);
    }

    /// The notice of an expiry is lost, say to a bug of a token; the state at the oracle is enough.
    function test_Recover_WhereTheNoticeFailed() public {
        (bytes32 requestId, InferenceRequest memory terms) = _present();
        vm.warp(terms.deadline + 1);
        vm.mockCallRevert(address(clearing), abi.encodePacked(InferenceConsumer.onInferenceNotice.selector), "lost");
        system.oracle.expire(terms);
        vm.clearMockedCalls();
        assertTrue(clearing.used(payer, NUMBER));
        clearing.recover(terms);
        assertEq(clearing.balances(payee), FEE);
        vm.expectRevert(abi.encodeWithSelector(ChequeClearing.NotAwaited.selector, requestId));
        clearing.recover(terms);
    }

    /// The notice of the answer is lost, say for want of gas; the payee, or anybody, has the cheque cleared.
    function test_HearAgain_ClearsWhereTheNoticeFailed() public {
        bytes memory result = _result(1234, 0.99e18);
        vm.mockCallRevert(address(clearing), abi.encodePacked(InferenceConsumer.onInferenceNotice.selector), "lost");
        (InferenceRequest memory terms, AnswerCommitment memory commitment) = _final(result);
        system.oracle.settle(IInferenceOracle.SettleItem(terms, commitment, result));
        vm.clearMockedCalls();
        bytes32 requestId = system.oracle.requestIdOf(terms);
        vm.expectRevert(abi.encodeWithSelector(ChequeClearing.StillOpen.selector, requestId, RequestState.Settled));
        clearing.recover(terms);

        clearing.hearAgain(terms, commitment, result);
        assertEq(clearing.balances(payee), 1_234e18);
        vm.expectRevert(abi.encodeWithSelector(InferenceConsumer.UnexpectedRequest.selector, requestId));
        clearing.hearAgain(terms, commitment, result);
    }

    // ---- inside

    function _depositFor(address account, uint256 amount) private {
        system.token.approve(address(clearing), amount);
        clearing.deposit(account, amount);
    }

    function _cheque() private view returns (ChequeClearing.Cheque memory) {
        return ChequeClearing.Cheque(payer, payee, NUMBER, keccak256(image));
    }

    function _present() private returns (bytes32 requestId, InferenceRequest memory terms) {
        return _presentAs(0);
    }

    function _presentAs(uint64 nonce) private returns (bytes32 requestId, InferenceRequest memory terms) {
        ChequeClearing.Cheque memory cheque = _cheque();
        bytes memory signature = _sign(payerKey, clearing.chequeDigest(cheque));
        vm.prank(payee);
        requestId = clearing.present(cheque, image, signature);
        terms = _termsOfPresented(nonce);
        assertEq(requestId, system.oracle.requestIdOf(terms));
    }

    /// @dev Valid at the second of the presentation, or for the one that `_settled` made.
    function _termsOfPresented(uint64 nonce) private view returns (InferenceRequest memory) {
        RequestParams memory params = _params(system, FEE);
        if (_presentedAt != 0) params.deadline = _presentedAt + 1 hours;
        params.consumer = address(clearing);
        params.bond = LIMIT;
        params.valueAtRisk = LIMIT;
        params.callbackGasLimit = 200_000;
        return _terms(params, address(clearing), nonce, image);
    }

    function _answered(InferenceRequest memory terms, bytes memory result) private returns (AnswerCommitment memory) {
        _accept(system, terms, operator, signerKey);
        return _answer(system, terms, operator, signerKey, result);
    }

    function _settled(bytes memory result) private {
        (InferenceRequest memory terms, AnswerCommitment memory commitment) = _final(result);
        system.oracle.settle(IInferenceOracle.SettleItem(terms, commitment, result));
    }

    /// @dev Everything up to the settlement.
    function _final(bytes memory result)
        private
        returns (InferenceRequest memory terms, AnswerCommitment memory commitment)
    {
        _presentedAt = uint40(block.timestamp);
        (, terms) = _present();
        commitment = _answered(terms, result);
        vm.warp(block.timestamp + WINDOW);
    }

    function _assertBounced(bytes memory result, ChequeClearing.BounceReason reason) private {
        uint256 balance = clearing.balances(payer);
        (InferenceRequest memory terms, AnswerCommitment memory commitment) = _final(result);
        bytes32 requestId = system.oracle.requestIdOf(terms);
        vm.expectEmit(address(clearing));
        emit ChequeClearing.ChequeBounced(requestId, payer, payee, NUMBER, reason);
        system.oracle.settle(IInferenceOracle.SettleItem(terms, commitment, result));
        assertEq(clearing.balances(payer), balance);
        assertEq(clearing.balances(payee), 0);
        assertTrue(clearing.used(payer, NUMBER));
    }

    /// @dev Labels of the four digits of `amount`; each digit's own probability, and the rest on the next digit.
    function _result(uint256 amount, int256 probability) private pure returns (bytes memory) {
        int64[] memory labels = new int64[](4);
        int256[] memory probabilities = new int256[](40);
        for (uint256 i = 4; i != 0; amount /= 10) {
            --i;
            labels[i] = int64(uint64(amount % 10));
            probabilities[i * 10 + amount % 10] = probability;
            probabilities[i * 10 + (amount + 1) % 10] = 1e18 - probability;
        }
        return bytes.concat(Tensors.encodeInt64(labels), Tensors.encodeFixed(probabilities));
    }

    function _put(bytes memory data, uint256 offset, bytes memory piece) private pure {
        for (uint256 i; i < piece.length; ++i) {
            data[offset + i] = piece[i];
        }
    }
}
