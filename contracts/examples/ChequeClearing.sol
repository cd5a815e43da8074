// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {InferenceConsumer} from "../src/InferenceConsumer.sol";
import {IInferenceOracle} from "../src/interfaces/IInferenceOracle.sol";
import {IModelRegistry} from "../src/interfaces/IModelRegistry.sol";
import {Decision} from "../src/libraries/Decision.sol";
import {Tensors} from "../src/libraries/Tensors.sol";
import {InferenceRequest, RequestParams} from "../src/types/InferenceRequest.sol";
import {Tier, UNCERTIFIED} from "../src/types/ModelTerms.sol";
import {RequestState} from "../src/types/RequestState.sol";

/// @title Cheques in handwriting, cleared by a model
/// @notice An example of money that depends on an answer. A payer deposits OPG here and writes cheques off chain:
///         the payer signs who may cash which image, and the amount is in the image only, four handwritten
///         digits of whole OPG. The payee presents the image, a model reads the amount, and the cheque is paid
///         when the answer is final. What each party relies on:
///
///         - The payer signs the hash of the image, so a payee cannot alter a digit; a number clears once.
///         - A wrong answer is slashed before it is final, and until then nothing moves. Nor may a cheque pay
///           out more than the bond an operator loses by lying about it.
///         - The payee pays for the inference. Were it the payer, presenting scribbles would drain the payer.
///         - A cheque is no guarantee of funds: one that finds too little on the day it clears bounces.
contract ChequeClearing is InferenceConsumer, EIP712 {
    using SafeERC20 for IERC20;

    /// @param number Chosen by the payer, a different one for every cheque.
    /// @param imageHash Keccak-256 of the image bytes.
    struct Cheque {
        address payer;
        address payee;
        uint256 number;
        bytes32 imageHash;
    }

    /// @notice A cheque whose answer is awaited.
    struct Presented {
        address payer;
        address payee;
        uint256 number;
    }

    enum BounceReason {
        Illegible,
        AboveLimit,
        InsufficientFunds
    }

    /// @notice Digits on a cheque, most significant first: images of 8 x 8 pixels of `float32`, 0 to 16.
    uint256 public constant DIGITS = 4;
    uint256 public constant IMAGE_LENGTH = DIGITS * 64 * 4;
    /// @dev The model returns labels, int64[DIGITS], and then probabilities, float32[DIGITS, 10].
    uint256 private constant LABELS_LENGTH = DIGITS * 8;
    uint256 private constant RESULT_LENGTH = LABELS_LENGTH + DIGITS * 10 * 4;
    uint32 private constant CALLBACK_GAS = 200_000;
    bytes32 private constant TYPEHASH =
        keccak256("Cheque(address payer,address payee,uint256 number,bytes32 imageHash)");

    bytes32 public immutable MODEL_ID;
    /// @notice The only operator asked, or zero for any.
    address public immutable OPERATOR;
    uint96 public immutable FEE;
    /// @notice The largest amount that is paid out.
    uint96 public immutable LIMIT;
    /// @notice A digit read with less probability than this (18 decimals) makes a cheque illegible.
    int256 public immutable MIN_PROBABILITY;
    /// @notice How far probabilities may be off (18 decimals) without anybody being convicted of it. Zero where the
    ///         answer cannot be judged: then the named operator is taken at its word.
    uint256 public immutable ERROR_BAR;

    mapping(address account => uint256) public balances;
    /// @notice Numbers that were presented and not returned.
    mapping(address payer => mapping(uint256 number => bool)) public used;
    mapping(bytes32 requestId => Presented) public presented;
    /// @dev Compensation received so far, and how much of it has been credited to payees.
    uint256 private _compensationCollected;
    uint256 private _compensationCredited;

    event Deposited(address indexed account, address indexed from, uint256 amount);
    event Withdrawn(address indexed account, uint256 amount);
    event ChequePresented(
        bytes32 indexed requestId, address indexed payer, address indexed payee, uint256 number, bytes32 imageHash
    );
    event ChequePaid(
        bytes32 indexed requestId, address indexed payer, address indexed payee, uint256 number, uint256 amount
    );
    event ChequeBounced(
        bytes32 indexed requestId, address indexed payer, address indexed payee, uint256 number, BounceReason reason
    );
    /// @notice Nobody read the cheque: it may be presented again. Credited are the fee and any compensation.
    event ChequeReturned(
        bytes32 indexed requestId, address indexed payer, address indexed payee, uint256 number, uint256 credited
    );

    error OperatorNeeded(bytes32 modelId);
    error NotPayee(address caller, address payee);
    error ImageMismatch(bytes32 expected, bytes32 actual);
    error ImageLengthMismatch(uint256 expected, uint256 actual);
    error ChequeUsed(address payer, uint256 number);
    error SignatureInvalid(address payer);
    error NotAwaited(bytes32 requestId);
    error StillOpen(bytes32 requestId, RequestState state);
    error BalanceTooLow(uint256 balance, uint256 needed);

    /// @param operator Zero only where wrong answers are convicted, up to an error bar: a payee might run an operator.
    /// @param limit Also the least bond of an operator: what a lie puts at stake.
    constructor(
        IInferenceOracle oracle,
        bytes32 modelId,
        address operator,
        uint96 fee,
        uint96 limit,
        int256 minProbability
    ) InferenceConsumer(oracle) EIP712("ChequeClearing", "1") {
        IModelRegistry registry = IModelRegistry(oracle.REGISTRY());
        uint96 epsilon = registry.epsilonOf(modelId);
        bool judged =
            registry.models(modelId).tier != Tier.Unproven && registry.COURT() != address(0) && epsilon != UNCERTIFIED;
        require(operator != address(0) || judged, OperatorNeeded(modelId));
        MODEL_ID = modelId;
        OPERATOR = operator;
        FEE = fee;
        LIMIT = limit;
        MIN_PROBABILITY = minProbability;
        ERROR_BAR = judged ? epsilon : 0;
    }

    // ---- accounts

    /// @notice Pays in for `account`, whose cheques draw on it.
    function deposit(address account, uint256 amount) external {
        balances[account] += amount;
        emit Deposited(account, msg.sender, amount);
        OPG.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Pays out from the caller's account: deposits, cleared cheques, returned fees.
    function withdraw(uint256 amount) external {
        uint256 balance = balances[msg.sender];
        require(balance >= amount, BalanceTooLow(balance, amount));
        balances[msg.sender] = balance - amount;
        emit Withdrawn(msg.sender, amount);
        // Part of what is owed may still lie with the oracle.
        (, uint96 compensation) = _collect();
        _compensationCollected += compensation;
        OPG.safeTransfer(msg.sender, amount);
    }

    // ---- cheques

    /// @notice Presents a cheque; the caller, its payee, pays the fee from an allowance to this contract.
    /// @param signature The payer's, of `chequeDigest` (ECDSA or ERC-1271).
    function present(Cheque calldata cheque, bytes calldata image, bytes calldata signature)
        external
        returns (bytes32 requestId)
    {
        require(msg.sender == cheque.payee, NotPayee(msg.sender, cheque.payee));
        require(image.length == IMAGE_LENGTH, ImageLengthMismatch(IMAGE_LENGTH, image.length));
        require(keccak256(image) == cheque.imageHash, ImageMismatch(cheque.imageHash, keccak256(image)));
        require(!used[cheque.payer][cheque.number], ChequeUsed(cheque.payer, cheque.number));
        bool signed = SignatureChecker.isValidSignatureNowCalldata(cheque.payer, chequeDigest(cheque), signature);
        require(signed, SignatureInvalid(cheque.payer));

        used[cheque.payer][cheque.number] = true;
        OPG.safeTransferFrom(msg.sender, address(this), FEE);

        RequestParams memory params = _defaults(MODEL_ID, FEE, CALLBACK_GAS);
        params.operator = OPERATOR;
        params.valueAtRisk = LIMIT;
        if (params.bond < LIMIT) params.bond = LIMIT;
        requestId = _askWithPull(params, image);

        presented[requestId] = Presented(cheque.payer, cheque.payee, cheque.number);
        emit ChequePresented(requestId, cheque.payer, cheque.payee, cheque.number, cheque.imageHash);
    }

    /// @notice Gives a cheque back whose request is dead but whose notice failed; the payee may also take it back
    ///         from a request that nobody has accepted. `terms` are those of the oracle's `RequestCreated`. (An answer
    ///         whose notice failed clears by `hearAgain`.)
    function recover(InferenceRequest calldata terms) external {
        bytes32 requestId = ORACLE.requestIdOf(terms);
        address payee = presented[requestId].payee;
        require(payee != address(0), NotAwaited(requestId));
        (RequestState state,,,) = ORACLE.stateOf(requestId);
        if (state == RequestState.Requested) {
            require(msg.sender == payee, NotPayee(msg.sender, payee));
            ORACLE.cancel(terms);
        } else {
            // From `Cancelled` on every state is an end; all but `Settled` without an answer.
            require(state >= RequestState.Cancelled && state != RequestState.Settled, StillOpen(requestId, state));
        }
        _onVoided(requestId, MODEL_ID);
    }

    /// @notice What the payer of a cheque signs.
    function chequeDigest(Cheque calldata cheque) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(TYPEHASH, cheque)));
    }

    // ---- the answer

    function _expects(bytes32 requestId) internal view override returns (bool) {
        return presented[requestId].payee != address(0);
    }

    function _onFinal(bytes32 requestId, bytes32, bytes calldata result) internal override {
        Presented memory cheque = presented[requestId];
        delete presented[requestId];

        (bool legible, uint256 amount) = _read(result);
        uint256 balance = balances[cheque.payer];
        if (legible && amount <= LIMIT && amount <= balance) {
            balances[cheque.payer] = balance - amount;
            balances[cheque.payee] += amount;
            emit ChequePaid(requestId, cheque.payer, cheque.payee, cheque.number, amount);
        } else {
            BounceReason reason = !legible
                ? BounceReason.Illegible
                : amount > LIMIT ? BounceReason.AboveLimit : BounceReason.InsufficientFunds;
            emit ChequeBounced(requestId, cheque.payer, cheque.payee, cheque.number, reason);
        }
    }

    /// @dev The fee is back, and with it the requester's share of a slash: both go to the payee, who waited.
    function _onVoided(bytes32 requestId, bytes32) internal override {
        Presented memory cheque = presented[requestId];
        delete presented[requestId];
        used[cheque.payer][cheque.number] = false;

        uint256 received = _compensationCollected + STAKING.claimable(address(this));
        uint256 credited = FEE + received - _compensationCredited;
        _compensationCredited = received;
        balances[cheque.payee] += credited;
        emit ChequeReturned(requestId, cheque.payer, cheque.payee, cheque.number, credited);
    }

    /// @dev The amount in OPG base units. Nothing here reverts: a malformed result or a NaN is illegible, and so is a
    ///      digit which another within the error bar might be.
    function _read(bytes calldata result) private view returns (bool legible, uint256 amount) {
        if (result.length != RESULT_LENGTH) return (false, 0);
        bytes calldata probabilities = result[LABELS_LENGTH:];
        int256[] memory scores = new int256[](10);
        for (uint256 i; i < DIGITS; ++i) {
            for (uint256 j; j < 10; ++j) {
                uint32 probability = Tensors.float32At(probabilities, i * 10 + j);
                if (!Tensors.isFinite(probability)) return (false, 0);
                scores[j] = Tensors.toFixed(probability);
            }
            (Decision.Status status, uint256 digit) = Decision.classify(scores, ERROR_BAR);
            if (status != Decision.Status.Clear) return (false, 0);
            if (Decision.atLeast(scores[digit], MIN_PROBABILITY, ERROR_BAR) != Decision.Verdict.Yes) return (false, 0);
            // casting to 'int64' is safe because the digit is 0 to 9
            // forge-lint: disable-next-line(unsafe-typecast)
            if (Tensors.int64At(result, i) != int64(uint64(digit))) return (false, 0);
            amount = amount * 10 + digit;
        }
        return (true, amount * 1e18);
    }
}
