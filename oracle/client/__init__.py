"""What a dApp developer's Python imports: ask, wait, read, check.

    async with connect("http://127.0.0.1:8545", Path(".oracle/deployment.json"), signer) as client:
        request = await client.request(model_id, {"pixels": image}, fee=10**18)
        answer = await client.wait(request.id)
        print(answer.outputs["label"], answer)

Needs neither onnxruntime nor a database.
"""

from oracle.client.answer import InferenceAnswer
from oracle.client.client import OracleClient, Requested, connect
from oracle.client.story import Story

__all__ = ["InferenceAnswer", "OracleClient", "Requested", "Story", "connect"]
