// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ElementType} from "./ElementType.sol";
import {Nest, Site} from "./Nest.sol";
import {Evidence, Openings} from "./Openings.sol";

/// @title Reads where data says which element is read: GATHER and TREE (docs/court.md, 6.4 and 6.5)
/// @dev `defined` is false where the data lead nowhere: the verdict is then `Undefined`.
library Lookup {
    using Openings for Evidence;

    uint256 private constant NODE_WORDS = 8;

    /// @notice The element of operand 0 that operand 1 selects.
    function gather(Site memory site, bytes calldata record) internal pure returns (bool defined, uint256 bits) {
        uint256 kind = site.step.operands[1].tensor.elementType;
        if (kind != ElementType.INT32 && kind != ElementType.INT64) return (false, 0);
        uint256 selector;
        (defined, selector) = _single(site, record, 1);
        if (!defined) return (false, 0);
        (int256 stride, int256 length) = (site.step.attributes[0], site.step.attributes[1]);
        int256 chosen = ElementType.integerValue(kind, selector);
        if (chosen < 0) chosen += length;
        if (chosen < 0 || chosen >= length) return (false, 0);

        (bool holds, int256 position) = Nest.positionOf(site.step, record, site.step.operands[0], site.index);
        if (!holds) return (false, 0);
        return _elementAt(site, 0, position + stride * chosen);
    }

    /// @notice The leaf value (operand 2) that the tree of operand 3 reaches through the table of operand 1.
    function tree(Site memory site, bytes calldata record) internal pure returns (bool defined, uint256 bits) {
        if (
            site.step.operands[0].tensor.elementType != ElementType.FLOAT32
                || site.step.operands[1].tensor.elementType != ElementType.INT32
                || site.step.operands[2].tensor.elementType != ElementType.FLOAT32
                || site.step.operands[3].tensor.elementType != ElementType.INT32
        ) return (false, 0);
        int256[3] memory bases;
        for (uint256 number; number < 3; ++number) {
            (defined, bases[number]) = Nest.positionOf(site.step, record, site.step.operands[number], site.index);
            if (!defined) return (false, 0);
        }
        (defined, bits) = _single(site, record, 3);
        if (!defined) return (false, 0);
        int256 node = ElementType.integerValue(ElementType.INT32, bits);

        int256 nodes = (int256(site.step.operands[1].tensor.count) - bases[1]) / int256(NODE_WORDS);
        for (int256 steps; steps < nodes; ++steps) {
            if (node < 0 || node >= nodes) return (false, 0);
            int256 place = bases[1] + int256(NODE_WORDS) * node;
            if (!Nest.isInside(site.step.operands[1], place)) return (false, 0);
            uint256 words = site.evidence[1].eightWords(uint256(place));
            uint256 mode = _bits(site, place, words, 0);
            int256 number = _word(site, place, words, 1);
            if (mode == 0) {
                int256 last = int256(site.index[site.index.length - 1]);
                return _elementAt(site, 2, bases[2] + number * site.step.attributes[1] + last);
            }
            uint256 feature;
            (defined, feature) = _elementAt(site, 0, bases[0] + number * site.step.attributes[0]);
            if (!defined) return (false, 0);
            bool holds;
            (defined, holds) = _branch(mode, feature, site, place, words);
            if (!defined) return (false, 0);
            node = _word(site, place, words, holds ? 3 : 4);
        }
        return (false, 0);
    }

    /// @dev Whether a branch's comparison holds; of a NaN the table's word 5 says so, in every mode.
    function _branch(uint256 mode, uint256 feature, Site memory site, int256 place, uint256 words)
        private
        pure
        returns (bool defined, bool holds)
    {
        uint256 threshold = _bits(site, place, words, 2);
        if (mode > 6 || _isNan(threshold)) return (false, false);
        if (_isNan(feature)) return (true, _word(site, place, words, 5) != 0);
        (int256 left, int256 right) = (_key(feature), _key(threshold));
        if (mode == 1) return (true, left <= right);
        if (mode == 2) return (true, left < right);
        if (mode == 3) return (true, left >= right);
        if (mode == 4) return (true, left > right);
        if (mode == 5) return (true, left == right);
        return (true, left != right);
    }

    /// @dev A word of a node whose first word is inside the table: all eight are. `words` has them all, unless it is zero:
    ///      a node that straddles two leaves is read word by word, as not every leaf need be shown.
    function _bits(Site memory site, int256 place, uint256 words, uint256 number) private pure returns (uint256 bits) {
        if (words != 0) return (words >> (224 - 32 * number)) & 0xffffffff;
        (, bits) = _elementAt(site, 1, place + int256(number));
    }

    function _word(Site memory site, int256 place, uint256 words, uint256 number) private pure returns (int256) {
        return ElementType.integerValue(ElementType.INT32, _bits(site, place, words, number));
    }

    function _single(Site memory site, bytes calldata record, uint256 number)
        private
        pure
        returns (bool defined, uint256 bits)
    {
        (bool holds, int256 position) = Nest.positionOf(site.step, record, site.step.operands[number], site.index);
        if (!holds) return (false, 0);
        return _elementAt(site, number, position);
    }

    function _elementAt(Site memory site, uint256 number, int256 position)
        private
        pure
        returns (bool defined, uint256 bits)
    {
        if (!Nest.isInside(site.step.operands[number], position)) return (false, 0);
        return (true, site.evidence[number].element(uint256(position)));
    }

    function _isNan(uint256 bits) private pure returns (bool) {
        return bits & 0x7fffffff > 0x7f800000;
    }

    /// @dev Orders float32 numbers; +0 and -0 are both 0.
    function _key(uint256 bits) private pure returns (int256) {
        int256 magnitude = int256(bits & 0x7fffffff);
        return bits >> 31 != 0 ? -magnitude : magnitude;
    }
}
