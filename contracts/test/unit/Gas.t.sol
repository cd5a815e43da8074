// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {Accept} from "../../src/types/Accept.sol";
import {AnswerCommitment} from "../../src/types/Answer.sol";
import {InferenceRequest, RequestParams} from "../../src/types/InferenceRequest.sol";
import {OracleTest} from "../support/OracleTest.sol";
import {RecordingConsumer} from "../mocks/RecordingConsumer.sol";

/// @notice Whole-transaction cost (intrinsic gas and calldata included) of each verb in steady state: every account and
///         counter that a verb touches has been touched before. Results are in `snapshots/`.
contract GasTest is OracleTest {
    string private constant GROUP = "verbs";
    RecordingConsumer private consumer;

    function setUp() public override {
        super.setUp();
        // One handwritten digit as the sample model takes it: 64 float32 of 0 to 16 (models/examples/seven.json).
        input = _digit();
        consumer = new RecordingConsumer();
        token.transfer(requester, 100e18);
        vm.prank(requester);
        token.approve(address(oracle), type(uint256).max);
        _answered();
    }

    function test_RequestOpen() public {
        RequestParams memory params = _params();
        vm.prank(requester);
        oracle.request(params, input);
        vm.snapshotGasLastCall(GROUP, "request, open");
    }

    function test_RequestNamedWithOffer() public {
        _setOffer(_offer(100));
        RequestParams memory params = _params();
        params.operator = operator;
        vm.prank(requester);
        oracle.request(params, input);
        vm.snapshotGasLastCall(GROUP, "request, accepted by offer");
    }

    function test_RequestWithPull() public {
        RequestParams memory params = _params();
        vm.prank(requester);
        oracle.requestWithPull(params, input);
        vm.snapshotGasLastCall(GROUP, "requestWithPull, open");
    }

    function test_RequestWithPullNamedWithOffer() public {
        _setOffer(_offer(100));
        RequestParams memory params = _params();
        params.operator = operator;
        vm.prank(requester);
        oracle.requestWithPull(params, input);
        vm.snapshotGasLastCall(GROUP, "requestWithPull, accepted by offer");
    }

    function test_RequestBySignature() public {
        InferenceRequest memory terms = _signedTerms();
        bytes memory signature = _sign(requesterKey, _id(terms));
        vm.prank(anyone);
        oracle.requestBySignature(terms, input, signature);
        vm.snapshotGasLastCall(GROUP, "requestBySignature, open");
    }

    function test_Accept() public {
        InferenceRequest memory terms = _request();
        Accept memory acceptance = _acceptance(terms);
        bytes memory signature = _sign(signerKey, oracle.acceptDigest(acceptance));
        vm.prank(anyone);
        oracle.accept(terms, acceptance, signature);
        vm.snapshotGasLastCall(GROUP, "accept");
    }

    function test_Answer() public {
        InferenceRequest memory terms = _accepted();
        bytes memory signature = _signAnswer(terms);
        IInferenceOracle.AnswerItem memory item = _item(terms);
        vm.prank(anyone);
        oracle.answer(item, operator, signature);
        vm.snapshotGasLastCall(GROUP, "answer");
    }

    function test_AnswerBatchOfTen() public {
        InferenceRequest[] memory terms = new InferenceRequest[](10);
        IInferenceOracle.AnswerItem[] memory items = new IInferenceOracle.AnswerItem[](10);
        for (uint256 i; i < items.length; ++i) {
            terms[i] = _accepted();
            items[i] = _item(terms[i]);
        }
        bytes memory signature = _signAnswers(terms);
        vm.prank(anyone);
        oracle.answerBatch(items, operator, signature);
        uint256 total = vm.snapshotGasLastCall(GROUP, "answerBatch, ten items");
        vm.snapshotValue(GROUP, "answerBatch, one item of ten", total / 10);
    }

    function test_Settle() public {
        InferenceRequest memory terms = _answered();
        skip(WINDOW);
        vm.prank(anyone);
        oracle.settle(_settleItem(terms));
        vm.snapshotGasLastCall(GROUP, "settle");
    }

    function test_SettleBatchOfTen() public {
        IInferenceOracle.SettleItem[] memory items = _settleItems(_params());
        vm.prank(anyone);
        oracle.settleBatch(items);
        uint256 total = vm.snapshotGasLastCall(GROUP, "settleBatch, ten items");
        vm.snapshotValue(GROUP, "settleBatch, one item of ten", total / 10);
    }

    function test_SettleBatchOfTenWithCallback() public {
        RequestParams memory params = _params();
        params.consumer = makeAddr("consumer without code");
        IInferenceOracle.SettleItem[] memory items = _settleItems(params);
        vm.prank(anyone);
        oracle.settleBatch(items);
        uint256 total = vm.snapshotGasLastCall(GROUP, "settleBatch with notices, ten items");
        vm.snapshotValue(GROUP, "settleBatch with notices, one item of ten", total / 10);
    }

    function test_Cancel() public {
        InferenceRequest memory terms = _request();
        vm.prank(requester);
        oracle.cancel(terms);
        vm.snapshotGasLastCall(GROUP, "cancel");
    }

    function test_Expire() public {
        InferenceRequest memory terms = _request();
        skip(TTL + 1);
        vm.prank(anyone);
        oracle.expire(terms);
        vm.snapshotGasLastCall(GROUP, "expire");
    }

    function test_MarkDefaulted() public {
        InferenceRequest memory terms = _accepted();
        skip(TTL + 1);
        vm.prank(anyone);
        oracle.markDefaulted(terms, operator);
        vm.snapshotGasLastCall(GROUP, "markDefaulted, first slash");
    }

    function test_VoidAnswer() public {
        InferenceRequest memory terms = _answered();
        AnswerCommitment memory commitment = _commitment();
        vm.prank(court);
        oracle.voidAnswer(terms, commitment, watcher);
        vm.snapshotGasLastCall(GROUP, "voidAnswer, first slash");
    }

    function test_Deposit() public {
        vm.prank(requester);
        oracle.deposit(requester, 1);
        vm.snapshotGasLastCall(GROUP, "deposit");
    }

    function _settleItems(RequestParams memory params) private returns (IInferenceOracle.SettleItem[] memory items) {
        items = new IInferenceOracle.SettleItem[](10);
        for (uint256 i; i < items.length; ++i) {
            items[i] = _settleItem(_answered(params));
        }
        skip(WINDOW);
    }

    function _digit() private pure returns (bytes memory) {
        return abi.encodePacked(
            hex"0000000000000000000000400000704100007041000080400000000000000000",
            hex"0000000000000000000030410000204100006041000010410000000000000000",
            hex"00000000000000000000803f0000000000003041000010410000000000000000",
            hex"0000000000000000000000000000404000007041000080400000000000000000",
            hex"00000000000000000000803f0000804100008041000060410000c04000000000",
            hex"00000000000000000000000000000041000050410000c0400000803f00000000",
            hex"000000000000000000000000000010410000e040000000000000000000000000",
            hex"00000000000000000000803f0000704100000040000000000000000000000000"
        );
    }
}
