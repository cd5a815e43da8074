// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";

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
using AnswerCommitmentHash for AnswerCommitment global;

library AnswerHash {
    bytes32 internal constant TYPEHASH = keccak256(
        "Answer(bytes32 requestId,address operator,bytes32 modelId,bytes32 inputHash,bytes32 resultHash,bytes32 traceRoot)"
    );
    bytes32 internal constant BATCH_TYPEHASH = keccak256(
        "AnswerBatch(Answer[] answers)"
        "Answer(bytes32 requestId,address operator,bytes32 modelId,bytes32 inputHash,bytes32 resultHash,bytes32 traceRoot)"
    );

    /// @notice EIP-712 struct hash of one answer.
    function structHash(Answer calldata answer) internal pure returns (bytes32) {
        return hashOf(
            answer.requestId, answer.operator, answer.modelId, answer.inputHash, answer.resultHash, answer.traceRoot
        );
    }

    /// @notice EIP-712 struct hash of the answer of these fields, which need not be put together first.
    function hashOf(
        bytes32 requestId,
        address operator,
        bytes32 modelId,
        bytes32 inputHash,
        bytes32 resultHash,
        bytes32 traceRoot
    ) internal pure returns (bytes32) {
        return EfficientHashLib.hash(
            TYPEHASH, requestId, bytes32(uint256(uint160(operator))), modelId, inputHash, resultHash, traceRoot
        );
    }

    /// @notice EIP-712 struct hash of a batch, from the struct hashes of its answers.
    function batchHash(bytes32[] memory answerHashes) internal pure returns (bytes32) {
        return keccak256(abi.encode(BATCH_TYPEHASH, keccak256(abi.encodePacked(answerHashes))));
    }
}

library AnswerCommitmentHash {
    /// @notice Hash of a commitment in calldata, whose 3 words are the encoding that is hashed.
    /// @dev As they come: a word with dirty upper bits gives the hash of no commitment that exists.
    function calldataHash(AnswerCommitment calldata commitment) internal pure returns (bytes32 hash) {
        // Memory-safe: writes 3 words from the free memory pointer on, and does not keep them.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            calldatacopy(buffer, commitment, 0x60)
            hash := keccak256(buffer, 0x60)
        }
    }

    /// @notice Hash of the commitment of these fields, which need not be put together first.
    function hashOf(address operator, bytes32 resultHash, bytes32 traceRoot) internal pure returns (bytes32) {
        return EfficientHashLib.hash(bytes32(uint256(uint160(operator))), resultHash, traceRoot);
    }
}
