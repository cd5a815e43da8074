// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IInferenceConsumer} from "../../src/interfaces/IInferenceConsumer.sol";
import {Notice} from "../../src/types/RequestState.sol";

/// @notice Remembers each notice, and the gas that was left when it arrived.
contract RecordingConsumer is IInferenceConsumer {
    struct Record {
        address sender;
        uint256 gasAtEntry;
        bytes32 requestId;
        Notice notice;
        bytes32 modelId;
        bytes32 resultHash;
    }

    Record[] public records;

    /// @inheritdoc IInferenceConsumer
    function onInferenceNotice(bytes32 requestId, Notice notice, bytes32 modelId, bytes calldata result) external {
        uint256 gasAtEntry = gasleft();
        records.push(Record(msg.sender, gasAtEntry, requestId, notice, modelId, keccak256(result)));
    }

    function count() external view returns (uint256) {
        return records.length;
    }
}
