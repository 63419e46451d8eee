import { isHoldfastError, openVault } from 'holdfast';

const vault = await openVault({
  config: {
    engine: { default: 'memory' },
    providers: ['a', 'b', 'c'].map((id) => ({ id, adapter: 'memory' })),
  },
  rootKey: new Uint8Array(32).fill(5),
});
await vault.putObject([Buffer.from('plain '), Buffer.from('JavaScript')], { name: 'js' });
const names = [];
for await (const { name } of vault.listObjects()) names.push(name);
const error = await vault.getObject('js', { strat: 1 }).catch((thrown) => thrown);
console.log(names.join(), await (await vault.getObject('js')).text(), isHoldfastError(error), error.message);
await vault.close();
