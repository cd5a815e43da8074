// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

import {Notice} from "../types/RequestState.sol";

/// @title What a contract implements to hear of its requests
/// @notice Inherit `InferenceConsumer` rather than this: it checks the sender.
interface IInferenceConsumer {
    /// @notice Called by the oracle, with `callbackGasLimit` gas, after all money has moved. A revert is recorded and
    ///         moves no money; anyone may have the notice delivered again. Anyone may call it, too: it is for the
    ///         contract to refuse whoever is not the oracle, and requests that it has not made.
    /// @param result Output tensors as the model's schema lays them out; empty where `notice` is `Voided`.
    function onInferenceNotice(bytes32 requestId, Notice notice, bytes32 modelId, bytes calldata result) external;
}
