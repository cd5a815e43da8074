// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {OPGToken} from "../../src/OPGToken.sol";
import {IViewCredit} from "../../src/periphery/IViewCredit.sol";
import {ViewCredit} from "../../src/periphery/ViewCredit.sol";
import {Shipped} from "../support/Shipped.sol";

/// @notice Random verbs of three payers and two operators, and books of what they should have come to.
contract CreditHandler is Test {
    uint256 public constant PAYERS = 3;
    uint256 public constant OPERATORS = 2;
    uint256 public constant MONEY = 1_000;
    uint40 private constant DELAY = 100;

    OPGToken public immutable TOKEN;
    ViewCredit public immutable CREDIT;
    address[] public payers;
    address[] public operators;
    uint256[] private _keys;

    /// @notice Per payer and operator: the highest voucher signed, what was put in, what came back.
    mapping(address => mapping(address => uint256)) public highest;
    mapping(address => mapping(address => uint256)) public deposited;
    mapping(address => mapping(address => uint256)) public withdrawn;
    mapping(string => uint256) public done;

    constructor() {
        vm.warp(1_760_000_000);
        TOKEN = OPGToken(Shipped.create("OPGToken", abi.encode(address(this), PAYERS * MONEY)));
        CREDIT = ViewCredit(Shipped.create("ViewCredit", abi.encode(address(TOKEN), DELAY)));
        for (uint256 i; i < PAYERS; ++i) {
            (address payer, uint256 key) = makeAddrAndKey(string.concat("payer ", vm.toString(i)));
            payers.push(payer);
            _keys.push(key);
            TOKEN.transfer(payer, MONEY);
            vm.prank(payer);
            TOKEN.approve(address(CREDIT), type(uint256).max);
        }
        for (uint256 i; i < OPERATORS; ++i) {
            operators.push(makeAddr(string.concat("operator ", vm.toString(i))));
        }
    }

    function deposit(uint256 who, uint256 whom, uint256 amount) external {
        (address payer, address operator) = _pair(who, whom);
        uint256 held = TOKEN.balanceOf(payer);
        if (held == 0) return;
        amount = bound(amount, 1, held);
        vm.prank(payer);
        CREDIT.deposit(operator, amount);
        deposited[payer][operator] += amount;
        ++done["deposit"];
    }

    /// @dev At times above the credit, at times below what was collected.
    function collect(uint256 who, uint256 whom, uint256 total) external {
        (address payer, address operator) = _pair(who, whom);
        IViewCredit.Credit memory before = CREDIT.creditOf(payer, operator);
        total = _someTotal(total, before.collected);
        bytes memory signature = _signed(who, operator, total);
        if (total <= before.collected || before.balance == 0) {
            vm.expectRevert(abi.encodeWithSelector(IViewCredit.NothingToCollect.selector, operator));
            CREDIT.collect(payer, operator, total, signature);
            return;
        }
        uint256 amount = CREDIT.collect(payer, operator, total, signature);
        assertEq(amount, total - before.collected < before.balance ? total - before.collected : before.balance);
        ++done["collect"];
    }

    function collectMany(uint256 whom, uint256 seed) external {
        address operator = operators[whom % OPERATORS];
        IViewCredit.Claim[] memory claims = new IViewCredit.Claim[](PAYERS);
        uint256 due;
        for (uint256 i; i < PAYERS; ++i) {
            IViewCredit.Credit memory before = CREDIT.creditOf(payers[i], operator);
            uint256 total = _someTotal(uint256(keccak256(abi.encode(seed, i))), before.collected);
            claims[i] = IViewCredit.Claim(payers[i], total, _signed(i, operator, total));
            if (total > before.collected) {
                due += total - before.collected < before.balance ? total - before.collected : before.balance;
            }
        }
        if (due == 0) return;
        assertEq(CREDIT.collectMany(operator, claims), due);
        ++done["collectMany"];
    }

    function announce(uint256 who, uint256 whom) external {
        (address payer, address operator) = _pair(who, whom);
        IViewCredit.Credit memory before = CREDIT.creditOf(payer, operator);
        if (before.balance == 0 || before.withdrawableAt != 0) return;
        vm.prank(payer);
        CREDIT.announceWithdrawal(operator);
        ++done["announce"];
    }

    function withdraw(uint256 who, uint256 whom) external {
        (address payer, address operator) = _pair(who, whom);
        IViewCredit.Credit memory before = CREDIT.creditOf(payer, operator);
        bool due = before.withdrawableAt != 0 && block.timestamp >= before.withdrawableAt && before.balance != 0;
        if (!due) vm.expectRevert();
        vm.prank(payer);
        uint256 amount = CREDIT.withdraw(operator);
        if (!due) return;
        assertEq(amount, before.balance);
        withdrawn[payer][operator] += amount;
        ++done["withdraw"];
    }

    function warp(uint256 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 1, DELAY));
        ++done["warp"];
    }

    /// @dev Mostly a little above what was collected, so that something is left to be withdrawn.
    function _someTotal(uint256 seed, uint256 collected) private pure returns (uint256) {
        return seed % 8 == 0 ? (seed >> 8) % (2 * MONEY) : collected + (seed >> 8) % 20;
    }

    function _pair(uint256 who, uint256 whom) private view returns (address, address) {
        return (payers[who % PAYERS], operators[whom % OPERATORS]);
    }

    function _signed(uint256 who, address operator, uint256 total) private returns (bytes memory) {
        address payer = payers[who % PAYERS];
        if (total > highest[payer][operator]) highest[payer][operator] = total;
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_keys[who % PAYERS], CREDIT.voucherDigest(payer, operator, total));
        return abi.encodePacked(r, s, v);
    }
}
