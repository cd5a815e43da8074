// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {Decision} from "../src/libraries/Decision.sol";
import {UNCERTIFIED} from "../src/types/ModelTerms.sol";

contract DecisionTest is Test {
    int256 private constant LOWEST = type(int256).min;
    int256 private constant HIGHEST = type(int256).max;

    // ---- classify

    function test_Classify_NamesTheBestScore() public pure {
        int256[] memory scores = _scores(0.1e18, 0.7e18, 0.2e18);
        _assertClear(scores, 0, 1);
        _assertClear(scores, 0.1e18, 1);
        (scores[0], scores[1]) = (scores[1], scores[0]);
        _assertClear(scores, 0.1e18, 0);
        (scores[0], scores[2]) = (scores[2], scores[0]);
        _assertClear(scores, 0.1e18, 2);
    }

    function test_Classify_IsAmbiguousUpToTwiceTheBar() public pure {
        int256[] memory scores = _scores(0.1e18, 0.7e18, 0.2e18);
        _assertClear(scores, 0.25e18 - 1, 1);
        _assertAmbiguous(scores, 0.25e18, 1);
        _assertAmbiguous(scores, 0.25e18 + 1, 1);
    }

    function test_Classify_ATieIsNeverClear() public pure {
        _assertAmbiguous(_scores(1, 5, 5), 0, 1);
        _assertAmbiguous(_scores(5, 5, 5), 0, 0);
        _assertAmbiguous(_scores(-5, -7, -5), 0, 0);
        _assertClear(_scores(5, 5, 6), 0, 2);
        _assertClear(_scores(6, 5, 5), 0, 0);
    }

    function test_Classify_OneScoreIsTheOnlyLabel() public pure {
        int256[] memory scores = new int256[](1);
        scores[0] = -1e18;
        _assertClear(scores, 0, 0);
        _assertClear(scores, UNCERTIFIED - 1, 0);
        _assertAmbiguous(scores, UNCERTIFIED, 0);
    }

    function test_Classify_UncertifiedIsAmbiguous() public pure {
        _assertAmbiguous(_scores(LOWEST, HIGHEST, 0), UNCERTIFIED, 1);
        _assertAmbiguous(_scores(LOWEST, HIGHEST, 0), type(uint256).max, 1);
        _assertClear(_scores(LOWEST, HIGHEST, 0), UNCERTIFIED - 1, 1);
    }

    function test_Classify_TakesExtremeScores() public pure {
        _assertClear(_scores(LOWEST, LOWEST, HIGHEST), 1e18, 2);
        _assertClear(_scores(HIGHEST, LOWEST, LOWEST), 1e18, 0);
        _assertAmbiguous(_scores(LOWEST, LOWEST, LOWEST), 0, 0);
        _assertAmbiguous(_scores(HIGHEST - 1, HIGHEST, LOWEST), 1, 1);
        _assertAmbiguous(_scores(LOWEST + 2, LOWEST, LOWEST), 1, 0);
        _assertClear(_scores(LOWEST + 3, LOWEST, LOWEST), 1, 0);
    }

    function test_RevertWhen_Classify_ThereIsNothing() public {
        vm.expectRevert(Decision.NoScores.selector);
        this.classify(new int256[](0), 0);
    }

    /// What is clear stays what it is under every error within the bar: the worst is best down, all others up.
    function testFuzz_Classify_ClearSurvivesTheBar(int96[] memory values, uint96 epsilon) public pure {
        vm.assume(values.length != 0);
        int256[] memory scores = new int256[](values.length);
        for (uint256 i; i < values.length; ++i) {
            scores[i] = values[i];
        }
        (Decision.Status status, uint256 label) = Decision.classify(scores, epsilon);
        int256 bar = int256(uint256(epsilon));
        bool survives = true;
        for (uint256 i; i < scores.length; ++i) {
            assertLe(scores[i], scores[label]);
            if (scores[i] == scores[label]) assertLe(label, i);
            if (i != label && scores[i] + bar >= scores[label] - bar) survives = false;
        }
        assertEq(status == Decision.Status.Clear, survives && epsilon != UNCERTIFIED);
    }

    // ---- atLeast

    function test_AtLeast_DecidesOutsideTheBar() public pure {
        _assertVerdict(0.8e18, 0.8e18, 0, Decision.Verdict.Yes);
        _assertVerdict(0.8e18 - 1, 0.8e18, 0, Decision.Verdict.No);
        _assertVerdict(0.9e18, 0.8e18, 0.1e18, Decision.Verdict.Yes);
        _assertVerdict(0.9e18 - 1, 0.8e18, 0.1e18, Decision.Verdict.Ambiguous);
        _assertVerdict(0.7e18, 0.8e18, 0.1e18, Decision.Verdict.Ambiguous);
        _assertVerdict(0.7e18 - 1, 0.8e18, 0.1e18, Decision.Verdict.No);
        _assertVerdict(-2e18, -1e18, 0.5e18, Decision.Verdict.No);
    }

    function test_AtLeast_UncertifiedIsAmbiguous() public pure {
        _assertVerdict(HIGHEST, LOWEST, UNCERTIFIED, Decision.Verdict.Ambiguous);
        _assertVerdict(LOWEST, HIGHEST, type(uint256).max, Decision.Verdict.Ambiguous);
    }

    function test_AtLeast_TakesExtremeValues() public pure {
        _assertVerdict(HIGHEST, LOWEST, UNCERTIFIED - 1, Decision.Verdict.Yes);
        _assertVerdict(LOWEST, HIGHEST, UNCERTIFIED - 1, Decision.Verdict.No);
        _assertVerdict(LOWEST, LOWEST, 0, Decision.Verdict.Yes);
        _assertVerdict(LOWEST, LOWEST, 1, Decision.Verdict.Ambiguous);
        _assertVerdict(HIGHEST, HIGHEST, 1, Decision.Verdict.Ambiguous);
    }

    function testFuzz_AtLeast_IsWhatTheBarAllows(int128 value, int128 threshold, uint96 epsilon) public pure {
        vm.assume(epsilon != UNCERTIFIED);
        int256 bar = int256(uint256(epsilon));
        bool always = value - bar >= threshold;
        bool never = value + bar < threshold;
        Decision.Verdict expected =
            always ? Decision.Verdict.Yes : never ? Decision.Verdict.No : Decision.Verdict.Ambiguous;
        _assertVerdict(value, threshold, epsilon, expected);
    }

    // ---- inside

    /// @dev From outside, so that a revert can be expected.
    function classify(int256[] memory scores, uint256 epsilon) external pure returns (Decision.Status, uint256) {
        return Decision.classify(scores, epsilon);
    }

    function _scores(int256 a, int256 b, int256 c) private pure returns (int256[] memory scores) {
        scores = new int256[](3);
        (scores[0], scores[1], scores[2]) = (a, b, c);
    }

    function _assertClear(int256[] memory scores, uint256 epsilon, uint256 expected) private pure {
        _assertStatus(scores, epsilon, Decision.Status.Clear, expected);
    }

    function _assertAmbiguous(int256[] memory scores, uint256 epsilon, uint256 expected) private pure {
        _assertStatus(scores, epsilon, Decision.Status.Ambiguous, expected);
    }

    function _assertStatus(int256[] memory scores, uint256 epsilon, Decision.Status expected, uint256 expectedLabel)
        private
        pure
    {
        (Decision.Status status, uint256 label) = Decision.classify(scores, epsilon);
        assertEq(uint8(status), uint8(expected));
        assertEq(label, expectedLabel);
    }

    function _assertVerdict(int256 value, int256 threshold, uint256 epsilon, Decision.Verdict expected) private pure {
        assertEq(uint8(Decision.atLeast(value, threshold, epsilon)), uint8(expected));
    }
}
