// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ElementType} from "./ElementType.sol";

/// @notice A binary interchange format (IEEE 754-2019, 3.4): its width in bits times 256, and its stored fraction's.
/// @dev Bits above the width are not looked at. Rounding is not here: decoding, classes and order only
///      (docs/court.md, 2).
type Format is uint256;

Format constant BINARY32 = Format.wrap(32 << 8 | 23);
Format constant BINARY64 = Format.wrap(64 << 8 | 52);

using {
    fractionBits,
    signBit,
    infinity,
    leastExponent,
    magnitude,
    isNaN,
    isInfinite,
    isFinite,
    isNegative,
    isZero,
    decode,
    key
} for Format global;

/// @notice The format of a float element type; the caller knows that it is one.
function formatOf(uint256 elementType) pure returns (Format) {
    return elementType == ElementType.FLOAT32 ? BINARY32 : BINARY64;
}

/// @return Bits of the fraction that are stored: 23 or 52.
function fractionBits(Format format) pure returns (uint256) {
    return Format.unwrap(format) & 0xff;
}

/// @return The sign bit alone: the bits of -0.
function signBit(Format format) pure returns (uint256) {
    return (1 << (Format.unwrap(format) >> 8)) >> 1;
}

/// @return The bits of +infinity; those of any NaN, less the sign, are greater.
function infinity(Format format) pure returns (uint256) {
    unchecked {
        return format.signBit() - (1 << format.fractionBits());
    }
}

/// @return Exponent of the smallest subnormal: -149 or -1074.
function leastExponent(Format format) pure returns (int256) {
    unchecked {
        // 32 - 23 - 2 = 7 and 64 - 52 - 2 = 10: exponent fields less the sign, the bias' bits.
        uint256 fraction = format.fractionBits();
        return 2 - int256(1 << ((Format.unwrap(format) >> 8) - fraction - 2)) - int256(fraction);
    }
}

/// @return The bits without the sign.
function magnitude(Format format, uint256 bits) pure returns (uint256) {
    unchecked {
        return bits & (format.signBit() - 1);
    }
}

function isNaN(Format format, uint256 bits) pure returns (bool) {
    return format.magnitude(bits) > format.infinity();
}

function isInfinite(Format format, uint256 bits) pure returns (bool) {
    return format.magnitude(bits) == format.infinity();
}

function isFinite(Format format, uint256 bits) pure returns (bool) {
    return format.magnitude(bits) < format.infinity();
}

/// @notice Whether the sign bit is set (also of -0 and of a NaN).
function isNegative(Format format, uint256 bits) pure returns (bool) {
    return bits & format.signBit() != 0;
}

function isZero(Format format, uint256 bits) pure returns (bool) {
    return format.magnitude(bits) == 0;
}

/// @notice A finite number is `significand · 2^exponent`; subnormals and zero have the least exponent.
/// @dev Meaningless for NaN and infinity.
function decode(Format format, uint256 bits) pure returns (int256 significand, int256 exponent) {
    unchecked {
        uint256 stored = format.magnitude(bits);
        uint256 fraction = format.fractionBits();
        uint256 field = stored >> fraction;
        exponent = format.leastExponent();
        if (field == 0) {
            significand = int256(stored);
        } else {
            significand = int256(stored & ((1 << fraction) - 1) | 1 << fraction);
            exponent += int256(field) - 1;
        }
        if (format.isNegative(bits)) significand = -significand;
    }
}

/// @notice Orders the numbers of the format, infinities included; -0 and +0 are both 0. Meaningless for NaN.
function key(Format format, uint256 bits) pure returns (int256) {
    unchecked {
        int256 unsigned = int256(format.magnitude(bits));
        return format.isNegative(bits) ? -unsigned : unsigned;
    }
}
