import { describe, expect, it } from 'vitest';
import { coderGate } from '../../src/config/rollout.ts';
import type { RolloutConfig } from '../../src/config/types.ts';

const rollout: RolloutConfig = {
  allowFallbackCoder: true,
  allowFallbackCompressor: false,
  requireEmergencySwitch: true,
  emergencySwitchEnv: 'SWITCH',
};

describe('the rollout gates', () => {
  it.each(['1', 'true', 'yes', 'on', 'TRUE', 'On', ' yes '])('take %j for yes', (value) => {
    expect(coderGate('xor', rollout, { SWITCH: value }).allowed).toBe(true);
  });

  it.each([undefined, '', '0', 'false', 'no', 'off', 'enabled', '2'])('take %j for no', (value) => {
    expect(coderGate('xor', rollout, { SWITCH: value }).allowed).toBe(false);
  });

  it('never stand in the way of a code that is no fallback', () => {
    expect(coderGate('lrc', { ...rollout, allowFallbackCoder: false }, {})).toMatchObject({ allowed: true });
  });

  it('do not let the switch alone open what is not permitted', () => {
    expect(coderGate('xor', { ...rollout, allowFallbackCoder: false }, { SWITCH: '1' }).allowed).toBe(false);
  });

  it('say whether the permission rides on the switch', () => {
    expect(coderGate('xor', rollout, { SWITCH: '1' })).toMatchObject({ allowed: true, emergency: true });
    const open = { ...rollout, requireEmergencySwitch: false };
    expect(coderGate('xor', open, { SWITCH: '1' })).toMatchObject({ allowed: true, emergency: false });
  });
});
