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
///         A voucher that came too late for one withdrawal can still be collected from the next deposit. Amounts are OPG
///         base units, times Unix seconds.
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

    /// @notice A payer added to its credit with an operator.
    /// @param balance What is left of the deposits, this one included.
    event Deposited(address indexed payer, address indexed operator, uint256 amount, uint256 balance);
    /// @notice A voucher was collected, or what the credit had for it.
    /// @param amount What was paid for it.
    /// @param total What has been collected now, from the first voucher on.
    event Collected(address indexed payer, address indexed operator, uint256 amount, uint256 total);
    /// @notice A payer wants its credit back, and can take it from `withdrawableAt` on.
    event WithdrawalAnnounced(address indexed payer, address indexed operator, uint40 withdrawableAt);
    /// @notice A payer took its credit back.
    event Withdrawn(address indexed payer, address indexed operator, uint256 amount);

    /// An address is needed, and none was given.
    error ZeroAddress();
    /// An amount is needed, and none was given.
    error ZeroAmount();
    /// The payer's key has not signed this voucher.
    error SignatureInvalid(address payer);
    /// Nothing is left to collect: it was collected before, or nothing is deposited.
    error NothingToCollect(address operator);
    /// The payer has no balance with the operator.
    error NoCredit(address payer, address operator);
    /// The withdrawal is announced, and its delay runs.
    error WithdrawalAlreadyAnnounced(uint40 withdrawableAt);
    /// A withdrawal is to be announced first.
    error WithdrawalNotAnnounced(address payer, address operator);
    /// The credit can be withdrawn from `withdrawableAt` on.
    error WithdrawalNotOver(uint40 withdrawableAt, uint40 timestamp);

    /// @notice Pulls `amount` OPG base units from the caller by ERC-20 allowance and adds them to its credit with an
    ///         operator. Anyone may call it, with any address as the operator. Takes an announced withdrawal back.
    /// @dev Reverts with `ZeroAddress` or `ZeroAmount`, and with `TransferMismatch` where the token moves another amount.
    function deposit(address operator, uint256 amount) external;

    /// @notice Pays the operator what a voucher is above what was collected, as far as the credit goes. Anyone may send it.
    /// @dev Reverts with `SignatureInvalid` or `NothingToCollect`.
    /// @param total What the payer has ever owed the operator in all, in OPG base units.
    /// @return amount What was paid, in OPG base units.
    function collect(address payer, address operator, uint256 total, bytes calldata signature)
        external
        returns (uint256 amount);

    /// @notice The same for several payers, in one transfer. Those of whom there is nothing to collect are passed over.
    ///         Anyone may send it.
    /// @dev All of it reverts with `SignatureInvalid` or, where there is nothing to collect of anybody, `NothingToCollect`.
    /// @return amount What was paid in all, in OPG base units; never zero.
    function collectMany(address operator, Claim[] calldata claims) external returns (uint256 amount);

    /// @notice Says that the caller wants its credit back. The operator may collect until it is withdrawn.
    /// @dev Reverts with `NoCredit` or `WithdrawalAlreadyAnnounced`.
    function announceWithdrawal(address operator) external;

    /// @notice Pays the caller's credit with an operator out to it, all of it, once the delay has passed.
    /// @dev Reverts with `WithdrawalNotAnnounced`, `WithdrawalNotOver` or `NoCredit` (all of it was collected).
    /// @return amount What was paid, in OPG base units.
    function withdraw(address operator) external returns (uint256 amount);

    /// @notice A payer's credit with an operator; all zero where there is none.
    function creditOf(address payer, address operator) external view returns (Credit memory);

    /// @notice The credits of several payers with one operator, in their order.
    function creditsOf(address operator, address[] calldata payers) external view returns (Credit[] memory);

    /// @notice The EIP-712 digest of a voucher, which its payer signs.
    function voucherDigest(address payer, address operator, uint256 total) external view returns (bytes32);

    /// @notice The ERC-20 that is deposited: OPG.
    function TOKEN() external view returns (address);
    /// @notice Seconds from an announcement to the withdrawal.
    function WITHDRAWAL_DELAY() external view returns (uint40);
}
