"""The coder, the codec and the signer are fast enough for a node's busiest second.

The limits are a third of what a slow core does; a general coder misses them.
"""

from __future__ import annotations

import time
from dataclasses import replace

from oracle.chain import abi
from oracle.chain.codec import decode_log
from oracle.chain.keystore import LocalSigner
from oracle.chain.oracle_contract import OracleBinding
from oracle.chain.rpc import Rpc
from oracle.core.event import RequestSeen
from oracle.core.transaction import Call, Fees
from oracle.core.types import ZERO_BYTES32
from oracle.ports import AnswerItem
from tests.support.eip712_vectors import ALICE, DOMAIN, REQUESTS


def test_decodes_2000_requests_a_second() -> None:
    event = abi.load("InferenceOracle").events["RequestCreated"]
    logs = []
    for number in range(1_000):
        request = replace(REQUESTS[1], nonce=number)
        request_id = request.id(DOMAIN)
        body = event.unindexed.encode((number, request.as_tuple(), bytes(256)))
        operator = "0x" + "00" * 12 + request.operator[2:].lower()
        logs.append(
            {
                "topics": [
                    "0x" + event.topic.hex(),
                    "0x" + request_id.hex(),
                    operator,
                    "0x" + request.model_id.hex(),
                ],
                "data": "0x" + body.hex(),
                "blockNumber": hex(number),
                "blockHash": "0x" + request_id.hex(),
                "transactionHash": "0x" + request_id.hex(),
                "logIndex": "0x0",
            }
        )
    start = time.process_time()
    events = [decode_log(log) for log in logs]
    seconds = time.process_time() - start
    assert all(isinstance(event, RequestSeen) for event in events)
    assert len(events) / seconds > 2_000


def test_encodes_a_batch_of_50_in_15_ms() -> None:
    oracle = OracleBinding(Rpc("http://127.0.0.1:1"), ALICE)
    items = [
        AnswerItem(replace(REQUESTS[1], nonce=number), bytes(300), ZERO_BYTES32)
        for number in range(50)
    ]
    start = time.process_time()
    for _ in range(10):
        oracle.answer_batch_data(items, ALICE, bytes(65))
    assert (time.process_time() - start) / 10 < 0.015


def test_signs_2000_a_second() -> None:
    signer = LocalSigner(bytes(31) + b"\x07")
    call = Call(ALICE, bytes(1_000), 100_000)
    start = time.process_time()
    for nonce in range(500):
        signer.sign_digest(DOMAIN.separator)
        signer.sign_transaction(chain_id=1, nonce=nonce, call=call, fees=Fees(2, 1))
    assert 1_000 / (time.process_time() - start) > 2_000
