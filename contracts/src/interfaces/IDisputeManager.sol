// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {InferenceRequest} from "../types/InferenceRequest.sol";
import {AnswerCommitment} from "../types/Answer.sol";

/// @title The court as the oracle and the staking contract see it
/// @notice The one address that may suspend or void an answer (`InferenceOracle`) and slash outside a
///         request (`OperatorStaking`). It is named in their constructors and never changes; a deployment
///         without one names zero, and its registry then admits `Unproven` models only.
interface IDisputeManager {
    /// @notice Convicts an answer by one wrong element and slashes its operator.
    function proveFraud(InferenceRequest calldata request, AnswerCommitment calldata commitment, bytes calldata proof)
        external;
}
