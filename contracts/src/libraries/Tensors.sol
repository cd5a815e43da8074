// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

/// @title Tensor bytes and Solidity values
/// @notice Inputs and results are raw tensors: little-endian elements of their ONNX type, row-major, one tensor
///         after the other in the order of the model's schema. A later tensor is a slice of the calldata:
///
///             int64[4] labels, then float32[4,10] scores:
///                 int64 label = Tensors.int64At(result, 2);
///                 int256 score = Tensors.fixedAt(result[32:], 2 * 10 + 7);      // 0.25 is 0.25e18
///
///         A `float32` is either an 18-decimal fixed-point number (`int256`, 1.0 is 1e18) or, where a contract
///         wants nothing rounded, its 32 bits (`uint32`), which can be compared as they are.
/// @dev Readers take calldata; those ending in `Memory` take memory. Each reverts beyond the last whole element.
library Tensors {
    /// There are but `count` whole elements.
    error ElementOutOfBounds(uint256 index, uint256 count);
    /// A bool is 0 or 1.
    error NotABool(uint8 value);
    /// NaN has no place in an order.
    error NotANumber(uint32 bits);
    /// Neither NaN nor infinity is a fixed-point number.
    error NotFinite(uint32 bits);
    /// No finite `float32` is near the number.
    error AboveFloat32(int256 value);
    /// Of no elements none is the largest.
    error EmptyRange();

    int256 internal constant ONE = 1e18;

    uint32 private constant SIGN = 0x80000000;
    uint32 private constant INFINITY = 0x7f800000;

    // ---- elements of calldata

    function int64At(bytes calldata data, uint256 index) internal pure returns (int64) {
        return int64(_swap64(uint64(bytes8(_wordAt(data, index, 8)))));
    }

    function int32At(bytes calldata data, uint256 index) internal pure returns (int32) {
        return int32(_swap32(uint32(bytes4(_wordAt(data, index, 4)))));
    }

    function uint8At(bytes calldata data, uint256 index) internal pure returns (uint8) {
        return uint8(bytes1(_wordAt(data, index, 1)));
    }

    function boolAt(bytes calldata data, uint256 index) internal pure returns (bool) {
        return _toBool(uint8At(data, index));
    }

    /// @return bits The IEEE 754 binary32 of the element.
    function float32At(bytes calldata data, uint256 index) internal pure returns (uint32 bits) {
        return _swap32(uint32(bytes4(_wordAt(data, index, 4))));
    }

    /// @return bits The IEEE 754 binary64 of the element.
    function float64At(bytes calldata data, uint256 index) internal pure returns (uint64 bits) {
        return _swap64(uint64(bytes8(_wordAt(data, index, 8))));
    }

    /// @notice A `float32` element as an 18-decimal number; see `toFixed`.
    function fixedAt(bytes calldata data, uint256 index) internal pure returns (int256) {
        return toFixed(float32At(data, index));
    }

    /// @notice Index, counted from `first`, of the largest of `count` `float32` elements; the lowest among equals.
    function argmax(bytes calldata data, uint256 first, uint256 count) internal pure returns (uint256 best) {
        require(count != 0, EmptyRange());
        uint32 largest = float32At(data, first);
        require(!isNaN(largest), NotANumber(largest));
        for (uint256 i = 1; i < count; ++i) {
            uint32 candidate = float32At(data, first + i);
            if (compare(candidate, largest) > 0) (best, largest) = (i, candidate);
        }
    }

    // ---- elements of memory

    function int64AtMemory(bytes memory data, uint256 index) internal pure returns (int64) {
        return int64(_swap64(uint64(bytes8(_wordAtMemory(data, index, 8)))));
    }

    function int32AtMemory(bytes memory data, uint256 index) internal pure returns (int32) {
        return int32(_swap32(uint32(bytes4(_wordAtMemory(data, index, 4)))));
    }

    function uint8AtMemory(bytes memory data, uint256 index) internal pure returns (uint8) {
        return uint8(bytes1(_wordAtMemory(data, index, 1)));
    }

    function boolAtMemory(bytes memory data, uint256 index) internal pure returns (bool) {
        return _toBool(uint8AtMemory(data, index));
    }

    function float32AtMemory(bytes memory data, uint256 index) internal pure returns (uint32 bits) {
        return _swap32(uint32(bytes4(_wordAtMemory(data, index, 4))));
    }

    function float64AtMemory(bytes memory data, uint256 index) internal pure returns (uint64 bits) {
        return _swap64(uint64(bytes8(_wordAtMemory(data, index, 8))));
    }

    function fixedAtMemory(bytes memory data, uint256 index) internal pure returns (int256) {
        return toFixed(float32AtMemory(data, index));
    }

    // ---- writing

    /// @dev Each append copies `data`; to write many elements, encode an array at once.
    function appendInt64(bytes memory data, int64 value) internal pure returns (bytes memory) {
        return bytes.concat(data, bytes8(_swap64(uint64(value))));
    }

    function appendFloat32(bytes memory data, uint32 bits) internal pure returns (bytes memory) {
        return bytes.concat(data, bytes4(_swap32(bits)));
    }

    /// @notice Appends an 18-decimal number as the nearest `float32`.
    function appendFixed(bytes memory data, int256 value) internal pure returns (bytes memory) {
        return appendFloat32(data, toFloat32(value));
    }

    function encodeInt64(int64[] memory values) internal pure returns (bytes memory data) {
        data = _allocate(values.length * 8);
        for (uint256 i; i < values.length; ++i) {
            _write(data, i * 8, bytes8(_swap64(uint64(values[i]))));
        }
    }

    function encodeFloat32(uint32[] memory bits) internal pure returns (bytes memory data) {
        data = _allocate(bits.length * 4);
        for (uint256 i; i < bits.length; ++i) {
            _write(data, i * 4, bytes4(_swap32(bits[i])));
        }
    }

    /// @notice Encodes 18-decimal numbers as the `float32`s nearest to them.
    function encodeFixed(int256[] memory values) internal pure returns (bytes memory data) {
        data = _allocate(values.length * 4);
        for (uint256 i; i < values.length; ++i) {
            _write(data, i * 4, bytes4(_swap32(toFloat32(values[i]))));
        }
    }

    // ---- float32

    function isNaN(uint32 bits) internal pure returns (bool) {
        return bits & ~SIGN > INFINITY;
    }

    /// @notice False for NaN and the infinities: what `toFixed` refuses.
    function isFinite(uint32 bits) internal pure returns (bool) {
        return bits & ~SIGN < INFINITY;
    }

    /// @notice Sign of `a - b`: -1, 0 or 1. Both zeros are equal; infinities have their place; NaN is refused.
    function compare(uint32 a, uint32 b) internal pure returns (int256) {
        (int256 x, int256 y) = (_rank(a), _rank(b));
        return x > y ? int256(1) : x < y ? int256(-1) : int256(0);
    }

    /// @notice The value with 18 decimals, exact but for digits beyond the 18th, which are cut off (rounded
    ///         toward zero): what is below 1e-18 becomes zero. Every finite `float32` fits.
    function toFixed(uint32 bits) internal pure returns (int256 value) {
        require(isFinite(bits), NotFinite(bits));
        // |value| = significand * 2^(exponent - 150); a subnormal has no hidden bit and the exponent of the
        // smallest normal number.
        uint256 exponent = (bits & ~SIGN) >> 23;
        uint256 significand = bits & 0x7fffff;
        if (exponent == 0) exponent = 1;
        else significand |= 0x800000;
        // significand * 1e18 < 2^84, and the largest shift to the left is 254 - 150 = 104 bits: below 2^188.
        uint256 scaled = significand * 1e18;
        scaled = exponent >= 150 ? scaled << (exponent - 150) : scaled >> (150 - exponent);
        value = bits & SIGN == 0 ? int256(scaled) : -int256(scaled);
    }

    /// @notice The `float32` nearest to an 18-decimal number; of two equally near, the even one. Zero is +0.
    function toFloat32(int256 value) internal pure returns (uint32 bits) {
        if (value == 0) return 0;
        uint256 magnitude = value > 0 ? uint256(value) : uint256(~value) + 1;
        // Find the shift s at which quotient = magnitude * 2^s / 1e18 has exactly 24 bits. With
        // 2^59 < 1e18 < 2^60, s = 83 - log2(magnitude) yields 24 or 25 bits; in the second case s is one less.
        int256 shift = 83 - int256(_log2(magnitude));
        (uint256 quotient, uint256 rest, uint256 divisor) = _scaledDivision(magnitude, shift);
        if (quotient >> 24 != 0) {
            --shift;
            (quotient, rest, divisor) = _scaledDivision(magnitude, shift);
        }
        if (2 * rest > divisor || (2 * rest == divisor && quotient & 1 == 1)) ++quotient;
        // value = quotient * 2^-s, a biased exponent of 150 - s: at least 67, so never subnormal. The hidden
        // bit adds one to an exponent one too small, and a quotient rounded up to 2^24 carries into it.
        uint256 encoded = (uint256(149 - shift) << 23) + quotient;
        require(encoded < INFINITY, AboveFloat32(value));
        bits = uint32(encoded) | (value < 0 ? SIGN : 0);
    }

    // ---- inside

    /// @dev Orders numbers as their bits do: negative ones mirrored, both zeros at 0.
    function _rank(uint32 bits) private pure returns (int256) {
        require(!isNaN(bits), NotANumber(bits));
        int256 magnitude = int256(uint256(bits & ~SIGN));
        return bits & SIGN == 0 ? magnitude : -magnitude;
    }

    /// @dev magnitude * 2^shift / 1e18. Nothing overflows: shifted to the left, magnitude stays below 2^84;
    ///      1e18 is shifted by at most 255 - 82 = 173 bits.
    function _scaledDivision(uint256 magnitude, int256 shift)
        private
        pure
        returns (uint256 quotient, uint256 rest, uint256 divisor)
    {
        divisor = 1e18;
        if (shift >= 0) magnitude <<= uint256(shift);
        else divisor <<= uint256(-shift);
        quotient = magnitude / divisor;
        rest = magnitude % divisor;
    }

    function _log2(uint256 value) private pure returns (uint256 result) {
        for (uint256 step = 128; step != 0; step >>= 1) {
            if (value >> step != 0) {
                value >>= step;
                result += step;
            }
        }
    }

    function _toBool(uint8 value) private pure returns (bool) {
        require(value < 2, NotABool(value));
        return value == 1;
    }

    /// @return word The element in the leftmost `size` bytes; what follows it is not defined.
    function _wordAt(bytes calldata data, uint256 index, uint256 size) private pure returns (bytes32 word) {
        require(index < data.length / size, ElementOutOfBounds(index, data.length / size));
        // index * size < data.length: no overflow, and the element lies within `data`.
        assembly ("memory-safe") {
            word := calldataload(add(data.offset, mul(index, size)))
        }
    }

    function _wordAtMemory(bytes memory data, uint256 index, uint256 size) private pure returns (bytes32 word) {
        require(index < data.length / size, ElementOutOfBounds(index, data.length / size));
        // As above; memory is only read.
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), mul(index, size)))
        }
    }

    /// @return data Zeros, with a spare word of allocated memory behind them for `_write` to run into.
    function _allocate(uint256 length) private pure returns (bytes memory data) {
        data = new bytes(length + 32);
        // The length only shrinks.
        assembly ("memory-safe") {
            mstore(data, length)
        }
    }

    /// @dev Writes a whole word whose tail is zero; elements are written in ascending order, into `_allocate`.
    function _write(bytes memory data, uint256 offset, bytes32 word) private pure {
        // The callers keep `offset` below the length, and a word from there ends within the spare one.
        assembly ("memory-safe") {
            mstore(add(add(data, 0x20), offset), word)
        }
    }

    function _swap32(uint32 value) private pure returns (uint32) {
        value = (value & 0x00ff00ff) << 8 | (value >> 8 & 0x00ff00ff);
        return value << 16 | value >> 16;
    }

    function _swap64(uint64 value) private pure returns (uint64) {
        return uint64(_swap32(uint32(value))) << 32 | _swap32(uint32(value >> 32));
    }
}
