// Asks for an answer in a view as a page would, with ethers: prints the request's id and the result as JSON.
// Usage: node view_with_ethers.mjs RPC_URL VIEWS ABI_FILE OPERATOR MODEL_ID INPUT CALLER
import { readFileSync } from "node:fs";
import { Contract, JsonRpcProvider } from "ethers";

const [rpcUrl, views, abiFile, operator, modelId, input, from] = process.argv.slice(2);
const provider = new JsonRpcProvider(rpcUrl);
const contract = new Contract(views, JSON.parse(readFileSync(abiFile, "utf8")).abi, provider);
const answer = await contract.answerOf(operator, modelId, input, { from, enableCcipRead: true });
console.log(JSON.stringify({ result: answer[0], requestId: answer[1] }));
provider.destroy();
