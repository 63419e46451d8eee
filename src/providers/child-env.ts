/** What a program needs to find itself, its settings, its agent and its words. No secret is among them. */
const PASSED: readonly string[] = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'LANG',
  'LANGUAGE',
  'TZ',
  'TMPDIR',
  'SSH_AUTH_SOCK',
  'GNUPGHOME',
  'DBUS_SESSION_BUS_ADDRESS',
  // Windows
  'SYSTEMROOT',
  'COMSPEC',
  'PATHEXT',
  'USERPROFILE',
  'APPDATA',
  'LOCALAPPDATA',
  'TEMP',
  'TMP',
];
const FAMILIES = /^(?:LC|XDG)_/;
const OURS = /^HOLDFAST_/i;

/** The environment of a program that we start: a few common variables, and those that the configuration names. */
export function childEnv(
  env: Readonly<Record<string, string | undefined>>,
  more: readonly string[],
): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    const passed = PASSED.includes(name.toUpperCase()) || FAMILIES.test(name) || more.includes(name);
    if (value !== undefined && passed && !OURS.test(name)) out[name] = value;
  }
  return out;
}
