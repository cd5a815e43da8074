// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {FeeOnTransferToken} from "../mocks/FeeOnTransferToken.sol";
import {ReentrantToken} from "../mocks/ReentrantToken.sol";
import {IOperatorStaking} from "../../src/interfaces/IOperatorStaking.sol";
import {OperatorStaking} from "../../src/OperatorStaking.sol";
import {OracleTest} from "../support/OracleTest.sol";

contract StakingTest is OracleTest {
    bytes32 private constant CAUSE = keccak256("cause");

    // ---- registration and keys

    function test_Register_Once() public {
        assertEq(staking.signerOf(operator), signer);
        assertEq(staking.payoutOf(operator), payout);
        assertTrue(staking.wasSigner(operator, signer));
        vm.startPrank(operator);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.OperatorExists.selector, operator));
        staking.register(signer, payout);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.ZeroAddress.selector));
        staking.register(address(0), payout);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.ZeroAddress.selector));
        staking.register(signer, address(0));
    }

    function test_RevertWhen_CallerIsNoOperator() public {
        bytes memory reason = abi.encodeWithSelector(IOperatorStaking.OperatorUnknown.selector, anyone);
        vm.startPrank(anyone);
        _expectStaking(reason);
        staking.rotateSigner(signer);
        _expectStaking(reason);
        staking.setPayout(payout);
        _expectStaking(reason);
        staking.unbond(1);
        _expectStaking(reason);
        staking.bond(anyone, 1);
        _expectStaking(reason);
        staking.setOffer(modelId, _offer(1));
        _expectStaking(reason);
        staking.setEndpoint("https://operator.example");
    }

    function test_RotateSigner_TakesEffectAfterTheDelay() public {
        address next = makeAddr("next");
        vm.prank(operator);
        vm.expectEmit(address(staking));
        emit IOperatorStaking.SignerRotationStarted(operator, next, START + SIGNER_DELAY);
        staking.rotateSigner(next);
        vm.warp(START + SIGNER_DELAY - 1);
        assertEq(staking.signerOf(operator), signer);
        assertFalse(staking.wasSigner(operator, next));
        vm.warp(START + SIGNER_DELAY);
        assertEq(staking.signerOf(operator), next);
        assertTrue(staking.wasSigner(operator, next));
        assertTrue(staking.wasSigner(operator, signer), "history stays");
    }

    function test_RotateSigner_ReplacesAPendingKeyThatThenNeverWasOne() public {
        (address wrong, address right) = (makeAddr("wrong"), makeAddr("right"));
        vm.startPrank(operator);
        staking.rotateSigner(wrong);
        skip(SIGNER_DELAY - 1);
        staking.rotateSigner(right);
        skip(SIGNER_DELAY - 1);
        assertEq(staking.signerOf(operator), signer);
        skip(1);
        assertEq(staking.signerOf(operator), right);
        assertFalse(staking.wasSigner(operator, wrong));
        // Back to a key that was valid before: pending or dropped, it stays in the history.
        staking.rotateSigner(signer);
        staking.rotateSigner(wrong);
        assertTrue(staking.wasSigner(operator, signer));
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.ZeroAddress.selector));
        staking.rotateSigner(address(0));
    }

    function test_SetPayout_PaysWhatSettlesLater() public {
        vm.startPrank(operator);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.ZeroAddress.selector));
        staking.setPayout(address(0));
        vm.expectEmit(address(staking));
        emit IOperatorStaking.PayoutChanged(operator, anyone);
        staking.setPayout(anyone);
        assertEq(staking.payoutOf(operator), anyone);
    }

    // ---- bond, unbond, withdraw

    function test_Bond_FromAnyone() public {
        vm.expectEmit(address(staking));
        emit IOperatorStaking.Bonded(operator, address(this), 7, STAKE + 7);
        staking.bond(operator, 7);
        _assertPosition(STAKE + 7, 0, 0, 0);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.ZeroAmount.selector));
        staking.bond(operator, 0);
    }

    function test_RevertWhen_TokenKeepsAFee() public {
        FeeOnTransferToken kept = new FeeOnTransferToken(address(this), 1e18);
        _deploy(address(kept));
        vm.prank(operator);
        staking.register(signer, payout);
        kept.approve(address(staking), 1e18);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.TransferMismatch.selector, 1_000, 990));
        staking.bond(operator, 1_000);
    }

    function test_Unbond_IsPaidAfterTheDelay() public {
        vm.startPrank(operator);
        vm.expectEmit(address(staking));
        emit IOperatorStaking.UnbondingStarted(operator, 0, 10, START + EXIT_DELAY);
        assertEq(staking.unbond(10), 0);
        assertEq(staking.freeStake(operator), STAKE - 10);
        assertEq(staking.positions(operator).stake, STAKE, "still held");
        assertEq(staking.unbondingCount(operator), 1);

        vm.warp(START + EXIT_DELAY - 1);
        _expectStaking(
            abi.encodeWithSelector(
                IOperatorStaking.UnbondingNotOver.selector, START + EXIT_DELAY, START + EXIT_DELAY - 1
            )
        );
        staking.withdraw(0);
        vm.warp(START + EXIT_DELAY);
        vm.expectEmit(address(staking));
        emit IOperatorStaking.Withdrawn(operator, 0, operator, 10);
        assertEq(staking.withdraw(0), 10);
        assertEq(token.balanceOf(operator), 10);
        _assertPosition(STAKE - 10, 0, 0, 0);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.UnbondingUnknown.selector, operator, 0));
        staking.withdraw(0);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.UnbondingUnknown.selector, operator, 1));
        staking.withdraw(1);
    }

    function test_Withdraw_PaysAllUpToTheIndex() public {
        vm.startPrank(operator);
        staking.unbond(10);
        skip(1);
        staking.unbond(20);
        skip(1);
        staking.unbond(40);
        skip(EXIT_DELAY - 1);
        assertEq(staking.withdraw(1), 30);
        assertEq(staking.unbondings(operator, 0).amount, 0);
        assertEq(staking.unbondings(operator, 2).amount, 40);
        skip(1);
        assertEq(staking.withdraw(2), 40);
    }

    function test_RevertWhen_UnbondingMoreThanIsFree() public {
        _accepted();
        uint96 free = STAKE - BOND;
        vm.startPrank(operator);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.ZeroAmount.selector));
        staking.unbond(0);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.FreeStakeTooLow.selector, free + 1, free));
        staking.unbond(free + 1);
        staking.unbond(free);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.FreeStakeTooLow.selector, 1, 0));
        staking.unbond(1);
    }

    // ---- slashing

    function test_Slash_EatsUnbondingStakeOldestFirst() public {
        vm.startPrank(operator);
        staking.unbond(30e18);
        staking.unbond(50e18);
        staking.unbond(STAKE - 80e18);
        vm.stopPrank();
        assertEq(_slash(40e18), 40e18);
        assertEq(staking.unbondings(operator, 0).amount, 0);
        assertEq(staking.unbondings(operator, 1).amount, 40e18);
        // What is bonded later is not paid out in place of what was slashed.
        staking.bond(operator, 100e18);
        skip(EXIT_DELAY);
        vm.startPrank(operator);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.UnbondingUnknown.selector, operator, 0));
        staking.withdraw(0);
        assertEq(staking.withdraw(1), 40e18);
        _assertPosition(STAKE - 80e18 + 100e18, 0, 0, 0);
    }

    function test_Slash_LeavesWhatOtherRequestsLock() public {
        _accepted();
        vm.prank(operator);
        staking.unbond(1_000e18);
        assertEq(_slash(type(uint96).max), STAKE - BOND);
        _assertPosition(BOND, BOND, 1, 1);
        assertEq(_slash(1), 0, "nothing left is no reason to revert");
        assertEq(staking.freeStake(operator), 0);
    }

    function testFuzz_SlashSplitsAddUp(uint96 amount, uint16 requesterBps, uint16 watcherBps, bool nobody) public {
        requesterBps = uint16(bound(requesterBps, 0, 10_000));
        watcherBps = uint16(bound(watcherBps, 0, 10_000 - requesterBps));
        address toWatcher = nobody ? address(0) : watcher;
        vm.prank(court);
        uint96 taken = staking.slash(operator, CAUSE, 0, false, amount, requester, requesterBps, toWatcher, watcherBps);
        assertEq(taken, amount < STAKE ? amount : STAKE);
        uint256 credited = uint256(staking.claimable(requester)) + staking.claimable(watcher);
        assertEq(credited + staking.pendingBurn(), taken);
        assertEq(staking.claimable(requester), uint256(taken) * requesterBps / 10_000);
        assertEq(staking.claimable(address(0)), 0);
        _assertPosition(STAKE - taken, 0, 0, 0);
    }

    function test_RevertWhen_SlashIsNotAllowed() public {
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.NotSlasher.selector, address(this)));
        staking.slash(operator, CAUSE, 0, false, 1, address(0), 0, address(0), 0);
        vm.startPrank(court);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.NotUnlocker.selector, court));
        staking.slash(operator, CAUSE, 1, false, 1, address(0), 0, address(0), 0);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.NotUnlocker.selector, court));
        staking.slash(operator, CAUSE, 0, true, 1, address(0), 0, address(0), 0);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.SharesExceedAmount.selector, 5_000, 5_001));
        staking.slash(operator, CAUSE, 0, false, 1, requester, 5_000, watcher, 5_001);
    }

    function test_ClaimAndBurn_PayWhatSlashesLeft() public {
        _slash(100e18);
        assertEq(staking.claimable(watcher), 30e18);
        vm.startPrank(watcher);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.ZeroAddress.selector));
        staking.claim(address(0));
        vm.expectEmit(address(staking));
        emit IOperatorStaking.Claimed(watcher, anyone, 30e18);
        staking.claim(anyone);
        assertEq(token.balanceOf(anyone), 30e18);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.NothingToClaim.selector, watcher));
        staking.claim(anyone);

        assertEq(staking.burn(), 70e18);
        assertEq(token.balanceOf(BURN), 70e18);
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.ZeroAmount.selector));
        staking.burn();
        assertEq(token.balanceOf(address(staking)), STAKE - 100e18);
    }

    // ---- who may call

    function test_RevertWhen_CallerIsNotTheOracle() public {
        bytes memory reason = abi.encodeWithSelector(IOperatorStaking.NotOracle.selector, address(this));
        _expectStaking(reason);
        staking.lock(operator, 1);
        _expectStaking(reason);
        staking.lockByOffer(operator, modelId, 1, 1, 1, 1, 1);
        _expectStaking(reason);
        staking.recordAnswers(operator, 1);
        _expectStaking(reason);
        staking.release(operator, 1);
    }

    function test_SetOffer_IsStoredAndWithdrawn() public {
        IOperatorStaking.Offer[2] memory offers = [
            IOperatorStaking.Offer(1, 2, 3, 4, 5, 6),
            IOperatorStaking.Offer(
                type(uint80).max,
                type(uint88).max,
                type(uint16).max,
                type(uint24).max,
                type(uint24).max,
                type(uint24).max
            )
        ];
        IOperatorStaking.Offer memory none;
        for (uint256 i; i < offers.length; ++i) {
            vm.expectEmit(address(staking));
            emit IOperatorStaking.OfferSet(operator, modelId, offers[i]);
            _setOffer(offers[i]);
            assertEq(abi.encode(staking.offers(operator, modelId)), abi.encode(offers[i]));
            offers[i].capacity = 0;
            _setOffer(offers[i]);
            assertEq(abi.encode(staking.offers(operator, modelId)), abi.encode(none));
        }
    }

    function test_SetOffer_WritesOneWord() public {
        vm.record();
        _setOffer(_offer(1));
        (, bytes32[] memory writes) = vm.accesses(address(staking));
        assertEq(writes.length, 1);
    }

    /// Bounds that do not fit are refused by the decoder, never cut to what fits.
    function test_RevertWhen_SetOffer_DoesNotFit() public {
        uint256[6] memory tooLarge = [uint256(1 << 80), 1 << 88, 1 << 16, 1 << 24, 1 << 24, 1 << 24];
        for (uint256 i; i < tooLarge.length; ++i) {
            uint256[6] memory words = [uint256(1), 1, 1, 1, 1, 1];
            words[i] = tooLarge[i];
            vm.prank(operator);
            (bool done,) = address(staking)
                .call(abi.encodePacked(staking.setOffer.selector, abi.encode(modelId), abi.encode(words)));
            assertFalse(done);
        }
    }

    function test_SetEndpoint_IsAnnounced() public {
        string[3] memory uris = ["https://operator.example/oracle", "", string(new bytes(256))];
        vm.startPrank(operator);
        for (uint256 i; i < uris.length; ++i) {
            vm.expectEmit(address(staking));
            emit IOperatorStaking.EndpointSet(operator, uris[i]);
            staking.setEndpoint(uris[i]);
        }
        _expectStaking(abi.encodeWithSelector(IOperatorStaking.EndpointTooLong.selector, 257, 256));
        staking.setEndpoint(string(new bytes(257)));
    }

    function test_RevertWhen_TokenReenters() public {
        ReentrantToken hostile = new ReentrantToken(address(this), 1e18);
        _deploy(address(hostile));
        vm.prank(operator);
        staking.register(signer, payout);
        hostile.approve(address(staking), 1e18);
        bytes[4] memory verbs = [
            abi.encodeCall(staking.bond, (operator, 1)),
            abi.encodeCall(staking.burn, ()),
            abi.encodeCall(staking.lock, (operator, 1)),
            abi.encodeCall(staking.release, (operator, 1))
        ];
        for (uint256 i; i < verbs.length; ++i) {
            hostile.arm(address(staking), verbs[i]);
            staking.bond(operator, 10);
            assertFalse(hostile.succeeded());
            assertEq(hostile.reason(), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        }
    }

    function test_RevertWhen_DeployedWithoutTokenOrOracle() public {
        vm.expectRevert(IOperatorStaking.ZeroAddress.selector);
        new OperatorStaking(address(0), address(oracle), court, 1, 1);
        vm.expectRevert(IOperatorStaking.ZeroAddress.selector);
        new OperatorStaking(address(token), address(0), court, 1, 1);
    }

    function _slash(uint96 amount) private returns (uint96) {
        vm.prank(court);
        return staking.slash(operator, CAUSE, 0, false, amount, address(0), 0, watcher, 3_000);
    }

    function _expectStaking(bytes memory reason) private {
        vm.expectRevert(reason, address(staking));
    }
}
