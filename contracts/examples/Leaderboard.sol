// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

import {InferenceConsumer} from "../src/InferenceConsumer.sol";
import {IInferenceOracle} from "../src/interfaces/IInferenceOracle.sol";
import {Tensors} from "../src/libraries/Tensors.sol";
import {RequestParams} from "../src/types/InferenceRequest.sol";
import {RequestState} from "../src/types/RequestState.sol";

/// @title A score that is shown at once, and counts when it is final
/// @notice An example of an eager consumer: what it does on an answer that can still be disputed, it can undo. Nothing
///         is sent to it when its answer is final; whoever needs that it is, closes the entry.
contract Leaderboard is InferenceConsumer {
    enum Standing {
        None,
        Asked,
        Shown,
        Final
    }

    struct Entry {
        address player;
        Standing standing;
        int256 score;
    }

    uint96 public constant FEE = 1e18;
    uint256 private constant RESULT_LENGTH = 4;

    bytes32 public immutable MODEL_ID;
    mapping(bytes32 requestId => Entry) public entries;

    event Shown(bytes32 indexed requestId, address indexed player, int256 score);
    event Taken(bytes32 indexed requestId, address indexed player);
    event Closed(bytes32 indexed requestId, address indexed player, int256 score);

    error FeeNotPaid();
    error NotFinal(bytes32 requestId, RequestState state);

    constructor(IInferenceOracle oracle, bytes32 modelId) InferenceConsumer(oracle) {
        MODEL_ID = modelId;
    }

    /// @notice Has the model score the caller's game; the caller has allowed this contract the fee.
    function enter(bytes calldata game) external returns (bytes32 requestId) {
        require(OPG.transferFrom(msg.sender, address(this), FEE), FeeNotPaid());
        RequestParams memory params = _defaults(MODEL_ID, FEE, 150_000);
        params.eager = true;
        requestId = _askWithPull(params, game);
        entries[requestId] = Entry(msg.sender, Standing.Asked, 0);
    }

    /// @notice Notes that an answer that was shown is final. Anybody may call it, once the request is settled.
    function close(bytes32 requestId) external {
        (RequestState state,,,) = ORACLE.stateOf(requestId);
        Entry storage entry = entries[requestId];
        require(state == RequestState.Settled && entry.standing == Standing.Shown, NotFinal(requestId, state));
        entry.standing = Standing.Final;
        emit Closed(requestId, entry.player, entry.score);
    }

    /// @dev Until it is closed: what was shown may be voided yet.
    function _expects(bytes32 requestId) internal view override returns (bool) {
        Standing standing = entries[requestId].standing;
        return standing == Standing.Asked || standing == Standing.Shown;
    }

    function _onAnswered(bytes32 requestId, bytes32, bytes calldata result) internal override {
        _show(requestId, result);
    }

    /// @dev Heard only where `_onAnswered` was not: then it is final at once.
    function _onFinal(bytes32 requestId, bytes32, bytes calldata result) internal override {
        _show(requestId, result);
        entries[requestId].standing = Standing.Final;
        emit Closed(requestId, entries[requestId].player, entries[requestId].score);
    }

    function _onVoided(bytes32 requestId, bytes32) internal override {
        emit Taken(requestId, entries[requestId].player);
        delete entries[requestId];
    }

    /// @dev What cannot be read counts for nothing.
    function _show(bytes32 requestId, bytes calldata result) private {
        Entry storage entry = entries[requestId];
        entry.standing = Standing.Shown;
        if (result.length == RESULT_LENGTH && Tensors.isFinite(Tensors.float32At(result, 0))) {
            entry.score = Tensors.fixedAt(result, 0);
        }
        emit Shown(requestId, entry.player, entry.score);
    }
}
