// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IInferenceConsumer} from "../../src/interfaces/IInferenceConsumer.sol";
import {Notice} from "../../src/types/RequestState.sol";

/// @notice Answers a notice with as many bytes as its gas pays for, returned or as the reason of a revert.
contract ReturnBombConsumer is IInferenceConsumer {
    uint256 public immutable LENGTH;
    bool public immutable REVERTS;

    constructor(uint256 length, bool reverts) {
        LENGTH = length;
        REVERTS = reverts;
    }

    /// @inheritdoc IInferenceConsumer
    function onInferenceNotice(bytes32, Notice, bytes32, bytes calldata) external view {
        uint256 length = LENGTH;
        // Nothing runs after either branch, so whatever memory holds is free to be overwritten or sent.
        if (REVERTS) {
            assembly {
                revert(0, length)
            }
        }
        assembly {
            return(0, length)
        }
    }
}
