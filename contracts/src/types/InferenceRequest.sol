// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

/// @notice The terms of one request. Nothing of it is stored: the request id commits to all of it.
/// @dev The id is the EIP-712 digest of this struct under the oracle's domain, so it binds the chain
///      id, the oracle's address, the requester, the nonce and every term; the signature of a gasless
///      request is a signature of the id.
struct InferenceRequest {
    /// Who pays, and to whom refunds are credited.
    address requester;
    /// Unique per requester. Below 2^63: assigned by the oracle in sequence. From 2^63: chosen by
    /// the signer of a gasless request.
    uint64 nonce;
    /// Contract that receives the notices, or zero for none.
    address consumer;
    bytes32 modelId;
    /// SHA-256 of the input bytes.
    bytes32 inputHash;
    /// The only operator who may accept, or zero for any.
    address operator;
    /// Escrowed OPG base units, paid to the operator when the answer is final.
    uint96 fee;
    /// OPG base units of the operator's stake that are locked from acceptance to the end.
    uint96 bond;
    /// What the requester says a wrong answer could cost; never above the bond.
    uint96 valueAtRisk;
    /// Last second at which an answer is accepted.
    uint40 deadline;
    /// Seconds between the answer and its finality.
    uint32 window;
    /// Gas the consumer's notice is guaranteed.
    uint32 callbackGasLimit;
    /// True: the consumer hears the answer when it is posted, before it is final, and not again then.
    bool eager;
}

/// @notice Terms chosen by a direct caller; the oracle adds the requester (the caller), the next nonce
///         and the hash of the input.
struct RequestParams {
    address consumer;
    bytes32 modelId;
    address operator;
    uint96 fee;
    uint96 bond;
    uint96 valueAtRisk;
    uint40 deadline;
    uint32 window;
    uint32 callbackGasLimit;
    bool eager;
}

using InferenceRequestHash for InferenceRequest global;

library InferenceRequestHash {
    bytes32 internal constant TYPEHASH = keccak256(
        "InferenceRequest(address requester,uint64 nonce,address consumer,bytes32 modelId,bytes32 inputHash,"
        "address operator,uint96 fee,uint96 bond,uint96 valueAtRisk,uint40 deadline,uint32 window,"
        "uint32 callbackGasLimit,bool eager)"
    );

    /// @notice EIP-712 struct hash of terms in memory, where a struct of value types is the 13 words of its encoding.
    function structHash(InferenceRequest memory request) internal pure returns (bytes32 hash) {
        bytes32 typehash = TYPEHASH;
        // Memory-safe: writes 14 words from the free memory pointer on, and does not keep them.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, typehash)
            mcopy(add(buffer, 0x20), request, 0x1a0)
            hash := keccak256(buffer, 0x1c0)
        }
    }

    /// @notice EIP-712 struct hash of terms in calldata, whose 13 words are the encoding that is hashed.
    /// @dev Words are hashed as they come. A word with dirty upper bits gives the hash of no request that exists,
    ///      and reading the field reverts.
    function calldataStructHash(InferenceRequest calldata request) internal pure returns (bytes32 hash) {
        bytes32 typehash = TYPEHASH;
        // Memory-safe: writes 14 words from the free memory pointer on, and does not keep them.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, typehash)
            calldatacopy(add(buffer, 0x20), request, 0x1a0)
            hash := keccak256(buffer, 0x1c0)
        }
    }
}
