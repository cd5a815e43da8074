// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {InferenceOracle} from "../../src/InferenceOracle.sol";
import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {IOperatorStaking} from "../../src/interfaces/IOperatorStaking.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {OperatorStaking} from "../../src/OperatorStaking.sol";
import {OPGToken} from "../../src/OPGToken.sol";
import {Accept} from "../../src/types/Accept.sol";
import {Answer, AnswerCommitment} from "../../src/types/Answer.sol";
import {InferenceRequest, RequestParams} from "../../src/types/InferenceRequest.sol";
import {ModelTerms, Tier} from "../../src/types/ModelTerms.sol";
import {DeliveryState, RequestState} from "../../src/types/RequestState.sol";
import {Shipped} from "./Shipped.sol";

/// @notice A deployment with one model, one bonded operator and one requester with money, and words for each verb.
/// @dev Signers are `makeAddrAndKey`s; the court is a plain address that tests prank.
abstract contract OracleTest is Test {
    uint96 internal constant FEE = 1e18;
    uint96 internal constant BOND = 100e18;
    uint96 internal constant STAKE = 10_000e18;
    uint96 internal constant BALANCE = 1_000e18;
    uint40 internal constant MAX_TTL = 1 days;
    uint32 internal constant MAX_WINDOW = 7 days;
    uint40 internal constant ALLOWANCE = 2 days;
    uint40 internal constant EXIT_DELAY = 14 days;
    uint40 internal constant SIGNER_DELAY = 1 hours;
    uint32 internal constant WINDOW = 1 hours;
    uint40 internal constant TTL = 10 minutes;
    uint40 internal constant START = 1_760_000_000;
    address internal constant BURN = 0x000000000000000000000000000000000000dEaD;

    OPGToken internal token;
    ModelRegistry internal registry;
    OperatorStaking internal staking;
    InferenceOracle internal oracle;

    address internal court = makeAddr("court");
    address internal operator = makeAddr("operator");
    address internal payout = makeAddr("payout");
    address internal requester;
    uint256 internal requesterKey;
    address internal signer;
    uint256 internal signerKey;
    address internal watcher = makeAddr("watcher");
    address internal anyone = makeAddr("anyone");

    bytes32 internal modelId;
    bytes internal input = hex"0000803f000000400000404000008040";
    bytes internal result = hex"0000003f0000003f";
    bytes32 internal constant TRACE_ROOT = keccak256("trace");

    function setUp() public virtual {
        vm.warp(START);
        (requester, requesterKey) = makeAddrAndKey("requester");
        (signer, signerKey) = makeAddrAndKey("signer");
        token = OPGToken(Shipped.create("OPGToken", abi.encode(address(this), 1_000_000_000e18)));
        _deploy(address(token));

        ModelTerms memory terms = _modelTerms();
        vm.prank(anyone);
        modelId = registry.register(terms, "model", "{}", "ipfs://model");

        vm.prank(operator);
        staking.register(signer, payout);
        token.approve(address(staking), type(uint256).max);
        token.approve(address(oracle), type(uint256).max);
        staking.bond(operator, STAKE);
        oracle.deposit(requester, BALANCE);
        // A payout account that has earned before, so that costs are those of every day.
        oracle.deposit(payout, 1);
    }

    /// @dev Staking and the oracle name each other, so the oracle's address is computed before it exists.
    function _deploy(address token_) internal {
        registry = Shipped.registry(court, 10 minutes, MAX_WINDOW);
        address predicted = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        staking = Shipped.staking(token_, predicted, court, EXIT_DELAY, SIGNER_DELAY);
        oracle = Shipped.oracle(token_, address(staking), address(registry), court, MAX_TTL, MAX_WINDOW, ALLOWANCE);
        assertEq(address(oracle), predicted);
    }

    // ---- what is asked

    function _modelTerms() internal pure returns (ModelTerms memory) {
        return ModelTerms({
            programRoot: keccak256("program"),
            profileHash: keccak256("profile"),
            schemaHash: keccak256("{}"),
            tier: Tier.Rounded,
            challengeWindow: WINDOW,
            revealWindow: WINDOW / 2,
            minBond: 50e18,
            epsilon: 1e15
        });
    }

    function _params() internal view returns (RequestParams memory) {
        return RequestParams({
            consumer: address(0),
            modelId: modelId,
            operator: address(0),
            fee: FEE,
            bond: BOND,
            valueAtRisk: BOND / 2,
            deadline: uint40(block.timestamp) + TTL,
            window: WINDOW,
            callbackGasLimit: 0,
            eager: false
        });
    }

    function _paramsFor(address consumer, bool eager) internal view returns (RequestParams memory params) {
        params = _params();
        params.consumer = consumer;
        params.callbackGasLimit = 200_000;
        params.eager = eager;
    }

    function _terms(RequestParams memory params, uint64 nonce) internal view returns (InferenceRequest memory) {
        return InferenceRequest({
            requester: requester,
            nonce: nonce,
            consumer: params.consumer,
            modelId: params.modelId,
            inputHash: sha256(input),
            operator: params.operator,
            fee: params.fee,
            bond: params.bond,
            valueAtRisk: params.valueAtRisk,
            deadline: params.deadline,
            window: params.window,
            callbackGasLimit: params.callbackGasLimit,
            eager: params.eager
        });
    }

    function _signedTerms() internal view returns (InferenceRequest memory) {
        return _terms(_params(), 1 << 63);
    }

    function _nonce() internal view returns (uint64 nonce) {
        (, nonce) = oracle.accounts(requester);
    }

    // ---- the verbs, done right

    function _request() internal returns (InferenceRequest memory) {
        return _request(_params());
    }

    function _request(RequestParams memory params) internal returns (InferenceRequest memory terms) {
        terms = _terms(params, _nonce());
        vm.prank(requester);
        bytes32 requestId = oracle.request(params, input);
        assertEq(requestId, oracle.requestIdOf(terms));
    }

    function _acceptance(InferenceRequest memory terms) internal view returns (Accept memory) {
        return
            Accept({
                requestId: oracle.requestIdOf(terms), operator: operator, validUntil: uint40(block.timestamp) + TTL
            });
    }

    function _accept(InferenceRequest memory terms) internal {
        Accept memory acceptance = _acceptance(terms);
        bytes memory signature = _sign(signerKey, oracle.acceptDigest(acceptance));
        vm.prank(anyone);
        oracle.accept(terms, acceptance, signature);
    }

    function _item(InferenceRequest memory terms) internal view returns (IInferenceOracle.AnswerItem memory) {
        return IInferenceOracle.AnswerItem({request: terms, result: result, traceRoot: TRACE_ROOT});
    }

    function _answerOf(InferenceRequest memory terms) internal view returns (Answer memory) {
        return Answer({
            requestId: oracle.requestIdOf(terms),
            operator: operator,
            modelId: terms.modelId,
            inputHash: terms.inputHash,
            resultHash: sha256(result),
            traceRoot: TRACE_ROOT
        });
    }

    function _signAnswer(InferenceRequest memory terms) internal view returns (bytes memory) {
        return _sign(signerKey, oracle.answerDigest(_answerOf(terms)));
    }

    function _signAnswers(InferenceRequest[] memory terms) internal view returns (bytes memory) {
        Answer[] memory answers = new Answer[](terms.length);
        for (uint256 i; i < terms.length; ++i) {
            answers[i] = _answerOf(terms[i]);
        }
        return _sign(signerKey, oracle.answerBatchDigest(answers));
    }

    function _answer(InferenceRequest memory terms) internal {
        bytes memory signature = _signAnswer(terms);
        oracle.answer(_item(terms), operator, signature);
    }

    function _accepted() internal returns (InferenceRequest memory) {
        return _accepted(_params());
    }

    function _accepted(RequestParams memory params) internal returns (InferenceRequest memory terms) {
        terms = _request(params);
        _accept(terms);
    }

    function _answered() internal returns (InferenceRequest memory) {
        return _answered(_params());
    }

    function _answered(RequestParams memory params) internal returns (InferenceRequest memory terms) {
        terms = _accepted(params);
        _answer(terms);
    }

    function _suspended() internal returns (InferenceRequest memory terms) {
        terms = _answered();
        _suspend(terms);
    }

    function _suspend(InferenceRequest memory terms) internal {
        AnswerCommitment memory commitment = _commitment();
        vm.prank(court);
        oracle.suspend(terms, commitment);
    }

    function _resume(InferenceRequest memory terms, uint40 settleAt) internal {
        AnswerCommitment memory commitment = _commitment();
        vm.prank(court);
        oracle.resume(terms, commitment, settleAt);
    }

    function _void(InferenceRequest memory terms) internal {
        AnswerCommitment memory commitment = _commitment();
        vm.prank(court);
        oracle.voidAnswer(terms, commitment, watcher);
    }

    function _settle(InferenceRequest memory terms) internal {
        oracle.settle(_settleItem(terms));
    }

    function _commitment() internal view returns (AnswerCommitment memory) {
        return AnswerCommitment({operator: operator, resultHash: sha256(result), traceRoot: TRACE_ROOT});
    }

    function _settleItem(InferenceRequest memory terms) internal view returns (IInferenceOracle.SettleItem memory) {
        bytes memory brought = terms.consumer == address(0) ? bytes("") : result;
        return IInferenceOracle.SettleItem({request: terms, commitment: _commitment(), result: brought});
    }

    /// @dev An offer that takes exactly the request of `_params`, as often as wanted.
    function _offer(uint16 capacity) internal pure returns (IOperatorStaking.Offer memory) {
        return IOperatorStaking.Offer({
            price: uint80(FEE),
            maxBond: uint88(BOND),
            capacity: capacity,
            minTime: uint24(TTL),
            maxWindow: uint24(WINDOW),
            maxCallbackGas: 0
        });
    }

    function _setOffer(IOperatorStaking.Offer memory offer) internal {
        vm.prank(operator);
        staking.setOffer(modelId, offer);
    }

    // ---- what is seen

    function _id(InferenceRequest memory terms) internal view returns (bytes32) {
        return oracle.requestIdOf(terms);
    }

    function _balance(address account) internal view returns (uint96 balance) {
        (balance,) = oracle.accounts(account);
    }

    function _assertState(InferenceRequest memory terms, RequestState expected) internal view {
        (RequestState state,,,) = oracle.stateOf(_id(terms));
        assertEq(uint256(state), uint256(expected), "state");
    }

    function _assertDelivery(InferenceRequest memory terms, DeliveryState expected) internal view {
        (, DeliveryState delivery,,) = oracle.stateOf(_id(terms));
        assertEq(uint256(delivery), uint256(expected), "delivery");
    }

    function _assertPosition(uint96 stake, uint96 locked, uint32 unanswered, uint32 accepted) internal view {
        IOperatorStaking.Position memory position = staking.positions(operator);
        assertEq(position.stake, stake, "stake");
        assertEq(position.locked, locked, "locked");
        assertEq(position.unanswered, unanswered, "unanswered");
        assertEq(position.accepted, accepted, "accepted");
    }

    function _expect(bytes memory reason) internal {
        vm.expectRevert(reason, address(oracle));
    }

    function _expectWrongState(InferenceRequest memory terms, RequestState expected, RequestState actual) internal {
        vm.expectRevert(
            abi.encodeWithSelector(IInferenceOracle.WrongState.selector, _id(terms), expected, actual), address(oracle)
        );
    }

    /// @dev The other signature of the same digest, which ecrecover takes and we do not.
    function _highS(bytes memory signature) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s) = abi.decode(signature, (bytes32, bytes32));
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        return abi.encodePacked(r, order - uint256(s), uint8(signature[64]) == 27 ? uint8(28) : uint8(27));
    }

    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }
}
