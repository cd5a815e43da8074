// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";

/// @notice What an operator signs to take on a request. The request id binds all of its terms.
struct Accept {
    bytes32 requestId;
    address operator;
    /// Last second at which this signature may be used.
    uint40 validUntil;
}

using AcceptHash for Accept global;

library AcceptHash {
    bytes32 internal constant TYPEHASH = keccak256("Accept(bytes32 requestId,address operator,uint40 validUntil)");

    /// @notice EIP-712 struct hash.
    function structHash(Accept calldata acceptance) internal pure returns (bytes32) {
        return EfficientHashLib.hash(
            TYPEHASH,
            acceptance.requestId,
            bytes32(uint256(uint160(acceptance.operator))),
            bytes32(uint256(acceptance.validUntil))
        );
    }
}
