// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {IOperatorStaking} from "../../src/interfaces/IOperatorStaking.sol";
import {RequestState} from "../../src/types/RequestState.sol";
import {Deployment} from "../mocks/Deployment.sol";
import {OracleHandler} from "./OracleHandler.sol";

/// @notice Invariants of the oracle and the staking contract together.
///
///         I1  The oracle holds what its accounts and the fees of its live requests add up to.
///         I2  The staking contract holds all stake, all claims and what is to be burned.
///         I3  Nobody's tokens come from anywhere: those of all actors, both contracts and the burn add up.
///         I4  Each account and each claim is what the transitions seen so far make of it, to the unit.
///         I5  Each operator's stake, lock and counters are, too; a lock is the sum of the bonds of its requests.
///         I6  Stake that is not unbonding covers the lock, and unbondings are the rest.
///         I7  No transition but those of the table, by whom and when the table says; ends are ends.
///         I8  Of what is slashed within requests at least half is burned; no coalition of requester, operator
///             and watcher is richer for it.
///         I9  No verb reverts that the table lets through. However it went, everything can be ended and everybody
///             be paid, and then both contracts are empty.
contract OracleInvariantTest is Test {
    OracleHandler private handler;
    Deployment.System private system;
    uint256 private supply;
    /// @dev How often each verb came through and each state was reached, over all walks.
    mapping(uint256 => uint256) private _totals;

    function setUp() public {
        handler = new OracleHandler();
        system = handler.contracts();
        supply = _allTokens();

        bytes4[] memory verbs = _verbs();
        targetContract(address(handler));
        targetSelector(FuzzSelector(address(handler), verbs));
    }

    /// forge-config: default.invariant.runs = 40
    /// forge-config: default.invariant.depth = 120
    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_BooksBalance() public view {
        _checkAll();
    }

    /// @dev I9, at the end of each run.
    function afterInvariant() public {
        _windUp();
        if (handler.trackedCount() == 0) return;
        uint256 ended = handler.reached(RequestState.Cancelled) + handler.reached(RequestState.Expired)
            + handler.reached(RequestState.Defaulted) + handler.reached(RequestState.Slashed)
            + handler.reached(RequestState.Settled);
        assertEq(ended, handler.trackedCount(), "a request never ended");
    }

    /// @notice The checks above could not fail if nothing happened: on one long random walk each verb comes through
    ///         and each state is reached.
    function test_Handler_ReachesEveryVerbAndState() public {
        bytes4[] memory verbs = _verbs();
        uint256 seed = 1;
        for (uint256 walk; walk < 12; ++walk) {
            uint256 snapshot = vm.snapshotState();
            for (uint256 i; i < 150; ++i) {
                seed = uint256(keccak256(abi.encode(seed)));
                // The verbs take up to four words; those that take fewer ignore the rest.
                bytes memory words = abi.encode(
                    keccak256(abi.encode(seed, 1)),
                    keccak256(abi.encode(seed, 2)),
                    keccak256(abi.encode(seed, 3)),
                    keccak256(abi.encode(seed, 4))
                );
                (bool succeeded,) = address(handler).call(bytes.concat(verbs[seed % verbs.length], words));
                assertTrue(succeeded, "a verb reverted that had to come through");
                if (i % 10 == 0) _checkAll();
            }
            _checkAll();
            // What was counted must outlive the snapshot.
            uint256[] memory counts = _counts();
            _windUp();
            vm.revertToState(snapshot);
            for (uint256 i; i < counts.length; ++i) {
                _totals[i] += counts[i];
            }
        }
        string[] memory verbNames = _verbNames();
        for (uint256 i; i < verbNames.length; ++i) {
            assertGt(_totals[i], 0, string.concat("never came through: ", verbNames[i]));
        }
        for (uint256 i = 1; i <= uint256(type(RequestState).max); ++i) {
            assertGt(_totals[verbNames.length + i], 0, string.concat("never reached: state ", vm.toString(i)));
        }
    }

    // ---- inside

    function _checkAll() private view {
        assertEq(handler.violation(), "", "I7");
        assertGe(2 * handler.burned(), handler.taken(), "I8");

        uint256 balances;
        uint256 claims;
        uint256 stakes;
        for (uint256 i; i < handler.actorCount(); ++i) {
            address account = handler.actors(i);
            (uint96 balance,) = system.oracle.accounts(account);
            uint96 claimable = system.staking.claimable(account);
            assertEq(balance, handler.balanceOf(account), "I4: account");
            assertEq(claimable, handler.claimableOf(account), "I4: claim");
            balances += balance;
            claims += claimable;
        }
        for (uint256 i; i < handler.operatorCount(); ++i) {
            address operator = handler.operators(i);
            IOperatorStaking.Position memory position = system.staking.positions(operator);
            assertEq(position.stake, handler.stakeOf(operator), "I5: stake");
            assertEq(position.locked, handler.lockedOf(operator), "I5: locked");
            assertEq(position.unanswered, handler.unansweredOf(operator), "I5: unanswered");
            assertEq(position.accepted, handler.acceptedOf(operator), "I5: accepted");
            uint256 unbonding;
            for (uint256 j; j < system.staking.unbondingCount(operator); ++j) {
                unbonding += system.staking.unbondings(operator, j).amount;
            }
            assertEq(position.stake, unbonding + position.locked + system.staking.freeStake(operator), "I6");
            stakes += position.stake;
        }
        assertEq(system.staking.pendingBurn(), handler.toBurn(), "I4: burn");
        assertEq(system.token.balanceOf(address(system.oracle)), balances + handler.liveFees(), "I1");
        assertEq(system.token.balanceOf(address(system.staking)), stakes + claims + system.staking.pendingBurn(), "I2");
        assertEq(_allTokens(), supply, "I3");
    }

    function _windUp() private {
        handler.windUp();
        _checkAll();
        assertEq(system.token.balanceOf(address(system.oracle)), 0, "I9: left in the oracle");
        assertEq(system.token.balanceOf(address(system.staking)), 0, "I9: left in the staking contract");
    }

    function _allTokens() private view returns (uint256 sum) {
        sum = system.token.balanceOf(address(system.oracle)) + system.token.balanceOf(address(system.staking))
            + system.token.balanceOf(0x000000000000000000000000000000000000dEaD);
        for (uint256 i; i < handler.actorCount(); ++i) {
            sum += system.token.balanceOf(handler.actors(i));
        }
    }

    function _counts() private view returns (uint256[] memory counts) {
        string[] memory verbNames = _verbNames();
        uint256 states = uint256(type(RequestState).max) + 1;
        counts = new uint256[](verbNames.length + states);
        for (uint256 i; i < verbNames.length; ++i) {
            counts[i] = handler.done(verbNames[i]);
        }
        for (uint256 i; i < states; ++i) {
            counts[verbNames.length + i] = handler.reached(RequestState(i));
        }
    }

    function _verbNames() private pure returns (string[] memory) {
        return vm.split(
            "warp edge deposit withdraw request requestWithPull requestBySignature cancel accept answer answerBatch bond "
            "unbond withdrawStake rotateSigner setPayout setOffer settle settleBatch expire markDefaulted retryNotice "
            "claim burn suspend resume voidAnswer slash refused",
            " "
        );
    }

    function _verbs() private view returns (bytes4[] memory verbs) {
        verbs = new bytes4[](40);
        verbs[0] = handler.warp.selector;
        verbs[1] = handler.deposit.selector;
        verbs[2] = handler.withdraw.selector;
        verbs[3] = handler.ask.selector;
        verbs[4] = handler.cancel.selector;
        verbs[5] = handler.accept.selector;
        verbs[6] = handler.answer.selector;
        verbs[7] = handler.answerBatch.selector;
        verbs[8] = handler.bond.selector;
        verbs[9] = handler.unbond.selector;
        verbs[10] = handler.withdrawStake.selector;
        verbs[11] = handler.rotateSigner.selector;
        verbs[12] = handler.setPayout.selector;
        verbs[13] = handler.setOffer.selector;
        verbs[14] = handler.settle.selector;
        verbs[15] = handler.settleBatch.selector;
        verbs[16] = handler.expire.selector;
        verbs[17] = handler.markDefaulted.selector;
        verbs[18] = handler.retryNotice.selector;
        verbs[19] = handler.claim.selector;
        verbs[20] = handler.burn.selector;
        verbs[21] = handler.suspend.selector;
        verbs[22] = handler.resume.selector;
        verbs[23] = handler.voidAnswer.selector;
        verbs[24] = handler.slash.selector;
        verbs[25] = handler.meddle.selector;
        verbs[38] = verbs[39] = handler.edge.selector;
        // What the others live on comes up more often.
        for (uint256 i = 26; i < 29; ++i) {
            verbs[i] = handler.ask.selector;
            verbs[i + 3] = handler.accept.selector;
            verbs[i + 6] = handler.answer.selector;
            verbs[i + 9] = i == 26 ? handler.warp.selector : handler.settleBatch.selector;
        }
    }
}
