import type { Area } from './area.ts';
import { benchCounts, renderCounts } from './counts.ts';
import { benchCurves, renderCurves } from './curves.ts';
import { benchGatewayLoad, renderGatewayLoad } from './gateway-load.ts';
import { benchHung, renderHung } from './hung.ts';
import type { Inputs } from './inputs.ts';
import { benchCrash, renderCrash } from './load-crash.ts';
import { benchOverload, renderOverload } from './load-over.ts';
import { benchSlow, renderSlow } from './load-slow.ts';
import { benchMemory, renderMemory } from './memory.ts';
import { benchNodes, renderNodes } from './nodes.ts';
import type { MorePart, Options } from './options.ts';
import { benchPortable, renderPortable } from './portable.ts';
import { benchReceipts, renderReceipts } from './receipts.ts';
import { benchRecover, renderRecover } from './recover.ts';
import { benchRepair, renderRepair } from './repair.ts';
import { benchShardIndex, renderShardIndex } from './shard-index.ts';

export interface Context {
  readonly area: Area;
  readonly inputs: Inputs;
  readonly options: Options;
  readonly say: (text: string) => void;
}

interface Outcome {
  readonly figures: unknown;
  readonly text: string;
}

/** The parts that are measured only when they are asked for. */
export const MORE: Readonly<Record<MorePart, (context: Context) => Promise<Outcome>>> = {
  async counts({ area, inputs, say }) {
    const figures = await benchCounts(area, await inputs.random(), say);
    return { figures, text: renderCounts(figures) };
  },
  async curves({ area, options, say }) {
    const figures = await benchCurves(area, options.size, say);
    return { figures, text: renderCurves(figures) };
  },
  async nodes({ area, inputs, options, say }) {
    const figures = await benchNodes(area, await inputs.random(), options.runs, say);
    return { figures, text: renderNodes(figures) };
  },
  async memory({ area, options, say }) {
    const figures = await benchMemory(area, options.deep, say);
    return { figures, text: renderMemory(figures) };
  },
  async portable({ area, inputs, options, say }) {
    const figures = await benchPortable(
      area,
      [await inputs.random(), await inputs.real()],
      options.runs,
      say,
    );
    return { figures, text: renderPortable(figures) };
  },
  async slowloris({ area, say }) {
    const figures = await benchSlow(area, say);
    return { figures, text: renderSlow(figures, 'holdfast node') };
  },
  async overload({ area }) {
    const figures = await benchOverload(area);
    return { figures, text: renderOverload(figures) };
  },
  async crash({ area, say }) {
    const figures = await benchCrash(area, say);
    return { figures, text: renderCrash(figures) };
  },
  async gatewayload({ area, say }) {
    const figures = await benchGatewayLoad(area, say);
    return { figures, text: renderGatewayLoad(figures) };
  },
  async hung({ area, options, say }) {
    const figures = await benchHung(area, options.runs, say);
    return { figures, text: renderHung(figures) };
  },
  async recover({ area, say }) {
    const figures = await benchRecover(area, say);
    return { figures, text: renderRecover(figures) };
  },
  async index({ area, options, say }) {
    const figures = await benchShardIndex(area, options.runs, say);
    return { figures, text: renderShardIndex(figures) };
  },
  async repair({ area, options, say }) {
    const figures = await benchRepair(area, options.size, say);
    return { figures, text: renderRepair(figures) };
  },
  async receipts({ area, options, say }) {
    const figures = await benchReceipts(area, options.deep, say);
    return { figures, text: renderReceipts(figures) };
  },
};
