// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ElementType} from "./ElementType.sol";

/// @title Looks through many elements at once: for NaN and infinity, for bytes that are no bool
/// @dev Elements are little-endian, so in a word that is read big-endian the bytes of each lane are reversed: the sign and
///      the exponent lie in its low bytes. A lane "is set" where its highest bit is.
library Scan {
    /// @dev The highest bit of each lane, and its exponent bits.
    struct Lanes {
        uint256 tops;
        uint256 exponents;
    }

    uint256 private constant LANES_32 = 0x0000000100000001000000010000000100000001000000010000000100000001;
    uint256 private constant LANES_64 = 0x0000000000000001000000000000000100000000000000010000000000000001;
    uint256 private constant NO_BOOL = 0xfefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefe;

    /// @notice Whether some element may not be in a request: a NaN, an infinity, a bool that is neither 0 nor 1.
    /// @param source Where in calldata the elements begin; `length` is in bytes.
    function hasForbidden(uint256 kind, uint256 source, uint256 length) internal pure returns (bool) {
        if (kind == ElementType.BOOL) return _hasOtherBool(source, length);
        if (!ElementType.isFloat(kind)) return false;
        Lanes memory lanes = _lanes(kind);
        for (uint256 offset; offset < length; offset += 32) {
            if (_notFinite(_word(source, offset, length), lanes) != 0) return true;
        }
        return false;
    }

    function _hasOtherBool(uint256 source, uint256 length) private pure returns (bool) {
        for (uint256 offset; offset < length; offset += 32) {
            if (_word(source, offset, length) & NO_BOOL != 0) return true;
        }
        return false;
    }

    /// @dev Of float32 the bytes are fraction, fraction, exponent's last bit and fraction, sign and exponent.
    function _lanes(uint256 kind) private pure returns (Lanes memory) {
        return kind == ElementType.FLOAT32
            ? Lanes(LANES_32 << 31, LANES_32 * 0x807f)
            : Lanes(LANES_64 << 63, LANES_64 * 0xf07f);
    }

    /// @dev Lanes whose exponent bits are all set.
    function _notFinite(uint256 word, Lanes memory lanes) private pure returns (uint256) {
        return lanes.tops & ~_notZero(~word & lanes.exponents, lanes.tops);
    }

    /// @dev Lanes that are not zero: what is below the highest bit, with all such bits added, reaches it unless it is zero.
    function _notZero(uint256 word, uint256 tops) private pure returns (uint256) {
        unchecked {
            return (((word & ~tops) + ~tops) | word) & tops;
        }
    }

    /// @dev 32 bytes; zeros, which are allowed everywhere, from `length` on.
    function _word(uint256 source, uint256 offset, uint256 length) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(source, offset))
        }
        uint256 left = length - offset;
        if (left < 32) word &= ~(type(uint256).max >> (8 * left));
    }
}
