// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Verdict} from "../../src/court/Case.sol";
import {IDisputeManager} from "../../src/interfaces/IDisputeManager.sol";
import {IFraudVerifier} from "../../src/interfaces/IFraudVerifier.sol";
import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {AnswerCommitment} from "../../src/types/Answer.sol";
import {InferenceRequest, RequestParams} from "../../src/types/InferenceRequest.sol";
import {ModelTerms, Tier} from "../../src/types/ModelTerms.sol";
import {RequestState} from "../../src/types/RequestState.sol";
import {MockVerifier} from "../mocks/MockVerifier.sol";
import {DisputeTest} from "../support/DisputeTest.sol";
import {Shipped} from "../support/Shipped.sol";

/// @notice Convictions by proof, and who is paid for them.
contract DisputeFraudTest is DisputeTest {
    // ---- convicting

    function test_ProveFraud_AnnouncedInTimePaysAtOnce() public {
        InferenceRequest memory terms = _answered();
        bytes memory proof = _proof(0);
        bytes32 announcement = disputes.announcementOf(watcher, _id(terms), keccak256(proof), SALT);
        vm.expectEmit(court);
        emit IDisputeManager.ProofAnnounced(announcement);
        vm.prank(watcher);
        disputes.announce(announcement);
        assertEq(disputes.announcedAt(announcement), START);
        skip(AGE);
        vm.expectEmit(court);
        emit IDisputeManager.FraudProven(_id(terms), operator, watcher, _claim(), 0);
        _prove(watcher, terms, proof);
        _assertState(terms, RequestState.Slashed);
        assertEq(disputes.announcedAt(announcement), 0, "has served");
        assertEq(staking.claimable(watcher), SHARE);
        assertEq(staking.claimable(requester), BOND / 5);
        assertEq(staking.pendingBurn(), BOND / 2);
        assertEq(_balance(requester), BALANCE);
        _assertCourtHolds(0);
        bytes32 requestId = _id(terms);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NothingHeld.selector, requestId));
        disputes.collect(requestId);
    }

    function test_ProveFraud_OnAForkWithAnotherChainId() public {
        vm.chainId(block.chainid + 1);
        InferenceRequest memory terms = _answered();
        bytes memory proof = _proof(0);
        vm.expectEmit(court);
        emit IDisputeManager.FraudProven(oracle.requestIdOf(terms), operator, watcher, _claim(), SHARE);
        _prove(watcher, terms, proof);
        _assertState(terms, RequestState.Slashed);
    }

    function test_RevertWhen_APaidAnnouncementIsRepeated() public {
        InferenceRequest memory terms = _answered();
        bytes memory proof = _proof(0);
        _announce(watcher, terms, proof);
        skip(AGE);
        _prove(watcher, terms, proof);
        _announce(watcher, terms, proof);
        skip(AGE);
        IFraudVerifier.Claim memory claim = _claim();
        bytes32 requestId = _id(terms);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NothingHeld.selector, requestId));
        disputes.claimPriority(requestId, claim, proof, SALT);
        AnswerCommitment memory commitment = _commitment();
        ModelTerms memory modelTerms = _modelTerms();
        _expectWrongState(terms, RequestState.Answered, RequestState.Slashed);
        disputes.proveFraud(terms, commitment, anyone, modelTerms, proof, SALT);
        assertEq(staking.claimable(watcher), SHARE, "once");
    }

    function test_ProveFraud_UnannouncedConvictsInOneTransactionAndPaysAfterThePriorityPeriod() public {
        InferenceRequest memory terms = _answered();
        bytes32 requestId = _id(terms);
        vm.warp(START + WINDOW - 1);
        vm.expectEmit(court);
        emit IDisputeManager.FraudProven(requestId, operator, watcher, _claim(), SHARE);
        _prove(watcher, terms, _proof(0));
        _assertState(terms, RequestState.Slashed);
        _assertCourtHolds(SHARE);
        uint40 until = START + WINDOW - 1 + PRIORITY;
        IDisputeManager.HeldShare memory share = disputes.heldShareOf(requestId);
        assertEq(share.holder, watcher);
        assertEq(share.announcedAt, START + WINDOW - 1);
        assertEq(share.priorityUntil, until);
        assertEq(share.amount, SHARE);

        vm.warp(until);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.PriorityNotOver.selector, until));
        disputes.collect(requestId);
        vm.warp(until + 1);
        vm.expectEmit(court);
        emit IDisputeManager.ShareCollected(requestId, watcher, SHARE);
        disputes.collect(requestId);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NothingHeld.selector, requestId));
        disputes.collect(requestId);

        vm.expectEmit(court);
        emit IDisputeManager.Claimed(watcher, anyone, SHARE);
        vm.prank(watcher);
        assertEq(disputes.claim(anyone), SHARE);
        assertEq(token.balanceOf(anyone), SHARE);
        _assertCourtHolds(0);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NothingToClaim.selector, watcher));
        vm.prank(watcher);
        disputes.claim(anyone);
    }

    function test_ProveFraud_WhileARevealIsDue() public {
        InferenceRequest memory terms = _answered();
        _demand(copycat, terms);
        skip(10 * WINDOW);
        _prove(watcher, terms, _proof(0));
        _assertState(terms, RequestState.Slashed);
    }

    function test_ProveFraud_OfABondTooSmallForAShareHoldsNothing() public {
        ModelTerms memory modelTerms = _modelTerms();
        modelTerms.minBond = 0;
        vm.prank(anyone);
        modelId = registry.register(modelTerms, "model", "{}", "");
        RequestParams memory params = _params();
        (params.modelId, params.fee, params.bond, params.valueAtRisk) = (modelId, 0, 3, 0);
        InferenceRequest memory terms = _answered(params);
        AnswerCommitment memory commitment = _commitment();
        disputes.proveFraud(terms, commitment, anyone, modelTerms, _proof(0), SALT);
        _assertState(terms, RequestState.Slashed);
        assertEq(disputes.heldShareOf(_id(terms)).holder, address(0));
    }

    function test_RevertWhen_ElementIsNotViolated() public {
        InferenceRequest memory terms = _answered();
        AnswerCommitment memory commitment = _commitment();
        ModelTerms memory modelTerms = _modelTerms();
        for (uint256 i; i < 2; ++i) {
            bytes memory proof = verifier.proofOf(_claim(), Verdict(i), 0);
            _expectRevert(abi.encodeWithSelector(IDisputeManager.NotViolated.selector, Verdict(i)));
            disputes.proveFraud(terms, commitment, anyone, modelTerms, proof, SALT);
        }
        vm.expectRevert(MockVerifier.ProofMalformed.selector);
        disputes.proveFraud(terms, commitment, anyone, modelTerms, "malformed", SALT);
        // A proof against another answer says nothing of this one.
        commitment.traceRoot = keccak256("another");
        bytes memory ofThis = _proof(0);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotViolated.selector, Verdict.Undefined));
        disputes.proveFraud(terms, commitment, anyone, modelTerms, ofThis, SALT);
        _assertState(terms, RequestState.Answered);
    }

    function test_RevertWhen_AnswerIsAnotherOrFinalOrConvicted() public {
        InferenceRequest memory terms = _answered();
        AnswerCommitment memory commitment = _commitment();
        ModelTerms memory modelTerms = _modelTerms();
        commitment.traceRoot = keccak256("another");
        IFraudVerifier.Claim memory claim = _claim();
        claim.traceRoot = commitment.traceRoot;
        bytes memory proof = verifier.proofOf(claim, Verdict.Violated, 0);
        _expect(abi.encodeWithSelector(IInferenceOracle.CommitmentMismatch.selector, _id(terms)));
        disputes.proveFraud(terms, commitment, anyone, modelTerms, proof, SALT);

        commitment = _commitment();
        proof = _proof(0);
        uint256 snapshot = vm.snapshotState();
        vm.warp(START + WINDOW);
        _expect(abi.encodeWithSelector(IInferenceOracle.DisputeOver.selector, START + WINDOW));
        disputes.proveFraud(terms, commitment, anyone, modelTerms, proof, SALT);
        vm.revertToState(snapshot);
        _prove(watcher, terms, proof);
        _expectWrongState(terms, RequestState.Answered, RequestState.Slashed);
        disputes.proveFraud(terms, commitment, anyone, modelTerms, proof, SALT);
    }

    function test_RevertWhen_ModelIsAnotherOrUnproven() public {
        InferenceRequest memory terms = _answered();
        AnswerCommitment memory commitment = _commitment();
        ModelTerms memory modelTerms = _modelTerms();
        bytes memory proof = _proof(0);
        bytes32 other = modelTerms.modelId(watcher);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.ModelMismatch.selector, modelId, other));
        disputes.proveFraud(terms, commitment, watcher, modelTerms, proof, SALT);
        modelTerms.programRoot = keccak256("another program");
        other = modelTerms.modelId(anyone);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.ModelMismatch.selector, modelId, other));
        disputes.proveFraud(terms, commitment, anyone, modelTerms, proof, SALT);

        modelTerms.tier = Tier.Unproven;
        terms.modelId = modelTerms.modelId(anyone);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotProvable.selector, terms.modelId));
        disputes.proveFraud(terms, commitment, anyone, modelTerms, proof, SALT);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotProvable.selector, terms.modelId));
        disputes.demandReveal(terms, commitment, anyone, modelTerms, _place(0), type(uint96).max);
    }

    // ---- who was first

    /// @dev Somebody sees the watcher's transaction, copies its proof and comes first.
    function test_ClaimPriority_TakesTheShareFromACopycat() public {
        InferenceRequest memory terms = _answered();
        _announce(watcher, terms, _proof(0));
        skip(AGE);
        // The copy is another proof of the same fraud, byte for byte.
        _prove(copycat, terms, _proof(1));
        vm.expectEmit(court);
        emit IDisputeManager.PriorityClaimed(_id(terms), watcher, START);
        _claimPriority(watcher, terms, _proof(0));
        skip(PRIORITY + 1);
        disputes.collect(_id(terms));
        assertEq(disputes.claimable(watcher), SHARE);
        assertEq(disputes.claimable(copycat), 0);
    }

    /// @dev The copycat keeps the watcher's transaction out of a few blocks, announces and convicts.
    function test_ClaimPriority_TakesTheShareFromACopycatThatAnnouncedLater() public {
        InferenceRequest memory terms = _answered();
        _announce(watcher, terms, _proof(0));
        skip(AGE);
        _announce(copycat, terms, _proof(0));
        skip(AGE - 1);
        _prove(copycat, terms, _proof(0));
        assertEq(disputes.heldShareOf(_id(terms)).announcedAt, START + AGE);
        _claimPriority(watcher, terms, _proof(0));
        assertEq(disputes.heldShareOf(_id(terms)).holder, watcher);
        assertEq(disputes.heldShareOf(_id(terms)).priorityUntil, START + 2 * AGE - 1 + PRIORITY);
        IFraudVerifier.Claim memory claim = _claim();
        bytes32 requestId = _id(terms);
        bytes memory proof = _proof(0);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotAnnouncedEarlier.selector, START + AGE, START));
        vm.prank(copycat);
        disputes.claimPriority(requestId, claim, proof, SALT);
    }

    function test_RevertWhen_PriorityIsNotTheCallers() public {
        InferenceRequest memory terms = _answered();
        bytes32 requestId = _id(terms);
        IFraudVerifier.Claim memory claim = _claim();
        bytes memory proof = _proof(0);
        bytes memory honest = verifier.proofOf(claim, Verdict.Within, 0);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NothingHeld.selector, requestId));
        disputes.claimPriority(requestId, claim, proof, SALT);
        _announce(watcher, terms, proof);
        _announce(watcher, terms, honest);
        skip(1);
        _announce(anyone, terms, proof);
        _prove(copycat, terms, proof);

        // In the second of the conviction is too late; so is never.
        vm.startPrank(anyone);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotAnnouncedEarlier.selector, START + 1, START + 1));
        disputes.claimPriority(requestId, claim, proof, SALT);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotAnnouncedEarlier.selector, 0, START + 1));
        disputes.claimPriority(requestId, claim, proof, keccak256("another salt"));
        vm.stopPrank();

        vm.startPrank(watcher);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotViolated.selector, Verdict.Within));
        disputes.claimPriority(requestId, claim, honest, SALT);
        claim.resultHash = keccak256("another");
        _expectRevert(abi.encodeWithSelector(IDisputeManager.ClaimMismatch.selector, requestId));
        disputes.claimPriority(requestId, claim, proof, SALT);
        claim = _claim();
        skip(PRIORITY + 1);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.PriorityOver.selector, START + 1 + PRIORITY));
        disputes.claimPriority(requestId, claim, proof, SALT);
        vm.stopPrank();
    }

    function test_Announce_CannotBeMadeYoungerByRepetition() public {
        InferenceRequest memory terms = _answered();
        _announce(watcher, terms, _proof(0));
        bytes32 announcement = disputes.announcementOf(watcher, _id(terms), keccak256(_proof(0)), SALT);
        skip(AGE);
        vm.prank(copycat);
        disputes.announce(announcement);
        assertEq(disputes.announcedAt(announcement), START);
    }

    /// @dev What is burned is at least what requester and watcher get, whoever they are.
    function testFuzz_ConvictionsAddUp(uint96 bond, bool announced) public {
        RequestParams memory params = _params();
        params.bond = uint96(bound(bond, 50e18, STAKE));
        InferenceRequest memory terms = _answered(params);
        if (announced) _announce(watcher, terms, _proof(0));
        skip(AGE);
        _prove(watcher, terms, _proof(0));
        uint256 held = disputes.heldShareOf(_id(terms)).amount;
        uint256 paid = uint256(staking.claimable(requester)) + staking.claimable(watcher) + held;
        assertEq(held == 0, announced);
        _assertCourtHolds(held);
        assertEq(paid + staking.pendingBurn(), params.bond);
        assertGe(staking.pendingBurn(), paid);
    }

    // ---- the constructor

    function test_Constructor_ChecksItsArguments() public {
        assertEq(disputes.TOKEN(), address(token));
        assertEq(disputes.STAKING(), address(staking));
        assertEq(disputes.ORACLE(), address(oracle));
        assertEq(disputes.VERIFIER(), address(verifier));
        vm.expectRevert(IDisputeManager.ZeroAddress.selector);
        this.create(address(0), address(verifier), BASE, AGE, PRIORITY);
        vm.expectRevert(IDisputeManager.ZeroAddress.selector);
        this.create(address(oracle), address(0), BASE, AGE, PRIORITY);
        vm.expectRevert(IDisputeManager.ZeroAmount.selector);
        this.create(address(oracle), address(verifier), 0, AGE, PRIORITY);
        vm.expectRevert(IDisputeManager.ZeroAmount.selector);
        this.create(address(oracle), address(verifier), BASE, 0, PRIORITY);
        vm.expectRevert(IDisputeManager.ZeroAmount.selector);
        this.create(address(oracle), address(verifier), BASE, AGE, 0);
        vm.expectPartialRevert(IDisputeManager.WiringMismatch.selector);
        this.create(address(oracle), address(verifier), BASE, AGE, PRIORITY);
    }

    function create(address oracle_, address verifier_, uint64 base, uint32 age, uint32 period) external {
        Shipped.create("DisputeManager", abi.encode(oracle_, verifier_, base, age, period));
    }

    function test_RevertWhen_ClaimingToNobodyOrBurningNothing() public {
        _expectRevert(abi.encodeWithSelector(IDisputeManager.ZeroAddress.selector));
        disputes.claim(address(0));
        _expectRevert(abi.encodeWithSelector(IDisputeManager.ZeroAmount.selector));
        disputes.burn();
    }
}
