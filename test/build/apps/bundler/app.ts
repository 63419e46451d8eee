import { openVault } from 'holdfast';

const bytes = new Uint8Array(5_000_000).map((_, i) => i * 7 + (i >> 8));
const vault = await openVault({
  home: process.argv[2],
  config: {
    engine: { default: 'memory' },
    providers: ['a', 'b', 'c', 'd'].map((id) => ({ id, adapter: 'memory' as const })),
  },
  rootKey: new Uint8Array(32).fill(5),
});
await vault.putObject(new File([bytes], 'bundled.bin'));
const blob = await (await vault.getObject('bundled.bin')).blob();
const stream: ReadableStream<Uint8Array> = (await vault.getObject('bundled.bin')).stream();
const streamed = await new Response(stream as ReadableStream).arrayBuffer();
console.log(Buffer.from(await blob.arrayBuffer()).equals(Buffer.from(bytes)), streamed.byteLength);
await vault.close();
