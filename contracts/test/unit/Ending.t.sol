// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {IOperatorStaking} from "../../src/interfaces/IOperatorStaking.sol";
import {AnswerCommitment} from "../../src/types/Answer.sol";
import {InferenceRequest, RequestParams} from "../../src/types/InferenceRequest.sol";
import {RequestState} from "../../src/types/RequestState.sol";
import {OracleTest} from "../support/OracleTest.sol";

/// @notice Settlement, expiry, default and the court's three verbs.
contract EndingTest is OracleTest {
    // ---- settle

    function test_Settle_PaysAndReleasesFromSettleAtOn() public {
        InferenceRequest memory terms = _answered();
        uint40 settleAt = START + WINDOW;
        vm.warp(settleAt - 1);
        _expectSettle(terms, abi.encodeWithSelector(IInferenceOracle.NotFinalYet.selector, settleAt));
        vm.warp(settleAt);
        vm.expectEmit(address(oracle));
        emit IInferenceOracle.RequestSettled(_id(terms), operator, payout, FEE);
        _settle(terms);
        _assertState(terms, RequestState.Settled);
        assertEq(_balance(payout), FEE + 1);
        _assertPosition(STAKE, 0, 0, 1);
        _expectSettle(terms, _wrongState(terms, RequestState.Answered, RequestState.Settled));
    }

    function test_RevertWhen_CommitmentIsAnother() public {
        InferenceRequest memory terms = _answered();
        skip(WINDOW);
        for (uint256 field; field < 3; ++field) {
            IInferenceOracle.SettleItem memory item = _settleItem(terms);
            if (field == 0) item.commitment.operator = anyone;
            else if (field == 1) item.commitment.resultHash = keccak256("another");
            else item.commitment.traceRoot = keccak256("another");
            _expect(abi.encodeWithSelector(IInferenceOracle.CommitmentMismatch.selector, _id(terms)));
            oracle.settle(item);
        }
    }

    function test_SettleBatch_SkipsWhatCannotBeSettledAndPaysEachOperator() public {
        IInferenceOracle.SettleItem[] memory items = new IInferenceOracle.SettleItem[](6);
        items[0] = _settleItem(_answered());
        items[1] = _settleItem(_accepted());
        items[2] = _settleItem(_answered());
        items[2].commitment.traceRoot = 0;
        items[3] = _settleItem(_answered());
        items[4] = items[0];
        RequestParams memory params = _paramsFor(anyone, false);
        items[5] = _settleItem(_answered(params));
        items[5].result = "another";
        skip(WINDOW);
        IInferenceOracle.ItemCode[] memory codes = oracle.settleBatch(items);

        IInferenceOracle.ItemCode[6] memory expected = [
            IInferenceOracle.ItemCode.Done,
            IInferenceOracle.ItemCode.WrongState,
            IInferenceOracle.ItemCode.CommitmentMismatch,
            IInferenceOracle.ItemCode.Done,
            IInferenceOracle.ItemCode.WrongState,
            IInferenceOracle.ItemCode.ResultMismatch
        ];
        for (uint256 i; i < expected.length; ++i) {
            assertEq(uint256(codes[i]), uint256(expected[i]));
        }
        assertEq(_balance(payout), 2 * FEE + 1);
        _assertPosition(STAKE, 3 * BOND, 1, 5);
    }

    function test_SettleBatch_PaysOperatorsInTurn() public {
        (address second, address secondPayout) = (makeAddr("second"), makeAddr("second payout"));
        vm.prank(second);
        staking.register(signer, secondPayout);
        staking.bond(second, STAKE);
        IInferenceOracle.SettleItem[] memory items = new IInferenceOracle.SettleItem[](4);
        address first = operator;
        for (uint256 i; i < items.length; ++i) {
            operator = i % 3 == 0 ? first : second;
            items[i] = _settleItem(_answered());
        }
        operator = first;
        skip(WINDOW);
        oracle.settleBatch(items);
        assertEq(_balance(payout), 2 * FEE + 1);
        assertEq(_balance(secondPayout), 2 * FEE);
        assertEq(staking.positions(first).locked, 0);
        assertEq(staking.positions(second).locked, 0);
    }

    function test_SettleBatch_ReportsTooEarly() public {
        IInferenceOracle.SettleItem[] memory items = new IInferenceOracle.SettleItem[](1);
        items[0] = _settleItem(_answered());
        skip(WINDOW - 1);
        assertEq(uint256(oracle.settleBatch(items)[0]), uint256(IInferenceOracle.ItemCode.TooEarly));
    }

    function test_RevertWhen_SettleBatchIsEmpty() public {
        _expect(abi.encodeWithSelector(IInferenceOracle.EmptyBatch.selector));
        oracle.settleBatch(new IInferenceOracle.SettleItem[](0));
    }

    // ---- expire

    function test_Expire_RefundsPastTheDeadline() public {
        InferenceRequest memory terms = _request();
        vm.warp(terms.deadline);
        _expect(abi.encodeWithSelector(IInferenceOracle.DeadlineNotPassed.selector, terms.deadline));
        oracle.expire(terms);
        vm.warp(terms.deadline + 1);
        vm.expectEmit(address(oracle));
        emit IInferenceOracle.RequestExpired(_id(terms), FEE);
        oracle.expire(terms);
        _assertState(terms, RequestState.Expired);
        assertEq(_balance(requester), BALANCE);
        _expectWrongState(terms, RequestState.Requested, RequestState.Expired);
        oracle.expire(terms);
    }

    // ---- default

    function test_MarkDefaulted_RefundsAndSlashesTwiceTheFee() public {
        InferenceRequest memory terms = _accepted();
        vm.warp(terms.deadline);
        _expect(abi.encodeWithSelector(IInferenceOracle.DeadlineNotPassed.selector, terms.deadline));
        oracle.markDefaulted(terms, operator);
        vm.warp(terms.deadline + 1);
        _expect(abi.encodeWithSelector(IInferenceOracle.WrongOperator.selector, operator, anyone));
        oracle.markDefaulted(terms, anyone);
        vm.expectEmit(address(oracle));
        emit IInferenceOracle.RequestDefaulted(_id(terms), operator, FEE, 2 * FEE);
        oracle.markDefaulted(terms, operator);
        _assertState(terms, RequestState.Defaulted);
        assertEq(_balance(requester), BALANCE);
        assertEq(staking.claimable(requester), FEE);
        assertEq(staking.pendingBurn(), FEE);
        _assertPosition(STAKE - 2 * FEE, 0, 0, 1);
        _expectWrongState(terms, RequestState.Accepted, RequestState.Defaulted);
        oracle.markDefaulted(terms, operator);
    }

    function testFuzz_DefaultSplitsAddUp(uint96 fee) public {
        RequestParams memory params = _params();
        params.fee = uint96(bound(fee, 0, 100e18));
        params.bond = 20 * 100e18;
        InferenceRequest memory terms = _accepted(params);
        skip(TTL + 1);
        oracle.markDefaulted(terms, operator);
        assertEq(staking.claimable(requester) + staking.pendingBurn(), 2 * params.fee);
        assertLe(staking.claimable(requester), staking.pendingBurn());
        _assertPosition(STAKE - 2 * params.fee, 0, 0, 1);
    }

    // ---- the court

    function test_RevertWhen_CallerIsNotTheCourt() public {
        InferenceRequest memory terms = _answered();
        AnswerCommitment memory commitment = _commitment();
        bytes memory reason = abi.encodeWithSelector(IInferenceOracle.NotCourt.selector, address(this));
        _expect(reason);
        oracle.suspend(terms, commitment);
        _expect(reason);
        oracle.resume(terms, commitment, 0);
        _expect(reason);
        oracle.voidAnswer(terms, commitment, watcher);
    }

    function test_Suspend_UntilTheLastSecondOfTheWindow() public {
        InferenceRequest memory terms = _answered();
        vm.warp(START + WINDOW);
        AnswerCommitment memory commitment = _commitment();
        vm.startPrank(court);
        _expect(abi.encodeWithSelector(IInferenceOracle.DisputeOver.selector, START + WINDOW));
        oracle.suspend(terms, commitment);
        vm.warp(START + WINDOW - 1);
        commitment.traceRoot = 0;
        _expect(abi.encodeWithSelector(IInferenceOracle.CommitmentMismatch.selector, _id(terms)));
        oracle.suspend(terms, commitment);
        commitment.traceRoot = TRACE_ROOT;
        vm.expectEmit(address(oracle));
        emit IInferenceOracle.AnswerSuspended(_id(terms));
        oracle.suspend(terms, commitment);
        _assertState(terms, RequestState.RevealPending);
        _expectWrongState(terms, RequestState.Answered, RequestState.RevealPending);
        oracle.suspend(terms, commitment);
    }

    function test_Resume_MovesSettleAtForwardWithinTheLimit() public {
        InferenceRequest memory terms = _suspended();
        uint256 limit = uint256(terms.deadline) + WINDOW + ALLOWANCE;
        assertEq(oracle.disputeLimit(terms), limit);
        uint40[2] memory wrong = [START + WINDOW - 1, uint40(limit + 1)];
        AnswerCommitment memory commitment = _commitment();
        vm.startPrank(court);
        for (uint256 i; i < wrong.length; ++i) {
            _expect(abi.encodeWithSelector(IInferenceOracle.SettleAtOutOfBounds.selector, wrong[i], limit));
            oracle.resume(terms, commitment, wrong[i]);
        }
        commitment.traceRoot = 0;
        _expect(abi.encodeWithSelector(IInferenceOracle.CommitmentMismatch.selector, _id(terms)));
        oracle.resume(terms, commitment, uint40(limit));
        commitment.traceRoot = TRACE_ROOT;
        vm.expectEmit(address(oracle));
        emit IInferenceOracle.AnswerResumed(_id(terms), uint40(limit));
        oracle.resume(terms, commitment, uint40(limit));
        vm.stopPrank();

        (RequestState state,, uint40 settleAt,) = oracle.stateOf(_id(terms));
        assertEq(uint256(state), uint256(RequestState.Answered));
        assertEq(settleAt, limit);
        vm.warp(limit - 1);
        _expectSettle(terms, abi.encodeWithSelector(IInferenceOracle.NotFinalYet.selector, limit));
        vm.warp(limit);
        _settle(terms);
        _expectWrongState(terms, RequestState.RevealPending, RequestState.Settled);
        vm.prank(court);
        oracle.resume(terms, commitment, uint40(limit));
    }

    function test_Settle_OfASuspendedAnswerPastTheLimitOnly() public {
        InferenceRequest memory terms = _suspended();
        uint256 limit = oracle.disputeLimit(terms);
        vm.warp(limit);
        _expectSettle(terms, abi.encodeWithSelector(IInferenceOracle.NotFinalYet.selector, limit + 1));
        vm.warp(limit + 1);
        _settle(terms);
        _assertState(terms, RequestState.Settled);
    }

    function test_VoidAnswer_SlashesTheBond() public {
        InferenceRequest memory terms = _answered();
        vm.warp(START + WINDOW - 1);
        vm.expectEmit(address(oracle));
        emit IInferenceOracle.AnswerVoided(_id(terms), operator, watcher, FEE, BOND);
        _void(terms);
        _assertState(terms, RequestState.Slashed);
        assertEq(_balance(requester), BALANCE);
        assertEq(staking.claimable(requester), BOND / 5);
        assertEq(staking.claimable(watcher), BOND * 3 / 10);
        assertEq(staking.pendingBurn(), BOND / 2);
        _assertPosition(STAKE - BOND, 0, 0, 1);
    }

    function test_VoidAnswer_OfASuspendedAnswerAtAnyTime() public {
        InferenceRequest memory terms = _suspended();
        vm.warp(oracle.disputeLimit(terms) + 100);
        _void(terms);
        _assertState(terms, RequestState.Slashed);
    }

    function test_RevertWhen_VoidIsTooLateOrOfAnotherAnswer() public {
        InferenceRequest memory terms = _answered();
        AnswerCommitment memory commitment = _commitment();
        vm.startPrank(court);
        commitment.operator = anyone;
        _expect(abi.encodeWithSelector(IInferenceOracle.CommitmentMismatch.selector, _id(terms)));
        oracle.voidAnswer(terms, commitment, watcher);
        commitment.operator = operator;
        vm.warp(START + WINDOW);
        _expect(abi.encodeWithSelector(IInferenceOracle.DisputeOver.selector, START + WINDOW));
        oracle.voidAnswer(terms, commitment, watcher);
        vm.warp(START + WINDOW - 1);
        oracle.voidAnswer(terms, commitment, watcher);
        _expectWrongState(terms, RequestState.Answered, RequestState.Slashed);
        oracle.voidAnswer(terms, commitment, watcher);
    }

    function testFuzz_FraudSplitsAddUp(uint96 bond) public {
        RequestParams memory params = _params();
        params.bond = uint96(bound(bond, 50e18, STAKE));
        InferenceRequest memory terms = _answered(params);
        _void(terms);
        uint256 paid = uint256(staking.claimable(requester)) + staking.claimable(watcher);
        assertEq(paid + staking.pendingBurn(), params.bond);
        assertGe(staking.pendingBurn(), paid, "a coalition of all three parties never gains");
    }

    function _expectSettle(InferenceRequest memory terms, bytes memory reason) private {
        IInferenceOracle.SettleItem memory item = _settleItem(terms);
        _expect(reason);
        oracle.settle(item);
    }

    function _wrongState(InferenceRequest memory terms, RequestState expected, RequestState actual)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IInferenceOracle.WrongState.selector, _id(terms), expected, actual);
    }
}
