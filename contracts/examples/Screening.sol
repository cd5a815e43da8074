// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {InferenceConsumer} from "../src/InferenceConsumer.sol";
import {IInferenceOracle} from "../src/interfaces/IInferenceOracle.sol";
import {Tensors} from "../src/libraries/Tensors.sol";

/// @title The smallest useful consumer
/// @notice Approves whoever a model gives label 1. The contract must hold OPG for the fees. It is the README's example;
///         `ChequeClearing` shows what a contract that pays out has to think of.
contract Screening is InferenceConsumer {
    bytes32 public immutable MODEL_ID;
    mapping(bytes32 requestId => address applicant) public waiting;
    mapping(address applicant => bool) public approved;

    constructor(IInferenceOracle oracle, bytes32 modelId) InferenceConsumer(oracle) {
        MODEL_ID = modelId;
    }

    /// @notice Asks the model about the caller: 1 OPG, any operator, 100,000 gas for the hook.
    function screen(bytes calldata features) external {
        bytes32 requestId = _askWithPull(_defaults(MODEL_ID, 1e18, 100_000), features);
        waiting[requestId] = msg.sender;
    }

    function _expects(bytes32 requestId) internal view override returns (bool) {
        return waiting[requestId] != address(0);
    }

    function _onFinal(bytes32 requestId, bytes32, bytes calldata result) internal override {
        if (result.length >= 8 && Tensors.int64At(result, 0) == 1) approved[waiting[requestId]] = true;
        delete waiting[requestId];
    }

    function _onVoided(bytes32 requestId, bytes32) internal override {
        delete waiting[requestId];
    }
}
