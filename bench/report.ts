import type { KernelCost } from './kernels.ts';
import { total } from './kernels.ts';
import type { MicroFigure } from './micro.ts';
import { columns, MIB } from './numbers.ts';
import { PEERS, present } from './peers.ts';
import type { Figure, Throughput } from './throughput.ts';

const whole = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(0));
const two = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(2));

const isRange = ({ operation }: Figure): boolean => operation.startsWith('range');

export function renderThroughput({ input, bytes, kernelSum, ours, peers }: Throughput): string {
  const head = [
    '',
    'MiB/s',
    'process',
    'CPU s/GiB',
    'kernels',
    'times',
    'RSS MiB',
    'requests',
    'fsyncs',
    'files',
    'stored',
    'our speed',
    'our CPU',
  ];
  const rows = ours
    .filter((figure) => !isRange(figure))
    .map((figure) => line(`holdfast ${figure.operation}`, figure));
  const others = peers
    .filter((figure) => !isRange(figure))
    .map((figure) => {
      const own = ours.find(({ operation }) => operation === figure.operation);
      return line(`${figure.peer} ${figure.operation}`, figure, own);
    });
  const absent = PEERS.filter((peer) => !present(peer)).map(({ name }) => name);
  const ranges = [...ours.map((f) => ({ ...f, peer: 'holdfast' })), ...peers].filter(isRange);
  const ms = ({ wholeMibPerSecond }: Figure): string =>
    ((MIB / 16 / MIB / wholeMibPerSecond) * 1000).toFixed(0);
  return [
    `${input}, ${whole(bytes / MIB)} MiB`,
    columns([head, ...rows, ...others]),
    ...(peers.length > 0 || absent.length > 0
      ? [absent.length > 0 ? `not installed: ${absent.join(', ')}` : '']
      : []),
    `64 KiB from the middle, whole process: ${ranges.map((f) => `${f.peer} ${ms(f)} ms`).join(', ')}`,
    ...(kernelSum === undefined
      ? []
      : [
          `kernels of a put, CPU s/GiB on one core: ${costs(kernelSum.put)}`,
          `kernels of a get: ${costs(kernelSum.get)}`,
        ]),
  ]
    .filter((text) => text !== '')
    .join('\n');
}

const costs = (list: readonly KernelCost[]): string =>
  `${list.map(({ kernel, secondsPerGib }) => `${kernel} ${two(secondsPerGib)}`).join(', ')}; in all ${two(total(list))}`;

/** @param own what ours takes for the same: how many times as fast, and as much processor time. */
const line = (name: string, figure: Figure, own?: Figure): string[] => [
  name,
  whole(figure.mibPerSecond),
  whole(figure.wholeMibPerSecond),
  two(figure.cpuPerGib),
  two(figure.kernels?.perGib),
  figure.kernels === undefined ? '' : `${two(figure.kernels.times)}x`,
  whole(figure.peakRss / MIB),
  whole(figure.requestsPerGib),
  whole(figure.fsyncsPerGib),
  whole(figure.filesPerGib),
  figure.storedRatio === undefined ? '' : `${two(figure.storedRatio)}x`,
  own === undefined ? '' : `${two(own.wholeMibPerSecond / figure.wholeMibPerSecond)}x`,
  own === undefined ? '' : `${two(own.cpuPerGib / figure.cpuPerGib)}x`,
];

export const renderMicro = (figures: readonly MicroFigure[]): string =>
  columns([
    ['one core, 1 MiB of text and binaries at a time', 'by', 'MiB/s'],
    ...figures.map(({ what, by, mibPerSecond, microseconds }) => [
      what,
      by,
      mibPerSecond === undefined ? `${two(microseconds)} µs` : whole(mibPerSecond),
    ]),
  ]);
