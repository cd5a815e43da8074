// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {BINARY32} from "../../src/court/Binary32.sol";
import {ElementaryFunctions} from "../../src/court/ElementaryFunctions.sol";

/// @notice The functions to the last bit, against the vectors of Python (`tests/support/elementary_vectors.py`).
contract ElementaryFunctionsTest is Test {
    string private json;

    function setUp() public {
        json = vm.readFile("tests/vectors/elementary.json");
    }

    function test_Exponential() public view {
        _check("EXP", ElementaryFunctions.exponential);
    }

    function test_Logarithm() public view {
        _check("LOG", ElementaryFunctions.logarithm);
    }

    function test_ErrorFunction() public view {
        _check("ERF", ElementaryFunctions.errorFunction);
    }

    function test_HyperbolicTangent() public view {
        _check("TANH", ElementaryFunctions.hyperbolicTangent);
    }

    function test_Logistic() public view {
        _check("SIGMOID", ElementaryFunctions.logistic);
    }

    function test_Softplus() public view {
        _check("SOFTPLUS", ElementaryFunctions.softplus);
    }

    function _check(string memory name, function(int256, int256) internal pure returns (int256, int256) evaluate)
        private
        view
    {
        uint256[] memory arguments = vm.parseJsonUintArray(json, string.concat(".", name, ".arguments"));
        int256[] memory significands = vm.parseJsonIntArray(json, string.concat(".", name, ".significands"));
        int256[] memory exponents = vm.parseJsonIntArray(json, string.concat(".", name, ".exponents"));
        assertGt(arguments.length, 50);
        for (uint256 i; i < arguments.length; ++i) {
            (int256 significand, int256 exponent) = BINARY32.decode(arguments[i]);
            (significand, exponent) = evaluate(significand, exponent);
            assertEq(significand, significands[i], vm.toString(arguments[i]));
            assertEq(exponent, exponents[i], vm.toString(arguments[i]));
        }
    }
}
