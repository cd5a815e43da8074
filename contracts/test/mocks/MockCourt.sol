// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {IOperatorStaking} from "../../src/interfaces/IOperatorStaking.sol";
import {AnswerCommitment} from "../../src/types/Answer.sol";
import {InferenceRequest} from "../../src/types/InferenceRequest.sol";

/// @notice A court that believes whoever calls it: what a dispute manager may do, and nothing it must check.
contract MockCourt {
    IInferenceOracle public oracle;
    IOperatorStaking public staking;

    error ProofRejected();

    function bind(IInferenceOracle oracle_, IOperatorStaking staking_) external {
        oracle = oracle_;
        staking = staking_;
    }

    /// @param proof Any bytes convict, none do not; the caller is the watcher.
    function proveFraud(InferenceRequest calldata request, AnswerCommitment calldata commitment, bytes calldata proof)
        external
    {
        require(proof.length != 0, ProofRejected());
        oracle.voidAnswer(request, commitment, msg.sender);
    }

    function suspend(InferenceRequest calldata request, AnswerCommitment calldata commitment) external {
        oracle.suspend(request, commitment);
    }

    function resume(InferenceRequest calldata request, AnswerCommitment calldata commitment, uint40 settleAt) external {
        oracle.resume(request, commitment, settleAt);
    }

    function voidAnswer(InferenceRequest calldata request, AnswerCommitment calldata commitment, address watcher)
        external
    {
        oracle.voidAnswer(request, commitment, watcher);
    }

    /// @notice Slashes outside a request, as for two contradicting signatures.
    function slash(address operator, bytes32 cause, uint96 amount, address watcher, uint16 watcherBps)
        external
        returns (uint96 taken)
    {
        return staking.slash(operator, cause, 0, false, amount, address(0), 0, watcher, watcherBps);
    }
}
