// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {DisputeManager} from "../../src/DisputeManager.sol";
import {OPGToken} from "../../src/OPGToken.sol";
import {Verdict} from "../../src/court/Case.sol";
import {IDisputeManager} from "../../src/interfaces/IDisputeManager.sol";
import {IFraudVerifier} from "../../src/interfaces/IFraudVerifier.sol";
import {AnswerCommitment} from "../../src/types/Answer.sol";
import {RevealDemand, SignedAnswer} from "../../src/types/Dispute.sol";
import {InferenceRequest, RequestParams} from "../../src/types/InferenceRequest.sol";
import {Tier} from "../../src/types/ModelTerms.sol";
import {DeliveryState, RequestState} from "../../src/types/RequestState.sol";
import {Deployment} from "../mocks/Deployment.sol";
import {GasBurnerConsumer} from "../mocks/GasBurnerConsumer.sol";
import {MockVerifier} from "../mocks/MockVerifier.sol";
import {ReentrantConsumer} from "../mocks/ReentrantConsumer.sol";
import {ReentrantToken} from "../mocks/ReentrantToken.sol";
import {ShrinkingToken} from "../mocks/ShrinkingToken.sol";

/// @notice Tokens and consumers at their worst, against the court that is shipped.
contract DisputeHostileTest is Deployment {
    uint96 private constant FEE = 1e18;
    uint96 private constant BOND = 20e18;
    uint256 private constant SUPPLY = 1_000_000e18;
    bytes private constant INPUT = "input";
    bytes private constant RESULT = "result";

    System private system;
    DisputeManager private disputes;
    address private operator = makeAddr("operator");
    address private watcher = makeAddr("watcher");
    address private requester = makeAddr("requester");
    uint256 private signerKey;
    uint64 private nonce;

    function setUp() public {
        _stage(address(new OPGToken(address(this), SUPPLY)));
    }

    // ---- consumers

    /// @dev From within the notice of its conviction, a consumer calls every verb there is.
    function test_Consumer_CannotCallBackIntoTheCourt() public {
        ReentrantConsumer consumer = new ReentrantConsumer();
        (InferenceRequest memory terms, AnswerCommitment memory commitment) = _answered(address(consumer), 2_000_000);
        bytes[] memory calls = _everyVerb(terms, commitment);
        for (uint256 i; i < calls.length; ++i) {
            consumer.arm(address(disputes), calls[i]);
        }
        _prove(terms, commitment);
        assertEq(consumer.count(), calls.length);
        for (uint256 i; i < calls.length; ++i) {
            (bool succeeded, bytes4 reason) = consumer.outcomes(i);
            assertFalse(succeeded);
            assertEq(reason, ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        }
        assertEq(disputes.heldShareOf(system.oracle.requestIdOf(terms)).amount, BOND * 3 / 10);
    }

    function test_Consumer_ThatBurnsItsGasDoesNotStopAConviction() public {
        (InferenceRequest memory terms, AnswerCommitment memory commitment) =
            _answered(address(new GasBurnerConsumer()), 500_000);
        _prove(terms, commitment);
        (RequestState state, DeliveryState delivery,,) = system.oracle.stateOf(system.oracle.requestIdOf(terms));
        assertEq(uint256(state), uint256(RequestState.Slashed));
        assertEq(uint256(delivery), uint256(DeliveryState.Failed));
    }

    function test_Consumer_CannotBeTheCourt() public {
        RequestParams memory params = _params(system, FEE);
        params.consumer = address(disputes);
        vm.expectRevert();
        vm.prank(requester);
        system.oracle.request(params, INPUT);
    }

    // ---- tokens

    function test_Token_CannotCallBackIntoTheCourt() public {
        ReentrantToken token = new ReentrantToken(address(this), SUPPLY);
        _stage(address(token));
        (InferenceRequest memory terms, AnswerCommitment memory commitment) = _answered(address(0), 0);
        bytes[] memory calls = _everyVerb(terms, commitment);
        for (uint256 i; i < calls.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            token.arm(address(disputes), calls[i]);
            RevealDemand memory demand = _demand(terms, commitment);
            assertEq(token.attempts(), 1);
            assertFalse(token.succeeded());
            assertEq(token.reason(), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
            skip(demand.window + 1);
            disputes.revealTimeout(terms, demand);
            token.arm(address(disputes), calls[i]);
            vm.prank(watcher);
            disputes.claim(watcher);
            assertFalse(token.succeeded());
            vm.revertToState(snapshot);
        }
    }

    /// @dev A token that begins to keep a part of transfers takes no deposit, and gives no share less than it is; a
    ///      conviction moves no tokens, and happens.
    function test_Token_ThatTakesAFeeIsRefused() public {
        ShrinkingToken token = new ShrinkingToken(address(this), SUPPLY);
        _stage(address(token));
        (InferenceRequest memory terms, AnswerCommitment memory commitment) = _answered(address(0), 0);
        bytes32 requestId = system.oracle.requestIdOf(terms);
        token.setFee(100);
        bytes memory place = _place();
        vm.expectRevert(
            abi.encodeWithSelector(
                IDisputeManager.TransferMismatch.selector, BASE_DEPOSIT, BASE_DEPOSIT - BASE_DEPOSIT / 100
            )
        );
        vm.prank(watcher);
        disputes.demandReveal(terms, commitment, address(this), _modelTerms(Tier.Exact), place, BASE_DEPOSIT);
        _prove(terms, commitment);
        skip(PRIORITY_PERIOD + 1);
        disputes.collect(requestId);
        uint256 share = BOND * 3 / 10;
        vm.expectRevert(abi.encodeWithSelector(IDisputeManager.TransferMismatch.selector, share, share - share / 100));
        vm.prank(watcher);
        disputes.claim(watcher);
        token.setFee(0);
        vm.prank(watcher);
        assertEq(disputes.claim(watcher), share);
    }

    // ---- inside

    function _everyVerb(InferenceRequest memory terms, AnswerCommitment memory commitment)
        private
        view
        returns (bytes[] memory calls)
    {
        RevealDemand memory demand;
        SignedAnswer memory signed;
        IFraudVerifier.Claim memory claim;
        bytes32 requestId = system.oracle.requestIdOf(terms);
        calls = new bytes[](11);
        calls[0] = abi.encodeCall(IDisputeManager.announce, (bytes32(0)));
        calls[1] = abi.encodeCall(
            IDisputeManager.proveFraud, (terms, commitment, address(this), _modelTerms(Tier.Exact), "", bytes32(0))
        );
        calls[2] = abi.encodeCall(IDisputeManager.claimPriority, (requestId, claim, "", bytes32(0)));
        calls[3] = abi.encodeCall(IDisputeManager.collect, (requestId));
        calls[4] = abi.encodeCall(
            IDisputeManager.demandReveal,
            (terms, commitment, address(this), _modelTerms(Tier.Exact), _place(), type(uint96).max)
        );
        calls[5] = abi.encodeCall(IDisputeManager.reveal, (terms, demand, "", new bytes32[](0)));
        calls[6] = abi.encodeCall(IDisputeManager.dismiss, (terms, demand, 1, bytes32(0)));
        calls[7] = abi.encodeCall(IDisputeManager.revealTimeout, (terms, demand));
        calls[8] = abi.encodeCall(IDisputeManager.refundDemand, (demand));
        calls[9] = abi.encodeCall(IDisputeManager.slashEquivocation, (terms, commitment, signed, signed));
        calls[10] = abi.encodeCall(IDisputeManager.claim, (watcher));
    }

    function _stage(address token) private {
        (system, disputes) = _deployWithDisputes(token);
        (address signer, uint256 key) = makeAddrAndKey("signer");
        signerKey = key;
        system.token.transfer(operator, 1_000e18);
        system.token.transfer(requester, 1_000e18);
        system.token.transfer(watcher, 1_000e18);
        _register(system, operator, signer, 1_000e18);
        _deposit(system, requester, 1_000e18);
        vm.prank(watcher);
        system.token.approve(address(disputes), type(uint256).max);
        nonce = 0;
    }

    function _answered(address consumer, uint32 callbackGasLimit)
        private
        returns (InferenceRequest memory terms, AnswerCommitment memory commitment)
    {
        RequestParams memory params = _params(system, FEE);
        (params.consumer, params.callbackGasLimit, params.bond) = (consumer, callbackGasLimit, BOND);
        terms = _terms(params, requester, nonce++, INPUT);
        vm.prank(requester);
        system.oracle.request(params, INPUT);
        _accept(system, terms, operator, signerKey);
        commitment = _answer(system, terms, operator, signerKey, RESULT);
    }

    function _prove(InferenceRequest memory terms, AnswerCommitment memory commitment) private {
        bytes32 programRoot = _modelTerms(Tier.Exact).programRoot;
        IFraudVerifier.Claim memory claim =
            IFraudVerifier.Claim(programRoot, terms.inputHash, commitment.resultHash, commitment.traceRoot);
        bytes memory proof = MockVerifier(disputes.VERIFIER()).proofOf(claim, Verdict.Violated, 0);
        vm.prank(watcher);
        disputes.proveFraud(terms, commitment, address(this), _modelTerms(Tier.Exact), proof, 0);
    }

    function _leaves() private pure returns (IFraudVerifier.Demand memory leaves) {
        (leaves.rows, leaves.leafBytes, leaves.byteCount, leaves.count) = (1, 256, 256, 1);
    }

    function _place() private pure returns (bytes memory) {
        return abi.encode(_modelTerms(Tier.Exact).programRoot, _leaves());
    }

    function _demand(InferenceRequest memory terms, AnswerCommitment memory commitment)
        private
        returns (RevealDemand memory demand)
    {
        demand.requestId = system.oracle.requestIdOf(terms);
        demand.demander = watcher;
        demand.deposit = BASE_DEPOSIT;
        demand.window = _modelTerms(Tier.Exact).revealWindow;
        demand.deadline = uint40(vm.getBlockTimestamp()) + demand.window;
        demand.programRoot = _modelTerms(Tier.Exact).programRoot;
        demand.commitment = commitment;
        demand.leaves = _leaves();
        bytes memory place = _place();
        vm.prank(watcher);
        disputes.demandReveal(terms, commitment, address(this), _modelTerms(Tier.Exact), place, BASE_DEPOSIT);
        assertTrue(disputes.isPending(demand));
    }
}
