// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IDisputeManager} from "../../src/interfaces/IDisputeManager.sol";
import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {Answer, AnswerCommitment} from "../../src/types/Answer.sol";
import {RevealDemand, SignedAnswer} from "../../src/types/Dispute.sol";
import {InferenceRequest} from "../../src/types/InferenceRequest.sol";
import {RequestState} from "../../src/types/RequestState.sol";
import {DisputeTest} from "../support/DisputeTest.sol";

/// @notice Two signed answers to one request, in each of its states.
contract DisputeEquivocationTest is DisputeTest {
    function test_SlashEquivocation_VoidsAnAnswerThatIsNotFinal() public {
        InferenceRequest memory terms = _answered();
        (SignedAnswer memory first, SignedAnswer memory second) = _contradiction(terms);
        bytes32 firstHash = oracle.answerDigest(first.answer);
        assertTrue(firstHash != oracle.answerDigest(second.answer));
        vm.expectEmit(true, true, true, false, court);
        emit IDisputeManager.EquivocationSlashed(_id(terms), operator, watcher, 0, 0);
        _slash(terms, first, second);
        _assertState(terms, RequestState.Slashed);
        assertEq(staking.claimable(watcher), SHARE);
        assertEq(staking.claimable(requester), BOND / 5);
        _assertPosition(STAKE - BOND, 0, 0, 1);
        _refuse(terms, first, second, _nothingAtStake(terms, RequestState.Slashed));
    }

    function test_SlashEquivocation_WhileARevealIsDue() public {
        InferenceRequest memory terms = _answered();
        (SignedAnswer memory first, SignedAnswer memory second) = _contradiction(terms);
        RevealDemand memory demand = _demand(copycat, terms);
        _slash(terms, first, second);
        disputes.refundDemand(demand);
        assertEq(disputes.claimable(copycat), BASE);
    }

    function test_SlashEquivocation_OfABatch() public {
        InferenceRequest memory terms = _answered();
        Answer[] memory answers = new Answer[](3);
        for (uint256 i; i < 3; ++i) {
            answers[i] = _answerOf(terms);
            answers[i].traceRoot = keccak256(abi.encode("trace", i));
        }
        SignedAnswer memory batched;
        batched.answer = answers[1];
        batched.index = 1;
        batched.batch = new bytes32[](3);
        for (uint256 i; i < 3; ++i) {
            batched.batch[i] = this.structHashOf(answers[i]);
        }
        batched.signature = _sign(signerKey, oracle.answerBatchDigest(answers));
        SignedAnswer memory alone = _signedAlone(_answerOf(terms), signerKey);
        batched.index = 2;
        _refuse(terms, alone, batched, abi.encodePacked(IDisputeManager.NotSigner.selector));
        batched.index = 3;
        _refuse(terms, batched, alone, abi.encodePacked(IDisputeManager.NotSigner.selector));
        batched.index = 1;
        _slash(terms, alone, batched);
        _assertState(terms, RequestState.Slashed);
    }

    function structHashOf(Answer calldata answer) external pure returns (bytes32) {
        return answer.structHash();
    }

    function test_SlashEquivocation_OfASettledAnswerOnceAndUpToTheBond() public {
        InferenceRequest memory terms = _answered();
        (SignedAnswer memory first, SignedAnswer memory second) = _contradiction(terms);
        vm.warp(_settleAt(terms));
        AnswerCommitment memory commitment = _commitment();
        _expect(abi.encodeWithSelector(IInferenceOracle.DisputeOver.selector, _settleAt(terms)));
        disputes.slashEquivocation(terms, commitment, first, second);
        _settle(terms);
        // Most of the stake is gone or locked: what is found is taken, and the rest when there is some again.
        vm.prank(operator);
        staking.unbond(STAKE);
        skip(EXIT_DELAY);
        vm.prank(operator);
        staking.withdraw(0);
        _refuse(terms, first, second, _nothingAtStake(terms, RequestState.Settled));
        staking.bond(operator, BOND / 4);
        _slash(terms, first, second);
        assertEq(disputes.equivocationSlashed(_id(terms), operator), BOND / 4);
        staking.bond(operator, STAKE);
        _slash(terms, second, first);
        assertEq(disputes.equivocationSlashed(_id(terms), operator), BOND);
        _assertPosition(STAKE - BOND * 3 / 4, 0, 0, 1);
        assertEq(staking.claimable(watcher), SHARE);
        assertEq(staking.claimable(requester), BOND / 5);
        assertEq(staking.pendingBurn(), BOND / 2);
        _refuse(terms, first, second, _nothingAtStake(terms, RequestState.Settled));
        _assertState(terms, RequestState.Settled);
    }

    function test_SlashEquivocation_OfADefaultedRequest() public {
        InferenceRequest memory terms = _accepted();
        (SignedAnswer memory first, SignedAnswer memory second) = _contradiction(terms);
        _refuse(terms, first, second, _nothingAtStake(terms, RequestState.Accepted));
        skip(TTL + 1);
        oracle.markDefaulted(terms, operator);
        _slash(terms, first, second);
        _assertPosition(STAKE - BOND - 2 * FEE, 0, 0, 1);
    }

    function test_RevertWhen_NobodyWasEverBound() public {
        InferenceRequest memory terms = _request();
        (SignedAnswer memory first, SignedAnswer memory second) = _contradiction(terms);
        _refuse(terms, first, second, _nothingAtStake(terms, RequestState.Requested));
        vm.prank(requester);
        oracle.cancel(terms);
        _refuse(terms, first, second, _nothingAtStake(terms, RequestState.Cancelled));
    }

    function test_RevertWhen_AnswersDoNotContradict() public {
        InferenceRequest memory terms = _answered();
        InferenceRequest memory other = _answered();
        (SignedAnswer memory first,) = _contradiction(terms);
        (SignedAnswer memory ofAnother,) = _contradiction(other);
        AnswerCommitment memory commitment = _commitment();
        bytes memory reason = abi.encodeWithSelector(IDisputeManager.NoContradiction.selector, _id(terms));
        SignedAnswer[4] memory others = [first, ofAnother, ofAnother, first];
        for (uint256 i; i < 4; ++i) {
            SignedAnswer memory one = i == 2 ? ofAnother : first;
            SignedAnswer memory two = abi.decode(abi.encode(others[i]), (SignedAnswer));
            if (i == 3) two.answer.operator = anyone;
            _expectRevert(reason);
            disputes.slashEquivocation(terms, commitment, one, two);
        }
    }

    function test_RevertWhen_ASignatureIsAnothers() public {
        InferenceRequest memory terms = _answered();
        (SignedAnswer memory first, SignedAnswer memory second) = _contradiction(terms);
        (address stranger, uint256 strangerKey) = makeAddrAndKey("stranger");
        second = _signedAlone(second.answer, strangerKey);
        AnswerCommitment memory commitment = _commitment();
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotSigner.selector, operator, stranger));
        disputes.slashEquivocation(terms, commitment, first, second);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotSigner.selector, operator, stranger));
        disputes.slashEquivocation(terms, commitment, second, first);
        second.signature = "";
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotSigner.selector, operator, address(0)));
        disputes.slashEquivocation(terms, commitment, first, second);
        // The other signature of the same digest is none.
        second = _signedAlone(second.answer, signerKey);
        second.signature = _highS(second.signature);
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotSigner.selector, operator, address(0)));
        disputes.slashEquivocation(terms, commitment, first, second);
    }

    function test_SlashEquivocation_ByAFormerKey() public {
        InferenceRequest memory terms = _answered();
        (SignedAnswer memory first, SignedAnswer memory second) = _contradiction(terms);
        (address nextSigner, uint256 nextKey) = makeAddrAndKey("next signer");
        vm.prank(operator);
        staking.rotateSigner(nextSigner);
        second = _signedAlone(second.answer, nextKey);
        AnswerCommitment memory commitment = _commitment();
        _expectRevert(abi.encodeWithSelector(IDisputeManager.NotSigner.selector, operator, nextSigner));
        disputes.slashEquivocation(terms, commitment, first, second);
        vm.warp(START + SIGNER_DELAY);
        _settle(terms);
        _slash(terms, first, second);
        assertEq(staking.claimable(watcher), SHARE);
    }

    function test_RevertWhen_TheAnswerIsAnotherOperators() public {
        InferenceRequest memory terms = _answered();
        address second = makeAddr("second operator");
        vm.prank(second);
        staking.register(signer, payout);
        (SignedAnswer memory one, SignedAnswer memory two) = _contradiction(terms);
        (one.answer.operator, two.answer.operator) = (second, second);
        (one, two) = (_signedAlone(one.answer, signerKey), _signedAlone(two.answer, signerKey));
        AnswerCommitment memory commitment = _commitment();
        _expectRevert(abi.encodeWithSelector(IDisputeManager.WrongOperator.selector, operator, second));
        disputes.slashEquivocation(terms, commitment, one, two);
    }

    function _slash(InferenceRequest memory terms, SignedAnswer memory first, SignedAnswer memory second) private {
        AnswerCommitment memory commitment = _commitment();
        vm.prank(watcher);
        disputes.slashEquivocation(terms, commitment, first, second);
    }

    /// @param reason Of the revert, or its selector.
    function _refuse(
        InferenceRequest memory terms,
        SignedAnswer memory first,
        SignedAnswer memory second,
        bytes memory reason
    ) private {
        AnswerCommitment memory commitment = _commitment();
        if (reason.length == 4) vm.expectPartialRevert(bytes4(reason), court);
        else _expectRevert(reason);
        disputes.slashEquivocation(terms, commitment, first, second);
    }

    function _nothingAtStake(InferenceRequest memory terms, RequestState state) private view returns (bytes memory) {
        return abi.encodeWithSelector(IDisputeManager.NothingAtStake.selector, _id(terms), state);
    }
}
