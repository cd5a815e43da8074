// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";

import {OPGToken} from "../../src/OPGToken.sol";
import {IViewCredit} from "../../src/periphery/IViewCredit.sol";
import {ViewCredit} from "../../src/periphery/ViewCredit.sol";
import {Shipped} from "./Shipped.sol";

/// @notice A credit contract, two payers with money and keys, and two operators.
abstract contract CreditTest is Test {
    uint40 internal constant DELAY = 1 days;
    uint40 internal constant START = 1_760_000_000;
    uint256 internal constant MONEY = 100e18;

    IERC20 internal token;
    ViewCredit internal credit;
    address internal operator = makeAddr("operator");
    address internal other = makeAddr("other operator");
    address internal anyone = makeAddr("anyone");
    address internal payer;
    uint256 internal payerKey;
    address internal second;
    uint256 internal secondKey;

    function setUp() public virtual {
        vm.warp(START);
        (payer, payerKey) = makeAddrAndKey("payer");
        (second, secondKey) = makeAddrAndKey("second payer");
        _deploy(Shipped.create("OPGToken", abi.encode(address(this), 1_000_000e18)));
    }

    /// @dev With a token of which this contract has enough.
    function _deploy(address token_) internal {
        token = IERC20(token_);
        credit = ViewCredit(Shipped.create("ViewCredit", abi.encode(token_, DELAY)));
        for (uint256 i; i < 2; ++i) {
            address one = i == 0 ? payer : second;
            (bool moved,) = token_.call(abi.encodeCall(IERC20.transfer, (one, MONEY)));
            assertTrue(moved);
            vm.prank(one);
            (bool allowed,) = token_.call(abi.encodeCall(IERC20.approve, (address(credit), type(uint256).max)));
            assertTrue(allowed);
        }
    }

    function _deposit(uint256 amount) internal {
        vm.prank(payer);
        credit.deposit(operator, amount);
    }

    function _voucher(uint256 total) internal view returns (bytes memory) {
        return _voucher(payer, payerKey, total);
    }

    function _voucher(address who, uint256 key, uint256 total) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, credit.voucherDigest(who, operator, total));
        return abi.encodePacked(r, s, v);
    }

    function _collect(uint256 total) internal returns (uint256) {
        bytes memory signature = _voucher(total);
        vm.prank(anyone);
        return credit.collect(payer, operator, total, signature);
    }

    function _claims(uint256 ofPayer, uint256 ofSecond) internal view returns (IViewCredit.Claim[] memory claims) {
        claims = new IViewCredit.Claim[](2);
        claims[0] = IViewCredit.Claim(payer, ofPayer, _voucher(ofPayer));
        claims[1] = IViewCredit.Claim(second, ofSecond, _voucher(second, secondKey, ofSecond));
    }

    function _assertCredit(uint256 balance, uint256 collected, uint40 withdrawableAt) internal view {
        IViewCredit.Credit memory found = credit.creditOf(payer, operator);
        assertEq(found.balance, balance, "balance");
        assertEq(found.collected, collected, "collected");
        assertEq(found.withdrawableAt, withdrawableAt, "withdrawableAt");
    }
}
