// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Erc1271Wallet} from "../mocks/Erc1271Wallet.sol";
import {FeeOnTransferToken} from "../mocks/FeeOnTransferToken.sol";
import {NoReturnToken} from "../mocks/NoReturnToken.sol";
import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {IOperatorStaking} from "../../src/interfaces/IOperatorStaking.sol";
import {InferenceRequest, RequestParams} from "../../src/types/InferenceRequest.sol";
import {RequestState} from "../../src/types/RequestState.sol";
import {OracleTest} from "../support/OracleTest.sol";

/// @notice The ledger, and everything up to the moment a request exists.
contract RequestTest is OracleTest {
    // ---- the ledger

    function test_Deposit_CreditsTheNamedAccount() public {
        vm.expectEmit(address(oracle));
        emit IInferenceOracle.Deposited(anyone, address(this), 5);
        oracle.deposit(anyone, 5);
        assertEq(_balance(anyone), 5);
        assertEq(token.balanceOf(address(oracle)), uint256(BALANCE) + 6);
    }

    function test_RevertWhen_DepositIsNothingOrToNobody() public {
        _expect(abi.encodeWithSelector(IInferenceOracle.ZeroAmount.selector));
        oracle.deposit(anyone, 0);
        _expect(abi.encodeWithSelector(IInferenceOracle.ZeroAddress.selector));
        oracle.deposit(address(0), 1);
    }

    function test_RevertWhen_TokenKeepsAFee() public {
        FeeOnTransferToken kept = new FeeOnTransferToken(address(this), 1e18);
        _deploy(address(kept));
        kept.approve(address(oracle), 1e18);
        _expect(abi.encodeWithSelector(IInferenceOracle.TransferMismatch.selector, 1_000, 990));
        oracle.deposit(anyone, 1_000);
    }

    function test_Deposit_TakesATokenThatReturnsNothing() public {
        NoReturnToken silent = new NoReturnToken(address(this), 1e18);
        _deploy(address(silent));
        silent.approve(address(oracle), 1e18);
        oracle.deposit(requester, 1_000);
        vm.prank(requester);
        oracle.withdraw(anyone, 400);
        assertEq(silent.balanceOf(anyone), 400);
        assertEq(_balance(requester), 600);
    }

    function test_Withdraw_PaysOut() public {
        vm.expectEmit(address(oracle));
        emit IInferenceOracle.Withdrawn(requester, anyone, BALANCE);
        vm.prank(requester);
        oracle.withdraw(anyone, BALANCE);
        assertEq(token.balanceOf(anyone), BALANCE);
        assertEq(_balance(requester), 0);
    }

    function test_RevertWhen_WithdrawExceedsBalance() public {
        vm.startPrank(requester);
        _expect(abi.encodeWithSelector(IInferenceOracle.BalanceTooLow.selector, BALANCE, BALANCE + 1));
        oracle.withdraw(anyone, BALANCE + 1);
        _expect(abi.encodeWithSelector(IInferenceOracle.ZeroAmount.selector));
        oracle.withdraw(anyone, 0);
        _expect(abi.encodeWithSelector(IInferenceOracle.ZeroAddress.selector));
        oracle.withdraw(address(0), 1);
    }

    // ---- request

    function test_Request_ReservesTheFeeAndLogsItsTerms() public {
        RequestParams memory params = _params();
        InferenceRequest memory terms = _terms(params, 0);
        vm.expectEmit(address(oracle));
        emit IInferenceOracle.RequestCreated(_id(terms), address(0), modelId, terms, input);
        vm.prank(requester);
        oracle.request(params, input);

        _assertState(terms, RequestState.Requested);
        (uint96 balance, uint64 nonce) = oracle.accounts(requester);
        assertEq(balance, BALANCE - FEE);
        assertEq(nonce, 1);
        assertNotEq(_id(_request()), _id(terms), "equal params, another nonce");
    }

    function test_RequestWithPull_LeavesTheAccountAsItWas() public {
        token.transfer(requester, FEE);
        RequestParams memory params = _params();
        vm.startPrank(requester);
        token.approve(address(oracle), FEE);
        vm.expectEmit(address(oracle));
        emit IInferenceOracle.Deposited(requester, requester, FEE);
        oracle.requestWithPull(params, input);
        assertEq(_balance(requester), BALANCE);
        assertEq(token.balanceOf(requester), 0);
    }

    function test_RequestWithPull_OfNothingPullsNothing() public {
        RequestParams memory params = _params();
        params.fee = 0;
        vm.prank(anyone);
        oracle.requestWithPull(params, input);
    }

    function test_RevertWhen_InputIsEmptyOrTooLarge() public {
        _expect(abi.encodeWithSelector(IInferenceOracle.InputEmpty.selector));
        _requestOf(_params(), "");
        uint256 most = oracle.MAX_INPUT_BYTES();
        _expect(abi.encodeWithSelector(IInferenceOracle.InputTooLarge.selector, most + 1, most));
        _requestOf(_params(), new bytes(most + 1));
        _requestOf(_params(), new bytes(most));
    }

    function test_RevertWhen_ModelIsUnknownOrDeprecated() public {
        RequestParams memory params = _params();
        params.modelId = keccak256("unknown");
        _expect(abi.encodeWithSelector(IInferenceOracle.ModelNotLive.selector, params.modelId));
        _requestOf(params, input);

        vm.prank(anyone);
        registry.deprecate(modelId);
        _expect(abi.encodeWithSelector(IInferenceOracle.ModelNotLive.selector, modelId));
        _requestOf(_params(), input);
    }

    function test_RevertWhen_BondIsBelowTheModelsOrTheFees() public {
        assertEq(oracle.minimumBond(modelId, 1), 50e18);
        assertEq(oracle.minimumBond(modelId, 5e18), 100e18);
        RequestParams memory params = _params();
        (params.fee, params.bond, params.valueAtRisk) = (5e18, 100e18 - 1, 0);
        _expect(abi.encodeWithSelector(IInferenceOracle.BondTooLow.selector, 100e18 - 1, 100e18));
        _requestOf(params, input);
        (params.fee, params.bond) = (1, 50e18 - 1);
        _expect(abi.encodeWithSelector(IInferenceOracle.BondTooLow.selector, 50e18 - 1, 50e18));
        _requestOf(params, input);
        params.bond = 50e18;
        _requestOf(params, input);
    }

    function test_RevertWhen_ValueAtRiskIsAboveTheBond() public {
        RequestParams memory params = _params();
        params.valueAtRisk = BOND + 1;
        _expect(abi.encodeWithSelector(IInferenceOracle.ValueAtRiskAboveBond.selector, BOND + 1, BOND));
        _requestOf(params, input);
        params.valueAtRisk = BOND;
        _requestOf(params, input);
    }

    function test_RevertWhen_WindowIsOutOfBounds() public {
        RequestParams memory params = _params();
        params.window = WINDOW - 1;
        _expect(abi.encodeWithSelector(IInferenceOracle.WindowOutOfBounds.selector, WINDOW - 1, WINDOW, MAX_WINDOW));
        _requestOf(params, input);
        params.window = MAX_WINDOW + 1;
        _expect(abi.encodeWithSelector(IInferenceOracle.WindowOutOfBounds.selector, MAX_WINDOW + 1, WINDOW, MAX_WINDOW));
        _requestOf(params, input);
        params.window = MAX_WINDOW;
        _requestOf(params, input);
    }

    function test_RevertWhen_DeadlineIsOutOfBounds() public {
        RequestParams memory params = _params();
        uint40[2] memory wrong = [START, START + MAX_TTL + 1];
        for (uint256 i; i < wrong.length; ++i) {
            params.deadline = wrong[i];
            _expect(
                abi.encodeWithSelector(
                    IInferenceOracle.DeadlineOutOfBounds.selector, wrong[i], START + 1, START + MAX_TTL
                )
            );
            _requestOf(params, input);
        }
        params.deadline = START + 1;
        _requestOf(params, input);
        params.deadline = START + MAX_TTL;
        _requestOf(params, input);
    }

    function test_RevertWhen_CallbackGasIsTooHigh() public {
        RequestParams memory params = _params();
        uint32 most = oracle.MAX_CALLBACK_GAS();
        params.callbackGasLimit = most + 1;
        _expect(abi.encodeWithSelector(IInferenceOracle.CallbackGasTooHigh.selector, most + 1, most));
        _requestOf(params, input);
        params.callbackGasLimit = most;
        _requestOf(params, input);
    }

    function test_RevertWhen_ConsumerIsOneOfOurs() public {
        address[5] memory ours = [address(oracle), address(staking), address(registry), court, address(token)];
        for (uint256 i; i < ours.length; ++i) {
            RequestParams memory params = _paramsFor(ours[i], false);
            _expect(abi.encodeWithSelector(IInferenceOracle.ForbiddenConsumer.selector, ours[i]));
            _requestOf(params, input);
        }
    }

    function test_RevertWhen_BalanceIsBelowTheFee() public {
        vm.prank(anyone);
        _expect(abi.encodeWithSelector(IInferenceOracle.BalanceTooLow.selector, 0, FEE));
        oracle.request(_params(), input);
    }

    // ---- request by signature

    function test_RequestBySignature_PaysFromTheSignersAccount() public {
        InferenceRequest memory terms = _signedTerms();
        _requestSigned(terms, _sign(requesterKey, _id(terms)));
        _assertState(terms, RequestState.Requested);
        assertEq(_balance(requester), BALANCE - FEE);
        assertEq(_nonce(), 0, "direct nonces do not move");
    }

    function test_RequestBySignature_TakesAContractsSignature() public {
        Erc1271Wallet wallet = new Erc1271Wallet(requester);
        oracle.deposit(address(wallet), FEE);
        InferenceRequest memory terms = _signedTerms();
        terms.requester = address(wallet);
        _requestSigned(terms, _sign(requesterKey, _id(terms)));
        assertEq(_balance(address(wallet)), 0);
    }

    function test_RevertWhen_AContractRefusesTheSignature() public {
        Erc1271Wallet wallet = new Erc1271Wallet(requester);
        InferenceRequest memory terms = _signedTerms();
        terms.requester = address(wallet);
        bytes memory signature = _sign(requesterKey, _id(terms));
        for (uint256 mode = 1; mode <= uint256(type(Erc1271Wallet.Mode).max); ++mode) {
            wallet.setMode(Erc1271Wallet.Mode(mode));
            // Without the reverter's address, for which forge takes the wallet's where both revert.
            vm.expectRevert(abi.encodeWithSelector(IInferenceOracle.SignatureInvalid.selector, address(wallet)));
            oracle.requestBySignature(terms, input, signature);
        }
    }

    function test_RevertWhen_SignedRequestIsReplayed() public {
        InferenceRequest memory terms = _signedTerms();
        bytes memory signature = _sign(requesterKey, _id(terms));
        _requestSigned(terms, signature);
        _expectWrongState(terms, RequestState.None, RequestState.Requested);
        oracle.requestBySignature(terms, input, signature);
        vm.prank(requester);
        oracle.cancel(terms);
        _expectWrongState(terms, RequestState.None, RequestState.Cancelled);
        oracle.requestBySignature(terms, input, signature);
    }

    function test_RevertWhen_SignedNonceIsADirectOne() public {
        InferenceRequest memory terms = _signedTerms();
        terms.nonce = (1 << 63) - 1;
        bytes memory signature = _sign(requesterKey, _id(terms));
        _expect(abi.encodeWithSelector(IInferenceOracle.ForbiddenNonce.selector, terms.nonce));
        oracle.requestBySignature(terms, input, signature);
    }

    function test_RevertWhen_SignedInputIsAnother() public {
        InferenceRequest memory terms = _signedTerms();
        bytes memory signature = _sign(requesterKey, _id(terms));
        _expect(abi.encodeWithSelector(IInferenceOracle.InputHashMismatch.selector, terms.inputHash, sha256("another")));
        oracle.requestBySignature(terms, "another", signature);
    }

    function test_RevertWhen_RequestSignatureIsWrong() public {
        InferenceRequest memory terms = _signedTerms();
        bytes32 requestId = _id(terms);
        bytes memory good = _sign(requesterKey, requestId);
        bytes[4] memory wrong = [_sign(signerKey, requestId), bytes(""), _highS(good), abi.encodePacked(good, hex"00")];
        for (uint256 i; i < wrong.length; ++i) {
            _expect(abi.encodeWithSelector(IInferenceOracle.SignatureInvalid.selector, requester));
            oracle.requestBySignature(terms, input, wrong[i]);
        }
        terms.requester = address(0);
        _expect(abi.encodeWithSelector(IInferenceOracle.SignatureInvalid.selector, address(0)));
        oracle.requestBySignature(terms, input, good);
    }

    // ---- standing offers

    function test_Request_IsAcceptedByAMatchingOffer() public {
        _setOffer(_offer(1));
        RequestParams memory params = _params();
        params.operator = operator;
        bytes32 requestId = _id(_terms(params, 0));
        vm.expectEmit(address(oracle));
        emit IInferenceOracle.RequestAccepted(requestId, operator, 1);
        InferenceRequest memory terms = _request(params);
        _assertState(terms, RequestState.Accepted);
        _assertPosition(STAKE, BOND, 1, 1);
        (,,, address acceptedBy) = oracle.stateOf(requestId);
        assertEq(acceptedBy, operator);
        // The offer's capacity is now full.
        _assertState(_request(params), RequestState.Requested);
    }

    function test_Request_StaysOpenWhereTheOfferDoesNotMatch() public {
        RequestParams memory params = _params();
        params.operator = operator;
        params.callbackGasLimit = 2;
        _assertState(_request(params), RequestState.Requested); // no offer
        IOperatorStaking.Offer memory good = _offer(9);
        good.maxCallbackGas = 2;
        IOperatorStaking.Offer[6] memory offers;
        for (uint256 i; i < offers.length; ++i) {
            offers[i] = abi.decode(abi.encode(good), (IOperatorStaking.Offer));
        }
        offers[0].price += 1;
        offers[1].maxBond -= 1;
        offers[2].capacity = 0;
        offers[3].minTime += 1;
        offers[4].maxWindow -= 1;
        offers[5].maxCallbackGas -= 1;
        for (uint256 i; i < offers.length; ++i) {
            _setOffer(offers[i]);
            _assertState(_request(params), RequestState.Requested);
        }
        _setOffer(good);
        _assertState(_request(params), RequestState.Accepted);

        good.maxBond = uint88(STAKE) + 1;
        _setOffer(good);
        (params.bond, params.valueAtRisk) = (STAKE - BOND + 1, 0);
        _assertState(_request(params), RequestState.Requested); // too little stake
        params.bond = STAKE - BOND;
        _assertState(_request(params), RequestState.Accepted);
        params.operator = anyone;
        _assertState(_request(params), RequestState.Requested); // nobody we know
    }

    // ---- cancel

    function test_Cancel_RefundsAtAnyTimeBeforeAcceptance() public {
        InferenceRequest memory terms = _request();
        skip(TTL + 1);
        vm.expectEmit(address(oracle));
        emit IInferenceOracle.RequestCancelled(_id(terms), FEE);
        vm.prank(requester);
        oracle.cancel(terms);
        _assertState(terms, RequestState.Cancelled);
        assertEq(_balance(requester), BALANCE);
    }

    function test_RevertWhen_CancelIsNotTheRequestersOrTooLate() public {
        InferenceRequest memory terms = _request();
        _expect(abi.encodeWithSelector(IInferenceOracle.NotRequester.selector, address(this), requester));
        oracle.cancel(terms);
        _accept(terms);
        _expectWrongState(terms, RequestState.Requested, RequestState.Accepted);
        vm.prank(requester);
        oracle.cancel(terms);
    }

    function testFuzz_RequestThenCancelMovesNothing(uint96 fee, uint96 bond) public {
        RequestParams memory params = _params();
        params.fee = uint96(bound(fee, 0, BALANCE));
        params.bond = uint96(bound(bond, oracle.minimumBond(modelId, params.fee), type(uint96).max));
        InferenceRequest memory terms = _request(params);
        assertEq(_balance(requester), BALANCE - params.fee);
        vm.prank(requester);
        oracle.cancel(terms);
        assertEq(_balance(requester), BALANCE);
    }

    function _requestOf(RequestParams memory params, bytes memory input_) private {
        vm.prank(requester);
        oracle.request(params, input_);
    }

    function _requestSigned(InferenceRequest memory terms, bytes memory signature) private {
        vm.prank(anyone);
        oracle.requestBySignature(terms, input, signature);
    }
}
