// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IDisputeManager} from "../../src/interfaces/IDisputeManager.sol";
import {IFraudVerifier} from "../../src/interfaces/IFraudVerifier.sol";
import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {AnswerCommitment} from "../../src/types/Answer.sol";
import {RevealDemand} from "../../src/types/Dispute.sol";
import {InferenceRequest, RequestParams} from "../../src/types/InferenceRequest.sol";
import {ModelTerms} from "../../src/types/ModelTerms.sol";
import {RequestState} from "../../src/types/RequestState.sol";
import {MockVerifier} from "../mocks/MockVerifier.sol";
import {DisputeTest} from "../support/DisputeTest.sol";

/// @notice Demands to reveal: what they cost, who answers them and when, and what becomes of every deposit.
contract DisputeRevealTest is DisputeTest {
    uint256 private _before;

    function setUp() public override {
        super.setUp();
        _before = token.balanceOf(watcher);
    }

    // ---- demanding

    function test_DemandReveal_StopsTheClockAndPullsTheDeposit() public {
        InferenceRequest memory terms = _answered();
        _demand(watcher, terms);
        _assertState(terms, RequestState.RevealPending);
        assertEq(token.balanceOf(watcher), _before - BASE);
        _assertCourtHolds(BASE);
        (uint32 made, uint16 pending) = disputes.demandsOf(_id(terms));
        assertEq(made, 1);
        assertEq(pending, 1);
        assertEq(disputes.demandsAgainst(operator), 1);
    }

    function test_DemandReveal_CountsAllThatWasEverDemandedOfAnOperator() public {
        assertEq(disputes.demandsAgainst(operator), 0);
        InferenceRequest memory first = _answered();
        InferenceRequest memory second = _answered();
        RevealDemand memory met = _demand(watcher, first);
        _demand(watcher, second);
        assertEq(disputes.demandsAgainst(operator), 2);
        _reveal(first, met);
        assertEq(disputes.demandsAgainst(operator), 2, "what is met was demanded all the same");
        _demand(watcher, first);
        assertEq(disputes.demandsAgainst(operator), 3);
        assertEq(disputes.demandsAgainst(watcher), 0);
    }

    function test_DemandReveal_GetsDearerWithWhatIsPending() public {
        InferenceRequest memory terms = _answered();
        RevealDemand[] memory demands = new RevealDemand[](4);
        for (uint256 i; i < 4; ++i) {
            assertEq(disputes.depositFor(_id(terms), 1), uint256(BASE) << i);
            demands[i] = _demand(watcher, terms);
        }
        for (uint256 i; i < 4; ++i) {
            _assertState(terms, RequestState.RevealPending);
            _reveal(terms, demands[i]);
        }
        _assertState(terms, RequestState.Answered);
        assertEq(disputes.depositFor(_id(terms), 1), BASE);
    }

    /// @dev What does not fit a transaction cannot be asked for, and what is large costs its size.
    function test_DemandReveal_IsBoundedAndPricedBySize() public {
        InferenceRequest memory terms = _answered();
        assertEq(disputes.depositFor(_id(terms), 1_024), BASE);
        assertEq(disputes.depositFor(_id(terms), 1_025), 2 * BASE);
        AnswerCommitment memory commitment = _commitment();
        ModelTerms memory modelTerms = _modelTerms();
        IFraudVerifier.Demand memory leaves = _leaves(0);
        leaves.count = 65;
        bytes memory place = abi.encode(modelTerms.programRoot, leaves);
        vm.startPrank(watcher);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.RevealTooLarge.selector, 66_560, 65_536));
        disputes.demandReveal(terms, commitment, anyone, modelTerms, place, type(uint96).max);
        leaves.count = 64;
        place = abi.encode(modelTerms.programRoot, leaves);
        disputes.demandReveal(terms, commitment, anyone, modelTerms, place, 64 * uint96(BASE));
        assertEq(token.balanceOf(watcher), _before - 64 * uint256(BASE));
    }

    /// @dev An accomplice of the operator demands what is harmless: others can still demand what is not, and half of
    ///      what it deposits is burned.
    function test_DemandReveal_CannotBeShutForOthers() public {
        InferenceRequest memory terms = _answered();
        for (uint256 i; i < 32; ++i) {
            _reveal(terms, _demand(copycat, terms));
        }
        assertEq(disputes.pendingBurn(), (16 + 2 * 16) * uint256(BASE) / 2);
        assertEq(disputes.depositFor(_id(terms), 1), 3 * BASE);
        _demand(watcher, terms);
    }

    function test_RevertWhen_DepositIsAboveWhatTheCallerSaid() public {
        InferenceRequest memory terms = _answered();
        AnswerCommitment memory commitment = _commitment();
        ModelTerms memory modelTerms = _modelTerms();
        _expectRevert(abi.encodeWithSelector(IDisputeManager.DepositAboveMaximum.selector, BASE, BASE - 1));
        vm.prank(watcher);
        disputes.demandReveal(terms, commitment, anyone, modelTerms, _place(0), BASE - 1);
    }

    function test_RevertWhen_DemandCouldNotRunItsFullTime() public {
        InferenceRequest memory terms = _answered();
        uint256 limit = oracle.disputeLimit(terms);
        _demand(watcher, terms);
        AnswerCommitment memory commitment = _commitment();
        ModelTerms memory modelTerms = _modelTerms();
        vm.warp(limit - 2 * REVEAL_WINDOW + 1);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.DemandTooLate.selector, limit + 1, limit));
        vm.prank(copycat);
        disputes.demandReveal(terms, commitment, anyone, modelTerms, _place(0), type(uint96).max);
        vm.warp(limit - 2 * REVEAL_WINDOW);
        RevealDemand memory last = _demand(copycat, terms);
        vm.warp(last.deadline);
        assertEq(last.deadline + last.window, limit);
    }

    function test_RevertWhen_AnswerIsFinalOrAnother() public {
        InferenceRequest memory terms = _answered();
        AnswerCommitment memory commitment = _commitment();
        ModelTerms memory modelTerms = _modelTerms();
        uint40 settleAt = _settleAt(terms);
        commitment.traceRoot = keccak256("another");
        vm.startPrank(watcher);
        _expect(abi.encodeWithSelector(IInferenceOracle.CommitmentMismatch.selector, _id(terms)));
        disputes.demandReveal(terms, commitment, anyone, modelTerms, _place(0), BASE);
        commitment = _commitment();
        vm.warp(settleAt);
        _expect(abi.encodeWithSelector(IInferenceOracle.DisputeOver.selector, settleAt));
        disputes.demandReveal(terms, commitment, anyone, modelTerms, _place(0), BASE);
        vm.warp(settleAt - 1);
        disputes.demandReveal(terms, commitment, anyone, modelTerms, _place(0), BASE);
        // The second demand does not suspend, so nobody else would look at its commitment.
        commitment.traceRoot = keccak256("another");
        _expectRevert(abi.encodeWithSelector(IDisputeManager.CommitmentMismatch.selector, _id(terms)));
        disputes.demandReveal(terms, commitment, anyone, modelTerms, _place(0), 2 * BASE);
        vm.stopPrank();
        _prove(copycat, terms, _proof(0));
        commitment = _commitment();
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotInDispute.selector, _id(terms), RequestState.Slashed));
        vm.prank(watcher);
        disputes.demandReveal(terms, commitment, anyone, modelTerms, _place(0), 2 * BASE);
    }

    function test_RevertWhen_PlaceIsNone() public {
        InferenceRequest memory terms = _answered();
        AnswerCommitment memory commitment = _commitment();
        ModelTerms memory modelTerms = _modelTerms();
        bytes memory place = abi.encode(keccak256("another program"), _leaves(0));
        vm.expectRevert(MockVerifier.PlaceMalformed.selector);
        disputes.demandReveal(terms, commitment, anyone, modelTerms, place, BASE);
    }

    // ---- revealing

    function test_Reveal_ShowsTheDataPaysTheOperatorAndGivesTimeToUseIt() public {
        InferenceRequest memory terms = _answered();
        vm.warp(START + WINDOW - 1);
        RevealDemand memory demand = _demand(watcher, terms);
        vm.warp(demand.deadline);
        bytes memory data = verifier.dataOf(demand.programRoot, TRACE_ROOT, demand.leaves);
        bytes32[] memory path = new bytes32[](1);
        path[0] = keccak256(data);
        vm.expectEmit(court);
        emit IDisputeManager.Revealed(_id(terms), 0, data, path);
        _reveal(terms, demand);
        _assertState(terms, RequestState.Answered);
        assertEq(_settleAt(terms), demand.deadline + REVEAL_WINDOW);
        assertFalse(disputes.isPending(demand));
        assertEq(disputes.claimable(payout), BASE / 2);
        assertEq(disputes.pendingBurn(), BASE / 2);

        vm.prank(payout);
        disputes.claim(payout);
        vm.expectEmit(court);
        emit IDisputeManager.Burned(BASE / 2);
        disputes.burn();
        assertEq(token.balanceOf(BURN), BASE / 2);
        _assertCourtHolds(0);
        // What was shown proves a fraud, in the last second there is.
        vm.warp(_settleAt(terms) - 1);
        _prove(watcher, terms, _proof(0));
    }

    function test_Reveal_NeverMovesSettleAtBack() public {
        InferenceRequest memory terms = _answered();
        _reveal(terms, _demand(watcher, terms));
        assertEq(_settleAt(terms), START + WINDOW);
    }

    function test_Reveal_ResumesWithTheLastOfSeveral() public {
        InferenceRequest memory terms = _answered();
        RevealDemand memory first = _demand(watcher, terms);
        skip(REVEAL_WINDOW / 2);
        RevealDemand memory second = _demand(copycat, terms);
        _reveal(terms, second);
        _assertState(terms, RequestState.RevealPending);
        _reveal(terms, first);
        _assertState(terms, RequestState.Answered);
        _assertCourtHolds(3 * BASE);
    }

    /// @dev However often it is demanded, every answer is final in the end.
    function test_Reveal_RoundsEndBeforeTheDisputeLimit() public {
        InferenceRequest memory terms = _answered();
        uint256 limit = oracle.disputeLimit(terms);
        uint256 rounds;
        while (vm.getBlockTimestamp() + 2 * REVEAL_WINDOW <= limit) {
            RevealDemand memory demand = _demand(watcher, terms);
            vm.warp(demand.deadline);
            _reveal(terms, demand);
            assertLe(_settleAt(terms), limit);
            vm.warp(_settleAt(terms) - 1);
            ++rounds;
        }
        vm.warp(limit);
        _settle(terms);
        // Delay costs its square.
        assertGt(disputes.pendingBurn(), rounds * rounds * BASE / 64);
    }

    function test_RevertWhen_RevealIsLateOrWrongOrTwice() public {
        InferenceRequest memory terms = _answered();
        RevealDemand memory demand = _demand(watcher, terms);
        bytes memory data = verifier.dataOf(demand.programRoot, TRACE_ROOT, demand.leaves);
        bytes32[] memory path = new bytes32[](1);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotRevealed.selector, _id(terms), 0));
        disputes.reveal(terms, demand, data, path);

        RevealDemand memory another = demand;
        another.leaves.first = 5;
        _expectRevert(abi.encodeWithSelector(IDisputeManager.DemandUnknown.selector, _id(terms), 0));
        disputes.reveal(terms, another, data, path);
        another.leaves.first = 0;
        InferenceRequest memory other = _answered();
        _expectRevert(abi.encodeWithSelector(IDisputeManager.RequestMismatch.selector, _id(terms), _id(other)));
        disputes.reveal(other, demand, data, path);

        uint256 snapshot = vm.snapshotState();
        vm.warp(demand.deadline + 1);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.RevealWindowOver.selector, demand.deadline));
        disputes.reveal(terms, demand, data, path);
        vm.revertToState(snapshot);
        _reveal(terms, demand);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.DemandUnknown.selector, _id(terms), 0));
        disputes.reveal(terms, demand, data, path);
    }

    // ---- dismissing

    function test_Dismiss_ShowsAnotherNumberOfRows() public {
        InferenceRequest memory terms = _answered();
        RevealDemand memory demand = _demand(watcher, terms);
        bytes32 treeRoot = verifier.treeRootOf(demand.programRoot, TRACE_ROOT, 1);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotDismissed.selector, _id(terms), 0));
        disputes.dismiss(terms, demand, 1, treeRoot);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotDismissed.selector, _id(terms), 0));
        disputes.dismiss(terms, demand, 2, treeRoot);
        vm.expectEmit(court);
        emit IDisputeManager.DemandDismissed(_id(terms), 0, 2, verifier.treeRootOf(demand.programRoot, TRACE_ROOT, 2));
        _dismiss(terms, demand, 2);
        _assertState(terms, RequestState.Answered);
        assertEq(disputes.claimable(payout), BASE / 2);
    }

    // ---- silence

    function test_RevealTimeout_VoidsTheAnswerForTheDemander() public {
        InferenceRequest memory terms = _answered();
        RevealDemand memory demand = _demand(watcher, terms);
        vm.warp(demand.deadline);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.RevealWindowNotOver.selector, demand.deadline));
        disputes.revealTimeout(terms, demand);
        vm.warp(demand.deadline + 1);
        vm.expectEmit(court);
        emit IDisputeManager.RevealTimedOut(_id(terms), 0, watcher);
        vm.prank(copycat);
        disputes.revealTimeout(terms, demand);
        _assertState(terms, RequestState.Slashed);
        assertEq(staking.claimable(watcher), SHARE);
        vm.prank(watcher);
        disputes.claim(watcher);
        assertEq(token.balanceOf(watcher), _before);
        _assertCourtHolds(0);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.DemandUnknown.selector, _id(terms), 0));
        disputes.revealTimeout(terms, demand);
    }

    /// @dev An operator cannot escape one demand by meeting another.
    function test_RevealTimeout_OfOneWhereAnotherWasMet() public {
        InferenceRequest memory terms = _answered();
        RevealDemand memory ignored = _demand(watcher, terms);
        RevealDemand memory met = _demand(copycat, terms);
        _reveal(terms, met);
        vm.warp(ignored.deadline + 1);
        disputes.revealTimeout(terms, ignored);
        _assertState(terms, RequestState.Slashed);
        _assertCourtHolds(3 * BASE);
    }

    function test_RefundDemand_AfterAnotherDemandTimedOut() public {
        InferenceRequest memory terms = _answered();
        RevealDemand memory first = _demand(watcher, terms);
        skip(1);
        RevealDemand memory second = _demand(copycat, terms);
        vm.warp(first.deadline + 1);
        _expectRevert(
            abi.encodeWithSelector(IDisputeManager.DisputeNotOver.selector, _id(terms), RequestState.RevealPending)
        );
        disputes.refundDemand(second);
        disputes.revealTimeout(terms, first);
        // The second was not met, and cannot be any more: neither by a reveal nor by silence.
        bytes memory data = verifier.dataOf(second.programRoot, TRACE_ROOT, second.leaves);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotInDispute.selector, _id(terms), RequestState.Slashed));
        disputes.reveal(terms, second, data, new bytes32[](0));
        vm.warp(second.deadline + 1);
        _expectWrongState(terms, RequestState.Answered, RequestState.Slashed);
        disputes.revealTimeout(terms, second);
        vm.expectEmit(court);
        emit IDisputeManager.DemandRefunded(_id(terms), 1, copycat);
        disputes.refundDemand(second);
        assertEq(disputes.claimable(copycat), 2 * BASE);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.DemandUnknown.selector, _id(terms), 1));
        disputes.refundDemand(second);
    }

    function test_RefundDemand_AfterAProof() public {
        InferenceRequest memory terms = _answered();
        RevealDemand memory demand = _demand(copycat, terms);
        _prove(watcher, terms, _proof(0));
        disputes.refundDemand(demand);
        assertEq(disputes.claimable(copycat), BASE);
        _assertCourtHolds(BASE + SHARE);
    }

    /// @dev Nobody called `revealTimeout` in all that time: the answer is final, and the deposit is not lost.
    function test_RefundDemand_AfterSettlementPastTheLimit() public {
        InferenceRequest memory terms = _answered();
        RevealDemand memory demand = _demand(watcher, terms);
        vm.warp(oracle.disputeLimit(terms) + 1);
        _settle(terms);
        _expectWrongState(terms, RequestState.Answered, RequestState.Settled);
        disputes.revealTimeout(terms, demand);
        disputes.refundDemand(demand);
        assertEq(disputes.claimable(watcher), BASE);
    }

    /// @dev Where the operator made the demands itself, it is the poorer by what is burned.
    function testFuzz_DemandsOfAnAccompliceCost(uint8 count, uint256 seed) public {
        InferenceRequest memory terms = _answered();
        count = uint8(bound(count, 1, 6));
        uint256 spent;
        for (uint256 i; i < count; ++i) {
            RevealDemand memory demand = _demand(copycat, terms);
            spent += demand.deposit;
            skip(seed % REVEAL_WINDOW);
            _reveal(terms, demand);
        }
        assertEq(disputes.claimable(payout) + disputes.pendingBurn(), spent);
        assertGe(2 * uint256(disputes.pendingBurn()), spent);
    }
}
