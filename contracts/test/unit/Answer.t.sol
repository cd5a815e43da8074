// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {IOperatorStaking} from "../../src/interfaces/IOperatorStaking.sol";
import {Accept} from "../../src/types/Accept.sol";
import {Answer} from "../../src/types/Answer.sol";
import {InferenceRequest, RequestParams} from "../../src/types/InferenceRequest.sol";
import {RequestState} from "../../src/types/RequestState.sol";
import {OracleTest} from "../support/OracleTest.sol";

contract AnswerTest is OracleTest {
    // ---- accept

    function test_Accept_LocksTheBond() public {
        InferenceRequest memory terms = _request();
        vm.warp(terms.deadline); // the last second
        _accept(terms);
        (RequestState state,,, address acceptedBy) = oracle.stateOf(_id(terms));
        assertEq(uint256(state), uint256(RequestState.Accepted));
        assertEq(acceptedBy, operator);
        _assertPosition(STAKE, BOND, 1, 1);
    }

    function test_RevertWhen_AcceptIsPastTheDeadline() public {
        InferenceRequest memory terms = _request();
        skip(TTL + 1);
        _expectAccept(terms, abi.encodeWithSelector(IInferenceOracle.DeadlinePassed.selector, terms.deadline));
    }

    function test_RevertWhen_AcceptanceHasExpired() public {
        InferenceRequest memory terms = _request();
        Accept memory acceptance = _acceptance(terms);
        acceptance.validUntil = START + 5;
        bytes memory signature = _sign(signerKey, oracle.acceptDigest(acceptance));
        vm.warp(START + 6);
        _expect(abi.encodeWithSelector(IInferenceOracle.SignatureExpired.selector, START + 5));
        oracle.accept(terms, acceptance, signature);
        vm.warp(START + 5);
        oracle.accept(terms, acceptance, signature);
    }

    function test_RevertWhen_AcceptanceIsOfAnotherRequest() public {
        InferenceRequest memory terms = _request();
        Accept memory acceptance = _acceptance(_request());
        bytes memory signature = _sign(signerKey, oracle.acceptDigest(acceptance));
        _expect(abi.encodeWithSelector(IInferenceOracle.WrongRequest.selector, _id(terms), acceptance.requestId));
        oracle.accept(terms, acceptance, signature);
    }

    function test_RevertWhen_AcceptIsByAnotherThanTheNamed() public {
        RequestParams memory params = _params();
        params.operator = anyone;
        _expectAccept(
            _request(params), abi.encodeWithSelector(IInferenceOracle.WrongOperator.selector, anyone, operator)
        );
    }

    function test_RevertWhen_AcceptSignatureIsWrong() public {
        InferenceRequest memory terms = _request();
        Accept memory acceptance = _acceptance(terms);
        bytes32 digest = oracle.acceptDigest(acceptance);
        bytes[3] memory wrong =
            [_sign(requesterKey, digest), _sign(signerKey, _id(terms)), _highS(_sign(signerKey, digest))];
        for (uint256 i; i < wrong.length; ++i) {
            _expect(abi.encodeWithSelector(IInferenceOracle.SignatureInvalid.selector, signer));
            oracle.accept(terms, acceptance, wrong[i]);
        }
    }

    function test_RevertWhen_AcceptedTwice() public {
        InferenceRequest memory terms = _accepted();
        Accept memory acceptance = _acceptance(terms);
        bytes memory signature = _sign(signerKey, oracle.acceptDigest(acceptance));
        _expectWrongState(terms, RequestState.Requested, RequestState.Accepted);
        oracle.accept(terms, acceptance, signature);
    }

    function test_RevertWhen_StakeIsTooLowToAccept() public {
        RequestParams memory params = _params();
        params.bond = STAKE + 1;
        InferenceRequest memory terms = _request(params);
        Accept memory acceptance = _acceptance(terms);
        bytes memory signature = _sign(signerKey, oracle.acceptDigest(acceptance));
        vm.expectRevert(abi.encodeWithSelector(IOperatorStaking.FreeStakeTooLow.selector, STAKE + 1, STAKE));
        oracle.accept(terms, acceptance, signature);
        acceptance.operator = anyone;
        vm.expectRevert(abi.encodeWithSelector(IOperatorStaking.OperatorUnknown.selector, anyone));
        oracle.accept(terms, acceptance, signature);
    }

    // ---- answer

    function test_Answer_CommitsAndStartsTheWindow() public {
        InferenceRequest memory terms = _accepted();
        vm.warp(terms.deadline); // the last second
        uint40 settleAt = terms.deadline + WINDOW;
        vm.expectEmit(address(oracle));
        emit IInferenceOracle.RequestAnswered(_id(terms), operator, TRACE_ROOT, settleAt, result);
        _answer(terms);
        (RequestState state,, uint40 stored, address acceptedBy) = oracle.stateOf(_id(terms));
        assertEq(uint256(state), uint256(RequestState.Answered));
        assertEq(stored, settleAt);
        assertEq(acceptedBy, address(0));
        _assertPosition(STAKE, BOND, 0, 1);
    }

    function test_RevertWhen_AnswerIsLate() public {
        InferenceRequest memory terms = _accepted();
        vm.warp(terms.deadline + 1);
        _expectAnswer(terms, operator, abi.encodeWithSelector(IInferenceOracle.DeadlinePassed.selector, terms.deadline));
    }

    function test_RevertWhen_AnswerIsNotTheAcceptedOperators() public {
        InferenceRequest memory terms = _accepted();
        _expectAnswer(terms, anyone, abi.encodeWithSelector(IInferenceOracle.WrongOperator.selector, operator, anyone));
    }

    function test_RevertWhen_AnsweredInAnotherState() public {
        InferenceRequest memory terms = _request();
        bytes32 requestId = _id(terms);
        _expectAnswer(
            terms,
            operator,
            abi.encodeWithSelector(
                IInferenceOracle.WrongState.selector, requestId, RequestState.Accepted, RequestState.Requested
            )
        );
        _accept(terms);
        _answer(terms);
        _expectAnswer(
            terms,
            operator,
            abi.encodeWithSelector(
                IInferenceOracle.WrongState.selector, requestId, RequestState.Accepted, RequestState.Answered
            )
        );
    }

    /// @dev Whatever of the answer is changed after signing, the signature no longer fits.
    function testFuzz_RevertWhen_AnswerIsNotWhatWasSigned(uint8 field, bytes32 other) public {
        InferenceRequest memory terms = _accepted();
        Answer memory signed = _answerOf(terms);
        field = field % 6;
        if (field == 0) signed.requestId = other;
        else if (field == 1) signed.operator = address(bytes20(other));
        else if (field == 2) signed.modelId = other;
        else if (field == 3) signed.inputHash = other;
        else if (field == 4) signed.resultHash = other;
        else signed.traceRoot = other;
        // The fuzzer knows the true values, too.
        vm.assume(oracle.answerDigest(signed) != oracle.answerDigest(_answerOf(terms)));
        bytes memory signature = _sign(signerKey, oracle.answerDigest(signed));
        _expect(abi.encodeWithSelector(IInferenceOracle.SignatureInvalid.selector, signer));
        oracle.answer(_item(terms), operator, signature);
    }

    /// @dev The proof that a result is wrong carries all of it.
    function test_RevertWhen_ResultIsTooLargeToBeProvenWrong() public {
        uint256 longest = oracle.MAX_RESULT_BYTES();
        InferenceRequest memory terms = _accepted();
        result = new bytes(longest + 1);
        bytes memory expected = abi.encodeWithSelector(IInferenceOracle.ResultTooLarge.selector, longest + 1, longest);
        _expectAnswer(terms, operator, expected);
        InferenceRequest[] memory batch = new InferenceRequest[](1);
        batch[0] = terms;
        bytes memory signature = _signAnswers(batch);
        IInferenceOracle.AnswerItem[] memory items = _items(batch);
        _expect(expected);
        oracle.answerBatch(items, operator, signature);

        result = new bytes(longest);
        _answer(terms);
        _assertState(terms, RequestState.Answered);
    }

    function test_Answer_TakesTheNewSignerFromItsTimeOn() public {
        InferenceRequest memory terms = _accepted();
        InferenceRequest memory other = _accepted();
        (address next, uint256 nextKey) = makeAddrAndKey("next");
        uint40 effectiveAt = uint40(block.timestamp) + SIGNER_DELAY;
        vm.prank(operator);
        staking.rotateSigner(next);
        _answer(terms);

        RequestParams memory params = _params();
        params.deadline += SIGNER_DELAY;
        InferenceRequest memory third = _accepted(params);
        vm.warp(effectiveAt);
        _expectAnswer(third, operator, abi.encodeWithSelector(IInferenceOracle.SignatureInvalid.selector, next));
        bytes memory signature = _sign(nextKey, oracle.answerDigest(_answerOf(third)));
        oracle.answer(_item(third), operator, signature);
        _assertState(other, RequestState.Accepted);
    }

    // ---- batches

    function test_AnswerBatch_SkipsWhatCannotBeTaken() public {
        RequestParams memory params = _params();
        params.deadline = START + 1;
        InferenceRequest[] memory terms = new InferenceRequest[](6);
        terms[0] = _accepted();
        terms[1] = _request();
        terms[2] = _accepted(params); // too late below
        terms[3] = _accepted();
        terms[4] = terms[0]; // twice
        terms[5] = _acceptedByAnother();
        vm.warp(START + 2);
        bytes memory signature = _signAnswers(terms);

        vm.expectEmit(address(oracle));
        emit IInferenceOracle.ItemSkipped(_id(terms[1]), IInferenceOracle.ItemCode.WrongState);
        IInferenceOracle.ItemCode[] memory codes = oracle.answerBatch(_items(terms), operator, signature);

        IInferenceOracle.ItemCode[6] memory expected = [
            IInferenceOracle.ItemCode.Done,
            IInferenceOracle.ItemCode.WrongState,
            IInferenceOracle.ItemCode.TooLate,
            IInferenceOracle.ItemCode.Done,
            IInferenceOracle.ItemCode.WrongState,
            IInferenceOracle.ItemCode.WrongOperator
        ];
        for (uint256 i; i < expected.length; ++i) {
            assertEq(uint256(codes[i]), uint256(expected[i]));
        }
        _assertState(terms[0], RequestState.Answered);
        _assertState(terms[2], RequestState.Accepted);
        _assertState(terms[3], RequestState.Answered);
        _assertPosition(STAKE, 3 * BOND, 1, 3);
    }

    /// @dev Evidence of a contradiction carries the hash of every answer of the batch.
    function test_RevertWhen_BatchIsTooLargeToBeEvidence() public {
        uint256 most = oracle.MAX_ANSWER_BATCH();
        InferenceRequest[] memory terms = new InferenceRequest[](most + 1);
        terms[0] = _accepted();
        for (uint256 i = 1; i < terms.length; ++i) {
            terms[i] = terms[0];
        }
        IInferenceOracle.AnswerItem[] memory items = _items(terms);
        _expect(abi.encodeWithSelector(IInferenceOracle.BatchTooLarge.selector, most + 1, most));
        oracle.answerBatch(items, operator, "");
    }

    function test_RevertWhen_BatchIsEmptyOrWronglySigned() public {
        InferenceRequest[] memory terms = new InferenceRequest[](0);
        _expect(abi.encodeWithSelector(IInferenceOracle.EmptyBatch.selector));
        oracle.answerBatch(_items(terms), operator, "");

        terms = new InferenceRequest[](1);
        terms[0] = _accepted();
        bytes memory single = _signAnswer(terms[0]);
        _expect(abi.encodeWithSelector(IInferenceOracle.SignatureInvalid.selector, signer));
        oracle.answerBatch(_items(terms), operator, single);
        _expect(abi.encodeWithSelector(IInferenceOracle.SignatureInvalid.selector, address(0)));
        oracle.answerBatch(_items(terms), anyone, single);
    }

    function _items(InferenceRequest[] memory terms) private view returns (IInferenceOracle.AnswerItem[] memory items) {
        items = new IInferenceOracle.AnswerItem[](terms.length);
        for (uint256 i; i < items.length; ++i) {
            items[i] = _item(terms[i]);
        }
    }

    function _acceptedByAnother() private returns (InferenceRequest memory terms) {
        vm.prank(anyone);
        staking.register(signer, anyone);
        staking.bond(anyone, BOND);
        terms = _request();
        Accept memory acceptance = _acceptance(terms);
        acceptance.operator = anyone;
        oracle.accept(terms, acceptance, _sign(signerKey, oracle.acceptDigest(acceptance)));
    }

    function _expectAccept(InferenceRequest memory terms, bytes memory reason) private {
        Accept memory acceptance = _acceptance(terms);
        bytes memory signature = _sign(signerKey, oracle.acceptDigest(acceptance));
        _expect(reason);
        oracle.accept(terms, acceptance, signature);
    }

    function _expectAnswer(InferenceRequest memory terms, address by, bytes memory reason) private {
        bytes memory signature = _signAnswer(terms);
        IInferenceOracle.AnswerItem memory item = _item(terms);
        _expect(reason);
        oracle.answer(item, by, signature);
    }
}
