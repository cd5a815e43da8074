// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Element types by their ONNX number (`TensorProto.DataType`), and what their bits mean (docs/court.md, 2).
library ElementType {
    uint256 internal constant FLOAT32 = 1;
    uint256 internal constant UINT8 = 2;
    uint256 internal constant INT8 = 3;
    uint256 internal constant UINT16 = 4;
    uint256 internal constant INT16 = 5;
    uint256 internal constant INT32 = 6;
    uint256 internal constant INT64 = 7;
    uint256 internal constant BOOL = 9;
    uint256 internal constant FLOAT64 = 11;
    uint256 internal constant UINT32 = 12;
    uint256 internal constant UINT64 = 13;

    /// @dev Nibble n is log2 of the bytes of type n, plus one; zero for types the court does not know.
    ///      1:4B 2:1B 3:1B 4:2B 5:2B 6:4B 7:8B 9:1B 11:8B 12:4B 13:8B
    uint256 private constant SIZES = 0x43401043221130;

    /// @notice Bytes of an element; zero for a type the court does not know.
    function size(uint256 elementType) internal pure returns (uint256) {
        if (elementType > UINT64) return 0;
        // Below 2^6.
        unchecked {
            return (1 << ((SIZES >> (4 * elementType)) & 0xf)) >> 1;
        }
    }

    function isFloat(uint256 elementType) internal pure returns (bool) {
        return elementType == FLOAT32 || elementType == FLOAT64;
    }

    /// @notice Whether it is an integer type, signed or not; bools are not.
    function isInteger(uint256 elementType) internal pure returns (bool) {
        return size(elementType) != 0 && !isFloat(elementType) && elementType != BOOL;
    }

    function isSigned(uint256 elementType) internal pure returns (bool) {
        return elementType == INT8 || elementType == INT16 || elementType == INT32 || elementType == INT64;
    }

    /// @notice An integer element's value; of a bool 1 for any bits but 0.
    function integerValue(uint256 elementType, uint256 bits) internal pure returns (int256) {
        if (elementType == BOOL) return bits == 0 ? int256(0) : int256(1);
        if (!isSigned(elementType)) return int256(bits);
        uint256 bytes_ = size(elementType);
        int256 value;
        // The sign bit of the type is copied upward.
        assembly ("memory-safe") {
            value := signextend(sub(bytes_, 1), bits)
        }
        return value;
    }

    /// @notice The bytes of a number of `bytes_` bytes in the other order: 1, 2, 4 or 8 of them.
    function reversed(uint256 value, uint256 bytes_) internal pure returns (uint256) {
        if (bytes_ == 1) return value;
        value = ((value & 0xff00ff00ff00ff00) >> 8) | ((value & 0x00ff00ff00ff00ff) << 8);
        if (bytes_ == 2) return value;
        value = ((value & 0xffff0000ffff0000) >> 16) | ((value & 0x0000ffff0000ffff) << 16);
        if (bytes_ == 4) return value;
        return (value >> 32) | ((value & 0xffffffff) << 32);
    }
}
