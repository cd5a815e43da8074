// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {IOperatorStaking} from "../../src/interfaces/IOperatorStaking.sol";
import {InferenceOracle} from "../../src/InferenceOracle.sol";
import {Accept} from "../../src/types/Accept.sol";
import {AccountLibrary} from "../../src/types/Account.sol";
import {Answer} from "../../src/types/Answer.sol";
import {InferenceRequest, RequestParams} from "../../src/types/InferenceRequest.sol";
import {RequestSlot, RequestSlotLibrary} from "../../src/types/RequestSlot.sol";
import {DeliveryState, RequestState} from "../../src/types/RequestState.sol";
import {StakeBook, StakeBookLibrary} from "../../src/types/StakeBook.sol";
import {OracleTest} from "../support/OracleTest.sol";

/// @notice Digests against hashes put together from the standard by hand; packed words; the constructor.
contract TypedDataTest is OracleTest {
    string private constant ANSWER_TYPE =
        "Answer(bytes32 requestId,address operator,bytes32 modelId,bytes32 inputHash,bytes32 resultHash,bytes32 traceRoot)";

    // ---- digests

    function test_RequestId_IsTheEip712Digest() public view {
        InferenceRequest memory t = _signedTerms();
        bytes memory head = abi.encode(
            keccak256(
                "InferenceRequest(address requester,uint64 nonce,address consumer,bytes32 modelId,bytes32 inputHash,address operator,uint96 fee,uint96 bond,uint96 valueAtRisk,uint40 deadline,uint32 window,uint32 callbackGasLimit,bool eager)"
            ),
            t.requester,
            t.nonce,
            t.consumer,
            t.modelId,
            t.inputHash,
            t.operator
        );
        bytes memory tail = abi.encode(t.fee, t.bond, t.valueAtRisk, t.deadline, t.window, t.callbackGasLimit, t.eager);
        assertEq(oracle.requestIdOf(t), _digest(keccak256(bytes.concat(head, tail))));
    }

    function test_AcceptDigest_IsTheEip712Digest() public view {
        Accept memory a = _acceptance(_signedTerms());
        bytes32 typehash = keccak256("Accept(bytes32 requestId,address operator,uint40 validUntil)");
        bytes32 hash = keccak256(abi.encode(typehash, a.requestId, a.operator, a.validUntil));
        assertEq(oracle.acceptDigest(a), _digest(hash));
    }

    function test_AnswerDigests_AreEip712Digests() public view {
        Answer[] memory answers = new Answer[](2);
        answers[0] = _answerOf(_signedTerms());
        answers[1] = answers[0];
        answers[1].traceRoot = keccak256("another");
        bytes32[2] memory hashes;
        for (uint256 i; i < 2; ++i) {
            Answer memory a = answers[i];
            hashes[i] = keccak256(
                abi.encode(
                    keccak256(bytes(ANSWER_TYPE)),
                    a.requestId,
                    a.operator,
                    a.modelId,
                    a.inputHash,
                    a.resultHash,
                    a.traceRoot
                )
            );
            assertEq(oracle.answerDigest(a), _digest(hashes[i]));
        }
        bytes32 typehash = keccak256(bytes(string.concat("AnswerBatch(Answer[] answers)", ANSWER_TYPE)));
        bytes32 joined = keccak256(abi.encodePacked(hashes[0], hashes[1]));
        assertEq(oracle.answerBatchDigest(answers), _digest(keccak256(abi.encode(typehash, joined))));
    }

    function testFuzz_RequestId_BindsEveryField(InferenceRequest memory terms, uint8 field, uint256 other) public view {
        bytes memory encoded = abi.encode(terms);
        uint256 place = 0x20 * (1 + uint256(field) % 13);
        uint256[13] memory bits = [uint256(160), 64, 160, 256, 256, 160, 96, 96, 96, 40, 32, 32, 1];
        uint256 width = bits[field % 13];
        uint256 mask = width == 256 ? type(uint256).max : (1 << width) - 1;
        assembly {
            let word := mload(add(encoded, place))
            if eq(and(other, mask), word) { other := not(other) }
            mstore(add(encoded, place), and(other, mask))
        }
        InferenceRequest memory changed = abi.decode(encoded, (InferenceRequest));
        assertNotEq(oracle.requestIdOf(terms), oracle.requestIdOf(changed));
    }

    function test_RequestId_BindsTheChainAndTheOracle() public {
        InferenceRequest memory terms = _signedTerms();
        bytes32 here = _id(terms);
        vm.chainId(block.chainid + 1);
        assertNotEq(_id(terms), here);
        vm.chainId(block.chainid - 1);
        _deploy(address(token));
        assertNotEq(_id(terms), here);
    }

    function test_RevertWhen_TermsHaveDirtyBits() public {
        InferenceRequest memory terms = _signedTerms();
        bytes memory data = abi.encodeCall(oracle.requestBySignature, (terms, input, _sign(requesterKey, _id(terms))));
        // The requester's word is the first one.
        data[4] = 0x01;
        (bool sent,) = address(oracle).call(data);
        assertFalse(sent);
    }

    /// @dev A commitment is hashed as its words come: one that is not clean is no commitment.
    function test_RevertWhen_CommitmentHasDirtyBits() public {
        InferenceRequest memory terms = _answered();
        skip(WINDOW);
        bytes memory data = abi.encodeCall(oracle.settle, (_settleItem(terms)));
        // Selector, offset of the item, 13 words of terms; then the operator's word.
        data[4 + 14 * 32] = 0x01;
        (bool sent, bytes memory reason) = address(oracle).call(data);
        assertFalse(sent);
        assertEq(reason, abi.encodeWithSelector(IInferenceOracle.CommitmentMismatch.selector, _id(terms)));
    }

    function test_Eip712Domain() public view {
        (, string memory name, string memory version, uint256 chainId, address verifyingContract,,) =
            oracle.eip712Domain();
        assertEq(name, "OPG Inference Oracle");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(verifyingContract, address(oracle));
    }

    // ---- packed words

    function testFuzz_RequestSlot_RoundTrip(uint8 state, uint8 delivery, uint40 settleAt, uint256 tag) public pure {
        state = uint8(bound(state, 0, uint8(type(RequestState).max)));
        delivery = uint8(bound(delivery, 0, uint8(type(DeliveryState).max)));
        RequestSlot slot = RequestSlotLibrary.pack(RequestState.Requested, 0, tag).withState(RequestState(state))
            .withDelivery(DeliveryState(delivery)).withSettleAt(settleAt);
        assertEq(uint8(slot.state()), state);
        assertEq(uint8(slot.delivery()), delivery);
        assertEq(slot.settleAt(), settleAt);
        assertEq(slot.operator(), address(uint160(tag)));
        assertEq(uint208(uint256(RequestSlot.unwrap(slot))), uint208(tag));
    }

    function testFuzz_StakeBook_RoundTrip(uint96 active, uint96 locked, uint32 unanswered, uint32 accepted)
        public
        pure
    {
        StakeBook book = StakeBookLibrary.pack(active, locked, unanswered, accepted);
        assertEq(book.active(), active);
        assertEq(book.locked(), locked);
        assertEq(book.unanswered(), unanswered);
        assertEq(book.accepted(), accepted);
    }

    function testFuzz_Account_RoundTrip(uint96 balance, uint64 nonce) public pure {
        assertEq(AccountLibrary.pack(balance, nonce).balance(), balance);
        assertEq(AccountLibrary.pack(balance, nonce).nonce(), nonce);
    }

    // ---- the constructor

    function test_Constants() public view {
        assertEq(oracle.TOKEN(), address(token));
        assertEq(oracle.STAKING(), address(staking));
        assertEq(oracle.REGISTRY(), address(registry));
        assertEq(oracle.COURT(), court);
        assertEq(oracle.MAX_TTL(), MAX_TTL);
        assertEq(oracle.MAX_WINDOW(), MAX_WINDOW);
        assertEq(oracle.DISPUTE_ALLOWANCE(), ALLOWANCE);
    }

    function test_RevertWhen_AContractIsZero() public {
        bytes memory reason = abi.encodeWithSelector(IInferenceOracle.ZeroAddress.selector);
        vm.expectRevert(reason);
        new InferenceOracle(address(0), address(staking), address(registry), court, 1, 1, 1);
        vm.expectRevert(reason);
        new InferenceOracle(address(token), address(0), address(registry), court, 1, 1, 1);
        vm.expectRevert(reason);
        new InferenceOracle(address(token), address(staking), address(0), court, 1, 1, 1);
    }

    function test_RevertWhen_WiringIsInconsistent() public {
        address next = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        vm.expectRevert(
            abi.encodeWithSelector(IInferenceOracle.WiringMismatch.selector, address(staking), next, address(oracle))
        );
        new InferenceOracle(address(token), address(staking), address(registry), court, 1, 1, 1);

        // From here on the staking contract says it belongs to whoever asks.
        next = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        vm.mockCall(address(staking), abi.encodeCall(IOperatorStaking.ORACLE, ()), abi.encode(next));
        vm.expectRevert(
            abi.encodeWithSelector(IInferenceOracle.WiringMismatch.selector, address(staking), anyone, address(token))
        );
        new InferenceOracle(anyone, address(staking), address(registry), court, 1, 1, 1);

        next = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        vm.mockCall(address(staking), abi.encodeCall(IOperatorStaking.ORACLE, ()), abi.encode(next));
        vm.expectRevert(
            abi.encodeWithSelector(IInferenceOracle.WiringMismatch.selector, address(staking), anyone, court)
        );
        new InferenceOracle(address(token), address(staking), address(registry), anyone, 1, 1, 1);
    }

    function test_RevertWhen_ExitDelayIsShorterThanALiability() public {
        address next = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        vm.mockCall(address(staking), abi.encodeCall(IOperatorStaking.ORACLE, ()), abi.encode(next));
        vm.expectRevert(
            abi.encodeWithSelector(IInferenceOracle.ExitDelayTooShort.selector, EXIT_DELAY, uint256(EXIT_DELAY) + 1)
        );
        new InferenceOracle(
            address(token), address(staking), address(registry), court, EXIT_DELAY - 3 hours, 2 hours, 1 hours + 1
        );
    }

    function _digest(bytes32 structHash) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("OPG Inference Oracle"),
                keccak256("1"),
                block.chainid,
                address(oracle)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }
}
