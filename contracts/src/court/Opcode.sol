// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice The operations that the court can judge; docs/court.md, 4. The numbers are part of the program root.
library Opcode {
    uint256 internal constant DOT = 1;
    uint256 internal constant SUM = 2;
    uint256 internal constant MEAN = 3;
    uint256 internal constant ADD = 10;
    uint256 internal constant SUB = 11;
    uint256 internal constant MUL = 12;
    uint256 internal constant DIV = 13;
    uint256 internal constant SQRT = 14;
    uint256 internal constant EXP = 20;
    uint256 internal constant LOG = 21;
    uint256 internal constant ERF = 22;
    uint256 internal constant TANH = 23;
    uint256 internal constant SIGMOID = 24;
    uint256 internal constant SOFTPLUS = 25;
    uint256 internal constant COPY = 30;
    uint256 internal constant MAX = 31;
    uint256 internal constant MIN = 32;
    uint256 internal constant REDUCE_MAX = 33;
    uint256 internal constant REDUCE_MIN = 34;
    uint256 internal constant ARGMAX = 35;
    uint256 internal constant ARGMIN = 36;
    uint256 internal constant WHERE = 37;
    uint256 internal constant GATHER = 38;
    uint256 internal constant TOPK_VALUE = 39;
    uint256 internal constant TOPK_INDEX = 40;
    uint256 internal constant CAST = 41;
    uint256 internal constant NEG = 42;
    uint256 internal constant ABS = 43;
    uint256 internal constant SIGN = 44;
    uint256 internal constant FLOOR = 45;
    uint256 internal constant CEIL = 46;
    uint256 internal constant ROUND = 47;
    uint256 internal constant LESS = 50;
    uint256 internal constant LESS_EQUAL = 51;
    uint256 internal constant EQUAL = 52;
    uint256 internal constant NOT = 53;
    uint256 internal constant AND = 54;
    uint256 internal constant OR = 55;
    uint256 internal constant XOR = 56;
    uint256 internal constant TREE = 60;
    uint256 internal constant QUANTIZE = 70;
    uint256 internal constant DEQUANTIZE = 71;
    uint256 internal constant INTEGER_DOT = 72;
    uint256 internal constant QUANTIZED_DOT = 73;
}
