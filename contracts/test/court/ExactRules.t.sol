// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {Case, IRules, Verdict} from "../../src/court/Case.sol";
import {ElementType} from "../../src/court/ElementType.sol";
import {Opcode} from "../../src/court/Opcode.sol";
import {Shipped} from "../support/Shipped.sol";
import {Meter} from "./ElementaryRules.t.sol";

/// @notice Literal cases of the exact and the quantised operations and what they cost; `tests/contracts` compares the
///         contracts with Python on random ones.
contract ExactRulesTest is Test {
    uint256 private constant FLOAT = ElementType.FLOAT32;
    uint256 private constant BYTE = ElementType.INT8;
    uint256 private constant ONE = 0x3f800000;
    uint256 private constant TWO = 0x40000000;
    uint256 private constant INFINITY = 0x7f800000;
    uint256 private constant NAN = 0x7fc00000;
    uint256 private constant NEGATIVE = 0x80000000;
    uint256 private constant LARGEST = 0x7f7fffff;
    uint256 private constant TAPS = 1000;

    IRules private arithmetic;
    IRules private selection;
    IRules private quantised;

    function setUp() public {
        arithmetic = IRules(Shipped.create("ArithmeticRules", ""));
        selection = IRules(Shipped.create("SelectionRules", ""));
        quantised = IRules(Shipped.create("QuantisedRules", ""));
    }

    function test_SumsAreRoundedToEven() public view {
        // 1 + 2^-24 is a tie; a little more is not, however little.
        _floats(Opcode.ADD, ONE, 0x33800000, ONE);
        _floats(Opcode.ADD, ONE, 0x33800001, ONE + 1);
        _floats(Opcode.ADD, ONE + 1, 0x33800000, ONE + 2);
        _floats(Opcode.SUB, ONE, 0x00000001, ONE);
        _floats(Opcode.SUB, 0x00800000, 0x00000001, 0x007fffff);
        _floats(Opcode.ADD, LARGEST, 0x73000000, INFINITY);
        _floats(Opcode.ADD, LARGEST, 0x72ffffff, LARGEST);
        // A sum of zero has no sign: either is the same.
        _floats(Opcode.SUB, ONE, ONE, NEGATIVE);
    }

    function test_ProductsQuotientsAndRoots() public view {
        _floats(Opcode.MUL, 0x00000001, 0x3f000000, 0);
        _floats(Opcode.MUL, 0x00000003, 0x3f000000, 0x00000002);
        _floats(Opcode.DIV, ONE, 0x40400000, 0x3eaaaaab);
        _floats(Opcode.DIV, LARGEST | NEGATIVE, 0x00000001, INFINITY | NEGATIVE);
        _judge(arithmetic, _pair(Opcode.DIV, FLOAT, ONE, NEGATIVE, INFINITY), Verdict.Undefined);
        _judge(arithmetic, _pair(Opcode.MUL, FLOAT, INFINITY, ONE, INFINITY), Verdict.Undefined);
        _judge(arithmetic, _single(Opcode.SQRT, FLOAT, FLOAT, TWO, 0x3fb504f3), Verdict.Within);
        _judge(arithmetic, _single(Opcode.SQRT, FLOAT, FLOAT, TWO, 0x3fb504f4), Verdict.Violated);
        _judge(arithmetic, _single(Opcode.SQRT, FLOAT, FLOAT, NEGATIVE, NEGATIVE), Verdict.Within);
        _judge(arithmetic, _single(Opcode.SQRT, FLOAT, FLOAT, ONE | NEGATIVE, NAN), Verdict.Undefined);
        // 2.5 to the even neighbour.
        _judge(arithmetic, _single(Opcode.ROUND, FLOAT, FLOAT, 0x40200000, TWO), Verdict.Within);
        _judge(arithmetic, _single(Opcode.CEIL, FLOAT, FLOAT, 0x00000001, ONE), Verdict.Within);
        _judge(arithmetic, _single(Opcode.FLOOR, FLOAT, FLOAT, 0x00000001, NEGATIVE), Verdict.Within);
    }

    function test_IntegersWrap() public view {
        _judge(arithmetic, _pair(Opcode.ADD, BYTE, 0x7f, 1, 0x80), Verdict.Within);
        _judge(arithmetic, _pair(Opcode.DIV, BYTE, 0xf9, 2, 0xfd), Verdict.Within);
        _judge(arithmetic, _pair(Opcode.DIV, BYTE, 0x80, 0xff, 0x80), Verdict.Undefined);
        _judge(arithmetic, _pair(Opcode.DIV, BYTE, 1, 0, 0), Verdict.Undefined);
    }

    function test_Casts() public view {
        _judge(arithmetic, _single(Opcode.CAST, ElementType.INT32, FLOAT, 16_777_217, 0x4b800000), Verdict.Within);
        // -128.5 is cut off, -129 is outside.
        _judge(arithmetic, _single(Opcode.CAST, FLOAT, BYTE, 0xc3008000, 0x80), Verdict.Within);
        _judge(arithmetic, _single(Opcode.CAST, FLOAT, BYTE, 0xc3010000, 0x7f), Verdict.Undefined);
        _judge(arithmetic, _single(Opcode.CAST, FLOAT, ElementType.BOOL, NEGATIVE, 0), Verdict.Within);
    }

    function test_TheFirstOperandThatIsThereElseTheFill() public view {
        Case memory case_ = _pair(Opcode.COPY, BYTE, 0, 7, 7);
        case_.operands[0] = "";
        _judge(selection, case_, Verdict.Within);
        case_.operands[1] = "";
        _judge(selection, case_, Verdict.Undefined);
        case_.attributes = new int256[](1);
        case_.attributes[0] = -1;
        _judge(selection, case_, Verdict.Violated);
        case_.claimed = 0xff;
        _judge(selection, case_, Verdict.Within);
    }

    function test_ChoicesAmongTaps() public view {
        // -0, 1, 0, 1: zeros are equals.
        bytes memory data = hex"000000800000803f000000000000803f";
        _choose(Opcode.ARGMAX, data, 0, 1, Verdict.Within);
        _choose(Opcode.ARGMAX, data, 0, 3, Verdict.Violated);
        _choose(Opcode.ARGMAX, data, 1, 3, Verdict.Within);
        _choose(Opcode.ARGMIN, data, 1, 2, Verdict.Within);
        _choose(Opcode.ARGMIN, data, 0, 4, Verdict.Violated);
        _choose(Opcode.ARGMIN, hex"", 0, 0, Verdict.Undefined);
        _choose(Opcode.ARGMIN, hex"0000c07f", 0, 0, Verdict.Undefined);
        Case memory case_ = _taps(Opcode.ARGMAX, FLOAT, ElementType.INT64, data, 30);
        case_.attributes = new int256[](1);
        case_.taps = new uint256[](4);
        (case_.taps[1], case_.taps[2], case_.taps[3]) = (30, 31, 50);
        _judge(selection, case_, Verdict.Within);
        case_.claimed = 1;
        _judge(selection, case_, Verdict.Violated);
    }

    function test_ATieHasTwoRoundings() public view {
        // 2.5 / 1.
        _quantize(0x40200000, 2, Verdict.Within);
        _quantize(0x40200000, 3, Verdict.Within);
        _quantize(0x40200000, 1, Verdict.Violated);
        _quantize(LARGEST | NEGATIVE, 0x80, Verdict.Within);
        _quantize(NAN, 0, Verdict.Undefined);
    }

    /// @dev The call from another contract and back, the address being cold.
    function test_Gas() public {
        Meter meter = new Meter();
        _snapshot(meter, arithmetic, "ADD", _pair(Opcode.ADD, FLOAT, ONE, 0x33800001, ONE + 1));
        _snapshot(meter, arithmetic, "DIV", _pair(Opcode.DIV, FLOAT, ONE, 0x40400000, 0x3eaaaaab));
        _snapshot(meter, arithmetic, "SQRT", _single(Opcode.SQRT, FLOAT, FLOAT, TWO, 0x3fb504f3));
        _snapshot(meter, arithmetic, "CAST", _single(Opcode.CAST, FLOAT, BYTE, 0xc3008000, 0x80));
        _snapshot(meter, selection, "MAX", _pair(Opcode.MAX, FLOAT, ONE, TWO, TWO));
        bytes memory floats = _repeated(hex"0000803f");
        _snapshot(meter, selection, "REDUCE_MAX, 1000 float32", _taps(Opcode.REDUCE_MAX, FLOAT, FLOAT, floats, ONE));
        Case memory case_ = _taps(Opcode.ARGMAX, FLOAT, ElementType.INT64, floats, TAPS - 1);
        case_.attributes = new int256[](1);
        case_.attributes[0] = 1;
        _snapshot(meter, selection, "ARGMAX, 1000 float32", case_);
        bytes memory integers = _repeated(hex"0100000000000000");
        case_ = _taps(Opcode.SUM, ElementType.INT64, ElementType.INT64, integers, TAPS);
        _snapshot(meter, selection, "SUM, 1000 int64", case_);
        _snapshot(meter, quantised, "INTEGER_DOT, 1000", _dot());
    }

    function _snapshot(Meter meter, IRules rules, string memory name, Case memory case_) private {
        (Verdict verdict, uint256 used) = meter.measure(rules, case_);
        assertEq(uint256(verdict), uint256(Verdict.Within), name);
        vm.snapshotValue("exact", name, used);
    }

    function _floats(uint256 opcode, uint256 a, uint256 b, uint256 expected) private view {
        _judge(arithmetic, _pair(opcode, FLOAT, a, b, expected), Verdict.Within);
        _judge(arithmetic, _pair(opcode, FLOAT, a, b, (expected & ~NEGATIVE) + 1), Verdict.Violated);
    }

    function _choose(uint256 opcode, bytes memory data, int256 last, uint256 claimed, Verdict expected) private view {
        Case memory case_ = _taps(opcode, FLOAT, ElementType.INT64, data, claimed);
        case_.attributes = new int256[](1);
        case_.attributes[0] = last;
        _judge(selection, case_, expected);
    }

    function _quantize(uint256 value, uint256 claimed, Verdict expected) private view {
        Case memory case_ = _case(Opcode.QUANTIZE, BYTE, claimed, 3);
        (case_.operandTypes[0], case_.operandTypes[1], case_.operandTypes[2]) = (FLOAT, FLOAT, BYTE);
        (case_.operands[0], case_.operands[1], case_.operands[2]) = (_bytes(value, 4), _bytes(ONE, 4), _bytes(0, 1));
        _judge(quantised, case_, expected);
    }

    /// @dev sum (2 - 1)·(-3 - -1).
    function _dot() private pure returns (Case memory case_) {
        case_ = _case(Opcode.INTEGER_DOT, ElementType.INT32, uint32(int32(-2 * int256(TAPS))), 4);
        for (uint256 i; i < 4; ++i) {
            case_.operandTypes[i] = BYTE;
        }
        (case_.operands[0], case_.operands[1]) = (_repeated(hex"02"), _repeated(hex"fd"));
        (case_.operands[2], case_.operands[3]) = (hex"01", hex"ff");
    }

    function _judge(IRules rules, Case memory case_, Verdict expected) private view {
        assertEq(uint256(rules.judge(case_)), uint256(expected), vm.toString(case_.claimed));
    }

    function _pair(uint256 opcode, uint256 kind, uint256 a, uint256 b, uint256 claimed)
        private
        pure
        returns (Case memory case_)
    {
        case_ = _case(opcode, kind, claimed, 2);
        uint256 size = ElementType.size(kind);
        (case_.operandTypes[0], case_.operandTypes[1]) = (kind, kind);
        (case_.operands[0], case_.operands[1]) = (_bytes(a, size), _bytes(b, size));
    }

    function _single(uint256 opcode, uint256 kind, uint256 outputType, uint256 operand, uint256 claimed)
        private
        pure
        returns (Case memory)
    {
        return _taps(opcode, kind, outputType, _bytes(operand, ElementType.size(kind)), claimed);
    }

    function _taps(uint256 opcode, uint256 kind, uint256 outputType, bytes memory data, uint256 claimed)
        private
        pure
        returns (Case memory case_)
    {
        case_ = _case(opcode, outputType, claimed, 1);
        case_.operandTypes[0] = kind;
        case_.operands[0] = data;
    }

    function _case(uint256 opcode, uint256 outputType, uint256 claimed, uint256 count)
        private
        pure
        returns (Case memory case_)
    {
        case_.opcode = opcode;
        case_.outputType = outputType;
        case_.claimed = claimed;
        case_.operandTypes = new uint256[](count);
        case_.operands = new bytes[](count);
    }

    function _repeated(bytes memory element) private pure returns (bytes memory data) {
        data = new bytes(TAPS * element.length);
        for (uint256 i; i < data.length; ++i) {
            data[i] = element[i % element.length];
        }
    }

    function _bytes(uint256 bits, uint256 size) private pure returns (bytes memory data) {
        data = new bytes(size);
        for (uint256 i; i < size; ++i) {
            data[i] = bytes1(uint8(bits >> (8 * i)));
        }
    }
}
