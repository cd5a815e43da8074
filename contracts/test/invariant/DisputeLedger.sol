// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DisputeManager} from "../../src/DisputeManager.sol";
import {IDisputeManager} from "../../src/interfaces/IDisputeManager.sol";
import {AnswerCommitment} from "../../src/types/Answer.sol";
import {RevealDemand} from "../../src/types/Dispute.sol";
import {InferenceRequest} from "../../src/types/InferenceRequest.sol";
import {RequestState} from "../../src/types/RequestState.sol";
import {Deployment} from "../mocks/Deployment.sol";

/// @notice The court's books as the specification has them, kept beside the contract, and what a coalition owns.
abstract contract DisputeLedger is Deployment {
    struct Tracked {
        InferenceRequest terms;
        bytes32 requestId;
        AnswerCommitment commitment;
        bytes result;
    }

    struct Held {
        address holder;
        uint40 announcedAt;
        uint40 until;
        uint256 amount;
    }

    System internal system;
    DisputeManager internal disputes;
    address[] public actors;
    Tracked[] internal tracked;
    RevealDemand[] internal pending;

    mapping(address account => uint256) public claimableOf;
    mapping(bytes32 requestId => Held) internal held;
    mapping(bytes32 requestId => uint256) public pendingOf;
    mapping(bytes32 requestId => uint256) public madeOf;
    /// @notice What each request has cost its operator in slashes by the court.
    mapping(bytes32 requestId => uint256) public slashedFor;
    uint256 public heldSum;
    uint256 public depositSum;
    uint256 public toBurn;
    /// @notice What the court took from operators and of met deposits, and what of that went to nobody.
    uint256 public taken;
    uint256 public burned;
    /// @notice The first thing that was seen and must never be seen; empty while all is well.
    string public violation;

    function actorCount() external view returns (uint256) {
        return actors.length;
    }

    function trackedCount() external view returns (uint256) {
        return tracked.length;
    }

    function trackedAt(uint256 i) external view returns (Tracked memory) {
        return tracked[i];
    }

    function heldOf(bytes32 requestId) external view returns (Held memory) {
        return held[requestId];
    }

    function _require(bool condition, string memory what) internal {
        if (!condition && bytes(violation).length == 0) violation = what;
    }

    // ---- what each verb moves

    function _bookSlash(uint256 i, uint256 amount, uint256 burnedBefore) internal {
        slashedFor[tracked[i].requestId] += amount;
        taken += amount;
        burned += system.staking.pendingBurn() - burnedBefore;
    }

    function _bookShare(uint256 i, address account, uint40 announcedAt) internal {
        uint256 share = uint256(tracked[i].terms.bond) * 3 / 10;
        held[tracked[i].requestId] = Held(account, announcedAt, uint40(vm.getBlockTimestamp()) + PRIORITY_PERIOD, share);
        heldSum += share;
    }

    function _bookCollected(bytes32 requestId) internal {
        claimableOf[held[requestId].holder] += held[requestId].amount;
        heldSum -= held[requestId].amount;
        delete held[requestId];
    }

    function _bookDemand(RevealDemand memory demand) internal {
        pending.push(demand);
        ++pendingOf[demand.requestId];
        ++madeOf[demand.requestId];
        depositSum += demand.deposit;
    }

    function _bookMet(uint256 place) internal {
        RevealDemand memory demand = pending[place];
        uint256 half = demand.deposit / 2;
        toBurn += half;
        burned += half;
        taken += demand.deposit;
        claimableOf[system.staking.payoutOf(demand.commitment.operator)] += demand.deposit - half;
        _drop(place);
    }

    function _bookReturned(uint256 place) internal {
        claimableOf[pending[place].demander] += pending[place].deposit;
        _drop(place);
    }

    function _drop(uint256 place) private {
        depositSum -= pending[place].deposit;
        --pendingOf[pending[place].requestId];
        pending[place] = pending[pending.length - 1];
        pending.pop();
    }

    // ---- what a coalition owns

    /// @dev The operator and the requester of a request and two more, each counted once; the fee in escrow and, of the
    ///      court's books, shares and deposits that are theirs.
    function _coalition(uint256 i, address watcher, address other) internal view returns (uint256 wealth) {
        address[4] memory members = [tracked[i].terms.requester, tracked[i].commitment.operator, watcher, other];
        for (uint256 j; j < 4; ++j) {
            bool again;
            for (uint256 k; k < j; ++k) {
                if (members[k] == members[j]) again = true;
            }
            if (!again) wealth += _wealth(members[j]);
        }
        RequestState state = _stateOf(tracked[i].requestId);
        if (state == RequestState.Answered || state == RequestState.RevealPending) wealth += tracked[i].terms.fee;
    }

    function _wealth(address account) private view returns (uint256 sum) {
        (uint96 balance,) = system.oracle.accounts(account);
        sum = system.token.balanceOf(account) + balance + system.staking.claimable(account)
            + system.staking.positions(account).stake + disputes.claimable(account);
        for (uint256 i; i < pending.length; ++i) {
            if (pending[i].demander == account && disputes.isPending(pending[i])) sum += pending[i].deposit;
        }
        for (uint256 i; i < tracked.length; ++i) {
            IDisputeManager.HeldShare memory share = disputes.heldShareOf(tracked[i].requestId);
            if (share.holder == account) sum += share.amount;
        }
    }

    function _stateOf(bytes32 requestId) internal view returns (RequestState state) {
        (state,,,) = system.oracle.stateOf(requestId);
    }
}
