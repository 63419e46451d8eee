import type { Area } from './area.ts';
import { benchCounts, renderCounts } from './counts.ts';
import { benchCurves, renderCurves } from './curves.ts';
import type { Inputs } from './inputs.ts';
import { benchNodes, renderNodes } from './nodes.ts';
import type { MorePart, Options } from './options.ts';

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
};
