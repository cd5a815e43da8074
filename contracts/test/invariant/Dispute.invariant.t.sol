// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {DisputeManager} from "../../src/DisputeManager.sol";
import {IDisputeManager} from "../../src/interfaces/IDisputeManager.sol";
import {RequestState} from "../../src/types/RequestState.sol";
import {Deployment} from "../mocks/Deployment.sol";
import {DisputeHandler} from "./DisputeHandler.sol";
import {DisputeLedger} from "./DisputeLedger.sol";

/// @notice Invariants of the court, with the oracle and the staking contract as they are.
///
///         D1  What the court holds or may claim is what accounts, held shares, pending deposits and the burn add up to.
///         D2  Each account and each held share is what the verbs seen so far make of it, to the unit.
///         D3  An answer is suspended exactly while a demand on it is pending, and final by the dispute limit.
///         D4  No request costs its operator more than its bond.
///         D5  Operator, requester and watcher of a request together lose by every verb that ends a dispute, however they
///             overlap; of all that is taken, at least half is burned.
///         D6  No verb reverts that may come through. However it went, everybody can be paid, and then the court is empty.
contract DisputeInvariantTest is Test {
    DisputeHandler private handler;
    Deployment.System private system;
    DisputeManager private disputes;
    mapping(uint256 => uint256) private _totals;

    function setUp() public {
        handler = new DisputeHandler();
        (system, disputes) = handler.contracts();
        targetContract(address(handler));
        targetSelector(FuzzSelector(address(handler), _verbs()));
    }

    /// forge-config: default.invariant.runs = 24
    /// forge-config: default.invariant.depth = 120
    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_DisputesBalance() public view {
        _checkAll();
    }

    /// @dev D6, at the end of each run.
    function afterInvariant() public {
        _windUp();
    }

    /// @notice The checks above could not fail if nothing happened: on random walks each verb comes through.
    function test_Handler_ReachesEveryVerb() public {
        bytes4[] memory verbs = _verbs();
        string[] memory names = _names();
        uint256 seed = 1;
        for (uint256 walk; walk < 16; ++walk) {
            uint256 snapshot = vm.snapshotState();
            for (uint256 i; i < 150; ++i) {
                seed = uint256(keccak256(abi.encode(seed)));
                (bool succeeded,) =
                    address(handler).call(bytes.concat(verbs[seed % verbs.length], keccak256(abi.encode(seed))));
                assertTrue(succeeded, "a verb reverted that had to come through");
                if (i % 10 == 0) _checkAll();
            }
            _checkAll();
            _windUp();
            // What was counted must outlive the snapshot.
            uint256[] memory counts = new uint256[](names.length);
            for (uint256 i; i < names.length; ++i) {
                counts[i] = handler.done(names[i]);
            }
            vm.revertToState(snapshot);
            for (uint256 i; i < names.length; ++i) {
                _totals[i] += counts[i];
            }
        }
        for (uint256 i; i < names.length; ++i) {
            assertGt(_totals[i], 0, string.concat("never came through: ", names[i]));
        }
    }

    // ---- inside

    function _checkAll() private view {
        assertEq(handler.violation(), "");
        uint256 claims;
        uint256 demanded;
        for (uint256 i; i < handler.actorCount(); ++i) {
            address account = handler.actors(i);
            assertEq(disputes.claimable(account), handler.claimableOf(account), "D2: account");
            claims += disputes.claimable(account);
        }
        for (uint256 i; i < handler.trackedCount(); ++i) {
            DisputeLedger.Tracked memory request = handler.trackedAt(i);
            _checkShare(request.requestId);
            _checkDocket(request);
            demanded += handler.madeOf(request.requestId);
            assertLe(handler.slashedFor(request.requestId), request.terms.bond, "D4");
        }
        uint256 counted =
            uint256(disputes.demandsAgainst(handler.operators(0))) + disputes.demandsAgainst(handler.operators(1));
        assertEq(counted, demanded, "D2: demands");
        assertEq(disputes.pendingBurn(), handler.toBurn(), "D2: burn");
        uint256 owed = claims + handler.heldSum() + handler.depositSum() + handler.toBurn();
        address court = address(disputes);
        assertEq(system.token.balanceOf(court) + system.staking.claimable(court), owed, "D1");
        assertGe(2 * handler.burned(), handler.taken(), "D5");
    }

    function _checkShare(bytes32 requestId) private view {
        IDisputeManager.HeldShare memory share = disputes.heldShareOf(requestId);
        DisputeLedger.Held memory expected = handler.heldOf(requestId);
        assertEq(share.holder, expected.holder, "D2: holder");
        assertEq(share.amount, expected.amount, "D2: share");
        assertEq(share.announcedAt, expected.announcedAt, "D2: announced");
        assertEq(share.priorityUntil, expected.until, "D2: until");
    }

    function _checkDocket(DisputeLedger.Tracked memory request) private view {
        (uint32 made, uint16 pending) = disputes.demandsOf(request.requestId);
        assertEq(made, handler.madeOf(request.requestId), "D2: made");
        assertEq(pending, handler.pendingOf(request.requestId), "D2: pending");
        (RequestState state,, uint40 settleAt,) = system.oracle.stateOf(request.requestId);
        if (state == RequestState.Answered) assertEq(pending, 0, "D3: a demand on a running clock");
        if (state == RequestState.RevealPending) assertGt(pending, 0, "D3: suspended for nothing");
        assertLe(settleAt, system.oracle.disputeLimit(request.terms), "D3: limit");
    }

    function _windUp() private {
        handler.windUp();
        _checkAll();
        assertEq(system.token.balanceOf(address(disputes)), 0, "D6: left in the court");
        assertEq(system.staking.claimable(address(disputes)), 0, "D6: left to claim");
    }

    function _names() private pure returns (string[] memory) {
        return vm.split(
            "warp answer settle settlePastTheLimit announce proveFraud proveFraudAnnounced claimPriority collect demand "
            "reveal dismiss timeOut refund equivocateLive equivocateSettled claim burn",
            " "
        );
    }

    function _verbs() private pure returns (bytes4[] memory verbs) {
        verbs = new bytes4[](20);
        verbs[0] = verbs[1] = DisputeHandler.warp.selector;
        verbs[2] = verbs[3] = DisputeHandler.answer.selector;
        verbs[4] = DisputeHandler.settle.selector;
        verbs[5] = verbs[6] = DisputeHandler.announce.selector;
        verbs[7] = DisputeHandler.proveFraud.selector;
        verbs[8] = DisputeHandler.claimPriority.selector;
        verbs[9] = DisputeHandler.collect.selector;
        verbs[10] = verbs[11] = verbs[12] = DisputeHandler.demand.selector;
        verbs[13] = verbs[14] = DisputeHandler.reveal.selector;
        verbs[15] = DisputeHandler.timeOut.selector;
        verbs[16] = DisputeHandler.refund.selector;
        verbs[17] = DisputeHandler.equivocate.selector;
        verbs[18] = DisputeHandler.claim.selector;
        verbs[19] = DisputeHandler.burn.selector;
    }
}
