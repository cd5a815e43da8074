// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DisputeManager} from "../../src/DisputeManager.sol";
import {Verdict} from "../../src/court/Case.sol";
import {IDisputeManager} from "../../src/interfaces/IDisputeManager.sol";
import {IFraudVerifier} from "../../src/interfaces/IFraudVerifier.sol";
import {Answer, AnswerCommitment} from "../../src/types/Answer.sol";
import {RevealDemand, SignedAnswer} from "../../src/types/Dispute.sol";
import {InferenceRequest} from "../../src/types/InferenceRequest.sol";
import {ModelTerms} from "../../src/types/ModelTerms.sol";
import {RequestState} from "../../src/types/RequestState.sol";
import {MockVerifier} from "../mocks/MockVerifier.sol";
import {OracleTest} from "./OracleTest.sol";
import {Shipped} from "./Shipped.sol";

/// @notice `OracleTest` with the court that is shipped, and words for its verbs. The verifier believes what proofs say.
abstract contract DisputeTest is OracleTest {
    uint64 internal constant BASE = 1e18;
    uint32 internal constant AGE = 1 minutes;
    uint32 internal constant PRIORITY = 1 days;
    uint32 internal constant REVEAL_WINDOW = WINDOW / 2;
    bytes32 internal constant SALT = keccak256("salt");
    uint96 internal constant SHARE = BOND * 3 / 10;

    DisputeManager internal disputes;
    MockVerifier internal verifier;
    address internal copycat = makeAddr("copycat");

    function setUp() public virtual override {
        super.setUp();
        verifier = new MockVerifier();
        disputes = Shipped.disputesAt(court, address(oracle), address(verifier), BASE, AGE, PRIORITY);
        address[2] memory demanders = [watcher, copycat];
        for (uint256 i; i < demanders.length; ++i) {
            token.transfer(demanders[i], 10_000 * uint256(BASE));
            vm.prank(demanders[i]);
            token.approve(court, type(uint256).max);
        }
    }

    // ---- fraud

    function _claim() internal view returns (IFraudVerifier.Claim memory) {
        return IFraudVerifier.Claim({
            programRoot: _modelTerms().programRoot,
            inputHash: sha256(input),
            resultHash: sha256(result),
            traceRoot: TRACE_ROOT
        });
    }

    function _proof(uint256 version) internal view returns (bytes memory) {
        return verifier.proofOf(_claim(), Verdict.Violated, version);
    }

    function _announce(address account, InferenceRequest memory terms, bytes memory proof) internal {
        bytes32 announcement = disputes.announcementOf(account, _id(terms), keccak256(proof), SALT);
        vm.prank(account);
        disputes.announce(announcement);
    }

    function _prove(address account, InferenceRequest memory terms, bytes memory proof) internal {
        AnswerCommitment memory commitment = _commitment();
        ModelTerms memory modelTerms = _modelTerms();
        vm.prank(account);
        disputes.proveFraud(terms, commitment, anyone, modelTerms, proof, SALT);
    }

    function _claimPriority(address account, InferenceRequest memory terms, bytes memory proof) internal {
        IFraudVerifier.Claim memory claim = _claim();
        bytes32 requestId = _id(terms);
        vm.prank(account);
        disputes.claimPriority(requestId, claim, proof, SALT);
    }

    // ---- reveals

    function _leaves(uint32 first) internal pure returns (IFraudVerifier.Demand memory) {
        return IFraudVerifier.Demand({
            rows: 1,
            row: 0,
            tensor: 3,
            firstLeaf: 7,
            rowLeafCount: 20,
            leafBytes: 1024,
            byteCount: 4096,
            first: first,
            count: 1
        });
    }

    function _place(uint32 first) internal pure returns (bytes memory) {
        return abi.encode(_modelTerms().programRoot, _leaves(first));
    }

    function _demand(address account, InferenceRequest memory terms) internal returns (RevealDemand memory demand) {
        bytes32 requestId = _id(terms);
        (uint32 made,) = disputes.demandsOf(requestId);
        demand = RevealDemand({
            requestId: requestId,
            number: made,
            demander: account,
            deposit: uint96(disputes.depositFor(requestId, 1_024)),
            deadline: uint40(vm.getBlockTimestamp()) + REVEAL_WINDOW,
            window: REVEAL_WINDOW,
            programRoot: _modelTerms().programRoot,
            commitment: _commitment(),
            leaves: _leaves(made)
        });
        AnswerCommitment memory commitment = _commitment();
        ModelTerms memory modelTerms = _modelTerms();
        vm.expectEmit(court);
        emit IDisputeManager.RevealDemanded(requestId, operator, account, demand);
        vm.prank(account);
        uint32 number = disputes.demandReveal(terms, commitment, anyone, modelTerms, _place(made), demand.deposit);
        assertEq(number, made);
        assertTrue(disputes.isPending(demand));
    }

    function _reveal(InferenceRequest memory terms, RevealDemand memory demand) internal {
        bytes memory data = verifier.dataOf(demand.programRoot, TRACE_ROOT, demand.leaves);
        bytes32[] memory path = new bytes32[](1);
        path[0] = keccak256(data);
        disputes.reveal(terms, demand, data, path);
    }

    function _dismiss(InferenceRequest memory terms, RevealDemand memory demand, uint32 rows) internal {
        bytes32 treeRoot = verifier.treeRootOf(demand.programRoot, TRACE_ROOT, rows);
        disputes.dismiss(terms, demand, rows, treeRoot);
    }

    // ---- equivocation

    /// @dev Two answers, alone, that differ in their results.
    function _contradiction(InferenceRequest memory terms)
        internal
        view
        returns (SignedAnswer memory first, SignedAnswer memory second)
    {
        Answer memory answer = _answerOf(terms);
        first = _signedAlone(answer, signerKey);
        answer = _answerOf(terms);
        answer.resultHash = keccak256("another result");
        second = _signedAlone(answer, signerKey);
    }

    function _signedAlone(Answer memory answer, uint256 key) internal view returns (SignedAnswer memory signed) {
        signed.answer = answer;
        signed.signature = _sign(key, oracle.answerDigest(answer));
    }

    // ---- what is seen

    function _expectRevert(bytes memory reason) internal {
        vm.expectRevert(reason, court);
    }

    function _settleAt(InferenceRequest memory terms) internal view returns (uint40 settleAt) {
        (,, settleAt,) = oracle.stateOf(_id(terms));
    }

    function _state(InferenceRequest memory terms) internal view returns (RequestState state) {
        (state,,,) = oracle.stateOf(_id(terms));
    }

    /// @dev All that the court holds or may claim is somebody's.
    function _assertCourtHolds(uint256 expected) internal view {
        assertEq(token.balanceOf(court) + staking.claimable(court), expected, "the court's tokens");
    }
}
