// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "solady/utils/EIP712.sol";

import {SignerCheck} from "../libraries/SignerCheck.sol";
import {TokenTransfer} from "../libraries/TokenTransfer.sol";
import {IViewCredit} from "./IViewCredit.sol";

/// @title Credit for answers in views
/// @dev What the contract holds is, at any time, the sum of all balances. One deployment serves every payer and operator;
///      it has no owner, and none of the contracts that hold stakes or fees knows it.
contract ViewCredit is IViewCredit, EIP712, ReentrancyGuardTransient {
    using TokenTransfer for IERC20;

    bytes32 private constant VOUCHER_TYPEHASH = keccak256("Voucher(address payer,address operator,uint256 total)");

    // ---- immutables

    /// @inheritdoc IViewCredit
    address public immutable TOKEN;
    /// @inheritdoc IViewCredit
    uint40 public immutable WITHDRAWAL_DELAY;

    // ---- storage

    mapping(address payer => mapping(address operator => Credit)) private _credits;

    constructor(address token, uint40 withdrawalDelay) {
        if (token == address(0)) revert ZeroAddress();
        TOKEN = token;
        WITHDRAWAL_DELAY = withdrawalDelay;
    }

    // ---- payers

    /// @inheritdoc IViewCredit
    function deposit(address operator, uint256 amount) external nonReentrant {
        if (operator == address(0)) revert ZeroAddress();
        if (amount == 0) revert ZeroAmount();

        Credit storage credit = _credits[msg.sender][operator];
        credit.balance += amount;
        if (credit.withdrawableAt != 0) credit.withdrawableAt = 0;
        emit Deposited(msg.sender, operator, amount, credit.balance);
        IERC20(TOKEN).pullExactly(msg.sender, amount);
    }

    /// @inheritdoc IViewCredit
    function announceWithdrawal(address operator) external nonReentrant {
        Credit storage credit = _credits[msg.sender][operator];
        if (credit.balance == 0) revert NoCredit(msg.sender, operator);
        if (credit.withdrawableAt != 0) revert WithdrawalAlreadyAnnounced(credit.withdrawableAt);

        uint40 withdrawableAt = uint40(block.timestamp) + WITHDRAWAL_DELAY;
        credit.withdrawableAt = withdrawableAt;
        emit WithdrawalAnnounced(msg.sender, operator, withdrawableAt);
    }

    /// @inheritdoc IViewCredit
    function withdraw(address operator) external nonReentrant returns (uint256 amount) {
        Credit storage credit = _credits[msg.sender][operator];
        uint40 withdrawableAt = credit.withdrawableAt;
        if (withdrawableAt == 0) revert WithdrawalNotAnnounced(msg.sender, operator);
        if (block.timestamp < withdrawableAt) revert WithdrawalNotOver(withdrawableAt, uint40(block.timestamp));
        amount = credit.balance;
        if (amount == 0) revert NoCredit(msg.sender, operator);

        (credit.balance, credit.withdrawableAt) = (0, 0);
        emit Withdrawn(msg.sender, operator, amount);
        IERC20(TOKEN).push(msg.sender, amount);
    }

    // ---- operators

    /// @inheritdoc IViewCredit
    function collect(address payer, address operator, uint256 total, bytes calldata signature)
        external
        nonReentrant
        returns (uint256 amount)
    {
        amount = _draw(payer, operator, total, signature);
        _pay(operator, amount);
    }

    /// @inheritdoc IViewCredit
    function collectMany(address operator, Claim[] calldata claims) external nonReentrant returns (uint256 amount) {
        for (uint256 i; i < claims.length; ++i) {
            amount += _draw(claims[i].payer, operator, claims[i].total, claims[i].signature);
        }
        _pay(operator, amount);
    }

    // ---- views

    /// @inheritdoc IViewCredit
    function creditOf(address payer, address operator) external view returns (Credit memory) {
        return _credits[payer][operator];
    }

    /// @inheritdoc IViewCredit
    function creditsOf(address operator, address[] calldata payers) external view returns (Credit[] memory credits) {
        credits = new Credit[](payers.length);
        for (uint256 i; i < payers.length; ++i) {
            credits[i] = _credits[payers[i]][operator];
        }
    }

    /// @inheritdoc IViewCredit
    function voucherDigest(address payer, address operator, uint256 total) public view returns (bytes32) {
        return _hashTypedData(keccak256(abi.encode(VOUCHER_TYPEHASH, payer, operator, total)));
    }

    // ---- inside

    /// @dev Moves what a voucher allows out of the books; zero where there is nothing. The transfer is the caller's.
    function _draw(address payer, address operator, uint256 total, bytes calldata signature)
        private
        returns (uint256 amount)
    {
        if (!SignerCheck.isSignedBy(voucherDigest(payer, operator, total), signature, payer)) {
            revert SignatureInvalid(payer);
        }
        Credit storage credit = _credits[payer][operator];
        (uint256 balance, uint256 collected) = (credit.balance, credit.collected);
        if (total <= collected || balance == 0) return 0;

        amount = total - collected < balance ? total - collected : balance;
        credit.balance = balance - amount;
        credit.collected = collected + amount;
        emit Collected(payer, operator, amount, collected + amount);
    }

    function _pay(address operator, uint256 amount) private {
        if (amount == 0) revert NothingToCollect(operator);
        IERC20(TOKEN).push(operator, amount);
    }

    /// @inheritdoc EIP712
    function _domainNameAndVersion() internal pure override returns (string memory name, string memory version) {
        return ("OPG View Credit", "1");
    }
}
