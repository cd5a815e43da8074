// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AnswerCommitment} from "../../src/types/Answer.sol";
import {InferenceRequest} from "../../src/types/InferenceRequest.sol";
import {RequestState} from "../../src/types/RequestState.sol";
import {Deployment} from "../mocks/Deployment.sol";

/// @notice The books as the specification has them, kept beside the contracts: whenever a request is seen in
///         another state than before, the ledger books what that transition moves, and whether it was allowed.
/// @dev It knows nothing of how a state was reached but who called (`caller`, `byCourt`, `watcher`).
abstract contract Ledger is Deployment {
    struct Tracked {
        InferenceRequest terms;
        bytes32 requestId;
        AnswerCommitment commitment;
        bytes result;
        RequestState state;
        address operator;
        uint40 settleAt;
    }

    System internal system;
    Tracked[] internal tracked;

    // What a verb's caller was, while it runs.
    address internal caller;
    address internal watcher;
    bool internal byCourt;

    mapping(address account => uint256) public balanceOf;
    mapping(address account => uint256) public claimableOf;
    mapping(address operator => uint256) public stakeOf;
    mapping(address operator => uint256) public lockedOf;
    mapping(address operator => uint256) public unansweredOf;
    mapping(address operator => uint256) public acceptedOf;
    uint256 public liveFees;
    uint256 public toBurn;
    uint256 public taken;
    uint256 public burned;

    mapping(RequestState => uint256) public reached;
    /// @notice The first thing that was seen and must never be seen; empty while all is well.
    string public violation;

    function trackedCount() external view returns (uint256) {
        return tracked.length;
    }

    function _isLive(RequestState state) internal pure returns (bool) {
        return state >= RequestState.Requested && state <= RequestState.RevealPending;
    }

    function _require(bool condition, string memory what) internal {
        if (!condition && bytes(violation).length == 0) violation = what;
    }

    /// @dev Looks at every request there is, so that a verb on one cannot move another unseen.
    function _observe() internal {
        for (uint256 i; i < tracked.length; ++i) {
            Tracked storage request = tracked[i];
            (RequestState state,, uint40 settleAt, address acceptedBy) = system.oracle.stateOf(request.requestId);
            if (state == request.state) {
                if (settleAt != request.settleAt) _require(false, "settleAt moved without a transition");
                continue;
            }
            _book(request, state, settleAt, acceptedBy);
            (request.state, request.settleAt) = (state, settleAt);
            ++reached[state];
        }
    }

    function _book(Tracked storage request, RequestState to, uint40 settleAt, address acceptedBy) private {
        RequestState from = request.state;
        InferenceRequest memory terms = request.terms;
        uint256 time = vm.getBlockTimestamp();
        if (from == RequestState.None) {
            _require(to == RequestState.Requested || to == RequestState.Accepted, "born in a later state");
            balanceOf[terms.requester] -= terms.fee;
            liveFees += terms.fee;
            if (to == RequestState.Accepted) _require(acceptedBy == terms.operator, "offer of another operator");
        } else if (from == RequestState.Requested) {
            _require(
                to == RequestState.Accepted || to == RequestState.Cancelled || to == RequestState.Expired,
                "forbidden from Requested"
            );
        } else if (from == RequestState.Accepted) {
            _require(to == RequestState.Answered || to == RequestState.Defaulted, "forbidden from Accepted");
        } else if (from == RequestState.Answered) {
            _require(
                to == RequestState.RevealPending || to == RequestState.Slashed || to == RequestState.Settled,
                "forbidden from Answered"
            );
        } else if (from == RequestState.RevealPending) {
            _require(
                to == RequestState.Answered || to == RequestState.Slashed || to == RequestState.Settled,
                "forbidden from RevealPending"
            );
        } else {
            _require(false, "left a terminal state");
        }

        if (to == RequestState.Accepted) {
            _require(time <= terms.deadline, "accepted late");
            _require(terms.operator == address(0) || terms.operator == acceptedBy, "accepted by another operator");
            request.operator = acceptedBy;
            lockedOf[acceptedBy] += terms.bond;
            ++unansweredOf[acceptedBy];
            ++acceptedOf[acceptedBy];
        } else if (to == RequestState.Answered && from == RequestState.Accepted) {
            _require(time <= terms.deadline, "answered late");
            _require(settleAt == time + terms.window, "window of another length");
            --unansweredOf[request.operator];
        } else if (to == RequestState.Answered) {
            _require(byCourt, "resumed by anybody");
            _require(settleAt >= request.settleAt, "settleAt went back");
            _require(settleAt <= terms.deadline + terms.window + DISPUTE_ALLOWANCE, "dispute beyond its limit");
        } else if (to == RequestState.RevealPending) {
            _require(byCourt && time < request.settleAt, "suspended late or by anybody");
        } else if (to == RequestState.Cancelled) {
            _require(caller == terms.requester, "cancelled by anybody");
            _refund(terms);
        } else if (to == RequestState.Expired) {
            _require(time > terms.deadline, "expired early");
            _refund(terms);
        } else if (to == RequestState.Defaulted) {
            _require(time > terms.deadline, "defaulted early");
            _refund(terms);
            --unansweredOf[request.operator];
            lockedOf[request.operator] -= terms.bond;
            uint256 penalty = 2 * uint256(terms.fee) < terms.bond ? 2 * uint256(terms.fee) : terms.bond;
            _slash(request.operator, penalty, terms.requester, 5_000, address(0), 0);
        } else if (to == RequestState.Slashed) {
            _require(byCourt, "voided by anybody");
            _require(from == RequestState.RevealPending || time < request.settleAt, "voided after the window");
            _refund(terms);
            lockedOf[request.operator] -= terms.bond;
            _slash(request.operator, terms.bond, terms.requester, 2_000, watcher, 3_000);
        } else if (to == RequestState.Settled) {
            if (from == RequestState.Answered) _require(time >= request.settleAt, "settled early");
            else _require(time > terms.deadline + terms.window + DISPUTE_ALLOWANCE, "settled under dispute");
            lockedOf[request.operator] -= terms.bond;
            liveFees -= terms.fee;
            balanceOf[system.staking.payoutOf(request.operator)] += terms.fee;
        }
    }

    function _refund(InferenceRequest memory terms) private {
        liveFees -= terms.fee;
        balanceOf[terms.requester] += terms.fee;
    }

    function _slash(
        address operator,
        uint256 amount,
        address requester,
        uint256 requesterBps,
        address watcher_,
        uint256 watcherBps
    ) internal {
        uint256 toRequester = amount * requesterBps / 10_000;
        uint256 toWatcher = watcher_ == address(0) ? 0 : amount * watcherBps / 10_000;
        stakeOf[operator] -= amount;
        claimableOf[requester] += toRequester;
        claimableOf[watcher_] += toWatcher;
        toBurn += amount - toRequester - toWatcher;
        burned += amount - toRequester - toWatcher;
        taken += amount;
    }
}
