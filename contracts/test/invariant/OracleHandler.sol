// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OPGToken} from "../../src/OPGToken.sol";
import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {IOperatorStaking} from "../../src/interfaces/IOperatorStaking.sol";
import {Accept} from "../../src/types/Accept.sol";
import {Answer, AnswerCommitment} from "../../src/types/Answer.sol";
import {InferenceRequest, RequestParams} from "../../src/types/InferenceRequest.sol";
import {DeliveryState, RequestState} from "../../src/types/RequestState.sol";
import {GasBurnerConsumer} from "../mocks/GasBurnerConsumer.sol";
import {RecordingConsumer} from "../mocks/RecordingConsumer.sol";
import {RevertingConsumer} from "../mocks/RevertingConsumer.sol";
import {Ledger} from "./Ledger.sol";

/// @notice Drives every verb in the name of requesters, operators, payees, watchers and strangers, who overlap: one
///         requester is an operator, one operator is paid to a requester, one watches others.
/// @dev A verb looks for a request that it can apply to, beginning at a random one, so that most calls get somewhere;
///      `meddle` makes the calls that must not.
contract OracleHandler is Ledger {
    uint256 private constant FUNDS = 1_000_000e18;
    uint256 private constant MAX_TRACKED = 40;
    uint256 private constant NONE = type(uint256).max;

    address[] public actors;
    address[] public operators;
    address[] private _requesters;
    address[] private _consumers;
    mapping(address account => uint256) private _keys;
    uint64 private _signedNonce = 1 << 63;
    uint256 private _signerCount;

    /// @notice How often each verb came through.
    mapping(string verb => uint256) public done;

    constructor() {
        system = _deploy(address(new OPGToken(address(this), 10 * FUNDS)));
        _consumers.push(address(0));
        _consumers.push(address(new RecordingConsumer()));
        _consumers.push(address(new RevertingConsumer()));
        _consumers.push(address(new GasBurnerConsumer()));
        for (uint256 i; i < 3; ++i) {
            address operator = _actor("operator", i);
            operators.push(operator);
            _stake(operator, FUNDS / 4);
        }
        _requesters.push(_actor("requester", 0));
        _requesters.push(_actor("requester", 1));
        _requesters.push(operators[0]);
        _actor("payee", 0);
        _actor("watcher", 0);
        vm.prank(operators[0]);
        system.staking.setPayout(actors[5]);
        vm.prank(operators[2]);
        system.staking.setPayout(actors[4]);
    }

    function actorCount() external view returns (uint256) {
        return actors.length;
    }

    function operatorCount() external view returns (uint256) {
        return operators.length;
    }

    function contracts() external view returns (System memory) {
        return system;
    }

    /// @dev Ends a verb: looks at what it has done.
    modifier observed() {
        _;
        _observe();
        (caller, watcher, byCourt) = (address(0), address(0), false);
    }

    // ---- time

    function warp(uint256 seed) external {
        // Mostly within a request's life, sometimes past its end, now and then past an exit.
        uint256 leap = seed % 16 == 0 ? EXIT_DELAY : seed % 16 < 3 ? 5 hours : bound(seed, 1, 40 minutes);
        vm.warp(vm.getBlockTimestamp() + leap);
        ++done["warp"];
    }

    /// @notice Goes to the last second at which a live request may not move on yet, meddles with it there, and goes
    ///         on to the first second at which it may, or stays.
    function edge(uint256 seed) external observed {
        for (uint256 i; i < tracked.length; ++i) {
            Tracked storage request = tracked[(seed % tracked.length + i) % tracked.length];
            if (!_isLive(request.state)) continue;
            uint256 last = request.terms.deadline;
            if (request.state == RequestState.Answered) last = request.settleAt - 1;
            if (request.state == RequestState.RevealPending) last = system.oracle.disputeLimit(request.terms);
            if (last < vm.getBlockTimestamp()) continue;
            vm.warp(last);
            _meddle(request);
            if ((seed >> 128) % 2 == 0) vm.warp(last + 1);
            ++done["edge"];
            return;
        }
    }

    // ---- requesters

    function deposit(uint256 seed, uint256 word) external observed {
        address account = actors[seed % actors.length];
        uint96 amount = uint96(bound(word, 1, 1_000e18));
        address from = actors[(seed >> 8) % actors.length];
        if (system.token.balanceOf(from) < amount) return;
        vm.startPrank(from);
        system.token.approve(address(system.oracle), amount);
        system.oracle.deposit(account, amount);
        vm.stopPrank();
        balanceOf[account] += amount;
        ++done["deposit"];
    }

    function withdraw(uint256 seed, uint256 word) external observed {
        address account = actors[seed % actors.length];
        (uint96 balance,) = system.oracle.accounts(account);
        if (balance == 0) return;
        uint96 amount = uint96(bound(word, 1, balance));
        address to = actors[(seed >> 8) % actors.length];
        uint256 before = system.token.balanceOf(to);
        vm.prank(account);
        system.oracle.withdraw(to, amount);
        _require(system.token.balanceOf(to) == before + amount, "withdrew another amount");
        balanceOf[account] -= amount;
        ++done["withdraw"];
    }

    function ask(uint256 seed, uint256 fee, uint256 bond_, uint256 time) external observed {
        if (tracked.length == MAX_TRACKED) return;
        RequestParams memory params;
        params.modelId = system.modelId;
        params.consumer = _consumers[seed % _consumers.length];
        params.operator = (seed >> 8) % 3 == 0 ? address(0) : operators[(seed >> 16) % operators.length];
        params.fee = (seed >> 24) % 8 == 0 ? 0 : uint96(bound(fee, 1, 100e18));
        uint96 minimum = system.oracle.minimumBond(params.modelId, params.fee);
        params.bond = uint96(bound(bond_, minimum, 2 * uint256(minimum)));
        params.valueAtRisk = params.bond / 2;
        params.deadline = uint40(vm.getBlockTimestamp() + bound(time, 1 minutes, 3 hours));
        params.window = uint32(bound(seed >> 32, WINDOW, MAX_WINDOW));
        params.callbackGasLimit = uint32(bound(seed >> 64, 0, 200_000));
        params.eager = (seed >> 96) % 2 == 0;

        address requester = _requesters[(seed >> 104) % _requesters.length];
        bytes memory input = abi.encode(seed);
        (uint96 balance, uint64 nonce) = system.oracle.accounts(requester);
        uint256 way = (seed >> 112) % 3;
        if (balance < params.fee) way = 1;
        Tracked storage request = tracked.push();
        if (way == 2) nonce = _signedNonce++;
        request.terms = _terms(params, requester, nonce, input);
        request.requestId = system.oracle.requestIdOf(request.terms);
        if (way == 2) {
            bytes memory signature = _sign(_keys[requester], request.requestId);
            system.oracle.requestBySignature(request.terms, input, signature);
        } else {
            vm.startPrank(requester);
            if (way == 1) {
                system.token.approve(address(system.oracle), params.fee);
                balanceOf[requester] += params.fee;
                system.oracle.requestWithPull(params, input);
            } else {
                system.oracle.request(params, input);
            }
            vm.stopPrank();
        }
        ++done[way == 2 ? "requestBySignature" : way == 1 ? "requestWithPull" : "request"];
    }

    function cancel(uint256 seed) external observed {
        uint256 i = _find(seed, RequestState.Requested);
        // Most open requests shall live to be accepted.
        if (i == NONE || (seed >> 128) % 2 == 0) return;
        caller = tracked[i].terms.requester;
        vm.prank(caller);
        system.oracle.cancel(tracked[i].terms);
        ++done["cancel"];
    }

    // ---- operators

    function accept(uint256 seed) external observed {
        uint256 i = _find(seed, RequestState.Requested);
        if (i == NONE) return;
        InferenceRequest memory terms = tracked[i].terms;
        if (vm.getBlockTimestamp() > terms.deadline) return;
        address operator = terms.operator == address(0) ? operators[(seed >> 128) % operators.length] : terms.operator;
        if (system.staking.freeStake(operator) < terms.bond) return;
        _accept(system, terms, operator, _signerKey(operator));
        ++done["accept"];
    }

    function answer(uint256 seed) external observed {
        uint256 i = _find(seed, RequestState.Accepted);
        if (i == NONE) return;
        Tracked storage request = tracked[i];
        if (vm.getBlockTimestamp() > request.terms.deadline) return;
        request.result = abi.encode("result", seed);
        request.commitment =
            _answer(system, request.terms, request.operator, _signerKey(request.operator), request.result);
        ++done["answer"];
    }

    /// @dev Up to four requests of one operator, in time or not, and one that may be anything.
    function answerBatch(uint256 seed) external observed {
        if (tracked.length == 0) return;
        address operator = operators[seed % operators.length];
        uint256[] memory picked = new uint256[](5);
        uint256 count;
        for (uint256 i; i < tracked.length && count < 4; ++i) {
            uint256 place = (seed % tracked.length + i) % tracked.length;
            if (tracked[place].state == RequestState.Accepted && tracked[place].operator == operator) {
                picked[count++] = place;
            }
        }
        picked[count++] = (seed >> 128) % tracked.length;

        IInferenceOracle.AnswerItem[] memory items = new IInferenceOracle.AnswerItem[](count);
        Answer[] memory answers = new Answer[](count);
        for (uint256 i; i < count; ++i) {
            Tracked storage request = tracked[picked[i]];
            items[i] = IInferenceOracle.AnswerItem(request.terms, abi.encode("batch", seed, i), keccak256("trace"));
            answers[i] = _answerOf(system, request.terms, operator, items[i].result, items[i].traceRoot);
        }
        bytes memory signature = _sign(_signerKey(operator), system.oracle.answerBatchDigest(answers));
        IInferenceOracle.ItemCode[] memory codes = system.oracle.answerBatch(items, operator, signature);
        for (uint256 i; i < count; ++i) {
            if (codes[i] != IInferenceOracle.ItemCode.Done) continue;
            Tracked storage request = tracked[picked[i]];
            request.result = items[i].result;
            request.commitment = AnswerCommitment(operator, sha256(items[i].result), items[i].traceRoot);
            ++done["answerBatch"];
        }
    }

    function bond(uint256 seed, uint256 word) external observed {
        address operator = operators[seed % operators.length];
        address from = actors[(seed >> 8) % actors.length];
        uint96 amount = uint96(bound(word, 1, 10_000e18));
        if (system.token.balanceOf(from) < amount) return;
        vm.startPrank(from);
        system.token.approve(address(system.staking), amount);
        system.staking.bond(operator, amount);
        vm.stopPrank();
        stakeOf[operator] += amount;
        ++done["bond"];
    }

    function unbond(uint256 seed, uint256 word) external observed {
        address operator = operators[seed % operators.length];
        uint96 free = system.staking.freeStake(operator);
        if (free == 0) return;
        uint96 amount = uint96(bound(word, 1, (seed >> 8) % 4 == 0 ? free : free / 16 + 1));
        vm.prank(operator);
        (bool succeeded,) = address(system.staking).call(abi.encodeCall(IOperatorStaking.unbond, (free + 1)));
        _require(!succeeded, "unbonded what is locked");
        vm.prank(operator);
        system.staking.unbond(amount);
        ++done["unbond"];
    }

    /// @dev Withdraws an exit that is over, if there is one; one that is not over must not come through.
    function withdrawStake(uint256 seed) external observed {
        for (uint256 i; i < operators.length; ++i) {
            address operator = operators[(seed % operators.length + i) % operators.length];
            uint256 count = system.staking.unbondingCount(operator);
            for (uint256 index; index < count; ++index) {
                IOperatorStaking.Unbonding memory unbonding = system.staking.unbondings(operator, index);
                bool due = unbonding.amount != 0 && vm.getBlockTimestamp() >= unbonding.availableAt;
                uint256 before = system.token.balanceOf(operator);
                vm.prank(operator);
                (bool succeeded, bytes memory returned) =
                    address(system.staking).call(abi.encodeCall(IOperatorStaking.withdraw, (index)));
                _require(succeeded == due, "withdrew early, or could not in time");
                if (!succeeded) continue;
                uint96 amount = abi.decode(returned, (uint96));
                _require(system.token.balanceOf(operator) == before + amount, "withdrew another stake");
                stakeOf[operator] -= amount;
                ++done["withdrawStake"];
                return;
            }
        }
    }

    function rotateSigner(uint256 seed) external observed {
        address operator = operators[seed % operators.length];
        (address signer, uint256 key) = makeAddrAndKey(string.concat("rotated", vm.toString(++_signerCount)));
        _keys[signer] = key;
        vm.prank(operator);
        system.staking.rotateSigner(signer);
        ++done["rotateSigner"];
    }

    function setPayout(uint256 seed) external observed {
        vm.prank(operators[seed % operators.length]);
        system.staking.setPayout(actors[(seed >> 8) % actors.length]);
        ++done["setPayout"];
    }

    function setOffer(uint256 seed) external observed {
        IOperatorStaking.Offer memory offer = IOperatorStaking.Offer({
            price: uint80(bound(seed >> 16, 0, 50e18)),
            maxBond: uint88(bound(seed >> 32, 500e18, 5_000e18)),
            capacity: uint16((seed >> 64) % 4),
            minTime: uint24((seed >> 72) % 30 minutes),
            maxWindow: uint24(bound(seed >> 96, 30 minutes, 3 hours)),
            maxCallbackGas: uint24(bound(seed >> 120, 0, 1_000_000))
        });
        vm.prank(operators[seed % operators.length]);
        system.staking.setOffer(system.modelId, offer);
        ++done["setOffer"];
    }

    // ---- anybody

    function settle(uint256 seed) external observed {
        uint256 i = _findFinal(seed);
        if (i == NONE) return;
        system.oracle.settle(_settleItem(i));
        ++done["settle"];
    }

    function settleBatch(uint256 seed, uint256 count) external observed {
        if (tracked.length == 0) return;
        IInferenceOracle.SettleItem[] memory items = new IInferenceOracle.SettleItem[](bound(count, 1, 6));
        for (uint256 i; i < items.length; ++i) {
            // Ordinarily what is final, now and then whatever comes, the same item twice included.
            uint256 place = (seed >> i) % 4 == 0 ? seed % tracked.length : _findFinal(seed >> i);
            items[i] = _settleItem(place == NONE ? (seed >> i) % tracked.length : place);
        }
        IInferenceOracle.ItemCode[] memory codes = system.oracle.settleBatch(items);
        for (uint256 i; i < codes.length; ++i) {
            if (codes[i] == IInferenceOracle.ItemCode.Done) ++done["settleBatch"];
        }
    }

    function expire(uint256 seed) external observed {
        uint256 i = _findLate(seed, RequestState.Requested);
        if (i == NONE) return;
        system.oracle.expire(tracked[i].terms);
        ++done["expire"];
    }

    function markDefaulted(uint256 seed) external observed {
        uint256 i = _findLate(seed, RequestState.Accepted);
        if (i == NONE) return;
        uint256 before = _coalition(i, address(0));
        system.oracle.markDefaulted(tracked[i].terms, tracked[i].operator);
        _require(_coalition(i, address(0)) <= before, "a coalition gained from a default");
        ++done["markDefaulted"];
    }

    function retryNotice(uint256 seed) external observed {
        for (uint256 i; i < tracked.length; ++i) {
            Tracked storage request = tracked[(seed % tracked.length + i) % tracked.length];
            (, DeliveryState delivery,,) = system.oracle.stateOf(request.requestId);
            if (delivery != DeliveryState.Failed || request.state == RequestState.RevealPending) continue;
            system.oracle.retryNotice(request.terms, request.commitment, request.result);
            ++done["retryNotice"];
            return;
        }
    }

    function claim(uint256 seed) external observed {
        for (uint256 i; i < actors.length; ++i) {
            address account = actors[(seed % actors.length + i) % actors.length];
            if (system.staking.claimable(account) == 0) continue;
            uint256 before = system.token.balanceOf(account);
            vm.prank(account);
            uint96 amount = system.staking.claim(account);
            _require(system.token.balanceOf(account) == before + amount, "claimed another amount");
            claimableOf[account] -= amount;
            ++done["claim"];
            return;
        }
    }

    function burn() external observed {
        if (system.staking.pendingBurn() == 0) return;
        toBurn -= system.staking.burn();
        ++done["burn"];
    }

    // ---- the court

    function suspend(uint256 seed) external observed {
        uint256 i = _find(seed, RequestState.Answered);
        if (i == NONE || vm.getBlockTimestamp() >= tracked[i].settleAt) return;
        byCourt = true;
        system.court.suspend(tracked[i].terms, tracked[i].commitment);
        ++done["suspend"];
    }

    function resume(uint256 seed, uint256 word) external observed {
        uint256 i = _find(seed, RequestState.RevealPending);
        if (i == NONE) return;
        byCourt = true;
        uint256 limit = system.oracle.disputeLimit(tracked[i].terms);
        uint40 settleAt = uint40(bound(word, tracked[i].settleAt, limit));
        system.court.resume(tracked[i].terms, tracked[i].commitment, settleAt);
        ++done["resume"];
    }

    function voidAnswer(uint256 seed) external observed {
        uint256 i = _find(seed, (seed >> 200) % 2 == 0 ? RequestState.Answered : RequestState.RevealPending);
        if (i == NONE) return;
        if (tracked[i].state == RequestState.Answered && vm.getBlockTimestamp() >= tracked[i].settleAt) return;
        byCourt = true;
        watcher = (seed >> 208) % 8 == 0 ? address(0) : actors[(seed >> 216) % actors.length];
        uint256 before = _coalition(i, watcher);
        system.court.voidAnswer(tracked[i].terms, tracked[i].commitment, watcher);
        _require(_coalition(i, watcher) <= before, "a coalition gained from a slash");
        ++done["voidAnswer"];
    }

    function slash(uint256 seed, uint256 word, uint256 share) external observed {
        if (seed % 4 != 0) return;
        address operator = operators[(seed >> 8) % operators.length];
        address to = actors[(seed >> 16) % actors.length];
        uint96 amount = uint96(bound(word, 0, (seed >> 24) % 8 == 0 ? FUNDS : 5_000e18));
        uint16 watcherBps = uint16(bound(share, 0, 5_000));
        uint96 took = system.court.slash(operator, bytes32(seed), amount, to, watcherBps);
        uint256 unlocked = stakeOf[operator] - lockedOf[operator];
        _require(took == (amount < unlocked ? amount : unlocked), "slashed another amount than asked or there");
        _slash(operator, took, address(0), 0, to, watcherBps);
        ++done["slash"];
    }

    // ---- what must not come through

    /// @notice Makes the calls that the table forbids, on one request of each state there is.
    function meddle(uint256 seed) external observed {
        for (uint256 state = 1; state <= uint256(type(RequestState).max); ++state) {
            uint256 i = _find(seed, RequestState(state));
            if (i != NONE) _meddle(tracked[i]);
        }
    }

    function _meddle(Tracked storage request) private {
        if (request.state == RequestState.Requested) _meddleWithRequested(request);
        else if (request.state == RequestState.Accepted) _meddleWithAccepted(request);
        else if (request.state == RequestState.Answered) _meddleWithAnswered(request);
        else if (request.state == RequestState.RevealPending) _meddleWithRevealPending(request);
        else _meddleWithEnded(request);
    }

    function _meddleWithRequested(Tracked storage request) private {
        InferenceRequest memory terms = request.terms;
        bool late = vm.getBlockTimestamp() > terms.deadline;
        _refused(abi.encodeCall(IInferenceOracle.cancel, (terms)), "cancelled by a stranger");
        if (!late) _refused(abi.encodeCall(IInferenceOracle.expire, (terms)), "expired early");
        for (uint256 i; i < operators.length; ++i) {
            address operator = operators[i];
            Accept memory acceptance = Accept(request.requestId, operator, type(uint40).max);
            bytes32 digest = system.oracle.acceptDigest(acceptance);
            bytes memory foreign = _sign(_signerKey(operators[(i + 1) % operators.length]), digest);
            _refused(abi.encodeCall(IInferenceOracle.accept, (terms, acceptance, foreign)), "accepted by a stranger");
            if (!late && (terms.operator == address(0) || terms.operator == operator)) continue;
            bytes memory signature = _sign(_signerKey(operator), digest);
            _refused(abi.encodeCall(IInferenceOracle.accept, (terms, acceptance, signature)), "accepted out of turn");
        }
    }

    function _meddleWithAccepted(Tracked storage request) private {
        InferenceRequest memory terms = request.terms;
        address operator = request.operator;
        IInferenceOracle.AnswerItem memory item = IInferenceOracle.AnswerItem(terms, "meddled", keccak256("trace"));
        bytes32 digest = system.oracle.answerDigest(_answerOf(system, terms, operator, item.result, keccak256("trace")));
        address other = operators[0] == operator ? operators[1] : operators[0];
        bytes memory foreign = _sign(_signerKey(other), digest);
        bytes memory signature = _sign(_signerKey(operator), digest);
        _refused(abi.encodeCall(IInferenceOracle.answer, (item, operator, foreign)), "answered by a stranger");
        _refused(abi.encodeCall(IInferenceOracle.answer, (item, other, foreign)), "answered by another operator");
        vm.prank(terms.requester);
        _refused(abi.encodeCall(IInferenceOracle.cancel, (terms)), "cancelled after acceptance");
        _refused(abi.encodeCall(IInferenceOracle.markDefaulted, (terms, other)), "another operator defaulted");
        if (vm.getBlockTimestamp() > terms.deadline) {
            _refused(abi.encodeCall(IInferenceOracle.answer, (item, operator, signature)), "answered late");
        } else {
            _refused(abi.encodeCall(IInferenceOracle.markDefaulted, (terms, operator)), "defaulted early");
        }
    }

    function _meddleWithAnswered(Tracked storage request) private {
        InferenceRequest memory terms = request.terms;
        AnswerCommitment memory commitment = request.commitment;
        _refused(abi.encodeCall(IInferenceOracle.suspend, (terms, commitment)), "suspended by a stranger");
        _refused(abi.encodeCall(IInferenceOracle.voidAnswer, (terms, commitment, operators[0])), "voided by a stranger");
        if (vm.getBlockTimestamp() < request.settleAt) {
            _refused(_settleCall(request, commitment), "settled early");
        } else {
            vm.prank(address(system.court));
            _refused(abi.encodeCall(IInferenceOracle.voidAnswer, (terms, commitment, operators[0])), "voided late");
            vm.prank(address(system.court));
            _refused(abi.encodeCall(IInferenceOracle.suspend, (terms, commitment)), "suspended late");
        }
        commitment.traceRoot = keccak256("another trace");
        _refused(_settleCall(request, commitment), "settled by another commitment");
        vm.prank(address(system.court));
        _refused(
            abi.encodeCall(IInferenceOracle.voidAnswer, (terms, commitment, operators[0])),
            "voided by another commitment"
        );
    }

    function _meddleWithRevealPending(Tracked storage request) private {
        InferenceRequest memory terms = request.terms;
        AnswerCommitment memory commitment = request.commitment;
        uint40 limit = uint40(system.oracle.disputeLimit(terms));
        _refused(abi.encodeCall(IInferenceOracle.resume, (terms, commitment, limit)), "resumed by a stranger");
        _refused(abi.encodeCall(IInferenceOracle.voidAnswer, (terms, commitment, operators[0])), "voided by a stranger");
        if (vm.getBlockTimestamp() <= limit) _refused(_settleCall(request, commitment), "settled under dispute");
        vm.startPrank(address(system.court));
        _refused(
            abi.encodeCall(IInferenceOracle.resume, (terms, commitment, request.settleAt - 1)), "settleAt went back"
        );
        _refused(abi.encodeCall(IInferenceOracle.resume, (terms, commitment, limit + 1)), "resumed beyond the limit");
        vm.stopPrank();
    }

    function _meddleWithEnded(Tracked storage request) private {
        InferenceRequest memory terms = request.terms;
        AnswerCommitment memory commitment = request.commitment;
        vm.prank(terms.requester);
        _refused(abi.encodeCall(IInferenceOracle.cancel, (terms)), "cancelled after the end");
        _refused(abi.encodeCall(IInferenceOracle.expire, (terms)), "expired after the end");
        _refused(abi.encodeCall(IInferenceOracle.markDefaulted, (terms, request.operator)), "defaulted after the end");
        _refused(_settleCall(request, commitment), "settled after the end");
        vm.startPrank(address(system.court));
        _refused(abi.encodeCall(IInferenceOracle.suspend, (terms, commitment)), "suspended after the end");
        _refused(abi.encodeCall(IInferenceOracle.voidAnswer, (terms, commitment, operators[0])), "voided after the end");
        vm.stopPrank();
    }

    function _refused(bytes memory call, string memory what) private {
        (bool succeeded,) = address(system.oracle).call(call);
        _require(!succeeded, what);
        ++done["refused"];
    }

    function _settleCall(Tracked storage request, AnswerCommitment memory commitment)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeCall(
            IInferenceOracle.settle, (IInferenceOracle.SettleItem(request.terms, commitment, request.result))
        );
    }

    // ---- the end

    /// @notice Ends every request by whatever anybody can call, and pays everybody out.
    function windUp() external {
        vm.warp(vm.getBlockTimestamp() + 1 days);
        for (uint256 i; i < tracked.length; ++i) {
            RequestState state = tracked[i].state;
            if (state == RequestState.Requested) system.oracle.expire(tracked[i].terms);
            else if (state == RequestState.Accepted) system.oracle.markDefaulted(tracked[i].terms, tracked[i].operator);
            else if (_isLive(state)) system.oracle.settle(_settleItem(i));
        }
        _observe();
        for (uint256 i; i < operators.length; ++i) {
            uint96 free = system.staking.freeStake(operators[i]);
            vm.prank(operators[i]);
            if (free != 0) system.staking.unbond(free);
            else system.staking.setPayout(operators[i]);
        }
        vm.warp(vm.getBlockTimestamp() + EXIT_DELAY);
        for (uint256 i; i < operators.length; ++i) {
            uint256 count = system.staking.unbondingCount(operators[i]);
            for (uint256 j; j < count; ++j) {
                if (system.staking.unbondings(operators[i], j).amount == 0) continue;
                vm.prank(operators[i]);
                stakeOf[operators[i]] -= system.staking.withdraw(j);
            }
        }
        for (uint256 i; i < actors.length; ++i) {
            address account = actors[i];
            (uint96 balance,) = system.oracle.accounts(account);
            vm.startPrank(account);
            if (balance != 0) system.oracle.withdraw(account, balance);
            balanceOf[account] -= balance;
            if (system.staking.claimable(account) != 0) claimableOf[account] -= system.staking.claim(account);
            vm.stopPrank();
        }
        if (system.staking.pendingBurn() != 0) toBurn -= system.staking.burn();
    }

    // ---- inside

    function _actor(string memory role, uint256 i) private returns (address actor) {
        uint256 key;
        (actor, key) = makeAddrAndKey(string.concat(role, vm.toString(i)));
        _keys[actor] = key;
        actors.push(actor);
        system.token.transfer(actor, FUNDS);
    }

    function _stake(address operator, uint256 amount) private {
        (address signer, uint256 key) = makeAddrAndKey(string.concat("signer", vm.toString(operators.length)));
        _keys[signer] = key;
        _register(system, operator, signer, uint96(amount));
        stakeOf[operator] = amount;
    }

    function _signerKey(address operator) private view returns (uint256) {
        return _keys[system.staking.signerOf(operator)];
    }

    function _settleItem(uint256 i) private view returns (IInferenceOracle.SettleItem memory) {
        return IInferenceOracle.SettleItem(tracked[i].terms, tracked[i].commitment, tracked[i].result);
    }

    function _find(uint256 seed, RequestState state) private view returns (uint256) {
        for (uint256 i; i < tracked.length; ++i) {
            uint256 place = (seed % tracked.length + i) % tracked.length;
            if (tracked[place].state == state) return place;
        }
        return NONE;
    }

    function _findLate(uint256 seed, RequestState state) private view returns (uint256) {
        for (uint256 i; i < tracked.length; ++i) {
            uint256 place = (seed % tracked.length + i) % tracked.length;
            if (tracked[place].state == state && vm.getBlockTimestamp() > tracked[place].terms.deadline) return place;
        }
        return NONE;
    }

    function _findFinal(uint256 seed) private view returns (uint256) {
        for (uint256 i; i < tracked.length; ++i) {
            uint256 place = (seed % tracked.length + i) % tracked.length;
            Tracked storage request = tracked[place];
            uint256 time = vm.getBlockTimestamp();
            if (request.state == RequestState.Answered && time >= request.settleAt) return place;
            if (request.state == RequestState.RevealPending && time > system.oracle.disputeLimit(request.terms)) {
                return place;
            }
        }
        return NONE;
    }

    /// @dev What the requester, the operator and the watcher of a request own together, the fee in escrow included.
    function _coalition(uint256 i, address watcher_) private view returns (uint256 wealth) {
        address requester = tracked[i].terms.requester;
        address operator = tracked[i].operator;
        (RequestState state,,,) = system.oracle.stateOf(tracked[i].requestId);
        if (_isLive(state)) wealth = tracked[i].terms.fee;
        wealth += _wealth(requester);
        if (operator != requester) wealth += _wealth(operator);
        if (watcher_ != requester && watcher_ != operator) wealth += _wealth(watcher_);
    }

    function _wealth(address account) private view returns (uint256) {
        (uint96 balance,) = system.oracle.accounts(account);
        return system.token.balanceOf(account) + balance + system.staking.claimable(account)
            + system.staking.positions(account).stake;
    }
}
