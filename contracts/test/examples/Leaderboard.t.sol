// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {Leaderboard} from "../../examples/Leaderboard.sol";
import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {Tensors} from "../../src/libraries/Tensors.sol";
import {RequestState} from "../../src/types/RequestState.sol";
import {MockInferenceOracle} from "../../testing/MockInferenceOracle.sol";

/// @notice How an eager consumer learns that what it has shown is final. This contract is the player.
contract LeaderboardTest is Test {
    bytes32 private constant MODEL = "a model of one score";

    MockInferenceOracle private oracle;
    Leaderboard private board;

    function setUp() public {
        oracle = new MockInferenceOracle();
        oracle.setModel(MODEL, 5, 0.001e18);
        board = new Leaderboard(IInferenceOracle(address(oracle)), MODEL);
        oracle.OPG().mint(address(this), 1e18);
        oracle.OPG().approve(address(board), 1e18);
    }

    function test_Close_OnlyOnceTheAnswerIsFinal_ByAnybody() public {
        bytes32 requestId = board.enter("a game");
        _expectNotFinal(requestId, RequestState.Requested);
        oracle.giveAnswer(requestId, _score(0.75e18));
        _expect(requestId, Leaderboard.Standing.Shown, 0.75e18);
        _expectNotFinal(requestId, RequestState.Answered);
        oracle.makeFinal(requestId);
        _expect(requestId, Leaderboard.Standing.Shown, 0.75e18); // nobody has told it
        vm.prank(makeAddr("anybody"));
        board.close(requestId);
        _expect(requestId, Leaderboard.Standing.Final, 0.75e18);
        _expectNotFinal(requestId, RequestState.Settled); // it is closed
    }

    function test_Voided_TakesBackWhatWasShown() public {
        bytes32 requestId = board.enter("a game");
        oracle.giveAnswer(requestId, _score(0.75e18));
        oracle.makeVoid(requestId, 0);
        _expect(requestId, Leaderboard.Standing.None, 0);
    }

    function test_Answered_TakesNothingFromAMalformedResult() public {
        bytes32 requestId = board.enter("a game");
        oracle.giveAnswer(requestId, "");
        _expect(requestId, Leaderboard.Standing.Shown, 0);
    }

    function _score(int256 value) private pure returns (bytes memory) {
        int256[] memory scores = new int256[](1);
        scores[0] = value;
        return Tensors.encodeFixed(scores);
    }

    function _expect(bytes32 requestId, Leaderboard.Standing expected, int256 score) private view {
        (, Leaderboard.Standing standing, int256 shown) = board.entries(requestId);
        assertEq(uint8(standing), uint8(expected));
        assertEq(shown, score);
    }

    function _expectNotFinal(bytes32 requestId, RequestState state) private {
        vm.expectRevert(abi.encodeWithSelector(Leaderboard.NotFinal.selector, requestId, state));
        board.close(requestId);
    }
}
