// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {TokenTransfer} from "../../src/libraries/TokenTransfer.sol";
import {IViewCredit} from "../../src/periphery/IViewCredit.sol";
import {CreditTest} from "../support/CreditTest.sol";
import {Shipped} from "../support/Shipped.sol";
import {Erc1271Wallet} from "../mocks/Erc1271Wallet.sol";
import {FeeOnTransferToken} from "../mocks/FeeOnTransferToken.sol";
import {NoReturnToken} from "../mocks/NoReturnToken.sol";
import {ReentrantToken} from "../mocks/ReentrantToken.sol";
import {ShrinkingToken} from "../mocks/ShrinkingToken.sol";

/// @notice What a deposit is drawn by, how it comes back, and what tokens and strangers cannot do to it.
contract ViewCreditTest is CreditTest {
    // ---- what is signed

    function test_Wiring_IsTheConstructors() public {
        assertEq(credit.TOKEN(), address(token));
        assertEq(credit.WITHDRAWAL_DELAY(), DELAY);
        vm.expectRevert(IViewCredit.ZeroAddress.selector);
        this.make(address(0));
    }

    function make(address token_) external returns (address) {
        return Shipped.create("ViewCredit", abi.encode(token_, DELAY));
    }

    function test_VoucherDigest_IsTheEip712Digest() public view {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("OPG View Credit"),
                keccak256("1"),
                block.chainid,
                address(credit)
            )
        );
        bytes32 voucher = keccak256(
            abi.encode(keccak256("Voucher(address payer,address operator,uint256 total)"), payer, operator, 7e18)
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain, voucher));
        assertEq(credit.voucherDigest(payer, operator, 7e18), digest);
    }

    // ---- deposits

    function test_Deposit_AddsUp() public {
        vm.expectEmit(address(credit));
        emit IViewCredit.Deposited(payer, operator, 3e18, 3e18);
        _deposit(3e18);
        vm.expectEmit(address(credit));
        emit IViewCredit.Deposited(payer, operator, 2e18, 5e18);
        _deposit(2e18);
        _assertCredit(5e18, 0, 0);
        assertEq(token.balanceOf(address(credit)), 5e18);
        assertEq(credit.creditOf(payer, other).balance, 0);
    }

    function test_Deposit_RefusesNobodyAndNothing() public {
        vm.expectRevert(IViewCredit.ZeroAddress.selector);
        vm.prank(payer);
        credit.deposit(address(0), 1);
        vm.expectRevert(IViewCredit.ZeroAmount.selector);
        vm.prank(payer);
        credit.deposit(operator, 0);
    }

    // ---- vouchers

    function test_Collect_PaysTheOperatorWhatIsNewWhoeverSendsIt() public {
        _deposit(10e18);
        vm.expectEmit(address(credit));
        emit IViewCredit.Collected(payer, operator, 3e18, 3e18);
        assertEq(_collect(3e18), 3e18);
        assertEq(_collect(4e18), 1e18);
        assertEq(token.balanceOf(operator), 4e18);
        assertEq(token.balanceOf(anyone), 0);
        _assertCredit(6e18, 4e18, 0);
    }

    function test_Collect_AsFarAsTheCreditGoesAndTheRestOfTheNext() public {
        _deposit(2e18);
        assertEq(_collect(5e18), 2e18);
        _assertCredit(0, 2e18, 0);
        _deposit(10e18);
        assertEq(_collect(5e18), 3e18);
        _assertCredit(7e18, 5e18, 0);
    }

    function test_Collect_TheLargestVoucherIsPayable() public {
        _deposit(2e18);
        assertEq(_collect(type(uint256).max), 2e18);
        _deposit(1e18);
        assertEq(_collect(type(uint256).max), 1e18);
        _assertCredit(0, 3e18, 0);
    }

    function test_Collect_RefusesWhatWasCollectedAndAnEmptyCredit() public {
        bytes memory voucher = _voucher(1e18);
        vm.expectRevert(abi.encodeWithSelector(IViewCredit.NothingToCollect.selector, operator));
        credit.collect(payer, operator, 1e18, voucher);
        _deposit(10e18);
        _collect(1e18);
        vm.expectRevert(abi.encodeWithSelector(IViewCredit.NothingToCollect.selector, operator));
        credit.collect(payer, operator, 1e18, voucher);
        voucher = _voucher(5e17);
        vm.expectRevert(abi.encodeWithSelector(IViewCredit.NothingToCollect.selector, operator));
        credit.collect(payer, operator, 5e17, voucher);
    }

    function test_Collect_RefusesWhatThePayerDidNotSign() public {
        _deposit(10e18);
        bytes memory voucher = _voucher(1e18);
        _refuse(operator, 2e18, voucher); // another total
        _refuse(other, 1e18, voucher); // another operator
        _refuse(operator, 1e18, _voucher(payer, secondKey, 1e18)); // another key
        _refuse(operator, 1e18, "");
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(payerKey, credit.voucherDigest(payer, operator, 1e18));
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        _refuse(operator, 1e18, abi.encodePacked(r, bytes32(order - uint256(s)), v == 27 ? uint8(28) : uint8(27)));
        bytes32 abroad;
        uint256 here = block.chainid;
        vm.chainId(here + 1);
        abroad = credit.voucherDigest(payer, operator, 1e18);
        vm.chainId(here);
        (v, r, s) = vm.sign(payerKey, abroad);
        _refuse(operator, 1e18, abi.encodePacked(r, s, v)); // another chain
    }

    function test_Collect_NoContractIsAPayer() public {
        Erc1271Wallet wallet = new Erc1271Wallet(payer);
        bytes memory voucher = _voucher(address(wallet), payerKey, 1e18);
        vm.expectRevert(abi.encodeWithSelector(IViewCredit.SignatureInvalid.selector, address(wallet)));
        credit.collect(address(wallet), operator, 1e18, voucher);
        vm.expectRevert(abi.encodeWithSelector(IViewCredit.SignatureInvalid.selector, address(0)));
        credit.collect(address(0), operator, 1e18, new bytes(65));
    }

    function test_CollectMany_PaysOnceForAll() public {
        _deposit(10e18);
        vm.prank(second);
        credit.deposit(operator, 1e18);
        IViewCredit.Claim[] memory claims = _claims(2e18, 3e18);
        assertEq(credit.collectMany(operator, claims), 3e18);
        assertEq(token.balanceOf(operator), 3e18);
        claims = _claims(5e18, 3e18); // of the second there is nothing left
        assertEq(credit.collectMany(operator, claims), 3e18);
        vm.expectRevert(abi.encodeWithSelector(IViewCredit.NothingToCollect.selector, operator));
        credit.collectMany(operator, claims);
        vm.expectRevert(abi.encodeWithSelector(IViewCredit.NothingToCollect.selector, operator));
        credit.collectMany(operator, new IViewCredit.Claim[](0));
        claims = _claims(6e18, 3e18);
        claims[1].total = 4e18;
        vm.expectRevert(abi.encodeWithSelector(IViewCredit.SignatureInvalid.selector, second));
        credit.collectMany(operator, claims);
    }

    function test_CollectMany_TheSameVoucherTwicePaysOnce() public {
        _deposit(10e18);
        IViewCredit.Claim[] memory claims = _claims(2e18, 0);
        claims[1] = claims[0];
        assertEq(credit.collectMany(operator, claims), 2e18);
    }

    function test_CreditsOf_AreInTheOrderAskedFor() public {
        _deposit(10e18);
        _collect(4e18);
        address[] memory payers = new address[](2);
        (payers[0], payers[1]) = (second, payer);
        IViewCredit.Credit[] memory found = credit.creditsOf(operator, payers);
        assertEq(found[0].balance, 0);
        assertEq(found[1].balance, 6e18);
        assertEq(found[1].collected, 4e18);
    }

    // ---- the way back

    function test_Withdraw_AfterTheDelayAndNotBefore() public {
        _deposit(10e18);
        vm.expectEmit(address(credit));
        emit IViewCredit.WithdrawalAnnounced(payer, operator, START + DELAY);
        vm.startPrank(payer);
        credit.announceWithdrawal(operator);
        _assertCredit(10e18, 0, START + DELAY);
        vm.warp(START + DELAY - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IViewCredit.WithdrawalNotOver.selector, START + DELAY, START + DELAY - 1)
        );
        credit.withdraw(operator);
        vm.warp(START + DELAY);
        vm.expectEmit(address(credit));
        emit IViewCredit.Withdrawn(payer, operator, 10e18);
        assertEq(credit.withdraw(operator), 10e18);
        _assertCredit(0, 0, 0);
        assertEq(token.balanceOf(payer), MONEY);
        vm.expectRevert(abi.encodeWithSelector(IViewCredit.WithdrawalNotAnnounced.selector, payer, operator));
        credit.withdraw(operator);
    }

    function test_Withdraw_TheOperatorCollectsUntilItIsDone() public {
        _deposit(10e18);
        vm.prank(payer);
        credit.announceWithdrawal(operator);
        assertEq(_collect(1e18), 1e18);
        vm.warp(START + DELAY);
        assertEq(_collect(3e18), 2e18);
        vm.prank(payer);
        assertEq(credit.withdraw(operator), 7e18);
    }

    function test_Withdraw_NothingIsLeftOfWhatWasCollected() public {
        _deposit(10e18);
        vm.prank(payer);
        credit.announceWithdrawal(operator);
        _collect(10e18);
        vm.warp(START + DELAY);
        vm.expectRevert(abi.encodeWithSelector(IViewCredit.NoCredit.selector, payer, operator));
        vm.prank(payer);
        credit.withdraw(operator);
        _deposit(1e18);
        _assertCredit(1e18, 10e18, 0);
    }

    function test_Withdraw_AVoucherOutlivesIt() public {
        _deposit(10e18);
        vm.startPrank(payer);
        credit.announceWithdrawal(operator);
        vm.warp(START + DELAY);
        credit.withdraw(operator);
        credit.deposit(operator, 5e18);
        vm.stopPrank();
        assertEq(_collect(2e18), 2e18);
    }

    function test_Announce_NeedsCreditAndIsDoneOnce() public {
        vm.startPrank(payer);
        vm.expectRevert(abi.encodeWithSelector(IViewCredit.NoCredit.selector, payer, operator));
        credit.announceWithdrawal(operator);
        credit.deposit(operator, 1e18);
        vm.expectRevert(abi.encodeWithSelector(IViewCredit.WithdrawalNotAnnounced.selector, payer, operator));
        credit.withdraw(operator);
        credit.announceWithdrawal(operator);
        vm.warp(START + 5);
        vm.expectRevert(abi.encodeWithSelector(IViewCredit.WithdrawalAlreadyAnnounced.selector, START + DELAY));
        credit.announceWithdrawal(operator);
    }

    function test_Deposit_TakesAnAnnouncementBack() public {
        _deposit(1e18);
        vm.prank(payer);
        credit.announceWithdrawal(operator);
        _deposit(1);
        _assertCredit(1e18 + 1, 0, 0);
        vm.warp(START + DELAY);
        vm.expectRevert(abi.encodeWithSelector(IViewCredit.WithdrawalNotAnnounced.selector, payer, operator));
        vm.prank(payer);
        credit.withdraw(operator);
    }

    // ---- hostile tokens

    function test_ATokenThatKeepsAPartIsNotDeposited() public {
        _deploy(address(new FeeOnTransferToken(address(this), 1_000e18)));
        vm.expectRevert(abi.encodeWithSelector(TokenTransfer.TransferMismatch.selector, 10e18, 99e17));
        _deposit(10e18);
        assertEq(token.balanceOf(address(credit)), 0);
    }

    function test_ATokenThatBeginsToKeepAPartShortensNobodyElse() public {
        ShrinkingToken shrinking = new ShrinkingToken(address(this), 1_000e18);
        _deploy(address(shrinking));
        _deposit(10e18);
        vm.prank(second);
        credit.deposit(operator, 5e18);
        shrinking.setFee(100);
        _collect(4e18);
        assertEq(token.balanceOf(operator), 4e18 * 99 / 100);
        assertEq(token.balanceOf(address(credit)), 11e18, "what the books say");
    }

    function test_ATokenThatReturnsNothingWorks() public {
        _deploy(address(new NoReturnToken(address(this), 1_000e18)));
        _deposit(10e18);
        assertEq(_collect(4e18), 4e18);
        vm.startPrank(payer);
        credit.announceWithdrawal(operator);
        vm.warp(START + DELAY);
        assertEq(credit.withdraw(operator), 6e18);
    }

    function test_ATokenThatCallsBackFindsEveryVerbLocked() public {
        ReentrantToken reentrant = new ReentrantToken(address(this), 1_000e18);
        _deploy(address(reentrant));
        _deposit(50e18);
        bytes memory voucher = _voucher(40e18);
        bytes[] memory verbs = new bytes[](5);
        verbs[0] = abi.encodeCall(IViewCredit.deposit, (operator, 1));
        verbs[1] = abi.encodeCall(IViewCredit.collect, (payer, operator, 40e18, voucher));
        verbs[2] = abi.encodeCall(IViewCredit.collectMany, (operator, _claims(40e18, 0)));
        verbs[3] = abi.encodeCall(IViewCredit.announceWithdrawal, (operator));
        verbs[4] = abi.encodeCall(IViewCredit.withdraw, (operator));
        for (uint256 i; i < verbs.length; ++i) {
            reentrant.arm(address(credit), verbs[i]);
            _deposit(1e18);
            _assertLocked(reentrant);
            _collect((i + 1) * 1e18);
            _assertLocked(reentrant);
            vm.startPrank(second);
            credit.deposit(operator, 1e18);
            credit.announceWithdrawal(operator);
            vm.warp(block.timestamp + DELAY);
            credit.withdraw(operator);
            vm.stopPrank();
            _assertLocked(reentrant);
        }
        _assertCredit(50e18, 5e18, 0);
        assertEq(token.balanceOf(address(credit)), 50e18);
    }

    // ---- gas

    function test_Gas() public {
        _deposit(50e18);
        vm.prank(second);
        credit.deposit(operator, 50e18);
        _collect(1e18);
        _deposit(1e18);
        vm.snapshotGasLastCall("credit", "deposit");
        bytes memory voucher = _voucher(2e18);
        credit.collect(payer, operator, 2e18, voucher);
        vm.snapshotGasLastCall("credit", "collect");
        IViewCredit.Claim[] memory claims = _claims(3e18, 1e18);
        credit.collectMany(operator, claims);
        claims = _claims(4e18, 2e18);
        credit.collectMany(operator, claims);
        vm.snapshotGasLastCall("credit", "collectMany, two payers");
        vm.prank(payer);
        credit.announceWithdrawal(operator);
        vm.snapshotGasLastCall("credit", "announceWithdrawal");
        vm.warp(START + DELAY);
        vm.prank(payer);
        credit.withdraw(operator);
        vm.snapshotGasLastCall("credit", "withdraw");
    }

    // ---- inside

    function _refuse(address of_, uint256 total, bytes memory signature) private {
        vm.expectRevert(abi.encodeWithSelector(IViewCredit.SignatureInvalid.selector, payer));
        credit.collect(payer, of_, total, signature);
    }

    function _assertLocked(ReentrantToken reentrant) private view {
        assertGt(reentrant.attempts(), 0);
        assertFalse(reentrant.succeeded());
        assertEq(reentrant.reason(), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
    }
}
