// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

import {IInferenceOracle} from "opg-inference-oracle-contracts/src/interfaces/IInferenceOracle.sol";
import {Tensors} from "opg-inference-oracle-contracts/src/libraries/Tensors.sol";
import {MockInferenceOracle} from "opg-inference-oracle-contracts/testing/MockInferenceOracle.sol";
import {Screening} from "../src/Screening.sol";

/// @notice The contract's own logic, without a chain of others: this contract is the applicant.
contract ScreeningTest {
    bytes32 private constant MODEL = "a model of two classes";

    MockInferenceOracle private oracle;
    Screening private screening;

    function setUp() public {
        oracle = new MockInferenceOracle();
        oracle.setModel(MODEL, 5, 0.001e18);
        screening = new Screening(IInferenceOracle(address(oracle)), MODEL);
        oracle.OPG().mint(address(this), 2e18);
        oracle.OPG().approve(address(screening), 2e18);
    }

    function test_OnFinal_ApprovesTheSecondClass() public {
        bytes32 requestId = screening.screen("features");
        oracle.giveAnswer(requestId, _result(0.1e18, 0.9e18));
        _expect(Screening.Outcome.Waiting);
        oracle.makeFinal(requestId);
        _expect(Screening.Outcome.Approved);
    }

    function test_OnFinal_DecidesNothingWithinTheErrorBar() public {
        bytes32 requestId = screening.screen("features");
        oracle.giveAnswer(requestId, _result(0.4999e18, 0.5001e18));
        oracle.makeFinal(requestId);
        _expect(Screening.Outcome.Unclear);
    }

    function test_OnFinal_TakesNothingFromAMalformedResult() public {
        bytes32 requestId = screening.screen("features");
        oracle.giveAnswer(requestId, "");
        oracle.makeFinal(requestId);
        _expect(Screening.Outcome.Unclear);
    }

    function test_OnVoided_LetsTheApplicantTryAgainForNothing() public {
        oracle.makeVoid(screening.screen("features"), 0);
        _expect(Screening.Outcome.None);
        bytes32 requestId = screening.screen("features");
        require(oracle.OPG().balanceOf(address(this)) == 1e18, "the second try was paid for again");
        oracle.giveAnswer(requestId, _result(0.8e18, 0.2e18));
        oracle.makeFinal(requestId);
        _expect(Screening.Outcome.Declined);
    }

    /// What a hook uses is written down: twice as much is promised, for the dearest of them, and room is left.
    function test_Hooks_UseHalfOfTheirGasAtMost() public {
        bytes32 answered = screening.screen("features");
        oracle.giveAnswer(answered, _result(0.1e18, 0.9e18));
        oracle.makeFinal(answered);
        bytes32 voided = screening.screen("features");
        oracle.makeVoid(voided, 0);
        require(oracle.gasUsedBy(answered) > 0 && oracle.gasUsedBy(answered) < 150_000 / 2, "the answer's hook");
        require(oracle.gasUsedBy(voided) > 0 && oracle.gasUsedBy(voided) < 150_000 / 2, "the hook of no answer");
    }

    function _result(int256 first, int256 second) private pure returns (bytes memory) {
        int64[] memory label = new int64[](1);
        label[0] = second > first ? int64(1) : int64(0);
        int256[] memory probabilities = new int256[](2);
        (probabilities[0], probabilities[1]) = (first, second);
        return bytes.concat(Tensors.encodeInt64(label), Tensors.encodeFixed(probabilities));
    }

    function _expect(Screening.Outcome outcome) private view {
        require(screening.outcomes(address(this)) == outcome, "another outcome");
    }
}
