/** Figures as people read them. All are in the reader's own zone and in plain English. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
export const NONE = '–';

/** @param {number | null | undefined} value */
export function bytes(value) {
  if (value === null || value === undefined) return NONE;
  let [size, unit] = [value, 0];
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]}`;
}

const WHOLE = new Intl.NumberFormat('en');
/** @param {number | null | undefined} value */
export const count = (value) => (value === null || value === undefined ? NONE : WHOLE.format(value));

/**
 * @param {number} number
 * @param {string} one
 * @param {string} [many]
 */
export const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** @param {number | null | undefined} value */
export const percent = (value) =>
  value === null || value === undefined
    ? NONE
    : `${(100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`;

/** @param {number | null | undefined} value */
export const milliseconds = (value) =>
  value === null || value === undefined
    ? NONE
    : value < 10
      ? `${value.toFixed(1)} ms`
      : `${count(Math.round(value))} ms`;

/** @param {number} number */
const two = (number) => String(number).padStart(2, '0');

/** @param {number | null | undefined} ms since 1970 */
export function time(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NONE;
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return NONE;
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** @param {number} ms since 1970 */
export const clock = (ms) => time(ms).slice(11);

/**
 * How long until a time, or since it.
 * @param {number} ms since 1970
 * @param {number} nowMs
 */
export function distance(ms, nowMs) {
  const seconds = Math.round(Math.abs(ms - nowMs) / 1000);
  const [value, unit] =
    seconds < 90
      ? [seconds, 's']
      : seconds < 5400
        ? [Math.round(seconds / 60), 'min']
        : seconds < 172_800
          ? [Math.round(seconds / 3600), 'h']
          : [Math.round(seconds / 86_400), 'd'];
  return ms > nowMs ? `in ${value} ${unit}` : `${value} ${unit} ago`;
}

/** @param {string} address */
export const short = (address) =>
  address.length > 19 ? `${address.slice(0, 13)}…${address.slice(-4)}` : address;

/**
 * What so many losses mean.
 * @param {number} tolerates
 * @param {string} [level]
 */
export const survives = (tolerates, level = 'provider') =>
  tolerates < 0 ? 'not readable' : tolerates === 0 ? 'none' : `any ${counted(tolerates, level)}`;
