// A gateway, and a node beside it that runs a module of the vault and signs what that cost.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openVault } from 'holdfast';
import { startGateway } from 'holdfast/gateway';
import { decodeReceipt, encodeReceipt, openReceiptFetch, signExecution } from 'holdfast/receipts';

// (func (export "page") (param i32) (result i32)): the sum of 1 to the number that it is given.
const MODULE = Buffer.from(
  '0061736d0100000001060160017f017f03020100070801047061676500000a1b01190101' +
    '7f0340200120006a210120004101' +
    '6b22000d000b20010b',
  'hex',
);

const folder = await mkdtemp(join(tmpdir(), 'dynamic-page-'));
const vault = await openVault({
  config: {
    engine: { default: 'memory' },
    providers: ['north', 'south', 'east'].map((id) => ({ id, adapter: 'memory' })),
  },
  rootKey: randomBytes(32),
  background: 'at once',
});
const { manifest } = await vault.putObject(new Blob([MODULE]), { name: 'sum.wasm' });
const gateway = await startGateway({ vault, receipts: { folder, defaultDomain: 'pages.example.org' } });

// The node's key. What holdfast needs of it is the public half as 32 bytes, and signatures of 64.
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const signer = {
  publicKey: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)),
  sign: (message) => new Uint8Array(sign(null, message, privateKey)),
};

// The node reads the module as any reader does, and acknowledges that.
const read = await openReceiptFetch();
const answer = await read(`${gateway.url}/wasm/${manifest}`);
const provider = answer.headers.get('x-holdfast-provider');
const { instance } = await WebAssembly.instantiate(await answer.arrayBuffer());
await read.settled();

// The gateway says what is run; the node runs it, measures, and signs.
const { terms, end } = gateway.executions.begin({ manifest, provider, path: '/sum?to=50000000' });
const before = process.cpuUsage();
const sum = instance.exports.page(50_000_000) >>> 0;
const { user, system } = process.cpuUsage(before);
const cost = { cpuUs: user + system, diskRead: 0, diskWritten: 0 };
const receipt = encodeReceipt(signExecution({ ...terms, ...cost, ts: Date.now() }, signer));
const refusal = await end(receipt);

console.log(`the page says ${sum}`);
console.log(`its receipt is ${refusal ?? 'on the disk'}, and a second time: ${await end(receipt)}`);
console.log(`it cost ${decodeReceipt(receipt).cpuUs > 0 ? 'time' : 'none'} of ${terms.domain}`);
await gateway.close();
await vault.close();
await rm(folder, { recursive: true });
