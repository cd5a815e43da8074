// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IInferenceConsumer} from "../../src/interfaces/IInferenceConsumer.sol";
import {Notice} from "../../src/types/RequestState.sol";

/// @notice Burns all the gas it is given.
contract GasBurnerConsumer is IInferenceConsumer {
    /// @inheritdoc IInferenceConsumer
    function onInferenceNotice(bytes32, Notice, bytes32, bytes calldata) external pure {
        assembly {
            invalid()
        }
    }
}
