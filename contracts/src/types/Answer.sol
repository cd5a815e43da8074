// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What an operator signs when it answers: the receipt.
/// @dev Valid until the deadline of its request, which the request id binds.
struct Answer {
    bytes32 requestId;
    address operator;
    bytes32 modelId;
    /// SHA-256 of the input bytes.
    bytes32 inputHash;
    /// SHA-256 of the result bytes.
    bytes32 resultHash;
    /// Root over every tensor of the run; zero in the `Unproven` tier.
    bytes32 traceRoot;
}

/// @notice What stays on chain of an answer until it is final.
struct AnswerCommitment {
    address operator;
    bytes32 resultHash;
    bytes32 traceRoot;
}

using AnswerHash for Answer global;

library AnswerHash {
    bytes32 internal constant TYPEHASH = keccak256(
        "Answer(bytes32 requestId,address operator,bytes32 modelId,bytes32 inputHash,bytes32 resultHash,bytes32 traceRoot)"
    );
    bytes32 internal constant BATCH_TYPEHASH = keccak256(
        "AnswerBatch(Answer[] answers)"
        "Answer(bytes32 requestId,address operator,bytes32 modelId,bytes32 inputHash,bytes32 resultHash,bytes32 traceRoot)"
    );

    /// @notice EIP-712 struct hash of one answer.
    function structHash(Answer memory answer) internal pure returns (bytes32) {
        return keccak256(abi.encode(TYPEHASH, answer));
    }

    /// @notice EIP-712 struct hash of a batch, from the struct hashes of its answers.
    function batchHash(bytes32[] memory answerHashes) internal pure returns (bytes32) {
        return keccak256(abi.encode(BATCH_TYPEHASH, keccak256(abi.encodePacked(answerHashes))));
    }
}
