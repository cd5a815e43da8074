// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {OPGToken} from "../src/OPGToken.sol";
import {IInferenceConsumer} from "../src/interfaces/IInferenceConsumer.sol";
import {IInferenceOracle} from "../src/interfaces/IInferenceOracle.sol";
import {IOperatorStaking} from "../src/interfaces/IOperatorStaking.sol";
import {Accept} from "../src/types/Accept.sol";
import {AnswerCommitment} from "../src/types/Answer.sol";
import {InferenceRequest, RequestParams} from "../src/types/InferenceRequest.sol";
import {DeliveryState, Notice, RequestState} from "../src/types/RequestState.sol";
import {Deployment} from "./mocks/Deployment.sol";
import {Erc1271Wallet} from "./mocks/Erc1271Wallet.sol";
import {FeeOnTransferToken} from "./mocks/FeeOnTransferToken.sol";
import {GasBurnerConsumer} from "./mocks/GasBurnerConsumer.sol";
import {NoReturnToken} from "./mocks/NoReturnToken.sol";
import {RecordingConsumer} from "./mocks/RecordingConsumer.sol";
import {ReentrantConsumer} from "./mocks/ReentrantConsumer.sol";
import {ReentrantToken} from "./mocks/ReentrantToken.sol";
import {ReturnBombConsumer} from "./mocks/ReturnBombConsumer.sol";
import {RevertingConsumer} from "./mocks/RevertingConsumer.sol";

/// @notice Consumers, tokens and wallets at their worst, against the real contracts.
contract HostileTest is Deployment {
    uint96 private constant FEE = 1e18;
    uint96 private constant STAKE = 10_000e18;
    uint256 private constant SUPPLY = 1_000_000e18;
    uint64 private constant SIGNED_NONCE = 1 << 63;
    bytes private constant INPUT = "input";
    bytes private constant RESULT = "result";
    /// @dev What a consumer spends between being called and its first statement.
    uint256 private constant ENTRY = 1_000;

    System private system;
    address private operator = makeAddr("operator");
    address private watcher = makeAddr("watcher");
    address private requester;
    uint256 private requesterKey;
    uint256 private signerKey;

    function setUp() public {
        (requester, requesterKey) = makeAddrAndKey("requester");
        system = _stage(address(new OPGToken(address(this), SUPPLY)));
    }

    // ---- the promised gas

    function test_Notice_ArrivesWithThePromisedGas() public {
        uint32[3] memory limits = [uint32(300_000), 500_000, 2_000_000];
        for (uint256 i; i < limits.length; ++i) {
            RecordingConsumer consumer = new RecordingConsumer();
            system.oracle.settle(_final(address(consumer), limits[i]));
            (address sender, uint256 gasAtEntry,, Notice notice,, bytes32 resultHash) = consumer.records(0);
            assertEq(sender, address(system.oracle));
            assertEq(uint8(notice), uint8(Notice.Final));
            assertEq(resultHash, keccak256(RESULT));
            assertGe(gasAtEntry, limits[i] - ENTRY);
            assertLe(gasAtEntry, limits[i]);
        }
    }

    /// However little gas the caller brings, the notice either gets all it was promised or nothing happens.
    function testFuzz_Notice_IsNeverStarvedByTheCaller(uint256 gasGiven, uint32 limit) public {
        limit = uint32(bound(limit, 250_000, 2_000_000));
        gasGiven = bound(gasGiven, 30_000, uint256(limit) + 200_000);
        RecordingConsumer consumer = new RecordingConsumer();
        IInferenceOracle.SettleItem memory item = _final(address(consumer), limit);
        bytes32 requestId = system.oracle.requestIdOf(item.request);

        (bool succeeded,) = address(system.oracle).call{gas: gasGiven}(abi.encodeCall(IInferenceOracle.settle, (item)));

        (RequestState state, DeliveryState delivery,,) = system.oracle.stateOf(requestId);
        if (succeeded) {
            assertEq(uint8(delivery), uint8(DeliveryState.Delivered));
            (, uint256 gasAtEntry,,,,) = consumer.records(0);
            assertGe(gasAtEntry, limit - ENTRY);
        } else {
            assertEq(uint8(state), uint8(RequestState.Answered));
            assertEq(consumer.count(), 0);
        }
    }

    function test_RevertWhen_Settle_BringsTooLittleGas() public {
        IInferenceOracle.SettleItem memory item = _final(address(new RecordingConsumer()), 1_000_000);
        (bool succeeded, bytes memory returned) =
            address(system.oracle).call{gas: 900_000}(abi.encodeCall(IInferenceOracle.settle, (item)));
        assertFalse(succeeded);
        assertEq(bytes4(returned), IInferenceOracle.NotEnoughGasForCallback.selector);
    }

    // ---- consumers that cost or refuse

    function test_ReturnBomb_CostsNoMoreThanItsLimit() public {
        _assertCostBounded(address(new ReturnBombConsumer(600_000, false)), DeliveryState.Delivered);
    }

    function test_RevertBomb_CostsNoMoreThanItsLimit() public {
        _assertCostBounded(address(new ReturnBombConsumer(600_000, true)), DeliveryState.Failed);
    }

    function test_GasBurner_CostsNoMoreThanItsLimit() public {
        _assertCostBounded(address(new GasBurnerConsumer()), DeliveryState.Failed);
    }

    function test_Refusal_MovesTheSameMoneyAndCanBeRetried() public {
        RevertingConsumer consumer = new RevertingConsumer();
        IInferenceOracle.SettleItem memory item = _final(address(consumer), 100_000);
        bytes32 requestId = system.oracle.requestIdOf(item.request);
        (uint96 before,) = system.oracle.accounts(operator);

        system.oracle.settle(item);
        _assertPaid(before + FEE);
        _assertDelivery(requestId, DeliveryState.Failed);
        system.oracle.retryNotice(item.request, item.commitment, RESULT);
        _assertDelivery(requestId, DeliveryState.Failed);

        consumer.heal();
        system.oracle.retryNotice(item.request, item.commitment, RESULT);
        _assertDelivery(requestId, DeliveryState.Delivered);
        assertEq(consumer.count(), 1);
        _assertPaid(before + FEE);
        vm.expectRevert(abi.encodeWithSelector(IInferenceOracle.NoNoticeDue.selector, requestId));
        system.oracle.retryNotice(item.request, item.commitment, RESULT);
    }

    function test_Refusal_InABatch_LeavesTheOthersAlone() public {
        RecordingConsumer recording = new RecordingConsumer();
        address[4] memory consumers = [
            address(new GasBurnerConsumer()),
            address(new ReturnBombConsumer(100_000, true)),
            address(recording),
            address(0xdead)
        ];
        IInferenceOracle.SettleItem[] memory items = new IInferenceOracle.SettleItem[](4);
        for (uint256 i; i < items.length; ++i) {
            items[i] = _answered(consumers[i], 300_000, false);
        }
        vm.warp(vm.getBlockTimestamp() + WINDOW);
        (uint96 before,) = system.oracle.accounts(operator);
        IInferenceOracle.ItemCode[] memory codes = system.oracle.settleBatch(items);
        for (uint256 i; i < codes.length; ++i) {
            assertEq(uint8(codes[i]), uint8(IInferenceOracle.ItemCode.Done));
        }
        assertEq(recording.count(), 1);
        _assertPaid(before + 4 * FEE);
    }

    function test_RevertWhen_Request_NamesAContractOfOursAsConsumer() public {
        address[5] memory forbidden = [
            address(system.oracle),
            address(system.staking),
            address(system.registry),
            address(system.court),
            address(system.token)
        ];
        for (uint256 i; i < forbidden.length; ++i) {
            RequestParams memory params = _params(system, FEE);
            params.consumer = forbidden[i];
            vm.expectRevert(abi.encodeWithSelector(IInferenceOracle.ForbiddenConsumer.selector, forbidden[i]));
            vm.prank(requester);
            system.oracle.request(params, INPUT);
        }
    }

    // ---- reentrancy from a notice

    function test_Reentrancy_IsRefusedOnEveryVerb_WhileAnswering() public {
        ReentrantConsumer consumer = _armed();
        _answered(address(consumer), 1_900_000, true);
        _assertAllRefused(consumer);
    }

    function test_Reentrancy_IsRefusedOnEveryVerb_WhileSettling() public {
        ReentrantConsumer consumer = _armed();
        system.oracle.settle(_final(address(consumer), 1_900_000));
        _assertAllRefused(consumer);
    }

    function test_Reentrancy_IsRefusedOnEveryVerb_WhileExpiring() public {
        ReentrantConsumer consumer = _armed();
        InferenceRequest memory terms = _request(address(consumer), 1_900_000, false);
        vm.warp(terms.deadline + 1);
        system.oracle.expire(terms);
        _assertAllRefused(consumer);
    }

    function test_Reentrancy_IsRefusedOnEveryVerb_WhileDefaulting() public {
        ReentrantConsumer consumer = _armed();
        InferenceRequest memory terms = _request(address(consumer), 1_900_000, false);
        _accept(system, terms, operator, signerKey);
        vm.warp(terms.deadline + 1);
        system.oracle.markDefaulted(terms, operator);
        _assertAllRefused(consumer);
    }

    function test_Reentrancy_IsRefusedOnEveryVerb_WhileVoiding() public {
        ReentrantConsumer consumer = _armed();
        IInferenceOracle.SettleItem memory item = _answered(address(consumer), 1_900_000, false);
        vm.prank(watcher);
        system.court.proveFraud(item.request, item.commitment, "proof");
        _assertAllRefused(consumer);
    }

    function test_Reentrancy_IsRefusedOnEveryVerb_WhileRetrying() public {
        ReentrantConsumer consumer = _armed();
        IInferenceOracle.SettleItem memory item = _final(address(consumer), 1_900_000);
        vm.mockCallRevert(address(consumer), abi.encodePacked(IInferenceConsumer.onInferenceNotice.selector), "not now");
        system.oracle.settle(item);
        vm.clearMockedCalls();
        system.oracle.retryNotice(item.request, item.commitment, RESULT);
        _assertAllRefused(consumer);
    }

    /// The staking contract has a lock of its own. What a consumer can call there is what anybody can.
    function test_Reentrancy_IntoStaking_TakesNothing() public {
        ReentrantConsumer consumer = new ReentrantConsumer();
        address staking = address(system.staking);
        consumer.arm(staking, abi.encodeCall(IOperatorStaking.claim, (address(consumer))));
        consumer.arm(staking, abi.encodeCall(IOperatorStaking.lock, (operator, 1)));
        consumer.arm(staking, abi.encodeCall(IOperatorStaking.release, (operator, 1)));
        consumer.arm(
            staking,
            abi.encodeCall(
                IOperatorStaking.slash, (operator, bytes32(0), 0, false, 1e18, address(consumer), 10_000, address(0), 0)
            )
        );
        consumer.arm(staking, abi.encodeCall(IOperatorStaking.withdraw, (0)));
        consumer.arm(staking, abi.encodeCall(IOperatorStaking.unbond, (1)));
        system.oracle.settle(_final(address(consumer), 1_900_000));

        assertEq(consumer.count(), 6);
        for (uint256 i; i < 6; ++i) {
            (bool succeeded,) = consumer.outcomes(i);
            assertFalse(succeeded);
        }
        assertEq(system.staking.positions(operator).stake, STAKE);
        assertEq(system.token.balanceOf(staking), STAKE);
    }

    // ---- tokens

    function test_RevertWhen_Deposit_ArrivesShort() public {
        System memory other = _stageWithoutFunds(address(new FeeOnTransferToken(address(this), SUPPLY)));
        other.token.approve(address(other.oracle), 100e18);
        vm.expectRevert(abi.encodeWithSelector(IInferenceOracle.TransferMismatch.selector, 100e18, 99e18));
        other.oracle.deposit(requester, 100e18);

        RequestParams memory params = _params(other, FEE);
        vm.expectRevert(abi.encodeWithSelector(IInferenceOracle.TransferMismatch.selector, 1e18, 0.99e18));
        other.oracle.requestWithPull(params, INPUT);

        other.token.approve(address(other.staking), 100e18);
        vm.expectRevert(abi.encodeWithSelector(IOperatorStaking.TransferMismatch.selector, 100e18, 99e18));
        other.staking.bond(operator, 100e18);
    }

    function test_NoReturnToken_GoesAllTheWay() public {
        system = _stage(address(new NoReturnToken(address(this), SUPPLY)));
        system.oracle.settle(_final(address(0), 0));
        IInferenceOracle.SettleItem memory item = _answered(address(0), 0, false);
        vm.prank(watcher);
        system.court.proveFraud(item.request, item.commitment, "proof");

        vm.prank(operator);
        system.oracle.withdraw(operator, FEE);
        assertEq(system.token.balanceOf(operator), FEE);
        vm.prank(watcher);
        system.staking.claim(watcher);
        assertEq(system.token.balanceOf(watcher), item.request.bond * 3 / 10);
        system.staking.burn();
        assertEq(system.token.balanceOf(BURN_ADDRESS), item.request.bond / 2);
        vm.startPrank(operator);
        system.staking.unbond(STAKE - item.request.bond);
        vm.warp(vm.getBlockTimestamp() + EXIT_DELAY);
        system.staking.withdraw(0);
        assertEq(system.token.balanceOf(operator), FEE + STAKE - item.request.bond);
    }

    /// A token that calls back in the middle of a transfer, in its own name and with money of its own to lose.
    function test_ReentrantToken_IsRefused() public {
        ReentrantToken token = new ReentrantToken(address(this), SUPPLY);
        system = _stage(address(token));
        system.token.approve(address(system.oracle), 20e18);
        system.oracle.deposit(address(token), 10e18);
        bytes memory withdrawal = abi.encodeCall(IInferenceOracle.withdraw, (address(token), 10e18));

        token.arm(address(system.oracle), withdrawal);
        system.oracle.deposit(requester, 10e18);
        _assertRefused(token);
        vm.prank(requester);
        system.oracle.withdraw(requester, 10e18);
        _assertRefused(token);

        token.arm(address(system.staking), abi.encodeCall(IOperatorStaking.register, (watcher, watcher)));
        system.token.approve(address(system.staking), 10e18);
        system.staking.bond(operator, 10e18);
        _assertRefused(token);
        system.court.slash(operator, bytes32(0), 10e18, watcher, 5_000);
        vm.prank(watcher);
        system.staking.claim(watcher);
        _assertRefused(token);
        system.staking.burn();
        _assertRefused(token);
        vm.startPrank(operator);
        system.staking.unbond(10e18);
        vm.warp(vm.getBlockTimestamp() + EXIT_DELAY);
        system.staking.withdraw(0);
        _assertRefused(token);
    }

    // ---- contract wallets

    function test_RequestBySignature_TakesAContractWallet() public {
        (Erc1271Wallet wallet, InferenceRequest memory terms, bytes memory signature) = _walletRequest();
        bytes32 requestId = system.oracle.requestBySignature(terms, INPUT, signature);
        (RequestState state,,,) = system.oracle.stateOf(requestId);
        assertEq(uint8(state), uint8(RequestState.Requested));
        (uint96 balance,) = system.oracle.accounts(address(wallet));
        assertEq(balance, 0);
        vm.expectRevert(
            abi.encodeWithSelector(
                IInferenceOracle.WrongState.selector, requestId, RequestState.None, RequestState.Requested
            )
        );
        system.oracle.requestBySignature(terms, INPUT, signature);
    }

    function test_RevertWhen_RequestBySignature_WalletRefuses() public {
        (Erc1271Wallet wallet, InferenceRequest memory terms, bytes memory signature) = _walletRequest();
        bytes memory foreign = _sign(signerKey, system.oracle.requestIdOf(terms));
        bytes memory refusal = abi.encodeWithSelector(IInferenceOracle.SignatureInvalid.selector, address(wallet));
        vm.expectRevert(refusal);
        system.oracle.requestBySignature(terms, INPUT, foreign);
        for (uint8 mode = uint8(Erc1271Wallet.Mode.Short); mode <= uint8(Erc1271Wallet.Mode.Bomb); ++mode) {
            wallet.setMode(Erc1271Wallet.Mode(mode));
            vm.expectRevert(refusal);
            system.oracle.requestBySignature(terms, INPUT, signature);
        }
        (uint96 balance,) = system.oracle.accounts(address(wallet));
        assertEq(balance, FEE);
    }

    // ---- inside

    function _stage(address token) private returns (System memory staged) {
        staged = _stageWithoutFunds(token);
        staged.token.transfer(requester, 100e18);
        _deposit(staged, requester, 100e18);
        staged.token.approve(address(staged.staking), STAKE);
        staged.staking.bond(operator, STAKE);
    }

    function _stageWithoutFunds(address token) private returns (System memory staged) {
        address signer;
        (signer, signerKey) = makeAddrAndKey("signer");
        staged = _deploy(token);
        _register(staged, operator, signer, 0);
    }

    function _request(address consumer, uint32 gasLimit, bool eager) private returns (InferenceRequest memory) {
        RequestParams memory params = _params(system, FEE);
        params.consumer = consumer;
        params.callbackGasLimit = gasLimit;
        params.eager = eager;
        (, uint64 nonce) = system.oracle.accounts(requester);
        vm.prank(requester);
        system.oracle.request(params, INPUT);
        return _terms(params, requester, nonce, INPUT);
    }

    function _answered(address consumer, uint32 gasLimit, bool eager)
        private
        returns (IInferenceOracle.SettleItem memory item)
    {
        item.request = _request(consumer, gasLimit, eager);
        _accept(system, item.request, operator, signerKey);
        item.commitment = _answer(system, item.request, operator, signerKey, RESULT);
        item.result = RESULT;
    }

    function _final(address consumer, uint32 gasLimit) private returns (IInferenceOracle.SettleItem memory item) {
        item = _answered(consumer, gasLimit, false);
        vm.warp(vm.getBlockTimestamp() + WINDOW);
    }

    /// @dev A consumer that tries every verb of the oracle, with arguments as good as they can be.
    function _armed() private returns (ReentrantConsumer consumer) {
        consumer = new ReentrantConsumer();
        // Money of its own, and requests of which it might make something.
        system.token.approve(address(system.oracle), 10e18);
        system.oracle.deposit(address(consumer), 10e18);
        InferenceRequest memory open = _request(address(0), 0, false);
        InferenceRequest memory taken = _request(address(0), 0, false);
        _accept(system, taken, operator, signerKey);
        IInferenceOracle.SettleItem memory item = _answered(address(0), 0, false);
        IInferenceOracle.SettleItem[] memory items = new IInferenceOracle.SettleItem[](1);
        items[0] = item;

        Accept memory acceptance = Accept(system.oracle.requestIdOf(open), operator, open.deadline);
        bytes memory acceptSignature = _sign(signerKey, system.oracle.acceptDigest(acceptance));
        IInferenceOracle.AnswerItem[] memory answers = new IInferenceOracle.AnswerItem[](1);
        answers[0] = IInferenceOracle.AnswerItem(taken, RESULT, keccak256("trace"));
        bytes memory answerSignature = _sign(
            signerKey, system.oracle.answerDigest(_answerOf(system, taken, operator, RESULT, keccak256("trace")))
        );
        InferenceRequest memory signed = _terms(_params(system, FEE), requester, SIGNED_NONCE, INPUT);
        bytes memory requestSignature = _sign(requesterKey, system.oracle.requestIdOf(signed));

        _arm(consumer, abi.encodeCall(IInferenceOracle.deposit, (address(consumer), 1)));
        _arm(consumer, abi.encodeCall(IInferenceOracle.withdraw, (address(consumer), 1)));
        _arm(consumer, abi.encodeCall(IInferenceOracle.request, (_params(system, FEE), INPUT)));
        _arm(consumer, abi.encodeCall(IInferenceOracle.requestWithPull, (_params(system, FEE), INPUT)));
        _arm(consumer, abi.encodeCall(IInferenceOracle.requestBySignature, (signed, INPUT, requestSignature)));
        _arm(consumer, abi.encodeCall(IInferenceOracle.cancel, (open)));
        _arm(consumer, abi.encodeCall(IInferenceOracle.accept, (open, acceptance, acceptSignature)));
        _arm(consumer, abi.encodeCall(IInferenceOracle.answer, (answers[0], operator, answerSignature)));
        _arm(consumer, abi.encodeCall(IInferenceOracle.answerBatch, (answers, operator, answerSignature)));
        _arm(consumer, abi.encodeCall(IInferenceOracle.settle, (item)));
        _arm(consumer, abi.encodeCall(IInferenceOracle.settleBatch, (items)));
        _arm(consumer, abi.encodeCall(IInferenceOracle.expire, (open)));
        _arm(consumer, abi.encodeCall(IInferenceOracle.markDefaulted, (taken, operator)));
        _arm(consumer, abi.encodeCall(IInferenceOracle.retryNotice, (item.request, item.commitment, RESULT)));
        _arm(consumer, abi.encodeCall(IInferenceOracle.suspend, (item.request, item.commitment)));
        _arm(consumer, abi.encodeCall(IInferenceOracle.resume, (item.request, item.commitment, 0)));
        _arm(consumer, abi.encodeCall(IInferenceOracle.voidAnswer, (item.request, item.commitment, watcher)));
    }

    function _arm(ReentrantConsumer consumer, bytes memory call) private {
        consumer.arm(address(system.oracle), call);
    }

    function _assertAllRefused(ReentrantConsumer consumer) private view {
        assertEq(consumer.count(), 17);
        for (uint256 i; i < 17; ++i) {
            (bool succeeded, bytes4 reason) = consumer.outcomes(i);
            assertFalse(succeeded);
            assertEq(reason, ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        }
        (uint96 balance,) = system.oracle.accounts(address(consumer));
        assertEq(balance, 10e18);
    }

    function _assertRefused(ReentrantToken token) private view {
        assertGt(token.attempts(), 0);
        assertFalse(token.succeeded());
        assertEq(token.reason(), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
    }

    /// @dev A notice may cost its limit and, beyond what settling costs without one, no more than the call itself.
    function _assertCostBounded(address consumer, DeliveryState expected) private {
        uint32 limit = 1_500_000;
        uint256 plain = _gasOfSettle(_final(address(0), 0));
        IInferenceOracle.SettleItem memory item = _final(consumer, limit);
        uint256 used = _gasOfSettle(item);
        assertLe(used, plain + limit + 30_000);
        _assertDelivery(system.oracle.requestIdOf(item.request), expected);
    }

    function _gasOfSettle(IInferenceOracle.SettleItem memory item) private returns (uint256) {
        uint256 before = gasleft();
        system.oracle.settle(item);
        return before - gasleft();
    }

    function _assertPaid(uint96 expected) private view {
        (uint96 balance,) = system.oracle.accounts(operator);
        assertEq(balance, expected);
    }

    function _assertDelivery(bytes32 requestId, DeliveryState expected) private view {
        (, DeliveryState delivery,,) = system.oracle.stateOf(requestId);
        assertEq(uint8(delivery), uint8(expected));
    }

    function _walletRequest()
        private
        returns (Erc1271Wallet wallet, InferenceRequest memory terms, bytes memory signature)
    {
        wallet = new Erc1271Wallet(requester);
        system.token.approve(address(system.oracle), FEE);
        system.oracle.deposit(address(wallet), FEE);
        terms = _terms(_params(system, FEE), address(wallet), SIGNED_NONCE, INPUT);
        signature = _sign(requesterKey, system.oracle.requestIdOf(terms));
    }
}
