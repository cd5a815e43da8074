// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IInferenceConsumer} from "../../src/interfaces/IInferenceConsumer.sol";
import {Notice} from "../../src/types/RequestState.sol";

/// @notice Refuses every notice until it is healed.
contract RevertingConsumer is IInferenceConsumer {
    bool public healed;
    uint256 public count;

    error Refused(bytes32 requestId);

    function heal() external {
        healed = true;
    }

    /// @inheritdoc IInferenceConsumer
    function onInferenceNotice(bytes32 requestId, Notice, bytes32, bytes calldata) external {
        require(healed, Refused(requestId));
        ++count;
    }
}
