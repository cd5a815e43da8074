// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

/// @title Credit for answers in views: a payer's deposit with one operator, drawn by vouchers
/// @notice A payment channel in one direction. A voucher says what its payer has ever owed the operator in all, so a later
///         one takes the place of those before it, and one transaction collects for as many answers as there were. It is
///         an EIP-712 signature of `Voucher(address payer,address operator,uint256 total)` by the payer's key; 65 bytes,
///         low s. A contract cannot be a payer: what it says of a signature today it may deny when it is to pay.
///
///         Nobody but the operator is paid by a voucher, and never more than is deposited with it. What a payer wants
///         back it announces, and waits for `WITHDRAWAL_DELAY` seconds, in which the operator collects what it is owed.
///         A voucher that came too late for one withdrawal can still be collected from the next deposit.
interface IViewCredit {
    /// @param balance What is left of the deposits.
    /// @param collected All that the operator has ever been paid by this payer's vouchers.
    /// @param withdrawableAt From when on the payer can take the balance back; zero where that is not announced.
    struct Credit {
        uint256 balance;
        uint256 collected;
        uint40 withdrawableAt;
    }

    /// @notice One voucher to be collected.
    struct Claim {
        address payer;
        uint256 total;
        bytes signature;
    }

    event Deposited(address indexed payer, address indexed operator, uint256 amount, uint256 balance);
    /// @param total What has been collected now, from the first voucher on.
    event Collected(address indexed payer, address indexed operator, uint256 amount, uint256 total);
    event WithdrawalAnnounced(address indexed payer, address indexed operator, uint40 withdrawableAt);
    event Withdrawn(address indexed payer, address indexed operator, uint256 amount);

    error ZeroAddress();
    error ZeroAmount();
    error SignatureInvalid(address payer);
    /// Nothing is left to collect: it was collected before, or nothing is deposited.
    error NothingToCollect(address operator);
    error NoCredit(address payer, address operator);
    error WithdrawalAlreadyAnnounced(uint40 withdrawableAt);
    error WithdrawalNotAnnounced(address payer, address operator);
    error WithdrawalNotOver(uint40 withdrawableAt, uint40 timestamp);

    /// @notice Adds to the caller's credit with an operator. Takes an announced withdrawal back.
    function deposit(address operator, uint256 amount) external;

    /// @notice Pays the operator what a voucher is above what was collected, as far as the credit goes. Anyone may send it.
    /// @return amount What was paid.
    function collect(address payer, address operator, uint256 total, bytes calldata signature)
        external
        returns (uint256 amount);

    /// @notice The same for several payers, in one transfer. Those of whom there is nothing to collect are passed over.
    /// @return amount What was paid in all; never zero.
    function collectMany(address operator, Claim[] calldata claims) external returns (uint256 amount);

    /// @notice Says that the caller wants its credit back. The operator may collect until it is withdrawn.
    function announceWithdrawal(address operator) external;

    /// @notice Pays the caller's credit out to it, once the delay has passed.
    /// @return amount What was paid.
    function withdraw(address operator) external returns (uint256 amount);

    function creditOf(address payer, address operator) external view returns (Credit memory);

    /// @notice Of several payers with one operator, in their order.
    function creditsOf(address operator, address[] calldata payers) external view returns (Credit[] memory);

    /// @notice What a payer signs.
    function voucherDigest(address payer, address operator, uint256 total) external view returns (bytes32);

    function TOKEN() external view returns (address);
    /// @notice Seconds from an announcement to the withdrawal.
    function WITHDRAWAL_DELAY() external view returns (uint40);
}
