// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Tier} from "../types/ModelTerms.sol";
import {Case, IRules, Verdict} from "./Case.sol";
import {ElementType} from "./ElementType.sol";
import {Opcode} from "./Opcode.sol";
import {TermList, Terms, WindowSum} from "./Terms.sol";

/// @title DOT, SUM and MEAN of float32: sums that an honest run may form in any order (docs/court.md, 5)
contract SumRules is IRules {
    using Terms for TermList;

    /// @dev What an honest evaluation rounds: r, z, w and d of the specification.
    struct Rounding {
        uint256 native;
        uint256 underflows;
        uint256 wide;
        uint256 divisor;
    }

    uint256 private constant MOST_ROUNDINGS = 1 << 23;
    uint256 private constant LARGEST_DIVISOR = 1 << 24;
    /// @dev 2^104 in units of 2^0: 104 + 298.
    uint256 private constant OVERFLOW_EXPONENT = 402;

    /// @inheritdoc IRules
    function judge(Case calldata case_) external pure returns (Verdict) {
        if (case_.outputType != ElementType.FLOAT32) return Verdict.Undefined;
        uint256[] calldata types = case_.operandTypes;
        for (uint256 number; number < types.length; ++number) {
            if (types[number] != ElementType.FLOAT32) return Verdict.Undefined;
        }
        uint256 opcode = case_.opcode;
        bytes[] calldata operands = case_.operands;
        bytes calldata taps = operands[0];
        uint256 count = taps.length / 4;
        TermList memory terms;
        Rounding memory rounding;
        rounding.divisor = 1;
        if (opcode == Opcode.DOT) {
            terms = Terms.products(taps, operands[1]);
            if (operands.length == 3) {
                bytes calldata summand = operands[2];
                // Its guard fails.
                if (summand.length != 4) return Verdict.Undefined;
                terms.add(ElementType.reversed(uint32(bytes4(summand)), 4));
            }
            (rounding.native, rounding.underflows, rounding.wide) = (terms.count, count, count + 1);
        } else if (opcode == Opcode.SUM) {
            terms = Terms.numbers(taps);
            (rounding.native, rounding.wide) = (count == 0 ? 0 : count - 1, count + 1);
        } else if (opcode == Opcode.MEAN) {
            int256 divisor = case_.attributes[0];
            if (divisor == 0) divisor = int256(count);
            if (divisor <= 0 || divisor > int256(LARGEST_DIVISOR)) return Verdict.Undefined;
            terms = Terms.numbers(taps);
            (rounding.native, rounding.underflows, rounding.wide) = (count + 1, count + 1, count + 2);
            rounding.divisor = uint256(divisor);
        } else {
            return Verdict.Undefined;
        }
        Tier tier = case_.tier;
        if (terms.special != 0 || tier == Tier.Unproven || terms.count + 1 >= MOST_ROUNDINGS) return Verdict.Undefined;
        return _compare(case_.claimed, tier == Tier.Native, terms.sum(), rounding);
    }

    /// @dev Nothing overflows: |A| and M' are below 2^216, so that E is below 2^241; the claim is below 2^224 and the divisor
    ///      at most 2^24, so that their product is below 2^248.
    function _compare(uint256 claimed, bool native, WindowSum memory sums, Rounding memory rounding)
        private
        pure
        returns (Verdict)
    {
        unchecked {
            uint256 unit = sums.unit;
            uint256 bound;
            if (native) {
                uint256 left = (1 << 24) - rounding.native;
                if (
                    OVERFLOW_EXPONENT < unit + 194
                        && sums.magnitude << 24 >= (((1 << 24) - 1) << (OVERFLOW_EXPONENT - unit)) * left
                ) return Verdict.Undefined;
                bound = _ceilDiv(rounding.native * sums.magnitude, left);
                bound += rounding.underflows * rounding.divisor * (unit < 149 ? 1 << (149 - unit) : 1);
            } else {
                bound = _ceilDiv(rounding.wide * sums.magnitude, 1 << 53);
            }
            bound += sums.lost;
            if ((claimed >> 23) & 0xff == 0xff) return _compareSpecial(claimed, sums, bound, rounding.divisor);

            uint256 exponent = (claimed >> 23) & 0xff;
            uint256 significand = claimed & 0x7fffff;
            if (exponent == 0) exponent = 1;
            else significand |= 0x800000;
            exponent += 148;
            uint256 size;
            if (exponent >= unit) {
                // It exceeds the sum and all bounds together.
                if (significand != 0 && significand >> (224 > exponent - unit ? 224 - (exponent - unit) : 0) != 0) {
                    return Verdict.Violated;
                }
                size = significand << (exponent - unit);
            } else {
                size = significand >> (unit - exponent);
                bound += rounding.divisor;
            }
            if (!native) bound += rounding.divisor * (exponent > unit ? 1 << (exponent - 1 - unit) : 1);
            int256 scaled = int256(rounding.divisor * size);
            int256 distance = (claimed >> 31 != 0 ? -scaled : scaled) - sums.total;
            return uint256(distance < 0 ? -distance : distance) <= bound ? Verdict.Within : Verdict.Violated;
        }
    }

    /// @dev A claim of infinity is honest where the sum may be that large, one of NaN never.
    function _compareSpecial(uint256 claimed, WindowSum memory sums, uint256 bound, uint256 divisor)
        private
        pure
        returns (Verdict)
    {
        unchecked {
            // The threshold is at least 2^217 where the shift would not fit.
            if (claimed & 0x7fffff != 0 || OVERFLOW_EXPONENT >= sums.unit + 194) return Verdict.Violated;
            int256 threshold = int256(divisor * (((1 << 25) - 1) << (OVERFLOW_EXPONENT - 1 - sums.unit)));
            int256 reached = (claimed >> 31 != 0 ? -sums.total : sums.total) + int256(bound);
            return reached >= threshold ? Verdict.Within : Verdict.Violated;
        }
    }

    function _ceilDiv(uint256 numerator, uint256 denominator) private pure returns (uint256) {
        unchecked {
            return (numerator + denominator - 1) / denominator;
        }
    }
}
