// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AnswerCommitment} from "../../src/types/Answer.sol";
import {RevealDemand, SignedAnswer} from "../../src/types/Dispute.sol";
import {InferenceRequest} from "../../src/types/InferenceRequest.sol";
import {ModelTerms} from "../../src/types/ModelTerms.sol";
import {DisputeTest} from "../support/DisputeTest.sol";

/// @notice What disputes cost, each a transaction of its own, without what the verifier does: it is a mock.
contract DisputeGasTest is DisputeTest {
    string private constant GROUP = "court";

    function setUp() public override {
        super.setUp();
        _slashBefore();
    }

    function test_Gas_Fraud() public {
        InferenceRequest memory terms = _answered();
        _announce(watcher, terms, _proof(0));
        vm.snapshotGasLastCall(GROUP, "announce");
        skip(AGE);
        uint256 snapshot = vm.snapshotState();
        _prove(watcher, terms, _proof(0));
        vm.snapshotGasLastCall(GROUP, "proveFraud, announced");
        vm.revertToState(snapshot);
        _prove(copycat, terms, _proof(1));
        vm.snapshotGasLastCall(GROUP, "proveFraud, unannounced");
        _claimPriority(watcher, terms, _proof(0));
        vm.snapshotGasLastCall(GROUP, "claimPriority");
        skip(PRIORITY + 1);
        bytes32 requestId = _id(terms);
        disputes.collect(requestId);
        vm.snapshotGasLastCall(GROUP, "collect");
        vm.prank(watcher);
        disputes.claim(watcher);
        vm.snapshotGasLastCall(GROUP, "claim");
    }

    function test_Gas_Reveal() public {
        InferenceRequest memory terms = _answered();
        uint256 snapshot = vm.snapshotState();
        AnswerCommitment memory commitment = _commitment();
        ModelTerms memory modelTerms = _modelTerms();
        vm.prank(watcher);
        disputes.demandReveal(terms, commitment, anyone, modelTerms, _place(0), BASE);
        vm.snapshotGasLastCall(GROUP, "demandReveal");
        vm.revertToState(snapshot);
        RevealDemand memory demand = _demand(watcher, terms);
        snapshot = vm.snapshotState();
        _reveal(terms, demand);
        vm.snapshotGasLastCall(GROUP, "reveal");
        vm.revertToState(snapshot);
        skip(REVEAL_WINDOW + 1);
        disputes.revealTimeout(terms, demand);
        vm.snapshotGasLastCall(GROUP, "revealTimeout");
    }

    function test_Gas_Equivocation() public {
        InferenceRequest memory terms = _answered();
        (SignedAnswer memory first, SignedAnswer memory second) = _contradiction(terms);
        AnswerCommitment memory commitment = _commitment();
        disputes.slashEquivocation(terms, commitment, first, second);
        vm.snapshotGasLastCall(GROUP, "slashEquivocation");
    }

    /// @dev Accounts and counters that a verb touches have been touched before.
    function _slashBefore() private {
        InferenceRequest memory terms = _answered();
        RevealDemand memory demand = _demand(watcher, terms);
        _reveal(terms, demand);
        _prove(watcher, terms, _proof(0));
        skip(PRIORITY + 1);
        disputes.collect(_id(terms));
    }
}
