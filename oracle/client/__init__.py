"""What a dApp developer's Python imports: ask, wait, read, check.

    signer = LocalSigner.from_keystore(Path("keys/me.json"), read_password(Path("keys/password")))
    async with connect("http://127.0.0.1:8545", Path(".oracle/deployment.json"), signer) as client:
        request = await client.request("digits-mlp", {"pixels": image}, fee=opg("1"))
        answer = await client.wait(request.id)
        print(answer.outputs["label"], answer)

Whatever goes wrong is an `OracleError`; nothing is printed, and what is logged is under `oracle`.
Needs neither onnxruntime nor a database; what checks an answer by running the model again is
`oracle.bootstrap.verify`.
"""

import logging

from oracle.chain.deployment import Deployment
from oracle.chain.keystore import LocalSigner, read_password
from oracle.client.answer import InferenceAnswer
from oracle.client.client import OracleClient, Requested, connect
from oracle.client.story import Story
from oracle.client.view_call import ViewedAnswer
from oracle.client.waiting import Waiting
from oracle.core.decision import Decision
from oracle.core.types import Address, format_opg, opg
from oracle.core.view_receipt import SavedView
from oracle.errors import (
    ChainUnreachable,
    ConfigurationError,
    ContractReverted,
    InputError,
    NoAnswer,
    NoAnswerYet,
    NotFound,
    OracleError,
    SignatureError,
    TensorError,
    ViewRefused,
)

__all__ = [
    "Address",
    "ChainUnreachable",
    "ConfigurationError",
    "ContractReverted",
    "Decision",
    "Deployment",
    "InferenceAnswer",
    "InputError",
    "LocalSigner",
    "NoAnswer",
    "NoAnswerYet",
    "NotFound",
    "OracleClient",
    "OracleError",
    "Requested",
    "SavedView",
    "SignatureError",
    "Story",
    "TensorError",
    "ViewRefused",
    "ViewedAnswer",
    "Waiting",
    "connect",
    "format_opg",
    "opg",
    "read_password",
]

# Without a handler, logging itself prints warnings on standard error.
logging.getLogger("oracle").addHandler(logging.NullHandler())
