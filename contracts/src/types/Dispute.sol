// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IFraudVerifier} from "../interfaces/IFraudVerifier.sol";
import {Answer, AnswerCommitment, AnswerHash} from "./Answer.sol";

/// @notice A demand that an operator show a piece of its trace. Only its hash is stored; its event carries all of it, and
///         callers bring it back.
struct RevealDemand {
    bytes32 requestId;
    /// How many demands were made on the answer before this one.
    uint32 number;
    /// Who gets the deposit back, and the watcher's share where the operator stays silent.
    address demander;
    /// OPG base units.
    uint96 deposit;
    /// Last second at which it may be met.
    uint40 deadline;
    /// Seconds that the operator has, and that the demander has with what was revealed.
    uint32 window;
    bytes32 programRoot;
    AnswerCommitment commitment;
    IFraudVerifier.Demand leaves;
}

/// @notice An answer as an operator signed it: alone, or in a batch.
struct SignedAnswer {
    Answer answer;
    /// EIP-712 struct hashes of the batch's answers; empty where the answer was signed alone.
    bytes32[] batch;
    /// Of the answer in its batch.
    uint256 index;
    bytes signature;
}

using RevealDemandHash for RevealDemand global;
using SignedAnswerHash for SignedAnswer global;

library RevealDemandHash {
    /// @notice What is stored of a demand. Its number makes it unique.
    function hash(RevealDemand memory demand) internal pure returns (bytes32) {
        return keccak256(abi.encode(demand));
    }
}

library SignedAnswerHash {
    /// @notice The EIP-712 struct hash that was signed: the answer's own or its batch's. Zero where the batch does not
    ///         have the answer at its index.
    function signedHash(SignedAnswer calldata signed) internal pure returns (bytes32) {
        bytes32 answerHash = signed.answer.structHash();
        if (signed.batch.length == 0) return answerHash;
        if (signed.index >= signed.batch.length || signed.batch[signed.index] != answerHash) return 0;
        return AnswerHash.batchHash(signed.batch);
    }
}
