// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {GasBurnerConsumer} from "../mocks/GasBurnerConsumer.sol";
import {RecordingConsumer} from "../mocks/RecordingConsumer.sol";
import {ReentrantConsumer} from "../mocks/ReentrantConsumer.sol";
import {ReturnBombConsumer} from "../mocks/ReturnBombConsumer.sol";
import {RevertingConsumer} from "../mocks/RevertingConsumer.sol";
import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {AnswerCommitment} from "../../src/types/Answer.sol";
import {InferenceRequest, RequestParams} from "../../src/types/InferenceRequest.sol";
import {DeliveryState, Notice, RequestState} from "../../src/types/RequestState.sol";
import {OracleTest} from "../support/OracleTest.sol";

/// @notice What the consumer hears, when, with how much gas, and that nothing it does moves money.
contract NoticeTest is OracleTest {
    RecordingConsumer private consumer;
    RevertingConsumer private reverting;

    function setUp() public override {
        super.setUp();
        consumer = new RecordingConsumer();
        reverting = new RevertingConsumer();
    }

    function test_Settle_DeliversTheFinalNotice() public {
        InferenceRequest memory terms = _answered(_paramsFor(address(consumer), false));
        _assertDelivery(terms, DeliveryState.None);
        skip(WINDOW);
        vm.expectEmit(address(oracle));
        emit IInferenceOracle.NoticeDelivered(_id(terms), address(consumer), Notice.Final);
        _settle(terms);
        _assertDelivery(terms, DeliveryState.Delivered);
        _assertRecord(0, terms, Notice.Final, result);
    }

    function test_RevertWhen_SettledWithoutTheResultThatIsDue() public {
        InferenceRequest memory terms = _answered(_paramsFor(address(consumer), false));
        skip(WINDOW);
        IInferenceOracle.SettleItem memory item = _settleItem(terms);
        item.result = "another";
        _expect(abi.encodeWithSelector(IInferenceOracle.ResultMismatch.selector, _id(terms)));
        oracle.settle(item);
    }

    function test_Answer_DeliversEagerlyAndSettleDoesNotRepeat() public {
        InferenceRequest memory terms = _answered(_paramsFor(address(consumer), true));
        _assertRecord(0, terms, Notice.Answered, result);
        skip(WINDOW);
        IInferenceOracle.SettleItem memory item = _settleItem(terms);
        item.result = "";
        oracle.settle(item);
        assertEq(consumer.count(), 1);
        _assertDelivery(terms, DeliveryState.Delivered);
        _assertState(terms, RequestState.Settled);
    }

    function test_VoidAnswer_TellsAnEagerConsumer() public {
        InferenceRequest memory terms = _answered(_paramsFor(address(consumer), true));
        _void(terms);
        _assertRecord(1, terms, Notice.Voided, "");
        _assertDelivery(terms, DeliveryState.Delivered);
    }

    function test_ExpireAndDefault_TellTheConsumer() public {
        InferenceRequest memory expired = _request(_paramsFor(address(consumer), false));
        InferenceRequest memory defaulted = _accepted(_paramsFor(address(consumer), false));
        skip(TTL + 1);
        oracle.expire(expired);
        oracle.markDefaulted(defaulted, operator);
        _assertRecord(0, expired, Notice.Voided, "");
        _assertRecord(1, defaulted, Notice.Voided, "");
    }

    function test_AnswerBatch_TellsEagerConsumersOfWhatWasTaken() public {
        InferenceRequest[] memory terms = new InferenceRequest[](5);
        terms[0] = _accepted(_paramsFor(address(consumer), true));
        terms[1] = _accepted(_paramsFor(address(consumer), false));
        terms[2] = _request(_paramsFor(address(consumer), true)); // skipped
        terms[3] = _accepted(_paramsFor(address(reverting), true));
        terms[4] = _accepted(_paramsFor(address(consumer), true));
        IInferenceOracle.AnswerItem[] memory items = new IInferenceOracle.AnswerItem[](5);
        for (uint256 i; i < items.length; ++i) {
            items[i] = _item(terms[i]);
        }
        oracle.answerBatch(items, operator, _signAnswers(terms));
        assertEq(consumer.count(), 2);
        _assertRecord(0, terms[0], Notice.Answered, result);
        _assertRecord(1, terms[4], Notice.Answered, result);
        _assertDelivery(terms[0], DeliveryState.Delivered);
        _assertDelivery(terms[1], DeliveryState.None);
        _assertState(terms[2], RequestState.Requested);
        _assertDelivery(terms[3], DeliveryState.Failed);
        _assertDelivery(terms[4], DeliveryState.Delivered);
    }

    function test_SettleBatch_DeliversEachNotice() public {
        IInferenceOracle.SettleItem[] memory items = new IInferenceOracle.SettleItem[](3);
        items[0] = _settleItem(_answered(_paramsFor(address(consumer), false)));
        items[1] = _settleItem(_answered());
        items[2] = _settleItem(_answered(_paramsFor(address(reverting), false)));
        skip(WINDOW);
        oracle.settleBatch(items);
        _assertDelivery(items[0].request, DeliveryState.Delivered);
        _assertDelivery(items[1].request, DeliveryState.None);
        _assertDelivery(items[2].request, DeliveryState.Failed);
        assertEq(consumer.count(), 1);
        assertEq(_balance(payout), 3 * FEE + 1);
    }

    // ---- failure and retry

    function test_RetryNotice_DeliversWhatFailed() public {
        InferenceRequest memory terms = _answered(_paramsFor(address(reverting), false));
        skip(WINDOW);
        vm.expectEmit(address(oracle));
        emit IInferenceOracle.NoticeFailed(_id(terms), address(reverting), Notice.Final);
        _settle(terms);
        _assertDelivery(terms, DeliveryState.Failed);
        _assertState(terms, RequestState.Settled);
        assertEq(_balance(payout), FEE + 1, "money does not wait");

        AnswerCommitment memory commitment = _commitment();
        oracle.retryNotice(terms, commitment, result);
        _assertDelivery(terms, DeliveryState.Failed);
        reverting.heal();
        _expect(abi.encodeWithSelector(IInferenceOracle.ResultMismatch.selector, _id(terms)));
        oracle.retryNotice(terms, commitment, "another");
        commitment.operator = anyone;
        _expect(abi.encodeWithSelector(IInferenceOracle.CommitmentMismatch.selector, _id(terms)));
        oracle.retryNotice(terms, commitment, result);
        commitment.operator = operator;
        oracle.retryNotice(terms, commitment, result);
        _assertDelivery(terms, DeliveryState.Delivered);
        assertEq(reverting.count(), 1);
        _expect(abi.encodeWithSelector(IInferenceOracle.NoNoticeDue.selector, _id(terms)));
        oracle.retryNotice(terms, commitment, result);
    }

    function test_RetryNotice_OfAnEagerAnswerAndThenOfTheFinalOne() public {
        InferenceRequest memory terms = _answered(_paramsFor(address(reverting), true));
        _assertDelivery(terms, DeliveryState.Failed);
        AnswerCommitment memory commitment = _commitment();
        _suspend(terms);
        _expect(abi.encodeWithSelector(IInferenceOracle.NoNoticeDue.selector, _id(terms)));
        oracle.retryNotice(terms, commitment, result);
        _resume(terms, START + WINDOW);
        skip(WINDOW);
        reverting.heal();
        vm.expectEmit(address(oracle));
        emit IInferenceOracle.NoticeDelivered(_id(terms), address(reverting), Notice.Answered);
        oracle.retryNotice(terms, commitment, result);
        _settle(terms);
        assertEq(reverting.count(), 1);
    }

    function test_RetryNotice_OfVoidedRequestsNeedsNoAnswer() public {
        InferenceRequest[3] memory terms;
        terms[0] = _answered(_paramsFor(address(reverting), false));
        terms[1] = _request(_paramsFor(address(reverting), false));
        terms[2] = _accepted(_paramsFor(address(reverting), false));
        _void(terms[0]);
        skip(TTL + 1);
        oracle.expire(terms[1]);
        oracle.markDefaulted(terms[2], operator);
        reverting.heal();
        AnswerCommitment memory nothing;
        for (uint256 i; i < 3; ++i) {
            _assertDelivery(terms[i], DeliveryState.Failed);
            oracle.retryNotice(terms[i], nothing, "ignored");
            _assertDelivery(terms[i], DeliveryState.Delivered);
        }
        assertEq(reverting.count(), 3);
    }

    function test_RevertWhen_NoNoticeIsDue() public {
        InferenceRequest memory terms = _answered();
        AnswerCommitment memory commitment = _commitment();
        _expect(abi.encodeWithSelector(IInferenceOracle.NoNoticeDue.selector, _id(terms)));
        oracle.retryNotice(terms, commitment, result);
    }

    function test_Notice_FailsWithoutCodeAndSucceedsOnceThereIsSome() public {
        InferenceRequest memory terms = _answered(_paramsFor(watcher, false));
        skip(WINDOW);
        _settle(terms);
        _assertDelivery(terms, DeliveryState.Failed);
        vm.etch(watcher, address(consumer).code);
        oracle.retryNotice(terms, _commitment(), result);
        _assertDelivery(terms, DeliveryState.Delivered);
    }

    // ---- gas

    function testFuzz_Notice_GetsItsGasOrIsNotSent(uint32 limit, uint256 gasSent) public {
        RequestParams memory params = _paramsFor(address(consumer), false);
        params.callbackGasLimit = uint32(bound(limit, 180_000, 2_000_000));
        InferenceRequest memory terms = _answered(params);
        skip(WINDOW);
        IInferenceOracle.SettleItem memory item = _settleItem(terms);
        gasSent = bound(gasSent, 100_000, 2_300_000);
        (bool sent,) = address(oracle).call{gas: gasSent}(abi.encodeCall(oracle.settle, (item)));
        if (sent) {
            _assertDelivery(terms, DeliveryState.Delivered);
            (, uint256 gasAtEntry,,,,) = consumer.records(0);
            assertGe(gasAtEntry, uint256(params.callbackGasLimit) - 600, "dispatch and decoding only");
        } else {
            _assertState(terms, RequestState.Answered);
        }
    }

    function test_RevertWhen_GasIsTooLowForTheCallback() public {
        RequestParams memory params = _paramsFor(address(consumer), false);
        params.callbackGasLimit = 1_000_000;
        InferenceRequest memory terms = _answered(params);
        skip(WINDOW);
        IInferenceOracle.SettleItem memory item = _settleItem(terms);
        (bool sent, bytes memory returned) = address(oracle).call{gas: 900_000}(abi.encodeCall(oracle.settle, (item)));
        assertFalse(sent);
        assertEq(bytes4(returned), IInferenceOracle.NotEnoughGasForCallback.selector);
    }

    function test_Notice_HostileConsumersCostTheirLimitAtMost() public {
        address[3] memory hostile = [
            address(new GasBurnerConsumer()),
            address(new ReturnBombConsumer(1_000_000, true)),
            address(new ReturnBombConsumer(1_000_000, false))
        ];
        for (uint256 i; i < hostile.length; ++i) {
            InferenceRequest memory terms = _answered(_paramsFor(hostile[i], false));
            vm.warp(block.timestamp + WINDOW);
            IInferenceOracle.SettleItem memory item = _settleItem(terms);
            uint256 before = gasleft();
            oracle.settle(item);
            assertLt(before - gasleft(), 200_000 + 100_000);
            _assertState(terms, RequestState.Settled);
            _assertDelivery(terms, DeliveryState.Failed);
            vm.warp(START);
        }
    }

    // ---- reentrancy

    function test_Notice_LocksEveryVerb() public {
        ReentrantConsumer reentrant = new ReentrantConsumer();
        RequestParams memory params = _paramsFor(address(reentrant), false);
        params.callbackGasLimit = 2_000_000;
        InferenceRequest memory terms = _answered(params);
        bytes[15] memory verbs = _everyVerb(terms);
        for (uint256 i; i < verbs.length; ++i) {
            reentrant.arm(address(oracle), verbs[i]);
        }
        skip(WINDOW);
        _settle(terms);
        assertEq(reentrant.count(), verbs.length);
        for (uint256 i; i < verbs.length; ++i) {
            (bool succeeded, bytes4 reason) = reentrant.outcomes(i);
            assertFalse(succeeded);
            assertEq(reason, ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        }
    }

    function _everyVerb(InferenceRequest memory terms) private view returns (bytes[15] memory) {
        IInferenceOracle.AnswerItem[] memory answers = new IInferenceOracle.AnswerItem[](1);
        answers[0] = _item(terms);
        IInferenceOracle.SettleItem[] memory settlements = new IInferenceOracle.SettleItem[](1);
        settlements[0] = _settleItem(terms);
        AnswerCommitment memory commitment = _commitment();
        return [
            abi.encodeCall(oracle.deposit, (anyone, 1)),
            abi.encodeCall(oracle.withdraw, (anyone, 1)),
            abi.encodeCall(oracle.request, (_params(), input)),
            abi.encodeCall(oracle.requestWithPull, (_params(), input)),
            abi.encodeCall(oracle.requestBySignature, (terms, input, "")),
            abi.encodeCall(oracle.cancel, (terms)),
            abi.encodeCall(oracle.accept, (terms, _acceptance(terms), "")),
            abi.encodeCall(oracle.answer, (answers[0], operator, "")),
            abi.encodeCall(oracle.answerBatch, (answers, operator, "")),
            abi.encodeCall(oracle.settle, (settlements[0])),
            abi.encodeCall(oracle.settleBatch, (settlements)),
            abi.encodeCall(oracle.expire, (terms)),
            abi.encodeCall(oracle.markDefaulted, (terms, operator)),
            abi.encodeCall(oracle.retryNotice, (terms, commitment, result)),
            abi.encodeCall(oracle.voidAnswer, (terms, commitment, watcher))
        ];
    }

    function _assertRecord(uint256 index, InferenceRequest memory terms, Notice notice, bytes memory heard)
        private
        view
    {
        (address sender,, bytes32 requestId, Notice got, bytes32 model, bytes32 resultHash) = consumer.records(index);
        assertEq(sender, address(oracle));
        assertEq(requestId, _id(terms));
        assertEq(uint256(got), uint256(notice));
        assertEq(model, modelId);
        assertEq(resultHash, keccak256(heard));
    }
}
