// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Case, Verdict} from "./Case.sol";
import {ElementType} from "./ElementType.sol";
import {ElementValue} from "./ElementValue.sol";
import {Lanes, Tally, lanesOf} from "./Lanes.sol";
import {Opcode} from "./Opcode.sol";
import {Operands} from "./Operands.sol";

/// @title REDUCE_MAX, REDUCE_MIN, ARGMAX, ARGMIN, TOPK_VALUE and TOPK_INDEX
/// @notice The r-th of the elements that count, in order of preference (docs/court.md, 6.3).
/// @dev Nothing is sorted: the claim is the r-th if as many elements as r are preferred to it, or r of them and equals.
library Choice {
    /// @dev The r-th in which order; `last` prefers the higher number among equals.
    struct Preference {
        uint256 rank;
        bool descending;
        bool last;
    }

    /// @notice The verdict on a value or on a tap's number.
    function judge(Case calldata case_) internal pure returns (Verdict) {
        uint256 opcode = case_.opcode;
        if (case_.operandTypes.length != 1) return Verdict.Undefined;
        uint256 kind = case_.operandTypes[0];
        if (kind == ElementType.BOOL || ElementType.size(kind) == 0) return Verdict.Undefined;
        Preference memory preference;
        if (opcode == Opcode.TOPK_VALUE || opcode == Opcode.TOPK_INDEX) {
            preference = Preference(case_.rank, case_.attributes[0] != 0, false);
        } else if (opcode == Opcode.ARGMAX || opcode == Opcode.ARGMIN) {
            preference = Preference(0, opcode == Opcode.ARGMAX, case_.attributes[0] != 0);
        } else {
            preference.descending = opcode == Opcode.REDUCE_MAX;
        }
        if (opcode == Opcode.REDUCE_MAX || opcode == Opcode.REDUCE_MIN || opcode == Opcode.TOPK_VALUE) {
            return case_.outputType == kind ? _value(case_, kind, preference) : Verdict.Undefined;
        }
        return case_.outputType == ElementType.INT64 ? _number(case_, kind, preference) : Verdict.Undefined;
    }

    function _value(Case calldata case_, uint256 kind, Preference memory preference) private pure returns (Verdict) {
        bool isNaN = ElementValue.isNaN(kind, case_.claimed);
        Tally memory counts = lanesOf(kind).tally(case_.operands[0], isNaN ? 0 : case_.claimed);
        if (counts.hasNaN || preference.rank >= counts.count) return Verdict.Undefined;
        if (isNaN) return Verdict.Violated;
        uint256 preferred = _preferred(counts, preference);
        // At most the number of elements; `notBelow` includes those above.
        unchecked {
            bool isAmong = preferred <= preference.rank && preference.rank < preferred + counts.notBelow - counts.above;
            return isAmong ? Verdict.Within : Verdict.Violated;
        }
    }

    function _number(Case calldata case_, uint256 kind, Preference memory preference) private pure returns (Verdict) {
        bytes calldata data = case_.operands[0];
        Lanes memory lanes = lanesOf(kind);
        (bool isFound, uint256 index) = _indexOf(case_.taps, case_.claimed, data.length / lanes.bytes_);
        // A tap that does not count is never chosen, but the verdict is on it only if the others leave a choice.
        uint256 bits = isFound ? Operands.element(data, index, lanes.bytes_) : 0;
        if (ElementValue.isNaN(kind, bits)) return Verdict.Undefined;
        // At most the length of the data.
        unchecked {
            index *= lanes.bytes_;
            Tally memory before = lanes.tally(data[:index], bits);
            Tally memory behind = lanes.tally(data[index:], bits);
            if (before.hasNaN || behind.hasNaN) return Verdict.Undefined;
            if (preference.rank >= before.count + behind.count) return Verdict.Undefined;
            uint256 preferred = _preferred(before, preference) + _preferred(behind, preference);
            // The first of its equals behind is the element itself.
            preferred += preference.last ? behind.notBelow - behind.above - 1 : before.notBelow - before.above;
            return isFound && preferred == preference.rank ? Verdict.Within : Verdict.Violated;
        }
    }

    /// @dev How many come before an element and its equals.
    function _preferred(Tally memory counts, Preference memory preference) private pure returns (uint256) {
        unchecked {
            return preference.descending ? counts.above : counts.count - counts.notBelow;
        }
    }

    /// @dev The place of a tap's number among those that count, which ascend; all count where none is named.
    function _indexOf(uint256[] calldata taps, uint256 number, uint256 count) private pure returns (bool, uint256) {
        if (taps.length == 0) return number < count ? (true, number) : (false, 0);
        (uint256 low, uint256 high) = (0, taps.length);
        // Places are far below 2^255.
        unchecked {
            while (low < high) {
                uint256 middle = (low + high) / 2;
                if (taps[middle] < number) low = middle + 1;
                else high = middle;
            }
        }
        return low < taps.length && taps[low] == number ? (true, low) : (false, 0);
    }
}
